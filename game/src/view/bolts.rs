//! Bullets as bolts of light, engine flames, and the shield of a ship that nothing can hurt.

use bevy::prelude::*;
use p2c2r_arena::{EnemyRole, Shooter};

use super::camera::Eye;
use super::glow::{Lights, Shape, bright};
use super::{ViewSystems, between, place};
use crate::play::{Battlefield, TickShare};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (shine_bolts, shine_engines, shine_shield).in_set(ViewSystems::Shine));
}

fn shine_bolts(battlefield: Res<Battlefield>, share: TickShare, eye: Res<Eye>, mut lights: ResMut<Lights>) {
    let lights = &mut lights.0;
    for bullet in battlefield.arena.bullets() {
        let position = place(between(bullet.previous, bullet.position, share.get()), 0.25);
        let direction = place(bullet.velocity.unit_or(p2c2r_arena::Vec2::FORWARD), 0.0);
        let (colour, halo, length) = match bullet.shooter {
            Shooter::Ship => (bright(0.45, 1.0, 1.0, 2.4), bright(0.05, 0.45, 0.9, 0.8), 1.3),
            Shooter::Enemy(_) => (bright(1.0, 0.45, 0.75, 2.2), bright(0.9, 0.08, 0.35, 0.8), 0.85),
        };
        lights.beam(&eye, position - direction * length, position + direction * 0.3, 0.2, colour);
        lights.spot(&eye, Shape::Spot, position, 0.75, halo);
    }
}

fn shine_engines(
    battlefield: Res<Battlefield>,
    share: TickShare,
    time: Res<Time>,
    eye: Res<Eye>,
    mut lights: ResMut<Lights>,
) {
    let lights = &mut lights.0;
    let share = share.get();
    let flicker = |phase: f32| 0.85 + 0.15 * (time.elapsed_secs() * 61.0 + phase * 7.0).sin();
    let ship = battlefield.arena.ship();
    if ship.alive {
        let forward =
            place(between(ship.previous_heading, ship.heading, share), 0.0).normalize_or(Vec3::NEG_Z);
        let right = forward.cross(Vec3::Y);
        let centre = place(between(ship.previous, ship.position, share), 0.05);
        let length = if ship.thrusting { 1.7 } else { 0.35 } * flicker(0.0);
        let strength = if ship.thrusting { 1.0 } else { 0.45 };
        for side in [-1.0, 1.0] {
            let nozzle = centre - forward * 0.88 + right * (side * 0.24);
            lights.beam(
                &eye,
                nozzle + forward * 0.1,
                nozzle - forward * length,
                0.2,
                bright(0.35, 0.75, 1.0, 2.2 * strength),
            );
            lights.spot(&eye, Shape::Spot, nozzle, 0.42, bright(0.3, 0.6, 1.0, 1.1 * strength));
        }
        lights.flat(Shape::Spot, centre - Vec3::Y * 0.5, 3.4, bright(0.05, 0.14, 0.3, 0.55));
    }
    for enemy in battlefield.arena.enemies() {
        let forward =
            place(between(enemy.previous_heading, enemy.heading, share), 0.0).normalize_or(Vec3::NEG_Z);
        let centre = place(between(enemy.previous, enemy.position, share), 0.05);
        let colour = match enemy.role {
            EnemyRole::Rammer => bright(1.0, 0.34, 0.08, 1.6),
            EnemyRole::Gunner => bright(0.8, 0.25, 1.0, 1.4),
        };
        let tail = centre - forward * (enemy.radius * 0.8);
        let length = enemy.radius * 1.1 * flicker(enemy.id.0 as f32);
        lights.beam(&eye, tail, tail - forward * length, 0.2, colour);
        lights.spot(&eye, Shape::Spot, centre, enemy.radius * 2.3, colour * 0.13);
    }
}

fn shine_shield(
    battlefield: Res<Battlefield>,
    share: TickShare,
    time: Res<Time>,
    eye: Res<Eye>,
    mut lights: ResMut<Lights>,
) {
    let ship = battlefield.arena.ship();
    if ship.alive && ship.invulnerable_ticks > 0 {
        let centre = place(between(ship.previous, ship.position, share.get()), 0.1);
        let pulse = 0.55 + 0.25 * (time.elapsed_secs() * 9.0).sin();
        lights.0.spot(&eye, Shape::Ring, centre, ship.radius * 2.6, bright(0.3, 0.8, 1.0, pulse));
    }
}
