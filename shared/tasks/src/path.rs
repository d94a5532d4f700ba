//! Many shortest paths on one occupancy grid.

mod cost;
mod grid;
mod kernel;
mod outcome;
mod spec;

use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use cost::Cost;
pub use grid::{GRID_SIDE_MAX, Grid, GridError};
pub use outcome::{Answer, PathOutcome};
pub use spec::{Cell, PathSpec, Query};

use crate::blobs::Blobs;
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};

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
        if spec.queries.is_empty() || spec.queries.len() > QUERIES_MAX {
            return Err(SpecError::OutOfRange(format!(
                "{} queries where 1 to {QUERIES_MAX} are allowed",
                spec.queries.len()
            )));
        }
        if spec.queries.iter().any(|query| !grid.contains(query.from) || !grid.contains(query.to)) {
            return Err(SpecError::OutOfRange("a query leaves the grid".into()));
        }
        Ok(WorkUnits(10 + 5 * spec.queries.len() as u64))
    }

    fn run(spec: &PathSpec, blobs: &Blobs) -> Result<PathOutcome, KernelError> {
        let grid = prepared(spec, blobs)?;
        Ok(PathOutcome { answers: spec.queries.iter().map(|query| kernel::solve(&grid, *query)).collect() })
    }

    fn check(_: &PathSpec, _: &Blobs, _: &PathOutcome) -> Result<(), CheckError> {
        Ok(())
    }

    fn deep_check(_: &PathSpec, _: &Blobs, _: &PathOutcome, _: u64) -> Result<(), CheckError> {
        Ok(())
    }
}

fn prepared(spec: &PathSpec, blobs: &Blobs) -> Result<std::sync::Arc<Grid>, SpecError> {
    blobs.get(spec.grid)?.prepared(|bytes| Grid::from_blob(bytes).map_err(|error| error.to_string()))
}
