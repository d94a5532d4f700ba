//! Pieces that fly when a rock or an enemy breaks. They are only drawn; the rules do not know them.

use bevy::prelude::*;
use p2c2r_arena::ArenaEvent;

use super::field::Receiver;
use super::hulls::Hulls;
use super::shapes::VisualRng;
use super::{ViewSystems, place};
use crate::play::Happened;

/// Most pieces alive.
const PIECES_MAX: usize = 60;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (throw_pieces, move_pieces).chain().in_set(ViewSystems::Live));
}

/// A flying piece.
#[derive(Component)]
struct Piece {
    velocity: Vec3,
    spin: Vec3,
    size: f32,
    age: f32,
    life: f32,
}

fn throw_pieces(
    mut commands: Commands,
    mut happened: MessageReader<Happened>,
    hulls: Res<Hulls>,
    pieces: Query<(), With<Piece>>,
    mut dice: Local<Option<VisualRng>>,
) {
    let dice = dice.get_or_insert_with(|| VisualRng::new(5));
    let mut room = PIECES_MAX.saturating_sub(pieces.iter().count());
    for Happened(event) in happened.read() {
        let (at, size, count, material) = match *event {
            ArenaEvent::RockDestroyed { at, radius, .. } => (at, radius * 0.22, 8, &hulls.stone),
            ArenaEvent::EnemyDestroyed { at, .. } => (at, 0.26, 5, &hulls.metal),
            _ => continue,
        };
        for _ in 0..count.min(room) {
            room -= 1;
            let direction = dice.direction();
            let size = size * dice.within(0.5, 1.3);
            commands.spawn((
                Piece {
                    velocity: direction * dice.within(2.0, 8.0),
                    spin: Vec3::new(dice.within(-6.0, 6.0), dice.within(-6.0, 6.0), dice.within(-6.0, 6.0)),
                    size,
                    age: 0.0,
                    life: dice.within(0.7, 1.5),
                },
                Receiver::default(),
                Mesh3d(hulls.rocks.splinter((dice.unit() * 64.0) as usize)),
                MeshMaterial3d(material.clone()),
                Transform::from_translation(place(at, 0.2) + direction * size).with_scale(Vec3::splat(size)),
            ));
        }
    }
}

fn move_pieces(
    mut commands: Commands,
    time: Res<Time>,
    mut pieces: Query<(Entity, &mut Piece, &mut Transform)>,
) {
    let delta = time.delta_secs();
    for (entity, mut piece, mut transform) in &mut pieces {
        piece.age += delta;
        if piece.age >= piece.life {
            commands.entity(entity).despawn();
            continue;
        }
        transform.translation += piece.velocity * delta;
        transform.rotation = Quat::from_scaled_axis(piece.spin * delta) * transform.rotation;
        transform.scale = Vec3::splat(piece.size * (1.0 - (piece.age / piece.life).powi(3)));
    }
}
