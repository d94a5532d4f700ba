//! How long answers take, and so how far ahead a game has to ask.

use std::collections::VecDeque;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{KindId, Micros};
use p2c2r_tasks::TaskKind;

use crate::histogram::rank;
use crate::window::WINDOW;

/// The farthest ahead that is useful: predictions beyond two seconds do not hold.
pub const HORIZON_MAX: Duration = Duration::from_secs(2);

/// Share of the latest answers that should have come in time.
const IN_TIME: f64 = 0.95;
/// Slack added to the measured times: a quarter of them, and at least the minimum, since the next answer may be
/// slower and one with a retransmitted packet should be in time too. More makes every outcome older than
/// necessary.
const SLACK_SHARE: u32 = 4;
const SLACK_MIN: Duration = Duration::from_millis(50);
/// A task without an answer in time counts as if it had taken its budget times this fraction: the horizon grows
/// by half with every such task until answers come.
const WIDENING: (u32, u32) = (3, 2);
/// Before anything is measured, a worker is assumed to be as far from the coordinator as this game is, and to
/// compute this long.
const GUESSED_COMPUTE: Duration = Duration::from_millis(100);
/// With fewer answers of a kind than this, those of all kinds count.
const FEW: usize = 8;
/// Answers kept; beyond 200 a second the window is shorter than ten seconds.
const SAMPLES_MAX: usize = 2_048;

/// How far ahead of its use a game should ask for an outcome of each kind, so that a worker's answer comes in time:
/// what 95 of 100 answers of the last ten seconds took at most, plus slack, and never more than [`HORIZON_MAX`]. Zero
/// while no task goes to a coordinator. Written once a frame.
///
/// Answers that come late first of all lengthen the horizon of their kind; how much this computer computes in their
/// place is limited, see the crate's documentation.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct OffloadHorizon {
    kinds: Vec<(KindId, Ahead)>,
}

/// The measurements of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// Half of the answers took at most this long.
    pub typical: Duration,
    /// How far ahead to ask.
    pub horizon: Duration,
}

impl OffloadHorizon {
    /// How far ahead to ask for outcomes of kind `K`.
    pub fn of<K: TaskKind>(&self) -> Duration {
        self.get(K::ID).horizon
    }

    /// What half of the answers of kind `K` took at most: how old an outcome usually is when it comes.
    pub fn typical<K: TaskKind>(&self) -> Duration {
        self.get(K::ID).typical
    }

    fn get(&self, kind: KindId) -> Ahead {
        self.kinds.iter().find(|(id, _)| *id == kind).map_or_else(Ahead::default, |(_, ahead)| *ahead)
    }

    pub(crate) fn set(&mut self, kinds: impl Iterator<Item = (KindId, Ahead)>) {
        self.kinds.clear();
        self.kinds.extend(kinds);
    }
}

/// One answer, or a task that got none.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Micros,
    kind: usize,
    micros: u32,
}

/// The answers of the last ten seconds.
#[derive(Default)]
pub(crate) struct RecentAnswers {
    samples: VecDeque<Sample>,
    /// What follows from the samples: it is asked for in every frame, and they change seldom.
    of_all: Option<Ahead>,
    /// The same for each kind that has enough of them.
    of_kinds: Vec<Option<Ahead>>,
}

