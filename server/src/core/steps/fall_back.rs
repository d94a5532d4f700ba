//! The coordinator's own kernel, for tasks that no worker can do.
//!
//! Timely tasks come here when no worker would be in time. A patient one comes here if the operator allows it, no worker
//! offers its kind, or those that do have failed it, and the pool has had nothing else to compute for some seconds: one at a
//! time, and it is stopped and queued again as soon as the pool is needed, for another task or for more checks than the other
//! threads make at once.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::limits::ATTEMPTS_PER_TASK_MAX;
use p2c2r_protocol::{KindId, Micros, TaskFailure, TaskNo, WorkUnits};
use p2c2r_tasks::{Stop, StopOnDrop};
use tracing::debug;

use super::settle::{self, Made};
use super::{follow, judge, lease};
use crate::config::{Fallback, PatientFallback};
use crate::core::fault::{self, Fault};
use crate::core::receipts::own_stages;
use crate::core::state::tasks::Task;
use crate::core::work::{Check, Computed, KernelRun};
use crate::core::{Core, Effect};
use crate::ledger::{AccountId, Entry, Verdict};

/// After this many attempts a patient task is left to workers: every stopped run counts as an attempt, and the ledger can
/// number only [`lease::ATTEMPTS_IN_ALL_MAX`] of them.
const PATIENT_ATTEMPTS_MAX: u32 = lease::ATTEMPTS_IN_ALL_MAX / 2;

/// After this many attempts a patient task is computed here even while workers offer its kind: by then they have come and gone,
/// or stayed silent, so often that waiting for them may never end.
const LEFT_TO_WORKERS: u32 = 8;

/// Whether the own kernel may compute this task so that it meets its deadline: if it has one, and the operator allows it.
pub fn may_compute(core: &Core, task: &Task) -> bool {
    core.policy.fallback == Fallback::Compute && task.deliver_by.is_some()
}

/// How long the own kernel would take for one more task of this account, from now on.
pub fn predict(core: &Core, account: AccountId, kind: KindId, units: WorkUnits) -> Duration {
    core.own.predict(kind, units, core.tasks.before_in_own_kernel(account))
}

/// The latest moment at which a task must be given to the own kernel to be in time or, if it waits for the own kernel
/// already, must be begun. The deadline itself if the own kernel may not be used; `None` for a patient task.
pub fn wait_until(core: &Core, task: &Task) -> Option<Micros> {
    let deliver_by = task.deliver_by?;
    if !may_compute(core, task) {
        return Some(deliver_by);
    }
    if task.waits_for_own_kernel() {
        return begin_by(core, task);
    }
    let own = predict(core, task.account, task.kind, task.units);
    Some(deliver_by.before(own))
}

/// The latest moment at which the own kernel must begin a timely task to be in time.
fn begin_by(core: &Core, task: &Task) -> Option<Micros> {
    let own = core.own.predict(task.kind, task.units, 0);
    Some(task.deliver_by?.before(own))
}

/// Starts the own kernel on a waiting task. If there is no room, the task waits for its turn as long as it can still be in
/// time: when a worker with many tasks falls silent, all of them come here at once.
pub fn compute(core: &mut Core, no: TaskNo) {
    let now = core.now;
    if !core.own.has_room() {
        let until = core.tasks.get(no).and_then(|task| begin_by(core, task));
        if until.is_some_and(|until| until > now) {
            core.tasks.matcher().wait_for_own_kernel(no);
            lease::set_timer(core, no);
        } else {
            settle::fail(core, no, TaskFailure::NoWorker);
        }
        return;
    }
    make_way(core);
    begin(core, no);
}

/// Gives a waiting task to the own kernel, which has room.
fn begin(core: &mut Core, no: TaskNo) {
    let now = core.now;
    // Kernels run beside the app's thread, which has answers to pass on.
    let stop = Stop::yielding();
    let Some(task) = core.tasks.matcher().compute(no, now, StopOnDrop(stop.clone())).map(|task| {
        let (job, blobs) = (Arc::downgrade(&task.job), task.blobs.clone());
        (task.in_books, task.attempt(), KernelRun { task: no, job, blobs, stop })
    }) else {
        return;
    };
    let (in_books, attempt, kernel) = task;
    core.book(Entry::AttemptStarted { task: in_books, attempt, worker: None });
    lease::set_timer(core, no);
    debug!(task = no.0, "computing here");
    core.own.begin();
    core.effects.others.push(Effect::Compute(kernel));
}

/// Starts the own kernel on tasks that wait for it, as far as there is room.
fn compute_what_waits(core: &mut Core) {
    while core.own.has_room()
        && let Some(no) = core.tasks.matcher().next_for_own_kernel()
    {
        compute(core, no);
    }
}

