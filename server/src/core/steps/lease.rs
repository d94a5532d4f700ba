//! The end of leases and of waits for one. Only this module expires leases.

use std::time::Duration;

use p2c2r_protocol::limits::ATTEMPTS_PER_TASK_MAX;
use p2c2r_protocol::{Attempt, KindId, Micros, PeerId, ServerToWorker, TaskFailure, TaskNo, WorkUnits};
use smallvec::SmallVec;
use tracing::debug;

use super::{blame, charge, fall_back, follow, hedge, judge, settle};
use crate::config::Fallback;
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::tasks::{LIVE_MAX, LiveAttempt, Task};
use crate::core::state::trust::Misconduct;
use crate::core::state::workers::Prediction;
use crate::ledger::{ATTEMPT_MAX, Entry, Verdict};

/// The shortest lease. A shorter one would expire when a single packet is resent, which takes 70 ms.
const LEASE_MIN: Duration = Duration::from_millis(100);
/// A lease lasts at least `1 / LEASE_SHARE` of the time until the deadline, up to [`UNHURRIED_LEASE_MIN`]: where there
/// is time for several more attempts, a machine that stalls for a moment is waited for, with all its attempts. The link
/// notices a dead one by missing heartbeats.
const LEASE_SHARE: u32 = 8;
const UNHURRIED_LEASE_MIN: Duration = Duration::from_secs(1);
/// The shortest lease of a patient task: nothing is gained by taking it away soon.
const PATIENT_LEASE_MIN: Duration = Duration::from_secs(10);
/// The longest lease. A worker that was once suspended for hours is predicted to take as long again, and a patient task
/// must not wait for that. Also, the wire format gives a lease 32 bits of microseconds.
const LEASE_MAX: Duration = Duration::from_hours(1);
const _: () = assert!(LEASE_MAX.as_micros() < u32::MAX as u128);
/// A lease is this many times the worst predicted finish.
const LEASE_FACTOR: u32 = 2;
/// Attempts at one task, however they end, after which it is given up: the ledger numbers at most [`ATTEMPT_MAX`], and
/// one is reserved for the own kernel.
pub const ATTEMPTS_IN_ALL_MAX: u32 = ATTEMPT_MAX - 1;

/// When the lease of an attempt assigned `now` ends: when a healthy worker would have answered at the latest, and no
/// later than the own kernel's start or the deadline.
pub fn lease_until(task: &Task, prediction: Prediction, wait_until: Option<Micros>, now: Micros) -> Micros {
    let shortest = match task.deliver_by {
        None => PATIENT_LEASE_MIN,
        Some(deadline) => {
            let left = deadline.time_since(now);
            (left / LEASE_SHARE).clamp(LEASE_MIN, UNHURRIED_LEASE_MIN)
        }
    };
    let length = prediction.finish_at_worst.saturating_mul(LEASE_FACTOR).clamp(shortest, LEASE_MAX);
    let until = now.after(length);
    wait_until.map_or(until, |latest| until.min(latest))
}

/// The end of a lease whose task has changed its deadline.
pub fn renewed(live: &LiveAttempt, deliver_by: Option<Micros>) -> Micros {
    let length = Duration::from_micros(live.expected.at_worst_us.into()) * LEASE_FACTOR;
    let length = length.clamp(LEASE_MIN, LEASE_MAX);
    let until = live.since.after(length).max(live.until);
    deliver_by.map_or(until, |deadline| until.min(deadline))
}

/// Fires the timers that are due: expires leases, ends waits and starts hedges.
pub fn expire(core: &mut Core) {
    let now = core.now;
    while let Some(no) = core.timers.due(&core.tasks, now) {
        core.tasks.set_timer(no, None);
        let Some(task) = core.tasks.get(no) else { continue };
        if task.deliver_by.is_some_and(|deadline| deadline <= now) {
            settle::fail(core, no, TaskFailure::Late);
            continue;
        }
        if task.follows().is_some() {
            follow::go_alone(core, no);
            continue;
        }
        let is_over = |live: &&LiveAttempt| live.answered_at.is_none() && live.until <= now;
        let what = (task.kind, task.units);
        let over: SmallVec<[LiveAttempt; LIVE_MAX]> = task.live().iter().filter(is_over).copied().collect();
        for live in &over {
            debug!(task = no.0, attempt = live.attempt.0, "lease over");
            took_too_long(core, what, live);
            attempt_over(core, no, live.attempt, live.worker, Fruitless::Expired);
        }
        let Some(task) = core.tasks.get(no) else { continue };
        let is_given_up = |live: &&LiveAttempt| live.check_begins_by.is_some_and(|at| at <= now);
        let given_up: SmallVec<[LiveAttempt; LIVE_MAX]> =
            task.live().iter().filter(is_given_up).copied().collect();
        for live in &given_up {
            judge::give_up_waiting(core, no, live.attempt, live.worker);
        }
        let Some(task) = core.tasks.get(no) else { continue };
        if task.hedge_at().is_some_and(|at| at <= now) {
            hedge::ask_another(core, no);
        } else if over.is_empty() && given_up.is_empty() && task.is_waiting() {
            fall_back::compute(core, no);
            continue;
        }
        set_timer(core, no);
    }
}

/// Takes the time that a worker has held an attempt without an answer as a lower bound of how long it takes.
pub fn took_too_long(core: &mut Core, (kind, units): (KindId, WorkUnits), live: &LiveAttempt) {
    let held = core.now.time_since(live.since);
    let rtt = core.rtt(live.worker);
    core.hedging.ended(held, live.expected.late, false);
    core.workers.change(live.worker, |worker| worker.expired(kind, units, held, rtt, live.expected.rounds));
}

