//! Rounds: beginning one as the settings say, and noticing its end.

use std::time::{Duration, SystemTime};

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use p2c2r_arena::{ArenaConfig, ArenaEvent, Difficulty, Harm};
use p2c2r_offload::{OffloadState, OffloadTotals};

use super::Page;
use super::marks::{Card, FrameCount, SessionMark};
use super::scores::{Borrowed, Round, Scores, TableShown, day};
use crate::play::{Battlefield, Happened, Pilot};
use crate::presets::Chosen;
use crate::settings::{Settings, UserFiles};

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Scores>()
        .init_resource::<LastRound>()
        .init_resource::<TableShown>()
        .init_resource::<RoundBegan>()
        .add_systems(Update, (note_pilot, notice_end).chain());
}

/// The resources that beginning a round reads and changes.
#[derive(SystemParam)]
pub(super) struct Rounds<'w> {
    battlefield: ResMut<'w, Battlefield>,
    began: ResMut<'w, RoundBegan>,
    pilot: ResMut<'w, Pilot>,
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
    /// Whether somebody other than the player has flown in it.
    flew_itself: bool,
    /// Whether the run was started to steer itself.
    run_steers_itself: bool,
}

/// A run that begins in the fight goes through no menu: its first round is as hard as the settings say.
impl FromWorld for RoundBegan {
    fn from_world(world: &mut World) -> Self {
        let difficulty = world.get_resource_or_init::<Settings>().difficulty;
        let run_steers_itself = !matches!(&*world.get_resource_or_init::<Pilot>(), Pilot::Gamer);
        let standing = SessionMark::default();
        Self { difficulty, tick: 0, standing, running: false, flew_itself: false, run_steers_itself }
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
    /// What destroyed the last ship, where that is known.
    pub by: Option<Harm>,
    /// Whether somebody other than the player has flown in it.
    pub flew_itself: bool,
}

impl Rounds<'_> {
    /// Begins a round at the difficulty of the settings, in a sector that nobody has seen. The ship is the player's again,
    /// unless the run was started to steer itself.
    pub(super) fn begin(&mut self, settings: &Settings) {
        let base = ArenaConfig::of(settings.difficulty).with_allies(settings.allies.count());
        self.battlefield.arena.begin(ArenaConfig { seed: fresh_seed(), ..base });
        *self.began = RoundBegan {
            difficulty: settings.difficulty,
            tick: self.battlefield.arena.tick(),
            standing: SessionMark::of(&self.totals, *self.frames),
            running: true,
            flew_itself: false,
            run_steers_itself: self.began.run_steers_itself,
        };
        if !self.began.run_steers_itself {
            *self.pilot = Pilot::Gamer;
        }
    }

    /// Ends the round without its being counted.
    pub(super) fn give_up(&mut self) {
        self.began.running = false;
    }
}

/// How long the player sees the last ship explode before the page of the round's end covers it.
const LAST_LOOK: Duration = Duration::from_millis(1_300);

/// Seeds of a player's rounds are below this, so that a seed is short enough to be typed.
const SEEDS: u64 = 1_000_000_000;

/// Time is as good as chance here: nobody gains by choosing a sector.
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
        % SEEDS
}

/// A round counts only if the player has flown all of it: the autopilot may be switched off again before its end.
fn note_pilot(page: Res<State<Page>>, pilot: Res<Pilot>, mut began: ResMut<RoundBegan>) {
    began.flew_itself |= *page.get() == Page::Play && !matches!(*pilot, Pilot::Gamer);
}

/// Records a round that has ended, and goes to its page after a last look at the fight. Leaves that page when the next
/// round has begun by itself, as the autopilot's does.
fn notice_end(
    page: Res<State<Page>>,
    battlefield: Res<Battlefield>,
    totals: Res<OffloadTotals>,
    pilot: Res<Pilot>,
    (frames, chosen, offload, time): (Res<FrameCount>, Res<Chosen>, Res<OffloadState>, Res<Time<Real>>),
    (mut happened, mut by): (MessageReader<Happened>, Local<Option<Harm>>),
    mut looks: Local<Option<Duration>>,
    mut began: ResMut<RoundBegan>,
    (mut scores, mut shown): (ResMut<Scores>, ResMut<TableShown>),
    mut last: ResMut<LastRound>,
    mut files: ResMut<UserFiles>,
    mut next: ResMut<NextState<Page>>,
) {
    let arena = &battlefield.arena;
    for Happened(event) in happened.read() {
        if let ArenaEvent::ShipLost { by: what, .. } = event {
            *by = Some(*what);
        }
    }
    if !arena.is_over() {
        *looks = None;
    }
    match (*page.get(), *looks, arena.is_over()) {
        (Page::Play, None, true) => {
            let card = Card::new(&totals, &began.standing, *frames, &offload.mode);
            let round = Round {
                score: arena.score(),
                wave: arena.wave(),
                seconds: arena.tick().saturating_sub(began.tick) / u64::from(p2c2r_arena::TICKS_PER_SECOND),
                cost_nanos: totals.cost_nanos.0 - began.standing.cost,
                date: day(SystemTime::now()),
                borrowed: Some(Borrowed { preset: chosen.preset.name(), percent: card.borrowed_percent() }),
                seed: Some(arena.config().seed),
            };
            let (difficulty, flew_itself) = (began.difficulty, began.flew_itself);
            let counts = began.running && !flew_itself;
            let place = if counts { scores.enter(difficulty, round.clone()) } else { None };
            if place.is_some() {
                files.save(&*scores);
            }
            *shown = TableShown(Some(difficulty));
            *last = LastRound { round, difficulty, card, place, by: by.take(), flew_itself };
            began.running = false;
            let left = if matches!(*pilot, Pilot::Gamer) { LAST_LOOK } else { Duration::ZERO };
            *looks = Some(left);
            if left.is_zero() {
                next.set(Page::RoundOver);
            }
        }
        (Page::Play, Some(left), true) => {
            *looks = Some(left.saturating_sub(time.delta()));
            if left <= time.delta() {
                next.set(Page::RoundOver);
            }
        }
        (Page::RoundOver, _, false) => {
            began.tick = arena.tick();
            began.standing = SessionMark::of(&totals, *frames);
            began.flew_itself = false;
            next.set(Page::Play);
        }
        _ => {}
    }
}
