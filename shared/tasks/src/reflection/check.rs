//! Judges an answer from a stranger: the always-on check and the sampled deep check.

use glam::Vec3;

use super::codec::{BLOCK_SIDE, Block, STEPS, Steps, block_texels, dequantise_block, quantise_block};
use super::cube::{CubeMap, FACES, locate};
use super::outcome::{Coefficients, ReflectionOutcome, levels_agree};
use super::scene::{Scene, luminance, radiance_bound};
use super::spec::{ReflectionSpec, Viewpoint};
use super::{FACE_LOG2_MIN, Reflection};
use crate::blobs::Blobs;
use crate::fuel::{Fuel, Fueled as _, Stop};
use crate::kind::{CheckError, KernelError};
use crate::picking::next;

/// Octaves by which one channel of a texel counts at most in means: one path that goes another way on another
/// processor must not weigh more than a whole region.
const RESIDUAL_CAP: f32 = 2.0;
/// Mean size of the residual, octaves, from which on a block is false.
const FALSE_SIZE: f32 = 0.2;
/// Mean size of the residual from which a block is doubtful. One stray path between a bolt and the dark, and
/// its effect on its square of the transform, makes 0.06.
const DOUBTFUL_SIZE: f32 = 0.08;
/// The same for the second worst square, since a stray path spoils only one: the threshold is lower. One
/// coefficient rounded the other way makes 0.04.
const DOUBTFUL_REST: f32 = 0.05;
/// Mean of the signed residual without the worst square, in either direction, from which a block is doubtful:
/// a cube too dark or too bright.
const DOUBTFUL_MEAN: f32 = 0.02;
/// A block is not judged if moving the probe by a hair (see `nudged`) changes its light by more than this
/// part of the residual.
const SWING_SHARE: f32 = 2.0;
/// Blocks that are traced in all where one is doubtful.
const SECOND_LOOK: usize = 3;

/// The always-on check of every answer.
pub(super) fn check(spec: &ReflectionSpec, outcome: &ReflectionOutcome) -> Result<(), CheckError> {
    let size = |viewpoint: Viewpoint| (viewpoint.face(), viewpoint.levels.clamp(1, viewpoint.face_log2 + 1));
    if !outcome.sizes().eq(spec.viewpoints().map(size)) {
        let what = format!("faces and levels {:?}", outcome.sizes().collect::<Vec<_>>());
        return Err(CheckError::new("reflection.size", what));
    }
    let cubes = outcome.cubes().map_err(|error| CheckError::new("reflection.stream", error.to_string()))?;
    let texels = cubes.iter().flatten().flat_map(CubeMap::texels);
    let brightest = texels.fold(0.0_f32, |most, texel| most.max(luminance(Vec3::from(*texel))));
    // Most outcomes have the finest steps, so the coarseness is read only if the brightness exceeds those.
    if brightest > radiance_bound(spec) * bright_slack(0) {
        let given = outcome
            .coefficients()
            .map_err(|error| CheckError::new("reflection.stream", error.to_string()))?;
        let coarseness = (0..STEPS).find(|coarseness| Steps::new(*coarseness, false) == given[0].steps());
        let bound = radiance_bound(spec) * bright_slack(coarseness.unwrap_or(0));
        if brightest > bound {
            let what = format!("a texel of {brightest} where rounding explains up to {bound}");
            return Err(CheckError::new("reflection.brightness", what));
        }
    }
    Ok(())
}

/// Factor by which rounding can brighten a texel. With the finest steps the sharp level errs by at most
/// [`LEVEL_ERROR_MAX`](super::LEVEL_ERROR_MAX) octaves and a filtered one by half of that again, which is
/// less than two; each coarser step multiplies the error by √2.
fn bright_slack(coarseness: u8) -> f32 {
    let octaves = 2.0 * (1_u32 << coarseness.div_ceil(2)) as f32;
    octaves.min(24.0).exp2()
}

