//! How fast the coordinator's own kernel is, and how many of its runs are under way.

use std::time::Duration;

use p2c2r_protocol::{KindId, WorkUnits};

use super::speed::ServiceTimes;

/// Reserved before a deadline besides the predicted time, for collecting and sending the result. Errs on the early
/// side: the own kernel starts a little sooner than it must.
const MARGIN: Duration = Duration::from_millis(2);

/// How fast the own kernel is, and how busy.
pub struct OwnKernel {
    speed: ServiceTimes,
    /// Threads that compute.
    threads: usize,
    /// Runs that may wait for a thread. Few, because they run in the order of their arrival, without fair shares.
    waiting_max: usize,
    /// Runs that were started and have not come back, those waiting for a thread included.
    under_way: usize,
}

impl OwnKernel {
    /// An unmeasured kernel with `threads` threads and room for `waiting_max` waiting runs.
    pub fn new(threads: usize, waiting_max: usize) -> Self {
        Self { speed: ServiceTimes::of_reference_core(), threads: threads.max(1), waiting_max, under_way: 0 }
    }

    /// How long a task would take if it were queued now, including the wait for a thread behind the runs that wait and
    /// `before` more.
    pub fn predict(&self, kind: KindId, units: WorkUnits, before: usize) -> Duration {
        let service = self.speed.predict(kind, units);
        let queue = service.mean * ((self.waiting() + before) / self.threads) as u32;
        queue + service.mean + service.deviation * 2 + MARGIN
    }

    /// Whether one more run may begin, or wait for a thread.
    pub fn has_room(&self) -> bool {
        self.waiting() < self.waiting_max
    }

    /// A run begins, for which there is room.
    pub fn begin(&mut self) {
        assert!(self.has_room(), "no more runs wait than may");
        self.under_way += 1;
    }

    /// A run has come back, whatever it gave.
    pub fn end(&mut self) {
        assert!(self.under_way > 0, "a run that comes back was begun");
        self.under_way -= 1;
    }

    /// A run that gave an outcome took so long.
    pub fn measured(&mut self, kind: KindId, units: WorkUnits, took: Duration) {
        self.speed.measured(kind, units, took);
    }

    fn waiting(&self) -> usize {
        self.under_way.saturating_sub(self.threads)
    }
}
