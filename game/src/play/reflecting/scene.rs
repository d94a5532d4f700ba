//! The spec's scene: the nearest of everything that a hull can mirror, at the places where it will be when
//! the light is shown; and the ships with a cube of their own.

use p2c2r_arena::{Arena, Bullet, Enemy, Rock, Vec2};
use p2c2r_protocol::Digest;
use p2c2r_tasks::physics::{Rotation, ShapeKind};
use p2c2r_tasks::reflection::{
    Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, ReflectionSpec, Sky, Viewpoint,
};

use super::Fineness;
use super::embers::{Ember, Embers};
use super::fineness::SHIP_FACE_LOG2;
use super::ships::{self, MirroredShip};
use super::surfaces;

/// Metres beyond which a hull mirrors only the wall.
const SIGHT: f32 = 42.0;
/// Most enemies, bolts and embers: the nearest.
const ENEMIES_MAX: usize = 20;
const BOLTS_MAX: usize = 32;
const EMBERS_MAX: usize = 16;
/// Seed of the paths: always the same, so that noise does not flicker.
pub(in crate::play) const SEED: u32 = 0x51A2;
/// Largest red of a sky's tint that counts as cool; one sky in five does.
const COOL_RED_MAX: f32 = 0.3;
const SKIES_TRIED: u32 = 64;
/// Half the length of a drawn hull and its thickness, in its radii.
const HULL: (f32, f32) = (0.95, 0.42);

/// One request.
pub(super) struct LightWanted {
    /// The light around the player's ship, then around the others.
    pub(super) spec: ReflectionSpec,
    /// The other ships, in the order of the spec's probes.
    pub(super) ships: Vec<MirroredShip>,
}

/// The light around the player's ship and the nearest others, where `before` had cubes of their own in the
/// last task. A probe is inside its ship's hull, and objects are visible from outside only, so no ship sees
/// itself. The spec's origin is the player's probe; the axes are the view's: y up, the arena's plane at y =
/// 0. Everything is predicted `lead` seconds ahead: about the time until the light has come and half blended
/// in.
pub(super) fn wanted(
    arena: &Arena,
    embers: &Embers,
    fineness: &Fineness,
    lead: f32,
    before: &[MirroredShip],
) -> LightWanted {
    let ship = arena.ship();
    let drift = if ship.alive { ship.velocity * lead } else { Vec2::ZERO };
    let probe = ship.position + drift;
    let mut objects = Vec::with_capacity(fineness.rocks_max + 2 * ENEMIES_MAX + BOLTS_MAX + EMBERS_MAX + 4);
    let others = ships::nearest(arena, fineness.ships_max, before);
    for rock in nearest(arena.rocks(), probe, fineness.rocks_max, |rock| (rock.position, rock.radius)) {
        objects.extend(rock_object(rock, lead));
    }
    for enemy in nearest(arena.enemies(), probe, ENEMIES_MAX, |enemy| (enemy.position, enemy.radius)) {
        objects.extend(enemy_objects(enemy, lead));
    }
    for wingman in arena.wingmen().iter().filter(|wingman| wingman.is_there()) {
        let at = wingman.position + wingman.velocity * lead;
        objects.push(hull(at, wingman.heading, wingman.radius, surfaces::ship()));
    }
    // Only the other ships' probes see the player's ship.
    if ship.alive && !others.is_empty() {
        objects.push(hull(probe, ship.heading, ship.radius, surfaces::ship()));
    }
    for bullet in nearest(arena.bullets(), probe, BOLTS_MAX, |bullet| (bullet.position, 0.0)) {
        objects.push(bolt_object(bullet, lead));
    }
    for ember in nearest(&embers.0, probe, EMBERS_MAX, |ember| (ember.at, ember.size)) {
        objects.push(ember_object(ember));
    }
    objects.extend(walls(arena.config().size * 0.5));
    let spec = ReflectionSpec {
        probe: position(probe, 0.0),
        face_log2: fineness.face_log2,
        levels: fineness.levels,
        samples: fineness.samples,
        others: others.iter().map(|other| ship_viewpoint(other, fineness, lead)).collect(),
        bounces: fineness.bounces,
        seed: SEED,
        sky: sky(arena.sector().seed),
        sun: Some(surfaces::sun(arena.sector().plan().star)),
        surfaces: surfaces::palette(),
        objects,
    };
    // Relative positions, so that workers do not learn where in its sector a ship is.
    let ships = others.iter().map(|other| other.ship).collect();
    LightWanted { spec: spec.without_place(), ships }
}

