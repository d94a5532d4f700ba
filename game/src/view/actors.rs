//! Keeps one entity per ship, wingman, enemy and rock of the arena, and interpolates it between the arena's
//! last two ticks.

use std::hash::Hash;

// Looked up for every rock in every frame: its hash takes less time than the standard library's.
use bevy::platform::collections::HashMap;
use bevy::prelude::*;
use p2c2r_arena::{Enemy, EnemyId, Rock, RockId, Wingman, WingmanId};

use super::field::Receiver;
use super::hulls::{Hull, Hulls};
use super::ship_mirrors::Mirrors;
use super::{ViewSystems, between, facing, place};
use crate::play::{Battlefield, MirroredShip, TickShare, is_ore};

/// Factor from the circle of the rules to the drawn hull.
const HULL_SCALE: f32 = 1.55;
/// The same for a wingman, whose hull is the ship's, but smaller.
const WINGMAN_SCALE: f32 = 1.2;
/// Radians of roll per radian of turn in a tick, and the most roll.
const ROLL_PER_TURN: f32 = 9.0;
const ROLL_MAX: f32 = 0.65;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Cast<EnemyId>>()
        .init_resource::<Cast<WingmanId>>()
        .init_resource::<Cast<RockId>>()
        .add_systems(Startup, spawn_ship)
        .add_systems(
            Update,
            (follow_ship, follow_wingmen, follow_enemies, follow_rocks).in_set(ViewSystems::Follow),
        );
}

/// Which entity belongs to which id.
#[derive(Resource)]
struct Cast<Id> {
    entities: HashMap<Id, (Entity, u64)>,
    round: u64,
}

impl<Id> Default for Cast<Id> {
    fn default() -> Self {
        Self { entities: HashMap::new(), round: 0 }
    }
}

impl<Id: Eq + Hash + Copy> Cast<Id> {
    /// Moves the entities of all in `present`, spawns new ones and despawns those that are gone.
    fn follow(
        &mut self,
        commands: &mut Commands,
        transforms: &mut Query<&mut Transform, With<Actor>>,
        present: impl Iterator<Item = (Id, Transform)>,
        mut spawn: impl FnMut(&mut Commands, Id, Transform) -> Entity,
    ) {
        self.round += 1;
        for (id, wanted) in present {
            if let Some((entity, seen)) = self.entities.get_mut(&id) {
                *seen = self.round;
                if let Ok(mut transform) = transforms.get_mut(*entity) {
                    // Written only if it differs: in a pause nothing moves, and what is written is placed and uploaded anew.
                    transform.set_if_neq(wanted);
                }
            } else {
                let entity = spawn(commands, id, wanted);
                self.entities.insert(id, (entity, self.round));
            }
        }
        let round = self.round;
        self.entities.retain(|_, (entity, seen)| {
            if *seen != round {
                commands.entity(*entity).despawn();
            }
            *seen == round
        });
    }
}

/// An entity that shows something of the arena.
#[derive(Component)]
struct Actor;

/// The gamer's ship, with its present roll in radians.
#[derive(Component)]
struct ShipActor {
    roll: f32,
}

/// The roll of a hull that turned so between the last two ticks, radians.
fn roll_into_turn(previous_heading: p2c2r_arena::Vec2, heading: p2c2r_arena::Vec2) -> f32 {
    (previous_heading.cross(heading) * ROLL_PER_TURN).clamp(-ROLL_MAX, ROLL_MAX)
}

/// A hull's transform, `share` of the way between the last two ticks. Positions and headings are those at the
/// two ticks, the earlier first.
fn hull_between(
    [before, now]: [p2c2r_arena::Vec2; 2],
    [headed, heads]: [p2c2r_arena::Vec2; 2],
    size: f32,
    share: f32,
) -> Transform {
    Transform {
        translation: place(between(before, now, share), 0.0),
        rotation: facing(between(headed, heads, share))
            * Quat::from_rotation_z(roll_into_turn(headed, heads)),
        scale: Vec3::splat(size),
    }
}

fn lamps(hull: &Hull) -> impl Bundle {
    (Mesh3d(hull.lamps.clone()), MeshMaterial3d(hull.lamp_material.clone()))
}

fn spawn_ship(mut commands: Commands, hulls: Res<Hulls>) {
    commands.spawn((
        Name::new("ship"),
        ShipActor { roll: 0.0 },
        Receiver::default(),
        Mesh3d(hulls.ship.body.clone()),
        MeshMaterial3d(hulls.metal.clone()),
        children![lamps(&hulls.ship)],
    ));
}

