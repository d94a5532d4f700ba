//! Light in scenes where its amount can be computed by hand.

use std::f64::consts::PI;

use p2c2r_tasks::reflection::{
    CubeMap, FACES, Form, Object, Reflection, ReflectionSpec, Scene, Sun, Surface, direction, sky_radiance,
};
use p2c2r_tasks::{Blobs, TaskKind as _};

use crate::scenes::{self, steps};

const WHITE: Surface = Surface { colour: [255; 3], metal: 0, roughness: 255, glow: [0; 3], power: 0 };
const BLACK: Surface = Surface { colour: [0; 3], ..WHITE };
const SILVER: Surface = Surface { metal: 255, roughness: 0, ..WHITE };
/// Radiance 256.
const BRIGHT: Surface = Surface { glow: [255; 3], power: 32, ..BLACK };

fn spec(surfaces: &[Surface], objects: &[Object]) -> ReflectionSpec {
    ReflectionSpec {
        samples: 64,
        face_log2: 4,
        sun: None,
        surfaces: surfaces.to_vec(),
        objects: objects.to_vec(),
        ..scenes::arena(0, 0, 5)
    }
}

fn ball(position: [f32; 3], radius: f32, surface: u8) -> Object {
    Object { position: steps(position), form: Form::Sphere { radius: (radius * 64.0) as u16 }, surface }
}

/// A floor one metre below the probe: the top of a ball so large that it is nearly flat.
fn floor(surface: u8) -> Object {
    ball([0.0, -401.0, 0.0], 400.0, surface)
}

/// Texels of the face that looks down, from the middle outwards `half` either way, mean of green.
fn below(cube: &CubeMap, half: u32) -> f64 {
    let middle = cube.face() / 2;
    let mut sum = 0.0;
    for y in middle - half..middle + half {
        for x in middle - half..middle + half {
            sum += f64::from(cube.texels()[cube.index(3, x, y)][1]);
        }
    }
    sum / f64::from(4 * half * half)
}

/// Radiance times solid angle, over all directions, green.
fn flux(cube: &CubeMap) -> f64 {
    let size = cube.face();
    let mut sum = 0.0;
    for face in 0..FACES {
        for y in 0..size {
            for x in 0..size {
                let [u, v] = [x, y].map(|at| (at as f32 + 0.5) / size as f32);
                let square: f64 = direction(face, u, v).iter().map(|part| f64::from(part * part)).sum();
                let solid = 4.0 / f64::from(size * size) / square.powf(1.5);
                sum += solid * f64::from(cube.texels()[cube.index(face, x, y)][1]);
            }
        }
    }
    sum
}

fn near(given: f64, right: f64, share: f64, what: &str) {
    assert!((given - right).abs() <= share * right, "{what}: {given} where {right} is right");
}

#[test]
fn the_whole_sphere_is_four_pi() {
    let mut ones = CubeMap::black(32);
    ones.texels_mut().fill([1.0; 3]);
    near(flux(&ones), 4.0 * PI, 1e-3, "solid angle");
}

#[test]
fn a_glowing_ball_gives_its_solid_angle() {
    let dark = flux(&Scene::new(&spec(&[], &[])).trace());
    for position in [[4.0, 0.0, 0.0], [2.0, -2.5, 3.0], [0.0, 5.0, 0.5]] {
        let spec = spec(&[BRIGHT], &[ball(position, 1.0, 0)]);
        let square: f32 = position.iter().map(|part| part * part).sum();
        let solid = 2.0 * PI * (1.0 - (1.0 - 1.0 / f64::from(square)).sqrt());
        near(flux(&Scene::new(&spec).trace()) - dark, 256.0 * solid, 0.01, "flux");
    }
}

