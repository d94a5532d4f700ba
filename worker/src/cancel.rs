//! Cancelling a run whose answer is not needed, in this process or another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use p2c2r_tasks::Stop;

/// Cancels a run; clones share it. A run in this process polls [`Cancel::stop`]; one in another process is notified.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

struct Inner {
    stop: Stop,
    elsewhere: Mutex<Elsewhere>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { stop: Stop::new(), elsewhere: Mutex::default() }
    }
}

#[derive(Default)]
struct Elsewhere {
    cancelled_at: Option<Instant>,
    tell: Option<Box<dyn FnOnce() + Send>>,
}

impl Cancel {
    /// The flag that a kernel in this process polls.
    pub fn stop(&self) -> &Stop {
        &self.0.stop
    }

    /// Ends the run.
    pub fn cancel(&self) {
        self.0.stop.stop();
        let mut elsewhere = self.elsewhere();
        elsewhere.cancelled_at.get_or_insert_with(Instant::now);
        if let Some(tell) = elsewhere.tell.take() {
            tell();
        }
    }

    /// Sets how to notify the run of its cancellation, until [`Cancel::is_over`]; notifies at once if it is cancelled
    /// already. `tell` must not wait.
    pub fn tell_by(&self, tell: impl FnOnce() + Send + 'static) {
        let mut elsewhere = self.elsewhere();
        if elsewhere.cancelled_at.is_some() {
            tell();
        } else {
            elsewhere.tell = Some(Box::new(tell));
        }
    }

    /// To be called when the run has ended: it is not notified from then on.
    pub fn is_over(&self) {
        self.elsewhere().tell = None;
    }

    /// How long ago the run was cancelled, if it was.
    pub fn cancelled_for(&self) -> Option<Duration> {
        self.elsewhere().cancelled_at.map(|at| at.elapsed())
    }

    fn elsewhere(&self) -> MutexGuard<'_, Elsewhere> {
        // Ignores poisoning: a panic in `tell` leaves the data consistent.
        self.0.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cancels a run when it is dropped; kept as long as the answer is needed.
pub struct CancelOnDrop(pub Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        // Once the run is over nobody else holds a clone, and there is nothing to cancel; most attempts end like this.
        if Arc::strong_count(&self.0.0) > 1 {
            self.0.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_run_elsewhere_is_told_once_whenever_it_began_and_not_when_it_is_over() {
        let (told, heard) = channel();
        let tell = |cancel: &Cancel| {
            let told = told.clone();
            cancel.tell_by(move || told.send(()).unwrap());
        };
        let (early, late, over) = (Cancel::default(), Cancel::default(), Cancel::default());
        tell(&early);
        assert!(heard.try_recv().is_err() && early.cancelled_for().is_none());
        drop(CancelOnDrop(early.clone()));
        early.cancel();
        assert_eq!(heard.try_iter().count(), 1);
        assert!(early.stop().is_stopped() && early.cancelled_for().is_some());
        late.cancel();
        tell(&late);
        assert_eq!(heard.try_iter().count(), 1);
        tell(&over);
        over.is_over();
        over.cancel();
        assert_eq!(heard.try_iter().count(), 0);
    }
}
