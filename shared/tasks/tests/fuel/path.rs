//! Grids of every sort that a hostile game may send, and queries across them.

use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query};
use p2c2r_tasks::{Blob, Blobs};

use crate::maps;
use crate::seeded::Seeded;
use crate::worst::{self, Genome};

#[derive(Clone, Copy, Debug)]
pub struct Paths {
    style: u64,
    width: u16,
    height: u16,
    /// Parameters of the style: densities, periods, gaps.
    marks: [u64; 3],
    seed: u64,
    queries: u64,
    /// Corners of the rectangles that queries lead from and to, in 256ths of the grid.
    from: [u64; 4],
    to: [u64; 4],
}

fn side(seeded: &mut Seeded) -> u16 {
    (1 + worst::skewed(seeded, 10)) as u16
}

impl Paths {
    fn grid(&self) -> Grid {
        let (mut grid, mut seeded) = (Grid::new(self.width, self.height), Seeded(self.seed));
        let [a, b, c] = self.marks;
        let mut block = |x: u64, y: u64| grid.set_blocked(Cell::new(x as u16, y as u16), true);
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        match self.style {
            0 => {
                for at in 0..width * height {
                    if seeded.below(100) < a % 60 {
                        block(at % width, at / width);
                    }
                }
            }
            1 => {
                for _ in 0..a % 200 {
                    let (x, y) = (seeded.below(width), seeded.below(height));
                    let (wide, tall) = (1 + seeded.below(1 + b % 9), 1 + seeded.below(1 + c % 9));
                    for at in 0..wide * tall {
                        block((x + at % wide).min(width - 1), (y + at / wide).min(height - 1));
                    }
                }
            }
            2 => return maps::maze((self.width | 1).clamp(5, 301), 1, self.seed).grid,
            3 => {
                // Single cells in a pattern, and a wall across with one gap.
                for y in 0..height {
                    for x in 0..width {
                        if (x + y % 2 * (c % 32)) % (2 + a % 30) == 0 && y % (1 + b % 3) == 0 && y > 3 {
                            block(x, y);
                        }
                    }
                }
                (0..width.saturating_sub(1)).for_each(|x| block(x, 1));
            }
            _ => {
                // Walls across with gaps at alternating ends.
                for y in (0..height).skip(1).step_by(2 + (a % 12) as usize) {
                    let gap = if y / 2 % 2 == 0 { b % width } else { width - 1 - b % width };
                    (0..width).filter(|x| *x != gap).for_each(|x| block(x, y));
                }
            }
        }
        grid
    }
}

impl Genome for Paths {
    type Kind = Path;

    fn random(seeded: &mut Seeded) -> Self {
        let mut four = || [0; 4].map(|_| seeded.below(257));
        let (from, to) = (four(), four());
        Self {
            style: seeded.below(5),
            width: side(seeded),
            height: side(seeded),
            marks: [0; 3].map(|_| seeded.bits() >> 32),
            seed: seeded.bits(),
            queries: 1 + worst::skewed(seeded, 8),
            from,
            to,
        }
    }

    fn varied(&self, seeded: &mut Seeded) -> Self {
        let (mut varied, other) = (*self, Self::random(seeded));
        match seeded.below(8) {
            0 => varied.width = other.width,
            1 => varied.height = other.height,
            2 => varied.marks[seeded.below(3) as usize] = seeded.bits() >> 32,
            3 => varied.seed = other.seed,
            4 => varied.queries = other.queries,
            5 => varied.from = other.from,
            6 => varied.to = other.to,
            _ => varied.style = other.style,
        }
        varied
    }

    fn typical() -> (PathSpec, Blobs) {
        let case = maps::rocks(64, 30, 4, 20, 1);
        case.spec(&case.queries)
    }

    fn spec(&self) -> (PathSpec, Blobs) {
        let (grid, mut seeded) = (self.grid(), Seeded(self.seed ^ 1));
        let mut cell = |[x0, y0, x1, y1]: [u64; 4]| {
            let mut along = |a: u64, b: u64, side: u16| {
                let (low, high) = (a.min(b), a.max(b));
                let place = (low + seeded.below(high - low + 1)) * u64::from(side) / 257;
                (place as u16).min(side - 1)
            };
            Cell::new(along(x0, x1, grid.width()), along(y0, y1, grid.height()))
        };
        let queries = (0..self.queries.min(256)).map(|_| Query { from: cell(self.from), to: cell(self.to) });
        let queries = queries.collect();
        let blob = Blob::new(grid.to_blob());
        (PathSpec { grid: blob.digest(), queries }, Blobs::new(vec![blob]))
    }

    fn slack(&self) -> u64 {
        // Expanding one place: two diagonals of the largest grid, with two jumps from each of their cells.
        200_000
    }
}

#[test]
fn no_spec_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Paths>(400, 200, 3_000, 1));
}

#[test]
#[ignore = "takes minutes"]
fn of_100_000_and_1_000_climbed_none_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Paths>(100_000, 1_000, 50_000, 2));
}
