//! Unfolded cubes are near the packed ones, and their outcomes are small.

use p2c2r_tasks::reflection::{
    CubeMap, FACES, LEVEL_ERROR_MAX, LEVEL_ERROR_RMS, Probe, ReflectionOutcome, ReflectionSpec, Scene,
    direction, irradiance_over_pi,
};

use crate::contest::{self, contest};
use crate::{rivals, scenes, skies};

#[test]
fn cubes_of_the_default_size_are_small_and_near() {
    for (name, cube) in skies::all(32) {
        let row = contest(name, &cube, 1);
        println!("{name}: {} bytes, {:.1} dB", row.bytes, row.psnr);
        assert!(row.bytes <= 12_100, "{name}: {} bytes", row.bytes);
        assert!(row.psnr >= 35.0, "{name}: {:.1} dB", row.psnr);
    }
    let traced = |samples, seed| {
        let spec = ReflectionSpec { samples, ..scenes::arena(150, 40, seed) };
        Scene::new(&spec).trace()
    };
    let mut cubes: Vec<_> = (0..4).map(|seed| skies::battle(32, seed)).collect();
    cubes.extend([traced(4, 1), traced(4, 2), traced(1, 3)]);
    for (index, cube) in cubes.iter().enumerate() {
        let row = contest("default", cube, 1);
        println!("default {index}: {} bytes, {:.1} dB", row.bytes, row.psnr);
        assert!(row.bytes <= 5_000 && row.base_bytes < row.bytes, "default {index}: {} bytes", row.bytes);
        assert!(row.psnr >= 38.0, "default {index}: {:.1} dB", row.psnr);
    }
    println!("{}", contest::table(&[contest("traced", &cubes[4], 1)]));
}

/// The reason for this codec: at the same quality no rival takes far fewer bytes, and on smooth light all take more.
#[test]
fn no_rival_is_as_small_on_smooth_light_or_a_third_smaller_on_any() {
    for (name, cube) in [("battle", skies::battle(32, 1)), ("smooth", skies::cube(32, skies::smooth))] {
        let ways = rivals::ways(&cube, 1);
        let ours = &ways[0];
        for rival in &ways[1..] {
            let as_good = rival.psnr > ours.psnr - 1.5;
            let bar = if name == "smooth" { 1.0 } else { 0.66 };
            assert!(!as_good || rival.bytes > bar * ours.bytes, "{name}: {} has {}", rival.name, rival.bytes);
            assert!(rival.us.is_none_or(|(pack, unpack)| pack > 0.0 && unpack > 0.0));
        }
    }
}

#[test]
fn no_texel_is_off_by_more_than_is_stated() {
    for (name, cube) in skies::all(32).into_iter().filter(|(name, _)| *name != "wild") {
        let probe = ReflectionOutcome::of(1, &cube).unfold().unwrap().remove(0);
        let off: Vec<f64> = (cube.texels().iter().zip(probe.levels[0].texels()))
            .map(|(sent, found)| (contest::level(*sent) - contest::level(*found)).abs())
            .collect();
        assert!(off.iter().all(|off| *off <= f64::from(LEVEL_ERROR_MAX)), "{name}");
        for row in off.chunks_exact(32 * 8) {
            // Eight rows of a face are four squares.
            let mean = row.iter().map(|off| off * off).sum::<f64>() / row.len() as f64;
            assert!(mean.sqrt() <= f64::from(LEVEL_ERROR_RMS), "{name}: {}", mean.sqrt());
        }
    }
}

/// A texel of `bytes` in the order in which a GPU takes them.
fn uploaded(
    bytes: &[u8],
    face_log2: u32,
    levels: u32,
    (face, level, x, y): (usize, u32, usize, usize),
) -> [u16; 4] {
    let area = |level: u32| 1usize << (2 * (face_log2 - level));
    let layer: usize = (0..levels).map(area).sum();
    let before: usize = (0..level).map(area).sum();
    let at = 8 * (face * layer + before + (y << (face_log2 - level)) + x);
    [0, 2, 4, 6].map(|part| u16::from_le_bytes([bytes[at + part], bytes[at + part + 1]]))
}