#[test]
fn a_glowing_capsule_and_rock_are_as_large_as_they_look() {
    // Seen from the side, far away: a rectangle and two halves of a disc.
    let dark = flux(&Scene::new(&spec(&[], &[])).trace());
    let capsule = Object {
        position: steps([-2.0, 0.0, 20.0]),
        form: Form::Capsule { to: [256, 0, 0], radius: 32 },
        surface: 0,
    };
    let spec = ReflectionSpec { face_log2: 6, ..spec(&[BRIGHT], &[capsule]) };
    let solid = (4.0 * 1.0 + PI * 0.25) / 400.0;
    near(flux(&Scene::new(&spec).trace()) - dark, 256.0 * solid, 0.02, "flux");
}

#[test]
fn a_white_floor_gives_back_what_the_sky_sends() {
    // Its polish mirrors without loss.
    let white = Surface { roughness: 0, ..WHITE };
    let spec = ReflectionSpec { face_log2: 5, ..spec(&[white], &[floor(0)]) };
    let given = below(&Scene::new(&spec).trace(), 8);
    // The sky's mean weighted by the cosine, over the upper half.
    let (mut sum, mut weight) = (0.0, 0.0);
    for row in 0..100 {
        for column in 0..400 {
            let cos = (f64::from(row) + 0.5) / 100.0;
            let (sin, turn) = ((1.0 - cos * cos).sqrt(), PI * f64::from(column) / 200.0);
            let towards = [sin * turn.cos(), cos, sin * turn.sin()].map(|part| part as f32);
            sum += cos * f64::from(sky_radiance(7, towards)[1]);
            weight += cos;
        }
    }
    // A 25th is mirrored, from straight above rather than from everywhere.
    near(given, sum / weight, 0.04, "floor");
}

#[test]
fn no_surface_gives_more_than_it_gets() {
    for metal in [0, 128, 255] {
        for roughness in [0, 60, 100, 180, 255] {
            let spec = spec(&[Surface { metal, roughness, ..WHITE }], &[floor(0)]);
            let cube = Scene::new(&spec).trace();
            let sky = Scene::new(&ReflectionSpec { objects: vec![], ..spec }).trace();
            let brightest = sky.texels().iter().map(|texel| texel[1]).fold(0.0, f32::max);
            let mean = below(&cube, 8);
            assert!(mean < f64::from(brightest), "metal {metal}, roughness {roughness}: {mean}");
            assert!(mean > 0.02, "metal {metal}, roughness {roughness}: {mean} is dark");
        }
    }
}

#[test]
fn a_mirror_shows_the_sky_upside_down() {
    let spec = ReflectionSpec { face_log2: 5, ..spec(&[SILVER], &[floor(0)]) };
    let cube = Scene::new(&spec).trace();
    let (mut off, mut all) = (0.0, 0.0);
    for y in 0..32 {
        for x in 0..32 {
            let mirrored = cube.texels()[cube.index(3, x, y)][1];
            let sky = cube.texels()[cube.index(2, x, 31 - y)][1];
            off += (mirrored - sky).abs();
            all += sky;
        }
    }
    assert!(off < 0.05 * all, "{off} of {all}");
}

fn sun() -> Sun {
    Sun { direction: [0, 127, 0], colour: [255; 3], power: 32 }
}

#[test]
fn the_sun_lights_a_floor_by_lamberts_law() {
    let lit = |direction| {
        let sun = Sun { direction, ..sun() };
        below(&Scene::new(&ReflectionSpec { sun: Some(sun), ..spec(&[WHITE], &[floor(0)]) }).trace(), 2)
    };
    // 96 hundredths are not mirrored.
    near(lit([0, 127, 0]), 0.96 * 256.0 / PI, 0.03, "from above");
    near(lit([110, 64, 0]), 0.96 * 256.0 / PI * 0.5, 0.04, "from the side");
    assert!(lit([0, -127, 0]) < 1.0, "from below");
}

#[test]
fn a_shadow_keeps_the_sun_out() {
    let objects = [floor(0), ball([0.0, 5.0, 0.0], 0.75, 1)];
    let spec = ReflectionSpec { sun: Some(sun()), ..spec(&[WHITE, BLACK], &objects) };
    let cube = Scene::new(&spec).trace();
    assert!(below(&cube, 2) < 1.0, "{}", below(&cube, 2));
    let corner = cube.texels()[cube.index(3, 0, 0)][1];
    near(f64::from(corner), 0.96 * 256.0 / PI, 0.05, "outside the shadow");
}

