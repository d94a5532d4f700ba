//! Seeded tasks and their right answers, so that every test can tell a right outcome from a wrong one.

use std::sync::Arc;

use p2c2r_tasks::path::{Cell, Grid, Path, PathOutcome, PathSpec, Query};
use p2c2r_tasks::{Blob, Blobs, TaskKind};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

/// One path task and its right answer.
#[derive(Clone, Debug)]
pub struct Puzzle {
    /// What to ask.
    pub spec: PathSpec,
    /// The grid it refers to.
    pub blobs: Blobs,
    /// What to expect.
    pub answer: PathOutcome,
}

/// The grid with this seed: 32 by 32 cells, a fifth of them blocked.
pub fn grid(seed: u64) -> Arc<Blob> {
    let mut random = Pcg32::seed_from_u64(seed);
    let mut grid = Grid::new(32, 32);
    for y in 0..32 {
        for x in 0..32 {
            grid.set_blocked(Cell::new(x, y), random.random_bool(0.2));
        }
    }
    Blob::new(grid.to_blob())
}

/// The puzzle with this seed on the grid with `grid_seed`. Different seeds give different specs.
pub fn puzzle(grid_seed: u64, seed: u64) -> Puzzle {
    let blob = grid(grid_seed);
    let mut random = Pcg32::seed_from_u64(seed);
    let mut cell = || Cell::new(random.random_range(0..32), random.random_range(0..32));
    let queries = (0..8).map(|_| Query { from: cell(), to: cell() }).collect();
    let spec = PathSpec { grid: blob.digest(), queries };
    let blobs = Blobs::new(vec![blob]);
    let answer = match Path::run(&spec, &blobs) {
        Ok(answer) => answer,
        Err(error) => unreachable!("the kernel takes every puzzle: {error}"),
    };
    Puzzle { spec, blobs, answer }
}
