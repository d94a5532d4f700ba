//! What the end of a round says about the borrowing: four marks from 0 to 100, and one piece of advice for the lowest.

use std::time::Duration;

use bevy::prelude::*;
use p2c2r_offload::{KindTotals, OffloadTotals};
use p2c2r_protocol::Nanos;

use super::Page;

/// What a frame may take at 60 a second, and half as much again: what is longer is seen.
const FRAME_LONG: Duration = Duration::from_millis(25);
/// Milliseconds on the way from and to the coordinator at which the line gets no points.
const LINE_MS_WORST: f64 = 400.0;
/// Milliseconds in the coordinator at which it gets no points.
const COORDINATOR_MS_WORST: f64 = 100.0;
/// Positions in `Stages::NAMES`.
const ON_THE_WAY: [usize; 2] = [1, 8];
const AT_THE_COORDINATOR: [usize; 2] = [2, 7];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<FrameCount>().add_systems(Last, count_frames.run_if(in_state(Page::Play)));
}

/// Frames of play, and those that took so long that they are seen.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FrameCount {
    pub(super) all: u64,
    pub(super) long: u64,
}

fn count_frames(time: Res<Time<Real>>, mut frames: ResMut<FrameCount>) {
    frames.all += 1;
    frames.long += u64::from(time.delta() > FRAME_LONG);
}

/// Where the session stands, so that a round's own share can be told from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SessionMark {
    pub(super) cost: i64,
    pub(super) frames: FrameCount,
    remote: u64,
    coordinator: u64,
    local: u64,
    late: u64,
    ended: u64,
}

impl SessionMark {
    pub(super) fn of(totals: &OffloadTotals, frames: FrameCount) -> Self {
        let sum = |part: fn(&KindTotals) -> u64| totals.kinds.values().map(part).sum();
        Self {
            cost: totals.cost_nanos.0,
            frames,
            remote: sum(|kind| kind.remote),
            coordinator: sum(|kind| kind.coordinator + kind.cache),
            local: sum(|kind| kind.local),
            late: sum(|kind| kind.late),
            ended: sum(|kind| kind.submitted - kind.open - kind.cancelled),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            cost: self.cost - before.cost,
            frames: FrameCount {
                all: self.frames.all.saturating_sub(before.frames.all),
                long: self.frames.long.saturating_sub(before.frames.long),
            },
            remote: self.remote.saturating_sub(before.remote),
            coordinator: self.coordinator.saturating_sub(before.coordinator),
            local: self.local.saturating_sub(before.local),
            late: self.late.saturating_sub(before.late),
            ended: self.ended.saturating_sub(before.ended),
        }
    }
}

/// What a round borrowed and how well that went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    round: SessionMark,
    /// Mean milliseconds on the way from and to the coordinator, and in it; none before the first outcome from there.
    line_ms: Option<f64>,
    coordinator_ms: Option<f64>,
}

/// Which link of the chain a mark is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    ThisComputer,
    Line,
    Coordinator,
    Workers,
}

impl Card {
    pub(super) fn new(totals: &OffloadTotals, before: SessionMark, frames: FrameCount) -> Self {
        let stages = || totals.kinds.values().filter_map(KindTotals::stages_ms);
        // The slowest kind decides: it is the one that a player waits for.
        let slowest = |which: [usize; 2]| {
            stages().map(|stages| stages[which[0]] + stages[which[1]]).max_by(f64::total_cmp)
        };
        Self {
            round: SessionMark::of(totals, frames).since(before),
            line_ms: slowest(ON_THE_WAY),
            coordinator_ms: slowest(AT_THE_COORDINATOR),
        }
    }

    /// The mark of each link; none where nothing is known of it.
    fn marks(&self) -> [(Link, Option<u32>); 4] {
        let share = |part: u64, whole: u64| {
            (whole > 0).then(|| (part.min(whole) as f64 / whole as f64 * 100.0).round() as u32)
        };
        let below = |ms: Option<f64>, worst: f64| {
            ms.map(|ms| ((1.0 - ms / worst).clamp(0.0, 1.0) * 100.0).round() as u32)
        };
        let SessionMark { frames, remote, coordinator, late, ended, .. } = self.round;
        let borrowed = remote + coordinator > 0;
        [
            (Link::ThisComputer, share(frames.all - frames.long.min(frames.all), frames.all)),
            (Link::Line, below(self.line_ms, LINE_MS_WORST)),
            (Link::Coordinator, below(self.coordinator_ms, COORDINATOR_MS_WORST)),
            (Link::Workers, share(remote.min(ended.saturating_sub(late)), ended).filter(|_| borrowed)),
        ]
    }