#[test]
fn a_glowing_ball_lights_a_floor_by_its_solid_angle() {
    // Irradiance of a ball straight above: π times radiance times the square of its half angle's sine.
    let objects = [floor(0), ball([0.0, 3.0, 0.0], 1.0, 1)];
    let mut spec = spec(&[WHITE, BRIGHT], &objects);
    spec.probe = steps([0.0, -0.5, 0.0]);
    let given = below(&Scene::new(&spec).trace(), 2);
    near(given, 0.96 * 256.0 / 16.0, 0.04, "floor");
    // Several lights share the samples; together they give the sum of what each gives.
    spec.objects.push(ball([3.0, 3.0, 0.0], 0.5, 1));
    spec.objects.push(ball([-60.0, 9.0, 0.0], 0.5, 1));
    let second = 256.0 * 0.25 / 25.0 * 0.8 * 0.96;
    near(below(&Scene::new(&spec).trace(), 2), given + second, 0.04, "floor");
}

#[test]
fn a_glowing_capsule_lights_a_floor_as_its_parts_do() {
    // Half a metre thick, from x = -1 to 1, two metres above the floor.
    let capsule = Object {
        position: steps([-1.0, 1.0, 0.0]),
        form: Form::Capsule { to: [128, 0, 0], radius: 16 },
        surface: 1,
    };
    let spec =
        ReflectionSpec { probe: steps([0.0, -0.75, 0.0]), ..spec(&[WHITE, BRIGHT], &[floor(0), capsule]) };
    let given = below(&Scene::new(&spec).trace(), 2);
    // The surface in small pieces, seen from the floor below its middle.
    let radius = 0.25;
    let mut irradiance = 0.0;
    let mut piece = |place: [f64; 3], normal: [f64; 3], area: f64| {
        let to = [place[0], place[1] + 1.0, place[2]];
        let square: f64 = to.iter().map(|part| part * part).sum();
        let facing: f64 = -to.iter().zip(normal).map(|(to, normal)| to * normal).sum::<f64>();
        if facing > 0.0 {
            irradiance += area * facing * to[1] / (square * square);
        }
    };
    let pieces = 300;
    for around in 0..pieces {
        let (sin, cos) = (2.0 * PI * (f64::from(around) + 0.5) / f64::from(pieces)).sin_cos();
        for along in 0..pieces {
            let share = (f64::from(along) + 0.5) / f64::from(pieces);
            let x = 2.0 * share - 1.0;
            let area = 2.0 * PI * radius * 2.0 / f64::from(pieces * pieces);
            piece([x, 1.0 + radius * sin, radius * cos], [0.0, sin, cos], area);
            let across = (1.0 - x * x).sqrt();
            let normal = [x, across * sin, across * cos];
            let end = [x.signum() + radius * x, 1.0 + radius * normal[1], radius * normal[2]];
            piece(end, normal, 4.0 * PI * radius * radius / f64::from(pieces * pieces));
        }
    }
    near(given, 0.96 * 256.0 * irradiance / PI, 0.05, "floor");
}

#[test]
fn a_probe_inside_an_object_does_not_see_it() {
    for form in [Form::Sphere { radius: 128 }, Form::Capsule { to: [64, 0, 0], radius: 128 }] {
        let inside = spec(&[WHITE], &[Object { position: [0; 3], form, surface: 0 }]);
        let sky = ReflectionSpec { objects: vec![], ..inside.clone() };
        assert_eq!(Scene::new(&inside).trace(), Scene::new(&sky).trace());
        let units = |spec: &ReflectionSpec| Reflection::admit(spec, &Blobs::default()).unwrap().0;
        let (within, without) = (units(&inside), units(&sky));
        assert!(within < without + without / 4, "nor is it paid for: {within} units, {without} without it");
    }
}
