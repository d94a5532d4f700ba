//! What the end of a round says about the borrowing: who did how much of each kind and for how much, four marks from 0 to
//! 100, and one piece of advice for the lowest.

use std::collections::BTreeMap;

use bevy::prelude::*;
use p2c2r_offload::{KindTotals, LocalReason, OffloadFrameBudget, OffloadMode, OffloadTotals, StageTimes};
use p2c2r_protocol::Nanos;

use super::Page;
use crate::{alone, figures};

/// A frame that takes one and a half times its budget is long: players see that it stutters.
const FRAME_LONG: f64 = 1.5;
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

fn count_frames(time: Res<Time<Real>>, budget: Res<OffloadFrameBudget>, mut frames: ResMut<FrameCount>) {
    frames.all += 1;
    frames.long += u64::from(time.delta() > budget.0.mul_f64(FRAME_LONG));
}

/// What was done of one kind, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    remote: u64,
    coordinator: u64,
    local: u64,
    late: u64,
    ended: u64,
    owed: u64,
    owed_in_time: u64,
    cost: i64,
    saved_us: u64,
    stages: StageTimes,
}

impl Share {
    fn of(kind: &KindTotals) -> Self {
        Self {
            remote: kind.remote,
            coordinator: kind.coordinator + kind.cache,
            local: kind.local,
            late: kind.late,
            ended: kind.submitted.saturating_sub(kind.open + kind.cancelled),
            owed: kind.owed,
            owed_in_time: kind.owed_in_time,
            cost: kind.cost_nanos.0,
            saved_us: kind.saved_us,
            stages: kind.stages,
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            remote: self.remote.saturating_sub(before.remote),
            coordinator: self.coordinator.saturating_sub(before.coordinator),
            local: self.local.saturating_sub(before.local),
            late: self.late.saturating_sub(before.late),
            ended: self.ended.saturating_sub(before.ended),
            owed: self.owed.saturating_sub(before.owed),
            owed_in_time: self.owed_in_time.saturating_sub(before.owed_in_time),
            cost: self.cost.saturating_sub(before.cost),
            saved_us: self.saved_us.saturating_sub(before.saved_us),
            stages: self.stages.since(before.stages),
        }
    }

    /// The sum of both, without the stages: those are told by kind.
    fn and(self, other: Self) -> Self {
        Self {
            remote: self.remote + other.remote,
            coordinator: self.coordinator + other.coordinator,
            local: self.local + other.local,
            late: self.late + other.late,
            ended: self.ended + other.ended,
            owed: self.owed + other.owed,
            owed_in_time: self.owed_in_time + other.owed_in_time,
            cost: self.cost.saturating_add(other.cost),
            saved_us: self.saved_us + other.saved_us,
            stages: StageTimes::default(),
        }
    }

    /// `paths          97 %     2 %     1 %    99 %  $0.000012`; a share of nothing is a dash.
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
            figures::dollars_to_the_nano(Some(Nanos(self.cost).as_dollars())),
        )
    }
}

