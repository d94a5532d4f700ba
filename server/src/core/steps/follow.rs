//! Equal tasks that are under way at the same time are computed once.
//!
//! A task whose outcome may be given to others, once checked deeply, leads; an equal one that arrives while it is open
//! follows it ([`following`](crate::core::state::tasks)): it holds its full price, waits for the leader's outcome, and
//! is then charged the price of a cache hit. If the leader is cancelled or late while somebody works on it, the first
//! follower inherits its attempts. It pays the price for their outcome and, without one, for what was begun since then: what
//! was begun before is the leader's ([`charge`](super::charge)). Otherwise the followers are assigned by themselves. A follower
//! with a deadline stops following as soon as it could only just be in time by itself.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Digest, KindId, Micros, Nanos, PassedCheck, TaskFailure, TaskNo, WorkUnits};

use super::reuse::{self, GivenTask, Maker};
use super::{charge, fall_back, lease, settle};
use crate::config::Fallback;
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::tasks::{FOLLOWERS_MAX, Following, Task};
use crate::ledger::{AccountId, Entry};

/// A follower stops following when the time left is this many times the predicted time of a worker: one and a half times
/// for an attempt that is slower than predicted, and as much again in reserve.
const SLACK_FACTOR: u32 = 3;

/// Whether a deeply checked outcome of such a task may be given to others, to followers and from the cache.
pub fn shares(core: &Core, kind: KindId, is_patient: bool) -> bool {
    !core.cache.is_off() && (is_patient || core.is_exact(kind))
}

/// The open task with this key that a new task of `account` may follow, and until when. `within` is the predicted time of a
/// worker for the new one.
pub fn leader(
    core: &Core,
    key: Digest,
    account: AccountId,
    (kind, units): (KindId, WorkUnits),
    deliver_by: Option<Micros>,
    within: Option<Duration>,
) -> Option<Following> {
    let (leader, task) = core.tasks.leader(key)?;
    if task.followers().len() >= FOLLOWERS_MAX {
        return None;
    }
    let Some(deadline) = deliver_by else { return Some(Following { leader, until: None }) };
    // A waiting patient task may be done only days later.
    if task.is_waiting() && task.deliver_by.is_none() {
        return None;
    }
    let own =
        (core.policy.fallback == Fallback::Compute).then(|| fall_back::predict(core, account, kind, units));
    let slack = within.map(|within| within * SLACK_FACTOR).into_iter().chain(own).max().unwrap_or_default();
    let until = deadline.before(slack);
    (until > core.now).then_some(Following { leader, until: Some(until) })
}

/// Ends the following of a task and has it assigned.
pub fn go_alone(core: &mut Core, no: TaskNo) {
    core.tasks.go_alone(no);
    lease::wait_for_matcher(core, no);
}

/// A task ends without an outcome while somebody works on it; `charge` is what it costs. The first follower inherits
/// its attempts; returns whether there was one.
pub fn succeed(core: &mut Core, no: TaskNo, failure: TaskFailure, charge: Nanos) -> bool {
    let is_under_way = core.tasks.get(no).is_some_and(|task| {
        (!task.live().is_empty() || task.computing_since().is_some())
            && task.attempts() < lease::ATTEMPTS_IN_ALL_MAX
    });
    if !is_under_way || !matches!(failure, TaskFailure::Cancelled | TaskFailure::Late) {
        return false;
    }
    let Some((ended, heir_no)) = core.tasks.succeed(no) else { return false };
    core.tally.inherited += 1;
    charge::inherit(core, no);
    settle::end_without_outcome(core, no, &ended, failure, charge);
    let Some(task) = core.tasks.get(no) else { return true };
    let (in_books, deliver_by) = (task.in_books, task.deliver_by);
    let attempts: Vec<_> = task.live().iter().map(|live| (live.attempt, Some(live.account))).collect();
    let own = task.computing_since().map(|_| (task.attempt(), None));
    if let Some(mirror) = core.gamers.account_mut(task.account) {
        mirror.tasks.remove(&heir_no);
        mirror.tasks.insert(no);
    }
    core.tasks.renew_leases(no, |live| lease::renewed(live, deliver_by));
    for (attempt, worker) in attempts.into_iter().chain(own) {
        core.book(Entry::AttemptStarted { task: in_books, attempt, worker });
    }
    lease::set_timer(core, no);
    true
}

/// The outcome has arrived too late for its task: a follower that still has time inherits it.
pub fn succeed_if_late(core: &mut Core, no: TaskNo) {
    let is_late = |core: &Core| {
        let task = core.tasks.get(no);
        task.is_some_and(|task| task.deliver_by.is_some_and(|deadline| deadline < core.now))
    };
    while is_late(core) && succeed(core, no, TaskFailure::Late, Nanos::ZERO) {}
}

/// The leader ended without an outcome for these followers: those that still have time are assigned by themselves.
pub fn regroup(core: &mut Core, followers: &[TaskNo]) {
    let now = core.now;
    let is_late = |no: &TaskNo| {
        core.tasks.get(*no).is_some_and(|task| task.deliver_by.is_some_and(|deadline| deadline <= now))
    };
    let (late, in_time): (Vec<TaskNo>, Vec<TaskNo>) = followers.iter().partition(|no| is_late(no));
    for no in late {
        settle::fail(core, no, TaskFailure::Late);
    }
    if let Some(first) = core.tasks.regroup(&in_time) {
        lease::wait_for_matcher(core, first);
    }
}

/// Gives the leader's outcome to each follower that still has time for it, for the coordinator's share of the price.
pub fn give(
    core: &mut Core,
    followers: &[TaskNo],
    outcome: &Arc<[u8]>,
    maker: Option<&Maker>,
    check: PassedCheck,
) {
    for no in followers {
        let Some(task) = core.tasks.give_up(*no) else { continue };
        if task.deliver_by.is_some_and(|deadline| deadline < core.now) {
            settle::end_without_outcome(core, *no, &task, TaskFailure::Late, Nanos::ZERO);
        } else {
            give_one(core, *no, &task, Arc::clone(outcome), maker, check);
            if fault::is_made(Fault::GivesTwice) {
                give_one(core, *no, &task, Arc::clone(outcome), maker, check);
            }
        }
    }
}

fn give_one(
    core: &mut Core,
    no: TaskNo,
    task: &Task,
    outcome: Arc<[u8]>,
    maker: Option<&Maker>,
    check: PassedCheck,
) {
    let fee = reuse::fee(core, task.price);
    if let Some(account) = core.gamers.account_mut(task.account) {
        account.task_ended(no, task.price);
    }
    core.tally.shared += 1;
    let given = GivenTask {
        in_books: task.in_books,
        account: task.account,
        gamer: task.gamer,
        id: task.id,
        key: task.key,
        units: task.units,
        fee,
        received_at: task.received_at,
    };
    reuse::give(core, &given, outcome, maker, check);
}
