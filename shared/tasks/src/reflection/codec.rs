//! Packs a cube of light into few bytes, and unpacks it.
//!
//! A face is cut into macroblocks of 16 by 16 texels. Luminance is taken in octaves above a floor of 2^-12 (so
//! black is exactly 0), colour as the square roots of red's and blue's share of the luminance at half the
//! resolution, weighted by the luminance. Squares of 8 by 8 go through a cosine transform, and coefficients are
//! rounded to steps (`block.rs`). Up to there each macroblock is independent: its texels alone determine its
//! coefficients, so a check can trace and quantise one macroblock. A range coder with learnt odds then packs them all
//! (`stream.rs`), and predicts from neighbours, which are alike.
//!
//! # Error
//!
//! A coefficient errs by at most half a step. So with the finest steps, in octaves of luminance above the floor, the
//! root of the mean square over a square of 8 by 8 is at most [`LEVEL_ERROR_RMS`] and no texel is off by more
//! than [`LEVEL_ERROR_MAX`]; typical is a third of the former. Each step of coarseness makes both √2 larger;
//! filtered levels have half of both.
//!
//! # Why this one
//!
//! Of the codecs that `benches/probe.rs` measures (`docs/PERFORMANCE.md`), this one takes the fewest bytes without
//! visible bands in smooth skies. Predicting texels from their neighbours takes fewer only with steps so coarse that
//! they show as bands; shared exponents and deflate take several times as many.
//!
//! # Determinism
//!
//! Encoding and decoding use only `+ - * /`, square roots and the bits of floats, in one stated order: the same cube
//! gives the same bytes, and the same bytes give the same texels, bit for bit, everywhere.

mod block;
mod range;
mod scale;
mod stream;
mod transform;

use super::cube::{CubeMap, FACES};
use super::threads::Threads;
use crate::kind::KernelError;
pub use block::{BLOCK_SIDE, Block, LEVEL_ERROR_MAX, LEVEL_ERROR_RMS, LUMINANCE, STEPS, Steps};
use block::{BlockShape, dequantise, quantise};
pub(crate) use range::{Coder, Decoder, Encoder, Odds};
pub(super) use scale::half;
pub use scale::{RADIANCE_FLOOR, TEXEL_MAX};
pub(crate) use scale::{level_of, luminance_of};
pub(super) use stream::{pack, unpack};

/// Texels along the edge of the largest face that travels.
pub const FACE_MAX: u32 = 128;

/// Steps per texel of quantising and its inverse, and of coding.
pub(super) const QUANTISE_STEPS: u64 = 50;
pub(super) const DEQUANTISE_STEPS: u64 = 20;
pub(super) const CODE_STEPS: u64 = 60;

/// All quantised coefficients of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    face: usize,
    shape: BlockShape,
    steps: Steps,
    /// Face by face, each row by row.
    blocks: Vec<Block>,
}

impl Level {
    fn zero(face: u32, steps: Steps) -> Self {
        let face = face as usize;
        let shape = BlockShape::of(face);
        let across = face / shape.side;
        Self { face, shape, steps, blocks: vec![Block::zero(shape); FACES * across * across] }
    }

    /// Quantises a whole cube, whose face is a power of two of at most [`FACE_MAX`].
    pub fn quantise(
        cube: &CubeMap,
        steps: Steps,
        threads: &mut Threads<'_, '_>,
    ) -> Result<Self, KernelError> {
        let mut level = Self::zero(cube.face(), steps);
        let across = level.across();
        let work = QUANTISE_STEPS * cube.texels().len() as u64;
        threads.fill(&mut level.blocks, across, work, |row, blocks| {
            for (bx, block) in blocks.iter_mut().enumerate() {
                *block = quantise_block(&block_texels(cube, row / across, bx, row % across), steps);
            }
        })?;
        Ok(level)
    }

    /// The texels.
    pub fn dequantise(&self, threads: &mut Threads<'_, '_>) -> Result<CubeMap, KernelError> {
        let mut cube = CubeMap::black(self.face as u32);
        let (face, side, across) = (self.face, self.shape.side, self.across());
        let work = DEQUANTISE_STEPS * cube.texels().len() as u64;
        // A row of blocks is some rows of texels, which follow one another.
        threads.fill(cube.texels_mut(), side * face, work, |row, rows| {
            let mut texels = [[0.0; 3]; BLOCK_SIDE * BLOCK_SIDE];
            for (bx, block) in self.blocks[row * across..][..across].iter().enumerate() {
                dequantise(block, self.steps, &mut texels);
                for (values, texels) in rows.chunks_exact_mut(face).zip(texels.chunks_exact(side)) {
                    values[bx * side..][..side].copy_from_slice(texels);
                }
            }
        })?;
        Ok(cube)
    }

    /// Macroblocks along the edge of a face.
    pub fn across(&self) -> usize {
        self.face / self.shape.side
    }

    /// How coefficients were rounded.
    pub fn steps(&self) -> Steps {
        self.steps
    }

    /// The macroblock at column `bx` and row `by` of a face.
    pub fn block(&self, face: usize, bx: usize, by: usize) -> &Block {
        &self.blocks[(face * self.across() + by) * self.across() + bx]
    }
}

/// The texels of a macroblock of a cube, row by row: 16 by 16, or the whole face where that is smaller.
pub(crate) fn block_texels(cube: &CubeMap, face: usize, bx: usize, by: usize) -> Vec<[f32; 3]> {
    let side = BlockShape::of(cube.face() as usize).side;
    let rows = (by * side..(by + 1) * side).map(|y| cube.index(face, (bx * side) as u32, y as u32));
    rows.flat_map(|at| cube.texels()[at..at + side].iter().copied()).collect()
}

/// Quantises a macroblock by itself. An honest outcome has this for these texels (row-major, a whole macroblock).
pub(crate) fn quantise_block(texels: &[[f32; 3]], steps: Steps) -> Block {
    quantise(texels, BlockShape::of(texels.len().isqrt()), steps)
}

/// The texels of a macroblock, row-major.
pub(crate) fn dequantise_block(block: &Block, steps: Steps) -> Vec<[f32; 3]> {
    let mut texels = [[0.0; 3]; BLOCK_SIDE * BLOCK_SIDE];
    dequantise(block, steps, &mut texels);
    texels[..block.area()].to_vec()
}
