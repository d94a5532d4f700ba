//! Many shortest paths on one occupancy grid.
//!
//! # Task
//!
//! A [`PathSpec`] names a [`Grid`] by the digest of its blob and lists queries; a [`PathOutcome`] holds a
//! [`QueryAnswer`] to each [`Query`], in order: the turning points of a shortest path and its exact [`Cost`], or
//! that there is none. The rules are those of the Moving AI benchmarks: one may step to any of eight
//! neighbours, a straight step costs 1 and a diagonal one √2, and a diagonal step needs both cells beside it
//! free, so that no corner is cut. A start or goal that is blocked gives [`QueryAnswer::Unreachable`]; one outside
//! the grid is refused at admission.
//!
//! # Units and limits
//!
//! Coordinates are cells, column `x` from the left and row `y` from the top, from 0. A grid has 1 to
//! [`GRID_SIDE_MAX`] columns and rows and its blob fits into
//! [`BLOB_BYTES_MAX`](p2c2r_protocol::limits::BLOB_BYTES_MAX), a spec has 1 to [`QUERIES_MAX`] queries. An
//! outcome that would take more than [`OUTCOME_BYTES_MAX`] (hundreds of ways through large mazes) counts as
//! out of fuel, on every machine alike. Typical sizes: a 64 by 64 grid 250 to 520 bytes, 20 queries 113 bytes,
//! their answers 180 to 380 bytes. Work units are estimated from the grid's size and clutter and the queries'
//! distances, see `path/units.rs`. A game that makes specs learns from [`Reckoning`] how much longer searches
//! with detours may take, and how to pay for them.
//!
//! # Determinism
//!
//! Integers only. Costs are compared exactly, ties are broken by cell index, and each answer depends on the
//! grid and its own query alone, not on its neighbours in the batch, on the thread or on what ran before. So
//! outcomes are the same bit for bit everywhere. Tests compare them with golden digests; any change to those
//! must raise the kernel version.
//!
//! # Checks
//!
//! | check | the lie it stops |
//! |---|---|
//! | `path.answer_count` | leaving answers out |
//! | `path.unreachable` | "no path" to save the work: connected components are known, so this is always caught |
//! | `path.ends` | a path of some other query |
//! | `path.cost_bound` | a cost below the straight-line octile distance, whatever the path |
//! | `path.step_legal` | walking through walls, cutting corners, leaving the grid, bent legs |
//! | `path.canonical` | waypoints that mean nothing: one path could be sent in many forms, all paid for |
//! | `path.cost_sum` | a cost that is not the path's |
//! | `path.optimal` (deep) | a legal path that is not a shortest one; one query in n is solved again |
//! | `path.spec` | none: the spec itself was never admissible |
//!
//! All but the deep one run on every answer and take about a tenth of the kernel's time.

mod bitboard;
mod check;
mod components;
mod cost;
mod grid;
mod kernel;
mod outcome;
mod search;
mod spec;
mod units;
mod varint;

use std::sync::Arc;

use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use cost::Cost;
pub use grid::{GRID_SIDE_MAX, Grid, GridError};
pub use outcome::{PathOutcome, QueryAnswer};
pub use spec::{Cell, PathSpec, Query};
pub use units::Reckoning;

use crate::admission::{counted, refuse};
use crate::blobs::{Blob, Blobs};
use crate::fuel::{Fuel, Fueled, Stop};
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};
use kernel::{PreparedGrid, Survey};

/// Queries of one spec.
pub const QUERIES_MAX: usize = 256;

/// See [`TaskKind::FUEL_PERCENT`]. Four times the time that the units pay for is the most allowed; `docs/PERFORMANCE.md`,
/// "Fuel", has what the worst and what honest tasks take.
const FUEL_PERCENT: u64 = 320;

/// The kind `path`.
pub struct Path;

impl TaskKind for Path {
    const ID: KindId = KindId(1);
    const NAME: &'static str = "path";
    const KERNEL_VERSION: u16 = 4;
    const FUEL_PERCENT: u64 = FUEL_PERCENT;
    type Spec = PathSpec;
    type Outcome = PathOutcome;

    fn blob_refs(spec: &PathSpec) -> Vec<Digest> {
        vec![spec.grid]
    }

    fn admit(spec: &PathSpec, blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        let grid = surveyed(spec, blobs)?;
        in_range(spec, &grid)?;
        units::reckon(spec, &grid)
    }

    fn is_prepared(spec: &PathSpec, blobs: &Blobs) -> bool {
        blobs.get(spec.grid).is_ok_and(|blob| blob.is_prepared::<PreparedGrid>())
    }

    fn admission_prepares(spec: &PathSpec, blobs: &Blobs) -> bool {
        blobs.get(spec.grid).is_ok_and(is_prepared_at_once)
    }

