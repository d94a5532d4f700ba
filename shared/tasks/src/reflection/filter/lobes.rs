//! Weights of the cells of a cube under GGX lobes, for one size of cube.

use std::sync::OnceLock;

use super::super::codec::FACE_MAX;
use super::super::cube::{CubeMap, FACES, direction, locate};
use super::super::threads::Threads;
use super::{dot, middle, unit};
use crate::fuel::Stop;
use crate::kind::KernelError;

/// Logarithms of sizes that have weights: 0 to 7.
const SIZES: usize = FACE_MAX.ilog2() as usize + 1;

/// Width of a cell relative to its distance from the middle of the lobe and the lobe's width: smaller is
/// finer, nearer to the true integral and slower. Doubling it doubles the error and halves the time.
const CELL_PER_SCALE: f32 = 0.2;
/// Wider lobes use this width, because they end at the horizon, which is sharp.
const WIDEST_ALPHA: f32 = 0.2;

/// Texels of one face that one thread filters at a time: some 50 microseconds.
const PIECE: usize = 16;
/// Cells that one thread turns at a time: as many as fit a core's L1 cache.
const TURNED: usize = 256;

/// Radiance times solid angle of every cell, finest level first, each face by face and row by row; the fourth
/// number is padding, so that a cell is one vector.
pub(super) type Pyramid = Vec<[f32; 4]>;

/// Three channels of one cell as seen from six faces, and padding to whole vectors.
pub(super) type Six = [f32; SIX];
const SIX: usize = 20;

/// Weights of one level's output texels on face 0; for other faces the cube is turned.
struct Rows {
    /// Index of the end of each texel's weights.
    ends: Vec<u32>,
    /// Cell of the pyramid, and its share.
    weights: Vec<(u32, f32)>,
}

/// Everything about one size of cube and number of levels that does not depend on its light.
pub(super) struct Lobes {
    face_log2: usize,
    /// Where each mip of the pyramid starts.
    starts: Vec<usize>,
    /// Solid angle of each texel of a face.
    solid: Vec<f32>,
    /// For each face, the index of the cell that takes a cell's place when the face is turned to the front.
    turns: [Vec<u32>; FACES],
    levels: Vec<Rows>,
}

