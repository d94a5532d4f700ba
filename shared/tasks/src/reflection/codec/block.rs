//! A macroblock: how 16 by 16 texels (or a whole smaller face) are quantised before the range coder,
//! independent of all other macroblocks.

use super::scale::{bounded, level_of, luminance_of};
use super::transform::{backward, forward};

/// Texels along the edge of a macroblock; a smaller face is one macroblock.
pub const BLOCK_SIDE: usize = 16;
/// Largest magnitude of a coefficient; with the finest steps none is above 2,200.
pub(super) const COEFFICIENT_MAX: i16 = 4_095;
/// Number of coarsenesses, each with steps √2 times as wide as the one before.
pub const STEPS: u8 = 16;
/// Luminance of linear sRGB (Rec. 709), which is what "luminance" means in this codec.
pub const LUMINANCE: [f32; 3] = [0.2126, 0.7152, 0.0722];
/// Square roots of grey's red and blue share.
const GREY: [f32; 2] = [0.461_085_7, 0.268_700_6];

/// Edges of the squares that are transformed, and how many of them make up the luma of a macroblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockShape {
    /// Edge of the macroblock in texels.
    pub side: usize,
    /// Edge of a luma square.
    pub luma: usize,
    /// Edge of the one chroma square of each plane: half the side, since chroma has half the resolution.
    pub chroma: usize,
}

impl BlockShape {
    /// For a face of `face` texels' edge.
    pub fn of(face: usize) -> Self {
        let side = face.min(BLOCK_SIDE);
        Self { side, luma: side.min(8), chroma: (side / 2).max(1) }
    }

    /// Luma squares along the edge of the macroblock.
    pub fn squares(self) -> usize {
        self.side / self.luma
    }
}

/// Quantised coefficients of a macroblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub(super) shape: BlockShape,
    /// Luma squares row by row, each row-major: coefficient (u, v) at `v * edge + u`.
    pub(super) luma: [i16; 256],
    /// Square root of red's share of the luminance, then blue's, less those of grey.
    pub(super) chroma: [[i16; 64]; 2],
}

/// Width of the steps to which coefficients are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// From 0, the finest, to [`STEPS`] - 1.
    pub(super) coarseness: u8,
    pub(super) filtered: bool,
}

/// Octaves of the finest step of a luma coefficient.
const LUMA_STEP: f32 = 0.35;
/// Finest step of a chroma coefficient. Twice this saves 5 % of the bytes, but the hues of rocks are visibly
/// off.
const CHROMA_STEP: f32 = 0.08;
/// Filtered levels are smooth and seen on rough surfaces only as gradients: they are cheap and need finer steps.
const FILTERED_SHARE: f32 = 0.5;
/// Part of the step for a mean: steps between means show as edges of squares.
const MEAN_SHARE: f32 = 0.5;

/// Largest rounding error with the finest steps, as the root of the mean square over a square of 8 by 8, in
/// octaves of luminance above the floor: half a step, since the transform is orthonormal.
pub const LEVEL_ERROR_RMS: f32 = LUMA_STEP / 2.0;
/// Largest error of one texel, in octaves: all 64 coefficients off by half a step in the same direction (the
/// waves' values at a texel add up to 2.642 along each axis).
pub const LEVEL_ERROR_MAX: f32 = 6.98 * LEVEL_ERROR_RMS;

impl Steps {
    /// Steps of the sharp level or of the filtered ones.
    pub(crate) fn new(coarseness: u8, filtered: bool) -> Self {
        Self { coarseness, filtered }
    }

    fn scale(self) -> f32 {
        let octaves = (1u32 << (self.coarseness / 2)) as f32;
        let half = if self.coarseness % 2 == 1 { std::f32::consts::SQRT_2 } else { 1.0 };
        octaves * half * if self.filtered { FILTERED_SHARE } else { 1.0 }
    }

    /// Steps of the coefficients of a square: of the mean, and of all others.
    fn of(self, luma: bool) -> [f32; 2] {
        [MEAN_SHARE, 1.0].map(|share| self.scale() * share * if luma { LUMA_STEP } else { CHROMA_STEP })
    }
}

fn quantise_square(square: &mut [f32], edge: usize, steps: Steps, luma: bool, out: &mut [i16]) {
    forward(square, edge);
    let [mean, wave] = steps.of(luma);
    let round = |coefficient: f32, step: f32| {
        let magnitude = coefficient.abs() / step + 0.5;
        let whole = (magnitude as i16).min(COEFFICIENT_MAX);
        if coefficient < 0.0 { -whole } else { whole }
    };
    for (coefficient, out) in square.iter().zip(&mut *out) {
        *out = round(*coefficient, wave);
    }
    out[0] = round(square[0], mean);
}

fn dequantise_square(coefficients: &[i16], edge: usize, steps: Steps, luma: bool, square: &mut [f32]) {
    let [mean, wave] = steps.of(luma);
    for (coefficient, out) in coefficients.iter().zip(&mut *square) {
        *out = f32::from(*coefficient) * wave;
    }
    square[0] = f32::from(coefficients[0]) * mean;
    backward(square, edge);
}

