//! What a task of the kind `reflection` is worth, from its spec alone.

use p2c2r_protocol::WorkUnits;
use p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX;

use super::spec::ReflectionSpec;
use crate::kind::SpecError;

/// Nanoseconds of a task, and of an object in it.
const TASK_NS: u64 = 30_000;
const OBJECT_NS: u64 = 500;
/// Nanoseconds of a path that meets nothing.
const PATH_NS: u64 = 200;

/// Work units of an admissible spec.
pub(super) fn reckon(spec: &ReflectionSpec) -> Result<WorkUnits, SpecError> {
    let texels = 6 * u64::from(spec.face()) * u64::from(spec.face());
    let ns = TASK_NS + OBJECT_NS * spec.objects.len() as u64 + PATH_NS * texels * u64::from(spec.samples);
    let units = ns.div_ceil(1_000);
    if units > WORK_UNITS_PER_TASK_MAX {
        return Err(SpecError::TooMuchWork { units, max: WORK_UNITS_PER_TASK_MAX });
    }
    Ok(WorkUnits(units))
}
