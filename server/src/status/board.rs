//! Where the app publishes a copy of its state for HTTPS requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Snapshot;

/// A copy younger than this is reused, so that any number of requests cost the app at most two copies a second.
const FRESH: Duration = Duration::from_millis(500);
/// Time-out for a copy, after which the page says that the app does not answer. An update waits at most some
/// milliseconds for a slow ledger; a second is far beyond that.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The board. Clones share it.
#[derive(Resource, Clone)]
pub struct Board {
    inner: Arc<Inner>,
}

struct Inner {
    wanted: AtomicBool,
    newest: watch::Sender<Option<Arc<Snapshot>>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// The newest copy, for somebody who has asked.
#[derive(Clone)]
pub struct Look {
    /// The newest copy, if there is one.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether the app answered: the copy is fresh, or was made in time.
    pub answers: bool,
}

impl Board {
    /// An empty board. `wake` wakes the app when a copy is wanted.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let (newest, _) = watch::channel(None);
        Self { inner: Arc::new(Inner { wanted: AtomicBool::new(false), newest, wake: Box::new(wake) }) }
    }

    /// Whether somebody waits for a copy.
    pub fn is_wanted(&self) -> bool {
        self.inner.wanted.load(Ordering::Relaxed)
    }

    /// To be called when the app begins a copy, before it reads the first part of it. The copy is for all who have asked so
    /// far; whoever asks while it is made gets the next one.
    pub fn begin(&self) {
        self.inner.wanted.swap(false, Ordering::AcqRel);
    }

    /// Hands a copy to everybody who waits for one.
    pub fn publish(&self, snapshot: Snapshot) {
        self.inner.newest.send_replace(Some(Arc::new(snapshot)));
    }

    /// Asks the app for a copy.
    pub fn want(&self) {
        self.inner.wanted.store(true, Ordering::Release);
        (self.inner.wake)();
    }

    /// The newest copy there is.
    pub fn newest(&self) -> Option<Arc<Snapshot>> {
        self.inner.newest.borrow().clone()
    }

    /// The newest copy, made now unless there is a fresh one.
    pub async fn look(&self) -> Look {
        let mut newest = self.inner.newest.subscribe();
        let is_fresh = |snapshot: &Option<Arc<Snapshot>>| {
            snapshot.as_ref().is_some_and(|snapshot| snapshot.taken.elapsed() < FRESH)
        };
        let mut answers = is_fresh(&newest.borrow_and_update());
        if !answers {
            let asked = Instant::now();
            self.want();
            let made =
                newest.wait_for(|snapshot| snapshot.as_ref().is_some_and(|snapshot| snapshot.taken >= asked));
            answers = matches!(timeout(ANSWER_MAX, made).await, Ok(Ok(_)));
        }
        Look { snapshot: self.newest(), answers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_while_a_copy_is_made_gets_the_next_one() {
        let board = Board::new(|| ());
        board.want();
        board.begin();
        let copy = Snapshot::of_nothing();
        // This one waits for a copy that is begun after it has asked.
        board.want();
        board.publish(copy);
        assert!(board.is_wanted(), "nobody makes the copy that it waits for");
        board.begin();
        board.publish(Snapshot::of_nothing());
        assert!(!board.is_wanted());
    }
}