/// The probe of another ship.
fn ship_viewpoint(ship: &ships::ShipPlace, fineness: &Fineness, lead: f32) -> Viewpoint {
    Viewpoint {
        probe: position(ship.at + ship.velocity * lead, 0.0),
        face_log2: SHIP_FACE_LOG2,
        // The hulls are nearly perfect mirrors: on faces so coarse, filtered levels would look the same.
        levels: 1,
        samples: fineness.ship_samples,
    }
}

/// The hull of a ship of any kind.
fn hull(at: Vec2, heading: Vec2, radius: f32, surface: u8) -> Object {
    let half = heading * (radius * HULL.0);
    capsule(at - half, at + half, radius * HULL.1, surface)
}

/// The first of 256 skies from the sector's seed that is as cool as the drawn nebula, whose tints are blue,
/// violet and teal. Workers learn no more of the seed.
pub(in crate::play) fn sky(seed: u64) -> u32 {
    let is_cool = |sky: &u32| Sky::new(*sky).tint[0] < COOL_RED_MAX;
    let seed = u32::from(Digest::of(&seed.to_le_bytes()).0[0]);
    (0..SKIES_TRIED).map(|step| seed.wrapping_add(step)).find(is_cool).unwrap_or(seed)
}

/// The `most` nearest of `all` within sight, nearest first. `body` gives place and size.
pub(in crate::play) fn nearest<T>(
    all: &[T],
    probe: Vec2,
    most: usize,
    body: impl Fn(&T) -> (Vec2, f32),
) -> Vec<&T> {
    let distance = |thing: &T| {
        let (at, radius) = body(thing);
        at.distance(probe) - radius
    };
    let mut near: Vec<(f32, &T)> =
        all.iter().map(|thing| (distance(thing), thing)).filter(|(away, _)| *away < SIGHT).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    near.into_iter().take(most).map(|(_, thing)| thing).collect()
}

pub(in crate::play) fn rock_object(rock: &Rock, lead: f32) -> Option<Object> {
    let ShapeKind::Rock(form) = rock.shape.kind() else { return None };
    Some(Object {
        position: position(rock.position + rock.velocity * lead, 0.0),
        form: Form::Rock { shape: rock.shape, rotation: Rotation::of(rock.rotation.map(f64::from)) },
        surface: surfaces::rock(rock.id, form),
    })
}

/// Hull and engine.
fn enemy_objects(enemy: &Enemy, lead: f32) -> [Object; 2] {
    let at = enemy.position + enemy.velocity * lead;
    let hull = hull(at, enemy.heading, enemy.radius, surfaces::hull(enemy.role));
    let tail = at - enemy.heading * (enemy.radius * HULL.0);
    let from = tail - enemy.heading * (enemy.radius * 0.35);
    let flame =
        capsule(from, from - enemy.heading * enemy.radius, enemy.radius * 0.26, surfaces::flame(enemy.role));
    [hull, flame]
}

fn bolt_object(bullet: &Bullet, lead: f32) -> Object {
    let tip = bullet.position + bullet.velocity * lead;
    let length = if bullet.shooter == p2c2r_arena::Shooter::Ship { 1.5 } else { 1.0 };
    let tail = tip - bullet.velocity.unit_or(Vec2::FORWARD) * length;
    // As thick as its halo; the core alone would fall between the texels.
    capsule(tail, tip, 0.24, surfaces::bolt(bullet.shooter))
}

pub(in crate::play) fn ember_object(ember: &Ember) -> Object {
    Object {
        position: position(ember.at, 0.25),
        form: Form::Sphere { radius: radius(ember.radius()) },
        surface: surfaces::ember(ember),
    }
}

/// The glowing four sides of the arena.
pub(in crate::play) fn walls(half: f32) -> [Object; 4] {
    let corners = [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)];
    std::array::from_fn(|side| {
        let corner = |(x, y): (f32, f32)| Vec2::new(x * half, y * half);
        capsule(corner(corners[side]), corner(corners[(side + 1) % 4]), 0.5, surfaces::wall())
    })
}

fn capsule(from: Vec2, to: Vec2, thickness: f32, surface: u8) -> Object {
    let (start, end) = (position(from, 0.1), position(to, 0.1));
    let way = |axis: usize| end[axis].saturating_sub(start[axis]);
    Object {
        position: start,
        form: Form::Capsule { to: [way(0), way(1), way(2)], radius: radius(thickness) },
        surface,
    }
}

