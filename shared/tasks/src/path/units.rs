//! Work units of the kind `path`, computed from a spec and its grid alone.
//!
//! One work unit is a microsecond of a reference core (one core of a 2023 server, 2.5 to 3.5 GHz, release
//! profile). The figures below were fitted to the kernel's times on the grids of the game, on rocks, noise and
//! mazes of 33 to 1,000 cells a side and on the two Moving AI maps; `cargo bench -p p2c2r_tasks --bench path` prints
//! both side by side. Where paths are nearly straight the estimate is too high, on large mazes too low.
//!
//! A search can take longer than its distance suggests: through a maze to the other side of a wall. Every query
//! therefore also pays for a share of a search of the whole grid: the more corners break up the free cells, the
//! likelier a detour and the larger the share. In a maze it is one in [`MAZE_SHARE`], which with the task's fuel
//! covers most of such a search; on open ground, where paths are nearly straight, one in [`OPEN_SHARE`]. A
//! search that takes longer still ends when the fuel is spent.

use p2c2r_protocol::WorkUnits;

use super::FUEL_PERCENT;
use super::grid::Grid;
use super::kernel::Survey;
use super::search::{CACHED_CELLS_MAX, QUERY_STEPS};
use super::spec::{Cell, PathSpec, Query};
use crate::admission::limited;
use crate::fuel::STEPS_PER_UNIT;
use crate::kind::SpecError;

/// Nanoseconds of any task, and of any query.
const TASK_NS: u64 = 3_000;
const QUERY_NS: u64 = 80;
/// Preparing a grid, in picoseconds per cell and per corner.
const CELL_PS: u64 = 1_500;
const CORNER_PS: u64 = 1_500;
/// A search meets the corners in an area that grows with the square of the distance. Picoseconds per corner
/// met, and how much each further corner per free cell adds, since the searched area widens.
const MET_PS: u128 = 720;
const MET_DENSE_PS: u128 = 450;
/// Nanoseconds per corner of the grid for a search that meets them all: when the nodes fit a core's caches,
/// and when they do not.
const WHOLE_GRID_NS: u64 = 7;
const WHOLE_VAST_GRID_NS: u64 = 20;
/// Every query pays for one in this many whole-grid searches: in a maze, which has at least three corners to
/// four free cells; and on open ground, which has none.
const MAZE_SHARE: u64 = 4;
const OPEN_SHARE: u64 = 32;

/// The most steps that a search takes on grids of rocks: per column or row of the longer side, along which
/// jumps from the start and the goal go, and per corner in the area that it may search. The factor is for
/// grids that exceed a core's caches.
const MOST_PER_LINE: u64 = 16;
const MOST_PER_CORNER: u64 = 24;
const MOST_VAST: u64 = 3;

/// What queries on one grid pay for and how many steps their searches take. A caller that makes specs uses it to put no
/// more queries into one task than its fuel lasts for.
///
/// ```
/// # use p2c2r_tasks::path::{Cell, Grid, Query, Reckoning};
/// let reckoning = Reckoning::of(&Grid::new(64, 64));
/// let query = Query { from: Cell::new(0, 0), to: Cell::new(9, 0) };
/// // On a grid without walls the way is as long as it looks, so that any number of such queries is paid for.
/// assert!(reckoning.search_steps_max(query, 9) < reckoning.paid_steps(query) + reckoning.reserve_steps());
/// ```
#[derive(Clone, Copy)]
pub struct Reckoning {
    grid: Survey,
    /// Picoseconds per squared cell of a query's distance; corners are at most four per free cell, so this is small.
    area_ps: u64,
    /// Nanoseconds of a search of the whole grid, and of the share that every query pays for a detour.
    whole_grid: u64,
    detour: u64,
}

impl Reckoning {
    /// The estimate for `grid`.
    pub fn of(grid: &Grid) -> Self {
        Self::on(Survey::of_grid(grid))
    }

    pub(super) fn on(grid: Survey) -> Self {
        let (free, met) = (u128::from(grid.free.max(1)), u128::from(grid.corners));
        let whole_grid = grid.corners * if is_vast(&grid) { WHOLE_VAST_GRID_NS } else { WHOLE_GRID_NS };
        Self {
            grid,
            area_ps: ((MET_PS * met * free + MET_DENSE_PS * met * met) / (free * free)) as u64,
            whole_grid,
            detour: detour_ns(&grid, whole_grid),
        }
    }

