//! The end of a task: settles the money, writes the receipt, caches and delivers the outcome; or ends it without an
//! outcome.

use std::sync::Arc;

use p2c2r_protocol::{
    Attempt, ComputedBy, Device, Nanos, PassedCheck, PeerId, Receipt, ServerToGame, ServerToWorker, Stages,
    TaskFailure, TaskNo, VerdictNotice,
};
use tracing::debug;

use super::{blame, charge, deliver, follow, lease};
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::cache;
use crate::core::state::gamers::FinishedTask;
use crate::core::state::hedging::{HedgedAttempt, Other};
use crate::core::state::tasks::Task;
use crate::core::state::trust::Misconduct;
use crate::ledger::{AccountId, ComputedFrom, Entry, Settlement, VoidReason};

/// Who made an outcome, and how.
pub enum Made {
    /// A worker; its answer passed.
    ByWorker {
        /// Its connection, which may be gone by now.
        worker: PeerId,
        /// Its account.
        account: AccountId,
        /// The device that computed the outcome, as the worker claims.
        device: Device,
        /// Its attempt.
        attempt: Attempt,
        /// The check the answer passed.
        check: PassedCheck,
        /// Where the time went.
        stages: Stages,
    },
    /// The coordinator's own kernel.
    Here {
        /// Where the time went.
        stages: Stages,
    },
}

fn void_reason(failure: TaskFailure) -> VoidReason {
    match failure {
        TaskFailure::Late => VoidReason::Late,
        TaskFailure::KernelFailed => VoidReason::KernelFailed,
        TaskFailure::NoWorker => VoidReason::NoWorker,
        TaskFailure::Cancelled => VoidReason::Cancelled,
        TaskFailure::Closing => VoidReason::Closing,
    }
}

/// Charges, pays, caches and delivers. The task has left the table.
pub fn finish(core: &mut Core, no: TaskNo, mut task: Box<Task>, outcome: Arc<[u8]>, made: Made) {
    let now = core.now;
    let followers = task.take_followers();
    let is_late = task.deliver_by.is_some_and(|deadline| deadline < now);
    if is_late && !fault::is_made(Fault::ChargesWhatIsLate) {
        // Not charged: the work is complete, so the worker or the coordinator made it late, not the gamer.
        end_without_outcome(core, no, &task, TaskFailure::Late, Nanos::ZERO);
        follow::regroup(core, &followers);
        return;
    }
    revoke_others(core, no, &task, &outcome, &made);
    let price = charged(core, &task, &made);
    let (worker_name, source, pay, fee, check, stages) = share_out(core, no, price, made);
    let settlement =
        Settlement { task: task.in_books, source, pay, fee, check, outcome: Some(Arc::clone(&outcome)) };
    if fault::is_made(Fault::ChargesTwice) {
        core.book(Entry::TaskSettled(settlement.clone()));
    }
    core.book(Entry::TaskSettled(settlement));
    core.tally.revenue += price;
    core.tally.fee += fee;
    // An outcome without a deep check goes only to the gamer who asked. Patient outcomes may be shared even if inexact:
    // one within the kind's tolerance is as good for the next gamer as for the first.
    let is_checked = check != PassedCheck::Always || fault::is_made(Fault::SharesTheUnchecked);
    let maker = match (&worker_name, source) {
        (Some(name), ComputedFrom::Worker { worker, .. }) => Some((worker, Arc::clone(name))),
        _ => None,
    };
    if is_checked && follow::shares(core, task.kind, task.deliver_by.is_none()) {
        core.cache.insert(task.key, &outcome, maker.clone(), now, cache::KEPT);
    }
    if let Some(account) = core.gamers.account_mut(task.account) {
        account.task_ended(no, task.price);
        account.charge(price, core.booked, now);
        account.was_in_time(task.units.0);
    }
    let receipt = Receipt {
        price,
        units: task.units,
        price_list: core.policy.prices.version,
        computed_by: worker_name.map_or(ComputedBy::Coordinator, ComputedBy::Worker),
        check,
        attempts: task.attempts(),
        received_at: task.received_at,
        sent_at: now,
        stages,
    };
    debug!(
        target: "p2c2r_server::console", event = "result", task = no.0,
        ms = now.since(task.received_at) / 1_000, kind = core.policy.kinds.name(task.kind),
        "Result ready"
    );
    let account = maker.as_ref().map(|(account, _)| *account);
    let shared = (!followers.is_empty()).then(|| (Arc::clone(&outcome), maker));
    let finished = FinishedTask { key: task.key, outcome, receipt, maker: account, delivered: false };
    deliver::deliver(core, task.account, task.gamer, task.id, finished);
    match shared {
        Some((outcome, maker))
            if check != PassedCheck::Always || fault::is_made(Fault::GivesTheUnchecked) =>
        {
            follow::give(core, &followers, &outcome, maker.as_ref(), check);
        }
        // The followers joined when the answer was already being judged without a deep check.
        Some(_) => follow::regroup(core, &followers),
        None => {}
    }
}

/// What the gamer pays, depending on the device; at most the hold.
fn charged(core: &Core, task: &Task, made: &Made) -> Nanos {
    let Made::ByWorker { device, .. } = made else { return task.price };
    // A task from before a restart was priced by the price list of that time.
    let price = core.policy.prices.price_on(*device, task.kind, task.units);
    price.map_or(task.price, |price| price.min(task.price))
}