/// A point this high above the plane; clamped to the range of coordinates.
pub(in crate::play) fn position(at: Vec2, height: f32) -> [i16; 3] {
    // `as` saturates, and NaN becomes 0.
    [at.x, height, -at.y].map(|metres| (metres * POSITION_STEPS_PER_M).round() as i16)
}

pub(in crate::play) fn radius(metres: f32) -> u16 {
    ((metres * RADIUS_STEPS_PER_M).round() as u16).max(1)
}

#[cfg(test)]
pub(in crate::play) mod tests {
    use bevy::math::Vec3;
    use p2c2r_arena::{ArenaConfig, ArenaEvent, Controls, RockRules, WaveRules};
    use p2c2r_protocol::wire;
    use p2c2r_tasks::reflection::Reflection;
    use p2c2r_tasks::{Blobs, Stop, TaskKind as _};

    use super::*;
    use crate::graphics::Quality;
    use crate::play::reflecting::SHIPS_MAX;
    use crate::play::reflecting::embers::Hue;
    use crate::presets::Preset;

    const LEAD: f32 = 0.12;

    /// An arena some seconds into a fight, and its embers.
    fn fight(config: ArenaConfig, ticks: u32) -> (Arena, Embers) {
        let mut arena = Arena::new(config);
        let mut pilot = p2c2r_arena::Autopilot::default();
        let mut embers = Embers::default();
        for _ in 0..ticks {
            let controls = Controls { fire: true, ..pilot.controls(&arena) };
            for event in arena.step(controls, &[]).events {
                if let ArenaEvent::Explosion { at, size } = event {
                    embers.0.push(Ember { at, size, hue: Hue::Fire, age: 0.1, life: 0.9 });
                }
            }
        }
        (arena, embers)
    }

    /// An arena as full as any that is played in.
    pub(in crate::play) fn busiest() -> ArenaConfig {
        ArenaConfig {
            size: 192.0,
            grid_cells: 192,
            rocks: RockRules { count: 1_200, radius_max: 1.2, ..RockRules::default() },
            waves: WaveRules {
                designed: 0,
                enemies_first: 200,
                enemies_max: 200,
                pause_ticks: 1,
                ..WaveRules::default()
            },
            ..ArenaConfig::default()
        }
    }

    fn busy() -> (Arena, Embers) {
        let (arena, mut embers) = fight(busiest().with_allies(2), 20);
        let at = arena.ship().position;
        embers.0.resize(60, Ember { at, size: 1.0, hue: Hue::Ice, age: 0.0, life: 1.0 });
        (arena, embers)
    }

    #[test]
    fn the_busiest_scene_is_admissible_and_bounded_at_every_quality() {
        let (arena, embers) = busy();
        let (rocks, enemies) = (arena.rocks().len(), arena.enemies().len());
        assert!(rocks >= 1_000 && enemies >= 190, "{rocks} rocks, {enemies} enemies");
        let all = [Preset::Default, Preset::Max]
            .map(|preset| [Quality::Low, Quality::High].map(|quality| (preset, quality)));
        for (preset, quality) in all.into_iter().flatten() {
            let fineness = Fineness::bought(preset, quality);
            let LightWanted { mut spec, ships } = wanted(&arena, &embers, &fineness, LEAD, &[]);
            assert_eq!((ships.len(), spec.others.len()), (2, 2), "the wingmen; the enemies are far away");
            assert!(fineness.ships_max <= SHIPS_MAX);
            spec.others.resize(fineness.ships_max, spec.others[0]);
            Reflection::admit(&spec, &Blobs::default()).unwrap();
            let rocks = spec.objects.iter().filter(|object| matches!(object.form, Form::Rock { .. })).count();
            assert_eq!(rocks, fineness.rocks_max, "as many rocks as there may be");
            assert!(spec.objects.len() <= fineness.rocks_max + 2 * ENEMIES_MAX + BOLTS_MAX + EMBERS_MAX + 5);
            let bytes = wire::encode(&spec).len();
            assert!(bytes < 4_000, "{quality:?}: {bytes} bytes go up several times a second");
        }
    }

