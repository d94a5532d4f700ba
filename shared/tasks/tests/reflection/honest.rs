//! Honest answers never fail: neither the kernel's own nor those of a processor that rounds differently.

use p2c2r_tasks::reflection::{
    CubeMap, Form, Object, Reflection, ReflectionOutcome, ReflectionSpec, Scene, Surface,
};
use p2c2r_tasks::{Blobs, TaskKind};

use crate::same::{cases, run};
use crate::scenes;
use crate::seeded::Seeded;

/// A cube as a GPU would compute it: every value off by up to a few roundings, and now and then a path that
/// passes an edge on the other side and goes another way. One texel in a thousand is far more than kernels differ in.
fn rounded_otherwise(spec: &ReflectionSpec, cube: &CubeMap, seeded: &mut Seeded) -> CubeMap {
    let stray = Scene::new(&ReflectionSpec { samples: 1, seed: seeded.bits() as u32, ..spec.clone() });
    let mut gpu = cube.clone();
    let share = 1.0 / f32::from(spec.samples);
    for (index, texel) in gpu.texels_mut().iter_mut().enumerate() {
        for part in texel.iter_mut() {
            *part *= 1.0 + seeded.between_f32(-1e-5, 1e-5);
        }
        if seeded.scaled(1_000) == 0 {
            let other = stray.texel(index as u32);
            texel.iter_mut().zip(other).for_each(|(part, other)| *part += (other - *part) * share);
        }
    }
    gpu
}

fn passes(spec: &ReflectionSpec, outcome: &ReflectionOutcome, seeds: std::ops::Range<u64>) {
    assert_eq!(Reflection::check(spec, &Blobs::default(), outcome), Ok(()));
    for seed in seeds {
        let judged = Reflection::deep_check(spec, &Blobs::default(), outcome, seed);
        assert_eq!(judged, Ok(()), "seed {seed} of {} objects", spec.objects.len());
    }
}

fn campaign(rounds: u64, checks: u64) {
    for round in 0..rounds {
        let spec = match round % 4 {
            0 => ReflectionSpec { face_log2: 4, ..scenes::arena(150, 20, round) },
            1 => ReflectionSpec { samples: 2, ..scenes::arena(20, 10, round) },
            _ => scenes::arena(150, 20, round),
        };
        let cube = Scene::new(&spec).trace();
        passes(&spec, &ReflectionOutcome::of(spec.levels, &cube), 0..checks / 2);
        let gpu = rounded_otherwise(&spec, &cube, &mut Seeded(round));
        passes(&spec, &ReflectionOutcome::of(spec.levels, &gpu), 0..checks / 2);
    }
}

#[test]
fn honest_workers_pass() {
    for (_, spec) in cases() {
        passes(&spec, &run(&spec), 0..4);
    }
    campaign(8, 40);
}

/// A gamer may ask for two surfaces in one place, one dark and one bright: which of them is seen depends on
/// rounding, so a worker that rounds differently is still honest.
#[test]
fn surfaces_in_one_place_are_no_trap() {
    let dark = Surface { colour: [0; 3], ..Surface::default() };
    let bright = Surface { glow: [255; 3], power: 32, ..dark };
    let capsule = |length, surface| Object {
        position: [-320, 0, 640],
        form: Form::Capsule { to: [length, 37, 0], radius: 300 },
        surface,
    };
    let spec = ReflectionSpec {
        probe: [0; 3],
        face_log2: 5,
        levels: 1,
        samples: 1,
        others: Vec::new(),
        bounces: 1,
        seed: 3,
        sky: 5,
        sun: None,
        surfaces: vec![dark, bright],
        objects: vec![
            capsule(700, 0),
            Object { form: Form::Capsule { to: [1_400, 74, 0], radius: 300 }, ..capsule(0, 1) },
        ],
    };
    let mut rounded = Scene::new(&spec);
    rounded.probe[1] += 4e-6;
    let (honest, other) = (Scene::new(&spec).trace(), rounded.trace());
    let differing =
        honest.texels().iter().zip(other.texels()).filter(|(a, b)| a[0] > 2.0 * b[0] || b[0] > 2.0 * a[0]);
    assert!(differing.count() > 50, "the two surfaces look alike");
    passes(&spec, &ReflectionOutcome::of(1, &other), 0..60);
}

/// `cargo test --release -p p2c2r_tasks --test reflection -- --ignored`: some minutes.
#[test]
#[ignore = "takes minutes"]
fn honest_workers_pass_100_000_checks() {
    campaign(500, 200);
}