/// Sets the task's timer to the earliest of: the end of a lease, a hedge, the last moment for the own kernel to start,
/// the deadline.
pub fn set_timer(core: &mut Core, no: TaskNo) {
    let Some(task) = core.tasks.get(no) else { return };
    if let Some(following) = task.follows() {
        core.timers.schedule(&mut core.tasks, no, following.until);
        return;
    }
    let is_due = |live: &&LiveAttempt| live.answered_at.is_none() && !fault::is_made(Fault::WaitsForEver);
    let unanswered = task.live().iter().filter(is_due);
    let end = if task.is_waiting() { fall_back::wait_until(core, task) } else { task.deliver_by };
    let checks = task.live().iter().filter_map(|live| live.check_begins_by);
    let at = unanswered.map(|live| live.until).chain(checks).chain(task.hedge_at()).chain(end).min();
    if at != task.timer() {
        core.timers.schedule(&mut core.tasks, no, at);
    }
}

/// Why an attempt failed.
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
    /// There was no time to check the answer, which is not the worker's fault.
    Unchecked,
    /// The answer failed a check.
    Rejected {
        /// The check that failed, and what it found.
        reason: String,
    },
}

impl Fruitless {
    /// Whether a worker of the same account may be given the task again.
    fn may_try_again(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Lost)
    }

    /// Whether it counts towards the attempts of a task. A worker without a free slot says nothing about the task.
    /// Silence does not count for a patient task, which has time to wait for another worker: workers that take tasks
    /// and stay silent must not be able to end it.
    fn counts(&self, is_patient: bool) -> bool {
        match self {
            Self::Overloaded | Self::Unchecked => false,
            Self::Expired | Self::Lost => !is_patient,
            Self::Failed | Self::Rejected { .. } => true,
        }
    }

    /// The misconduct it counts as. A failed check costs far more, which [`judge`] handles; attempts lost with a
    /// connection are counted when that ends.
    fn misconduct(&self) -> Option<Misconduct> {
        match self {
            Self::Overloaded => Some(Misconduct::Overloaded),
            Self::Failed => Some(Misconduct::Failed),
            Self::Expired => Some(Misconduct::Silent),
            Self::Lost | Self::Unchecked | Self::Rejected { .. } => None,
        }
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Overloaded | Self::Failed => Verdict::Failed,
            Self::Expired => Verdict::Expired,
            Self::Lost => Verdict::Lost,
            Self::Unchecked => Verdict::Unneeded,
            Self::Rejected { reason } => Verdict::Rejected { reason },
        }
    }
}

/// Ends a live attempt without success: frees the worker, records why, and queues the task again or ends it if it has
/// run out of attempts.
pub fn attempt_over(core: &mut Core, no: TaskNo, attempt: Attempt, worker: PeerId, why: Fruitless) {
    let now = core.now;
    let is_patient = core.tasks.get(no).is_some_and(|task| task.deliver_by.is_none());
    let (may_try_again, counts) = (why.may_try_again(), why.counts(is_patient));
    let kernel_failed = why == Fruitless::Failed;
    let has_expired = why == Fruitless::Expired;
    let misconduct = why.misconduct();
    let is_rejected = matches!(why, Fruitless::Rejected { .. });
    let verdict = why.verdict();
    let begun = if has_expired { charge::begun_in(core, no, attempt) } else { 0 };
    let failed = core.tasks.workers().failed(no, attempt, may_try_again, counts, begun);
    let Some((task, live)) = failed else { return };
    let (attempts, failures, may_compute) = (task.attempts(), task.failures(), task.deliver_by.is_some());
    let (what, in_books) = ((task.kind, task.units), task.in_books);
    let (is_waiting, is_over) = (task.is_waiting(), task.is_unwanted() && !task.is_judged());
    core.book(Entry::AttemptEnded { task: in_books, kind: what.0, attempt, verdict });
    match misconduct {
        Some(misconduct) => blame::attempt(core, no, what, &live, misconduct),
        None => {
            core.workers.change(worker, |worker| {
                worker.tasks.remove(&no);
                if is_rejected {
                    worker.failed(live.since, now);
                }
            });
        }
    }
    if has_expired {
        core.tell_worker(worker, ServerToWorker::Revoke { task: no, attempt });
    }
    core.tally.repeated += 1;
    if is_over {
        settle::fail(core, no, TaskFailure::Cancelled);
    } else if !is_waiting || failures < ATTEMPTS_PER_TASK_MAX && attempts < ATTEMPTS_IN_ALL_MAX {
        set_timer(core, no);
    } else if may_compute && core.policy.fallback == Fallback::Compute {
        fall_back::compute(core, no);
    } else {
        settle::fail(core, no, if kernel_failed { TaskFailure::KernelFailed } else { TaskFailure::NoWorker });
    }
}

/// Sets the timer of a newly waiting task: one microsecond from now at the earliest, so that the matcher sees the task
/// before the own kernel must start.
pub fn wait_for_matcher(core: &mut Core, no: TaskNo) {
    let Some(until) = core.tasks.get(no).map(|task| fall_back::wait_until(core, task)) else { return };
    let after_matching = Micros(core.now.0.saturating_add(1));
    core.timers.schedule(&mut core.tasks, no, until.map(|until| until.max(after_matching)));
}
