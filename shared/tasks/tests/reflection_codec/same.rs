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
        (0, "13a4b079d0c9537c9019057672fbb125051587e970d4fda13fd29b6dc7808806"),
        (3, "3fd74c55f0a1424a90b7536e87db9bc6ec43a64fac8e18fb5f95f50170f1a0fd"),
        (4, "9379e99ae43b4f03e6ce7e7b79895b1de7ed93037a95549582b54c752e1e01d6"),
        (5, "62afd632042cd129e34806142c4e7cb57048b6d8b1c6d1b23a39e5dfccf88b51"),
        (6, "5b0a1cdc907dc94c02e1ad3cb9995d5753ca0213fecac481eae995c981a06f7f"),
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
