//! Specs from strangers: whatever the bytes hold, decoding neither panics nor reserves much, every value has one
//! encoding, and only specs in range are admitted.

use p2c2r_tasks::physics::{Rotation, ShapeId};
use p2c2r_tasks::reflection::{
    BOUNCES_MAX, FACE_LOG2_MAX, FACE_LOG2_MIN, Form, OBJECTS_MAX, Object, POWER_MAX, Reflection,
    ReflectionOutcome, ReflectionSpec, SAMPLES_MAX, SURFACES_MAX, Scene, Sun, Surface, VIEWPOINTS_MAX,
    Viewpoint,
};
use p2c2r_tasks::{Blobs, SpecError, Stop, TaskKind};

use crate::same::{cases, run, ships};
use crate::scenes;
use crate::seeded::Seeded;

#[test]
fn specs_survive_and_no_prefix_or_extension_of_one_decodes() {
    let mut specs: Vec<_> = cases().into_iter().map(|(_, spec)| spec).collect();
    specs.push(ReflectionSpec { sun: None, surfaces: vec![], ..scenes::arena(0, 0, 1) });
    specs.push(ReflectionSpec { others: ships(VIEWPOINTS_MAX - 1), ..scenes::arena(20, 5, 3) });
    for spec in specs {
        let bytes = Reflection::encode_spec(&spec);
        assert_eq!(Reflection::decode_spec(&bytes).unwrap(), spec);
        for cut in (0..bytes.len()).rev().take(300) {
            assert!(Reflection::decode_spec(&bytes[..cut]).is_err());
        }
        assert!(Reflection::decode_spec(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn a_spec_does_not_tell_where_in_its_world_a_scene_is() {
    let here = ReflectionSpec { others: ships(3), ..scenes::arena(150, 20, 1) };
    let asked = |spec: &ReflectionSpec| Reflection::encode_spec(&spec.clone().without_place());
    for by in [[640, 0, -1_280], [-77, 3, 9]] {
        let mut there = here.clone();
        let places = there.objects.iter_mut().map(|object| &mut object.position);
        let probes = there.others.iter_mut().map(|other| &mut other.probe);
        for place in places.chain([&mut there.probe]).chain(probes) {
            *place = std::array::from_fn(|axis| place[axis] + by[axis]);
        }
        assert_ne!(Reflection::encode_spec(&here), Reflection::encode_spec(&there));
        assert_eq!(asked(&here), asked(&there));
    }
}

#[test]
fn a_default_scene_is_small() {
    let bytes = Reflection::encode_spec(&scenes::arena(150, 20, 1)).len();
    assert!(bytes < 2_500, "{bytes} bytes");
    let most = Reflection::encode_spec(&scenes::arena(1_200, 800, 1)).len();
    assert!(most < p2c2r_protocol::limits::SPEC_BYTES_MAX, "{most} bytes");
}

#[test]
fn random_and_mutated_specs_are_refused_or_have_just_this_encoding_and_run() {
    let mut seeded = Seeded(12);
    let tiny = ReflectionSpec { face_log2: 4, samples: 1, ..scenes::arena(12, 8, 1) };
    let batched = ReflectionSpec { others: ships(2), ..tiny.clone() };
    let originals: Vec<_> = [tiny, batched, ReflectionSpec { sun: None, ..scenes::arena(3, 4, 2) }]
        .iter()
        .map(Reflection::encode_spec)
        .collect();
    let blobs = Blobs::default();
    let (mut decoded, mut ran) = (0, 0);
    let is_small = |spec: &ReflectionSpec| {
        spec.viewpoints().all(|viewpoint| viewpoint.samples < 3 && viewpoint.face_log2 < 5)
    };
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = if round % 3 == 0 {
            (0..seeded.scaled(120)).map(|_| (seeded.bits() >> seeded.scaled(60)) as u8).collect()
        } else {
            originals[seeded.scaled(3) as usize].clone()
        };
        for _ in 0..=seeded.scaled(3) {
            if !bytes.is_empty() {
                let at = seeded.scaled(bytes.len() as u64) as usize;
                bytes[at] = seeded.bits() as u8;
            }
        }
        let Ok(spec) = Reflection::decode_spec(&bytes) else { continue };
        decoded += 1;
        assert_eq!(Reflection::encode_spec(&spec), bytes);
        if Reflection::admit(&spec, &blobs).is_ok() && is_small(&spec) && ran < 400 {
            ran += 1;
            let outcome = Reflection::run(&spec, &blobs, &Stop::never()).unwrap();
            assert_eq!(Reflection::check(&spec, &blobs, &outcome), Ok(()));
        }
    }
    assert!(decoded > 2_000 && ran > 100, "{decoded} decoded, {ran} ran");
}

#[test]
fn mutated_outcomes_pass_no_check() {
    let mut seeded = Seeded(14);
    let others = vec![Viewpoint { levels: 5, ..ships(1)[0] }];
    let spec = ReflectionSpec { face_log2: 4, samples: 1, levels: 3, others, ..scenes::arena(30, 8, 1) };
    let (blobs, honest) = (Blobs::default(), run(&spec));
    let bytes = Reflection::encode_outcome(&honest);
    let mut names = Vec::new();
    for round in 0..2_000 {
        let mut bytes = bytes.clone();
        // Every eighth time the head.
        let at = seeded.scaled(if round % 8 == 0 { 6 } else { bytes.len() as u64 }) as usize;
        bytes[at] ^= 1 << seeded.scaled(8);
        let Ok(outcome) = Reflection::decode_outcome(&bytes) else { continue };
        let judged = Reflection::check(&spec, &blobs, &outcome);
        names.extend(judged.err().map(|error| error.check));
        // No bit can be changed and the levels still agree with the sharp one.
        let deep = Reflection::deep_check(&spec, &blobs, &outcome, seeded.bits());
        names.push(deep.unwrap_err().check);
    }
    for check in ["reflection.size", "reflection.stream", "reflection.filtered"] {
        assert!(names.contains(&check), "nothing failed {check}");
    }
}

#[test]
fn what_is_out_of_range_is_refused() {
    let good = scenes::arena(4, 4, 1);
    let refused = |change: &dyn Fn(&mut ReflectionSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        let error = Reflection::admit(&spec, &Blobs::default()).unwrap_err();
        assert!(matches!(error, SpecError::OutOfRange(_) | SpecError::TooMuchWork { .. }), "{error}");
        assert!(Reflection::run(&spec, &Blobs::default(), &Stop::never()).is_err());
        let outcome = ReflectionOutcome::of(1, &Scene::new(&good).trace());
        let judged = Reflection::check(&spec, &Blobs::default(), &outcome).unwrap_err();
        assert_eq!(judged.check, "reflection.spec");
    };
    refused(&|spec| spec.face_log2 = FACE_LOG2_MIN - 1);
    refused(&|spec| spec.face_log2 = FACE_LOG2_MAX + 1);
    refused(&|spec| spec.face_log2 = 255);
    refused(&|spec| spec.levels = 0);
    refused(&|spec| spec.levels = 99);
    refused(&|spec| (spec.face_log2, spec.levels) = (6, 3));
    refused(&|spec| spec.samples = 0);
    refused(&|spec| spec.samples = SAMPLES_MAX + 1);
    refused(&|spec| spec.others = ships(VIEWPOINTS_MAX));
    let other = |change: fn(&mut Viewpoint)| {
        move |spec: &mut ReflectionSpec| {
            spec.others = ships(2);
            change(&mut spec.others[1]);
        }
    };
    refused(&other(|other| other.face_log2 = FACE_LOG2_MIN - 1));
    refused(&other(|other| other.face_log2 = 255));
    refused(&other(|other| other.levels = 0));
    refused(&other(|other| other.samples = 0));
    refused(&other(|other| other.samples = SAMPLES_MAX + 1));
    refused(&other(|other| (other.face_log2, other.levels) = (FACE_LOG2_MAX, 1)));
    refused(&|spec| spec.bounces = 0);
    refused(&|spec| spec.bounces = BOUNCES_MAX + 1);
    refused(&|spec| spec.surfaces = vec![Surface::default(); SURFACES_MAX + 1]);
    refused(&|spec| spec.objects = vec![spec.objects[0]; OBJECTS_MAX + 1]);
    refused(&|spec| spec.objects[1].surface = 6);
    refused(&|spec| spec.surfaces[2].power = POWER_MAX + 1);
    refused(&|spec| spec.sun = Some(Sun { direction: [0; 3], ..Sun::default() }));
    refused(&|spec| spec.sun = Some(Sun { direction: [1; 3], power: POWER_MAX + 1, ..Sun::default() }));
    let form = |form: Form| move |spec: &mut ReflectionSpec| spec.objects[0].form = form;
    refused(&form(Form::Sphere { radius: 0 }));
    refused(&form(Form::Capsule { to: [1; 3], radius: 0 }));
    refused(&form(Form::Rock { shape: ShapeId::ball(1.0), rotation: Rotation::IDENTITY }));
    refused(&form(Form::Rock { shape: ShapeId(u16::MAX), rotation: Rotation::IDENTITY }));
    let none = Rotation { dropped: 7, rest: [0; 3] };
    refused(&form(Form::Rock { shape: ShapeId::rock(0, 1.0), rotation: none }));
}

/// A count over its limit is cut to one that no decoder accepts.
#[test]
fn specs_over_their_limits_do_not_travel() {
    let spec = scenes::arena(4, 4, 1);
    let object: Object = spec.objects[0];
    let many = ReflectionSpec { objects: vec![object; OBJECTS_MAX + 5], ..spec.clone() };
    assert!(Reflection::decode_spec(&Reflection::encode_spec(&many)).is_err());
    let others = ships(VIEWPOINTS_MAX + 3);
    let many = ReflectionSpec { others, ..spec.clone() };
    assert!(Reflection::decode_spec(&Reflection::encode_spec(&many)).is_err());
    let many = ReflectionSpec { surfaces: vec![Surface::default(); 500], ..spec };
    assert!(Reflection::decode_spec(&Reflection::encode_spec(&many)).is_err());
}
