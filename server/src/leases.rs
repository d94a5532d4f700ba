//! When a lease, or a wait for one, is over, and what then. Only this module expires leases.
//!
//! Every task has at most one moment at which something is due. The moments are kept in one heap; an entry
//! counts only while it is still its task's moment, so moving one costs a push and no search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{LinkClock, NextWake};
use p2c2r_protocol::limits::ATTEMPTS_PER_TASK_MAX;
use p2c2r_protocol::{Attempt, Micros, PeerId, ServerToWorker, TaskFailure, TaskNo};
use tracing::debug;

use crate::config::Fallback;
use crate::desk::Desk;
use crate::ledger::{ATTEMPT_MAX, Entry, Verdict};
use crate::registry::Prediction;
use crate::table::{Phase, Task, TaskTable};

/// The shortest lease. Shorter ones would be lost to a single packet sent again, which takes 70 ms.
const LEASE_MIN: Duration = Duration::from_millis(100);
/// The shortest lease of a patient task: nothing is gained by taking it away soon.
const PATIENT_LEASE_MIN: Duration = Duration::from_secs(10);
/// A lease is this many times the worst predicted finish.
const LEASE_FACTOR: u32 = 2;
/// Attempts at one task of whatever end, after which it is given up: the books number no more than
/// [`ATTEMPT_MAX`], and one is kept for the own kernel.
const ATTEMPTS_IN_ALL_MAX: u32 = ATTEMPT_MAX - 1;
/// Entries that no longer count which the heap may hold before it is swept.
const SLACK: usize = 4_096;

/// Moments at which something is due.
#[derive(Resource, Default)]
pub struct Leases {
    moments: BinaryHeap<Reverse<(Micros, TaskNo)>>,
}

impl Leases {
    /// From now on this is the task's one moment; `None` for no moment.
    pub fn schedule(&mut self, tasks: &mut TaskTable, no: TaskNo, at: Option<Micros>) {
        tasks.set_timer(no, at);
        let Some(at) = at else { return };
        if self.moments.len() > 2 * tasks.len() + SLACK {
            self.moments
                .retain(|Reverse((at, no))| tasks.get(*no).is_some_and(|task| task.timer() == Some(*at)));
        }
        self.moments.push(Reverse((at, no)));
    }

    /// The next task whose moment has come.
    fn due(&mut self, tasks: &TaskTable, now: Micros) -> Option<TaskNo> {
        while let Some(Reverse((at, no))) = self.moments.peek().copied() {
            if at > now {
                return None;
            }
            self.moments.pop();
            if tasks.get(no).is_some_and(|task| task.timer() == Some(at)) {
                return Some(no);
            }
        }
        None
    }

    /// The next moment that still counts.
    fn next(&mut self, tasks: &TaskTable) -> Option<Micros> {
        while let Some(Reverse((at, no))) = self.moments.peek().copied() {
            if tasks.get(no).is_some_and(|task| task.timer() == Some(at)) {
                return Some(at);
            }
            self.moments.pop();
        }
        None
    }
}

/// When the lease of an attempt started `now` ends: when a healthy worker would be back at the latest, and in
/// any case when the own kernel must start, or at the deadline.
pub fn lease_until(task: &Task, prediction: Prediction, wait_until: Option<Micros>, now: Micros) -> Micros {
    let shortest = if task.deliver_by.is_some() { LEASE_MIN } else { PATIENT_LEASE_MIN };
    let length = (prediction.finish_at_worst * LEASE_FACTOR).max(shortest);
    let until = Micros(now.0.saturating_add(Micros::from(length).0));
    wait_until.map_or(until, |latest| until.min(latest))
}

/// Whether a moment has come: a condition for the system that looks what it was.
pub fn is_due(leases: Res<'_, Leases>, clock: Res<'_, LinkClock>) -> bool {
    leases.moments.peek().is_some_and(|Reverse((at, _))| *at <= clock.now())
}

/// Ends leases and waits whose time has come.
pub fn expire_leases(mut desk: Desk<'_>) {
    let now = desk.now();
    while let Some(no) = desk.leases.due(&desk.tasks, now) {
        let Some(task) = desk.tasks.get(no) else { continue };
        match task.phase() {
            Phase::Leased { worker, since, rounds, .. } => {
                let (attempt, kind, units) = (task.attempt(), task.kind, task.units);
                let held = Duration::from_micros(now.0.saturating_sub(since.0));
                desk.workers.change(worker, |worker| worker.expired(kind, units, held, rounds));
                debug!(task = no.0, attempt = attempt.0, "lease over");
                desk.attempt_over(no, attempt, worker, Fruitless::Expired);
            }
            Phase::Waiting if task.deliver_by.is_some_and(|deadline| deadline <= now) => {
                desk.fail(no, TaskFailure::Late);
            }
            Phase::Waiting => desk.compute(no),
            Phase::Judging { .. } | Phase::Computing { .. } => desk.fail(no, TaskFailure::Late),
        }
    }
}

