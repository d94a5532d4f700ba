//! Scenes on which both kernels must agree, from nothing to the most that admission lets through.

use p2c2r_tasks::physics::{Rotation, ShapeId};
use p2c2r_tasks::reflection::{
    BOUNCES_MAX, FACE_LOG2_MAX, FACE_LOG2_MIN, Form, OBJECTS_MAX, Object, POWER_MAX, ReflectionSpec,
    SAMPLES_MAX, SURFACES_MAX, Sun, Surface,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

fn metres(value: f32) -> i16 {
    (value * 64.0) as i16
}

/// Nothing but the sky.
pub fn sky() -> ReflectionSpec {
    ReflectionSpec {
        probe: [0; 3],
        face_log2: 5,
        levels: 1,
        samples: 8,
        others: Vec::new(),
        bounces: 4,
        seed: 17,
        sky: 3,
        sun: Some(Sun { direction: [60, 90, -30], colour: [255, 240, 220], power: 18 }),
        surfaces: Vec::new(),
        objects: Vec::new(),
    }
}

const STONE: Surface = Surface { colour: [150, 130, 110], metal: 0, roughness: 200, glow: [0; 3], power: 0 };
const MIRROR: Surface = Surface { colour: [240, 240, 250], metal: 255, roughness: 0, glow: [0; 3], power: 0 };
const ROUGH: Surface = Surface { colour: [230, 180, 90], metal: 255, roughness: 120, glow: [0; 3], power: 0 };
const HULL: Surface = Surface { colour: [180, 60, 50], metal: 128, roughness: 60, glow: [0; 3], power: 0 };
const BOLT: Surface = Surface { colour: [0; 3], metal: 0, roughness: 255, glow: [80, 255, 120], power: 24 };
const FLAME: Surface = Surface { colour: [20; 3], metal: 0, roughness: 255, glow: [255, 120, 40], power: 22 };

fn ball(x: f32, y: f32, z: f32, radius: f32, surface: u8) -> Object {
    let position = [metres(x), metres(y), metres(z)];
    Object { position, form: Form::Sphere { radius: metres(radius) as u16 }, surface }
}

/// A perfect mirror beside the probe.
pub fn mirror_ball() -> ReflectionSpec {
    ReflectionSpec { surfaces: vec![MIRROR], objects: vec![ball(4.0, 0.5, 1.0, 2.0, 0)], ..sky() }
}

/// Rough metal and stone near each other, in the sun's light and each other's.
pub fn rough_metal() -> ReflectionSpec {
    ReflectionSpec {
        surfaces: vec![ROUGH, STONE, HULL],
        objects: vec![
            ball(3.0, 0.0, 0.0, 1.5, 0),
            ball(-3.0, 0.5, 1.0, 1.5, 1),
            ball(0.0, -3.0, -1.0, 2.0, 2),
            ball(0.5, 1.0, 4.0, 1.0, 0),
        ],
        ..sky()
    }
}

/// Bolts and flames are all the light there is but the sky.
pub fn bolts() -> ReflectionSpec {
    let mut dice = SmallRng::seed_from_u64(5);
    let mut objects = rough_metal().objects;
    for number in 0..24 {
        let mut place = || dice.random_range(-12.0..12.0_f32);
        let (x, y, z) = (place(), place() * 0.2, place());
        objects.push(Object {
            position: [metres(x), metres(y), metres(z)],
            form: if number % 3 == 0 {
                Form::Sphere { radius: 20 }
            } else {
                Form::Capsule { to: [metres(place() * 0.2), 0, metres(1.5)], radius: 8 }
            },
            surface: 3 + number % 2,
        });
    }
    ReflectionSpec { sun: None, surfaces: vec![ROUGH, STONE, HULL, BOLT, FLAME], objects, ..sky() }
}

/// A field of `count` rocks of stone, metal and mirror, with some bolts.
pub fn rocks(count: usize) -> ReflectionSpec {
    let mut dice = SmallRng::seed_from_u64(9);
    let mut objects = Vec::new();
    for number in 0..count {
        let mut part = || dice.random_range(-1.0..1.0_f64);
        let at = [part() * 40.0, part() * 4.0, part() * 40.0];
        let rotation = Rotation::of([part(), part(), part(), part()]);
        let form = dice.random_range(0..16);
        objects.push(Object {
            position: at.map(|part| metres(part as f32)),
            form: Form::Rock { shape: ShapeId::rock(form, dice.random_range(0.5..3.0)), rotation },
            surface: (number % 3) as u8,
        });
    }
    let bolts = bolts();
    objects.extend(bolts.objects.iter().filter(|object| object.surface > 2));
    let surfaces = vec![STONE, HULL, MIRROR, BOLT, FLAME];
    ReflectionSpec { sun: sky().sun, surfaces, objects, ..sky() }
}

/// As many objects, surfaces, lights, samples and bounces as there may be, crowded around the probe, on the
/// smallest face.
pub fn crowded() -> ReflectionSpec {
    let mut dice = SmallRng::seed_from_u64(11);
    let surfaces = (0..SURFACES_MAX)
        .map(|_| Surface {
            colour: dice.random(),
            metal: dice.random(),
            roughness: dice.random(),
            glow: dice.random(),
            power: dice.random_range(0..=POWER_MAX),
        })
        .collect();
    let objects = (0..OBJECTS_MAX)
        .map(|_| Object {
            position: [(); 3].map(|()| dice.random_range(-800..800)),
            form: match dice.random_range(0..3) {
                0 => Form::Sphere { radius: dice.random_range(1..200) },
                1 => Form::Capsule {
                    to: [(); 3].map(|()| dice.random_range(-300..300)),
                    radius: dice.random_range(1..60),
                },
                _ => Form::Rock {
                    shape: ShapeId::rock(dice.random_range(0..16), 1.5),
                    rotation: Rotation::of([(); 4].map(|()| dice.random_range(-1.0..1.0))),
                },
            },
            surface: dice.random_range(0..SURFACES_MAX as u8),
        })
        .collect();
    ReflectionSpec {
        face_log2: FACE_LOG2_MIN,
        samples: SAMPLES_MAX,
        bounces: BOUNCES_MAX,
        sun: Some(Sun { direction: [1, -1, 127], colour: [255; 3], power: POWER_MAX }),
        surfaces,
        objects,
        ..sky()
    }
}

/// Shapes at their extremes: every number as large or as small as its type holds.
pub fn extreme() -> ReflectionSpec {
    let far = [i16::MIN, i16::MAX, i16::MIN];
    let black = Surface { power: POWER_MAX, glow: [255; 3], ..Surface::default() };
    let white = Surface { colour: [255; 3], metal: 255, roughness: 1, glow: [0; 3], power: 1 };
    let forms = [
        Form::Sphere { radius: u16::MAX },
        Form::Sphere { radius: 1 },
        Form::Capsule { to: [i16::MAX, i16::MIN, i16::MAX], radius: 1 },
        Form::Capsule { to: [0, 1, 0], radius: u16::MAX },
        Form::Capsule { to: [0; 3], radius: 3 },
    ];
    let objects = forms
        .into_iter()
        .flat_map(|form| {
            [[0; 3], [1, 0, 0], far, [i16::MAX; 3]]
                .map(|position| [0, 1, 2].map(|surface| Object { position, form, surface }))
        })
        .flatten()
        .collect();
    ReflectionSpec {
        probe: [i16::MAX, i16::MIN, 0],
        bounces: BOUNCES_MAX,
        samples: 4,
        seed: u32::MAX,
        sky: u32::MAX,
        sun: Some(Sun { direction: [-128, 127, 0], colour: [255; 3], power: POWER_MAX }),
        surfaces: vec![black, white, STONE],
        objects,
        ..sky()
    }
}

/// The most texels there may be.
pub fn large() -> ReflectionSpec {
    ReflectionSpec { face_log2: FACE_LOG2_MAX, samples: 2, ..rocks(20) }
}
