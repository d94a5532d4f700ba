//! A built-in player for demos and tests.

use crate::arena::{Arena, TICK};
use crate::bullets::{Bullet, Shooter};
use crate::controls::Controls;
use crate::enemies::{Enemy, EnemyRole};
use crate::rocks::Rock;
use crate::ship::Ship;
use crate::vec2::Vec2;

/// Ticks for which it simulates a plan.
const HORIZON_TICKS: u32 = 48;
/// Ticks for which a plan's turn and thrust are held; after that the ship coasts.
const HELD_TICKS: u32 = 16;
/// Ticks between two dangers that are evaluated along a plan.
const LOOK_TICKS: u32 = 3;
/// Metres around the ship in which dangers count: what the fastest object can cross within the horizon.
const ATTENTION: f32 = 24.0;
/// Ticks without a visible enemy after which it searches for one, and shoots at rocks in between.
const PATIENCE_TICKS: u16 = 150;
/// Ticks after the end of a round before it starts the next one, so that a demo shows the end.
const RESTART_TICKS: u16 = 180;
/// Distance that it prefers to keep from the enemy it aims at, metres.
const RANGE: f32 = 13.0;
/// The same for an enemy with mirrors in front: from farther away the ship could not get behind it before it
/// has turned.
const RANGE_PLATED: f32 = 5.5;
/// Cost of each metre beyond [`RANGE`], and beyond [`RANGE_PLATED`].
const RANGE_COST: f32 = 0.06;
const RANGE_PLATED_COST: f32 = 0.2;
/// With more enemies than this, a missile is worth firing at any of them.
const MANY_ENEMIES: usize = 8;
/// Cost of being in front of a boss's mirrors.
const PLATES_COST: f32 = 2.5;

/// Plays decently and deterministically: its controls depend only on the arena and its own small state.
///
/// Each tick it tries nine plans (aim or turn, burn, coast or brake) in the arena's own flight model, adds up
/// the dangers each would meet, and takes the best one.
#[derive(Clone, Debug, Default)]
pub struct Autopilot {
    blind_ticks: u16,
    over_ticks: u16,
}

/// What a plan does with the heading.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Aim,
    Always(i8),
}

/// The dangers near the ship in one tick.
struct Dangers<'a> {
    rocks: Vec<&'a Rock>,
    enemies: Vec<&'a Enemy>,
    bullets: Vec<&'a Bullet>,
    half: f32,
    /// Weight of the dangers in a plan's cost.
    weight: f32,
}

/// The enemy it aims at.
#[derive(Clone, Copy)]
struct Target {
    position: Vec2,
    velocity: Vec2,
    radius: f32,
    /// Where it looks.
    heading: Vec2,
    /// Whether mirrors in front of it reflect bolts.
    plated: bool,
    /// Whether it takes many hits.
    tough: bool,
    visible: bool,
    /// Where to fly to get it into sight.
    lure: Vec2,
}

impl Autopilot {
    /// The controls for the next step of `arena`.
    pub fn controls(&mut self, arena: &Arena) -> Controls {
        if arena.is_over() {
            self.over_ticks = self.over_ticks.saturating_add(1);
            return Controls { restart: self.over_ticks >= RESTART_TICKS, ..Controls::default() };
        }
        self.over_ticks = 0;
        let ship = arena.ship();
        if !ship.alive {
            return Controls::default();
        }
        let target = pick_target(arena);
        let seen = target.is_none_or(|target| target.visible);
        self.blind_ticks = if seen { 0 } else { self.blind_ticks.saturating_add(1) };
        let hunting = self.blind_ticks >= PATIENCE_TICKS;
        let (turn, thrust) = plan(arena, target, hunting);
        let aim = target.map(|target| aim_at(arena, ship, target));
        let (fire, missile) = match (target, aim) {
            (Some(target), Some(aim)) => {
                let on_target = (target.visible || hunting) && on_target(arena, ship, target, aim);
                let thrown_back =
                    target.plated && -target.heading.dot(ship.heading) > arena.config().enemies.boss_plates;
                let worth_it = target.tough || arena.enemies().len() > MANY_ENEMIES;
                (on_target && !thrown_back, on_target && target.visible && worth_it)
            }
            _ => (false, false),
        };
        let turn = turn_now(arena, ship, turn, aim);
        Controls { turn, thrust, fire, missile, ..Controls::default() }
    }
}

