//! Hedges: asks a second worker when the first is late, and compares the answers to tasks that were answered twice.
//!
//! A hedge is due when the attempt is late, that is, when 13 of 14 like it are answered, or when a second one could
//! only just be in time, whichever is first; but never before the first is expected.
//! [`Hedging`](crate::core::state::hedging::Hedging) has the budget and stops hedges when they are useless. The first
//! accepted answer wins, and the other attempt is revoked at once.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{KindId, Micros, TaskNo};
use p2c2r_tasks::CheckError;
use tracing::debug;

use super::choose;
use super::{fall_back, hand_out, judge};
use crate::core::fault::{self, Fault};
use crate::core::receipts::WorkerTimes;
use crate::core::state::checking::CheckStart;
use crate::core::state::hedging::{HedgedAttempt, Other};
use crate::core::state::tasks::Task;
use crate::core::state::workers::{Prediction, Worker};
use crate::core::work::{Cause, Check, Depth};
use crate::core::{Core, round_trips};
use crate::ledger::{AccountId, Entry};

/// The earliest hedge. An earlier one would react to the jitter of networks and schedulers, to gain less than a frame.
pub const HEDGE_AFTER_MIN: Duration = Duration::from_millis(10);

/// When a hedge is due for a task that is being assigned and counts as late after `late`; `None` for never.
pub fn hedge_at(task: &Task, prediction: Prediction, late: Duration, now: Micros) -> Option<Micros> {
    let deadline = task.deliver_by?;
    let mostly = prediction.finish + prediction.deviation * 2;
    let latest = now.after(late.max(HEDGE_AFTER_MIN)).min(deadline.before(mostly));
    let at = latest.max(now.after(mostly.max(HEDGE_AFTER_MIN)));
    (at < deadline).then_some(at)
}

/// Assigns a late task to a second, proven worker as well, if one would be in time and the budget allows it.
pub fn ask_another(core: &mut Core, no: TaskNo) {
    core.tasks.matcher().hedge_at(no, None);
    let Some(task) = core.tasks.get(no) else { return };
    let ([first], Some(deadline)) = (task.live(), task.deliver_by) else { return };
    let held = core.now.time_since(first.since);
    if first.answered_at.is_none() && held >= first.expected.late {
        core.workers.change(first.worker, Worker::noticed_late);
    }
    let left = deadline.time_since(core.now);
    let (rtt, but) = (round_trips(&core.links), first.account);
    let Some(choice) = choose::proven(&mut core.matcher, task, &core.workers, rtt, |worker, prediction| {
        worker.account != but && !worker.is_late() && prediction.finish <= left
    }) else {
        return;
    };
    if !core.hedging.take(task.units) && !fault::is_made(Fault::HedgesWithoutEnd) {
        return;
    }
    core.tally.hedged += 1;
    debug!(task = no.0, "asking a second worker");
    hand_out::lease(core, no, choice);
}

/// Compares the answer to a revoked attempt with the accepted one. Neither worker could foresee this check: equal
/// answers both pass it, and different ones are both computed again.
pub fn answered_twice(core: &mut Core, other: Other, outcome: Arc<[u8]>) {
    let is_same = is_the_same(core, &other, &outcome);
    if is_same == Some(true) && counts(core, &other) {
        // It is not paid, but is as good evidence as an accepted answer.
        let (account, version) = (other.lost.account, core.kernel_version(other.kind));
        let known = core.trust.accepted(account, other.kind, version, true, core.now);
        judge::record(core, account, known);
    }
    compare(core, other, outcome, is_same);
}

/// As [`answered_twice`], for an answer that was being judged when another one was accepted, and has passed its own
/// check.
pub fn judged_twice(core: &mut Core, other: Other, outcome: Arc<[u8]>) {
    let is_same = is_the_same(core, &other, &outcome);
    if is_same == Some(true) && counts(core, &other) {
        core.trust.agreed(other.lost.account, other.kind, core.kernel_version(other.kind));
    }
    compare(core, other, outcome, is_same);
}

/// Whether two answers are the same; `None` for kinds where right answers may differ.
fn is_the_same(core: &Core, other: &Other, outcome: &[u8]) -> Option<bool> {
    core.is_exact(other.kind).then(|| *outcome == *other.outcome)
}

/// Whether the accepted answer is evidence about the other one: not if it comes from a worker on probation, which may have
/// the same owner.
fn counts(core: &Core, other: &Other) -> bool {
    !is_on_probation(core, other.accepted.account, other.kind)
}

fn is_on_probation(core: &Core, account: AccountId, kind: KindId) -> bool {
    core.trust.is_on_probation(account, kind, core.kernel_version(kind), core.now)
}

fn compare(core: &mut Core, other: Other, outcome: Arc<[u8]>, is_same: Option<bool>) {
    match is_same {
        None => {}
        Some(true) => {
            core.tally.twice_alike += 1;
            if !is_on_probation(core, other.lost.account, other.kind) {
                core.trust.agreed(other.accepted.account, other.kind, core.kernel_version(other.kind));
            }
        }
        Some(false) => {
            core.tally.twice_unlike += 1;
            debug!(task = other.task.0, "two workers gave different answers");
            // Neither is given to anybody else: a deep check looks at a part.
            core.cache.forget(other.key);
            core.book_revocation(Entry::OutcomeDisputed { task: other.in_books });
            // Both are computed again, because one of them is wrong and may not have been drawn for a check.
            look_again(core, &other, other.accepted, Arc::clone(&other.outcome), true);
            look_again(core, &other, other.lost, outcome, false);
        }
    }
}

fn look_again(
    core: &mut Core,
    of: &Other,
    HedgedAttempt { worker, account, attempt, device }: HedgedAttempt,
    outcome: Arc<[u8]>,
    is_accepted: bool,
) {
    let Some(seed) = core.checks.draw(1.0, None) else { return };
    let is_proven = !is_on_probation(core, account, of.kind);
    let check = Check {
        task: of.task,
        in_books: of.in_books,
        attempt,
        heard_at: core.now,
        worker,
        account,
        device,
        times: WorkerTimes::default(),
        kind: of.kind,
        job: Arc::clone(&of.job),
        blobs: of.blobs.clone(),
        units: of.units,
        outcome,
        depth: Depth::Again(seed),
        reserved: Duration::ZERO,
        cause: Cause::Disputed { is_accepted },
    };
    match core.checking.ask(check, is_proven, core.now) {
        CheckStart::Begins(check) => fall_back::check(core, check),
        CheckStart::Waits => core.tally.waited_for_checks += 1,
        CheckStart::NoRoom => core.tally.undecided += 1,
    }
}

/// Handles the recomputation of an answer that another worker contradicted.
pub fn dispute_decided(
    core: &mut Core,
    check: &Check,
    is_accepted: bool,
    verdict: Result<(), CheckError>,
    looked_right: bool,
) {
    let account = check.account;
    match verdict {
        _ if core.trust.is_quarantined(account) => {}
        Ok(()) => {
            core.tally.checked_deeply += 1;
            core.trust.agreed(account, check.kind, core.kernel_version(check.kind));
        }
        Err(error) if is_accepted => {
            debug!(task = check.task.0, worker = check.worker.0, %error, "an accepted answer was wrong");
            core.tally.rejected += 1;
            judge::failed(core, account, looked_right);
        }
        Err(error) => {
            judge::refuse(core, check, &error);
            judge::failed(core, account, looked_right);
        }
    }
}
