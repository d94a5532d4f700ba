//! How fast the coordinator's own kernel is, and how many of its runs are under way.

use std::time::Duration;

use p2c2r_protocol::{KindId, Micros, TaskNo, WorkUnits};

use super::speed::ServiceTimes;

/// Reserved before a deadline besides the predicted time, for collecting and sending the result. Errs on the early
/// side: the own kernel starts a little sooner than it must.
const MARGIN: Duration = Duration::from_millis(2);

/// How long the pool must have had nothing to do before a patient task begins. With a shorter time, one would begin in
/// every pause of a game, only to be stopped.
const IDLE_AFTER: Duration = Duration::from_secs(5);

/// Checks under way for each thread but one beyond which they need all threads. A check usually takes less than a
/// millisecond, so fewer of them keep no answer waiting long. With more, checks would wait while a patient task, which may take
/// minutes, has a thread.
const CHECKS_PER_THREAD: usize = 16;

/// How fast the own kernel is, and how busy.
pub struct OwnKernel {
    speed: ServiceTimes,
    /// Threads that compute.
    threads: usize,
    /// Runs that may wait for a thread. Few, because they run in the order of their arrival, without fair shares.
    waiting_max: usize,
    /// Runs that were started and have not come back, those waiting for a thread included.
    under_way: usize,
    /// Checks that were given to the pool and have not come back.
    checks: usize,
    /// The patient task whose run gives way to everything else.
    patient: Option<TaskNo>,
    /// The task whose run was stopped and has not come back.
    stopped: Option<TaskNo>,
    /// When a patient task may begin, unless the pool is needed before.
    idle_at: Micros,
}

impl OwnKernel {
    /// An unmeasured kernel with `threads` threads and room for `waiting_max` waiting runs.
    pub fn new(threads: usize, waiting_max: usize) -> Self {
        Self {
            speed: ServiceTimes::of_reference_core(),
            threads: threads.max(1),
            waiting_max,
            under_way: 0,
            checks: 0,
            patient: None,
            stopped: None,
            idle_at: IDLE_AFTER.into(),
        }
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

    /// A run has come back, whatever it gave; returns whether it was stopped.
    pub fn end(&mut self, task: TaskNo, now: Micros) -> bool {
        assert!(self.under_way > 0, "a run that comes back was begun");
        self.under_way -= 1;
        let is_stopped = self.stopped.take_if(|stopped| *stopped == task).is_some();
        let is_patient = self.patient.take_if(|patient| *patient == task).is_some();
        if !is_stopped && !is_patient {
            self.is_needed(now);
        }
        is_stopped
    }

    /// A check is given to the pool; returns whether the checks under way need every thread, so that a patient task has to give
    /// way. With several threads they rarely do: otherwise no patient task would ever be done while answers keep coming.
    pub fn check_begins(&mut self) -> bool {
        self.checks += 1;
        self.checks > CHECKS_PER_THREAD.saturating_mul(self.threads - 1)
    }

    /// A check has come back.
    pub fn check_ended(&mut self) {
        self.checks = self.checks.saturating_sub(1);
    }

    /// Notes that the pool has work that does not give way: no patient task begins for a while.
    pub fn is_needed(&mut self, now: Micros) {
        self.is_busy_for(IDLE_AFTER, now);
    }

    fn is_busy_for(&mut self, time: Duration, now: Micros) {
        self.idle_at = self.idle_at.max(now.after(time));
    }

    /// When a patient task may begin, unless the pool is needed before; `None` while a run is under way.
    pub fn idle_at(&self) -> Option<Micros> {
        (self.under_way == 0).then_some(self.idle_at)
    }

    /// Notes that there was no patient task to begin. The search visits all tasks, so it is not repeated at once.
    pub fn looked_in_vain(&mut self, now: Micros) {
        self.is_needed(now);
    }

    /// Notes that the run just begun is a patient task's, which gives way to all other work.
    pub fn gives_way(&mut self, task: TaskNo) {
        self.patient = Some(task);
    }

    /// The task whose run gives way, if there is one; from now on it does not.
    pub fn take_patient(&mut self) -> Option<TaskNo> {
        self.patient.take()
    }

    /// The run of a patient task was stopped after `lost`. The next one begins only after as long a pause, so that at
    /// most half of the time is lost in this way.
    pub fn was_stopped(&mut self, task: TaskNo, lost: Duration, now: Micros) {
        self.stopped = Some(task);
        self.is_busy_for(lost, now);
    }

    /// Learns from a run that gave an outcome and took this long.
    pub fn measured(&mut self, kind: KindId, units: WorkUnits, took: Duration) {
        self.speed.measured(kind, units, took);
    }

    fn waiting(&self) -> usize {
        self.under_way.saturating_sub(self.threads)
    }
}
