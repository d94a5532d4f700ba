//! Permits to compute: they limit how many runs are computed at the same time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crossbeam_channel::Sender;

use super::Run;

/// Limits how many runs are computed at the same time. Taking a permit for a run that was not queued needs atomics
/// alone.
#[derive(Debug)]
pub(super) struct RunPermits {
    slots: u16,
    most: AtomicU32,
    taken: AtomicU32,
    /// Runs that are queued, until they have a permit.
    waiting: AtomicU32,
    /// Held from the look for a permit until the wait for one has begun, so that no notification is missed.
    looking: Mutex<()>,
    freed: Condvar,
}

impl RunPermits {
    /// Permits of a worker with so many slots, all of which may compute.
    pub fn new(slots: u16) -> Arc<Self> {
        Arc::new(Self {
            slots,
            most: AtomicU32::new(u32::MAX),
            taken: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            looking: Mutex::new(()),
            freed: Condvar::new(),
        })
    }

    /// Sets how many permits there are. Those that are taken stay valid.
    pub fn set(&self, most: u16) {
        // While all slots may compute there is no limit: tiny tasks are computed beside them.
        let most = if most < self.slots { most.into() } else { u32::MAX };
        self.most.store(most, Ordering::SeqCst);
        self.look();
        self.freed.notify_all();
    }

    /// Whether queued runs wait for a permit.
    pub fn are_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Whether a run that was not queued may have a permit.
    pub fn is_one_free(&self) -> bool {
        !self.are_awaited() && self.taken.load(Ordering::SeqCst) < self.most.load(Ordering::SeqCst)
    }

    /// A permit for a run that was not queued, if there is one that no queued run waits for.
    pub fn take_free(self: &Arc<Self>) -> Option<RunPermit> {
        (!self.are_awaited() && self.take()).then(|| RunPermit(self.clone()))
    }

    /// Waits for a permit for a run that was queued.
    pub fn take_for_queued(self: &Arc<Self>) -> RunPermit {
        if !self.take() {
            let looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.freed.wait_while(looking, |()| !self.take()).unwrap_or_else(PoisonError::into_inner));
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        RunPermit(self.clone())
    }

    fn take(&self) -> bool {
        let most = self.most.load(Ordering::SeqCst);
        let one_more = |taken| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// Waits until a thread that has looked for a permit in vain is waiting, and so hears a notification.
    fn look(&self) {
        drop(self.looking.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A run may be computed until this is dropped.
pub(super) struct RunPermit(Arc<RunPermits>);

impl Drop for RunPermit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
        if self.0.are_awaited() {
            self.0.look();
            self.0.freed.notify_one();
        }
    }
}

/// Where runs wait for a slot.
pub(super) struct RunQueue {
    runs: Sender<Run>,
    permits: Arc<RunPermits>,
}

impl RunQueue {
    /// A queue whose other end takes a permit for every run.
    pub fn new(runs: Sender<Run>, permits: Arc<RunPermits>) -> Self {
        Self { runs, permits }
    }

    /// Queues a run; returns it if the queue is full.
    #[must_use]
    pub fn send(&self, run: Run) -> Option<Run> {
        self.permits.waiting.fetch_add(1, Ordering::SeqCst);
        let refused = self.runs.try_send(run).err()?;
        self.permits.waiting.fetch_sub(1, Ordering::SeqCst);
        Some(refused.into_inner())
    }

    /// The permits that its runs wait for.
    pub fn permits(&self) -> &Arc<RunPermits> {
        &self.permits
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn no_more_runs_are_computed_at_the_same_time_than_slots_are_open() {
        let permits = RunPermits::new(5);
        permits.set(2);
        let (began, begins) = crossbeam_channel::unbounded();
        let (end, ends) = crossbeam_channel::unbounded::<()>();
        let slots: Vec<_> = (0..5)
            .map(|_| {
                let (permits, began, ends) = (permits.clone(), began.clone(), ends.clone());
                permits.waiting.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    let _permit = permits.take_for_queued();
                    began.send(permits.taken.load(Ordering::SeqCst)).unwrap();
                    ends.recv().unwrap();
                })
            })
            .collect();
        for _ in 0..5 {
            assert!(begins.recv().unwrap() <= 2);
            assert!(permits.taken.load(Ordering::SeqCst) <= 2);
            end.send(()).unwrap();
        }
        for slot in slots {
            slot.join().unwrap();
        }
        assert_eq!(permits.taken.load(Ordering::SeqCst), 0);
        assert!(permits.is_one_free());
    }

    #[test]
    fn tiny_tasks_are_computed_beside_the_slots_again_when_all_of_them_may_compute() {
        let permits = RunPermits::new(2);
        let beside = || {
            let taken: Vec<_> = (0..3).map_while(|_| permits.take_free()).collect();
            taken.len()
        };
        assert_eq!(beside(), 3);
        permits.set(1);
        assert_eq!(beside(), 1);
        permits.set(2);
        assert_eq!(beside(), 3);
    }

    #[test]
    fn what_was_not_queued_takes_no_place_that_something_waits_for() {
        let permits = RunPermits::new(2);
        permits.set(1);
        let permit = permits.take_free().unwrap();
        assert!(!permits.is_one_free() && permits.take_free().is_none(), "there is one");
        drop(permit);
        permits.waiting.fetch_add(1, Ordering::SeqCst);
        assert!(!permits.is_one_free() && permits.take_free().is_none(), "a queued run waits for it");
        drop(permits.take_for_queued());
        assert!(permits.is_one_free() && permits.take_free().is_some());
    }
}
