//! A kernel that nobody wants any more ends without an outcome.

use std::thread;

use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::{Physics, PhysicsSpec};
use p2c2r_tasks::{Blobs, Fueled, KernelError, Stop};

use crate::{maps, scenes};

/// Stops the kernel from another thread once it has begun; it must end with that and not with what it was doing.
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