    #[test]
    fn the_nearest_rocks_are_mirrored_and_the_ship_is_not() {
        let (arena, _) = busy();
        let fineness = Fineness { rocks_max: 10, ..Fineness::of(Quality::Low) };
        let LightWanted { spec, .. } = wanted(&arena, &Embers::default(), &fineness, LEAD, &[]);
        assert_eq!(spec.probe, [0; 3], "who computes it does not learn where the ship is");
        let away = |object: &Object| {
            Vec3::from_array(object.position.map(f32::from)).length() / POSITION_STEPS_PER_M
        };
        let shown: Vec<f32> =
            spec.objects.iter().filter(|object| matches!(object.form, Form::Rock { .. })).map(away).collect();
        let nearer = arena
            .rocks()
            .iter()
            .filter(|rock| rock.position.distance(arena.ship().position) - rock.radius < 2.0)
            .count();
        assert_eq!(shown.len(), 10);
        assert!(shown.iter().all(|away| *away < 30.0) && nearer <= 10, "{shown:?}");
        // Only bolts and embers are where the ship is.
        let hull = spec.objects.iter().filter(|object| matches!(object.form, Form::Capsule { .. }));
        let ship_like = hull.filter(|object| {
            ![surfaces::bolt(p2c2r_arena::Shooter::Ship), surfaces::ship()].contains(&object.surface)
                && away(object) < 0.3
        });
        assert_eq!(ship_like.count(), 0);
    }

    /// No ship hides its own probe's view, and each is visible to the others.
    #[test]
    fn ships_see_each_other_and_never_themselves() {
        let (arena, _) = fight(ArenaConfig::default().with_allies(1), 40);
        let fineness = Fineness { ships_max: 1, ship_samples: 4, ..Fineness::of(Quality::Low) };
        let LightWanted { mut spec, ships, .. } = wanted(&arena, &Embers::default(), &fineness, LEAD, &[]);
        assert_eq!(ships, [MirroredShip::Wingman(arena.wingmen()[0].id)], "it flies beside the ship");
        let light = |spec: &ReflectionSpec| {
            let outcome = Reflection::run(spec, &Blobs::default(), &Stop::never()).unwrap();
            outcome.unfold().unwrap().into_iter().map(|probe| probe.levels[0].clone()).collect::<Vec<_>>()
        };
        // Only the two hulls, in an empty sky.
        spec.objects.retain(|object| object.surface == surfaces::ship());
        assert_eq!(spec.objects.len(), 2);
        let both = light(&spec);
        let wingman = spec.objects.remove(0);
        let of_player = light(&spec);
        spec.objects = vec![wingman];
        let of_wingman = light(&spec);
        assert!(both[0] == of_wingman[0] && both[1] == of_player[1], "its own hull changes nothing");
        assert!(both[0] != of_player[0] && both[1] != of_wingman[1], "the other's is seen");
    }

    #[test]
    fn an_explosion_is_seen_and_fades() {
        let (arena, _) = fight(ArenaConfig::default(), 5);
        let at = arena.ship().position + Vec2::new(5.0, 0.0);
        let brightness = |age: f32| {
            let embers = Embers(vec![Ember { at, size: 2.0, hue: Hue::Fire, age, life: 1.0 }]);
            let LightWanted { spec, .. } = wanted(&arena, &embers, &Fineness::of(Quality::Low), LEAD, &[]);
            let cube = Reflection::run(&spec, &Blobs::default(), &Stop::never())
                .unwrap()
                .unfold()
                .unwrap()
                .remove(0)
                .levels
                .remove(0);
            // The face in direction x.
            let face = &cube.texels()[..(cube.face() * cube.face()) as usize];
            face.iter().map(|texel| texel[0]).sum::<f32>() / face.len() as f32
        };
        let (fresh, dying) = (brightness(0.1), brightness(0.8));
        assert!(fresh > 3.0 * dying, "{fresh} {dying}");
    }

    #[test]
    fn every_seed_finds_a_cool_sky() {
        for seed in (0..2_000).chain([u64::MAX]) {
            assert!(Sky::new(sky(seed)).tint[0] < COOL_RED_MAX, "seed {seed}");
        }
    }

    #[test]
    fn coordinates_beyond_the_spec_are_held_at_its_edge() {
        assert_eq!(position(Vec2::new(1e9, f32::NAN), -1e9), [i16::MAX, i16::MIN, 0]);
        assert_eq!(radius(0.0), 1);
        assert_eq!(radius(1e9), u16::MAX);
    }
}
