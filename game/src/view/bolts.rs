//! Bullets as bolts of light, missiles, engine flames, pickups, and the ship's shield.

use bevy::prelude::*;
use p2c2r_arena::{Ammunition, EnemyRole, PickupKind, Shooter};

use super::camera::Eye;
use super::glow::{GlowShape, Lights, bright};
use super::{ViewSystems, between, place};
use crate::play::{Battlefield, TickShare};

/// Ticks before its end at which a pickup begins to blink.
const PICKUP_BLINKS: u16 = 180;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        Update,
        (shine_bolts, shine_engines, shine_pickups, shine_shield).in_set(ViewSystems::Shine),
    );
}

fn shine_bolts(battlefield: Res<Battlefield>, share: TickShare, eye: Res<Eye>, mut lights: ResMut<Lights>) {
    let lights = &mut lights.0;
    for bullet in battlefield.arena.bullets() {
        let position = place(between(bullet.previous, bullet.position, share.get()), 0.25);
        let direction = place(bullet.velocity.unit_or(p2c2r_arena::Vec2::FORWARD), 0.0);
        if bullet.ammunition == Ammunition::Missile {
            let tail = position - direction * 1.5;
            lights.beam(
                &eye,
                position - direction * 0.4,
                position + direction * 0.35,
                0.22,
                bright(0.9, 1.0, 1.0, 2.4),
            );
            lights.beam(&eye, tail, position - direction * 0.3, 0.3, bright(1.0, 0.6, 0.2, 1.8));
            lights.spot(&eye, GlowShape::Spot, position, 0.9, bright(0.9, 0.5, 0.15, 0.9));
            continue;
        }
        let (colour, halo, length) = match bullet.shooter {
            Shooter::Ship | Shooter::Wingman(_) => {
                (bright(0.45, 1.0, 1.0, 2.4), bright(0.05, 0.45, 0.9, 0.8), 1.3)
            }
            Shooter::Enemy(_) => (bright(1.0, 0.45, 0.75, 2.2), bright(0.9, 0.08, 0.35, 0.8), 0.85),
        };
        lights.beam(&eye, position - direction * length, position + direction * 0.3, 0.2, colour);
        lights.spot(&eye, GlowShape::Spot, position, 0.75, halo);
    }
}

/// Colours of an enemy's flame, and of the trail that it leaves.
pub(super) fn engine_colours(role: EnemyRole) -> (LinearRgba, LinearRgba) {
    let ((red, green, blue), flame, trail) = match role {
        EnemyRole::Rammer => ((1.0, 0.34, 0.08), 1.6, 0.5),
        EnemyRole::Gunner => ((0.8, 0.25, 1.0), 1.4, 0.45),
        EnemyRole::Carrier => ((1.0, 0.6, 0.1), 1.6, 0.5),
        EnemyRole::Boss => ((1.0, 0.12, 0.2), 1.8, 0.6),
    };
    (bright(red, green, blue, flame), bright(red, green, blue, trail))
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
        let (length, strength) = match (ship.boosting, ship.thrusting) {
            (true, _) => (3.2, 1.6),
            (false, true) => (1.7, 1.0),
            (false, false) => (0.35, 0.45),
        };
        let length = length * flicker(0.0);
        for side in [-1.0, 1.0] {
            let nozzle = centre - forward * 0.88 + right * (side * 0.24);
            lights.beam(
                &eye,
                nozzle + forward * 0.1,
                nozzle - forward * length,
                0.2,
                bright(0.35, 0.75, 1.0, 2.2 * strength),
            );
            lights.spot(&eye, GlowShape::Spot, nozzle, 0.42, bright(0.3, 0.6, 1.0, 1.1 * strength));
        }
        lights.flat(GlowShape::Spot, centre - Vec3::Y * 0.5, 3.4, bright(0.05, 0.14, 0.3, 0.55));
    }
    for enemy in battlefield.arena.enemies() {
        let forward =
            place(between(enemy.previous_heading, enemy.heading, share), 0.0).normalize_or(Vec3::NEG_Z);
        let centre = place(between(enemy.previous, enemy.position, share), 0.05);
        let (colour, _) = engine_colours(enemy.role);
        let tail = centre - forward * (enemy.radius * 0.8);
        let length = enemy.radius * 1.1 * flicker(enemy.id.0 as f32);
        lights.beam(&eye, tail, tail - forward * length, 0.2, colour);
        lights.spot(&eye, GlowShape::Spot, centre, enemy.radius * 2.3, colour * 0.13);
    }
}

/// Pickups: a ring on the plane, a core, and a symbol for each kind, so that they differ by more than colour.
/// They blink before they expire.
fn shine_pickups(battlefield: Res<Battlefield>, time: Res<Time>, eye: Res<Eye>, mut lights: ResMut<Lights>) {
    let lights = &mut lights.0;
    let pulse = 0.8 + 0.2 * (time.elapsed_secs() * 5.0).sin();
    for pickup in battlefield.arena.pickups() {
        if pickup.ticks_left < PICKUP_BLINKS && pickup.ticks_left / 10 % 2 == 1 {
            continue;
        }
        let centre = place(pickup.position, 0.3);
        let colour = match pickup.kind {
            PickupKind::Shield => bright(0.34, 0.71, 0.95, 1.5 * pulse),
            PickupKind::Hull => bright(0.0, 0.85, 0.5, 1.5 * pulse),
            PickupKind::Missiles => bright(1.0, 0.65, 0.1, 1.5 * pulse),
        };
        lights.flat(GlowShape::Ring, centre, 1.25, colour);
        lights.spot(&eye, GlowShape::Spot, centre, 1.0, colour * 0.5);
        let (right, ahead) = (Vec3::X * 0.5, Vec3::NEG_Z * 0.5);
        let mut bar =
            |from: Vec3, to: Vec3| lights.beam(&eye, centre + from, centre + to, 0.13, colour * 1.3);
        match pickup.kind {
            PickupKind::Hull => {
                bar(-right, right);
                bar(-ahead, ahead);
            }
            PickupKind::Missiles => {
                bar(right * 0.5 - ahead, right * 0.5 + ahead);
                bar(-right * 0.5 - ahead, -right * 0.5 + ahead);
            }
            PickupKind::Shield => {
                bar(-right + ahead * 0.5, ahead * -0.9);
                bar(right + ahead * 0.5, ahead * -0.9);
            }
        }
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
    if !ship.alive {
        return;
    }
    let centre = place(between(ship.previous, ship.position, share.get()), 0.1);
    let full = battlefield.arena.config().ship.shield.max(1);
    let left = f32::from(ship.shield) / f32::from(full);
    if left > 0.0 {
        lights.0.spot(&eye, GlowShape::Ring, centre, ship.radius * 2.3, bright(0.12, 0.4, 0.7, 0.28 * left));
    }
    if ship.invulnerable_ticks > 0 {
        let pulse = 0.55 + 0.25 * (time.elapsed_secs() * 9.0).sin();
        lights.0.spot(&eye, GlowShape::Ring, centre, ship.radius * 2.6, bright(0.3, 0.8, 1.0, pulse));
    }
}
