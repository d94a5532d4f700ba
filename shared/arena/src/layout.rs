//! Where rocks are when a round starts, and where new ones appear.

use crate::config::ArenaConfig;
use crate::dice::Dice;
use crate::field::Field;
use crate::rocks::{self, Rock};
use crate::vec2::Vec2;

/// Metres between the wall and a rock's centre: wide enough for enemies, which appear there, to fly all round
/// the arena.
const WALL_LANE: f32 = 6.5;
/// Tries at placing one rock before it is left out.
const TRIES_MAX: u32 = 20;

/// Distance that an enemy's centre keeps from a rock's edge on the grid; the slack keeps an enemy that cuts a
/// corner from scraping.
pub(crate) fn clearance(config: &ArenaConfig) -> f32 {
    config.enemies.radius + 0.1
}

/// Metres between neighbours in a reef, and at least between any two rocks: too little to fly through, enough
/// for the kind `physics` to see no contact.
const GAP: f32 = 0.125;
/// Candidates for a reef's start; more spread the reefs more evenly.
const ROOM_TRIES: u32 = 4;

/// A point of the lane along the wall, where enemies appear.
pub(crate) fn lane_point(config: &ArenaConfig, dice: &mut Dice) -> Vec2 {
    let inset = config.size * 0.5 - config.enemies.radius - 1.6;
    let along = dice.between(-inset, inset);
    let side = dice.sign() * inset;
    if dice.below(2) == 0 { Vec2::new(along, side) } else { Vec2::new(side, along) }
}

/// Where a rock is and how it drifts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// Centre, metres.
    pub(crate) position: Vec2,
    /// Radius, metres; one that the catalogue has.
    pub(crate) radius: f32,
    /// Metres per second.
    pub(crate) velocity: Vec2,
}

impl Site {
    pub(crate) fn of(rock: &Rock) -> Self {
        Self { position: rock.position, radius: rock.radius, velocity: rock.velocity }
    }

    /// Whether something of `radius` at `position` would be at least `gap` away.
    fn clears(&self, position: Vec2, radius: f32, gap: f32) -> bool {
        let reach = self.radius + radius + gap;
        self.position.distance_squared(position) >= reach * reach
    }
}

/// The rocks of a new round: reefs (bent chains of rocks that nearly touch and drift as one, so that heading
/// straight for the ship ends in hollows) and single rocks, most of them small. The centre is free, and an
/// enemy can get from the lane along the wall to the centre.
pub(crate) fn first_rocks(config: &ArenaConfig, field: &Field, dice: &mut Dice) -> Vec<Site> {
    let mut placed = Vec::new();
    for _ in 0..config.rocks.reefs {
        add_reef(config, field, dice, &mut placed);
    }
    // In a nearly full arena not every try finds a place.
    let count = config.rocks.count as usize;
    for _ in 0..count.saturating_sub(placed.len()) * 2 {
        if placed.len() == count {
            break;
        }
        placed.extend(single(config, field, dice, &placed, &[Vec2::ZERO]));
    }
    placed.truncate(count);
    let lane = Vec2::new(1.0, 1.0) * (config.enemies.radius + 1.6 - field.half);
    while !placed.is_empty() {
        let rocks = placed.iter().map(|site: &Site| (site.position, site.radius));
        if field.connected(&field.occupancy(rocks, clearance(config)), Vec2::ZERO, lane) {
            break;
        }
        placed.pop();
    }
    placed
}

fn add_reef(config: &ArenaConfig, field: &Field, dice: &mut Dice, placed: &mut Vec<Site>) {
    let rules = &config.rocks;
    let inside = field.half - WALL_LANE;
    let mut position = roomy_point(inside, dice, placed);
    let mut heading = dice.direction();
    let bend = Vec2::small_turn(dice.between(0.25, 0.5));
    let left = dice.below(2) == 0;
    if dice.below(4) > 0 {
        // Most reefs come in, pass the centre, and bend out again, so that their hollows open outwards, where
        // enemies come from.
        let out = position.unit_or(heading);
        let along = if left { -out.left() } else { out.left() };
        heading = (along - out).unit_or(heading);
    }
    let velocity = dice.direction() * (dice.share() * rules.drift / 3.0);
    let mut before = None;
    for _ in 0..rules.reef_rocks {
        let radius = dice.between((rules.radius_min + rules.radius_max) * 0.5, rules.radius_max);
        let radius = rocks::cut_radius(radius);
        position += heading * before.map_or(0.0, |before| before + radius + GAP * 1.01);
        before = Some(radius);
        let free = position.length() >= rules.clear_radius + radius
            && placed.iter().all(|site| site.clears(position, radius, GAP));
        if free && position.x.abs() <= inside && position.y.abs() <= inside {
            placed.push(Site { position, radius, velocity });
        }
        heading = if left { heading.turned(bend) } else { heading.turned_back(bend) };
    }
}

/// Of some random points, the one farthest from all rocks, so that reefs spread over the arena.
fn roomy_point(inside: f32, dice: &mut Dice, placed: &[Site]) -> Vec2 {
    let mut best = (-1.0, Vec2::ZERO);
    for _ in 0..ROOM_TRIES {
        let point = dice.point(inside);
        let room = placed.iter().map(|site| site.position.distance_squared(point)).fold(f32::MAX, f32::min);
        if room > best.0 {
            best = (room, point);
        }
    }
    best.1
}

/// A single rock: an enemy fits between it and any other rock, and it is not near the `shunned` points.
pub(crate) fn single(
    config: &ArenaConfig,
    field: &Field,
    dice: &mut Dice,
    placed: &[Site],
    shunned: &[Vec2],
) -> Option<Site> {
    let rules = &config.rocks;
    let gap = 2.0 * clearance(config) + 0.5 * field.cell_size();
    let found = (0..TRIES_MAX).find_map(|_| {
        let share = dice.share();
        let radius = rules.radius_min + (rules.radius_max - rules.radius_min) * share * share;
        let radius = rocks::cut_radius(radius);
        let position = dice.point(field.half - WALL_LANE);
        let far = radius + rules.clear_radius;
        let stands = placed.iter().all(|site| site.clears(position, radius, gap))
            && shunned.iter().all(|&other| position.distance_squared(other) >= far * far);
        stands.then_some((position, radius))
    });
    let (position, radius) = found?;
    let velocity = dice.direction() * (dice.share() * rules.drift);
    Some(Site { position, radius, velocity })
}
