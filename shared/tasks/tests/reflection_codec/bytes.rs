//! Bytes from strangers: whatever they hold, decoding and unfolding neither panic nor take long, and every value
//! has one encoding.

use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::wire::{self, WireError};
use p2c2r_tasks::reflection::{CubeMap, ReflectionOutcome};

use crate::seeded::Seeded;
use crate::skies;

fn decode(bytes: &[u8]) -> Result<ReflectionOutcome, WireError> {
    wire::decode_limited::<_, OUTCOME_BYTES_MAX>(bytes)
}

fn outcomes() -> Vec<ReflectionOutcome> {
    let cubes = [0, 1, 2, 3, 4, 5].into_iter().flat_map(|face_log2| skies::all(1 << face_log2));
    cubes.enumerate().map(|(index, (_, cube))| ReflectionOutcome::of(index as u8 % 7, &cube)).collect()
}

#[test]
fn outcomes_survive_and_no_prefix_or_extension_of_one_decodes() {
    for outcome in outcomes() {
        let bytes = wire::encode(&outcome);
        assert_eq!(bytes.len(), outcome.bytes());
        assert_eq!(decode(&bytes).unwrap(), outcome);
        for cut in (0..bytes.len()).rev().take(100) {
            assert!(decode(&bytes[..cut]).is_err());
        }
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn the_largest_and_wildest_cube_fits_its_message() {
    for (name, cube) in skies::all(128) {
        let outcome = ReflectionOutcome::of(8, &cube);
        assert!(wire::encode(&outcome).len() <= OUTCOME_BYTES_MAX, "{name}");
        outcome.unfold().unwrap();
    }
}

/// The encoder's streams of the wildest cubes are accepted, however coarse their steps had to be.
#[test]
fn the_wildest_cubes_of_every_size_unfold() {
    for face_log2 in 4..=7_u8 {
        for (name, cube) in skies::all(1 << face_log2) {
            for levels in [1, face_log2 + 1] {
                let unfolded = ReflectionOutcome::of(levels, &cube).unfold();
                assert!(unfolded.is_ok(), "{name}, face {}, {levels} levels: {unfolded:?}", 1 << face_log2);
            }
        }
    }
}

#[test]
fn random_and_mutated_outcomes_are_refused_or_unfold_to_finite_texels() {
    let mut seeded = Seeded(12);
    let originals: Vec<_> = outcomes().iter().map(wire::encode).collect();
    let (mut decoded, mut unfolded) = (0, 0);
    for round in 0..4_000 {
        let mut bytes: Vec<u8> = if round % 4 == 0 {
            // A head that decodes, before noise that may not.
            let count = 1 + seeded.below(3);
            let mut bytes = vec![count as u8];
            bytes.extend((0..count).map(|_| (seeded.below(6) << 4 | seeded.below(2)) as u8));
            let length = seeded.below(250);
            bytes.push(0);
            bytes.extend((length as u16).to_le_bytes());
            bytes.extend((0..length).map(|_| (seeded.bits() >> seeded.below(60)) as u8));
            bytes
        } else {
            originals[seeded.below(originals.len() as u64) as usize].clone()
        };
        for _ in 0..=seeded.below(3) {
            let at = seeded.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << seeded.below(8);
        }
        let Ok(outcome) = decode(&bytes) else { continue };
        assert_eq!(wire::encode(&outcome), bytes, "round {round}");
        decoded += 1;
        let Ok(probes) = outcome.unfold() else { continue };
        unfolded += 1;
        for texel in probes.iter().flat_map(|probe| &probe.levels).flat_map(CubeMap::texels).flatten() {
            assert!(texel.is_finite() && *texel >= 0.0, "round {round}");
        }
    }
    assert!(decoded > 1_000 && unfolded > 100, "{decoded} decoded, {unfolded} unfolded: too few");
}

#[test]
fn heads_that_no_encoder_writes_are_refused() {
    let good = wire::encode(&ReflectionOutcome::of(3, &skies::battle(16, 1)));
    for (at, value) in
        [(0, 0), (0, 13), (0, 0xff), (1, 0x80), (1, 0x45), (1, 0xff), (2, 16), (2, 255), (4, 0xff)]
    {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert!(decode(&bytes).is_err(), "{value} at {at}");
    }
    // Coarse steps where the stream is short.
    let mut bytes = wire::encode(&ReflectionOutcome::of(3, &skies::cube(16, skies::smooth)));
    bytes[2] = 3;
    assert!(decode(&bytes).unwrap().unfold().is_err());
    // Two cubes of the largest face have streams longer than the limit.
    let two: Vec<u8> = [2, 0x70, 0x70, 0, 1, 0, 0].to_vec();
    assert!(decode(&two).is_err());
    assert!(decode(&vec![0; OUTCOME_BYTES_MAX + 1]).is_err());
}

/// The longest stream there may be, of the largest cube, as noise and as one byte repeated: all are read to
/// the end of the cube and not beyond.
#[test]
fn the_longest_streams_of_noise_are_unfolded_or_refused() {
    let mut seeded = Seeded(21);
    let mut refused = 0;
    for round in 0..6 {
        let mut bytes = vec![1, 0x77, 0];
        bytes.extend(60_000u16.to_le_bytes());
        let fill = [0x00, 0xff, 0x55, 0x80][round % 4];
        bytes.extend((0..60_000).map(|_| if round < 2 { seeded.bits() as u8 } else { fill }));
        let outcome = decode(&bytes).unwrap();
        refused += usize::from(outcome.unfold().is_err());
    }
    assert_eq!(refused, 6, "bytes after the end of the cube are noticed");
}
