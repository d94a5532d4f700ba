//! Rigid bodies that fly and collide.

mod admit;
mod bits;
mod catalogue;
mod check;
mod flight;
mod kernel;
mod meet;
mod outcome;
mod quanta;
mod scene;
mod settle;
mod spec;
mod trajectory;
mod units;
mod vector;
mod world;

use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use catalogue::{
    BALL_RADIUS_STEP_M, BALLS, ROCK_FORMS, ROCK_RADIUS_STEP_M, ROCK_SIZES, ShapeId, ShapeKind,
    catalogue_digest,
};
pub use outcome::{Contact, Impulse, PhysicsOutcome, Segment, Touched, WALL};
pub use quanta::{
    Motion, POSITION_ERROR_M, POSITION_STEPS_PER_M, ROTATION_ERROR_RAD, ROTATION_STEPS, Rotation,
    SPIN_ERROR_RAD_S, SPIN_STEPS_PER_RAD_S, State, VELOCITY_ERROR_M_S, VELOCITY_STEPS_PER_M_S,
};
pub use spec::{Attractor, Body, Material, PhysicsSpec, Walls};
pub use trajectory::Trajectory;

use crate::blobs::Blobs;
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};
use scene::Scene;

/// Seconds of a step.
pub const STEP_S: f64 = 1.0 / 60.0;
/// Bodies of one spec.
pub const BODIES_MAX: usize = 1_200;
/// Segments of one spec.
pub const SEGMENTS_MAX: usize = 16;
/// Steps of one segment.
pub const STEPS_MAX: usize = 30;
/// Steps of a segment that the measurements recommend: fewer, and building worlds costs more; more, and a lie
/// is caught less often and each answer takes longer to check.
pub const STEPS_DEFAULT: u8 = 20;
/// Materials of one spec.
pub const MATERIALS_MAX: usize = 16;
/// Attractors of one spec.
pub const ATTRACTORS_MAX: usize = 4;
/// Contacts of one segment: every pair that may meet, and every body with the walls.
const CONTACTS_MAX: usize = PAIRS_PER_BODY_MAX * (BODIES_MAX + 4) + BODIES_MAX;
/// Pairs that may meet in one segment, per body; a closest packing of equal balls has six.
const PAIRS_PER_BODY_MAX: usize = 16;
/// Metres from the origin along each axis that a state can hold.
pub const POSITION_MAX_M: f64 = 1_024.0;
/// Metres from the origin along each axis that a spec may start from.
pub const START_MAX_M: f64 = 448.0;
/// Largest density, kilograms per cubic metre.
pub const DENSITY_MAX: u16 = 20_000;
/// Largest speed cap, quarters of a metre a second.
pub const SPEED_CAP_MAX: u16 = 256;
/// Largest spin cap, quarters of a radian a second; the engine itself stops at 47 rad/s.
pub const SPIN_CAP_MAX: u16 = 128;
/// Least softness of an attractor, quarters of a metre.
pub const SOFTNESS_MIN: u16 = 8;
/// Largest strength of an attractor either way, cubic metres per second squared.
pub const STRENGTH_MAX: i32 = 1_000_000;
/// Strongest pull of all attractors together, metres per second squared.
pub const PULL_MAX_M_S2: f64 = 32.0;
/// Nearest and farthest that walls may be from the origin, metres.
pub const WALL_HALF_MIN_M: f64 = 4.0;
/// See [`WALL_HALF_MIN_M`].
pub const WALL_HALF_MAX_M: f64 = 400.0;
/// How far outside the walls a body's centre may start, metres.
pub const WALL_SLACK_M: f64 = 2.0;
/// Metres between two shapes from which on the engine sees a contact.
const PREDICTION_M: f64 = 0.02;
/// What the displacement bound allows beyond speed times time: roundings, metres.
const DISPLACEMENT_SLACK_M: f64 = 0.05;

const _: () = assert!(
    START_MAX_M + SPEED_CAP_MAX as f64 / 4.0 * STEP_S * (SEGMENTS_MAX * STEPS_MAX) as f64 + 1.0
        < POSITION_MAX_M,
    "no body can leave the range of positions"
);
const _: () = assert!(BODIES_MAX < WALL as usize);
const _: () =
    assert!(SPEED_CAP_MAX as f64 / 4.0 * VELOCITY_STEPS_PER_M_S < 32_000.0, "a velocity fits its numbers");

/// The kind `physics`.
pub struct Physics;

impl TaskKind for Physics {
    const ID: KindId = KindId(2);
    const NAME: &'static str = "physics";
    const KERNEL_VERSION: u16 = 1;
    type Spec = PhysicsSpec;
    type Outcome = PhysicsOutcome;

    fn catalogue() -> Option<Digest> {
        Some(catalogue_digest())
    }

    fn admit(spec: &PhysicsSpec, _: &Blobs) -> Result<WorkUnits, SpecError> {
        let scene = admit::in_range(spec)?;
        let near = admit::not_crowded(&scene)?.len();
        units::reckon(&scene, near)
    }

    fn run(spec: &PhysicsSpec, _: &Blobs) -> Result<PhysicsOutcome, KernelError> {
        let scene = admit::in_range(spec)?;
        admit::not_crowded(&scene)?;
        let outcome = kernel::run(&scene)?;
        // Some 30 bytes per touched body and 4 per contact at most; most outcomes need not be encoded to know.
        let about: usize =
            outcome.segments.iter().map(|s| 64 + 32 * s.touched.len() + 8 * s.contacts.len()).sum();
        if about > OUTCOME_BYTES_MAX {
            let bytes = Self::encode_outcome(&outcome).len();
            if bytes > OUTCOME_BYTES_MAX {
                return Err(KernelError::Failed(format!(
                    "the outcome takes {bytes} bytes where one may have {OUTCOME_BYTES_MAX}; ask for fewer segments"
                )));
            }
        }
        Ok(outcome)
    }

    fn check(spec: &PhysicsSpec, _: &Blobs, outcome: &PhysicsOutcome) -> Result<(), CheckError> {
        check::check(&judged(spec)?, outcome)
    }

    fn deep_check(
        spec: &PhysicsSpec,
        _: &Blobs,
        outcome: &PhysicsOutcome,
        seed: u64,
    ) -> Result<(), CheckError> {
        check::deep_check(&judged(spec)?, outcome, seed)
    }
}

/// The scene of a spec that is being judged. That it was admitted is the caller's duty; if it was not, no
/// outcome passes.
fn judged(spec: &PhysicsSpec) -> Result<Scene<'_>, CheckError> {
    admit::in_range(spec).map_err(|error| CheckError::new("physics.spec", error.to_string()))
}
