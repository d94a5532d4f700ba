//! A kernel whose answer is no longer wanted ends without an outcome.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use p2c2r_tasks::lightfield::Lightfield;
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::{Body, BodyMaterial, Motion, Physics, PhysicsSpec, ShapeId, State};
use p2c2r_tasks::reflection::{OBJECTS_MAX, Reflection, ReflectionSpec};
use p2c2r_tasks::tactics::Tactics;
use p2c2r_tasks::{Blobs, Fueled, KernelError, Stop, TaskKind};

use crate::seeded::Seeded;
use crate::worst::Genome;
use crate::{lightfield, maps, path, physics, reflection, scenes, tactics};

/// Stops the kernel from another thread while it begins; it must end as stopped and not with an outcome.
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

/// Turns of waiting from one moment of stopping to the next, and the number of moments; together they take about as
/// long as the task.
const TURNS: u32 = 60_000;
const MOMENTS: u32 = 24;

#[test]
fn a_tick_that_is_cut_short_leaves_no_trace() {
    let (spec, blobs) = (heaps(4, 32, 2), Blobs::default());
    let whole = Physics::run(&spec, &blobs, &Stop::never());
    assert!(whole.is_ok(), "{whole:?}");
    for moment in 0..MOMENTS {
        let stop = Stop::new();
        let ended = thread::scope(|scope| {
            let running = scope.spawn(|| Physics::run(&spec, &blobs, &stop));
            (0..moment * TURNS).for_each(|_| std::hint::spin_loop());
            stop.stop();
            running.join().expect("no kernel panics")
        });
        assert!(ended == whole || ended == Err(KernelError::Stopped), "stopped at moment {moment}");
    }
}

/// Steps that a kernel may take between two looks at the stop flag: a step is a nanosecond of the reference core, and a
/// kernel that is stopped is to end within 5 ms.
const UNSEEN_STEPS_MAX: u64 = 5_000_000;

#[test]
fn a_tick_with_more_pairs_in_contact_than_the_solver_may_take_is_out_of_fuel() {
    let run = |rocks| Physics::run(&heaps(4, rocks, 1), &Blobs::default(), &Stop::never());
    assert!(run(32).is_ok(), "1,984 pairs");
    assert_eq!(run(33), Err(KernelError::OutOfFuel), "2,112 pairs");
}

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

/// The largest probe, so noisy that packing it takes several tries.
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

/// Heaps of rocks deep in one another, each in nearly one place.
fn heaps(count: u32, rocks: u32, steps: u8) -> PhysicsSpec {
    let body = |number: u32| {
        let apart = |step: u32| f64::from(number * step % 13) * 0.01;
        let position = [f64::from(number / rocks) * 12.0 - 216.0 + apart(1), apart(5), apart(7)];
        let motion = Motion { position, ..Motion::default() };
        let shape = ShapeId::rock((number % 8) as u16, 1.0);
        Body { id: number, shape, material: 0, state: State::of(&motion) }
    };
    PhysicsSpec {
        base: None,
        segments: 1,
        steps,
        planar: false,
        walls: None,
        attractors: Vec::new(),
        materials: vec![BodyMaterial::ROCK],
        bodies: (0..count * rocks).map(body).collect(),
    }
}

#[test]
fn no_kernel_goes_on_for_long_without_a_look() {
    let case = maps::maze(255, 8, 3);
    let (on_a_maze, grid) = case.spec(&case.queries);
    let many = PhysicsSpec { segments: 2, steps: 30, ..scenes::arena(600, 1) };
    let most = [
        ("path", unseen_of_any::<path::Paths>(60).max(unseen::<Path>(&on_a_maze, &grid))),
        ("physics", unseen_of_any::<physics::Bodies>(60).max(unseen::<Physics>(&many, &Blobs::default()))),
        ("physics, four heaps", unseen::<Physics>(&heaps(4, 32, 2), &Blobs::default())),
        ("physics, 36 heaps", unseen::<Physics>(&heaps(36, 33, 1), &Blobs::default())),
        ("reflection", unseen_of_any::<reflection::Things>(60)),
        ("reflection, the largest probe", unseen::<Reflection>(&largest_probe(), &Blobs::default())),
        ("reflection, most things", unseen::<Reflection>(&most_things(), &Blobs::default())),
        ("lightfield", unseen_of_any::<lightfield::Fields>(60)),
        ("tactics", unseen_of_any::<tactics::Fights>(60)),
    ];
    for (kind, steps) in most {
        println!("{kind}: {steps} steps between two looks");
    }
    assert!(most.iter().all(|(_, steps)| *steps <= UNSEEN_STEPS_MAX), "{most:?}");
}

/// Work units of the specs that are stopped.
const UNITS: std::ops::Range<u64> = 5_000..100_000;

/// A random spec of [`UNITS`]; `None` if this one is not.
fn some<G: Genome>(seeded: &mut Seeded) -> Option<(<G::Kind as TaskKind>::Spec, Blobs)> {
    let (spec, blobs) = G::random(seeded).spec();
    G::Kind::admit(&spec, &blobs).is_ok_and(|units| UNITS.contains(&units.0)).then_some((spec, blobs))
}

/// Stops kernels of `count` of these specs at a random moment; prints how long they ran on.
fn runs_on<K: Fueled>(what: &str, count: usize, next: impl Fn(&mut Seeded) -> Option<(K::Spec, Blobs)>) {
    let (mut seeded, mut waits) = (Seeded(1), Vec::new());
    while waits.len() < count {
        let Some((spec, blobs)) = next(&mut seeded) else { continue };
        let units = K::admit(&spec, &blobs).expect("an admissible spec");
        let (stop, start) = (Stop::new(), Barrier::new(2));
        let after = Duration::from_micros(seeded.below(units.0 / 2));
        let (ended, asked) = thread::scope(|scope| {
            let running = scope.spawn(|| {
                start.wait();
                let ended = K::run(&spec, &blobs, &stop);
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
    println!("{what} runs on for {:?} (median), {:?} (99 %), {:?} (most)", at(50), at(99), at(100));
}

#[test]
#[ignore = "measures time, and asserts nothing of it"]
fn how_long_kernels_run_on() {
    runs_on::<Path>("path", 300, some::<path::Paths>);
    runs_on::<Physics>("physics", 300, some::<physics::Bodies>);
    let of_heaps = |count, rocks| move |_: &mut Seeded| Some((heaps(count, rocks, 4), Blobs::default()));
    runs_on::<Physics>("physics, four heaps", 300, of_heaps(4, 32));
    runs_on::<Physics>("physics, 36 heaps", 30, of_heaps(36, 33));
    runs_on::<Reflection>("reflection", 300, some::<reflection::Things>);
    runs_on::<Lightfield>("lightfield", 300, some::<lightfield::Fields>);
    runs_on::<Tactics>("tactics", 300, some::<tactics::Fights>);
}