/// The best of nine plans.
fn plan(arena: &Arena, target: Option<Target>, hunting: bool) -> (Turn, i8) {
    let dangers = Dangers::near(arena);
    let mut best = (f32::MAX, Turn::Aim, 0);
    // The first of equal plans wins, so aiming and coasting come first.
    for turn in [Turn::Aim, Turn::Always(1), Turn::Always(-1)] {
        for thrust in [0, 1, -1] {
            let cost = cost_of(arena, &dangers, target, hunting, turn, thrust);
            if cost < best.0 {
                best = (cost, turn, thrust);
            }
        }
    }
    (best.1, best.2)
}

/// The nearest enemy in sight, or the nearest one.
fn pick_target(arena: &Arena) -> Option<Target> {
    let from = arena.ship().position;
    let nearest = |visible: bool| {
        let mut best: Option<(f32, &Enemy)> = None;
        for enemy in arena.enemies() {
            let away = enemy.position.distance_squared(from);
            let nearer = best.is_none_or(|(least, _)| away < least);
            if nearer && !(visible && arena.rocks().iter().any(|rock| rock.blocks(from, enemy.position, 0.1)))
            {
                best = Some((away, enemy));
            }
        }
        best.map(|(_, enemy)| Target {
            position: enemy.position,
            velocity: enemy.velocity,
            radius: enemy.radius,
            heading: enemy.heading,
            plated: enemy.role == EnemyRole::Boss,
            tough: enemy.role.is_large(),
            visible,
            lure: lure_of(arena, enemy),
        })
    };
    nearest(true).or_else(|| nearest(false))
}

/// The point of the enemy's own path that is farthest from the ship and can be flown to straight, since the
/// enemy's path leads to it both ways. Without such a point, the enemy itself.
fn lure_of(arena: &Arena, enemy: &Enemy) -> Vec2 {
    let ship = arena.ship();
    let open = |point: &&Vec2| {
        !arena.rocks().iter().any(|rock| rock.blocks(ship.position, **point, ship.radius + 0.2))
    };
    enemy.waypoints().iter().find(open).copied().unwrap_or(enemy.position)
}

/// The direction in which a bullet fired now meets the target.
fn aim_at(arena: &Arena, ship: &Ship, target: Target) -> Vec2 {
    let speed = arena.config().ship.bullet_speed;
    let mut meets = target.position;
    // Each iteration improves the time of flight; two are within centimetres at these speeds.
    for _ in 0..2 {
        meets = target.position + target.velocity * (ship.position.distance(meets) / speed);
    }
    (meets - ship.position).unit_or(ship.heading)
}

/// Whether a bullet along the heading would pass through the target, and live long enough to get there.
fn on_target(arena: &Arena, ship: &Ship, target: Target, aim: Vec2) -> bool {
    let rules = &arena.config().ship;
    let distance = ship.position.distance(target.position);
    let reach = rules.bullet_speed * TICK * f32::from(rules.bullet_ticks);
    let astray = ship.heading.cross(aim);
    distance < reach
        && ship.heading.dot(aim) > 0.0
        && astray * astray * distance * distance < target.radius * target.radius
}

fn turn_now(arena: &Arena, ship: &Ship, turn: Turn, aim: Option<Vec2>) -> i8 {
    match (turn, aim) {
        (Turn::Always(side), _) => side,
        (Turn::Aim, None) => 0,
        (Turn::Aim, Some(aim)) => ship.turn_towards(&arena.config().ship, aim),
    }
}