/// Computes the filtered levels again, and traces one macroblock again; two more if that one is doubtful.
pub(super) fn deep_check(
    spec: &ReflectionSpec,
    outcome: &ReflectionOutcome,
    seed: u64,
) -> Result<(), CheckError> {
    let given =
        outcome.coefficients().map_err(|error| CheckError::new("reflection.stream", error.to_string()))?;
    levels_agree(&given).map_err(|error| CheckError::new("reflection.filtered", error.to_string()))?;
    let stop = Stop::never();
    let mut fuel = Reflection::fuel(spec, &Blobs::default(), &stop)
        .map_err(|error| CheckError::new("reflection.spec", error.to_string()))?;
    match looked_at(spec, &given, seed, &mut fuel) {
        Ok(verdict) => verdict,
        // No core can trace this scene with the fuel it paid for, but a graphics processor may. The check
        // cannot tell, so it accepts: only the gamer who asked for such a scene is affected.
        Err(_) => Ok(()),
    }
}

/// The verdict on one macroblock, and on two more where that one is doubtful; an error if the fuel ends before.
fn looked_at(
    spec: &ReflectionSpec,
    given: &[Coefficients],
    seed: u64,
    fuel: &mut Fuel<'_>,
) -> Result<Result<(), CheckError>, KernelError> {
    let mut scene = Scene::new(spec);
    let viewpoints: Vec<Viewpoint> = spec.viewpoints().collect();
    let across: Vec<usize> = given.iter().map(Coefficients::across).collect();
    let mut doubtful = 0;
    for block in picks(&scene, &viewpoints, &across, seed) {
        let (given, steps) = (&given[block.probe], given[block.probe].steps());
        scene.look_from(&viewpoints[block.probe]);
        let traced = retraced(&scene, steps, block, fuel)?;
        let residual = Residual::between(&traced, given.block(block.face, block.column, block.row), steps);
        if residual.size <= FALSE_SIZE && !residual.is_doubtful() {
            if doubtful == 0 {
                break;
            }
            continue;
        }
        let swing = Residual::between(&traced, &retraced(&nudged(&scene), steps, block, fuel)?, steps);
        if swing.size * SWING_SHARE > residual.size {
            continue;
        }
        if residual.size > FALSE_SIZE {
            let what = format!("block {block:?} is off by {residual:?}");
            return Ok(Err(CheckError::new("reflection.block", what)));
        }
        doubtful += 1;
        if doubtful == 2 {
            let what = format!("two blocks are off, {block:?} by {residual:?}");
            return Ok(Err(CheckError::new("reflection.residual", what)));
        }
    }
    Ok(Ok(()))
}

/// The scene from a hair's breadth beside the probe. Light that changes there depends on rounding, which
/// differs between processors: a gamer can ask for two surfaces in one place, and the worker is not to blame
/// for which is seen.
fn nudged(scene: &Scene) -> Scene {
    // A 65,536th of a metre, and several steps of an `f32` far from the origin.
    let probe = scene.probe.map(|part| part + 1.0 / 65_536.0 + part.abs() / 2_097_152.0);
    Scene { probe, ..scene.clone() }
}

/// A macroblock traced again and quantised.
fn retraced(
    scene: &Scene,
    steps: Steps,
    Place { face, column, row, .. }: Place,
    fuel: &mut Fuel<'_>,
) -> Result<Block, KernelError> {
    let mut traced = CubeMap::black(scene.face);
    for y in row * BLOCK_SIDE..(row + 1) * BLOCK_SIDE {
        for x in column * BLOCK_SIDE..(column + 1) * BLOCK_SIDE {
            let index = traced.index(face, x as u32, y as u32);
            traced.texels_mut()[index] = scene.texel_within(index as u32, fuel)?;
        }
    }
    Ok(quantise_block(&block_texels(&traced, face, column, row), steps))
}

const _: () = assert!(1 << FACE_LOG2_MIN >= BLOCK_SIDE, "every face has whole macroblocks");

