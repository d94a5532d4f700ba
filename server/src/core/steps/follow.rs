//! Equal tasks that are under way at the same time are computed once.
//!
//! A task whose outcome will be checked deeply and may be given to others leads; an equal one that comes while it is open
//! follows it ([`following`](crate::core::state::tasks)): it holds its whole price, waits for the leader's outcome, and is then
//! charged what a cache hit costs. If the leader ends without an outcome while somebody works on it, because its gamer left or
//! its deadline passed, the first follower takes its place, with all that is under way, and pays for it. Otherwise the
//! followers go on by themselves. A follower with a deadline goes on alone as soon as it could only just be in time by itself.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Digest, KindId, Micros, Nanos, PassedCheck, TaskFailure, TaskNo, WorkUnits};

use super::reuse::{self, GivenTask};
use super::{fall_back, lease, settle};
use crate::config::Fallback;
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::tasks::{FOLLOWERS_MAX, Following, Task};
use crate::ledger::{AccountId, Entry};

/// A follower goes on alone when what is left of its deadline is this many times what a worker is predicted to take: one and a
/// half for an attempt as late as it gets, and as much again for what was not foreseen.
const SLACK_FACTOR: u32 = 3;

/// Whether the outcome of such a task may be given to others, once it was checked deeply: to those who ask while it is under
/// way, and from the cache.
pub fn shares(core: &Core, kind: KindId, is_patient: bool) -> bool {
    !core.cache.is_off() && (is_patient || core.is_exact(kind))
}

/// The task under way whose outcome one of this account with this key can wait for. `within` is what a worker is predicted to take for it.
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
    // A patient task may wait for days until somebody does it.
    if task.is_waiting() && task.deliver_by.is_none() {
        return None;
    }
    let own =
        (core.policy.fallback == Fallback::Compute).then(|| fall_back::predict(core, account, kind, units));
    let slack = within.map(|within| within * SLACK_FACTOR).into_iter().chain(own).max().unwrap_or_default();
    let until = Micros(deadline.0.saturating_sub(Micros::from(slack).0));
    (until > core.now).then_some(Following { leader, until: Some(until) })
}

/// It is time for a follower to go on alone.
pub fn go_alone(core: &mut Core, no: TaskNo) {
    core.tasks.go_alone(no);
    lease::wait_for_matcher(core, no);
}

/// A task ends without an outcome, although somebody works on it, and `charge` is what it costs. If others wait for it, the
/// first of them takes its place; says whether one did.
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

/// An outcome is there, too late for the task that was asked for first: whoever still has time for it takes its place.
pub fn succeed_if_late(core: &mut Core, no: TaskNo) {
    let is_late = |core: &Core| {
        let task = core.tasks.get(no);
        task.is_some_and(|task| task.deliver_by.is_some_and(|deadline| deadline < core.now))
    };
    while is_late(core) && succeed(core, no, TaskFailure::Late, Nanos::ZERO) {}
}

/// Those who waited for a task that is over without an outcome for them go on by themselves, if they still have time for it.
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

/// The outcome they waited for is there: each gets it for the coordinator's share, if it still has time for it.
pub fn give(
    core: &mut Core,
    followers: &[TaskNo],
    outcome: &Arc<[u8]>,
    worker: Option<&Arc<str>>,
    check: PassedCheck,
) {
    for no in followers {
        let Some(task) = core.tasks.give_up(*no) else { continue };
        if task.deliver_by.is_some_and(|deadline| deadline < core.now) {
            settle::end_without_outcome(core, *no, &task, TaskFailure::Late, Nanos::ZERO);
        } else {
            give_one(core, *no, &task, Arc::clone(outcome), worker, check);
            if fault::is_made(Fault::GivesTwice) {
                give_one(core, *no, &task, Arc::clone(outcome), worker, check);
            }
        }
    }
}

fn give_one(
    core: &mut Core,
    no: TaskNo,
    task: &Task,
    outcome: Arc<[u8]>,
    worker: Option<&Arc<str>>,
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
    reuse::give(core, &given, outcome, worker, check);
}
