//! An honest answer never fails, and a lie is caught as often as is stated.

use p2c2r_tasks::lightfield::{Lightfield, LightfieldOutcome, LightfieldSpec, Probes};
use p2c2r_tasks::reflection::Form;
use p2c2r_tasks::{Blobs, TaskKind};

use crate::fields::{arena, based, field, later, run};
use crate::same::cases;

fn deep(spec: &LightfieldSpec, blobs: &Blobs, outcome: &LightfieldOutcome, seed: u64) -> bool {
    Lightfield::check(spec, blobs, outcome)
        .and_then(|()| Lightfield::deep_check(spec, blobs, outcome, seed))
        .is_ok()
}

#[test]
fn honest_workers_pass_whole_and_with_a_base() {
    for (name, spec) in cases() {
        let outcome = run(&spec, &Blobs::default());
        let (changed, blobs) = based(&spec, &field(&later(&spec)));
        let changes = run(&changed, &blobs);
        for seed in 0..6 {
            assert!(deep(&spec, &Blobs::default(), &outcome, seed), "{name}, seed {seed}");
            assert!(deep(&changed, &blobs, &changes, seed), "{name} with a base, seed {seed}");
        }
    }
}

/// How many of 40 seeds catch the answer to `lie` given for `spec`.
fn caught(spec: &LightfieldSpec, lie: &LightfieldSpec) -> usize {
    let outcome = run(lie, &Blobs::default());
    (0..40).filter(|seed| !deep(spec, &Blobs::default(), &outcome, *seed)).count()
}

#[test]
fn lies_are_caught() {
    let spec = arena(60, 16, 1);
    let lies = [
        ("a quarter of the paths", LightfieldSpec { paths: spec.paths / 4, ..spec.clone() }, 40),
        ("most of the paths", LightfieldSpec { paths: spec.paths * 3 / 4, ..spec.clone() }, 40),
        ("another seed", LightfieldSpec { seed: spec.seed + 1, ..spec.clone() }, 40),
        ("another sky", LightfieldSpec { sky: spec.sky + 1, ..spec.clone() }, 40),
        ("no sun", LightfieldSpec { sun: None, ..spec.clone() }, 40),
        ("nothing there", LightfieldSpec { objects: Vec::new(), ..spec.clone() }, 40),
        (
            "elsewhere",
            LightfieldSpec {
                probes: Probes::Grid { origin: [-1_900, 64, -1_920], spacing: 256, counts: [16, 1, 16] },
                ..spec.clone()
            },
            40,
        ),
        ("one surface", LightfieldSpec { bounces: 1, ..spec.clone() }, 4),
    ];
    for (name, lie, least) in lies {
        let caught = caught(&spec, &lie);
        println!("{name}: {caught} of 40");
        assert!(caught >= least, "{name}: {caught} of 40");
    }
}

#[test]
fn a_base_does_not_help_a_liar() {
    let spec = arena(60, 16, 1);
    let base = field(&LightfieldSpec { objects: Vec::new(), ..spec.clone() });
    let (changed, blobs) = based(&spec, &base);
    // This answer claims that nothing has changed.
    let (still, _) = based(&LightfieldSpec { objects: Vec::new(), ..spec }, &base);
    let outcome = run(&still, &blobs);
    assert!((0..40).all(|seed| !deep(&changed, &blobs, &outcome, seed)));
}

#[test]
fn impossible_fields_are_rejected_at_once() {
    let mut bright = LightfieldSpec { sun: None, ..arena(0, 1, 1) };
    let lamp = bright.objects.last_mut().unwrap();
    (lamp.position, lamp.surface) = ([0, 64, 0], 5);
    lamp.form = Form::Sphere { radius: 128 };
    bright.surfaces[5].power = 32;
    let outcome = run(&bright, &Blobs::default());
    // Where nothing glows and no sun shines, nothing is brighter than the sky.
    let mut dark = bright.clone();
    dark.surfaces.iter_mut().for_each(|surface| surface.power = 0);
    let verdict = Lightfield::check(&dark, &Blobs::default(), &outcome);
    assert_eq!(verdict.unwrap_err().check, "lightfield.brightness");
    let other = LightfieldSpec {
        probes: Probes::Grid { origin: [0; 3], spacing: 64, counts: [32, 1, 32] },
        ..bright
    };
    let verdict = Lightfield::check(&other, &Blobs::default(), &outcome);
    assert_eq!(verdict.unwrap_err().check, "lightfield.stream");
}
