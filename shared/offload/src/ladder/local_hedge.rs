//! Hedging with local compute: when this computer also computes a task that is at the coordinator, which it does
//! seldom and only while frames leave room.
//!
//! Outcomes are seen once per frame, so at a low frame rate they look late. If every late task were computed here
//! as well, frames would slow down further, until nothing is offloaded and everything is slow. So a task at the
//! coordinator is hedged only while frames keep to their budget ([`OffloadFrameBudget`]), and hedges have a budget
//! too. A kind that is still late is asked for farther ahead (see [`crate::OffloadHorizon`]); a kind that is late
//! at the longest horizon is computed here for a while, if there is room.

use std::time::Duration;

use p2c2r_protocol::{Micros, TaskId};

use super::Ladder;
use crate::horizon::{Ahead, HORIZON_MAX};
use crate::ladder_context::LadderContext;
use crate::switch::OffloadFrameBudget;

/// The mean frame may be longer than its budget by one part in this many, as when one frame in sixteen is late. With
/// less slack, a game whose frames wait for the screen would never have room; with more, a game whose frames are late
/// would be slowed further.
const FRAME_SLACK: u32 = 16;
/// Inverse weight of the newest frame in the mean: it covers about the last second.
const FRAME_GAIN: u32 = 32;
/// Hedges earned per task sent, and the most that may be saved up for a coordinator that suddenly falls
/// silent. More computes more tasks twice; fewer leaves more of them late.
const SPARES_PER_TASK: f32 = 0.04;
const SPARES_MAX: f32 = 10.0;
/// Weight of the newest task in a kind's share of late ones: it covers about the last sixteen.
const LATE_GAIN: f32 = 1.0 / 16.0;
/// How long a kind stays local that is late at the longest horizon. Errs towards trying again.
const STAY: Duration = Duration::from_secs(5);

/// How long after its deadline a task at the coordinator is awaited. After that no answer is expected, and it is
/// computed here whatever frames leave.
const GIVE_UP: Duration = Duration::from_secs(1);

/// State that decides on hedges.
pub(super) struct LocalHedging {
    /// Mean length of the frames.
    frame_mean: Duration,
    /// The longest mean with which there is room.
    frame_max: Duration,
    /// Hedges that may be used now.
    saved_up: f32,
    /// For each kind, the share of tasks without a worker's answer in time.
    late: Vec<f32>,
}

impl Default for LocalHedging {
    fn default() -> Self {
        Self { frame_mean: Duration::ZERO, frame_max: Duration::ZERO, saved_up: SPARES_MAX, late: Vec::new() }
    }
}

impl LocalHedging {
    /// Records the length of a frame, and how long it may be.
    pub fn note_frame(&mut self, delta: Duration, budget: OffloadFrameBudget) {
        self.frame_max = budget.0.saturating_add(budget.0 / FRAME_SLACK);
        self.frame_mean =
            (self.frame_mean * (FRAME_GAIN - 1) + delta.min(Duration::from_secs(1))) / FRAME_GAIN;
    }

    /// A task was sent.
    pub fn sent(&mut self) {
        self.saved_up = (self.saved_up + SPARES_PER_TASK).min(SPARES_MAX);
    }

    /// Whether frames leave room for more work.
    pub fn has_room(&self) -> bool {
        self.frame_mean <= self.frame_max
    }

    fn late_share(&mut self, kind: usize) -> &mut f32 {
        self.late.resize(self.late.len().max(kind + 1), 0.0);
        &mut self.late[kind]
    }
}

/// How the wait for a worker's answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemoteResult {
    /// A worker's answer came.
    Came,
    /// No worker answered in time, or the coordinator computed the task because none could.
    Lacking,
    /// A worker's answer would have taken this long.
    TooLate(Duration),
}

impl Ladder {
    /// Whether a task may be computed here; for one at the coordinator this uses up a hedge.
    pub(super) fn may_spare(&mut self, id: TaskId, now: Micros) -> bool {
        let Some(task) = self.tasks.get(&id).filter(|task| task.is_sent()) else { return true };
        let given_up = |deadline: Micros| now.0 > deadline.0 + Micros::from(GIVE_UP).0;
        if task.deadline.is_some_and(given_up) {
            return true;
        }
        let may = self.local_hedging.has_room() && self.local_hedging.saved_up >= 1.0;
        if may {
            self.local_hedging.saved_up -= 1.0;
        }
        may
    }

    /// Records for the horizon how the wait for a worker's answer ended, unless the game cancelled the task.
    pub(super) fn note_answer(&mut self, context: &LadderContext<'_>, id: TaskId, answer: RemoteResult) {
        let now = context.now();
        let Some(task) = self.tasks.get(&id).filter(|task| !task.withdrawn) else { return };
        let Some(deadline) = task.deadline else { return };
        let kind = task.kind;
        let budget = Duration::from_micros(deadline.since(task.submitted_at).into());
        match answer {
            RemoteResult::Came => self.answers.took(now, kind, now.since(task.submitted_at)),
            RemoteResult::Lacking => self.answers.lacked(now, kind, budget),
            RemoteResult::TooLate(predicted) => self.answers.lacked(now, kind, predicted.max(budget) * 2 / 3),
        }
        let late = answer != RemoteResult::Came || now > deadline;
        let has_room = self.local_hedging.has_room();
        let share = self.local_hedging.late_share(kind);
        *share += LATE_GAIN * (f32::from(u8::from(late)) - *share);
        if *share > 0.5 && budget >= HORIZON_MAX && has_room {
            *share = 0.0;
            self.gate(kind).paused_until = Micros(now.0 + Micros::from(STAY).0);
        }
    }

    /// How far ahead to ask for this kind.
    pub fn ahead(&self, context: &LadderContext<'_>, kind: usize, rtt: Option<Duration>) -> Ahead {
        let goes_out = self.connection(context).is_ok() && context.switch.allows(context.kind(kind).id);
        if goes_out { self.answers.ahead(kind, rtt) } else { Ahead::default() }
    }
}
