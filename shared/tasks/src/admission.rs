//! Refusals and limits that the admissions of several kinds share.

use std::ops::RangeInclusive;

use p2c2r_protocol::WorkUnits;
use p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX;

use crate::kind::SpecError;

/// Refuses a spec with a value outside its range.
pub(crate) fn refuse<T>(why: impl Into<String>) -> Result<T, SpecError> {
    Err(SpecError::OutOfRange(why.into()))
}

/// Refuses a number of `what` outside `range`.
pub(crate) fn counted(what: &str, count: usize, range: RangeInclusive<usize>) -> Result<(), SpecError> {
    if range.contains(&count) {
        return Ok(());
    }
    refuse(format!("{count} {what} where {} to {} are allowed", range.start(), range.end()))
}

/// Work units of a task; more than one task may have are refused.
pub(crate) fn limited(units: u64) -> Result<WorkUnits, SpecError> {
    if units > WORK_UNITS_PER_TASK_MAX {
        return Err(SpecError::TooMuchWork { units, max: WORK_UNITS_PER_TASK_MAX });
    }
    Ok(WorkUnits(units))
}
