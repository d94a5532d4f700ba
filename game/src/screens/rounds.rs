//! Rounds: beginning one as the settings say, noticing its end, and the table of the best.

use std::time::{SystemTime, UNIX_EPOCH};

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use p2c2r_arena::{ArenaConfig, Difficulty};
use p2c2r_offload::OffloadTotals;
use serde::{Deserialize, Serialize};

use super::Page;
use super::marks::{Card, FrameCount, SessionMark};
use crate::play::{Battlefield, Pilot};
use crate::settings::{PlayerFile, Settings, UserFiles};

/// Rounds that are remembered of each difficulty.
const REMEMBERED: usize = 10;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Scores>()
        .init_resource::<LastRound>()
        .init_resource::<RoundBegan>()
        .add_systems(Update, notice_end);
}

/// What beginning a round changes.
#[derive(SystemParam)]
pub(super) struct Rounds<'w> {
    battlefield: ResMut<'w, Battlefield>,
    began: ResMut<'w, RoundBegan>,
    totals: Res<'w, OffloadTotals>,
    frames: Res<'w, FrameCount>,
}

/// Where the session stood when the round began, so that a round's own cost can be told.
#[derive(Resource)]
struct RoundBegan {
    difficulty: Difficulty,
    tick: u64,
    standing: SessionMark,
    /// Whether its end is still to be noticed.
    running: bool,
}

/// A run that begins in the fight goes through no menu: its first round is as hard as the settings say.
impl FromWorld for RoundBegan {
    fn from_world(world: &mut World) -> Self {
        let difficulty = world.get_resource_or_init::<Settings>().difficulty;
        Self { difficulty, tick: 0, standing: SessionMark::default(), running: false }
    }
}

/// The round that ended last.
#[derive(Resource, Clone, Debug, Default)]
pub struct LastRound {
    /// How it ended.
    pub round: Round,
    /// How hard it was.
    pub difficulty: Difficulty,
    /// What it borrowed.
    pub card: Card,
    /// Its place among the best, from 1, if it is among them.
    pub place: Option<usize>,
}

/// A round in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Points.
    pub score: u64,
    /// The wave that was reached.
    pub wave: u32,
    /// Seconds of play.
    pub seconds: u64,
    /// What it cost in nano-dollars.
    pub cost_nanos: i64,
}

/// The best rounds, by difficulty, the best first.
#[derive(Resource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    cadet: Vec<Round>,
    pilot: Vec<Round>,
    ace: Vec<Round>,
}

impl PlayerFile for Scores {
    const FILE: &'static str = "scores.toml";
    const WHAT: &'static str = "scores";

    fn read(file: &toml::Table) -> Result<Self, String> {
        let mut scores: Self = file.clone().try_into().map_err(|error| error.message().to_owned())?;
        for difficulty in Difficulty::ALL {
            let table = scores.table_mut(difficulty);
            table.sort_by_key(|round| std::cmp::Reverse(round.score));
            table.truncate(REMEMBERED);
        }
        Ok(scores)
    }

    fn written(&self) -> Result<toml::Table, String> {
        toml::Table::try_from(self).map_err(|error| error.to_string())
    }
}

impl Scores {
    /// The best of a difficulty.
    pub fn table(&self, difficulty: Difficulty) -> &[Round] {
        match difficulty {
            Difficulty::Cadet => &self.cadet,
            Difficulty::Pilot => &self.pilot,
            Difficulty::Ace => &self.ace,
        }
    }

    fn table_mut(&mut self, difficulty: Difficulty) -> &mut Vec<Round> {
        match difficulty {
            Difficulty::Cadet => &mut self.cadet,
            Difficulty::Pilot => &mut self.pilot,
            Difficulty::Ace => &mut self.ace,
        }
    }

    /// Enters a round and returns its place from 1, if it is among the best. Of equal scores the older stays ahead.
    pub fn enter(&mut self, difficulty: Difficulty, round: Round) -> Option<usize> {
        let table = self.table_mut(difficulty);
        let place = table.partition_point(|other| other.score >= round.score);
        if round.score == 0 || place >= REMEMBERED {
            return None;
        }
        table.insert(place, round);
        table.truncate(REMEMBERED);
        Some(place + 1)
    }
}

impl Rounds<'_> {
    /// Begins a round at the difficulty of the settings, in a sector that nobody has seen.
    pub(super) fn begin(&mut self, settings: &Settings) {
        let base = ArenaConfig::of(settings.difficulty).with_allies(settings.allies.count());
        self.battlefield.arena.begin(ArenaConfig { seed: fresh_seed(), ..base });
        *self.began = RoundBegan {
            difficulty: settings.difficulty,
            tick: self.battlefield.arena.tick(),
            standing: SessionMark::of(&self.totals, *self.frames),
            running: true,
        };
    }

    /// Ends the round without its being counted.
    pub(super) fn give_up(&mut self) {
        self.began.running = false;
    }
}

/// Time is as good as chance here: nobody gains by choosing a sector.
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
}

/// Goes to the page for it when a round has ended, and away from it when the next has begun by itself, as the
/// autopilot's does.
fn notice_end(
    page: Res<State<Page>>,
    battlefield: Res<Battlefield>,
    totals: Res<OffloadTotals>,
    pilot: Res<Pilot>,
    frames: Res<FrameCount>,
    mut began: ResMut<RoundBegan>,
    mut scores: ResMut<Scores>,
    mut last: ResMut<LastRound>,
    mut files: ResMut<UserFiles>,
    mut next: ResMut<NextState<Page>>,
) {
    let arena = &battlefield.arena;
    match (*page.get(), arena.is_over()) {
        (Page::Play, true) => {
            let round = Round {
                score: arena.score(),
                wave: arena.wave(),
                seconds: arena.tick().saturating_sub(began.tick) / u64::from(p2c2r_arena::TICKS_PER_SECOND),
                cost_nanos: totals.cost_nanos.0 - began.standing.cost,
            };
            // What the game flew itself is no score of the player's.
            let counts = began.running && matches!(*pilot, Pilot::Gamer);
            let place = if counts { scores.enter(began.difficulty, round.clone()) } else { None };
            if place.is_some() {
                files.save(&*scores);
            }
            let card = Card::new(&totals, &began.standing, *frames);
            *last = LastRound { round, difficulty: began.difficulty, card, place };
            began.running = false;
            next.set(Page::RoundOver);
        }
        (Page::RoundOver, false) => {
            began.tick = arena.tick();
            began.standing = SessionMark::of(&totals, *frames);
            next.set(Page::Play);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(score: u64) -> Round {
        Round { score, ..Round::default() }
    }

    #[test]
    fn the_best_ten_are_kept_in_order_and_equal_ones_by_age() {
        let mut scores = Scores::default();
        assert_eq!(scores.enter(Difficulty::Cadet, round(0)), None, "nothing was scored");
        for score in [50, 90, 10, 70] {
            scores.enter(Difficulty::Cadet, round(score));
        }
        assert_eq!(scores.enter(Difficulty::Cadet, round(70)), Some(3));
        for score in 100..110 {
            assert_eq!(scores.enter(Difficulty::Cadet, round(score)), Some(1));
        }
        assert_eq!(scores.enter(Difficulty::Cadet, round(60)), None);
        let kept: Vec<u64> = scores.table(Difficulty::Cadet).iter().map(|round| round.score).collect();
        assert_eq!(kept, (100..110).rev().collect::<Vec<_>>());
        assert!(scores.table(Difficulty::Ace).is_empty());
    }
}
