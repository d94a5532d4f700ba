//! Where rocks stand when a round starts, and where new ones appear.

use crate::config::ArenaConfig;
use crate::dice::Dice;
use crate::field::Field;
use crate::rocks::Rock;
use crate::vec2::Vec2;

/// Metres between the wall and a rock's centre: wide enough for enemies to fly all round the arena, which is
/// where they appear.
const WALL_LANE: f32 = 6.5;
/// Tries at placing one rock before it is left out.
const TRIES_MAX: u32 = 20;

/// Distance that an enemy's centre keeps from a rock's edge on the grid; the slack keeps a follower that cuts
/// a corner from scraping.
pub(crate) fn clearance(config: &ArenaConfig) -> f32 {
    config.enemies.radius + 0.1
}

/// Points among which a reef's start is chosen; more spread the reefs more evenly.
const ROOM_TRIES: u32 = 4;

/// A point of the lane along the wall, where enemies appear.
pub(crate) fn lane_point(config: &ArenaConfig, dice: &mut Dice) -> Vec2 {
    let inset = config.size * 0.5 - config.enemies.radius - 1.6;
    let along = dice.between(-inset, inset);
    let side = dice.sign() * inset;
    if dice.below(2) == 0 { Vec2::new(along, side) } else { Vec2::new(side, along) }
}

/// Positions and radii of the rocks of a new round: reefs, that is, bent chains whose rocks overlap, so that
/// going straight at the ship ends in hollows; and single rocks. The centre is free, and an enemy can get
/// from the lane along the wall to the centre.
pub(crate) fn first_rocks(config: &ArenaConfig, field: &Field, dice: &mut Dice) -> Vec<(Vec2, f32)> {
    let mut placed = Vec::new();
    for _ in 0..config.rocks.reefs {
        add_reef(config, field, dice, &mut placed);
    }
    for _ in 0..config.rocks.singles {
        placed.extend(single(config, field, dice, &placed, &[Vec2::ZERO]));
    }
    let lane = Vec2::new(1.0, 1.0) * (config.enemies.radius + 1.6 - field.half);
    while !placed.is_empty() {
        let rocks: Vec<Rock> =
            placed.iter().map(|&(position, radius)| Rock::mock(position, radius)).collect();
        if field.connected(&field.occupancy(&rocks, clearance(config)), Vec2::ZERO, lane) {
            break;
        }
        placed.pop();
    }
    placed
}

fn add_reef(config: &ArenaConfig, field: &Field, dice: &mut Dice, placed: &mut Vec<(Vec2, f32)>) {
    let rules = &config.rocks;
    let inside = field.half - WALL_LANE;
    let mut position = roomy_point(inside, dice, placed);
    let mut heading = dice.direction();
    let bend = Vec2::small_turn(dice.between(0.25, 0.5));
    let left = dice.below(2) == 0;
    if dice.below(4) > 0 {
        // Most reefs come in, pass the centre by, and bend out again, so that their hollows open outwards,
        // where enemies come from.
        let out = position.unit_or(heading);
        let along = if left { -out.left() } else { out.left() };
        heading = (along - out).unit_or(heading);
    }
    for _ in 0..rules.reef_rocks {
        let radius = dice.between((rules.radius_min + rules.radius_max) * 0.5, rules.radius_max);
        let free = position.length() >= rules.clear_radius + radius;
        if free && position.x.abs() <= inside && position.y.abs() <= inside {
            placed.push((position, radius));
        }
        position += heading * (radius * 1.5);
        heading = if left { heading.turned(bend) } else { heading.turned_back(bend) };
    }
}

/// Of some points that chance offers, the one farthest from all rocks, so that reefs spread over the arena.
fn roomy_point(inside: f32, dice: &mut Dice, placed: &[(Vec2, f32)]) -> Vec2 {
    let mut best = (-1.0, Vec2::ZERO);
    for _ in 0..ROOM_TRIES {
        let point = dice.point(inside);
        let room = placed.iter().map(|(rock, _)| rock.distance_squared(point)).fold(f32::MAX, f32::min);
        if room > best.0 {
            best = (room, point);
        }
    }
    best.1
}

/// A rock on its own: between it and any other, an enemy fits through; `shunned` points are not near.
pub(crate) fn single(
    config: &ArenaConfig,
    field: &Field,
    dice: &mut Dice,
    placed: &[(Vec2, f32)],
    shunned: &[Vec2],
) -> Option<(Vec2, f32)> {
    let rules = &config.rocks;
    let gap = 2.0 * clearance(config) + 2.0 * field.cell_size();
    (0..TRIES_MAX).find_map(|_| {
        let radius = dice.between(rules.radius_min, rules.radius_max);
        let position = dice.point(field.half - WALL_LANE);
        let apart = |other: Vec2, distance: f32| position.distance_squared(other) >= distance * distance;
        let stands = placed.iter().all(|&(other, size)| apart(other, radius + size + gap))
            && shunned.iter().all(|&other| apart(other, radius + rules.clear_radius));
        stands.then_some((position, radius))
    })
}
