//! Local compute, and the moment it starts.

use std::time::Duration;

use p2c2r_protocol::{Micros, TaskId};
use tracing::error;

use super::local_hedge::RemoteResult;
use super::routing::Bill;
use super::{Ladder, Local, Remote, Task};
use crate::estimate::ComputeEstimate;
use crate::kind::{OnLate, TaskEnding};
use crate::ladder_context::LadderContext;
use crate::outcome::{FailReason, Place};
use crate::pool::{ComputeJob, ComputedTask, Turn};
use crate::switch::OffloadFrameBudget;

/// Upper bound on the frame length that the ladder assumes: one stalled frame must not start everything at
/// once.
const FRAME_MAX: Duration = Duration::from_millis(50);

impl Ladder {
    /// Queues a task for local compute, unless it is there already or failed there.
    pub(super) fn start_local(&mut self, context: &mut LadderContext<'_>, id: TaskId) {
        let Some(task) = self.tasks.get(&id).filter(|task| task.is_open()) else { return };
        match &task.local {
            Local::Running => return,
            Local::Failed(reason) => {
                if matches!(task.remote, Remote::Over) {
                    let reason = reason.clone();
                    self.fail(context, id, reason);
                }
                return;
            }
            Local::Idle => {}
        }
        let kind = task.kind;
        // A patient task needs its own outcome: no other's can replace it.
        if task.late == OnLate::Reuse && task.deadline.is_some() && self.local_jobs(kind) > 0 {
            self.fail(context, id, FailReason::Busy);
            return;
        }
        if self.pool.waiting() >= self.local_queue_max {
            if !task.is_sent() {
                self.fail(context, id, FailReason::Overloaded);
            }
            return;
        }
        // If it were still sent from now on, it would only be computed twice.
        self.unqueue(id);
        let turn = self.turn(id);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.local = Local::Running;
        let job = ComputeJob {
            task: id,
            kind: task.kind,
            units: task.units,
            work: task.work.clone(),
            expected: expected(&self.estimates, task),
            pushed_at: context.now(),
        };
        self.pool.push(turn, job);
        self.local_jobs.resize(self.local_jobs.len().max(kind + 1), 0);
        self.local_jobs[kind] += 1;
    }

    fn local_jobs(&self, kind: usize) -> usize {
        self.local_jobs.get(kind).copied().unwrap_or(0)
    }

    fn job_is_gone(&mut self, kind: usize) {
        if let Some(jobs) = self.local_jobs.get_mut(kind) {
            *jobs = jobs.saturating_sub(1);
        }
    }

    /// Cancels a local job; true if it had not begun. One that has begun runs on.
    pub(super) fn call_off(&mut self, kind: usize, turn: Turn) -> bool {
        let in_time = self.pool.cancel(turn);
        if in_time {
            self.job_is_gone(kind);
        }
        in_time
    }

    /// The coordinator will not do this task: starts local compute, or fails a task set to [`OnLate::Drop`].
    pub(super) fn rescue(&mut self, context: &mut LadderContext<'_>, id: TaskId, reason: FailReason) {
        let Some(task) = self.tasks.get(&id).filter(|task| task.is_open()) else { return };
        let drop = task.late == OnLate::Drop && !task.recalled && matches!(task.local, Local::Idle);
        if drop {
            self.fail(context, id, reason);
        } else {
            self.start_local(context, id);
        }
    }

