//! Coefficients as an entropy-coded stream: the neighbours of a coefficient predict how large it is.

use super::super::threads::{Threads, undisturbed};
use super::block::{Block, BlockShape, COEFFICIENT_MAX, Steps};
use super::range::{Coder, Decoder, Encoder, Odds};
use super::{CODE_STEPS, FACES, Level};
use crate::kind::KernelError;

/// Context classes, by how large the neighbours of a coefficient are.
const SIZES: usize = 9;
/// Context classes, by the frequency of a coefficient's wave.
const BANDS: usize = 7;
/// Magnitudes coded in unary with learnt odds; larger ones are coded as a bit count and the bits.
const UNARY: usize = 8;
/// Most bits of the remainder of a magnitude: differences of means reach twice a coefficient's.
const ESCAPE_BITS: usize = 13;

/// Odds of one plane.
#[derive(Clone)]
struct Model {
    zero: [[Odds; SIZES]; BANDS],
    more: [[Odds; UNARY]; SIZES],
    mean: [[Odds; UNARY + 1]; 3],
    mean_sign: [Odds; 3],
    escape: [Odds; ESCAPE_BITS],
}

/// Initial odds, by size of the neighbours, that a wave is not 0 and that it is larger than any magnitude
/// coded in unary, in hundredths, as traced cubes have them. Wrong values only cost bytes.
const NOT_ZERO: [u16; SIZES] = [6, 20, 30, 38, 46, 53, 62, 75, 90];
const LARGER: [u16; SIZES] = [12, 15, 18, 22, 28, 35, 45, 58, 80];

impl Model {
    fn new() -> Self {
        Self {
            zero: [NOT_ZERO.map(Odds::known); BANDS],
            more: LARGER.map(|odds| [Odds::known(odds); UNARY]),
            mean: [[Odds::known(75); UNARY + 1]; 3],
            mean_sign: [Odds::default(); 3],
            escape: [Odds::default(); ESCAPE_BITS],
        }
    }
}

/// Codes a number from 0; the last of `odds` stands for "more than all of these".
fn magnitude<C: Coder>(coder: &mut C, odds: &mut [Odds], escape: &mut [Odds], value: u32) -> u32 {
    for (count, odds) in odds.iter_mut().enumerate() {
        if !coder.bit(odds, value > count as u32) {
            return count as u32;
        }
    }
    // One more than the remainder, so that it has a highest bit, followed by `bits` bits.
    let rest = value.wrapping_sub(odds.len() as u32 - 1);
    let wanted = rest.checked_ilog2().unwrap_or(0);
    let mut bits = 0;
    while bits < ESCAPE_BITS as u32 - 1 && coder.bit(&mut escape[bits as usize], wanted > bits) {
        bits += 1;
    }
    let low = coder.even(rest & ((1 << bits) - 1), bits);
    (1 << bits | low) + odds.len() as u32 - 1
}

/// Codes a coefficient other than a mean.
fn wave<C: Coder>(coder: &mut C, model: &mut Model, band: usize, size: usize, value: i16) -> i16 {
    if !coder.bit(&mut model.zero[band][size], value != 0) {
        return 0;
    }
    let more = u32::from(value.unsigned_abs()).wrapping_sub(1);
    let size = 1 + magnitude(coder, &mut model.more[size], &mut model.escape, more);
    if size > COEFFICIENT_MAX as u32 {
        coder.refuse();
        return 0;
    }
    let size = size as i16;
    if coder.even(u32::from(value < 0), 1) == 1 { -size } else { size }
}

/// Codes a mean, as the difference from a prediction by its neighbours.
fn mean<C: Coder>(coder: &mut C, model: &mut Model, expected: i16, restless: usize, value: i16) -> i16 {
    let difference = i32::from(value) - i32::from(expected);
    let size = magnitude(coder, &mut model.mean[restless], &mut model.escape, difference.unsigned_abs());
    if size == 0 {
        return expected;
    }
    let down = coder.bit(&mut model.mean_sign[restless], difference < 0);
    let size = size as i32;
    let mean = i32::from(expected) + if down { -size } else { size };
    if mean.abs() > i32::from(COEFFICIENT_MAX) {
        coder.refuse();
        return 0;
    }
    mean as i16
}

