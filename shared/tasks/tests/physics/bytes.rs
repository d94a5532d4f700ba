//! Bytes from strangers: whatever they hold, decoding neither panics nor reserves much, and every value has
//! one encoding.

use p2c2r_protocol::limits::{OUTCOME_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_tasks::physics::{
    BODIES_MAX, Contact, Impulse, Physics, PhysicsOutcome, PhysicsSpec, Rotation, Segment, State, Touched,
};
use p2c2r_tasks::{Blobs, TaskKind};

use crate::same::{cases, run};
use crate::scenes::{self, Seeded};

fn any_state(seeded: &mut Seeded) -> State {
    let cut = seeded.below(33) as u32;
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

/// Outcomes true and false: the type can hold more than any kernel gives.
fn outcomes() -> Vec<PhysicsOutcome> {
    let mut seeded = Seeded(3);
    let mut any = || Segment {
        touched: (0..seeded.below(9))
            .map(|_| Touched { body: seeded.bits() as u16, state: any_state(&mut seeded) })
            .collect(),
        contacts: (0..seeded.below(9))
            .map(|_| Contact {
                tick: seeded.bits() as u8,
                a: seeded.bits() as u16,
                b: seeded.bits() as u16,
                impulse: Impulse(seeded.bits() as u8),
            })
            .collect(),
    };
    let mut outcomes =
        vec![PhysicsOutcome::default(), PhysicsOutcome { segments: vec![Segment::default(); 16] }];
    outcomes
        .extend((0..20).map(|count| PhysicsOutcome { segments: (0..count % 5).map(|_| any()).collect() }));
    outcomes.extend(cases().iter().map(|(_, spec)| run(spec)));
    outcomes
}

#[test]
fn outcomes_survive_and_no_prefix_or_extension_of_one_decodes() {
    for outcome in outcomes() {
        let bytes = Physics::encode_outcome(&outcome);
        assert_eq!(Physics::decode_outcome(&bytes).unwrap(), outcome);
        for cut in (0..bytes.len()).rev().take(300) {
            assert!(Physics::decode_outcome(&bytes[..cut]).is_err());
        }
        assert!(Physics::decode_outcome(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn random_and_mutated_outcomes_are_refused_or_have_just_this_encoding() {
    let mut seeded = Seeded(12);
    let spec = PhysicsSpec { segments: 2, steps: 4, ..scenes::arena(12, 1) };
    let mut originals = outcomes();
    originals.push(run(&spec));
    let originals: Vec<_> =
        originals.iter().map(Physics::encode_outcome).filter(|bytes| bytes.len() < 4_000).collect();
    let blobs = Blobs::default();
    let mut decoded = 0;
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = if round % 3 == 0 {
            (0..seeded.below(60)).map(|_| (seeded.bits() >> seeded.below(60)) as u8).collect()
        } else {
            originals[seeded.below(originals.len() as u64) as usize].clone()
        };
        for _ in 0..=seeded.below(3) {
            if !bytes.is_empty() {
                let at = seeded.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << seeded.below(8);
            }
        }
        if let Ok(outcome) = Physics::decode_outcome(&bytes) {
            assert_eq!(Physics::encode_outcome(&outcome), bytes, "round {round}");
            // Mostly false, always judged without a panic.
            let _ = Physics::check(&spec, &blobs, &outcome);
            let _ = Physics::deep_check(&spec, &blobs, &outcome, round);
            decoded += 1;
        }
    }
    assert!(decoded > 1_000, "only {decoded} outcomes decoded, the test has lost its teeth");
}

/// Lies of the right shape go deeper into the checks than noise does.
#[test]
fn an_outcome_of_any_states_is_judged_without_a_panic() {
    let mut seeded = Seeded(14);
    let spec = PhysicsSpec { segments: 3, steps: 6, ..scenes::arena(40, 4) };
    let outcome = run(&spec);
    for seed in 0..400 {
        let mut lie = outcome.clone();
        for segment in &mut lie.segments {
            for touched in &mut segment.touched {
                if seeded.below(3) == 0 {
                    touched.state = any_state(&mut seeded);
                }
            }
        }
        let _ = Physics::check(&spec, &Blobs::default(), &lie);
        let _ = Physics::deep_check(&spec, &Blobs::default(), &lie, seed);
    }
}

#[test]
fn counts_that_nothing_stands_behind_are_refused() {
    for bytes in [&[][..], &[0xff], &[0x11, 0xff], &[0xe1, 0xff, 0xff, 0xff, 0xff], &[31]] {
        assert!(Physics::decode_outcome(bytes).is_err(), "{bytes:?}");
    }
    assert!(Physics::decode_outcome(&vec![0; OUTCOME_BYTES_MAX + 1]).is_err());
    assert!(Physics::decode_spec(&vec![0; SPEC_BYTES_MAX + 1]).is_err());
    assert!(Physics::decode_spec(&[1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_err());
    // Lists over their limits do not travel.
    let state = State::default();
    let touched = vec![Touched { body: 0, state }; BODIES_MAX + 1];
    let long = PhysicsOutcome { segments: vec![Segment { touched, contacts: vec![] }] };
    assert!(Physics::decode_outcome(&Physics::encode_outcome(&long)).is_err());
    let long = PhysicsOutcome { segments: vec![Segment::default(); 17] };
    assert!(Physics::decode_outcome(&Physics::encode_outcome(&long)).is_err());
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
        for _ in 0..=seeded.below(3) {
            let at = seeded.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << seeded.below(8);
        }
        let Ok(spec) = Physics::decode_spec(&bytes) else { continue };
        assert_eq!(Physics::encode_spec(&spec), bytes);
        if Physics::admit(&spec, &blobs).is_ok() {
            admitted += 1;
            Physics::check(&spec, &blobs, &run(&spec)).unwrap();
        }
    }
    assert!(admitted > 300, "only {admitted} specs were admitted, the test has lost its teeth");
}

/// Where the sizes that the documentation names come from.
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
    assert!(Physics::encode_outcome(&outcome).len() <= OUTCOME_BYTES_MAX);
}
