//! Many shortest paths on one occupancy grid.

mod check;
mod components;
mod cost;
mod grid;
mod kernel;
mod outcome;
mod planes;
mod search;
mod spec;
mod varint;

use std::sync::Arc;

use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use cost::Cost;
pub use grid::{GRID_SIDE_MAX, Grid, GridError};
pub use outcome::{Answer, PathOutcome};
pub use spec::{Cell, PathSpec, Query};

use crate::blobs::Blobs;
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};
use kernel::Prepared;

/// Queries of one spec.
pub const QUERIES_MAX: usize = 256;

/// The kind `path`.
pub struct Path;

impl TaskKind for Path {
    const ID: KindId = KindId(1);
    const NAME: &'static str = "path";
    const KERNEL_VERSION: u16 = 1;
    type Spec = PathSpec;
    type Outcome = PathOutcome;

    fn blob_refs(spec: &PathSpec) -> Vec<Digest> {
        vec![spec.grid]
    }

    fn admit(spec: &PathSpec, blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        let grid = prepared(spec, blobs)?;
        in_range(spec, &grid)?;
        Ok(WorkUnits(10 + 5 * spec.queries.len() as u64))
    }

    fn run(spec: &PathSpec, blobs: &Blobs) -> Result<PathOutcome, KernelError> {
        let grid = prepared(spec, blobs)?;
        in_range(spec, &grid)?;
        Ok(PathOutcome { answers: spec.queries.iter().map(|query| grid.solve(*query)).collect() })
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
        check::deep_check(&*judged(spec, blobs)?, spec, outcome, seed)
    }
}

fn prepared(spec: &PathSpec, blobs: &Blobs) -> Result<Arc<Prepared>, SpecError> {
    blobs.get(spec.grid)?.prepared(|bytes| Prepared::from_blob(bytes).map_err(|error| error.to_string()))
}

/// Refuses what is outside the documented ranges.
fn in_range(spec: &PathSpec, grid: &Prepared) -> Result<(), SpecError> {
    let count = spec.queries.len();
    if !(1..=QUERIES_MAX).contains(&count) {
        return Err(SpecError::OutOfRange(format!("{count} queries where 1 to {QUERIES_MAX} are allowed")));
    }
    let outside = |cell| !grid.planes.contains(cell);
    match spec.queries.iter().position(|query| outside(query.from) || outside(query.to)) {
        Some(number) => Err(SpecError::OutOfRange(format!("query {number} leaves the grid"))),
        None => Ok(()),
    }
}

/// The prepared grid of a spec that is being judged. That it was admitted is the caller's duty; if it was
/// not, no outcome passes.
fn judged(spec: &PathSpec, blobs: &Blobs) -> Result<Arc<Prepared>, CheckError> {
    let bad_spec = |error: SpecError| CheckError::new("path.spec", error.to_string());
    let grid = prepared(spec, blobs).map_err(bad_spec)?;
    in_range(spec, &grid).map_err(bad_spec)?;
    Ok(grid)
}
