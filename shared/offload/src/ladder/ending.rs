//! The one place where tasks end, so that each ends once.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Micros, PassedCheck, TaskId};

use super::{Ladder, Local, Remote};
use crate::kind::{Delivery, OnLate, TaskEnding};
use crate::ladder_context::LadderContext;
use crate::last::{Freshest, NewestOutcome};
use crate::outcome::{FailReason, Place};
use crate::window::{Ended, Origin};
use crate::work::AnyOutcome;

/// How long after its deadline, or its end if that is later, the coordinator's final answer on a task is
/// awaited. Longer only reserves money longer; shorter counts honest but slow answers as stray.
const LAST_WORD: Duration = Duration::from_secs(2);

impl Ladder {
    pub(super) fn fail(&mut self, context: &mut LadderContext<'_>, id: TaskId, reason: FailReason) {
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_open()) else { return };
        task.gave_way = task.late == OnLate::Reuse && reason.is_gap();
        let (kind, gave_way) = (task.kind, task.gave_way);
        let reused = self.age(kind, context.now()).filter(|_| gave_way);
        self.end(context, id, TaskEnding::Failed { reason, reused });
    }

    /// Stores an outcome if it is the newest of its kind; returns whether it is.
    pub(super) fn keep(
        &mut self,
        kind: usize,
        task: TaskId,
        (asked_at, came_at): (Micros, Micros),
        outcome: &AnyOutcome,
        (place, check): (Place, Option<PassedCheck>),
    ) -> bool {
        self.freshest.resize(self.freshest.len().max(kind + 1), None);
        // Ids count up, so the greater one was asked for later.
        if self.freshest[kind].is_some_and(|freshest| freshest.task >= task) {
            return false;
        }
        self.freshest[kind] = Some(Freshest { task, asked_at });
        let outcome = Arc::clone(outcome);
        self.kept.push(NewestOutcome { kind, task, outcome, place, check, asked_at, came_at });
        true
    }

    /// Ends an open task: counts it and queues its end for its entity.
    pub(super) fn end(&mut self, context: &mut LadderContext<'_>, id: TaskId, end: TaskEnding) {
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_open()) else { return };
        let now = context.now();
        let latency_us = now.since(task.submitted_at);
        if matches!(end, TaskEnding::Done { late: true, .. }) && !task.overdue {
            task.overdue = true;
            context.totals_of(task.kind).late += 1;
        }
        let totals = context.totals_of(task.kind);
        totals.open -= 1;
        let sample = match &end {
            TaskEnding::Done { place, receipt, late, .. } => {
                let origin = Origin::from(place);
                match origin {
                    Origin::Remote => totals.remote += 1,
                    Origin::Coordinator => totals.coordinator += 1,
                    Origin::Cache => totals.cache += 1,
                    Origin::Local => totals.local += 1,
                }
                totals.latency.record(latency_us);
                if origin != Origin::Local {
                    let here = self.processor_estimates.get(task.kind).copied().unwrap_or_default();
                    totals.saved_us += here.typical(task.units).as_micros() as u64;
                }
                if let Some(receipt) = receipt {
                    totals.stages.add(receipt.stages);
                }
                Ended { delivered: Some((latency_us, origin)), in_time: !late, reused: false }
            }
            TaskEnding::Failed { reused, .. } => {
                match reused {
                    Some(_) => totals.reused += 1,
                    None => totals.failed += 1,
                }
                Ended { delivered: None, in_time: false, reused: reused.is_some() }
            }
        };
        if task.owed && !task.recalled {
            let origin = sample.delivered.map(|(_, origin)| origin);
            let others = matches!(origin, Some(Origin::Coordinator | Origin::Cache));
            totals.owed += u64::from(!others);
            totals.owed_in_time += u64::from(origin == Some(Origin::Remote) && sample.in_time);
        }
        let (kind, entity, asked_at) = (task.kind, task.entity, task.submitted_at);
        context.windows.of(kind).ended(now, sample);
        if let TaskEnding::Done { outcome, place, receipt, .. } = &end {
            let check = receipt.as_ref().map(|receipt| receipt.check);
            self.keep(kind, id, (asked_at, now), outcome, (place.clone(), check));
        }
        self.deliveries.push(Delivery {
            task: id,
            kind,
            entity,
            after: Duration::from_micros(u64::from(latency_us)),
            end,
        });
        self.wind_up(now, id);
    }

    /// Cleans up an ended or cancelled task: local compute is cancelled, the coordinator told, and the entry
    /// kept only if the coordinator still has to answer.
    pub(super) fn wind_up(&mut self, now: Micros, id: TaskId) {
        self.unqueue(id);
        let turn = self.turn(id);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let (kind, running) = (task.kind, matches!(task.local, Local::Running));
        let from = task.deadline.unwrap_or(now).max(now);
        task.ended = Some(Micros(from.0 + Micros::from(LAST_WORD).0));
        if let Some(file) = task.file.take() {
            self.patience.forget(file);
        }
        match task.remote {
            Remote::Sent { .. } => self.tell_unwanted(id),
            Remote::Waiting { .. } | Remote::Over => {
                self.disown(id);
                self.remove(id);
            }
        }
        if running && !self.call_off(kind, turn) {
            self.pool.stop(id);
        }
    }
}
