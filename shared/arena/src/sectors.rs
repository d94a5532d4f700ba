//! Sectors: the places to which a round moves on after some waves, and the warp between them. `assets/sectors.toml`
//! lists their designs.
//!
//! A sector's layout follows from its seed and its design alone, so that its light can be baked ahead and is
//! the same for every gamer. A round's seed and the sector's number choose the seed out of [`GALAXY`].

use serde::Deserialize;

use crate::arena::Arena;
use crate::balance::BALANCE;
use crate::config::ArenaConfig;
use crate::dice::Dice;
use crate::events::ArenaEvent;
use crate::layout::{self, Site};
use crate::record::{Record, Recorded};
use crate::rocks::{self, Rock};
use crate::vec2::Vec2;
use crate::wells::Well;

/// Number of seeds for sectors after the first of a round. Few enough that a gamer often finds a sector's
/// light already baked for another, many enough that a player rarely sees one twice.
const GALAXY: u64 = 256;
/// Least ticks from the jump to the next wave.
const ARRIVAL_TICKS: u16 = 50;
/// Ticks for which nothing can hurt a ship that has just arrived: before the jump the player could not see the rocks ahead.
const ARRIVAL_MERCY_TICKS: u16 = 75;
/// Distance from a well within which no rock starts, metres; also the least distance of a well from the
/// centre and the walls.
const WELL_CLEAR: f32 = 5.0;
const WELL_FROM_CENTRE: f32 = 14.0;
const WELL_FROM_WALL: f32 = 12.0;
/// Candidates for a well's place, of which the one farthest from others is taken.
const WELL_TRIES: u32 = 24;

/// The design of a sector.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectorPlan {
    /// Its name.
    pub name: String,
    /// Colour of its star's light: red, green and blue of 255.
    pub star: [u8; 3],
    /// Factor on the number of rocks.
    pub rocks: f32,
    /// Factor on the number of reefs.
    pub reefs: f32,
    /// Factor on the speed at which rocks drift.
    pub drift: f32,
    /// Gravity wells.
    pub wells: u32,
}

/// The sector in which a round is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sector {
    /// Its number in the round, from 1.
    pub number: u32,
    /// The seed it is made from.
    pub seed: u64,
    pub(crate) wells: Vec<Well>,
}

impl Sector {
    /// Its design.
    pub fn plan(&self) -> &'static SectorPlan {
        let plans = &BALANCE.sectors;
        &plans[self.number.saturating_sub(1) as usize % plans.len()]
    }
}