    /// Nanoseconds that a query pays for.
    fn paid_ns(&self, query: Query) -> u64 {
        QUERY_NS + (self.area_ps * squared(query) / 1_000).min(self.whole_grid) + self.detour
    }

    /// Steps that a query pays for.
    pub fn paid_steps(&self, query: Query) -> u64 {
        steps_for(self.paid_ns(query))
    }

    /// Steps of a task that neither its queries pay for nor preparing its grid uses: a reserve for searches that take
    /// more than they pay for.
    pub fn reserve_steps(&self) -> u64 {
        steps_for(TASK_NS + prepare_ns(&self.grid)).saturating_sub(prepare_steps(&self.grid))
    }

    /// Steps that a query from a cell to itself leaves for others: it pays for a detour and needs none. A
    /// caller that expects long searches adds such queries.
    pub fn relief_steps(&self) -> u64 {
        let itself = Query { from: Cell::new(0, 0), to: Cell::new(0, 0) };
        self.paid_steps(itself).saturating_sub(QUERY_STEPS).max(1)
    }

    /// Steps that the search for a query takes at most. `way` is the length of any way from its start to its goal, in cells along
    /// rows and columns.
    ///
    /// The bound is for grids of rocks, as games have them; tests that play games check it. Now and then a single search
    /// takes a little more. A search through a maze, which passes the same corners again and again, may take several times
    /// as many.
    pub fn search_steps_max(&self, query: Query, way: u32) -> u64 {
        // Diagonal steps cover most steps to the side; steps back are a detour.
        let (across, along) = (query.from.x.abs_diff(query.to.x), query.from.y.abs_diff(query.to.y));
        let (short, far) = (u64::from(across.min(along)), u64::from(across.max(along)));
        // No path has more cells than the grid.
        let way = u64::from(way).min(self.grid.cells());
        let back = way.saturating_sub(short + far);
        let long = way.min((far * 1_050 + short * 435) / 1_000 + back) + 2;
        // The search stays in an ellipse around both ends: any detour through it is no longer than the path.
        let wide = (long * long).saturating_sub(squared(query)).isqrt();
        let area = long * wide * 785 / 1_000;
        let corners = (area * self.grid.corners / self.grid.free.max(1)).min(self.grid.corners);
        let most = MOST_PER_LINE * self.grid.longer_side() + MOST_PER_CORNER * corners;
        if is_vast(&self.grid) { most * MOST_VAST } else { most }
    }
}

/// The steps that `paid_ns` nanoseconds allow.
fn steps_for(paid_ns: u64) -> u64 {
    paid_ns * STEPS_PER_UNIT * FUEL_PERCENT / 100_000
}

/// Squared distance of a query's ends.
fn squared(query: Query) -> u64 {
    let (dx, dy) = (query.from.x.abs_diff(query.to.x), query.from.y.abs_diff(query.to.y));
    u64::from(dx) * u64::from(dx) + u64::from(dy) * u64::from(dy)
}

fn is_vast(grid: &Survey) -> bool {
    grid.cells() > CACHED_CELLS_MAX as u64
}

/// What every query pays for a detour, nanoseconds: one in [`OPEN_SHARE`] to one in [`MAZE_SHARE`] of `whole_grid`, by
/// corners per free cell.
fn detour_ns(grid: &Survey, whole_grid: u64) -> u64 {
    let full = 3 * grid.free.max(1);
    let clutter = (4 * grid.corners).min(full);
    let per_whole = OPEN_SHARE * (full - clutter) + MAZE_SHARE * clutter;
    (u128::from(whole_grid) * u128::from(full) / u128::from(per_whole)) as u64
}

/// Steps of a task without its searches: preparing its grid, counted whether it is prepared already or not,
/// so that every machine counts alike.
pub(super) fn prepare_steps(grid: &Survey) -> u64 {
    TASK_NS + prepare_ns(grid)
}

fn prepare_ns(grid: &Survey) -> u64 {
    (grid.cells() * CELL_PS + grid.corners * CORNER_PS) / 1_000
}

/// Work units of an admissible spec.
pub(super) fn reckon(spec: &PathSpec, grid: &Survey) -> Result<WorkUnits, SpecError> {
    let reckoning = Reckoning::on(*grid);
    let searches: u64 = spec.queries.iter().map(|query| reckoning.paid_ns(*query)).sum();
    let units = (TASK_NS + prepare_ns(grid) + searches).div_ceil(1_000);
    limited(units)
}