/// Splits `price` between worker and coordinator and counts it. Also returns the worker's public name, if a worker
/// computed it.
fn share_out(
    core: &mut Core,
    no: TaskNo,
    price: Nanos,
    made: Made,
) -> (Option<Arc<str>>, ComputedFrom, Nanos, Nanos, PassedCheck, Stages) {
    match made {
        Made::ByWorker { worker, account, attempt, check, stages, .. } => {
            let mut split = core.policy.prices.split(price, &mut core.tally.fee_carry);
            if fault::is_made(Fault::KeepsANano) {
                (split.worker, split.fee) = (split.worker - Nanos(1), split.fee + Nanos(1));
            }
            let notice = VerdictNotice { task: no, attempt, earned: split.worker, rejected: None };
            let name = core.workers.change(worker, |worker| {
                worker.statements.note(notice);
                worker.accepted();
                Arc::clone(&worker.name)
            });
            core.tally.by_workers += 1;
            // A worker that left while its answer was judged is paid as well.
            let name = name.unwrap_or_else(|| "a worker that has left".into());
            let source = ComputedFrom::Worker { worker: account, attempt };
            (Some(name), source, split.worker, split.fee, check, stages)
        }
        Made::Here { stages } => {
            core.tally.by_coordinator += 1;
            let (pay, fee) = (Nanos::ZERO, price);
            (None, ComputedFrom::Coordinator, pay, fee, PassedCheck::Own, stages)
        }
    }
}

/// Revokes the task's other attempts, since one was accepted. The time that their workers held them counts as a lower
/// bound of how long they take.
fn revoke_others(core: &mut Core, no: TaskNo, task: &Task, outcome: &Arc<[u8]>, made: &Made) {
    let Made::ByWorker { worker, account, attempt, device, .. } = *made else {
        assert!(task.live().is_empty(), "the own kernel runs only where no worker has the task");
        return;
    };
    let accepted = HedgedAttempt { worker, account, attempt, device };
    let is_second = task.live().iter().any(|other| other.attempt < attempt);
    core.tally.hedges_won += u64::from(is_second);
    for live in task.live() {
        let (worker, attempt) = (live.worker, live.attempt);
        let device = core.workers.get(worker).map_or(Device::Cores, |worker| worker.device(task.kind));
        core.hedging.overtaken(Other {
            task: no,
            in_books: task.in_books,
            lost: HedgedAttempt { worker, account: live.account, attempt, device },
            is_judged: live.answered_at.is_some(),
            kind: task.kind,
            units: task.units,
            job: Arc::clone(&task.job),
            blobs: task.blobs.clone(),
            key: task.key,
            accepted,
            outcome: Arc::clone(outcome),
        });
        if live.answered_at.is_some() {
            continue;
        }
        lease::took_too_long(core, (task.kind, task.units), live);
        let now = core.now;
        if now.since(live.since) > live.expected.at_worst_us {
            blame::attempt(core, no, (task.kind, task.units), live, Misconduct::Silent);
        } else {
            core.workers.change(worker, |worker| worker.tasks.remove(&no));
        }
        if !fault::is_made(Fault::LetsThemWorkInVain) {
            core.tell_worker(worker, ServerToWorker::Revoke { task: no, attempt });
        }
    }
}

/// Ends a task in flight without an outcome: its attempts are revoked, and at most the work begun is charged.
pub fn fail(core: &mut Core, no: TaskNo, failure: TaskFailure) {
    let charge = charge::without_outcome(core, no, failure);
    if follow::succeed(core, no, failure, charge) {
        return;
    }
    if let Some(mut task) = core.tasks.give_up(no) {
        let followers = task.take_followers();
        end_without_outcome(core, no, &task, failure, charge);
        follow::regroup(core, &followers);
    }
}

/// Records the end of a task without an outcome, releases its hold and notifies its gamer. The task has left the table
/// entry `no`.
pub fn end_without_outcome(core: &mut Core, no: TaskNo, task: &Task, failure: TaskFailure, charge: Nanos) {
    debug!(task = no.0, %failure, "no outcome");
    if charge > Nanos::ZERO {
        let (source, pay, check) = (ComputedFrom::Begun, Nanos::ZERO, PassedCheck::Own);
        core.book(Entry::TaskSettled(Settlement {
            task: task.in_books,
            source,
            pay,
            fee: charge,
            check,
            outcome: None,
        }));
        core.tally.revenue += charge;
        core.tally.fee += charge;
    } else {
        core.book(Entry::TaskVoided { task: task.in_books, reason: void_reason(failure) });
    }
    core.tally.failed += 1;
    for live in task.live().iter().filter(|live| live.answered_at.is_none()) {
        if failure == TaskFailure::Late {
            lease::took_too_long(core, (task.kind, task.units), live);
            blame::attempt(core, no, (task.kind, task.units), live, Misconduct::Silent);
        } else {
            core.workers.change(live.worker, |worker| worker.tasks.remove(&no));
        }
        core.tell_worker(live.worker, ServerToWorker::Revoke { task: no, attempt: live.attempt });
    }
    let (now, entry) = (core.now, core.booked);
    if let Some(account) = core.gamers.account_mut(task.account) {
        account.task_ended(no, task.price);
        account.charge(charge, entry, now);
    }
    let came_by = task.gamer.filter(|peer| core.gamers.session(*peer).is_some());
    // A patient task outlives its connection; a timely one is cancelled with it.
    let patient = task.deliver_by.is_none();
    let listener = if patient { deliver::listener(core, task.account, task.gamer) } else { came_by };
    if let Some(peer) = listener {
        core.tell_game(peer, ServerToGame::Failed { task: task.id, failure });
    }
}

/// Gives up every timely task. Patient ones stay open in the ledger, for the next start.
pub fn give_up_timely(core: &mut Core) {
    let mut left: Vec<TaskNo> = core.tasks.timely_tasks().collect();
    left.sort_unstable();
    for no in left {
        fail(core, no, TaskFailure::Closing);
    }
}
