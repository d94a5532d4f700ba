//! Small paths: eight queries on one grid of 32 by 32 cells, a fifth of them blocked.

use std::sync::Arc;

use p2c2r_offload::prelude::{Blob, Blobs};
use p2c2r_tasks::path::{Cell, Grid, Path, PathSpec, Query};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::Puzzling;

/// Cells along an edge.
const SIDE: u16 = 32;

/// The same grid for all, so that its blob travels once.
fn grid() -> Arc<Blob> {
    let mut random = Pcg32::seed_from_u64(1);
    let mut grid = Grid::new(SIDE, SIDE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            grid.set_blocked(Cell::new(x, y), random.random_bool(0.2));
        }
    }
    Blob::new(grid.to_blob())
}

impl Puzzling for Path {
    fn small_task(seed: u64) -> (PathSpec, Blobs) {
        let grid = grid();
        let mut random = Pcg32::seed_from_u64(seed);
        let mut cell = || Cell::new(random.random_range(0..SIDE), random.random_range(0..SIDE));
        let queries = (0..8).map(|_| Query { from: cell(), to: cell() }).collect();
        (PathSpec { grid: grid.digest(), queries }, Blobs::new(vec![grid]))
    }
}
