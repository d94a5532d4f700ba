//! What the end of a round says about the borrowing: who did how much of each kind and for how much, four marks from 0 to
//! 100, and one piece of advice for the lowest.

use std::collections::BTreeMap;
use std::time::Duration;

use bevy::prelude::*;
use p2c2r_offload::{KindTotals, OffloadTotals};
use p2c2r_protocol::Nanos;

use super::Page;
use crate::figures;

/// One and a half times a frame's time at 60 a second: players see that a longer frame stutters.
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

/// What was done of one kind, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    remote: u64,
    coordinator: u64,
    local: u64,
    late: u64,
    ended: u64,
    cost: i64,
    saved_us: u64,
}

impl Share {
    fn of(kind: &KindTotals) -> Self {
        Self {
            remote: kind.remote,
            coordinator: kind.coordinator + kind.cache,
            local: kind.local,
            late: kind.late,
            ended: kind.submitted.saturating_sub(kind.open + kind.cancelled),
            cost: kind.cost_nanos.0,
            saved_us: kind.saved_us,
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            remote: self.remote.saturating_sub(before.remote),
            coordinator: self.coordinator.saturating_sub(before.coordinator),
            local: self.local.saturating_sub(before.local),
            late: self.late.saturating_sub(before.late),
            ended: self.ended.saturating_sub(before.ended),
            cost: self.cost.saturating_sub(before.cost),
            saved_us: self.saved_us.saturating_sub(before.saved_us),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            remote: self.remote + other.remote,
            coordinator: self.coordinator + other.coordinator,
            local: self.local + other.local,
            late: self.late + other.late,
            ended: self.ended + other.ended,
            cost: self.cost.saturating_add(other.cost),
            saved_us: self.saved_us + other.saved_us,
        }
    }

    /// `paths          97 %     2 %     1 %    99 %  $0.000012`; what there was nothing of is a dash.
    fn line(self, name: &str) -> String {
        let delivered = self.remote + self.coordinator + self.local;
        let percent = |part: u64, whole: u64| {
            if whole == 0 {
                figures::UNKNOWN.to_owned()
            } else {
                figures::percent(Some(part.min(whole) as f64 / whole as f64 * 100.0))
            }
        };
        format!(
            "{name:<12}{:>9}{:>9}{:>9}{:>9}  {:>12}",
            percent(self.remote, delivered),
            percent(self.coordinator, delivered),
            percent(self.local, delivered),
            percent(self.ended.saturating_sub(self.late), self.ended),
            figures::dollars(Some(Nanos(self.cost).as_dollars())),
        )
    }
}

/// Where the session stands, so that a round's own share can be told from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SessionMark {
    pub(super) cost: i64,
    pub(super) frames: FrameCount,
    kinds: BTreeMap<&'static str, Share>,
}

impl SessionMark {
    pub(super) fn of(totals: &OffloadTotals, frames: FrameCount) -> Self {
        let kinds = totals.kinds.iter().map(|(name, kind)| (*name, Share::of(kind))).collect();
        Self { cost: totals.cost_nanos.0, frames, kinds }
    }

    fn since(&self, before: &Self) -> Self {
        let was = |name: &str| before.kinds.get(name).copied().unwrap_or_default();
        Self {
            cost: self.cost.saturating_sub(before.cost),
            frames: FrameCount {
                all: self.frames.all.saturating_sub(before.frames.all),
                long: self.frames.long.saturating_sub(before.frames.long),
            },
            kinds: self.kinds.iter().map(|(name, share)| (*name, share.since(was(name)))).collect(),
        }
    }

