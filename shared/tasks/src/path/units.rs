//! What a task of the kind `path` is worth, from its spec and grid alone.
//!
//! One work unit is a microsecond of a reference core (one core of a 2023 server, 2.5 to 3.5 GHz, release
//! profile). The figures below were fitted to the kernel's times on the grids of the game, on rocks, noise and
//! mazes of 33 to 1,000 cells a side and on the two Moving AI maps; `cargo bench -p p2c2r_tasks --bench path` prints
//! both side by side. Where paths are near straight lines too much is charged, on large mazes too little.
//!
//! A search can take longer than its distance tells: through a maze to the other side of a wall. Every query
//! therefore pays for a share of a search of the whole grid on top: the more its free cells are broken up by corners, the
//! likelier a detour and the larger the share. In a maze it is one in [`MAZE_SHARE`], which with the task's fuel covers
//! most of the whole; on open ground, where ways are nearly straight, one in [`OPEN_SHARE`]. What takes longer all the same ends
//! by its fuel.

use p2c2r_protocol::WorkUnits;
use p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX;

use super::kernel::Survey;
use super::search::CACHED_CELLS_MAX;
use super::spec::{PathSpec, Query};
use crate::kind::SpecError;

/// Nanoseconds of any task, of any query.
const TASK_NS: u64 = 3_000;
const QUERY_NS: u64 = 80;
/// Preparing a grid, in picoseconds per cell and per corner.
const CELL_PS: u64 = 1_500;
const CORNER_PS: u64 = 1_500;
/// A search meets the corners in an area that grows with the square of the distance. Picoseconds per corner
/// met, and what each further corner per free cell adds to that, since the searched area widens.
const MET_PS: u128 = 720;
const MET_DENSE_PS: u128 = 450;
/// Nanoseconds per corner of the grid for a search that meets them all, while a core's caches hold what is known of its
/// cells, and where they do not.
const WHOLE_GRID_NS: u64 = 7;
const WHOLE_VAST_GRID_NS: u64 = 20;
/// One in how many such searches every query pays for: in a maze, which has three corners and more to four free cells;
/// and on open ground, which has none.
const MAZE_SHARE: u64 = 4;
const OPEN_SHARE: u64 = 32;

/// What every query pays for a detour, nanoseconds: a share between those two, by how many corners a free cell has.
fn detour_ns(grid: &Survey, whole_grid: u64) -> u64 {
    let full = 3 * grid.free.max(1);
    let clutter = (4 * grid.corners).min(full);
    let per_whole = OPEN_SHARE * (full - clutter) + MAZE_SHARE * clutter;
    (u128::from(whole_grid) * u128::from(full) / u128::from(per_whole)) as u64
}

/// Steps of a task but for its searches: preparing its grid, whether it is prepared already or not, so that every
/// machine counts alike.
pub(super) fn prepare_steps(grid: &Survey) -> u64 {
    TASK_NS + prepare_ns(grid)
}

fn prepare_ns(grid: &Survey) -> u64 {
    (grid.cells() * CELL_PS + grid.corners * CORNER_PS) / 1_000
}

/// Work units of an admissible spec.
pub(super) fn reckon(spec: &PathSpec, grid: &Survey) -> Result<WorkUnits, SpecError> {
    let corners = grid.corners;
    let free = u128::from(grid.free.max(1));
    let met = u128::from(corners);
    // Picoseconds per squared cell of distance; corners are at most four per free cell, so this is small.
    let area_ps = ((MET_PS * met * free + MET_DENSE_PS * met * met) / (free * free)) as u64;
    let is_vast = grid.cells() > CACHED_CELLS_MAX as u64;
    let whole_grid = corners * if is_vast { WHOLE_VAST_GRID_NS } else { WHOLE_GRID_NS };
    let detour = detour_ns(grid, whole_grid);
    let search = |query: &Query| {
        let (dx, dy) = (query.from.x.abs_diff(query.to.x), query.from.y.abs_diff(query.to.y));
        let squared = u64::from(dx) * u64::from(dx) + u64::from(dy) * u64::from(dy);
        QUERY_NS + (area_ps * squared / 1_000).min(whole_grid) + detour
    };
    let searches: u64 = spec.queries.iter().map(search).sum();
    let units = (TASK_NS + prepare_ns(grid) + searches).div_ceil(1_000);
    if units > WORK_UNITS_PER_TASK_MAX {
        return Err(SpecError::TooMuchWork { units, max: WORK_UNITS_PER_TASK_MAX });
    }
    Ok(WorkUnits(units))
}
