//! What a player must see of enemies: arrows around the ship to those outside the picture or behind the display, where
//! the last hits came from, and how much the large ones still take.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy::ui::UiGlobalTransform;
use p2c2r_arena::{Arena, ArenaEvent, EnemyRole};

use super::bolts::engine_colours;
use super::camera::Eye;
use super::glow::{GlowShape, Lights, Quads, bright};
use super::{ViewSystems, between, place};
use crate::play::{Battlefield, Happened, TickShare};

/// Metres from the ship to the arrows, and from the ship to where a hit shows.
const ARROWS_AT: f32 = 5.2;
const HITS_AT: f32 = 2.3;
/// Most arrows, and how many of them carriers and bosses get first: the player hunts these, and they keep away.
const ARROWS_MAX: usize = 6;
const LARGE_MAX: usize = 4;
/// Cosine of the angle below which two arrows would cover each other; the one that is chosen first is shown.
const APART: f32 = 0.985;
/// Metres to an enemy at which its arrow is largest, and at which it is smallest.
const NEAR: f32 = 14.0;
const FAR: f32 = 60.0;
/// The share of the picture, from its middle, in which an enemy needs no arrow.
const SEEN: f32 = 0.97;
/// Seconds for which the side of a hit shows, and most of them at once.
const HIT_SECONDS: f32 = 1.1;
const HITS_MAX: usize = 4;
/// Enemies that take more hits than this show how many are left.
const HITS_UNTOLD: u8 = 4;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<HitSides>()
        .add_systems(Update, remember_hits.in_set(ViewSystems::Live))
        .add_systems(Update, (shine_arrows, shine_hits, shine_strength).in_set(ViewSystems::Shine));
}

/// A box of the display that hides what is behind it.
#[derive(Component)]
pub(crate) struct HidesFight;

/// All boxes that hide a part of the fight.
#[derive(SystemParam)]
struct Boxes<'w, 's> {
    shown: Query<
        'w,
        's,
        (&'static ComputedNode, &'static UiGlobalTransform, &'static InheritedVisibility),
        With<HidesFight>,
    >,
}

impl Boxes<'_, '_> {
    /// Whether one of them hides this pixel of the picture.
    fn hide(&self, pixel: Vec2) -> bool {
        self.shown.iter().any(|(node, at, visible)| visible.get() && node.contains_point(*at, pixel))
    }
}

/// An arrow: the unit vector to the enemy, the enemy's role, and its distance, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Arrow {
    to: p2c2r_arena::Vec2,
    role: EnemyRole,
    distance: f32,
}

/// The arrows to the enemies that are not seen.
fn arrows(arena: &Arena, is_seen: impl Fn(p2c2r_arena::Vec2) -> bool) -> Vec<Arrow> {
    let from = arena.ship().position;
    let unseen = arena.enemies().iter().filter(|enemy| !is_seen(enemy.position));
    let all = unseen.map(|enemy| Arrow {
        to: (enemy.position - from).unit_or(p2c2r_arena::Vec2::FORWARD),
        role: enemy.role,
        distance: enemy.position.distance(from),
    });
    shown_of(all.collect())
}

/// The arrows that are shown, no two on top of each other: some to carriers and bosses, then those to the nearest.
fn shown_of(mut all: Vec<Arrow>) -> Vec<Arrow> {
    let is_small = |arrow: &Arrow| !arrow.role.is_large();
    all.sort_by(|a, b| is_small(a).cmp(&is_small(b)).then(a.distance.total_cmp(&b.distance)));
    let mut shown: Vec<Arrow> = Vec::with_capacity(ARROWS_MAX);
    for arrow in all {
        let most = if is_small(&arrow) { ARROWS_MAX } else { LARGE_MAX };
        let is_free = shown.iter().all(|other| other.to.dot(arrow.to) < APART);
        if is_free && shown.len() < most {
            shown.push(arrow);
        }
    }
    shown
}

/// Draws an arrow on the plane; each role has a shape of its own beside its colour: one angle for rammers, one with a dot
/// for gunners, two for carriers, three for bosses.
fn shine_arrow(lights: &mut Quads, eye: &Eye, ship: Vec3, arrow: Arrow) {
    let near = 1.0 - ((arrow.distance - NEAR) / (FAR - NEAR)).clamp(0.0, 1.0);
    let size = 0.6 + 0.4 * near;
    let colour = engine_colours(arrow.role).0 * (0.55 + 0.6 * near);
    let ahead = place(arrow.to, 0.0);
    let side = ahead.cross(Vec3::Y);
    let angles = match arrow.role {
        EnemyRole::Rammer | EnemyRole::Gunner => 1,
        EnemyRole::Carrier => 2,
        EnemyRole::Boss => 3,
    };
    for number in 0..angles {
        let tip = ship + ahead * (ARROWS_AT + size - 0.7 * size * number as f32);
        for wing in [side, -side] {
            lights.beam(eye, tip, tip - (ahead - wing) * size, 0.17 + 0.1 * near, colour);
        }
    }
    if arrow.role == EnemyRole::Gunner {
        lights.spot(eye, GlowShape::Spot, ship + ahead * (ARROWS_AT - size), 0.55 * size, colour * 1.4);
    }
}

