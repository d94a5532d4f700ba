//! How an answer from a stranger is judged.

use super::codec::{BLOCK_SIDE, block_texels, dequantise_block, quantise_block};
use super::cube::{CubeMap, FACES};
use super::outcome::{Coefficients, ReflectionOutcome};
use super::scene::{Scene, radiance_bound};
use super::spec::ReflectionSpec;
use crate::kind::CheckError;

/// Octaves by which rounding may lift a texel over what the kernel cuts paths off at.
const BRIGHT_SLACK: f32 = 2.0;
/// Octaves that one channel of a texel can be off by at most, as far as means are concerned: what a single path gone
/// another way on another processor does must not weigh more than a whole region.
const RESIDUAL_CAP: f32 = 2.0;
/// Mean size of the residual, octaves, from which on a block is false.
const FALSE_SIZE: f32 = 0.15;
/// Mean size of the residual from which on a block is doubtful.
const DOUBTFUL_SIZE: f32 = 0.03;
/// Mean of the residual either way from which on a block is doubtful: a whole cube too dark or too bright.
const DOUBTFUL_MEAN: f32 = 0.02;
/// Blocks that are looked at where one is doubtful.
const SECOND_LOOK: usize = 3;

/// The always-on check of every answer.
pub(super) fn check(spec: &ReflectionSpec, outcome: &ReflectionOutcome) -> Result<(), CheckError> {
    let levels = spec.levels.clamp(1, spec.face_log2 + 1);
    if outcome.face() != spec.face() || outcome.levels() != levels {
        let what = format!("face {} and {} levels", outcome.face(), outcome.levels());
        return Err(CheckError::new("reflection.size", what));
    }
    let probe = outcome.unfold().map_err(|error| CheckError::new("reflection.stream", error.to_string()))?;
    let bound = radiance_bound(spec) * BRIGHT_SLACK.exp2();
    let texels = probe.levels.iter().flat_map(|level| level.texels().as_flattened());
    let brightest = texels.fold(0.0_f32, |most, part| most.max(*part));
    if brightest > bound {
        let what = format!("a texel of {brightest} where nothing is brighter than {bound}");
        return Err(CheckError::new("reflection.brightness", what));
    }
    Ok(())
}

/// The filtered levels again, and one macroblock traced again; two more where that one is doubtful.
pub(super) fn deep_check(
    spec: &ReflectionSpec,
    outcome: &ReflectionOutcome,
    seed: u64,
) -> Result<(), CheckError> {
    let given =
        outcome.coefficients().map_err(|error| CheckError::new("reflection.stream", error.to_string()))?;
    outcome
        .levels_agree(&given)
        .map_err(|error| CheckError::new("reflection.filtered", error.to_string()))?;
    let scene = Scene::new(spec);
    let mut doubtful = 0;
    for block in picks(given.across(), seed) {
        let residual = Residual::of(&scene, &given, block);
        if residual.size > FALSE_SIZE {
            return Err(CheckError::new(
                "reflection.block",
                format!("block {block:?} is off by {residual:?}"),
            ));
        }
        if residual.size > DOUBTFUL_SIZE || residual.mean.abs() > DOUBTFUL_MEAN {
            doubtful += 1;
        }
        if doubtful == 2 {
            let what = format!("two blocks are off, {block:?} by {residual:?}");
            return Err(CheckError::new("reflection.residual", what));
        }
        if doubtful == 0 {
            break;
        }
    }
    Ok(())
}

/// Face, column and row of a macroblock.
type Place = (usize, usize, usize);

/// The macroblocks that a seed picks, none twice, of a cube with `across` of them along an edge.
fn picks(across: usize, seed: u64) -> impl Iterator<Item = Place> {
    let count = (FACES * across * across) as u64;
    // SplitMix64's finaliser: neighbouring seeds must not pick neighbouring blocks.
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let first = bits % count;
    let second = (first + 1 + (bits >> 20) % (count - 1)) % count;
    let rest = (0..count).map(move |step| (second + step) % count).filter(move |place| *place != first);
    std::iter::once(first).chain(rest).take(SECOND_LOOK).map(move |place| {
        let place = place as usize;
        (place / (across * across), place % across, place / across % across)
    })
}

/// By how much a block differs from the one traced again, in octaves: mean over channels and texels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Residual {
    /// Of the difference's size.
    pub size: f32,
    /// Of the difference.
    pub mean: f32,
}

impl Residual {
    pub(super) fn of(scene: &Scene, given: &Coefficients, (face, column, row): Place) -> Self {
        let steps = given.steps();
        let side = (scene.face as usize).min(BLOCK_SIDE);
        let mut traced = CubeMap::black(scene.face);
        for y in row * side..(row + 1) * side {
            for x in column * side..(column + 1) * side {
                let index = traced.index(face, x as u32, y as u32);
                traced.texels_mut()[index] = scene.texel(index as u32);
            }
        }
        let traced = quantise_block(&block_texels(&traced, face, column, row), steps);
        let said = given.block(face, column, row);
        if traced == *said {
            return Self { size: 0.0, mean: 0.0 };
        }
        let (traced, said) = (dequantise_block(&traced, steps), dequantise_block(said, steps));
        let (mut size, mut mean) = (0.0, 0.0);
        for (traced, said) in traced.as_flattened().iter().zip(said.as_flattened()) {
            let off = (octaves(*said) - octaves(*traced)).clamp(-RESIDUAL_CAP, RESIDUAL_CAP);
            size += off.abs();
            mean += off;
        }
        let count = (3 * traced.len()) as f32;
        Self { size: size / count, mean: mean / count }
    }
}

/// Octaves above darkness.
fn octaves(radiance: f32) -> f32 {
    (radiance + super::RADIANCE_FLOOR).log2()
}