fn follow_ship(
    battlefield: Res<Battlefield>,
    share: TickShare,
    time: Res<Time>,
    ship: Single<(&mut ShipActor, &mut Transform, &mut Visibility)>,
) {
    let (mut actor, mut transform, mut visibility) = ship.into_inner();
    let ship = battlefield.arena.ship();
    let wanted_roll = roll_into_turn(ship.previous_heading, ship.heading);
    actor.roll += (wanted_roll - actor.roll) * (1.0 - (-9.0 * time.delta_secs()).exp());
    let heading = between(ship.previous_heading, ship.heading, share.get());
    transform.translation = place(between(ship.previous, ship.position, share.get()), 0.0);
    transform.rotation = facing(heading) * Quat::from_rotation_z(actor.roll);
    transform.scale = Vec3::splat(ship.radius * HULL_SCALE);
    // Blinks while invulnerable.
    let blinked_away = ship.invulnerable_ticks > 0 && ship.invulnerable_ticks / 6 % 2 == 1;
    visibility.set_if_neq(if ship.alive && !blinked_away {
        Visibility::Inherited
    } else {
        Visibility::Hidden
    });
}

fn follow_wingmen(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    share: TickShare,
    hulls: Res<Hulls>,
    mut cast: ResMut<Cast<WingmanId>>,
    mut transforms: Query<&mut Transform, With<Actor>>,
) {
    let share = share.get();
    let stance = |wingman: &Wingman| {
        let headings = [wingman.previous_heading, wingman.heading];
        hull_between([wingman.previous, wingman.position], headings, wingman.radius * WINGMAN_SCALE, share)
    };
    let there = battlefield.arena.wingmen().iter().filter(|wingman| wingman.is_there());
    let present = there.map(|wingman| (wingman.id, stance(wingman)));
    cast.follow(&mut commands, &mut transforms, present, |commands, id, transform| {
        commands
            .spawn((
                Name::new("wingman"),
                Actor,
                Mirrors(MirroredShip::Wingman(id)),
                Receiver::default(),
                Mesh3d(hulls.ship.body.clone()),
                MeshMaterial3d(hulls.metal.clone()),
                transform,
                children![lamps(&hulls.ship)],
            ))
            .id()
    });
}

fn follow_enemies(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    share: TickShare,
    hulls: Res<Hulls>,
    mut cast: ResMut<Cast<EnemyId>>,
    mut transforms: Query<&mut Transform, With<Actor>>,
) {
    let enemies = battlefield.arena.enemies();
    let share = share.get();
    let stance = |enemy: &Enemy| {
        let headings = [enemy.previous_heading, enemy.heading];
        hull_between([enemy.previous, enemy.position], headings, enemy.radius * HULL_SCALE, share)
    };
    let present = enemies.iter().map(|enemy| (enemy.id, stance(enemy)));
    cast.follow(&mut commands, &mut transforms, present, |commands, id, transform| {
        let role = enemies.iter().find(|enemy| enemy.id == id).map(|enemy| enemy.role);
        let hull = hulls.enemy(role.unwrap_or(p2c2r_arena::EnemyRole::Rammer));
        commands
            .spawn((
                Actor,
                Mirrors(MirroredShip::Enemy(id)),
                Receiver::default(),
                Mesh3d(hull.body.clone()),
                MeshMaterial3d(hulls.metal.clone()),
                transform,
                children![lamps(hull)],
            ))
            .id()
    });
}

fn follow_rocks(
    mut commands: Commands,
    battlefield: Res<Battlefield>,
    share: TickShare,
    hulls: Res<Hulls>,
    mut cast: ResMut<Cast<RockId>>,
    mut transforms: Query<&mut Transform, With<Actor>>,
) {
    let (rocks, tick) = (battlefield.arena.rocks(), battlefield.arena.tick());
    let share = share.get();
    let stance = |rock: &Rock| {
        let (before, now) = (Quat::from_array(rock.previous_rotation), Quat::from_array(rock.rotation));
        Transform {
            translation: place(between(rock.previous, rock.position, share), 0.0),
            rotation: before.slerp(now, share),
            scale: Vec3::splat(rock.radius * rock.share_left(tick)),
        }
    };
    let present = rocks.iter().map(|rock| (rock.id, stance(rock)));
    cast.follow(&mut commands, &mut transforms, present, |commands, id, transform| {
        // New rocks are few, and the list is sorted by id.
        let shape = rocks.binary_search_by_key(&id, |rock| rock.id).map(|at| rocks[at].shape);
        let shape = shape.unwrap_or_default();
        let (mesh, material) = if is_ore(id) {
            (hulls.rocks.ore(shape), hulls.ore.clone())
        } else {
            (hulls.rocks.stone(shape), hulls.stone.clone())
        };
        commands.spawn((Actor, Receiver::default(), Mesh3d(mesh), MeshMaterial3d(material), transform)).id()
    });
}