fn shine_arrows(
    battlefield: Res<Battlefield>,
    share: TickShare,
    eye: Res<Eye>,
    camera: Single<(&Camera, &GlobalTransform)>,
    boxes: Boxes,
    mut lights: ResMut<Lights>,
) {
    let arena = &battlefield.arena;
    let ship = arena.ship();
    if !ship.alive {
        return;
    }
    let (camera, at) = *camera;
    let pixels = camera.physical_target_size().unwrap_or_default().as_vec2();
    let is_seen = |point| {
        camera.world_to_ndc(at, place(point, 0.0)).is_some_and(|seen| {
            let pixel = (seen.xy() * Vec2::new(0.5, -0.5) + 0.5) * pixels;
            seen.z > 0.0 && seen.xy().abs().max_element() < SEEN && !boxes.hide(pixel)
        })
    };
    let centre = place(between(ship.previous, ship.position, share.get()), 0.0);
    for arrow in arrows(arena, is_seen) {
        shine_arrow(&mut lights.0, &eye, centre, arrow);
    }
}

/// Where the last hits came from, with the seconds for which each still shows.
#[derive(Resource, Default)]
struct HitSides(Vec<(Vec3, f32)>);

fn remember_hits(mut happened: MessageReader<Happened>, time: Res<Time>, mut sides: ResMut<HitSides>) {
    for (_, left) in &mut sides.0 {
        *left -= time.delta_secs();
    }
    sides.0.retain(|(_, left)| *left > 0.0);
    for Happened(event) in happened.read() {
        if let ArenaEvent::ShipHurt { from, .. } = event {
            if sides.0.len() >= HITS_MAX {
                sides.0.remove(0);
            }
            sides.0.push((place(*from, 0.0), HIT_SECONDS));
        }
    }
}

/// An arc around the ship on the side of each hit.
fn shine_hits(
    battlefield: Res<Battlefield>,
    share: TickShare,
    eye: Res<Eye>,
    sides: Res<HitSides>,
    mut lights: ResMut<Lights>,
) {
    let ship = battlefield.arena.ship();
    if !ship.alive {
        return;
    }
    let centre = place(between(ship.previous, ship.position, share.get()), 0.1);
    for (from, left) in &sides.0 {
        let colour = bright(1.0, 0.3, 0.05, 2.6 * left / HIT_SECONDS);
        let corner = |turn: f32| centre + Quat::from_rotation_y(turn) * *from * HITS_AT;
        for turn in [-0.75, -0.45, -0.15, 0.15, 0.45] {
            lights.0.beam(&eye, corner(turn), corner(turn + 0.3), 0.26, colour);
        }
    }
}

/// The share of its hits that an enemy still takes, if it takes so many that the player should know.
fn strength_left(hits_left: u8, whole: u8) -> Option<f32> {
    (whole > HITS_UNTOLD).then(|| f32::from(hits_left) / f32::from(whole))
}

/// A bar above each large enemy.
fn shine_strength(
    battlefield: Res<Battlefield>,
    share: TickShare,
    eye: Res<Eye>,
    mut lights: ResMut<Lights>,
) {
    let arena = &battlefield.arena;
    for enemy in arena.enemies() {
        let Some(left) = strength_left(enemy.hits_left, enemy.role.hits(&arena.config().enemies)) else {
            continue;
        };
        let middle = place(between(enemy.previous, enemy.position, share.get()), 0.5);
        let half = enemy.radius * 1.3;
        let start = middle + eye.up * (enemy.radius * 2.1) - eye.right * half;
        let (colour, _) = engine_colours(enemy.role);
        let along = eye.right * (2.0 * half);
        lights.0.beam(&eye, start, start + along, 0.16, colour * 0.16);
        lights.0.beam(&eye, start, start + along * left, 0.2, colour);
    }
}

#[cfg(test)]
mod tests {
    use bevy::ecs::system::RunSystemOnce as _;
    use bevy::math::Affine2;
    use p2c2r_arena::{ArenaConfig, Controls};

    use super::*;

    /// The first wave has just come.
    fn in_a_wave() -> Arena {
        let mut arena = Arena::new(ArenaConfig::default());
        while arena.enemies().is_empty() {
            arena.step(Controls::default(), &[]);
        }
        arena
    }