/// Seed of a sector, from the round's seed, the number of restarts, and the sector's number.
fn seed_of(seed: u64, round: u32, number: u32) -> u64 {
    if round == 0 && number == 1 {
        return seed;
    }
    // SplitMix64's finaliser (Steele, Lea and Flood 2014), so that consecutive numbers give unrelated seeds.
    let mut mixed = seed ^ ((u64::from(round) << 32) | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % GALAXY
}

/// The configuration by which the rocks of a sector of this design are placed, on entry and later.
pub(crate) fn numbers_in(config: &ArenaConfig, plan: &SectorPlan) -> ArenaConfig {
    let mut config = config.clone();
    let rules = &mut config.rocks;
    rules.count = (rules.count as f32 * plan.rocks) as u32;
    rules.reefs = (rules.reefs as f32 * plan.reefs) as u32;
    rules.drift *= plan.drift;
    config.clamped()
}

impl Arena {
    /// The sector in which the round is.
    pub fn sector(&self) -> &Sector {
        &self.sector
    }

    /// The sector to which the next warp leads, without its wells, which are placed on entry.
    pub fn next_sector(&self) -> Sector {
        let number = self.sector.number.saturating_add(1);
        Sector { number, seed: seed_of(self.config.seed, self.round, number), wells: Vec::new() }
    }

    /// Ticks to the jump into the next sector; `None` while no warp has begun.
    pub fn warp_ticks(&self) -> Option<u16> {
        (self.warp_ticks > 0).then_some(self.warp_ticks)
    }

    /// The rocks of the present sector as they were on entry, but numbered from 1, so that their forms depend on the
    /// sector alone and not on how many rocks there were before.
    pub fn rocks_at_entrance(&self) -> Vec<Rock> {
        let mut fresh = Self { rocks: Vec::new(), ..self.clone() };
        fresh.last_rock = 0;
        fresh.enter_sector(self.sector.number);
        fresh.rocks
    }

    /// Makes the sector of this number of the round: its wells and rocks. Bullets and pickups are dropped.
    pub(crate) fn enter_sector(&mut self, number: u32) {
        let seed = seed_of(self.config.seed, self.round, number);
        self.sector = Sector { number, seed, wells: Vec::new() };
        let plan = self.sector.plan();
        let config = numbers_in(&self.config, plan);
        // A sector has its own dice, so that earlier throws do not change it.
        let dice = std::mem::replace(&mut self.dice, Dice::new(seed));
        self.bullets.clear();
        self.pickups.clear();
        self.rocks.clear();
        let sites = layout::first_rocks(&config, &self.field, &mut self.dice);
        for _ in 0..plan.wells {
            let position = self.well_place();
            self.sector.wells.push(Well::new(&self.config.sectors, position));
        }
        for site in sites {
            if let Some(site) = self.circling(site) {
                self.add_tumbling_rock(site, [0.0; 3]);
            }
        }
        self.dice = dice;
        self.first_rock_area = rocks::area(&self.rocks);
        self.pathing.begin_round();
        self.planning.begin_round();
        self.windows.begin_round(self.tick, self.config.physics.window_ticks(self.horizon.motions));
    }

    /// The site of a new rock with the velocity that has it circle the nearest well: a rock that does not circle would
    /// soon fall in. `None` if the site is too near to that well.
    pub(crate) fn circling(&self, mut site: Site) -> Option<Site> {
        let Some(well) = nearest(&self.sector.wells, site.position) else { return Some(site) };
        let out = site.position - well.position;
        if out.length() < WELL_CLEAR + site.radius {
            return None;
        }
        site.velocity += out.unit_or(Vec2::FORWARD).left() * well.circling_speed(out.length());
        Some(site)
    }

    fn well_place(&mut self) -> Vec2 {
        let inside = (self.field.half - WELL_FROM_WALL).max(0.0);
        let mut best = (-1.0, Vec2::ZERO);
        for _ in 0..WELL_TRIES {
            let place = self.dice.point(inside);
            let others = self.sector.wells.iter().map(|well| well.position.distance(place));
            let room = others.fold(self.field.half, f32::min);
            if place.length() >= WELL_FROM_CENTRE.min(inside) && room > best.0 {
                best = (room, place);
            }
        }
        // In an arena so small that no try finds a place, the well is at a side.
        if best.0 < 0.0 { Vec2::new(inside, 0.0) } else { best.1 }
    }

    /// Whether the wave that has just been cleared was the sector's last.
    fn ends_sector(&self) -> bool {
        let waves = self.config.sectors.waves;
        waves > 0 && self.wave > 0 && self.wave.is_multiple_of(waves)
    }

    /// Begins the warp to the next sector if the wave that was cleared was this one's last.
    pub(crate) fn begin_warp(&mut self, events: &mut Vec<ArenaEvent>) {
        if !self.ends_sector() {
            return;
        }
        self.warp_ticks = self.config.sectors.warp_ticks;
        self.wave_pause_ticks = self.wave_pause_ticks.max(self.warp_ticks + ARRIVAL_TICKS);
        events.push(ArenaEvent::WarpStarted { ticks: self.warp_ticks });
    }

    /// Counts down to the jump, and jumps.
    pub(crate) fn go_on_warping(&mut self, events: &mut Vec<ArenaEvent>) {
        if self.warp_ticks == 0 {
            return;
        }
        self.warp_ticks -= 1;
        if self.warp_ticks > 0 {
            return;
        }
        self.take_all_pickups(events);
        self.ship.position = Vec2::ZERO;
        self.ship.previous = Vec2::ZERO;
        self.ship.invulnerable_ticks = self.ship.invulnerable_ticks.max(ARRIVAL_MERCY_TICKS);
        self.gather_wingmen();
        self.enter_sector(self.sector.number.saturating_add(1));
        events.push(ArenaEvent::SectorEntered { sector: self.sector.number });
    }
}

fn nearest(wells: &[Well], place: Vec2) -> Option<&Well> {
    wells
        .iter()
        .min_by(|a, b| a.position.distance_squared(place).total_cmp(&b.position.distance_squared(place)))
}

impl Recorded for Sector {
    fn record(&self, record: &mut Record) {
        let Self { number, seed, wells } = self;
        record.add(number);
        record.add(seed);
        record.list(wells);
    }
}
