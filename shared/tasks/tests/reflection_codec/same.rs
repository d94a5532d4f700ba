//! Packing, filtering and unfolding give the same everywhere: golden digests.

use p2c2r_protocol::{Digest, wire};
use p2c2r_tasks::reflection::{CubeMap, Probe, ReflectionOutcome};

use crate::skies;

/// Digest of an outcome's bytes and of every bit that it unfolds to.
fn digest(outcome: &ReflectionOutcome) -> String {
    let Probe { levels, irradiance } = outcome.unfold().unwrap();
    let texels = levels.iter().flat_map(CubeMap::texels).chain(&irradiance).flatten();
    let bits = texels.flat_map(|channel| channel.to_bits().to_le_bytes());
    let bytes: Vec<u8> = wire::encode(outcome).into_iter().chain(bits).collect();
    Digest::of(&bytes).to_string()
}

/// A change of any of these raises the kernel's version: judges and games of another build would disagree.
#[test]
fn outcomes_and_what_they_unfold_to_are_bit_identical_everywhere() {
    let golden = [
        (0, "a597cba8c017a3f1840070417f313a32fca85b0e7a1124728b39fe94d38dc2bd"),
        (3, "b1a3f5df87f4216aaba9d6f465b9ce877c7c6d6711410c5c17c4be310f36a80f"),
        (4, "99a8a222a1f9ef008655693941766cb04cb0b46d0e0d0eb04e04350c8d0757bd"),
        (5, "a4dc4fde3fe0b221831bfc3b0a8007b3f82deb2b2c4aa530663722c27dd127e4"),
        (6, "56946c08d0f2f7909b5d1b05e2b0f7bf08c91e3f010dc6b5258ba38552643e03"),
    ];
    let found: Vec<_> = golden
        .iter()
        .map(|(face_log2, _)| {
            let cube = skies::exact(1 << face_log2, u64::from(*face_log2));
            (*face_log2, digest(&ReflectionOutcome::of(face_log2 + 1, &cube)))
        })
        .collect();
    let same = found.iter().zip(&golden).all(|((_, found), (_, golden))| found == golden);
    assert!(same, "{found:#?}");
}

#[test]
fn whoever_filters_what_was_unfolded_gets_the_levels_that_travelled_within_their_rounding() {
    let outcome = ReflectionOutcome::of(6, &skies::exact(32, 1));
    let probe = outcome.unfold().unwrap();
    let again = Probe::filtered(probe.levels[0].clone(), 6);
    let off = crate::contest::psnr(&again.levels[1..], &probe.levels[1..]);
    assert!(off > 40.0, "{off} dB");
    for (again, sent) in again.irradiance.iter().zip(&probe.irradiance) {
        assert!(again.iter().zip(sent).all(|(a, b)| (a - b).abs() <= a.abs() / 1_024.0 + 1e-6));
    }
}
