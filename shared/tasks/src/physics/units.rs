//! What a task of the kind `physics` is worth, from its spec alone.

use p2c2r_protocol::WorkUnits;
use p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX;

use super::scene::Scene;
use crate::kind::SpecError;

/// Nanoseconds of any segment, of building one body into one, of moving one body one step.
const SEGMENT_NS: u64 = 10_000;
const BUILD_NS: u64 = 1_000;
const MOVE_NS: u64 = 400;
/// Nanoseconds of one step of a pair that meets.
const MEET_NS: u64 = 1_000;

/// Work units of an admissible spec in whose first segment `near` pairs meet.
pub(super) fn reckon(scene: &Scene<'_>, near: usize) -> Result<WorkUnits, SpecError> {
    let (bodies, near) = (scene.facts.len() as u64, near as u64);
    let step = bodies * MOVE_NS + near * MEET_NS;
    let segment = SEGMENT_NS + bodies * BUILD_NS + u64::from(scene.steps) * step;
    let units = (u64::from(scene.spec.segments) * segment).div_ceil(1_000);
    if units > WORK_UNITS_PER_TASK_MAX {
        return Err(SpecError::TooMuchWork { units, max: WORK_UNITS_PER_TASK_MAX });
    }
    Ok(WorkUnits(units))
}
