//! What a task of the kind `physics` is worth, from its spec alone.
//!
//! One work unit is a microsecond of a reference core (one core of a 2023 server, 2.5 to 3.5 GHz, release
//! profile). The figures below were fitted to the kernel's times on the scenes of the benchmark, rocks and balls
//! in arenas and clouds of 100 to 1,200 bodies; `cargo bench -p p2c2r_tasks --bench physics` prints both side by
//! side. In arenas they agree within a third. A body that meets nobody costs next to nothing, for it never enters the
//! engine.
//!
//! Who meets in the first segment is known beforehand, who meets later is not: it is taken to be as many. A
//! spec made to be underpaid flies apart at first and packs its bodies together later: it ends by its fuel.

use p2c2r_protocol::WorkUnits;
use p2c2r_protocol::limits::WORK_UNITS_PER_TASK_MAX;

use super::catalogue::ShapeKind;
use super::meet::{Near, Nearby};
use super::scene::Scene;
use crate::kind::SpecError;

/// Nanoseconds of any segment, and of one body in one segment.
const SEGMENT_NS: u64 = 10_000;
const BUILD_NS: u64 = 400;
/// Nanoseconds of one step, and of each body in it that is near another or a wall: the engine moves it.
const TICK_NS: u64 = 1_500;
const NEAR_NS: u64 = 400;
/// Nanoseconds of any body in one step, and what each attractor adds to that.
const MOVE_NS: u64 = 15;
const PULL_NS: u64 = 250;
/// Nanoseconds of one step of two balls that meet, and of any other two bodies or a body and a wall.
const BALLS_NS: u64 = 250;
const MEET_NS: u64 = 1_300;
/// Of how many such steps the first of a segment is worth, since the engine knows nothing of them yet.
const FIRST: u64 = 5;

/// Steps of the parts of a kernel's work, in nanoseconds that they take at most: a segment; a body in it; a body's
/// tick of it by the formula, for each attractor.
const SEGMENT_STEPS: u64 = 10_000;
const BODY_STEPS: u64 = 150;
const PULL_STEPS: u64 = 40;
/// Two bodies that are compared along one axis, and two whose paths are, per tick where these are curved.
pub(super) const SWEEP_STEPS: u64 = 2;
pub(super) const LOOK_STEPS: u64 = 8;
/// A tick of the engine, letting a body into it, and each of that one's ticks there.
pub(super) const TICK_STEPS: u64 = 1_700;
pub(super) const ENTER_STEPS: u64 = 2_400;
pub(super) const MOVE_STEPS: u64 = 900;
/// A tick of two balls that meet in the engine, and of any other two, or of one and a wall.
pub(super) const BALLS_STEPS: u64 = 500;
pub(super) const MEET_STEPS: u64 = 1_800;
/// How many times as much the engine's first tick takes of those who are near one another in it, since nothing is known
/// of them yet, and how many times as much on top the first tick in contact: the way out of one another is searched for.
pub(super) const FIRST_NEAR: u64 = 3;
pub(super) const FIRST_INSIDE: u64 = 12;

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
    let mut is_near = vec![false; scene.facts.len()];
    near.pairs.iter().flat_map(|pair| [pair.a, pair.b]).for_each(|body| is_near[usize::from(body)] = true);
    let engine = (is_near.iter().filter(|near| **near).count() + walled) as u64;
    let step = TICK_NS + engine * NEAR_NS + bodies * (MOVE_NS + attractors * PULL_NS) + meetings;
    let segment =
        SEGMENT_NS + near.steps + bodies * BUILD_NS + FIRST * meetings + u64::from(scene.steps) * step;
    let units = (u64::from(scene.spec.segments) * segment).div_ceil(1_000);
    if units > WORK_UNITS_PER_TASK_MAX {
        return Err(SpecError::TooMuchWork { units, max: WORK_UNITS_PER_TASK_MAX });
    }
    Ok(WorkUnits(units))
}
