//! Small scenes: two cubes of 16 by 16 texels a face, and around the first six balls whose glow depends on
//! the seed, so that no two tasks look alike in any direction.

use p2c2r_offload::prelude::Blobs;
use p2c2r_tasks::reflection::{
    Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, Reflection, ReflectionSpec, Surface, Viewpoint,
};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::Puzzling;

/// Where the second cube is: between the balls.
const BESIDE: [i16; 3] = [20, -31, 8];

/// Metres to the balls, and their radius.
const AWAY_M: f32 = 4.0;
const RADIUS_M: f32 = 3.0;

impl Puzzling for Reflection {
    fn small_task(seed: u64) -> (ReflectionSpec, Blobs) {
        let mut random = Pcg32::seed_from_u64(seed);
        let mut surfaces = Vec::new();
        let mut objects = Vec::new();
        for side in 0..6_u8 {
            let glow = [0; 3].map(|_| random.random_range(20..=255));
            // Sixteen half octaves, so that two seeds are rarely similar on any side.
            let power = random.random_range(12..28);
            surfaces.push(Surface { glow, power, roughness: 255, ..Surface::default() });
            let mut position = [0; 3];
            let steps = (AWAY_M * POSITION_STEPS_PER_M) as i16;
            position[usize::from(side / 2)] = if side % 2 == 0 { steps } else { -steps };
            let radius = (RADIUS_M * RADIUS_STEPS_PER_M) as u16;
            objects.push(Object { position, form: Form::Sphere { radius }, surface: side });
        }
        let spec = ReflectionSpec {
            probe: [0; 3],
            face_log2: 4,
            levels: 2,
            samples: 1,
            others: vec![Viewpoint { probe: BESIDE, face_log2: 4, levels: 1, samples: 1 }],
            bounces: 2,
            seed: seed as u32,
            sky: seed as u32,
            sun: None,
            surfaces,
            objects,
        };
        (spec, Blobs::default())
    }
}