    /// What a player reads.
    pub(super) fn lines(&self) -> Vec<String> {
        let SessionMark { cost, remote, coordinator, local, .. } = self.round;
        let mut lines = vec![format!(
            "{remote} answers by workers, {coordinator} by the coordinator, {local} by this computer; cost {}",
            crate::figures::dollars_to_the_nano(Some(Nanos(cost).as_dollars()))
        )];
        let marks = self.marks();
        let mark = |(link, mark): &(Link, Option<u32>)| {
            format!(
                "{} {}",
                link.name(),
                mark.map_or(crate::figures::UNKNOWN.into(), |mark| mark.to_string())
            )
        };
        lines.push(format!("Of 100:  {}", marks.iter().map(mark).collect::<Vec<_>>().join("   ")));
        lines.push(advice(&marks).into());
        lines
    }
}

impl Link {
    fn name(self) -> &'static str {
        match self {
            Self::ThisComputer => "this computer",
            Self::Line => "line",
            Self::Coordinator => "coordinator",
            Self::Workers => "workers",
        }
    }
}

/// From this mark on there is nothing to mend.
const GOOD: u32 = 90;

/// What would help most.
fn advice(marks: &[(Link, Option<u32>)]) -> &'static str {
    let known = marks.iter().filter_map(|(link, mark)| mark.map(|mark| (mark, *link)));
    match known.min_by_key(|(mark, _)| *mark) {
        Some((mark, _)) if mark >= GOOD => "Everything went well: a dearer preset would show more.",
        Some((_, Link::ThisComputer)) => {
            "Weakest: this computer. Borrow more of the work, or choose a lower quality or a smaller window."
        }
        Some((_, Link::Line)) => {
            "Weakest: the line. A cable instead of wireless, or a coordinator nearer by, would help."
        }
        Some((_, Link::Coordinator)) => {
            "Weakest: the coordinator. It is busy: another hour or another coordinator would help."
        }
        Some((_, Link::Workers)) => {
            "Weakest: the workers. There are too few or they are far away; invite some."
        }
        None => "Nothing is known of the borrowing yet.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(remote: u64, local: u64, long: u64, line_ms: Option<f64>) -> Card {
        let frames = FrameCount { all: 1_000, long };
        let round = SessionMark { remote, local, ended: remote + local, frames, ..SessionMark::default() };
        Card { round, line_ms, coordinator_ms: line_ms.map(|_| 2.0) }
    }

    #[test]
    fn the_weakest_link_gets_the_advice() {
        for (card, word) in [
            (card(1_000, 0, 400, Some(20.0)), "this computer"),
            (card(1_000, 0, 0, Some(300.0)), "line"),
            (card(300, 700, 0, Some(20.0)), "workers"),
            (card(1_000, 0, 0, Some(20.0)), "went well"),
        ] {
            let advice = card.lines().pop().unwrap();
            assert!(advice.contains(word), "{advice} does not say {word}");
        }
    }

    #[test]
    fn who_plays_alone_has_no_marks_for_others() {
        let alone = card(0, 500, 10, None);
        assert_eq!(alone.marks().map(|(_, mark)| mark), [Some(99), None, None, None]);
        assert!(alone.lines()[1].contains("workers -"), "{:?}", alone.lines());
    }

    #[test]
    fn only_what_the_round_itself_did_counts() {
        let before = SessionMark { cost: 700, remote: 40, ended: 50, ..SessionMark::default() };
        let after = SessionMark { cost: 900, remote: 41, ended: 52, ..SessionMark::default() };
        let round = after.since(before);
        assert_eq!((round.cost, round.remote, round.ended), (200, 1, 2));
    }
}