    /// Handles what local compute has finished.
    pub fn collect(&mut self, context: &mut LadderContext<'_>) {
        let now = context.now();
        for ComputedTask { task: id, kind, units, result, took, spent } in self.pool.poll(now) {
            self.job_is_gone(kind);
            if result.is_ok() {
                for (estimates, measured) in
                    [(&mut self.estimates, took), (&mut self.processor_estimates, spent)]
                {
                    estimates.resize(estimates.len().max(kind + 1), ComputeEstimate::default());
                    estimates[kind].record(units, measured);
                }
            }
            let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_open()) else {
                // A kernel that was stopped or failed has no outcome that could be wasted.
                context.totals_of(kind).wasted += u64::from(result.is_ok());
                continue;
            };
            match result {
                Ok(outcome) => {
                    let late = task.deadline.is_some_and(|deadline| now > deadline);
                    self.end(
                        context,
                        id,
                        TaskEnding::Done { outcome, place: Place::Local, receipt: None, late },
                    );
                }
                Err(reason) => {
                    error!(kind = context.kind(kind).name, task = id.0, %reason, "a kernel failed locally");
                    task.local = Local::Failed(reason.clone());
                    if matches!(task.remote, Remote::Over) {
                        self.fail(context, id, reason);
                    }
                }
            }
        }
    }

    /// Moves every task to the rung that its deadline requires.
    pub fn climb(&mut self, context: &mut LadderContext<'_>) {
        let now = context.now();
        let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        for id in ids {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            if let Some(until) = task.ended {
                if now >= until {
                    // The coordinator has not answered the task; an answer from now on counts as stray.
                    self.note_answer(context, id, RemoteResult::Lacking);
                    self.close_remote(id, Bill::Open { since: now });
                }
                continue;
            }
            if task.deadline.is_some_and(|deadline| now > deadline) && !task.overdue {
                task.overdue = true;
                context.totals_of(task.kind).late += 1;
                if task.is_sent() {
                    self.note_answer(context, id, RemoteResult::Lacking);
                }
            }
            if self.tasks.get(&id).is_some_and(|task| task.overdue) {
                self.pass_deadline(context, id);
            }
        }
        self.answers.expire(now);
        for id in self.due(now) {
            if self.may_spare(id, now) {
                self.start_local(context, id);
            }
        }
    }

    /// Updates the frame length that the ladder assumes: the longest of the recent ones.
    pub fn note_frame(&mut self, delta: Duration, budget: OffloadFrameBudget) {
        self.frame = delta.min(FRAME_MAX).max(self.frame * 15 / 16);
        self.local_hedging.note_frame(delta, budget);
    }

    fn pass_deadline(&mut self, context: &mut LadderContext<'_>, id: TaskId) {
        let turn = self.turn(id);
        let Some(task) = self.tasks.get(&id) else { return };
        let kind = task.kind;
        let reason = match (&task.local, task.late) {
            (Local::Failed(reason), _) => reason.clone(),
            (Local::Idle, OnLate::Drop | OnLate::Reuse) => FailReason::Late,
            // A queued task is dropped, so that a slow computer does not work off ever older tasks; one that
            // is being computed is delivered late, and so is the one task that `OnLate::Reuse` keeps in the
            // queue.
            (Local::Running, OnLate::Drop) => {
                if !self.call_off(kind, turn) {
                    return;
                }
                FailReason::Late
            }
            _ => return,
        };
        self.fail(context, id, reason);
    }

    /// The tasks whose local outcome would be late if they waited one more frame for the coordinator. Assumes
    /// that the coordinator stays silent on every task: then local compute has to do all of them, so they
    /// start one after another, counted back from the last deadline.
    ///
    /// A task that local compute could never finish in time stays at the coordinator for its whole deadline,
    /// and local compute starts only then, so that it is not always computed twice.
    fn due(&self, now: Micros) -> Vec<TaskId> {
        let now = Duration::from(now);
        let mut due = Vec::new();
        let mut waiting = Vec::new();
        for (id, task) in &self.tasks {
            let (true, Some(deadline), Local::Idle, OnLate::ComputeLocally) =
                (task.is_open(), task.deadline, &task.local, task.late)
            else {
                continue;
            };
            let deadline = Duration::from(deadline);
            let expected = expected(&self.estimates, task);
            if Duration::from(task.submitted_at) + expected + self.frame <= deadline {
                waiting.push((deadline, *id, expected));
            } else if now >= deadline {
                due.push(*id);
            }
        }
        if waiting.is_empty() {
            return due;
        }
        waiting.sort_unstable();
        // An outcome is seen up to a frame after it is done, this decision may come up to a frame late, and
        // queued jobs go first.
        let earliest = now + self.frame + self.pool.backlog();
        let mut behind = Duration::MAX;
        for (deadline, id, expected) in waiting.into_iter().rev() {
            let alone = deadline.saturating_sub(self.frame + expected);
            behind = behind.saturating_sub(expected / self.pool.threads()).min(alone);
            if earliest > behind {
                due.push(id);
            }
        }
        due
    }
}

fn expected(estimates: &[ComputeEstimate], task: &Task) -> Duration {
    estimates.get(task.kind).copied().unwrap_or_default().predict(task.units)
}