    fn sum(&self) -> Share {
        self.kinds.values().fold(Share::default(), |sum, share| sum.and(*share))
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
    pub(super) fn new(totals: &OffloadTotals, before: &SessionMark, frames: FrameCount) -> Self {
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

    /// Outcomes that others computed, of a hundred.
    pub(super) fn borrowed_percent(&self) -> u8 {
        let Share { remote, coordinator, local, .. } = self.round.sum();
        let all = (remote + coordinator + local).max(1);
        // Rounded down, so that a hundred means all of it; the least share is one, because zero means `alone`.
        let percent = (remote + coordinator) * 100 / all;
        percent.max(u64::from(remote + coordinator > 0)) as u8
    }

    /// The mark of each link; none where nothing is known of it.
    fn marks(&self) -> [(Link, Option<u32>); 4] {
        let share = |part: u64, whole: u64| {
            (whole > 0).then(|| (part.min(whole) as f64 / whole as f64 * 100.0).round() as u32)
        };
        let below = |ms: Option<f64>, worst: f64| {
            ms.map(|ms| ((1.0 - ms / worst).clamp(0.0, 1.0) * 100.0).round() as u32)
        };
        let frames = self.round.frames;
        let Share { remote, coordinator, late, ended, .. } = self.round.sum();
        let borrowed = remote + coordinator > 0;
        [
            (Link::ThisComputer, share(frames.all - frames.long.min(frames.all), frames.all)),
            (Link::Line, below(self.line_ms, LINE_MS_WORST)),
            (Link::Coordinator, below(self.coordinator_ms, COORDINATOR_MS_WORST)),
            (Link::Workers, share(remote.min(ended.saturating_sub(late)), ended).filter(|_| borrowed)),
        ]
    }

    /// What a player reads: who did what, what that saved, the marks, the advice.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:<12}{:>9}{:>9}{:>9}{:>9}  {:>12}",
            "done by", "workers", "coord.", "here", "in time", "cost"
        )];
        lines.extend(self.round.kinds.iter().map(|(name, share)| share.line(figures::word_of(name))));
        lines.push(Share { cost: self.round.cost, ..self.round.sum() }.line("all"));
        lines.push(String::new());
        lines.extend(self.saved());
        let marks = self.marks();
        let mark = |(link, mark): &(Link, Option<u32>)| {
            format!("{} {}", link.name(), mark.map_or(figures::UNKNOWN.into(), |mark| mark.to_string()))
        };
        lines.push(format!("Marks of 100:  {}", marks.iter().map(mark).collect::<Vec<_>>().join("   ")));
        lines.push(if self.borrowed_percent() > 0 { advice(&marks) } else { ALONE }.into());
        lines
    }

    /// How much computing others did for each frame.
    fn saved(&self) -> Option<String> {
        let (saved_us, frames) = (self.round.sum().saved_us, self.round.frames.all);
        (saved_us > 0 && frames > 0).then(|| {
            let ms = saved_us as f64 / 1e3 / frames as f64;
            format!("Others computed about {ms:.1} ms of this computer's time for each of {frames} frames.")
        })
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

/// Advice for a round in which nothing was borrowed.
const ALONE: &str = "This computer did all of it. With a join link others help: p2c2r-game --join LINK";
/// With this mark or a better one a link needs no advice.
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
        None => ALONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(remote: u64, local: u64, long: u64, line_ms: Option<f64>) -> Card {
        let frames = FrameCount { all: 1_000, long };
        let share =
            Share { remote, local, ended: remote + local, saved_us: remote * 2_500, ..Share::default() };
        let round = SessionMark { frames, kinds: [("path", share)].into(), ..SessionMark::default() };
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
    fn who_plays_alone_has_no_marks_for_others_and_saved_nothing() {
        let alone = card(0, 500, 10, None);
        assert_eq!(alone.marks().map(|(_, mark)| mark), [Some(99), None, None, None]);
        let lines = alone.lines();
        assert!(lines[lines.len() - 2].contains("workers -"), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("Others computed")), "{lines:?}");
        assert!(lines[lines.len() - 1].contains("--join"), "a dearer preset would help nobody: {lines:?}");
    }

    #[test]
    fn the_table_says_who_did_how_much_in_columns_that_stand() {
        let lines = card(970, 30, 0, Some(20.0)).lines();
        let table = &lines[..3];
        assert!(table.iter().all(|line| line.len() == table[0].len()), "{table:?}");
        assert!(
            table[1].contains("97.0%") && table[1].contains(" 3.0%") && table[1].starts_with("path"),
            "{table:?}"
        );
        // 970 times 2.5 ms over 1,000 frames.
        assert!(lines[4].contains("about 2.4 ms") && lines[4].contains("1000 frames"), "{lines:?}");
    }

    #[test]
    fn only_what_the_round_itself_did_counts() {
        let standing = |cost, remote, ended| {
            let share = Share { remote, ended, ..Share::default() };
            SessionMark { cost, kinds: [("path", share)].into(), ..SessionMark::default() }
        };
        let round = standing(900, 41, 52).since(&standing(700, 40, 50));
        assert_eq!((round.cost, round.sum().remote, round.sum().ended), (200, 1, 2));
        let first = standing(5, 3, 4).since(&SessionMark::default());
        assert_eq!((first.cost, first.sum().remote), (5, 3), "a kind that had nothing before");
    }
}
