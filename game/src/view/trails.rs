//! Trails of light behind the engines of ship, missiles and enemies, fading with age.

use std::collections::{HashMap, VecDeque};

use bevy::prelude::*;
use p2c2r_arena::{Ammunition, Arena, ArenaEvent, BulletId, EnemyId};

use super::bolts::engine_colours;
use super::camera::{DrawQuality, Eye};
use super::glow::{Lights, bright};
use super::{ViewSystems, place};
use crate::graphics::Quality;
use crate::play::{Battlefield, Happened};

/// Ticks from one point of a trail to the next, and points per trail.
const SPACING_TICKS: u64 = 3;
const POINTS: usize = 9;
/// Most enemies with trails: more could not be told apart, and the quads of a frame are limited.
const TRAILS_MAX: usize = 80;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Trails>()
        .add_systems(Update, follow_trails.in_set(ViewSystems::Live))
        .add_systems(Update, shine_trails.in_set(ViewSystems::Shine));
}

/// What leaves a trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Leaver {
    Ship,
    Enemy(EnemyId),
    Missile(BulletId),
}

/// One trail, the newest point first.
struct Trail {
    points: VecDeque<Vec3>,
    colour: LinearRgba,
    half_width: f32,
    /// When it last grew; a trail that no longer grows ends when its points expire.
    grown_at: u64,
}

#[derive(Resource, Default)]
struct Trails {
    all: HashMap<Leaver, Trail>,
    tick: u64,
}

impl Trails {
    fn grow(&mut self, leaver: Leaver, at: Vec3, colour: LinearRgba, half_width: f32) {
        if self.all.len() >= TRAILS_MAX && !self.all.contains_key(&leaver) {
            return;
        }
        let tick = self.tick;
        let trail = self.all.entry(leaver).or_insert_with(|| Trail {
            points: VecDeque::with_capacity(POINTS),
            colour,
            half_width,
            grown_at: tick,
        });
        (trail.colour, trail.half_width, trail.grown_at) = (colour, half_width, tick);
        trail.points.truncate(POINTS - 1);
        trail.points.push_front(at);
    }

    /// Adds the points of this tick.
    fn follow(&mut self, arena: &Arena, quality: Quality) {
        self.tick = arena.tick();
        let ship = arena.ship();
        if ship.alive && ship.thrusting {
            let strength = if ship.boosting { 1.1 } else { 0.45 };
            let tail = ship.position - ship.heading * (ship.radius * 1.3);
            self.grow(Leaver::Ship, place(tail, 0.02), bright(0.15, 0.45, 1.0, strength), 0.24);
        }
        for bullet in arena.bullets().iter().filter(|bullet| bullet.ammunition == Ammunition::Missile) {
            let colour = bright(1.0, 0.55, 0.2, 0.8);
            self.grow(Leaver::Missile(bullet.id), place(bullet.position, 0.22), colour, 0.16);
        }
        if quality == Quality::High {
            for enemy in arena.enemies() {
                let (_, colour) = engine_colours(enemy.role);
                let tail = enemy.position - enemy.heading * (enemy.radius * 0.9);
                self.grow(Leaver::Enemy(enemy.id), place(tail, 0.02), colour, enemy.radius * 0.24);
            }
        }
        // What is gone or has its engine off adds no points, and its oldest expire.
        let tick = self.tick;
        self.all.retain(|_, trail| {
            if trail.grown_at != tick {
                trail.points.pop_back();
            }
            !trail.points.is_empty()
        });
    }
}

fn follow_trails(
    battlefield: Res<Battlefield>,
    quality: Res<DrawQuality>,
    mut happened: MessageReader<Happened>,
    mut trails: ResMut<Trails>,
) {
    let ends = |Happened(event): &Happened| {
        matches!(
            event,
            ArenaEvent::SectorEntered { .. } | ArenaEvent::RoundStarted | ArenaEvent::ShipReturned { .. }
        )
    };
    if happened.read().filter(|event| ends(event)).count() > 0 {
        trails.all.clear();
    }
    let arena = &battlefield.arena;
    // A round restarted from a menu has no event; its ticks go on.
    if arena.tick() / SPACING_TICKS != trails.tick / SPACING_TICKS {
        trails.follow(arena, quality.0);
    }
}

fn shine_trails(trails: Res<Trails>, eye: Res<Eye>, mut lights: ResMut<Lights>) {
    for trail in trails.all.values() {
        for (index, (head, tail)) in trail.points.iter().zip(trail.points.iter().skip(1)).enumerate() {
            let left = 1.0 - (index + 1) as f32 / POINTS as f32;
            lights.0.beam(
                &eye,
                *head,
                *tail,
                trail.half_width * (0.4 + 0.6 * left),
                trail.colour * (left * left),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::{ArenaConfig, Controls};

    use super::*;

    #[test]
    fn trails_are_short_and_go_when_their_engines_stop() {
        let mut arena = Arena::new(ArenaConfig::default());
        let mut trails = Trails::default();
        for _ in 0..60 {
            arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
            trails.follow(&arena, Quality::Low);
        }
        assert_eq!(trails.all[&Leaver::Ship].points.len(), POINTS);
        for _ in 0..POINTS {
            arena.step(Controls::default(), &[]);
            trails.follow(&arena, Quality::Low);
        }
        assert!(trails.all.is_empty());
    }
}