impl Lobes {
    /// The weights for faces of `2^face_log2` texels' edge and `levels` levels; computed on first use and
    /// kept for the process: 0.3 MB for all levels of a face of 16, 1.6 MB of 32, 8 MB of 64, 40 MB of 128.
    /// An error if computing them was stopped. Two threads that need them at the same time both compute them, so that
    /// either can be stopped.
    pub fn of(face_log2: usize, levels: usize, stop: &Stop) -> Result<&'static Self, KernelError> {
        static TABLES: [OnceLock<Lobes>; SIZES * SIZES] = [const { OnceLock::new() }; SIZES * SIZES];
        let (face_log2, levels) = (face_log2.min(SIZES - 1), levels.clamp(1, SIZES));
        let table = &TABLES[face_log2 * SIZES + levels - 1];
        if let Some(lobes) = table.get() {
            return Ok(lobes);
        }
        let lobes = Self::reckon(face_log2, levels, stop)?;
        Ok(table.get_or_init(|| lobes))
    }

    fn reckon(face_log2: usize, levels: usize, stop: &Stop) -> Result<Self, KernelError> {
        let mut starts = vec![0];
        for mip in 0..=face_log2 {
            starts.push(starts[mip] + FACES * (1 << (2 * (face_log2 - mip))));
        }
        let mut turns: [Vec<u32>; FACES] = Default::default();
        for (face, cells) in turns.iter_mut().enumerate() {
            stop.goes_on()?;
            *cells = turn(face_log2, face);
        }
        let solid = solid_angles(1 << face_log2);
        let mut lobes = Self { face_log2, starts, solid, turns, levels: Vec::new() };
        // A cube with light 1 in all directions: its filtered light is the sum of the weights.
        let mut white = CubeMap::black(1 << face_log2);
        white.texels_mut().fill([1.0; 3]);
        let white = lobes.pyramid(&white);
        for level in 1..levels {
            let roughness = level as f32 / (levels - 1) as f32;
            let rows = lobes.rows(face_log2 - level, roughness * roughness, &white, stop)?;
            lobes.levels.push(rows);
        }
        Ok(lobes)
    }

    pub fn face_log2(&self) -> usize {
        self.face_log2
    }

    /// The cells of a cube of this size.
    pub fn pyramid(&self, cube: &CubeMap) -> Pyramid {
        let mut cells = Vec::with_capacity(self.starts[self.face_log2 + 1]);
        for (texel, solid) in cube.texels().iter().zip(self.solid.iter().cycle()) {
            cells.push([texel[0] * solid, texel[1] * solid, texel[2] * solid, 0.0]);
        }
        for mip in 1..=self.face_log2 {
            let (finer, face) = (self.starts[mip - 1], 1usize << (self.face_log2 - mip));
            for row in 0..FACES * face {
                for column in 0..face {
                    // Rows of all faces follow one another; the finer mip has twice as many, twice as long.
                    let at = finer + (2 * row * 2 * face) + 2 * column;
                    let (a, b) = (cells[at], cells[at + 1]);
                    let (c, d) = (cells[at + 2 * face], cells[at + 2 * face + 1]);
                    cells.push(std::array::from_fn(|i| (a[i] + b[i]) + (c[i] + d[i])));
                }
            }
        }
        cells
    }

    /// One level of a pyramid.
    pub fn mip<'p>(&self, pyramid: &'p Pyramid, mip: usize) -> &'p [[f32; 4]] {
        &pyramid[self.starts[mip]..self.starts[mip + 1]]
    }

    /// The pyramid as seen from each face in turn, cell by cell, so that a weight is read once for all six.
    pub fn turned(
        &self,
        pyramid: &Pyramid,
        steps: u64,
        threads: &mut Threads<'_, '_>,
    ) -> Result<Vec<Six>, KernelError> {
        let mut cells = vec![[0.0; SIX]; pyramid.len()];
        threads.fill(&mut cells, TURNED, steps, |piece, cells| {
            for (face, turn) in self.turns.iter().enumerate() {
                for (six, &cell) in cells.iter_mut().zip(&turn[piece * TURNED..]) {
                    six[3 * face..3 * face + 3].copy_from_slice(&pyramid[cell as usize][..3]);
                }
            }
        })?;
        Ok(cells)
    }

    /// Filters the `level`th filtered level.
    pub fn apply(
        &self,
        level: usize,
        turned: &[Six],
        out: &mut CubeMap,
        steps: u64,
        threads: &mut Threads<'_, '_>,
    ) -> Result<(), KernelError> {
        let rows = &self.levels[level];
        let area = rows.ends.len();
        let mut sums: Vec<Six> = vec![[0.0; SIX]; area];
        threads.fill(&mut sums, PIECE, steps, |piece, sums| {
            for (place, out) in (piece * PIECE..).zip(sums) {
                let start = if place == 0 { 0 } else { rows.ends[place - 1] };
                // A local, not `out`: the sum stays in registers.
                let mut sum = [0.0f32; SIX];
                for &(cell, weight) in &rows.weights[start as usize..rows.ends[place] as usize] {
                    let flux = &turned[cell as usize];
                    for channel in 0..SIX {
                        sum[channel] += weight * flux[channel];
                    }
                }
                *out = sum;
            }
        })?;
        for (place, sum) in sums.iter().enumerate() {
            for (face, colour) in sum.chunks_exact(3).take(FACES).enumerate() {
                out.texels_mut()[face * area + place].copy_from_slice(colour);
            }
        }
        Ok(())
    }

    /// Weights for an output face of `2^out_log2` texels' edge.
    fn rows(&self, out_log2: usize, alpha: f32, white: &Pyramid, stop: &Stop) -> Result<Rows, KernelError> {
        let out_face = 1usize << out_log2;
        let mut rows = Rows { ends: Vec::new(), weights: Vec::new() };
        for place in 0..out_face * out_face {
            stop.goes_on()?;
            let normal = unit(middle(0, out_face, place % out_face, place / out_face));
            let start = rows.weights.len();
            for side in 0..FACES {
                self.gather(normal, alpha, (self.face_log2, side, 0, 0), &mut rows.weights);
            }
            let mut whole = 0.0;
            for &(cell, weight) in &rows.weights[start..] {
                whole += weight * white[cell as usize][0];
            }
            rows.weights[start..].iter_mut().for_each(|(_, weight)| *weight /= whole);
            rows.ends.push(rows.weights.len() as u32);
        }
        Ok(rows)
    }

    /// Adds a cell, or the four it consists of where the lobe differs much between them.
    fn gather(
        &self,
        normal: [f32; 3],
        alpha: f32,
        (mip, side, x, y): (usize, usize, usize, usize),
        weights: &mut Vec<(u32, f32)>,
    ) {
        let face = 1usize << (self.face_log2 - mip);
        let way = unit(middle(side, face, x, y));
        let apart = [way[0] - normal[0], way[1] - normal[1], way[2] - normal[2]];
        let radius = std::f32::consts::SQRT_2 / face as f32;
        let scale = CELL_PER_SCALE * (dot(apart, apart).sqrt() + alpha.min(WIDEST_ALPHA));
        if mip > 0 && radius > scale {
            for part in 0..4 {
                let finer = (mip - 1, side, 2 * x + part % 2, 2 * y + part / 2);
                self.gather(normal, alpha, finer, weights);
            }
            return;
        }
        // A lobe narrower than a texel is sampled at several points of it.
        let points = ((radius / scale * 2.0) as usize + 1).clamp(2, 16);
        let step = 1.0 / (face * points) as f32;
        let mut sum = 0.0;
        for point in 0..points * points {
            let u = ((x * points + point % points) as f32 + 0.5) * step;
            let v = ((y * points + point / points) as f32 + 0.5) * step;
            sum += weight(dot(normal, unit(direction(side, u, v))), alpha);
        }
        if sum > 0.0 {
            let cell = self.starts[mip] + (side * face + y) * face + x;
            weights.push((cell as u32, sum / (points * points) as f32));
        }
    }
}