/// The session's totals at one moment: the difference of two of them is what a round did.
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
    /// Why the game borrowed from nobody at the round's end; `None` if it could borrow.
    alone: Option<LocalReason>,
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
    pub(super) fn new(
        totals: &OffloadTotals,
        before: &SessionMark,
        frames: FrameCount,
        mode: &OffloadMode,
    ) -> Self {
        let alone = match mode {
            OffloadMode::Remote => None,
            OffloadMode::Local(reason) => Some(reason.clone()),
        };
        Self { round: SessionMark::of(totals, frames).since(before), alone }
    }

    /// Mean milliseconds in these stages of the slowest kind, which is the one that a player waits for; none before the
    /// round's first outcome from the coordinator.
    fn slowest_ms(&self, which: [usize; 2]) -> Option<f64> {
        let means = self.round.kinds.values().filter_map(|share| share.stages.means_ms());
        means.map(|stages| stages[which[0]] + stages[which[1]]).max_by(f64::total_cmp)
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
        let Share { owed, owed_in_time, .. } = self.round.sum();
        [
            (Link::ThisComputer, share(frames.all - frames.long.min(frames.all), frames.all)),
            (Link::Line, below(self.slowest_ms(ON_THE_WAY), LINE_MS_WORST)),
            (Link::Coordinator, below(self.slowest_ms(AT_THE_COORDINATOR), COORDINATOR_MS_WORST)),
            (Link::Workers, share(owed_in_time, owed)),
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
        let asked = match self.round.sum().owed {
            0 => String::new(),
            owed => format!(" (asked {owed})"),
        };
        let marks_text = marks.iter().map(mark).collect::<Vec<_>>().join("   ");
        lines.push(format!("Marks of 100:  {marks_text}{asked}"));
        lines.push(match &self.alone {
            Some(reason) => alone::brief(reason),
            None if self.borrowed_percent() == 0 => NOTHING_BORROWED.into(),
            None => advice(&marks).into(),
        });
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

/// Advice for a round in which nothing was borrowed though somebody could be borrowed from.
const NOTHING_BORROWED: &str =
    "You are connected, yet this computer did all of it: Settings, Borrowing says which work may leave it.";
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
            "Weakest: the workers. Too few of their answers came in time: invite more helpers."
        }
        None => NOTHING_BORROWED,
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::Stages;

    use super::*;

    fn card(remote: u64, local: u64, long: u64, line_ms: Option<u32>) -> Card {
        let frames = FrameCount { all: 1_000, long };
        let mut stages = StageTimes::default();
        if let Some(ms) = line_ms {
            stages.add(Stages { uplink_us: ms * 1_000, judge_us: 2_000, ..Stages::default() });
        }
        let share = Share {
            remote,
            local,
            ended: remote + local,
            owed: if line_ms.is_some() { remote + local } else { 0 },
            owed_in_time: remote,
            saved_us: remote * 2_500,
            stages,
            ..Share::default()
        };
        let round = SessionMark { frames, kinds: [("path", share)].into(), ..SessionMark::default() };
        Card { round, alone: None }
    }

    #[test]
    fn the_weakest_link_gets_the_advice() {
        for (card, word) in [
            (card(1_000, 0, 400, Some(20)), "this computer"),
            (card(1_000, 0, 0, Some(300)), "line"),
            (card(300, 700, 0, Some(20)), "workers"),
            (card(1_000, 0, 0, Some(20)), "went well"),
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
    }

    #[test]
    fn who_ends_a_round_alone_is_told_why_and_what_to_do() {
        let said = |card: Card| card.lines().pop().unwrap();
        for reason in [
            LocalReason::NoCoordinator,
            LocalReason::SwitchedOff,
            LocalReason::HourCap { cap: Nanos(7) },
            LocalReason::BalanceTooLow { available: Nanos(7) },
        ] {
            // Whatever was borrowed before.
            for remote in [0, 500] {
                let card = Card { alone: Some(reason.clone()), ..card(remote, 500, 0, None) };
                assert_eq!(said(card), alone::brief(&reason));
            }
        }
        assert_eq!(said(card(0, 500, 0, None)), NOTHING_BORROWED, "a dearer preset would help nobody");
    }

    #[test]
    fn the_table_says_who_did_how_much_in_columns_that_stand() {
        let lines = card(970, 30, 0, Some(20)).lines();
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
    fn workers_are_judged_by_what_was_asked_of_them_alone() {
        let workers = |share: Share| {
            let round = SessionMark { kinds: [("path", share)].into(), ..SessionMark::default() };
            Card { round, alone: None }.marks()[3].1
        };
        let asked = Share { remote: 95, owed: 100, owed_in_time: 95, ended: 100, ..Share::default() };
        assert_eq!(workers(asked), Some(95));
        // A kind that the player has computed here, and what the coordinator had in its cache.
        let besides = Share { local: 5_000, coordinator: 300, ended: 5_400, ..asked };
        assert_eq!(workers(besides), Some(95));
        let nothing_asked = Share { owed: 0, owed_in_time: 0, ..besides };
        assert_eq!(workers(nothing_asked), None, "nothing is known of them");
        let round = SessionMark { kinds: [("path", besides)].into(), ..SessionMark::default() };
        let lines = Card { round, alone: None }.lines();
        assert!(lines[lines.len() - 2].ends_with("workers 95 (asked 100)"), "{lines:?}");
    }

    #[test]
    fn the_line_is_judged_by_the_round_and_not_by_the_session() {
        let mut totals = OffloadTotals::default();
        let outcome = |uplink_us| Stages { uplink_us, downlink_us: uplink_us, ..Stages::default() };
        let kind = totals.kinds.entry("path").or_default();
        for _ in 0..100 {
            kind.stages.add(outcome(200_000));
        }
        let before = SessionMark::of(&totals, FrameCount::default());
        let of_round = |totals: &OffloadTotals| {
            Card::new(totals, &before, FrameCount::default(), &OffloadMode::Remote).marks()
        };
        assert_eq!(of_round(&totals)[1].1, None, "nothing has come in this round");
        totals.kinds.entry("path").or_default().stages.add(outcome(20_000));
        // 40 of the 400 ms at which there are no points; the session's mean would give 0.
        assert_eq!(of_round(&totals)[1].1, Some(90));
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
