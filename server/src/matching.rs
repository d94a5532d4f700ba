//! Hands waiting tasks out: for each kind the earliest deadline first, each to the worker the matcher chooses,
//! or to the own kernel where nobody else would be in time.

use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::system::{Res, ResMut};
use p2c2r_link::{LinkClock, NextWake};
use p2c2r_protocol::{Assign, Micros, ServerToWorker, TaskFailure, TaskNo};
use tracing::debug;

use crate::config::Fallback;
use crate::desk::Desk;
use crate::leases::lease_until;
use crate::ledger::Entry;
use crate::matcher::{Choice, Matcher, rtt};
use crate::registry::Workers;
use crate::table::TaskTable;

/// Tasks of one kind that are looked at in one update without anyone to give them to. A task that every worker
/// with room has failed before must not hold up those behind it, nor cost a search of them all.
const PASSED_OVER_MAX: usize = 64;

/// What to do with a waiting task.
enum Move {
    Lease(Choice),
    Compute,
    Fail,
    PassOver,
    /// Nobody has room: the kind's other tasks wait as well.
    Stop,
}

/// Whether any task may be waiting: a condition for the system that hands them out.
pub fn is_anything_waiting(tasks: Res<'_, TaskTable>) -> bool {
    tasks.may_have_waiting()
}

/// Asks for an update when a worker's rest is over, if anything may be waiting for it.
pub fn wake_for_rests(
    tasks: Res<'_, TaskTable>,
    workers: Res<'_, Workers>,
    clock: Res<'_, LinkClock>,
    mut next_wake: ResMut<'_, NextWake>,
) {
    if let Some(until) = workers.next_end_of_rest().filter(|_| tasks.may_have_waiting()) {
        next_wake.within(Duration::from_micros(until.0.saturating_sub(clock.now().0)));
    }
}

/// Hands out what waits.
pub fn match_tasks(mut desk: Desk<'_>, mut matcher: ResMut<'_, Matcher>) {
    let now = desk.now();
    desk.workers.end_rests(now);
    for at in 0..desk.tasks.matcher().kinds() {
        let mut passed_over = Vec::new();
        while passed_over.len() < PASSED_OVER_MAX
            && let Some(no) = desk.tasks.matcher().next(at)
        {
            match decide(&desk, &mut matcher, no) {
                Move::Lease(choice) => desk.lease(no, choice),
                Move::Compute => desk.compute(no),
                Move::Fail => desk.fail(no, TaskFailure::NoWorker),
                Move::PassOver => passed_over.push(no),
                Move::Stop => {
                    passed_over.push(no);
                    break;
                }
            }
        }
        for no in passed_over {
            desk.tasks.matcher().put_back(no);
        }
    }
}

fn decide(desk: &Desk<'_>, matcher: &mut Matcher, no: TaskNo) -> Move {
    let Some(task) = desk.tasks.get(no) else { return Move::PassOver };
    let now = desk.now();
    if let Some(choice) = matcher.choose(task, &desk.workers, |peer| rtt(&desk.peers, peer)) {
        let Some(deliver_by) = task.deliver_by.filter(|_| desk.may_compute(task)) else {
            return Move::Lease(choice);
        };
        let left = Duration::from_micros(deliver_by.0.saturating_sub(now.0));
        let own = desk.own.predict(&desk.pool, task.kind, task.units);
        if choice.prediction.finish > left && own < choice.prediction.finish {
            return Move::Compute;
        }
        return Move::Lease(choice);
    }
    let nobody = !desk.workers.offers(task.kind);
    let has_room = !desk.workers.ready(task.kind).is_empty();
    if nobody || has_room {
        // Whoever has room has failed it. Others may be worth waiting for: a moment is set for when they are
        // not any more.
        if desk.may_compute(task)
            && desk.workers.offering(task.kind).all(|(_, worker)| task.was_tried_by(worker.account))
        {
            return Move::Compute;
        }
        if nobody && desk.settings.0.fallback == Fallback::Refuse && task.deliver_by.is_some() {
            return Move::Fail;
        }
    }
    if has_room { Move::PassOver } else { Move::Stop }
}

impl Desk<'_> {
    fn lease(&mut self, no: TaskNo, choice: Choice) {
        let now = self.now();
        let Some(worker) = self.workers.get(choice.worker) else { return };
        let (account, rounds) = (worker.account, worker.rounds());
        let leased = self.tasks.matcher().lease(no, choice.worker, account, now, rounds);
        let Some(attempt) = leased else { return };
        let Some(task) = self.tasks.get(no) else { return };
        // A worker chosen although the own kernel would be too late by now has until the deadline.
        let back = Micros(now.0.saturating_add(Micros::from(choice.prediction.finish).0));
        let latest = self.wait_until(task).filter(|latest| *latest >= back).or(task.deliver_by);
        let until = lease_until(task, choice.prediction, latest, now);
        let busy = &mut self.busy;
        let blobs = self.workers.change(choice.worker, |worker| {
            worker.tasks.insert(no);
            worker.active_at = now;
            busy.note(choice.worker, &mut worker.busy);
            let unknown =
                task.blobs.iter().filter(|blob| worker.sends_blob(blob.digest(), blob.bytes().len()));
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
        debug!(
            target: "p2c2r_server::console", event = "routed", task = no.0, attempt = attempt.0,
            worker = self.workers.get(choice.worker).map_or("", |worker| worker.name.as_str()), "Routing"
        );
        self.books.append(Entry::AttemptStarted { task: no, attempt, worker: Some(account) });
        self.leases.schedule(&mut self.tasks, no, Some(until));
        self.tell_worker(choice.worker, ServerToWorker::Assign(assign));
    }
}
