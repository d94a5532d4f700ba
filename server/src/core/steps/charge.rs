//! What a task without an outcome costs.
//!
//! Normally nothing: a gamer is charged for outcomes that arrive in time. But work that was begun must not be free, or
//! it could be requested again and again. A cancelled task costs the fraction that was begun, estimated from how long
//! its workers held it and from their predicted time; an attempt that exceeds its worst predicted time is its worker's
//! fault, and adds nothing. A late task costs nothing either as long as the account's share of late work is within
//! what bad luck explains ([`LATE_SHARE`]); beyond that, the account's deadlines are too tight, and the task costs the
//! same as a cancelled one.
//!
//! A task that has inherited the attempts of an equal one pays for the part that was begun after that. So two tasks never pay
//! for the same part, and nobody pays for what another began.
//!
//! Unfinished work cannot be checked, so no worker is paid for it; otherwise a worker would gain by working slowly
//! until it is stopped. An answer that has arrived is judged, charged and paid as usual.

use p2c2r_protocol::{Attempt, Micros, Nanos, TaskFailure, TaskNo};
use smallvec::SmallVec;

use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::tasks::{LIVE_MAX, LiveAttempt, Task};

/// One wasted unit is free for every `LATE_SHARE` units that an account paid for. A larger divisor would charge games
/// with a bad connection; a smaller one would make work cheap by way of deadlines that are met only by chance.
pub const LATE_SHARE: u64 = 4;
/// Wasted units that are free before anything was paid: ten seconds of the reference core.
pub const LATE_UNITS_AT_ONCE: u64 = 10_000_000;

/// What the task costs if it ends now without an outcome; at most its hold.
pub fn without_outcome(core: &mut Core, no: TaskNo, failure: TaskFailure) -> Nanos {
    let Some(task) = core.tasks.get(no) else { return Nanos::ZERO };
    let begun = match failure {
        TaskFailure::Cancelled | TaskFailure::Late => begun(core, task),
        TaskFailure::KernelFailed | TaskFailure::NoWorker | TaskFailure::Closing => 0,
    };
    let begun = if fault::is_made(Fault::ChargesWhatWasNotBegun) { task.units.0 } else { begun };
    if begun == 0 {
        return Nanos::ZERO;
    }
    let (units, price, account) = (task.units.0.max(1), task.price, task.account);
    let is_misfortune = failure == TaskFailure::Late
        && core.gamers.account_mut(account).is_some_and(|account| account.may_be_late(begun));
    if is_misfortune {
        return Nanos::ZERO;
    }
    // Rounded up, so that begun work is never free.
    let charge = (i128::from(price.0) * i128::from(begun)).saturating_add(i128::from(units) - 1);
    Nanos(i64::try_from(charge / i128::from(units)).unwrap_or(i64::MAX)).min(price)
}

/// Units begun for a task in all its attempts; at most its size.
fn begun(core: &Core, task: &Task) -> u64 {
    let live = task.live().iter().map(|live| begun_by(core, task, live)).sum::<u64>();
    let before = if fault::is_made(Fault::ChargesTheHeirForAll) { 0 } else { task.own_begun_before() };
    let own = in_own_kernel(core, task).saturating_sub(before);
    (task.begun() + live + own).min(task.units.0)
}

/// Units begun for a task in one live attempt.
pub fn begun_in(core: &Core, no: TaskNo, attempt: Attempt) -> u64 {
    let Some(task) = core.tasks.get(no) else { return 0 };
    task.live_attempt(attempt).map_or(0, |live| begun_by(core, task, &live))
}

fn begun_by(core: &Core, task: &Task, live: &LiveAttempt) -> u64 {
    let before = if fault::is_made(Fault::ChargesTheHeirForAll) { 0 } else { live.begun_before };
    in_attempt(core, task, live).saturating_sub(before)
}

/// A task has just inherited the attempts of an equal one: what was begun so far is not its own.
pub fn inherit(core: &mut Core, no: TaskNo) {
    let Some(task) = core.tasks.get(no) else { return };
    let live: SmallVec<[u64; LIVE_MAX]> =
        task.live().iter().map(|live| in_attempt(core, task, live)).collect();
    let own = in_own_kernel(core, task);
    core.tasks.begun_before(no, &live, own);
}

/// Units begun in a run of the own kernel, for whichever task.
fn in_own_kernel(core: &Core, task: &Task) -> u64 {
    task.computing_since().map_or(0, |since| {
        let predicted = core.own.predict(task.kind, task.units, 0);
        part(task.units.0, core.now.since(since), Micros::from(predicted).since(Micros(0)))
    })
}

/// Units begun in one live attempt, for whichever task.
fn in_attempt(core: &Core, task: &Task, live: &LiveAttempt) -> u64 {
    if live.answered_at.is_some() {
        return task.units.0;
    }
    let held_us = core.now.since(live.since);
    let expected = live.expected;
    if held_us > expected.at_worst_us {
        return 0;
    }
    let way_us = Micros::from(core.rtt(live.worker) / 2).since(Micros(0));
    let before_us = expected.service_us.saturating_mul(expected.rounds.saturating_sub(1));
    part(task.units.0, held_us.saturating_sub(way_us.saturating_add(before_us)), expected.service_us)
}

/// Units done after `after_us` if all `units` take `all_us`.
fn part(units: u64, after_us: u32, all_us: u32) -> u64 {
    let all_us = u64::from(all_us.max(1));
    units.saturating_mul(u64::from(after_us).min(all_us)) / all_us
}
