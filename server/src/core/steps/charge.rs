//! What a task costs that ends without an outcome.
//!
//! Nothing, as a rule: a gamer is charged for what arrived in time. But work that was begun for it is not free to ask for
//! again and again. Who takes a task back pays for the part that was begun, which is reckoned from how long its workers
//! had it and what was predicted of them; a worker that takes longer than it does at worst is at fault itself, and costs
//! nothing. Tasks that are late cost nothing either, as long as no more of an account's work is late than misfortune
//! explains ([`LATE_SHARE`]): beyond that, deadlines that are too tight are its own doing, and cost the same.
//!
//! Nobody can check work that was broken off, so no worker is paid for it: a worker that dawdles until it is told to stop
//! must not earn by that. An answer that has arrived is another matter: it is judged, charged and paid as ever.

use p2c2r_protocol::{Attempt, Micros, Nanos, TaskFailure, TaskNo};

use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::tasks::{LiveAttempt, Task};

/// Of the units an account paid for, one in so many may be begun in vain for tasks that were late. Fewer would charge
/// games whose line is bad; more would let deadlines that are met by chance make work cheap.
pub const LATE_SHARE: u64 = 4;
/// Units that may be begun in vain before anything was paid for: ten seconds of the reference core.
pub const LATE_UNITS_AT_ONCE: u64 = 10_000_000;

/// What a task costs that ends now without an outcome; at most what is held for it.
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
    // Rounded up: what was begun is never free.
    let charge = (i128::from(price.0) * i128::from(begun)).saturating_add(i128::from(units) - 1);
    Nanos(i64::try_from(charge / i128::from(units)).unwrap_or(i64::MAX)).min(price)
}

/// Units that were begun for a task, of all its attempts together; at most what it is worth.
fn begun(core: &Core, task: &Task) -> u64 {
    let live = task.live().iter().map(|live| begun_by(core, task, live)).sum::<u64>();
    let own = task.computing_since().map_or(0, |since| {
        let predicted = core.own.predict(task.kind, task.units, 0);
        part(task.units.0, core.now.since(since), Micros::from(predicted).since(Micros(0)))
    });
    (task.begun() + live + own).min(task.units.0)
}

/// Units begun in one live attempt.
pub fn begun_in(core: &Core, no: TaskNo, attempt: Attempt) -> u64 {
    let Some(task) = core.tasks.get(no) else { return 0 };
    task.live_attempt(attempt).map_or(0, |live| begun_by(core, task, &live))
}

fn begun_by(core: &Core, task: &Task, live: &LiveAttempt) -> u64 {
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

/// So many of `units` are done after `after_us` if all of them take `all_us`.
fn part(units: u64, after_us: u32, all_us: u32) -> u64 {
    let all_us = u64::from(all_us.max(1));
    units.saturating_mul(u64::from(after_us).min(all_us)) / all_us
}
