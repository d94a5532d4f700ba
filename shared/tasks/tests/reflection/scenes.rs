//! Scenes to trace: seeded, and like those of the game or worse.

use p2c2r_tasks::physics::{Rotation, ShapeId};
use p2c2r_tasks::reflection::{Form, Object, POSITION_STEPS_PER_M, ReflectionSpec, Sun, Surface};

use crate::seeded::Seeded;

pub const STONE: Surface =
    Surface { colour: [150, 130, 110], metal: 0, roughness: 230, glow: [0; 3], power: 0 };
pub const MIRROR: Surface =
    Surface { colour: [240, 235, 225], metal: 255, roughness: 0, glow: [0; 3], power: 0 };
pub const GLOSS: Surface =
    Surface { colour: [200, 170, 120], metal: 255, roughness: 70, glow: [0; 3], power: 0 };
pub const HULL: Surface =
    Surface { colour: [120, 130, 150], metal: 160, roughness: 110, glow: [0; 3], power: 0 };
/// Radiance 16 and 32.
pub const BOLT: Surface =
    Surface { colour: [0; 3], metal: 0, roughness: 255, glow: [80, 255, 140], power: 24 };
pub const FIRE: Surface =
    Surface { colour: [0; 3], metal: 0, roughness: 255, glow: [255, 150, 50], power: 26 };
/// Nearly all rocks are stone; some mirror.
pub const SURFACES: [Surface; 6] = [STONE, MIRROR, GLOSS, HULL, BOLT, FIRE];

pub fn steps(metres: [f32; 3]) -> [i16; 3] {
    metres.map(|part| (part * POSITION_STEPS_PER_M).round() as i16)
}

/// The game's default: `rocks` rocks and `others` ships, bolts and explosions in the plane of the 64 m arena,
/// the probe in the middle.
pub fn arena(rocks: usize, others: usize, seed: u64) -> ReflectionSpec {
    let mut seeded = Seeded(seed);
    let mut objects = Vec::new();
    let place = |seeded: &mut Seeded| loop {
        let [x, z] = [seeded.between_f32(-32.0, 32.0), seeded.between_f32(-32.0, 32.0)];
        if x * x + z * z > 9.0 {
            return steps([x, 0.0, z]);
        }
    };
    for number in 0..rocks {
        let position = place(&mut seeded);
        let shape = ShapeId::rock(seeded.scaled(8) as u16, f64::from(seeded.between_f32(0.5, 2.0)));
        let mut part = || f64::from(seeded.between_f32(-1.0, 1.0));
        let rotation = Rotation::of([part(), part(), part(), part()]);
        let surface = match number % 10 {
            7 => 1,
            8 => 2,
            _ => 0,
        };
        objects.push(Object { position, form: Form::Rock { shape, rotation }, surface });
    }
    for number in 0..others {
        let position = place(&mut seeded);
        let mut along =
            |reach: f32| [seeded.between_f32(-reach, reach), 0.0, seeded.between_f32(-reach, reach)];
        let (form, surface) = match number % 4 {
            0 => (Form::Capsule { to: steps(along(1.5)), radius: 32 }, 3),
            1 | 2 => (Form::Capsule { to: steps(along(1.2)), radius: 6 }, 4),
            _ => (Form::Sphere { radius: 40 }, 5),
        };
        objects.push(Object { position, form, surface });
    }
    ReflectionSpec {
        probe: [0; 3],
        face_log2: 5,
        levels: 1,
        samples: 4,
        others: Vec::new(),
        bounces: 3,
        seed: seed as u32,
        sky: 7,
        sun: Some(Sun { direction: [60, 80, -30], colour: [255, 240, 220], power: 19 }),
        surfaces: SURFACES.to_vec(),
        objects,
    }
}