/// Class of a sum of magnitudes.
fn class(sum: u32) -> usize {
    match sum {
        0..=3 => sum as usize,
        4..=5 => 4,
        6..=8 => 5,
        9..=13 => 6,
        14..=24 => 7,
        _ => 8,
    }
}

/// Class of a wave by its half periods per eight texels across and down.
fn band(turns: usize) -> usize {
    match turns {
        0..=2 => 0,
        3 => 1,
        4 => 2,
        5..=6 => 3,
        7..=8 => 4,
        9..=10 => 5,
        _ => 6,
    }
}

/// Squares of one plane of one face, as they are coded: row by row.
struct Plane<'l> {
    edge: usize,
    across: usize,
    squares: &'l mut [[i16; 64]],
}

impl Plane<'_> {
    /// Codes all squares. `first` is the prediction of the first mean.
    fn pass<C: Coder>(&mut self, coder: &mut C, model: &mut Model, first: i16) {
        let (edge, across) = (self.edge, self.across);
        for index in 0..self.squares.len() {
            let left = (index % across > 0).then(|| index - 1);
            let up = (index >= across).then(|| index - across);
            let dc = |index: usize| self.squares[index][0];
            let (expected, restless) = match (left, up) {
                (Some(left), Some(up)) => {
                    let (l, u, c) = (dc(left), dc(up), dc(up - 1));
                    // The median of the three, as in LOCO-I (Weinberger, Seroussi, Sapiro).
                    let plane = i32::from(l) + i32::from(u) - i32::from(c);
                    let expected = plane.clamp(l.min(u).into(), l.max(u).into()) as i16;
                    (expected, 1 + usize::from(l.abs_diff(u) > 4))
                }
                (Some(one), None) | (None, Some(one)) => (dc(one), 0),
                (None, None) => (first, 0),
            };
            let before = left.map_or([0; 64], |left| self.squares[left]);
            let above = up.map_or([0; 64], |up| self.squares[up]);
            let square = &mut self.squares[index];
            square[0] = mean(coder, model, expected, restless, square[0]);
            let size = |value: i16| u32::from(value.unsigned_abs());
            // By diagonals, so that coarser waves are known before finer ones.
            for diagonal in 1..2 * edge - 1 {
                let band = band(diagonal * 8 / edge);
                for v in diagonal.saturating_sub(edge - 1)..=diagonal.min(edge - 1) {
                    let u = diagonal - v;
                    let at = v * edge + u;
                    let mut sum = size(before[at]) + size(above[at]);
                    // A mean does not predict waves.
                    if u > 0 && at > 1 {
                        sum += 2 * size(square[at - 1]);
                    }
                    if v > 0 && at > edge {
                        sum += 2 * size(square[at - edge]);
                    }
                    if u > 0 && v > 0 && at > edge + 1 {
                        sum += size(square[at - edge - 1]);
                    }
                    square[at] = wave(coder, model, band, class(sum), square[at]);
                }
            }
        }
    }
}

/// Codes a level: the encoder reads `level`, the decoder writes it.
fn pass_level<C: Coder>(
    coder: &mut C,
    models: &mut [Model; 2],
    level: &mut Level,
    threads: &mut Threads<'_, '_>,
) -> Result<(), KernelError> {
    let shape = level.shape;
    let across = level.across();
    let steps = CODE_STEPS * (FACES * level.face * level.face) as u64;
    let mut firsts = [0i16; 3];
    for (number, face) in level.blocks.chunks_exact_mut(across * across).enumerate() {
        threads.spend(steps, number, FACES)?;
        for (plane, first) in firsts.iter_mut().enumerate() {
            // Both chroma planes share odds: each alone has too few bits to learn from.
            let model = &mut models[plane.min(1)];
            let mut squares = gather(face, shape, across, plane);
            let (edge, count) =
                if plane == 0 { (shape.luma, across * shape.squares()) } else { (shape.chroma, across) };
            Plane { edge, across: count, squares: &mut squares }.pass(coder, model, *first);
            *first = squares[0][0];
            scatter(face, shape, across, plane, &squares);
        }
    }
    Ok(())
}

