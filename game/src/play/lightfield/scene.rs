//! The spec's scene: rocks, and a ball of light for everything that glows, at the places where they will be
//! when the light is shown.

use p2c2r_arena::{Arena, Vec2};
use p2c2r_protocol::Digest;
use p2c2r_tasks::lightfield::LightfieldSpec;
use p2c2r_tasks::reflection::{Form, Object};

use super::fineness::FieldFineness;
use super::grid::ProbeGrid;
use crate::play::reflecting::embers::Embers;
use crate::play::reflecting::{scene, surfaces};

/// Most flames, bolts and embers: the nearest.
const FLAMES_MAX: usize = 20;
const BOLTS_MAX: usize = 32;
const EMBERS_MAX: usize = 16;
/// Radius of a bolt's ball, metres: that of its drawn halo.
const BOLT_RADIUS: f32 = 0.75;
/// Radius of an engine's ball and its distance behind the middle of the hull, in radii of the hull.
const FLAME: (f32, f32) = (0.75, 1.5);
/// Height of glowing objects above the plane, metres.
const HEIGHT: f32 = 0.2;

/// The spec for the light at the probes of `grid`, with everything predicted `lead` seconds ahead; as changes
/// of the field named `base`.
pub(super) fn spec(
    arena: &Arena,
    embers: &Embers,
    fineness: &FieldFineness,
    grid: ProbeGrid,
    lead: f32,
    base: Option<Digest>,
) -> LightfieldSpec {
    let middle = grid.middle_of_plane();
    let mut objects = Vec::new();
    let rocks =
        scene::nearest(arena.rocks(), middle, fineness.rocks_max, |rock| (rock.position, rock.radius));
    objects.extend(rocks.into_iter().filter_map(|rock| scene::rock_object(rock, lead)));
    for enemy in scene::nearest(arena.enemies(), middle, FLAMES_MAX, |enemy| (enemy.position, enemy.radius)) {
        let at = enemy.position + enemy.velocity * lead;
        objects.push(flame(at, enemy.heading, enemy.radius, surfaces::flame(enemy.role)));
    }
    let ship = arena.ship();
    if ship.alive && ship.thrusting {
        let surface = surfaces::bolt(p2c2r_arena::Shooter::Ship);
        objects.push(flame(ship.position + ship.velocity * lead, ship.heading, ship.radius, surface));
    }
    for bullet in scene::nearest(arena.bullets(), middle, BOLTS_MAX, |bullet| (bullet.position, 0.0)) {
        let at = bullet.position + bullet.velocity * lead;
        objects.push(ball(at, BOLT_RADIUS, surfaces::bolt(bullet.shooter)));
    }
    let burning = scene::nearest(&embers.0, middle, EMBERS_MAX, |ember| (ember.at, ember.size));
    objects.extend(burning.into_iter().map(scene::ember_object));
    objects.extend(scene::walls(arena.config().size * 0.5));
    LightfieldSpec {
        base,
        probes: grid.probes(),
        paths: fineness.paths,
        bounces: fineness.bounces,
        seed: scene::SEED,
        sky: scene::sky(arena.sector().seed),
        sun: Some(surfaces::sun(arena.sector().plan().star)),
        surfaces: surfaces::glowing_palette(),
        objects,
    }
    .without_place()
}

fn flame(at: Vec2, heading: Vec2, radius: f32, surface: u8) -> Object {
    ball(at - heading * (radius * FLAME.1), radius * FLAME.0, surface)
}

fn ball(at: Vec2, radius: f32, surface: u8) -> Object {
    Object {
        position: scene::position(at, HEIGHT),
        form: Form::Sphere { radius: scene::radius(radius) },
        surface,
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_arena::{ArenaConfig, Autopilot, Controls};
    use p2c2r_protocol::wire;
    use p2c2r_tasks::lightfield::Lightfield;
    use p2c2r_tasks::{Blobs, Stop, TaskKind as _};

    use super::*;
    use crate::graphics::Quality;
    use crate::play::lightfield::grid::TracedField;
    use crate::play::reflecting::embers::{Ember, Hue};
    use crate::play::reflecting::scene::tests::busiest;
    use crate::presets::Preset;

    fn fineness(preset: Preset) -> FieldFineness {
        FieldFineness::bought(preset, Quality::Low).unwrap()
    }

    fn arena(config: ArenaConfig, ticks: u32) -> Arena {
        let mut arena = Arena::new(config);
        let mut pilot = Autopilot::default();
        for _ in 0..ticks {
            let controls = Controls { fire: true, ..pilot.controls(&arena) };
            arena.step(controls, &[]);
        }
        arena
    }

    fn field_of(arena: &Arena, embers: &Embers) -> TracedField {
        let grid = ProbeGrid::around(arena, None);
        let spec = spec(arena, embers, &fineness(Preset::Default), grid, 0.0, None);
        let outcome = Lightfield::run(&spec, &Blobs::default(), &Stop::never()).unwrap();
        let field = outcome.unfold(&spec, &Blobs::default()).unwrap();
        TracedField::new(grid, (0..field.count()).map(|number| field.probe(number)))
    }

    #[test]
    fn the_busiest_scene_is_admissible_in_every_preset_and_small() {
        let arena = arena(busiest(), 20);
        let ember = Ember { at: arena.ship().position, size: 1.0, hue: Hue::Ice, age: 0.0, life: 1.0 };
        let embers = Embers(vec![ember; 60]);
        for preset in [Preset::Default, Preset::Rich, Preset::Max] {
            let spec = spec(&arena, &embers, &fineness(preset), ProbeGrid::around(&arena, None), 0.1, None);
            Lightfield::admit(&spec, &Blobs::default()).unwrap();
            let bytes = wire::encode(&spec).len();
            assert!(bytes < 4_000, "{preset:?}: {bytes} bytes go up several times a second");
        }
    }

    #[test]
    fn an_explosion_lights_what_is_beside_it_in_its_colour_and_from_its_side() {
        let arena = arena(ArenaConfig::default(), 5);
        // No rocks are near where a round starts.
        let at = arena.ship().position + Vec2::new(0.0, 5.0);
        let place = bevy::math::Vec3::new(at.x + 3.5, 0.0, -at.y);
        let dark = field_of(&arena, &Embers::default()).at(place).unwrap().0;
        let ember = Ember { at, size: 2.0, hue: Hue::Fire, age: 0.1, life: 1.0 };
        let lit = field_of(&arena, &Embers(vec![ember])).at(place).unwrap().0;
        let more: Vec<f32> = (0..3).map(|colour| lit.mean[colour] - dark.mean[colour]).collect();
        assert!(more[0] > 0.5 && more[0] > 2.0 * more[2], "fire is red: {more:?}");
        let (towards, away) =
            (lit.irradiance_over_pi([-1.0, 0.0, 0.0]), lit.irradiance_over_pi([1.0, 0.0, 0.0]));
        assert!(towards[0] > 1.5 * away[0], "it comes from the fire: {towards:?}, {away:?}");
    }
}