/// Weight of light at an angle whose cosine is `cosine` under a lobe, up to a constant factor.
fn weight(cosine: f32, alpha: f32) -> f32 {
    if cosine <= 0.0 {
        return 0.0;
    }
    // The half vector's cosine squared is (1 + cos θ) / 2.
    let a2 = alpha * alpha;
    let spread = (1.0 + cosine) * 0.5 * (a2 - 1.0) + 1.0;
    let k = alpha * 0.5;
    a2 / (spread * spread) * cosine * (cosine / (cosine * (1.0 - k) + k))
}

/// Solid angles of the texels of a face; those of all six add up to the sphere within a thousandth.
fn solid_angles(face: usize) -> Vec<f32> {
    const POINTS: usize = 4;
    let step = 2.0 / (face * POINTS) as f32;
    let area = |x: usize, y: usize| {
        let mut sum = 0.0;
        for point in 0..POINTS * POINTS {
            let u = ((x * POINTS + point % POINTS) as f32 + 0.5) * step - 1.0;
            let v = ((y * POINTS + point / POINTS) as f32 + 0.5) * step - 1.0;
            let squared = 1.0 + u * u + v * v;
            sum += 1.0 / (squared * squared.sqrt());
        }
        sum * step * step
    };
    (0..face * face).map(|place| area(place % face, place / face)).collect()
}

/// For each cell of a pyramid seen from face 0, the cell in its place as seen from `face`.
fn turn(face_log2: usize, face: usize) -> Vec<u32> {
    // Forwards, right and down of a face.
    let frame = |side: usize| {
        let (at, right, down) =
            (direction(side, 0.5, 0.5), direction(side, 1.0, 0.5), direction(side, 0.5, 1.0));
        let less = |a: [f32; 3]| [a[0] - at[0], a[1] - at[1], a[2] - at[2]];
        [at, less(right), less(down)]
    };
    let (front, target) = (frame(0), frame(face));
    let turned = |way: [f32; 3]| -> [f32; 3] {
        let parts: [f32; 3] = std::array::from_fn(|axis| dot(way, front[axis]));
        std::array::from_fn(|i| (0..3).map(|axis| parts[axis] * target[axis][i]).sum())
    };
    let mut cells = Vec::new();
    let mut start = 0;
    for mip in 0..=face_log2 {
        let size = 1usize << (face_log2 - mip);
        for place in 0..FACES * size * size {
            let way = turned(middle(place / (size * size), size, place % size, place / size % size));
            let (side, u, v) = locate(way);
            let (x, y) = ((u * size as f32) as usize, (v * size as f32) as usize);
            cells.push((start + (side * size + y.min(size - 1)) * size + x.min(size - 1)) as u32);
        }
        start += FACES * size * size;
    }
    cells
}
