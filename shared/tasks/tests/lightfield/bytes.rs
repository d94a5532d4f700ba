//! Specs and outcomes from strangers: whatever the bytes hold, decoding neither panics nor reserves much, every value has
//! one encoding, and only specs in range are admitted.

use p2c2r_tasks::lightfield::{
    FieldError, Lightfield, LightfieldSpec, OBJECTS_MAX, PATHS_MAX, PROBES_MAX, Probes,
};
use p2c2r_tasks::{Blob, Blobs, SpecError, TaskKind};

use crate::fields::{arena, based, field, listed, run};
use crate::same::cases;
use crate::seeded::Seeded;

#[test]
fn specs_survive_and_no_prefix_or_extension_of_one_decodes() {
    let mut specs: Vec<_> = cases().into_iter().map(|(_, spec)| spec).collect();
    specs.push(based(&arena(3, 2, 1), &field(&arena(3, 2, 2))).0);
    for spec in specs {
        let bytes = Lightfield::encode_spec(&spec);
        assert_eq!(Lightfield::decode_spec(&bytes).unwrap(), spec);
        for cut in (0..bytes.len()).rev().take(300) {
            assert!(Lightfield::decode_spec(&bytes[..cut]).is_err());
        }
        assert!(Lightfield::decode_spec(&[&bytes[..], &[0]].concat()).is_err());
        let outcome = run(&LightfieldSpec { base: None, ..spec }, &Blobs::default());
        let bytes = Lightfield::encode_outcome(&outcome);
        assert_eq!(bytes.len(), outcome.bytes());
        assert_eq!(Lightfield::decode_outcome(&bytes).unwrap(), outcome);
        assert!(Lightfield::decode_outcome(&bytes[..bytes.len() - 1]).is_err());
        assert!(Lightfield::decode_outcome(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn a_spec_does_not_tell_where_in_its_world_a_field_is() {
    let asked = |spec: &LightfieldSpec| Lightfield::encode_spec(&spec.clone().without_place());
    let by = [640, 0, -1_280];
    let moved = |place: &mut [i16; 3]| *place = std::array::from_fn(|axis| place[axis] + by[axis]);
    for here in [arena(48, 20, 1), listed(1)] {
        let mut there = here.clone();
        there.objects.iter_mut().for_each(|object| moved(&mut object.position));
        match &mut there.probes {
            Probes::Grid { origin, .. } => moved(origin),
            Probes::List(places) => places.iter_mut().for_each(moved),
        }
        assert_ne!(Lightfield::encode_spec(&here), Lightfield::encode_spec(&there));
        assert_eq!(asked(&here), asked(&there));
        // The probes have the same places relative to one another.
        let (whole, bare) = (&here.probes, here.clone().without_place().probes);
        let way = |probes: &Probes| {
            let (first, last) = (probes.place(0), probes.place(probes.count() - 1));
            [0, 1, 2].map(|axis| i32::from(last[axis]) - i32::from(first[axis]))
        };
        assert_eq!((way(whole), bare.place(0)), (way(&bare), [0; 3]));
    }
}

#[test]
fn mutated_specs_are_refused_or_have_just_this_encoding() {
    let mut seeded = Seeded(3);
    for spec in [arena(5, 3, 1), listed(2)] {
        let bytes = Lightfield::encode_spec(&spec);
        for _ in 0..3_000 {
            let mut mutated = bytes.clone();
            for _ in 0..=seeded.scaled(3) {
                let at = seeded.scaled(mutated.len() as u64) as usize;
                mutated[at] = seeded.bits() as u8;
            }
            if let Ok(decoded) = Lightfield::decode_spec(&mutated) {
                assert_eq!(Lightfield::encode_spec(&decoded), mutated);
                let _ = Lightfield::admit(&decoded, &Blobs::default());
            }
        }
    }
}

#[test]
fn mutated_outcomes_decode_to_nothing_or_to_a_field() {
    let (spec, blobs) = based(&arena(5, 3, 1), &field(&arena(5, 3, 2)));
    let bytes = Lightfield::encode_outcome(&run(&spec, &blobs));
    let mut seeded = Seeded(4);
    for _ in 0..2_000 {
        let mut mutated = bytes.clone();
        let at = seeded.scaled(mutated.len() as u64) as usize;
        mutated[at] ^= 1 << seeded.scaled(8);
        let Ok(outcome) = Lightfield::decode_outcome(&mutated) else { continue };
        // Either verdict will do; the test is that there is one, without a panic.
        let _ = Lightfield::check(&spec, &blobs, &outcome);
    }
}

#[test]
fn what_is_out_of_range_is_refused() {
    let spec = arena(5, 3, 1);
    let grid = |origin, spacing, counts| Probes::Grid { origin, spacing, counts };
    let refused = |what: &str, spec: LightfieldSpec| {
        let refused = Lightfield::admit(&spec, &Blobs::default());
        assert!(matches!(refused, Err(SpecError::OutOfRange(_))), "{what}: {refused:?}");
        assert_eq!(
            Lightfield::check(&spec, &Blobs::default(), &run(&arena(5, 3, 1), &Blobs::default()))
                .unwrap_err()
                .check,
            "lightfield.spec"
        );
    };
    refused("too few", LightfieldSpec { probes: grid([0; 3], 9, [15, 1, 17]), ..spec.clone() });
    refused("too many", LightfieldSpec { probes: grid([0; 3], 9, [255, 2, 17]), ..spec.clone() });
    refused("no spacing", LightfieldSpec { probes: grid([0; 3], 0, [16, 1, 16]), ..spec.clone() });
    refused("far out", LightfieldSpec { probes: grid([30_000; 3], 900, [16, 1, 16]), ..spec.clone() });
    refused("list", LightfieldSpec { probes: Probes::List(vec![[0; 3]; PROBES_MAX + 1]), ..spec.clone() });
    refused("no paths", LightfieldSpec { paths: 0, ..spec.clone() });
    refused("paths", LightfieldSpec { paths: PATHS_MAX + 1, ..spec.clone() });
    refused("bounces", LightfieldSpec { bounces: 0, ..spec.clone() });
    refused("objects", LightfieldSpec { objects: vec![spec.objects[0]; OBJECTS_MAX + 1], ..spec.clone() });
    let most = LightfieldSpec { probes: grid([0; 3], 9, [64, 1, 64]), ..spec };
    assert!(Lightfield::admit(&most, &Blobs::default()).is_ok());
}

#[test]
fn a_missing_or_invalid_base_is_refused_and_no_answer_unfolds_with_it() {
    let (spec, blobs) = based(&arena(5, 3, 1), &field(&arena(5, 3, 2)));
    let outcome = run(&spec, &blobs);
    let missing = Lightfield::admit(&spec, &Blobs::default());
    assert!(matches!(missing, Err(SpecError::BlobMissing(_))), "{missing:?}");
    assert!(matches!(outcome.unfold(&spec, &Blobs::default()), Err(FieldError::Base(_))));
    let honest = blobs.iter().next().unwrap().bytes().to_vec();
    // No stream ends in a zero, and no field has rows of no probes.
    let longer = [&honest[..], &[0]].concat();
    let no_rows = [&honest[..2], &[0, 0], &honest[4..]].concat();
    let other_count = field(&listed(1)).to_blob().unwrap();
    for bytes in [vec![], vec![0; 4], no_rows, longer, other_count] {
        let blob = Blob::new(bytes);
        let spec = LightfieldSpec { base: Some(blob.digest()), ..spec.clone() };
        let refused = Lightfield::admit(&spec, &Blobs::new(vec![blob]));
        assert!(matches!(refused, Err(SpecError::BadBlob { .. })), "{refused:?}");
    }
}