#[test]
fn uploads_are_face_by_face_with_all_levels_of_each() {
    let probe = Probe::filtered(skies::exact(8, 3), 4);
    let bytes = probe.rgba16f();
    assert_eq!(bytes.len(), 8 * FACES * (64 + 16 + 4 + 1));
    for (level, cube) in probe.levels.iter().enumerate() {
        let edge = cube.face() as usize;
        for place in 0..FACES * edge * edge {
            let (face, x, y) = (place / (edge * edge), place % edge, place / edge % edge);
            let found = uploaded(&bytes, 3, 4, (face, level as u32, x, y));
            assert_eq!(found[3], 0x3c00);
            for (half, channel) in found.into_iter().zip(cube.texels()[place]) {
                // Eleven bits of mantissa, at these magnitudes.
                let value = f32::from_bits((u32::from(half) << 13) + (112 << 23));
                assert!((value - channel).abs() <= channel / 2_048.0, "{value} for {channel}");
            }
        }
    }
}

/// Bevy's shader looks a world direction up with z negated.
#[test]
fn bevys_uploads_are_mirrored_along_z() {
    let seen = skies::cube(4, |way| way.map(|component| 2.0 + component));
    let probe = Probe::filtered(seen, 1);
    let bytes = probe.rgba16f_for_bevy();
    let diffuse = probe.diffuse_rgba16f_for_bevy(4);
    for place in 0..FACES * 16 {
        let (face, x, y) = (place / 16, place % 4, place / 4 % 4);
        let [r, g, b] = direction(face, (x as f32 + 0.5) / 4.0, (y as f32 + 0.5) / 4.0);
        let world = skies::normalised([r, g, -b]);
        let found = uploaded(&bytes, 2, 1, (face, 0, x, y));
        let lit = uploaded(&diffuse, 2, 1, (face, 0, x, y));
        for channel in 0..3 {
            let value = |half: u16| f32::from_bits((u32::from(half) << 13) + (112 << 23));
            assert!((value(found[channel]) - 2.0 - world[channel]).abs() < 2e-3);
            assert!(
                (value(lit[channel]) - irradiance_over_pi(&probe.irradiance, world)[channel]).abs() < 2e-3
            );
        }
    }
}

#[test]
fn every_size_and_number_of_levels_comes_back() {
    for face_log2 in 0..=7 {
        for (name, cube) in skies::all(1 << face_log2) {
            for levels in [1, 2, face_log2 + 1, 200] {
                let outcome = ReflectionOutcome::of(levels, &cube);
                let probe = outcome.unfold().unwrap().remove(0);
                let faces: Vec<u32> = probe.levels.iter().map(CubeMap::face).collect();
                let wanted: Vec<u32> =
                    (0..levels.min(face_log2 + 1)).map(|l| (1 << face_log2) >> l).collect();
                assert_eq!(faces, wanted, "{name} {face_log2}");
                assert_eq!(usize::from(outcome.sizes().next().unwrap().1), faces.len());
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
fn black_stays_black_and_invalid_light_counts_as_black() {
    let mut cube = CubeMap::black(16);
    let black = ReflectionOutcome::of(5, &cube).unfold().unwrap().remove(0);
    assert!(black.levels.iter().all(|level| level.texels().iter().all(|texel| *texel == [0.0; 3])));
    assert_eq!(black.irradiance, [[0.0; 3]; 9]);
    cube.texels_mut().fill([f32::NAN, -7.0, f32::NEG_INFINITY]);
    assert_eq!(ReflectionOutcome::of(5, &cube).unfold().unwrap(), [black]);
    // Infinite radiance is clamped to the largest.
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
        let probe = ReflectionOutcome::of(1, &cube).unfold().unwrap().remove(0);
        let off = (contest::level(probe.levels[0].texels()[0]) - contest::level([light; 3])).abs();
        assert!(off < 0.05, "{light} is off by {off} octaves");
    }
}