/// A plan's cost: the dangers along it, and how bad its end is for shooting.
fn cost_of(
    arena: &Arena,
    dangers: &Dangers<'_>,
    target: Option<Target>,
    hunting: bool,
    turn: Turn,
    thrust: i8,
) -> f32 {
    let rules = &arena.config().ship;
    let mut ship = *arena.ship();
    let mut cost = 0.0;
    let mut aimed = 0.0;
    for tick in 1..=HORIZON_TICKS {
        let held = tick <= HELD_TICKS;
        let aim = target.map(|target| aim_at(arena, &ship, target));
        let controls = Controls {
            turn: turn_now(arena, &ship, if held { turn } else { Turn::Aim }, aim),
            thrust: if held { thrust } else { 0 },
            ..Controls::default()
        };
        ship.fly(rules, controls, arena.wells());
        if tick == HELD_TICKS {
            aimed = aim.map_or(0.0, |aim| ship.heading.dot(aim));
        }
        if tick % LOOK_TICKS == 0 {
            // Later dangers count less, since a later plan can still avoid them.
            let soon = 1.0 - 0.6 * tick as f32 / HORIZON_TICKS as f32;
            cost += dangers.at(&ship, tick as f32 * TICK) * soon;
        }
    }
    cost += ship.velocity.length_squared() * 0.004 - aimed * 1.5;
    if let Some(target) = target {
        if target.plated {
            let out = (ship.position - target.position).unit_or(target.heading);
            cost += (target.heading.dot(out) + 1.0) * PLATES_COST;
        }
        cost += if hunting {
            ship.position.distance(target.lure) * 0.4
        } else {
            let (range, metre) =
                if target.plated { (RANGE_PLATED, RANGE_PLATED_COST) } else { (RANGE, RANGE_COST) };
            (ship.position.distance(target.position) - range).max(0.0) * metre
        };
    }
    cost
}

impl<'a> Dangers<'a> {
    fn near(arena: &'a Arena) -> Self {
        let ship = arena.ship();
        let near = |at: Vec2| at.distance_squared(ship.position) < ATTENTION * ATTENTION;
        Self {
            rocks: arena.rocks().iter().filter(|rock| !rock.is_fragment() && near(rock.position)).collect(),
            enemies: arena.enemies().iter().filter(|enemy| near(enemy.position)).collect(),
            bullets: arena
                .bullets()
                .iter()
                .filter(|bullet| bullet.shooter != Shooter::Ship && near(bullet.position))
                .collect(),
            half: arena.config().size * 0.5,
            weight: if ship.invulnerable_ticks > HORIZON_TICKS as u16 { 0.3 } else { 1.0 },
        }
    }

    /// How bad it is to be where `ship` is, `seconds` from now.
    fn at(&self, ship: &Ship, seconds: f32) -> f32 {
        let mut cost = 0.0;
        for rock in &self.rocks {
            let position = rock.position + rock.velocity * seconds;
            let gap = ship.position.distance(position) - rock.radius - ship.radius;
            cost += closeness(gap, 1.6) * 4.0;
        }
        let wall = self.half - ship.radius - ship.position.x.abs().max(ship.position.y.abs());
        cost += closeness(wall, 2.0) * 2.0;
        for enemy in &self.enemies {
            // The enemy goes on as it flies now, and turns towards the ship as it gets near.
            let near = if enemy.role.is_large() { 2.5 } else { 4.5 };
            let speed = enemy.velocity.length();
            let homing = (ship.position - enemy.position).unit_or(enemy.heading) * speed;
            let position = enemy.position + (enemy.velocity + homing) * (0.5 * seconds);
            let gap = ship.position.distance(position) - enemy.radius - ship.radius;
            cost += closeness(gap, near) * 10.0;
        }
        for bullet in &self.bullets {
            let position = bullet.position + bullet.velocity * seconds;
            cost += closeness(ship.position.distance(position) - ship.radius, 1.4) * 12.0;
        }
        cost * self.weight
    }
}

/// 0 from `far` on, 1 at contact, more inside; rises steeply near contact.
fn closeness(gap: f32, far: f32) -> f32 {
    let near = (1.0 - gap / far).clamp(0.0, 1.6);
    near * near
}
