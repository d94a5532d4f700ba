//! Bytes from strangers: whatever they hold, decoding neither panics nor reserves much, and every value has
//! one encoding.

use std::collections::BTreeSet;

use p2c2r_protocol::limits::{OUTCOME_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_tasks::physics::{
    BODIES_MAX, Contact, Impulse, Physics, PhysicsOutcome, PhysicsSpec, Rotation, Segment, State, Touched,
    WALL,
};
use p2c2r_tasks::{Blobs, TaskKind};

use crate::same::{Told, cases, run};
use crate::scenes;
use crate::seeded::Seeded;

fn any_state(seeded: &mut Seeded) -> State {
    let cut = seeded.scaled(33) as u32;
    let mut number = || (seeded.bits() as i64 >> cut) as i32;
    State {
        position: [number(), number(), number()],
        rotation: Rotation {
            dropped: number() as u8,
            rest: [number() as i16, number() as i16, number() as i16],
        },
        velocity: [number() as i16, number() as i16, number() as i16],
        spin: [number() as i16, number() as i16, number() as i16],
    }
}

/// Any segment that an outcome can express, and much that it cannot.
fn any_segment(seeded: &mut Seeded, bodies: u64) -> Segment {
    Segment {
        touched: (0..seeded.scaled(bodies))
            .map(|_| Touched { body: seeded.scaled(bodies) as u16, state: any_state(seeded) })
            .collect(),
        contacts: (0..seeded.scaled(2 * bodies))
            .map(|_| Contact {
                tick: seeded.scaled(40) as u8,
                a: seeded.scaled(bodies) as u16,
                b: if seeded.scaled(9) == 0 { WALL } else { seeded.scaled(bodies) as u16 },
                impulse: Impulse(seeded.bits() as u8),
            })
            .collect(),
    }
}

#[test]
fn outcomes_survive_and_no_prefix_or_extension_of_one_decodes() {
    for (name, spec) in cases() {
        let outcome = run(&spec);
        let bytes = Physics::encode_outcome(&outcome);
        assert_eq!(bytes.len(), outcome.bytes());
        assert_eq!(Physics::decode_outcome(&bytes).unwrap(), outcome, "{name}");
        for cut in (0..bytes.len()).rev().take(300) {
            assert!(Physics::decode_outcome(&bytes[..cut]).is_err());
        }
        assert!(Physics::decode_outcome(&[&bytes[..], &[0]].concat()).is_err());
        // Bytes after the end of a stream are refused.
        let mut longer = [&bytes[..], &[7]].concat();
        let length = longer.len() as u16 - 2;
        longer[..2].copy_from_slice(&length.to_le_bytes());
        let longer = Physics::decode_outcome(&longer).unwrap();
        assert_eq!(longer.unfold(&spec, &Blobs::default()).unwrap_err().check, "physics.stream");
    }
}

/// True or false: an outcome unfolds to the segments it was made of, and each list has one stream.
#[test]
fn any_claim_survives_packing() {
    let (mut seeded, blobs) = (Seeded(3), Blobs::default());
    for seed in 0..60 {
        let steps = 1 + seeded.scaled(30) as u8;
        let spec = PhysicsSpec { segments: 3, steps, ..scenes::arena(12, seed) };
        let said: Vec<Segment> = (0..3).map(|_| any_segment(&mut seeded, 12)).collect();
        let Ok(outcome) = PhysicsOutcome::of(&spec, &blobs, &said) else { continue };
        let Ok(told) = outcome.unfold(&spec, &blobs) else { continue };
        assert_eq!(PhysicsOutcome::of(&spec, &blobs, &told).unwrap(), outcome);
        let meetings = |segment: &Segment| {
            let pairs = segment.contacts.iter().map(|contact| (contact.a, contact.b));
            pairs.filter(|(a, b)| a < b).collect::<BTreeSet<_>>()
        };
        for (told, said) in told.iter().zip(&said) {
            assert_eq!(meetings(told), meetings(said));
            let _ = Physics::check(&spec, &blobs, &outcome);
            let _ = Physics::deep_check(&spec, &blobs, &outcome, seed);
        }
    }
}

#[test]
fn random_and_mutated_outcomes_are_refused_or_have_just_this_encoding() {
    let mut seeded = Seeded(12);
    let spec = PhysicsSpec { segments: 2, steps: 4, ..scenes::arena(12, 1) };
    let original = Physics::encode_outcome(&run(&spec));
    let blobs = Blobs::default();
    let mut unfolded = 0;
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = if round % 3 == 0 {
            (0..seeded.scaled(60)).map(|_| (seeded.bits() >> seeded.scaled(60)) as u8).collect()
        } else {
            original[2..].to_vec()
        };
        for _ in 0..=seeded.scaled(3) {
            if !bytes.is_empty() {
                let at = seeded.scaled(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << seeded.scaled(8);
            }
        }
        let bytes = [&(bytes.len() as u16).to_le_bytes()[..], &bytes[..]].concat();
        let outcome = Physics::decode_outcome(&bytes).unwrap();
        if let Ok(segments) = outcome.unfold(&spec, &blobs) {
            let again = PhysicsOutcome::of(&spec, &blobs, &segments).unwrap();
            assert_eq!(Physics::encode_outcome(&again), bytes, "round {round}");
            unfolded += 1;
        }
        // Mostly false; judging must never panic.
        let _ = Physics::check(&spec, &blobs, &outcome);
        let _ = Physics::deep_check(&spec, &blobs, &outcome, round);
    }
    assert!(unfolded > 100, "only {unfolded} outcomes unfolded: too few for this test");
}

/// Lies of the right shape reach deeper into the checks than noise does.
#[test]
fn an_outcome_of_any_states_is_judged_without_a_panic() {
    let mut seeded = Seeded(14);
    let spec = PhysicsSpec { segments: 3, steps: 6, ..scenes::arena(40, 4) };
    let truth = Told::truth(&spec);
    let mut judged = 0;
    for seed in 0..400 {
        let mut lie = truth.clone();
        for segment in &mut lie.segments {
            for touched in &mut segment.touched {
                if seeded.scaled(3) == 0 {
                    touched.state = any_state(&mut seeded);
                }
            }
        }
        let Ok(lie) = PhysicsOutcome::of(&spec, &Blobs::default(), &lie.segments) else { continue };
        let _ = Physics::check(&spec, &Blobs::default(), &lie);
        let _ = Physics::deep_check(&spec, &Blobs::default(), &lie, seed);
        judged += 1;
    }
    assert!(judged > 300, "only {judged} lies: too few for this test");
}

#[test]
fn counts_without_elements_are_refused() {
    for bytes in [&[][..], &[0xff], &[1, 0], &[0xff, 0xff, 0xff], &[0, 0, 0]] {
        assert!(Physics::decode_outcome(bytes).is_err(), "{bytes:?}");
    }
    assert!(Physics::decode_outcome(&vec![0; OUTCOME_BYTES_MAX + 1]).is_err());
    assert!(Physics::decode_spec(&vec![0; SPEC_BYTES_MAX + 1]).is_err());
    assert!(Physics::decode_spec(&[0, 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_err());
    assert!(Physics::decode_spec(&[2, 1, 1, 0, 0, 0, 0]).is_err());
    // Lists over their limits do not travel.
    let mut spec = scenes::arena(2, 1);
    spec.bodies = vec![spec.bodies[0]; BODIES_MAX + 1];
    assert!(Physics::decode_spec(&Physics::encode_spec(&spec)).is_err());
}

#[test]
fn specs_survive_and_random_ones_are_refused_or_judged() {
    let mut seeded = Seeded(13);
    let blobs = Blobs::default();
    for (_, spec) in cases() {
        let original = Physics::encode_spec(&spec);
        assert_eq!(Physics::decode_spec(&original).unwrap(), spec);
        assert!(original.len() <= SPEC_BYTES_MAX);
    }
    let spec = PhysicsSpec { segments: 1, steps: 3, ..scenes::pulled(10, 1, false) };
    let original = Physics::encode_spec(&spec);
    let mut admitted = 0;
    for _ in 0..6_000 {
        let mut bytes = original.clone();
        for _ in 0..=seeded.scaled(3) {
            let at = seeded.scaled(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << seeded.scaled(8);
        }
        let Ok(spec) = Physics::decode_spec(&bytes) else { continue };
        assert_eq!(Physics::encode_spec(&spec), bytes);
        if Physics::admit(&spec, &blobs).is_ok() {
            admitted += 1;
            Physics::check(&spec, &blobs, &run(&spec)).unwrap();
        }
    }
    assert!(admitted > 300, "only {admitted} specs were admitted: too few for this test");
}

/// Holds the sizes that the documentation names.
#[test]
fn the_default_scene_fits_its_budget() {
    for seed in 0..4 {
        let spec = scenes::arena(200, seed);
        assert_eq!(spec.ticks(), 60);
        let (spec_bytes, outcome_bytes) =
            (Physics::encode_spec(&spec).len(), Physics::encode_outcome(&run(&spec)).len());
        assert!(spec_bytes <= 6_000 && outcome_bytes <= 6_000, "{spec_bytes} and {outcome_bytes} bytes");
    }
}

#[test]
fn the_largest_scenes_spec_fits_its_message() {
    let spec = scenes::arena(BODIES_MAX, 1);
    assert!(Physics::encode_spec(&spec).len() <= SPEC_BYTES_MAX);
    let outcome = run(&PhysicsSpec { segments: 2, ..spec });
    assert!(outcome.bytes() <= OUTCOME_BYTES_MAX);
}