/// When a patient task may begin here; `None` if none may.
pub fn idle_due(core: &Core) -> Option<Micros> {
    let may = core.policy.patient_fallback == PatientFallback::Compute && !core.closing;
    core.own.idle_at().filter(|_| may && core.tasks.may_have_waiting())
}

/// Begins the oldest patient task that no worker can do, if it is time.
pub fn compute_when_idle(core: &mut Core) {
    let now = core.now;
    if idle_due(core).is_none_or(|due| due > now) {
        return;
    }
    match next_patient(core).filter(|_| core.own.has_room()) {
        Some(no) => {
            begin(core, no);
            core.own.gives_way(no);
        }
        None => core.own.looked_in_vain(now),
    }
}

/// The oldest patient task that waits and that no worker is left to try; `None` while a timely one waits that may need the
/// pool at any moment. Looks at all tasks.
fn next_patient(core: &Core) -> Option<TaskNo> {
    let mut oldest = None;
    for (no, task) in core.tasks.iter().filter(|(_, task)| task.is_waiting()) {
        if task.deliver_by.is_some() {
            if may_compute(core, task) {
                return None;
            }
            continue;
        }
        let is_older = oldest.is_none_or(|oldest| no < oldest);
        let is_left = || {
            let mut offering = core.workers.offering(task.kind);
            task.attempts() < LEFT_TO_WORKERS
                && offering.any(|(_, worker)| !task.was_tried_by(worker.account))
        };
        if is_older && task.attempts() < PATIENT_ATTEMPTS_MAX && !is_left() {
            oldest = Some(no);
        }
    }
    oldest
}

/// The pool is needed: the run of a patient task, if there is one, is stopped, and the task waits again.
fn make_way(core: &mut Core) {
    let now = core.now;
    core.own.is_needed(now);
    if fault::is_made(Fault::KeepsThePool) {
        return;
    }
    let Some(no) = core.own.take_patient() else { return };
    let stopped = core.tasks.matcher().stop_computing(no);
    let stopped = stopped.map(|(task, since)| (task.in_books, task.kind, task.attempt(), since));
    let Some((in_books, kind, attempt, since)) = stopped else { return };
    core.own.was_stopped(no, now.time_since(since), now);
    debug!(task = no.0, "the pool is needed: waits again");
    core.book(Entry::AttemptEnded { task: in_books, kind, attempt, verdict: Verdict::Unneeded });
}

/// Has an outcome checked on the pool.
pub fn check(core: &mut Core, check: Check) {
    if core.own.check_begins() {
        make_way(core);
    }
    core.effects.others.push(Effect::Check(check));
}

/// Handles the result of the own kernel.
pub fn computed(core: &mut Core, computed: Computed) {
    let is_stopped = core.own.end(computed.task, core.now);
    // A stopped run has no outcome, and that is no failure of the task.
    if !is_stopped || computed.outcome.is_some() {
        take_outcome(core, computed);
    }
    compute_what_waits(core);
}

fn take_outcome(core: &mut Core, computed: Computed) {
    let no = computed.task;
    let Some(outcome) = computed.outcome else {
        failed(core, no);
        return;
    };
    follow::succeed_if_late(core, no);
    let now = core.now;
    let Some(task) = core.tasks.workers().computed(no) else { return };
    if let Some(left) = computed.left {
        judge::keep(core, left, None);
    }
    core.own.measured(task.kind, task.units, computed.took);
    let Some(since) = task.computing_since() else { return };
    let took = Micros::from(computed.took).since(Micros(0));
    let stages = own_stages(task.received_at, since, took, now);
    settle::finish(core, no, task, outcome, Made::Here { stages });
}

/// The own kernel failed, which ends a timely task. For a patient one it counts as one failed attempt, and it waits again.
fn failed(core: &mut Core, no: TaskNo) {
    let is_patient = core.tasks.get(no).is_some_and(|task| task.deliver_by.is_none());
    let task = if is_patient { core.tasks.workers().computed_in_vain(no) } else { None };
    let Some(task) = task else {
        settle::fail(core, no, TaskFailure::KernelFailed);
        return;
    };
    let (in_books, attempt, failures) = (task.in_books, task.attempt(), task.failures());
    let kind = task.kind;
    core.book(Entry::AttemptEnded { task: in_books, kind, attempt, verdict: Verdict::Failed });
    core.tally.repeated += 1;
    if failures < ATTEMPTS_PER_TASK_MAX && attempt.0 < lease::ATTEMPTS_IN_ALL_MAX {
        lease::set_timer(core, no);
    } else {
        settle::fail(core, no, TaskFailure::KernelFailed);
    }
}
