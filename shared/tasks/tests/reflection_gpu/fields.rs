//! The kind `lightfield` on the device: agreement with the cores, checks, repetition.

use p2c2r_tasks::lightfield::{FIELD_TOLERANCE, Lightfield, LightfieldSpec, Probes};
use p2c2r_tasks::reflection::ReflectionSpec;
use p2c2r_tasks::{Blobs, KindRegistry, Stop, TaskKind as _};

use crate::{on_device, scenes};

fn field(scene: ReflectionSpec, paths: u16) -> LightfieldSpec {
    let ReflectionSpec { bounces, seed, sky, sun, surfaces, objects, .. } = scene;
    let probes = Probes::Grid { origin: [-960, 96, -960], spacing: 128, counts: [16, 1, 16] };
    LightfieldSpec { base: None, probes, paths, bounces, seed, sky, sun, surfaces, objects }
}

/// Asserts that both kernels' fields agree within the stated tolerance.
fn agrees_on(name: &str, spec: &LightfieldSpec) {
    on_device(|tracer| {
        let kinds = KindRegistry::builtin().with_kernel::<Lightfield>(tracer.clone());
        let kind = kinds.get(Lightfield::ID).unwrap();
        let job = kind.decode(&Lightfield::encode_spec(spec)).unwrap();
        let blobs = Blobs::default();
        job.admit(&blobs).unwrap();
        let theirs = job.run(&blobs, &Stop::never()).unwrap();
        assert_eq!(theirs, job.run(&blobs, &Stop::never()).unwrap(), "{name} is repeated");
        for seed in 0..20 {
            job.deep_check(&blobs, &theirs, seed).unwrap();
        }
        let counted = kind.kernel_use().unwrap();
        assert_eq!((counted.runs, counted.fallbacks, counted.first_failure), (2, 0, None));
        let theirs = Lightfield::decode_outcome(&theirs).unwrap().unfold(spec, &blobs).unwrap();
        let ours = Lightfield::run(spec, &blobs, &Stop::never()).unwrap().unfold(spec, &blobs).unwrap();
        let (mut strays, mut off, mut all) = (0, 0.0, 0.0);
        for number in 0..ours.count() {
            let (a, b) = (ours.probe(number), theirs.probe(number));
            let most = a.mean.iter().fold(0.0_f32, |most, part| most.max(*part));
            let apart = |a: &f32, b: &f32| (a - b).abs() > FIELD_TOLERANCE.probe * most;
            let pairs = || {
                a.mean
                    .iter()
                    .zip(&b.mean)
                    .chain(a.towards.as_flattened().iter().zip(b.towards.as_flattened()))
            };
            strays += u32::from(pairs().any(|(a, b)| apart(a, b)));
            off += a.mean.iter().zip(&b.mean).map(|(a, b)| f64::from(b - a)).sum::<f64>();
            all += a.mean.iter().map(|part| f64::from(*part)).sum::<f64>();
        }
        let (strays, mean) = (f64::from(strays) / ours.count() as f64, off / all);
        eprintln!("{name}: {:.2} % strays, mean {mean:+.2e}", strays * 100.0);
        assert!(all > 0.0 && strays <= FIELD_TOLERANCE.strays, "{name}: {strays} of the probes differ");
        assert!(mean.abs() <= FIELD_TOLERANCE.mean, "{name}: brighter by {mean}");
    });
}

#[test]
fn agrees_on_the_field_of_an_empty_sky() {
    agrees_on("sky", &field(scenes::sky(), 64));
}

#[test]
fn agrees_on_the_field_among_bolts() {
    agrees_on("bolts", &field(scenes::bolts(), 100));
}

#[test]
fn agrees_on_the_field_among_rocks() {
    agrees_on("rocks", &field(scenes::rocks(60), 128));
}
