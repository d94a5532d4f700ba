//! Small scenes: a dozen rocks and balls that meet within a quarter of a second, in two segments. One in four
//! is sent as changes against the snapshot that an earlier task left.

use p2c2r_offload::prelude::{Blob, Blobs, TaskKind as _};
use p2c2r_tasks::Stop;
use p2c2r_tasks::physics::{
    Body, BodyMaterial, BodySnapshot, Motion, POSITION_STEPS_PER_M, Physics, PhysicsSpec, ShapeId, State,
    Walls,
};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::Puzzling;

/// Rows and columns of bodies.
const ROWS: i32 = 3;
/// Metres between two of them; they are at most 1.4 m across, and fly at up to 6 m/s.
const SPACING_M: f64 = 1.6;

impl Puzzling for Physics {
    fn small_task(seed: u64) -> (PhysicsSpec, Blobs) {
        let mut random = Pcg32::seed_from_u64(seed);
        let mut bodies = Vec::new();
        for number in 0..ROWS * (ROWS + 1) {
            let (row, column) = (number / ROWS, number % ROWS);
            let mut speed = || random.random_range(-6.0..6.0);
            let motion = Motion {
                position: [f64::from(column - 1) * SPACING_M, 0.0, f64::from(row - 1) * SPACING_M],
                rotation: [0.0, 0.0, 0.0, 1.0],
                velocity: [speed(), 0.0, speed()],
                spin: [0.0, speed() / 4.0, 0.0],
            };
            let shape = if number % 2 == 0 { ShapeId::ball(0.7) } else { ShapeId::rock(number as u16, 0.7) };
            bodies.push(Body { id: number as u32, shape, material: 0, state: State::of(&motion) });
        }
        let half = (6.0 * POSITION_STEPS_PER_M) as i32;
        let spec = PhysicsSpec {
            base: None,
            segments: 2,
            steps: 8,
            planar: true,
            walls: Some(Walls { half_x: half, half_z: half }),
            attractors: Vec::new(),
            materials: vec![BodyMaterial::ROCK],
            bodies,
        };
        if seed % 4 != 1 {
            return (spec, Blobs::default());
        }
        let none = Blobs::default();
        let outcome = Self::run(&spec, &none, &Stop::never()).expect("the kernel takes every puzzle");
        let left = Self::leaves(&spec, &none, &outcome).expect("a dozen bodies fit into a blob");
        let snapshot = BodySnapshot::from_blob(&left).expect("what was left is a snapshot");
        let blob = Blob::new(left);
        let mut bodies = snapshot.bodies().to_vec();
        bodies.remove(3);
        bodies[0].state.velocity[0] /= 2;
        let whole = PhysicsSpec { bodies, ..spec };
        (whole.changes_of(&snapshot, blob.digest()), Blobs::new(vec![blob]))
    }
}
