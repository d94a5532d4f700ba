//! Small fields: 256 places around six balls whose glow depends on the seed. Every second one is sent as changes
//! against a dark field.

use p2c2r_offload::prelude::Blobs;
use p2c2r_tasks::lightfield::{Lightfield, LightfieldSpec, Probes};
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::{Blob, Stop, TaskKind};

use super::Puzzling;

impl Puzzling for Lightfield {
    fn small_task(seed: u64) -> (LightfieldSpec, Blobs) {
        let (scene, _) = Reflection::small_task(seed);
        let spec = LightfieldSpec {
            base: None,
            probes: Probes::Grid { origin: [-480, -64, -480], spacing: 128, counts: [8, 2, 16] },
            paths: 8,
            bounces: 2,
            seed: scene.seed,
            sky: scene.sky,
            sun: scene.sun,
            surfaces: scene.surfaces,
            objects: scene.objects,
        };
        if seed.is_multiple_of(2) {
            return (spec, Blobs::default());
        }
        // One base for all, because the coordinator limits how much new data a peer sends.
        let before =
            LightfieldSpec { seed: 0, sky: 0, surfaces: Vec::new(), objects: Vec::new(), ..spec.clone() };
        let outcome = Self::run(&before, &Blobs::default(), &Stop::never());
        let field = outcome.ok().and_then(|outcome| outcome.unfold(&before, &Blobs::default()).ok());
        let base = Blob::new(field.and_then(|field| field.to_blob()).expect("a small field is a base"));
        (LightfieldSpec { base: Some(base.digest()), ..spec }, Blobs::new(vec![base]))
    }
}