    #[test]
    fn every_enemy_outside_the_picture_has_an_arrow_to_it_and_none_inside() {
        let arena = in_a_wave();
        assert!(arrows(&arena, |_| true).is_empty());
        let shown = arrows(&arena, |_| false);
        assert!(!shown.is_empty() && shown.len() <= ARROWS_MAX);
        let ship = arena.ship().position;
        for enemy in arena.enemies() {
            let to = (enemy.position - ship).unit_or(p2c2r_arena::Vec2::FORWARD);
            assert!(shown.iter().any(|arrow| arrow.to.dot(to) >= APART), "nothing points to {enemy:?}");
        }
        let nearest = arena.enemies().iter().map(|enemy| enemy.position.distance(ship));
        assert_eq!(shown[0].distance, nearest.fold(f32::MAX, f32::min), "the nearest comes first");
    }

    /// An arrow to an enemy in this direction, radians.
    fn arrow(role: EnemyRole, direction: f32, distance: f32) -> Arrow {
        Arrow { to: p2c2r_arena::Vec2::new(direction.cos(), direction.sin()), role, distance }
    }

    #[test]
    fn carriers_and_bosses_have_arrows_however_many_rammers_are_nearer() {
        let near = |number: u8| arrow(EnemyRole::Rammer, f32::from(number) * 0.5, 15.0 + f32::from(number));
        let rammers: Vec<Arrow> = (0..8).map(near).collect();
        // The carrier is in the direction of a rammer that is nearer.
        let carrier = arrow(EnemyRole::Carrier, 1.52, 50.0);
        let shown = shown_of([&rammers[..], &[carrier]].concat());
        assert!(shown.contains(&carrier), "{shown:?}");
        assert_eq!(shown.len(), ARROWS_MAX);
        for nearest in [0, 1, 2, 4, 5] {
            assert!(shown.contains(&rammers[nearest]), "rammer {nearest}: {shown:?}");
        }
        let bosses: Vec<Arrow> = (0..6).map(|number| arrow(EnemyRole::Boss, number as f32, 40.0)).collect();
        let shown = shown_of([&bosses[..], &[arrow(EnemyRole::Rammer, 5.5, 60.0)]].concat());
        assert!(shown.iter().any(|arrow| arrow.role == EnemyRole::Rammer), "rammers have places: {shown:?}");
    }

    /// How many quads the arrows take in a picture of 200 x 100 pixels behind one box, placed by its middle.
    fn quads_behind(middle: Vec2, size: Vec2, visible: InheritedVisibility) -> usize {
        let mut world = World::new();
        world.insert_resource(Battlefield { arena: in_a_wave() });
        world.init_resource::<Time<Fixed>>();
        world.init_resource::<Eye>();
        world.init_resource::<Lights>();
        let mut camera = Camera::default();
        // Straight down on the whole arena.
        camera.computed.clip_from_view = Mat4::orthographic_rh(-200.0, 200.0, -100.0, 100.0, 0.1, 100.0);
        let target =
            bevy::camera::RenderTargetInfo { physical_size: UVec2::new(200, 100), scale_factor: 1.0 };
        camera.computed.target_info = Some(target);
        let above = Transform::from_xyz(0.0, 50.0, 0.0).looking_at(Vec3::ZERO, Vec3::NEG_Z);
        world.spawn((camera, GlobalTransform::from(above)));
        let node = ComputedNode { size, ..default() };
        world.spawn((HidesFight, node, UiGlobalTransform::from(Affine2::from_translation(middle)), visible));
        world.run_system_once(shine_arrows).unwrap();
        world.resource::<Lights>().0.count()
    }

    #[test]
    fn enemies_behind_a_box_of_the_display_have_arrows() {
        let (whole, aside) = (Vec2::new(200.0, 100.0), Vec2::new(900.0, 900.0));
        assert_eq!(quads_behind(aside, whole, InheritedVisibility::VISIBLE), 0, "all are seen");
        assert_eq!(quads_behind(whole * 0.5, whole, InheritedVisibility::HIDDEN), 0, "nothing is in front");
        assert!(quads_behind(whole * 0.5, whole, InheritedVisibility::VISIBLE) > 0, "all are behind the box");
    }

    #[test]
    fn every_role_has_an_arrow_of_its_own_shape() {
        let quads = |role| {
            let mut lights = Quads::default();
            let arrow = Arrow { to: p2c2r_arena::Vec2::FORWARD, role, distance: 30.0 };
            shine_arrow(&mut lights, &Eye::default(), Vec3::ZERO, arrow);
            lights.count()
        };
        let all = [EnemyRole::Rammer, EnemyRole::Gunner, EnemyRole::Carrier, EnemyRole::Boss].map(quads);
        assert_eq!(all, [2, 3, 4, 6]);
    }

    #[test]
    fn only_what_takes_many_hits_shows_how_many_are_left() {
        let rules = &ArenaConfig::default().enemies;
        let told = |role: EnemyRole| strength_left(1, role.hits(rules)).is_some();
        assert_eq!(
            [EnemyRole::Rammer, EnemyRole::Gunner, EnemyRole::Carrier, EnemyRole::Boss].map(told),
            [false, false, true, true]
        );
        assert_eq!(strength_left(5, 20), Some(0.25));
    }
}
