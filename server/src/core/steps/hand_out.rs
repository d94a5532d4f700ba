//! Assigns waiting tasks: fair shares between accounts over all kinds, and earliest deadline first within an account.
//! Each goes to the worker that the matcher chooses, or to the own kernel where no worker would be in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Assign, KindId, Micros, ServerToWorker, TaskFailure, TaskNo};
use smallvec::SmallVec;
use tracing::debug;

use super::choose::{Choice, choose, neglected};
use super::hedge::HEDGE_AFTER_MIN;
use super::lease::{lease_until, set_timer};
use super::{fall_back, hedge, settle};
use crate::config::Fallback;
use crate::core::state::tasks::Expected;
use crate::core::state::workers::Worker;
use crate::core::{Core, Effect, round_trips};
use crate::ledger::{AccountId, Entry};

/// Tasks of one account and kind that are passed over in one update because no worker with room suits them, which all have
/// failed them before. Without passing over, such a task would hold up those behind it. Without a limit, an update would
/// search all of an account's tasks, before those of other accounts. The next update looks at the next ones.
const PASSED_OVER_MAX: usize = 64;

/// When the tasks that an update had no time to look at are looked at, if nothing happens before. Errs on the late side: a
/// shorter time would keep the coordinator busy with tasks for which there is no worker.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// How long a task waits before it is dropped because nobody would be in time and others wait. New tasks are assigned
/// all the same: otherwise a worker that has become faster would never be noticed.
const USELESS_AFTER: Duration = Duration::from_millis(2);

/// What to do with a waiting task.
enum Move {
    Lease(Choice),
    /// It has waited until nobody can be in time, and other tasks wait.
    Drop,
    Compute,
    Fail,
    PassOver,
    /// No worker has room, so all other tasks of the kind wait too.
    Stop,
}

/// Assigns the waiting tasks.
pub fn hand_out(core: &mut Core) {
    let now = core.now;
    core.workers.end_rests(now);
    // Kinds for which no worker has room, tasks of them to put back into the queue, and tasks passed over by kind and account.
    let mut closed: SmallVec<[KindId; 8]> = SmallVec::new();
    let mut left: SmallVec<[TaskNo; 8]> = SmallVec::new();
    let mut passed_over: BTreeMap<(KindId, AccountId), Vec<TaskNo>> = BTreeMap::new();
    loop {
        let is_open = |kind: KindId| !closed.contains(&kind);
        let retried = |kind: KindId, account: AccountId| {
            passed_over.get(&(kind, account)).is_none_or(|passed_over| passed_over.len() < PASSED_OVER_MAX)
        };
        let Some(no) = core.tasks.matcher().next(is_open, retried) else { break };
        let Some((kind, account)) = core.tasks.get(no).map(|task| (task.kind, task.account)) else {
            continue;
        };
        match decide(core, no) {
            Move::Lease(choice) => lease_or_try(core, no, choice),
            Move::Compute => fall_back::compute(core, no),
            Move::Drop => settle::fail(core, no, TaskFailure::Late),
            Move::Fail => settle::fail(core, no, TaskFailure::NoWorker),
            Move::PassOver => passed_over.entry((kind, account)).or_default().push(no),
            Move::Stop => {
                left.push(no);
                closed.push(kind);
            }
        }
    }
    for no in left {
        core.tasks.matcher().put_back(no);
    }
    core.look_again_at = None;
    for passed_over in passed_over.into_values() {
        if passed_over.len() < PASSED_OVER_MAX {
            for no in passed_over {
                core.tasks.matcher().put_back(no);
            }
        } else {
            for no in passed_over {
                core.tasks.matcher().put_behind(no);
            }
            core.look_again_at = Some(now.after(LOOK_AGAIN_AFTER));
        }
    }
}

fn decide(core: &mut Core, no: TaskNo) -> Move {
    let Some(task) = core.tasks.get(no) else { return Move::PassOver };
    let now = core.now;
    let left = task.deliver_by.map(|deadline| deadline.time_since(now));
    if let Some(choice) = choose(&mut core.matcher, task, &core.workers, round_trips(&core.links), left) {
        let Some(left) = left else { return Move::Lease(choice) };
        if !fall_back::may_compute(core, task) {
            let has_waited = now.time_since(task.received_at) >= USELESS_AFTER;
            let is_useless = choice.prediction.finish > left && has_waited && core.tasks.may_have_waiting();
            return if is_useless { Move::Drop } else { Move::Lease(choice) };
        }
        let is_late = choice.prediction.finish > left;
        let own = || fall_back::predict(core, task.account, task.kind, task.units);
        return if is_late && own() < choice.prediction.finish { Move::Compute } else { Move::Lease(choice) };
    }
    let nobody = !core.workers.offers(task.kind);
    let has_room = !core.workers.ready(task.kind).is_empty();
    if nobody || has_room {
        // All workers with room have failed it. The timer bounds the wait for others.
        if fall_back::may_compute(core, task)
            && core.workers.offering(task.kind).all(|(_, worker)| task.was_tried_by(worker.account))
        {
            return Move::Compute;
        }
        if nobody && core.policy.fallback == Fallback::Refuse && task.deliver_by.is_some() {
            return Move::Fail;
        }
    }
    if has_room { Move::PassOver } else { Move::Stop }
}

