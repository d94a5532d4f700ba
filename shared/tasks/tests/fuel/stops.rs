//! A kernel whose answer is no longer wanted ends without an outcome.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::{Physics, PhysicsSpec};
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