/// Where the square at place `index` of a plane's raster is: its macroblock, and its place in that.
fn place(shape: BlockShape, across: usize, plane: usize, index: usize) -> (usize, usize) {
    if plane > 0 {
        return (index, 0);
    }
    let squares = shape.squares();
    let (x, y) = (index % (across * squares), index / (across * squares));
    (y / squares * across + x / squares, y % squares * squares + x % squares)
}

fn gather(face: &[Block], shape: BlockShape, across: usize, plane: usize) -> Vec<[i16; 64]> {
    let count = across * across * if plane == 0 { shape.squares() * shape.squares() } else { 1 };
    let mut squares = vec![[0; 64]; count];
    for (index, square) in squares.iter_mut().enumerate() {
        let (block, part) = place(shape, across, plane, index);
        let from = face[block].square(plane, part);
        square[..from.len()].copy_from_slice(from);
    }
    squares
}

fn scatter(face: &mut [Block], shape: BlockShape, across: usize, plane: usize, squares: &[[i16; 64]]) {
    for (index, square) in squares.iter().enumerate() {
        let (block, part) = place(shape, across, plane, index);
        let to = face[block].square_mut(plane, part);
        to.copy_from_slice(&square[..to.len()]);
    }
}

/// One set of odds for all levels of all cubes: filtered and smaller ones have other statistics, but too few
/// bits to learn them from.
fn models() -> [Model; 2] {
    std::array::from_fn(|_| Model::new())
}

/// The stream of `levels`.
pub(crate) fn pack<'l>(
    levels: impl IntoIterator<Item = &'l mut Level>,
    threads: &mut Threads<'_, '_>,
) -> Result<Vec<u8>, KernelError> {
    let mut coder = Encoder::new();
    let mut models = models();
    for level in levels {
        pass_level(&mut coder, &mut models, level, threads)?;
    }
    Ok(coder.finish())
}

/// The levels of a stream, cube by cube: each cube's first level has faces of the given edge in texels, each
/// further one half that. `None` if the stream does not end where they do.
pub(crate) fn unpack(
    bytes: &[u8],
    cubes: impl Iterator<Item = (u32, u8)>,
    coarseness: u8,
) -> Option<Vec<Vec<Level>>> {
    let mut coder = Decoder::new(bytes);
    let mut models = models();
    let mut level = |face, is_filtered| {
        let mut level = Level::zero(face, Steps::new(coarseness, is_filtered));
        undisturbed(|threads| pass_level(&mut coder, &mut models, &mut level, threads));
        level
    };
    let cubes = cubes
        .map(|(face, count)| (0..count).map(|index| level(face >> index, index > 0)).collect())
        .collect();
    coder.at_end().then_some(cubes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Magnitudes up to the largest, in every size, and nothing at all.
    #[test]
    fn any_coefficients_survive() {
        let mut state = 7u64;
        for (face, bits) in [(1, 12), (2, 3), (4, 11), (8, 1), (16, 12), (32, 2), (32, 12), (64, 0)] {
            let mut level = Level::zero(face, Steps::new(0, false));
            let shape = level.shape;
            for block in &mut level.blocks {
                for plane in 0..3 {
                    let parts = if plane == 0 { shape.squares() * shape.squares() } else { 1 };
                    for part in 0..parts {
                        for value in block.square_mut(plane, part) {
                            state = state
                                .wrapping_mul(6_364_136_223_846_793_005)
                                .wrapping_add(1_442_695_040_888_963);
                            let size = (state >> 40) as i16 & ((1 << bits) - 1);
                            *value = if state >> 63 == 0 { size } else { -size };
                        }
                    }
                }
            }
            let mut levels = [level];
            let bytes = undisturbed(|threads| pack(&mut levels, threads));
            assert_eq!(unpack(&bytes, std::iter::once((face, 1)), 0).unwrap(), [levels]);
        }
    }
}
