//! What comes out is near what went in, small, and the same everywhere.

use p2c2r_tasks::reflection::{CubeMap, ReflectionOutcome};

use crate::contest::{self, contest};
use crate::skies;

#[test]
fn cubes_of_the_default_size_are_small_and_near() {
    for (name, cube) in skies::all(32) {
        let row = contest(name, &cube, 1);
        println!("{name}: {} bytes, {:.1} dB", row.bytes, row.psnr);
        assert!(row.bytes <= 12_100, "{name}: {} bytes", row.bytes);
        assert!(row.psnr >= 35.0, "{name}: {:.1} dB", row.psnr);
    }
    for seed in 0..6 {
        let row = contest("battle", &skies::battle(32, seed), 1);
        println!("battle {seed}: {} bytes, {:.1} dB", row.bytes, row.psnr);
        assert!(row.bytes <= 6_000, "battle {seed}: {} bytes", row.bytes);
        assert!(row.psnr >= 38.0, "battle {seed}: {:.1} dB", row.psnr);
    }
}

#[test]
fn every_size_and_number_of_levels_comes_back() {
    for face_log2 in 0..=7 {
        for (name, cube) in skies::all(1 << face_log2) {
            for levels in [1, 2, face_log2 + 1, 200] {
                let outcome = ReflectionOutcome::of(levels, &cube);
                let probe = outcome.unfold().unwrap();
                let faces: Vec<u32> = probe.levels.iter().map(CubeMap::face).collect();
                let wanted: Vec<u32> =
                    (0..levels.min(face_log2 + 1)).map(|l| (1 << face_log2) >> l).collect();
                assert_eq!(faces, wanted, "{name} {face_log2}");
                assert_eq!(usize::from(outcome.levels()), faces.len());
                for texel in probe.levels.iter().flat_map(CubeMap::texels).flatten() {
                    assert!(texel.is_finite() && *texel >= 0.0 && *texel < 65_504.0);
                }
                if face_log2 > 5 {
                    break;
                }
            }
        }
    }
}

#[test]
fn black_stays_black_and_what_is_no_light_counts_as_none() {
    let mut cube = CubeMap::black(16);
    let black = ReflectionOutcome::of(5, &cube).unfold().unwrap();
    assert!(black.levels.iter().all(|level| level.texels().iter().all(|texel| *texel == [0.0; 3])));
    assert_eq!(black.irradiance, [[0.0; 3]; 9]);
    cube.texels_mut().fill([f32::NAN, -7.0, f32::NEG_INFINITY]);
    assert_eq!(ReflectionOutcome::of(5, &cube).unfold().unwrap(), black);
    // Infinitely bright is as bright as can be.
    let (mut infinite, mut brightest) = (CubeMap::black(8), CubeMap::black(8));
    infinite.texels_mut().fill([f32::INFINITY, 1e30, 4_097.0]);
    brightest.texels_mut().fill([4_096.0; 3]);
    assert_eq!(ReflectionOutcome::of(4, &infinite), ReflectionOutcome::of(4, &brightest));
}

#[test]
fn grey_of_every_brightness_comes_back_within_the_error_that_is_stated() {
    for step in 0..240 {
        let light = (step as f32 / 10.0 - 11.9).exp2();
        let cube = skies::cube(8, |_| [light; 3]);
        let probe = ReflectionOutcome::of(1, &cube).unfold().unwrap();
        let off = (contest::level(probe.levels[0].texels()[0]) - contest::level([light; 3])).abs();
        assert!(off < 0.05, "{light} is off by {off} octaves");
    }
}
