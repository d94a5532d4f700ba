//! Fields that are asked for in the tests.

use p2c2r_tasks::lightfield::{LightField, Lightfield, LightfieldOutcome, LightfieldSpec, Probes};
use p2c2r_tasks::reflection::{Object, ReflectionSpec};
use p2c2r_tasks::{Blob, Blobs, Stop, TaskKind};

use crate::scenes;

/// The field of light of the game's arena, with so many rocks and other things.
pub fn arena(rocks: usize, others: usize, seed: u64) -> LightfieldSpec {
    let ReflectionSpec { bounces, seed, sky, sun, surfaces, objects, .. } =
        scenes::arena(rocks, others, seed);
    LightfieldSpec {
        base: None,
        probes: Probes::Grid { origin: [-1_920, 64, -1_920], spacing: 256, counts: [16, 1, 16] },
        paths: 48,
        bounces,
        seed,
        sky,
        sun,
        surfaces,
        objects,
    }
}

/// A list of places.
pub fn listed(seed: u64) -> LightfieldSpec {
    let mut seeded = crate::seeded::Seeded(seed);
    let mut part = || (seeded.scaled(4_001) as i64 - 2_000) as i16;
    let places = (0..300).map(|_| [part(), part() / 16, part()]).collect();
    LightfieldSpec { probes: Probes::List(places), ..arena(30, 10, seed) }
}

/// The same a moment later: one thing has moved.
pub fn later(spec: &LightfieldSpec) -> LightfieldSpec {
    let mut later = spec.clone();
    if let Some(Object { position, .. }) = later.objects.last_mut() {
        position[0] += 200;
    }
    later
}

/// `spec`, answered as changes of `base`.
pub fn based(spec: &LightfieldSpec, base: &LightField) -> (LightfieldSpec, Blobs) {
    let blob = Blob::new(base.to_blob().unwrap());
    assert_eq!(Some(blob.digest()), base.digest());
    (LightfieldSpec { base: Some(blob.digest()), ..spec.clone() }, Blobs::new(vec![blob]))
}

pub fn run(spec: &LightfieldSpec, blobs: &Blobs) -> LightfieldOutcome {
    Lightfield::admit(spec, blobs).unwrap();
    Lightfield::run(spec, blobs, &Stop::never()).unwrap()
}

/// The field of a spec without base.
pub fn field(spec: &LightfieldSpec) -> LightField {
    run(spec, &Blobs::default()).unfold(spec, &Blobs::default()).unwrap()
}