impl RecentAnswers {
    /// Records a worker's answer that took this long from the frame that asked, whether or not it was still
    /// wanted.
    pub fn took(&mut self, now: Micros, kind: usize, micros: u32) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        let micros = micros.min(HORIZON_MAX.as_micros() as u32);
        self.samples.push_back(Sample { at: now, kind, micros });
        self.measure();
    }

    /// Records a task that no worker answered within `budget`, or could have.
    pub fn lacked(&mut self, now: Micros, kind: usize, budget: Duration) {
        let wanted = budget * WIDENING.0 / WIDENING.1;
        self.took(now, kind, u32::try_from(wanted.as_micros()).unwrap_or(u32::MAX));
    }

    /// Forgets what is older than the window.
    pub fn expire(&mut self, now: Micros) {
        let old = |sample: &Sample| Duration::from(now).saturating_sub(sample.at.into()) > WINDOW;
        let before = self.samples.len();
        while self.samples.front().is_some_and(old) {
            self.samples.pop_front();
        }
        if self.samples.len() < before {
            self.measure();
        }
    }

    fn measure(&mut self) {
        let kinds = self.samples.iter().map(|sample| sample.kind + 1).max().unwrap_or(0);
        let mut micros: Vec<u32> = Vec::with_capacity(self.samples.len());
        self.of_kinds.clear();
        for kind in 0..kinds {
            micros.clear();
            micros
                .extend(self.samples.iter().filter(|sample| sample.kind == kind).map(|sample| sample.micros));
            self.of_kinds.push(ahead_of(&mut micros).filter(|_| micros.len() >= FEW));
        }
        micros.clear();
        micros.extend(self.samples.iter().map(|sample| sample.micros));
        self.of_all = ahead_of(&mut micros);
    }

    /// How far ahead to ask for this kind, over a connection with this round trip.
    pub fn ahead(&self, kind: usize, rtt: Option<Duration>) -> Ahead {
        let measured = self.of_kinds.get(kind).copied().flatten().or(self.of_all);
        measured.unwrap_or_else(|| {
            let guess = rtt.map_or(Duration::ZERO, |rtt| rtt * 2 + GUESSED_COMPUTE);
            Ahead { typical: guess, horizon: with_slack(guess) }
        })
    }
}

/// How far ahead to ask, by answers that took so long; `None` without any. Reorders them.
fn ahead_of(micros: &mut [u32]) -> Option<Ahead> {
    let total = micros.len() as u64;
    let mut quantile = |q| {
        let rank = rank(q, total)? as usize - 1;
        Some(Duration::from_micros((*micros.select_nth_unstable(rank).1).into()))
    };
    Some(Ahead { typical: quantile(0.5)?, horizon: with_slack(quantile(IN_TIME)?) })
}

fn with_slack(took: Duration) -> Duration {
    if took.is_zero() {
        return took;
    }
    (took + (took / SLACK_SHARE).max(SLACK_MIN)).min(HORIZON_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const RTT: Option<Duration> = Some(Duration::from_millis(200));

    #[test]
    fn before_any_answer_a_worker_is_taken_to_be_as_far_as_the_coordinator() {
        assert_eq!(RecentAnswers::default().ahead(0, None), Ahead::default());
        let ahead = RecentAnswers::default().ahead(0, RTT);
        assert_eq!(ahead.typical, Duration::from_millis(500));
        assert_eq!(ahead.horizon, Duration::from_millis(625));
    }

    #[test]
    fn it_follows_the_answers_of_ten_seconds_up_and_down() {
        let mut answers = RecentAnswers::default();
        for number in 0..100_u64 {
            // Six of a hundred took a second.
            let micros = if number % 16 == 0 { 1_000_000 } else { 400_000 };
            answers.took(Micros(number * SECOND / 20), 0, micros);
        }
        let ahead = answers.ahead(0, RTT);
        assert_eq!((ahead.typical.as_millis(), ahead.horizon.as_millis()), (400, 1_250));
        for number in 0..100_u64 {
            answers.took(Micros(11 * SECOND + number * SECOND / 20), 0, 60_000);
        }
        answers.expire(Micros(16 * SECOND));
        assert_eq!(answers.ahead(0, RTT).horizon.as_millis(), 110);
    }

    #[test]
    fn every_task_without_an_answer_widens_it_to_its_bound() {
        let mut answers = RecentAnswers::default();
        let mut before = answers.ahead(0, RTT).horizon;
        for round in 0..6 {
            answers.lacked(Micros(round), 0, before);
            let after = answers.ahead(0, RTT).horizon;
            assert!(after > before || after == HORIZON_MAX, "{before:?} to {after:?}");
            before = after;
        }
        assert_eq!(before, HORIZON_MAX);
    }

    #[test]
    fn a_kind_with_few_answers_counts_those_of_all() {
        let mut answers = RecentAnswers::default();
        for number in 0..20 {
            answers.took(Micros(number), 0, 400_000);
        }
        answers.took(Micros(20), 1, 80_000);
        assert_eq!(answers.ahead(1, RTT).horizon.as_millis(), 500);
        for number in 0..FEW as u64 {
            answers.took(Micros(30 + number), 1, 80_000);
        }
        assert_eq!(answers.ahead(1, RTT).horizon.as_millis(), 130);
        assert_eq!(answers.ahead(0, RTT).horizon.as_millis(), 500);
    }
}
