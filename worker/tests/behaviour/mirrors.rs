//! Runs that take a core some milliseconds: small mirrors.

use std::time::{Duration, Instant};

use p2c2r_link::Waker;
use p2c2r_protocol::{Attempt, TaskNo};
use p2c2r_tasks::reflection::{Form, Object, Reflection, ReflectionSpec, Sun, Surface};
use p2c2r_tasks::{Blobs, KindRegistry, TaskKind as _};
use p2c2r_worker::cancel::Cancel;
use p2c2r_worker::executor::{ClockAnchor, Run, SharedStage};

/// A mirror among spheres, as a spec that a coordinator would send; `seed` makes each its own.
fn spec(seed: u32) -> Vec<u8> {
    let sphere = |number: i16| Object {
        position: [number * 97 % 4_000 - 2_000, number * 61 % 3_000 - 1_500, number * 37 % 4_000 - 2_000],
        form: Form::Sphere { radius: 64 },
        surface: (number % 2) as u8,
    };
    let spec = ReflectionSpec {
        probe: [0; 3],
        face_log2: 4,
        levels: 1,
        samples: 8,
        bounces: 2,
        seed,
        sky: 1,
        sun: Some(Sun { direction: [1, 2, 3], colour: [255; 3], power: 18 }),
        surfaces: vec![
            Surface { colour: [200; 3], roughness: 128, ..Surface::default() },
            Surface { glow: [255, 180, 90], power: 18, ..Surface::default() },
        ],
        objects: (0..40).map(sphere).collect(),
        others: Vec::new(),
    };
    Reflection::encode_spec(&spec)
}

/// A run of a mirror that differs from every other.
pub fn mirror(kinds: &KindRegistry, serial: u64, clock: ClockAnchor) -> Run {
    let spec = spec(serial as u32);
    let job = kinds.get(Reflection::ID).unwrap().decode(&spec).unwrap();
    Run {
        key: (TaskNo(serial), Attempt(1)),
        serial,
        kind: Reflection::ID,
        spec: spec.into(),
        job,
        blobs: Blobs::default(),
        admitted: false,
        stage: SharedStage::default(),
        cancel: Cancel::default(),
        over_at: Instant::now() + Duration::from_mins(10),
        clock,
        waker: Waker::default(),
    }
}
