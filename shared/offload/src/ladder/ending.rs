//! The one place where tasks end, so that each ends once.

use std::time::Duration;

use p2c2r_protocol::{Micros, TaskId};

use super::{Ladder, Local, Remote};
use crate::desk::Desk;
use crate::kind::{Delivery, End};
use crate::outcome::FailReason;
use crate::window::{Ended, Origin};

/// How long after its deadline, or its end if that is later, the coordinator's last word on a task is
/// awaited. Longer only holds money aside longer; shorter counts honest but slow answers as stray.
const LAST_WORD: Duration = Duration::from_secs(2);

impl Ladder {
    pub(super) fn fail(&mut self, desk: &mut Desk<'_>, id: TaskId, reason: FailReason) {
        self.end(desk, id, End::Failed(reason));
    }

    /// Ends an open task: counts it and hands its end to its entity.
    pub(super) fn end(&mut self, desk: &mut Desk<'_>, id: TaskId, end: End) {
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_open()) else { return };
        let now = desk.now();
        let latency_us = now.since(task.submitted_at);
        if matches!(end, End::Done { late: true, .. }) && !task.overdue {
            task.overdue = true;
            desk.totals_of(task.kind).late += 1;
        }
        let totals = desk.totals_of(task.kind);
        totals.open -= 1;
        let sample = match &end {
            End::Done { place, receipt, late, .. } => {
                let origin = Origin::from(place);
                match origin {
                    Origin::Remote => totals.remote += 1,
                    Origin::Coordinator => totals.coordinator += 1,
                    Origin::Cache => totals.cache += 1,
                    Origin::Local => totals.local += 1,
                }
                totals.latency.record(latency_us);
                if let Some(receipt) = receipt {
                    totals.record_stages(receipt.stages);
                }
                Ended { delivered: Some((latency_us, origin)), in_time: !late }
            }
            End::Failed(_) => {
                totals.failed += 1;
                Ended { delivered: None, in_time: false }
            }
        };
        desk.windows.of(task.kind).ended(now, sample);
        self.deliveries.push(Delivery {
            task: id,
            kind: task.kind,
            entity: task.entity,
            after: Duration::from_micros(u64::from(latency_us)),
            end,
        });
        self.wind_up(now, id);
    }

    /// Lets go of an ended or cancelled task: local compute is called off, the coordinator told, and the
    /// entry kept only if the coordinator still has to answer.
    pub(super) fn wind_up(&mut self, now: Micros, id: TaskId) {
        self.unqueue(id);
        let turn = self.turn(id);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if matches!(task.local, Local::Running) {
            self.pool.cancel(turn);
        }
        let from = task.deadline.unwrap_or(now).max(now);
        task.ended = Some(Micros(from.0 + Micros::from(LAST_WORD).0));
        if matches!(task.remote, Remote::Over) {
            self.tasks.remove(&id);
        } else {
            self.tell_unwanted(id);
        }
    }
}