/// Leases a task to the chosen worker, or to a neglected one if a trial is due and cannot make the task late: a hedge
/// follows when the first choice would have been late.
fn lease_or_try(core: &mut Core, no: TaskNo, choice: Choice) {
    if !core.exploring.is_due() {
        lease(core, no, choice);
        return;
    }
    let late = core.hedging.late_after(choice.prediction).max(HEDGE_AFTER_MIN);
    let Some(tried) = trial(core, no, choice, late) else {
        core.exploring.looked_in_vain();
        lease(core, no, choice);
        return;
    };
    lease(core, no, tried);
    core.exploring.tried();
    core.tally.tried += 1;
    core.workers.change(tried.worker, Worker::tried_again);
    if core.tasks.get(no).is_some_and(|task| task.deliver_by.is_some() && !task.live().is_empty()) {
        let at = core.now.after(late);
        core.tasks.matcher().hedge_at(no, Some(at));
        set_timer(core, no);
    }
}

/// The worker to try instead of `choice`, which would count as late after `late`.
fn trial(core: &mut Core, no: TaskNo, choice: Choice, late: Duration) -> Option<Choice> {
    let now = core.now;
    let task = core.tasks.get(no).filter(|task| task.attempts() == 0)?;
    let needed = late + choice.prediction.finish_at_worst * 2;
    let is_unhurried = task.deliver_by.is_none_or(|deadline| now.after(needed) <= deadline);
    let is_proven = core.workers.get(choice.worker).is_some_and(Worker::is_proven);
    if !is_unhurried || !is_proven || task.deliver_by.is_some() && !core.hedging.has_saved(task.units) {
        return None;
    }
    let tried = neglected(&mut core.matcher, task, &core.workers, now, round_trips(&core.links))?;
    (tried.worker != choice.worker).then_some(tried)
}

/// Leases a task to the chosen worker, in addition to a worker that may hold it already.
pub fn lease(core: &mut Core, no: TaskNo, choice: Choice) {
    let now = core.now;
    let Choice { worker: peer, prediction } = choice;
    let (Some(worker), Some(task)) = (core.workers.get(peer), core.tasks.get(no)) else { return };
    let (account, units, is_first) = (worker.account, task.units, task.live().is_empty());
    // If the own kernel could not start in time after this attempt, the lease runs until the deadline. A predicted time
    // of zero counts as a microsecond, since a lease that ends now would expire before it is sent.
    let back = now.after(prediction.finish.max(Duration::from_micros(1)));
    let latest = fall_back::wait_until(core, task).filter(|latest| *latest >= back).or(task.deliver_by);
    let until = lease_until(task, prediction, latest, now);
    let us = |time: Duration| Micros::from(time).since(Micros(0));
    let expected = Expected {
        rounds: prediction.rounds,
        service_us: us(prediction.service),
        at_worst_us: us(prediction.finish_at_worst),
        late: core.hedging.late_after(prediction),
    };
    let hedge_at = hedge::hedge_at(task, prediction, expected.late, now).filter(|at| is_first && *at < until);
    let offers = |kind| worker.offers(kind);
    let leased = core.tasks.matcher().lease(no, (peer, account), (now, until), hedge_at, expected, offers);
    let Some(attempt) = leased else { return };
    if is_first {
        core.hedging.first(units);
        core.exploring.first();
    }
    let Some(task) = core.tasks.get(no) else { return };
    let effects = &mut core.effects;
    let blobs = core.workers.change(peer, |worker| {
        worker.given(no);
        worker.active_at = now;
        if !std::mem::replace(&mut worker.busy, true) {
            effects.others.push(Effect::Watch { peer, busy: true });
        }
        let unknown = task.blobs.iter().filter(|blob| worker.sends_blob(blob.digest(), blob.bytes().len()));
        unknown.map(|blob| blob.bytes().to_vec()).collect()
    });
    let assign = Assign {
        task: no,
        attempt,
        kind: task.kind,
        lease_us: until.since(now),
        spec: Arc::clone(&task.spec).into(),
        blobs: blobs.unwrap_or_default(),
    };
    let in_books = task.in_books;
    debug!(
        target: "p2c2r_server::console", event = "routed", task = no.0, attempt = attempt.0,
        worker = core.workers.get(peer).map_or("", |worker| &*worker.name), "Routing"
    );
    core.book(Entry::AttemptStarted { task: in_books, attempt, worker: Some(account) });
    set_timer(core, no);
    core.tell_worker(peer, ServerToWorker::Assign(assign));
}