    fn run(spec: &PathSpec, blobs: &Blobs, stop: &Stop) -> Result<PathOutcome, KernelError> {
        Self::run_on(spec, blobs, &mut Self::fuel(spec, blobs, stop)?)
    }

    fn may_run_out(spec: &PathSpec, blobs: &Blobs) -> bool {
        // A grid on which no path joins two cells needs no search.
        prepared(spec, blobs).is_ok_and(|grid| {
            in_range(spec, &grid.survey).is_ok()
                && spec.queries.iter().any(|query| query.from != query.to && grid.joined(*query))
        })
    }

    fn check(spec: &PathSpec, blobs: &Blobs, outcome: &PathOutcome) -> Result<(), CheckError> {
        check::check(&*judged(spec, blobs)?, spec, outcome)
    }

    fn deep_check(
        spec: &PathSpec,
        blobs: &Blobs,
        outcome: &PathOutcome,
        seed: u64,
    ) -> Result<(), CheckError> {
        let (grid, stop) = (judged(spec, blobs)?, Stop::never());
        let mut fuel = Self::fuel(spec, blobs, &stop)
            .map_err(|error| CheckError::new("path.spec", error.to_string()))?;
        check::deep_check(&grid, spec, outcome, seed, &mut fuel)
    }
}

impl Fueled for Path {
    fn fuel<'a>(spec: &PathSpec, blobs: &Blobs, stop: &'a Stop) -> Result<Fuel<'a>, SpecError> {
        let grid = prepared(spec, blobs)?.survey;
        in_range(spec, &grid)?;
        Ok(Fuel::of::<Self>(units::reckon(spec, &grid)?, stop))
    }

    fn run_on(spec: &PathSpec, blobs: &Blobs, fuel: &mut Fuel<'_>) -> Result<PathOutcome, KernelError> {
        let grid = prepared(spec, blobs)?;
        fuel.spend(units::prepare_steps(&grid.survey))?;
        let mut outcome = PathOutcome::default();
        let mut bytes_min = 0;
        for query in &spec.queries {
            let answer = grid.solve(*query, fuel)?;
            // A waypoint takes at least one byte, so an outcome that is too large is noticed before it fills
            // the memory.
            bytes_min += if let QueryAnswer::Found { waypoints, .. } = &answer { waypoints.len() } else { 1 };
            if bytes_min > OUTCOME_BYTES_MAX {
                return Err(KernelError::OutOfFuel);
            }
            outcome.answers.push(answer);
        }
        if outcome.encoded_bytes_max() > OUTCOME_BYTES_MAX
            && Self::encode_outcome(&outcome).len() > OUTCOME_BYTES_MAX
        {
            return Err(KernelError::OutOfFuel);
        }
        Ok(outcome)
    }
}

/// Cells of the largest grid that admission prepares at once, because its first check needs it soon: some 30
/// microseconds. Of larger grids admission makes only the survey.
const PREPARED_CELLS_MAX: usize = 128 * 128;

fn is_prepared_at_once(grid: &Arc<Blob>) -> bool {
    Grid::claimed_cells(grid.bytes()) <= PREPARED_CELLS_MAX
}

fn surveyed(spec: &PathSpec, blobs: &Blobs) -> Result<Survey, SpecError> {
    let blob = blobs.get(spec.grid)?;
    if blob.is_prepared::<PreparedGrid>() || is_prepared_at_once(blob) {
        return Ok(prepared(spec, blobs)?.survey);
    }
    blob.surveyed(|bytes| Survey::from_blob(bytes).map_err(|error| error.to_string()))
}

fn prepared(spec: &PathSpec, blobs: &Blobs) -> Result<Arc<PreparedGrid>, SpecError> {
    blobs.get(spec.grid)?.prepared(|bytes| PreparedGrid::from_blob(bytes).map_err(|error| error.to_string()))
}

/// Refuses a spec outside the documented ranges.
fn in_range(spec: &PathSpec, grid: &Survey) -> Result<(), SpecError> {
    counted("queries", spec.queries.len(), 1..=QUERIES_MAX)?;
    let outside = |cell| !grid.contains(cell);
    match spec.queries.iter().position(|query| outside(query.from) || outside(query.to)) {
        Some(number) => refuse(format!("query {number} leaves the grid")),
        None => Ok(()),
    }
}

/// The prepared grid of a spec being judged. The caller must have admitted it; if not, no outcome passes.
fn judged(spec: &PathSpec, blobs: &Blobs) -> Result<Arc<PreparedGrid>, CheckError> {
    let bad_spec = |error: SpecError| CheckError::new("path.spec", error.to_string());
    let grid = prepared(spec, blobs).map_err(bad_spec)?;
    in_range(spec, &grid.survey).map_err(bad_spec)?;
    Ok(grid)
}