/// Quantises a macroblock's texels (row-major, `side` squared of them).
///
/// The same texels give the same coefficients on every machine.
pub(super) fn quantise(texels: &[[f32; 3]], shape: BlockShape, steps: Steps) -> Block {
    let side = shape.side;
    let mut block = Block::zero(shape);
    let mut levels = [0.0f32; 256];
    // Luminance carried by red and blue and in all, per chroma sample.
    let mut shares = [[0.0f32; 3]; 64];
    for (place, texel) in texels.iter().enumerate().take(side * side) {
        let parts: [f32; 3] = std::array::from_fn(|c| bounded(texel[c]) * LUMINANCE[c]);
        let luminance = parts[0] + parts[1] + parts[2];
        levels[place] = level_of(luminance);
        let sample = &mut shares[place / side / 2 * shape.chroma + place % side / 2];
        sample[0] += parts[0];
        sample[1] += parts[2];
        sample[2] += luminance;
    }
    let edge = shape.luma;
    for index in 0..shape.squares() * shape.squares() {
        let (left, top) = (index % shape.squares() * edge, index / shape.squares() * edge);
        let mut square = [0.0f32; 64];
        for (row, values) in square.chunks_exact_mut(edge).take(edge).enumerate() {
            values.copy_from_slice(&levels[(top + row) * side + left..][..edge]);
        }
        let area = edge * edge;
        quantise_square(&mut square[..area], edge, steps, true, &mut block.luma[index * area..][..area]);
    }
    let area = shape.chroma * shape.chroma;
    for (plane, (grey, out)) in GREY.iter().zip(&mut block.chroma).enumerate() {
        let mut square = [0.0f32; 64];
        for (value, sample) in square.iter_mut().zip(&shares[..area]) {
            let (part, all) = (sample[plane], sample[2]);
            *value = if all > 0.0 { (part / all).sqrt() - grey } else { 0.0 };
        }
        quantise_square(&mut square[..area], shape.chroma, steps, false, &mut out[..area]);
    }
    block
}

/// The texels of a macroblock, row-major. Any coefficients give finite, non-negative texels.
pub(super) fn dequantise(block: &Block, steps: Steps, texels: &mut [[f32; 3]; 256]) {
    let shape = block.shape;
    let side = shape.side;
    let mut chroma = [[0.0f32; 64]; 2];
    let area = shape.chroma * shape.chroma;
    for (coefficients, out) in block.chroma.iter().zip(&mut chroma) {
        dequantise_square(&coefficients[..area], shape.chroma, steps, false, &mut out[..area]);
    }
    // Per unit of luminance, the three channels.
    let mut colours = [[0.0f32; 3]; 64];
    for (sample, colour) in colours.iter_mut().enumerate().take(area) {
        let root = |plane: usize| (chroma[plane][sample] + GREY[plane]).max(0.0);
        let (red, blue) = (root(0) * root(0), root(1) * root(1));
        let all = (red + blue).max(1.0);
        let (red, blue) = (red / all, blue / all);
        let green = (1.0 - red - blue).max(0.0);
        *colour = [red / LUMINANCE[0], green / LUMINANCE[1], blue / LUMINANCE[2]];
    }
    let edge = shape.luma;
    let area = edge * edge;
    for index in 0..shape.squares() * shape.squares() {
        let (left, top) = (index % shape.squares() * edge, index / shape.squares() * edge);
        let mut square = [0.0f32; 64];
        dequantise_square(&block.luma[index * area..][..area], edge, steps, true, &mut square[..area]);
        for (place, level) in square[..area].iter().enumerate() {
            let (x, y) = (left + place % edge, top + place / edge);
            let luminance = luminance_of(*level);
            let colour = colours[y / 2 * shape.chroma + x / 2];
            texels[y * side + x] = colour.map(|share| share * luminance);
        }
    }
}

impl Block {
    /// Black and grey.
    pub(super) fn zero(shape: BlockShape) -> Self {
        Self { shape, luma: [0; 256], chroma: [[0; 64]; 2] }
    }

    /// Texels it has.
    pub(super) fn area(&self) -> usize {
        self.shape.side * self.shape.side
    }

    /// The `part`th square of a plane: luma 0, red's share 1, blue's 2.
    pub(super) fn square(&self, plane: usize, part: usize) -> &[i16] {
        match plane {
            0 => {
                let area = self.shape.luma * self.shape.luma;
                &self.luma[part * area..][..area]
            }
            _ => &self.chroma[plane - 1][..self.shape.chroma * self.shape.chroma],
        }
    }

    /// See [`Block::square`].
    pub(super) fn square_mut(&mut self, plane: usize, part: usize) -> &mut [i16] {
        match plane {
            0 => {
                let area = self.shape.luma * self.shape.luma;
                &mut self.luma[part * area..][..area]
            }
            _ => &mut self.chroma[plane - 1][..self.shape.chroma * self.shape.chroma],
        }
    }
}