/// Asks for an update at the next moment.
pub fn wake_for_leases(
    mut leases: ResMut<'_, Leases>,
    tasks: Res<'_, TaskTable>,
    clock: Res<'_, LinkClock>,
    mut next_wake: ResMut<'_, NextWake>,
) {
    if let Some(next) = leases.next(&tasks) {
        next_wake.within(Duration::from_micros(next.0.saturating_sub(clock.now().0)));
    }
}

/// Why an attempt came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fruitless {
    /// The worker said it has no free slot.
    Overloaded,
    /// The worker said it cannot do it.
    Failed,
    /// The lease ended without an answer.
    Expired,
    /// The worker's connection ended.
    Lost,
    /// The answer failed a check.
    Rejected {
        /// Which, and how.
        reason: String,
    },
}

impl Fruitless {
    /// Whether a worker of the same account may be given the task again.
    fn may_try_again(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Lost)
    }

    /// Whether it counts towards the attempts a task gets. Having no slot says nothing of the task. Nor does silence,
    /// and a patient task has the time to wait for somebody else: workers that take tasks and keep silent must not
    /// be able to end it.
    fn counts(&self, is_patient: bool) -> bool {
        match self {
            Self::Overloaded => false,
            Self::Expired | Self::Lost => !is_patient,
            Self::Failed | Self::Rejected { .. } => true,
        }
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Overloaded | Self::Failed => Verdict::Failed,
            Self::Expired => Verdict::Expired,
            Self::Lost => Verdict::Lost,
            Self::Rejected { reason } => Verdict::Rejected { reason },
        }
    }
}

impl Desk<'_> {
    /// An attempt came to nothing: the worker is free of it, the books say why, and the task waits for another
    /// worker, or has had its attempts.
    pub fn attempt_over(&mut self, no: TaskNo, attempt: Attempt, worker: PeerId, why: Fruitless) {
        let now = self.now();
        let is_patient = self.tasks.get(no).is_some_and(|task| task.deliver_by.is_none());
        let (may_try_again, counts) = (why.may_try_again(), why.counts(is_patient));
        let kernel_failed = why == Fruitless::Failed;
        let revoke = why == Fruitless::Expired;
        let verdict = why.verdict();
        let Some((task, since)) = self.tasks.workers().failed(no, attempt, may_try_again, counts) else {
            // Given up while the answer was judged: what the worker did goes into its books all the same.
            if matches!(verdict, Verdict::Rejected { .. }) {
                self.books.append(Entry::AttemptEnded { task: no, attempt, verdict });
            }
            return;
        };
        let (attempts, failures, may_compute) = (task.attempts(), task.failures(), task.deliver_by.is_some());
        self.books.append(Entry::AttemptEnded { task: no, attempt, verdict });
        self.workers.change(worker, |worker| {
            worker.tasks.remove(&no);
            worker.failed(since, now);
        });
        if revoke {
            self.tell_worker(worker, ServerToWorker::Revoke { task: no, attempt });
        }
        self.tally.repeated += 1;
        if failures < ATTEMPTS_PER_TASK_MAX && attempts < ATTEMPTS_IN_ALL_MAX {
            self.wait(no);
        } else if may_compute && self.settings.0.fallback == Fallback::Compute {
            self.compute(no);
        } else {
            self.fail(no, if kernel_failed { TaskFailure::KernelFailed } else { TaskFailure::NoWorker });
        }
    }

    /// The task waits for the first time: the matcher looks at it before the own kernel does, also if that
    /// would have to start already.
    pub fn wait_for_matcher(&mut self, no: TaskNo) {
        let Some(until) = self.tasks.get(no).map(|task| self.wait_until(task)) else { return };
        let after_matching = Micros(self.now().0.saturating_add(1));
        self.leases.schedule(&mut self.tasks, no, until.map(|until| until.max(after_matching)));
    }

    /// The task waits from now on, until the own kernel must start or its deadline.
    pub fn wait(&mut self, no: TaskNo) {
        let Some(until) = self.tasks.get(no).map(|task| self.wait_until(task)) else { return };
        self.leases.schedule(&mut self.tasks, no, until);
    }
}
