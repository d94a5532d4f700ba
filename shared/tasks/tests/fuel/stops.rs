//! A kernel whose answer is no longer wanted ends without an outcome.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::{Physics, PhysicsSpec};
use p2c2r_tasks::reflection::{OBJECTS_MAX, Reflection, ReflectionSpec};
use p2c2r_tasks::{Blobs, Fueled, KernelError, Stop, TaskKind};

use crate::maps::Seeded;
use crate::worst::Genome;
use crate::{lightfield, maps, path, physics, reflection, scenes, tactics};

/// Stops the kernel from another thread once it has begun; it must end as stopped and not with an outcome.
fn stopped<K: Fueled>(spec: &K::Spec, blobs: &Blobs) {
    let stop = Stop::new();
    let ended = thread::scope(|scope| {
        let running = scope.spawn(|| K::run(spec, blobs, &stop));
        stop.stop();
        running.join().expect("no kernel panics")
    });
    assert_eq!(ended, Err(KernelError::Stopped));
}

#[test]
fn a_kernel_that_is_stopped_has_no_outcome() {
    let case = maps::maze(255, 256, 3);
    let (spec, blobs) = case.spec(&case.queries);
    stopped::<Path>(&spec, &blobs);
    let many = PhysicsSpec { segments: 16, steps: 30, ..scenes::arena(600, 1) };
    stopped::<Physics>(&many, &Blobs::default());
}

/// Steps that a kernel may take between two looks at the stop flag: a step is a nanosecond of the reference core, and a
/// kernel that is stopped is to end within 5 ms.
const UNSEEN_STEPS_MAX: u64 = 5_000_000;
/// The same for a tick of the physics engine, which cannot be interrupted and is long where many bodies are deep in one
/// another.
const TICK_STEPS_MAX: u64 = 8_000_000;

/// The most steps between two looks of this task's kernel, however it ends.
fn unseen<K: Fueled>(spec: &K::Spec, blobs: &Blobs) -> u64 {
    let stop = Stop::never();
    let mut fuel = K::fuel(spec, blobs, &stop).expect("an admissible spec");
    let _ = K::run_on(spec, blobs, &mut fuel);
    fuel.unseen_max()
}

/// The same for the worst of `count` random tasks.
fn unseen_of_any<G: Genome>(count: usize) -> u64 {
    let (mut seeded, mut most) = (Seeded(1), Vec::new());
    while most.len() < count {
        let (spec, blobs) = G::random(&mut seeded).spec();
        if G::Kind::admit(&spec, &blobs).is_ok_and(|units| units.0 < UNITS.end) {
            most.push(unseen::<G::Kind>(&spec, &blobs));
        }
    }
    most.into_iter().max().unwrap_or_default()
}

/// The largest probe there is, of a noise that takes several tries to pack.
fn largest_probe() -> ReflectionSpec {
    let (mut spec, _) = reflection::Things::typical();
    (spec.face_log2, spec.levels, spec.samples, spec.bounces, spec.others) = (7, 8, 1, 1, Vec::new());
    spec
}

/// As many things as there may be.
fn most_things() -> ReflectionSpec {
    let (mut spec, _) = reflection::Things::typical();
    spec.objects = spec.objects.iter().cycle().take(OBJECTS_MAX).copied().collect();
    (spec.face_log2, spec.samples, spec.others) = (4, 1, Vec::new());
    spec
}

#[test]
fn no_kernel_goes_on_for_long_without_a_look() {
    let case = maps::maze(255, 8, 3);
    let (on_a_maze, grid) = case.spec(&case.queries);
    let many = PhysicsSpec { segments: 2, steps: 30, ..scenes::arena(600, 1) };
    let most = [
        ("path", unseen_of_any::<path::Paths>(60).max(unseen::<Path>(&on_a_maze, &grid))),
        ("physics", unseen_of_any::<physics::Bodies>(60).max(unseen::<Physics>(&many, &Blobs::default()))),
        ("reflection", unseen_of_any::<reflection::Things>(60)),
        ("reflection, the largest probe", unseen::<Reflection>(&largest_probe(), &Blobs::default())),
        ("reflection, most things", unseen::<Reflection>(&most_things(), &Blobs::default())),
        ("lightfield", unseen_of_any::<lightfield::Fields>(60)),
        ("tactics", unseen_of_any::<tactics::Fights>(60)),
    ];
    for (kind, steps) in most {
        println!("{kind}: {steps} steps between two looks");
    }
    let max = |kind| if kind == "physics" { TICK_STEPS_MAX } else { UNSEEN_STEPS_MAX };
    assert!(most.iter().all(|(kind, steps)| *steps <= max(*kind)), "{most:?}");
}

/// Work units of the specs that are stopped.
const UNITS: std::ops::Range<u64> = 5_000..100_000;

/// Stops kernels of `count` random specs at a random moment; prints how long they ran on.
fn runs_on<G: Genome>(count: usize, seed: u64) {
    let (mut seeded, mut waits) = (Seeded(seed), Vec::new());
    while waits.len() < count {
        let (spec, blobs) = G::random(&mut seeded).spec();
        let Ok(units) = G::Kind::admit(&spec, &blobs) else { continue };
        if !UNITS.contains(&units.0) {
            continue;
        }
        let (stop, start) = (Stop::new(), Barrier::new(2));
        let after = Duration::from_micros(seeded.below(units.0 / 2));
        let (ended, asked) = thread::scope(|scope| {
            let running = scope.spawn(|| {
                start.wait();
                let ended = G::Kind::run(&spec, &blobs, &stop);
                (ended.is_err(), Instant::now())
            });
            start.wait();
            let begun = Instant::now();
            while begun.elapsed() < after {
                std::hint::spin_loop();
            }
            let asked = Instant::now();
            stop.stop();
            (running.join().expect("no kernel panics"), asked)
        });
        if ended.0 {
            waits.push(ended.1.saturating_duration_since(asked));
        }
    }
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    println!(
        "{} runs on for {:?} (median), {:?} (99 %), {:?} (most)",
        G::Kind::NAME,
        at(50),
        at(99),
        at(100)
    );
}

#[test]
#[ignore = "measures time, and asserts nothing of it"]
fn how_long_kernels_run_on() {
    runs_on::<path::Paths>(300, 1);
    runs_on::<physics::Bodies>(300, 1);
    runs_on::<reflection::Things>(300, 1);
    runs_on::<lightfield::Fields>(300, 1);
    runs_on::<tactics::Fights>(300, 1);
}
