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
        (0, "90827cf33cfdb7cd52e0d25605ea3209e430318b85178d02d212547557df67c6"),
        (3, "6d268abc8c64fcbd1b29faf3f45463ca4af36587b9bafd0e6d5fa65cbd275e8b"),
        (4, "513a3f04aff31d02f846e097176728d738bcf21a39a932a5a82658329512f397"),
        (5, "d126106e76c94ded44099d0fa2dafac6f360532aa46d28ee5beafb1c75b90493"),
        (6, "3d2c6a8953e0c5e55f8cbcfc204acb64406541077eba1811e5eec4fcbe1cf594"),
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
fn many_threads_pack_what_one_does() {
    for face_log2 in 0..=6u8 {
        for cube in [skies::exact(1 << face_log2, 3), skies::exact(1 << face_log2, 4)] {
            for levels in [1, face_log2 + 1] {
                let one = ReflectionOutcome::of(levels, &cube);
                assert_eq!(
                    ReflectionOutcome::of_parallel(levels, &cube),
                    one,
                    "2^{face_log2}, {levels} levels"
                );
            }
        }
    }
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
