//! What a task of the kind `physics` is worth, from its spec alone.
//!
//! One work unit is a microsecond of a reference core (one core of a 2023 server, 2.5 to 3.5 GHz, release
//! profile). The figures below were fitted to the kernel's times on the scenes of the benchmark, rocks and balls
//! in arenas and clouds of 100 to 1,200 bodies; `cargo bench -p p2c2r_tasks --bench physics` prints both side by
//! side. In arenas they agree within a tenth; clouds and small balls are charged up to 1.7 times what they take.
//!
//! Who meets in the first segment is known beforehand, who meets later is not: it is taken to be as many. A
//! spec made to be underpaid flies apart at first and packs its bodies together later; the limit on the pairs
//! that meet in any segment bounds that at some seventy times the work it pays for, and a kernel that finds a
//! segment above the limit stops there.

use p2c2r_protocol::WorkUnits;
use p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX;

use super::catalogue::ShapeKind;
use super::meet::{Near, Nearby};
use super::scene::Scene;
use crate::kind::SpecError;

/// Nanoseconds of any segment, and of one body in one segment.
const SEGMENT_NS: u64 = 10_000;
const BUILD_NS: u64 = 800;
/// Nanoseconds of one body in one step, and what each attractor adds to that.
const MOVE_NS: u64 = 300;
const PULL_NS: u64 = 60;
/// Nanoseconds of one step of two balls that meet, and of any other two bodies or a body and a wall.
const BALLS_NS: u64 = 350;
const MEET_NS: u64 = 2_000;

/// Steps of the parts of a kernel's work, in nanoseconds that they take at most: a segment; a body in it; a body's
/// tick of it by the formula, for each attractor.
const SEGMENT_STEPS: u64 = 10_000;
const BODY_STEPS: u64 = 300;
const PULL_STEPS: u64 = 40;
/// Two bodies that are compared along one axis, and two whose paths are, per tick where these are curved.
pub(super) const SWEEP_STEPS: u64 = 2;
pub(super) const LOOK_STEPS: u64 = 8;
/// Letting a body into the engine, and each of its ticks there.
pub(super) const ENTER_STEPS: u64 = 1_500;
pub(super) const MOVE_STEPS: u64 = 300;
/// A tick of two balls that meet in the engine, and of any other two, or of one and a wall.
pub(super) const BALLS_STEPS: u64 = 500;
pub(super) const MEET_STEPS: u64 = 2_500;

/// Steps of a segment but for whom it makes meet.
pub(super) fn segment_steps(scene: &Scene<'_>) -> u64 {
    let (bodies, attractors) = (scene.facts.len() as u64, scene.spec.attractors.len() as u64);
    SEGMENT_STEPS + bodies * (BODY_STEPS + attractors * u64::from(scene.steps) * PULL_STEPS)
}

/// Work units of an admissible spec in whose first segment the pairs `near` and `walled` bodies and walls meet.
pub(super) fn reckon(scene: &Scene<'_>, near: &Nearby, walled: usize) -> Result<WorkUnits, SpecError> {
    let is_ball = |body: u16| scene.spec.bodies[usize::from(body)].shape.kind() == ShapeKind::Ball;
    let meet = |pair: &Near| if is_ball(pair.a) && is_ball(pair.b) { BALLS_NS } else { MEET_NS };
    let (bodies, attractors) = (scene.facts.len() as u64, scene.spec.attractors.len() as u64);
    let meetings = near.pairs.iter().map(meet).sum::<u64>() + walled as u64 * MEET_NS;
    let step = bodies * (MOVE_NS + attractors * PULL_NS) + meetings;
    let segment = SEGMENT_NS + near.steps + bodies * BUILD_NS + u64::from(scene.steps) * step;
    let units = (u64::from(scene.spec.segments) * segment).div_ceil(1_000);
    if units > WORK_UNITS_PER_TASK_MAX {
        return Err(SpecError::TooMuchWork { units, max: WORK_UNITS_PER_TASK_MAX });
    }
    Ok(WorkUnits(units))
}
