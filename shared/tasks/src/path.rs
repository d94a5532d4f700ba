//! Many shortest paths on one occupancy grid.

use bincode::{Decode, Encode};
use p2c2r_protocol::{Digest, KindId, WorkUnits};

use crate::blobs::Blobs;
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};

/// The kind `path`.
pub struct Path;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct PathSpec {
    /// Digest of the grid's blob.
    pub grid: Digest,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct PathOutcome {}

impl TaskKind for Path {
    const ID: KindId = KindId(1);
    const NAME: &'static str = "path";
    const KERNEL_VERSION: u16 = 1;
    type Spec = PathSpec;
    type Outcome = PathOutcome;
    fn admit(_: &PathSpec, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(1))
    }
    fn run(_: &PathSpec, _: &Blobs) -> Result<PathOutcome, KernelError> {
        Ok(PathOutcome {})
    }
    fn check(_: &PathSpec, _: &Blobs, _: &PathOutcome) -> Result<(), CheckError> {
        Ok(())
    }
    fn deep_check(_: &PathSpec, _: &Blobs, _: &PathOutcome, _: u64) -> Result<(), CheckError> {
        Ok(())
    }
}
