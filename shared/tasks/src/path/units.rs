//! What a task of the kind `path` is worth, from its spec and grid alone.
//!
//! One work unit is a microsecond of a reference core (one core of a 2023 server, 2.5 to 3.5 GHz, release
//! profile). The figures below were fitted to the kernel's times on rocks, noise and mazes of 33 to 1,000
//! cells a side and on the two Moving AI maps; `cargo bench -p p2c2r_tasks --bench path` prints both side by
//! side. They agree within a factor of three; where paths are near straight lines too much is charged, on
//! large mazes too little.
//!
//! A search can take longer than its distance tells: through a maze to the other side of a wall. Every query
//! therefore pays one [`WHOLE_GRID_SHARE`]th of a search of the whole grid on top, so that a spec made to be
//! underpaid gets some [`WHOLE_GRID_SHARE`] times the work it pays for (50 measured, in the largest maze that
//! fits a blob) and not thousands.

use p2c2r_protocol::WorkUnits;
use p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX;

use super::kernel::Prepared;
use super::spec::{PathSpec, Query};
use crate::kind::SpecError;

/// Nanoseconds of any task, of any query.
const TASK_NS: u64 = 3_000;
const QUERY_NS: u64 = 300;
/// Preparing a grid, in picoseconds per cell and per corner.
const CELL_PS: u64 = 1_800;
const CORNER_PS: u64 = 1_000;
/// A search meets the corners in an area that grows with the square of the distance. Picoseconds per corner
/// met, and what each further corner per free cell adds to that, since the searched area widens.
const MET_PS: u128 = 2_500;
const MET_DENSE_PS: u128 = 1_500;
/// Nanoseconds per corner of the grid for a search that meets them all.
const WHOLE_GRID_NS: u64 = 16;
/// One in how many such searches every query pays for.
const WHOLE_GRID_SHARE: u64 = 32;

/// Work units of an admissible spec.
pub(super) fn reckon(spec: &PathSpec, grid: &Prepared) -> Result<WorkUnits, SpecError> {
    let (cells, corners) = ((grid.planes.width * grid.planes.height) as u64, grid.corners);
    let free = u128::from(grid.free.max(1));
    let met = u128::from(corners);
    // Picoseconds per squared cell of distance; corners are at most four per free cell, so this is small.
    let area_ps = ((MET_PS * met * free + MET_DENSE_PS * met * met) / (free * free)) as u64;
    let whole_grid = corners * WHOLE_GRID_NS;
    let search = |query: &Query| {
        let (dx, dy) = (query.from.x.abs_diff(query.to.x), query.from.y.abs_diff(query.to.y));
        let squared = u64::from(dx) * u64::from(dx) + u64::from(dy) * u64::from(dy);
        QUERY_NS + (area_ps * squared / 1_000).min(whole_grid) + whole_grid / WHOLE_GRID_SHARE
    };
    let searches: u64 = spec.queries.iter().map(search).sum();
    let prepare = (cells * CELL_PS + corners * CORNER_PS) / 1_000;
    let units = (TASK_NS + prepare + searches).div_ceil(1_000);
    if units > WORK_UNITS_PER_TASK_MAX {
        return Err(SpecError::TooMuchWork { units, max: WORK_UNITS_PER_TASK_MAX });
    }
    Ok(WorkUnits(units))
}