/// A macroblock of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    probe: usize,
    face: usize,
    column: usize,
    row: usize,
}

/// The macroblocks that a seed picks, all different, of cubes with `across` of them per edge; each macroblock
/// of each probe is equally likely. Every third seed picks macroblocks that look towards lights.
fn picks(scene: &Scene, viewpoints: &[Viewpoint], across: &[usize], mut seed: u64) -> Vec<Place> {
    let is_aimed = next(&mut seed).is_multiple_of(3) && !scene.lights.is_empty();
    let blocks = |across: &usize| FACES * across * across;
    let all: usize = across.iter().map(blocks).sum();
    let mut places = Vec::with_capacity(SECOND_LOOK);
    // Lights may all be in one macroblock; after 64 tries the picks are random.
    for attempt in 0..64 {
        let (mut rest, mut probe) = ((next(&mut seed) % all as u64) as usize, 0);
        while rest >= blocks(&across[probe]) {
            rest -= blocks(&across[probe]);
            probe += 1;
        }
        let across = across[probe];
        let place = if is_aimed && attempt < 8 {
            let light = &scene.lights[(next(&mut seed) % scene.lights.len() as u64) as usize];
            let primitive = &scene.primitives[light.primitive as usize];
            let middle = Vec3::from(primitive.position) + 0.5 * Vec3::from(primitive.axis);
            let (face, u, v) = locate((middle - Vec3::from(viewpoints[probe].at())).to_array());
            let part = |share: f32| ((share * across as f32) as usize).min(across - 1);
            Place { probe, face, column: part(u), row: part(v) }
        } else {
            let (face, at) = (rest / (across * across), rest % (across * across));
            Place { probe, face, column: at % across, row: at / across }
        };
        if !places.contains(&place) {
            places.push(place);
        }
        if places.len() == SECOND_LOOK {
            break;
        }
    }
    places
}

/// The difference between a macroblock and the one traced again, in octaves: means over channels and texels.
#[derive(Clone, Copy, Debug, Default)]
struct Residual {
    /// Mean size of the difference.
    size: f32,
    /// Mean size of the difference in the second worst of the four squares.
    rest: f32,
    /// Mean of the signed difference in all squares but the worst.
    mean: f32,
}

impl Residual {
    fn is_doubtful(self) -> bool {
        self.size > DOUBTFUL_SIZE || self.rest > DOUBTFUL_REST || self.mean.abs() > DOUBTFUL_MEAN
    }

    fn between(traced: &Block, said: &Block, steps: Steps) -> Self {
        if traced == said {
            return Self::default();
        }
        let (traced, said) = (dequantise_block(traced, steps), dequantise_block(said, steps));
        // Size and sum of each square's differences.
        let mut squares = [(0.0_f32, 0.0_f32); 4];
        for (place, (traced, said)) in traced.iter().zip(&said).enumerate() {
            let half = BLOCK_SIDE / 2;
            let square = &mut squares[place / BLOCK_SIDE / half * 2 + place % BLOCK_SIDE / half];
            for (traced, said) in traced.iter().zip(said) {
                let off = (octaves(*said) - octaves(*traced)).clamp(-RESIDUAL_CAP, RESIDUAL_CAP);
                square.0 += off.abs();
                square.1 += off;
            }
        }
        squares.sort_by(|a, b| b.0.total_cmp(&a.0));
        let count = (3 * BLOCK_SIDE * BLOCK_SIDE / 4) as f32;
        Self {
            size: squares.iter().map(|square| square.0).sum::<f32>() / (4.0 * count),
            rest: squares[1].0 / count,
            mean: squares[1..].iter().map(|square| square.1).sum::<f32>() / (3.0 * count),
        }
    }
}

/// Octaves above darkness.
fn octaves(radiance: f32) -> f32 {
    (radiance + super::RADIANCE_FLOOR).log2()
}
