//! Rigid bodies that fly and collide.
//!
//! # Task
//!
//! A [`PhysicsSpec`] lists bodies: shape, material and [`State`]. Its segments of a few sixtieths of a second
//! are computed one after the other, each in a freshly built world of the engine (rapier) that starts from
//! the *rounded* states at the end of the previous segment. A [`PhysicsOutcome`] holds, per [`Segment`], the
//! states of the touched bodies, and the contacts. All other bodies fly by the formula below, which both
//! sides compute, so they cost no bytes. Touched bodies are sent as differences from a prediction by the
//! formula (`physics/stream.rs`). [`Trajectory`] unfolds an outcome into the motion of every body at any
//! time; [`State::of`] and [`State::motion`] convert between metres and seconds and the lattice.
//!
//! # The formula
//!
//! `t` seconds into a segment a free body's centre is at `p + v·t` and its rotation is `exp(ω·t)·q`; velocity
//! and spin stay. Spin stays because every body has one moment of inertia for all axes (a rock: the mean of
//! its three), so it cannot tumble. With attractors, every sixtieth of a second first adds their pull to the
//! velocity, then cuts that to the material's cap, then moves the centre by it; rotations are as before. At
//! the end of a segment the result is rounded, and before the next begins [drag](BodyMaterial::drag) reduces
//! velocity and spin, rounded towards rest, so that bodies with drag come to rest. Where the engine's flight
//! of an untouched body differs by rounding, the formula's state replaces the engine's.
//!
//! # At rest
//!
//! Two bodies that lie beside each other and neither move nor turn count as not in contact until something
//! touches one of them: they fly by the formula, which leaves them in place. So a heap at rest costs neither
//! bytes nor time, however large it is.
//!
//! # Changes
//!
//! A spec may name a [`BodySnapshot`] as its [`PhysicsBase`]: the bodies as an earlier outcome left them, by
//! the digest of [`BodySnapshot::to_blob`]. It then lists only new and changed bodies, and the ids of removed
//! ones. Every program that has the outcome can make the snapshot ([`TaskKind::leaves`]): the coordinator and
//! the worker keep it, so that it need not travel; others are sent it like any blob, and a game that no
//! longer has it sends a whole spec. A spec with a base is admitted, computed, paid for and judged as the
//! [whole](PhysicsSpec::whole) one that it stands for, so a false base is a scene like any other. A change
//! has exactly one encoding.
//!
//! # Touched
//!
//! A body is touched in a segment if, at the start of any of its steps, the engine finds it within 2 cm of
//! another body or a wall. (If the formula has two untouched bodies deep in each other, or one in a wall, they
//! count as touched even if the engine sees nothing, as with two centres in one place.) The result of each group of
//! bodies that touched one another is corrected before it is rounded: momentum is as before, unless a wall took
//! some, energy is at most as before, and no body exceeds its material's caps. See `physics/settle.rs`.
//! Contacts are looked for at the starts of steps only: two bodies that pass each other faster than
//! their sizes per sixtieth of a second may miss each other, on every machine alike.
//!
//! # Units and limits
//!
//! Metres, seconds, radians, kilograms; y is up, planar scenes lie in y = 0. The lattice has
//! [`POSITION_STEPS_PER_M`], [`VELOCITY_STEPS_PER_M_S`], [`SPIN_STEPS_PER_RAD_S`] and rotations by their three
//! smaller components in 1/([`ROTATION_STEPS`]·√2); rounding errs by at most [`POSITION_ERROR_M`] (0.5 mm) per
//! axis, [`VELOCITY_ERROR_M_S`] and [`SPIN_ERROR_RAD_S`] (0.002), [`ROTATION_ERROR_RAD`] (0.01°). A spec has up
//! to [`BODIES_MAX`] bodies, [`SEGMENTS_MAX`] segments of up to [`STEPS_MAX`] steps, [`MATERIALS_MAX`] materials and
//! [`ATTRACTORS_MAX`] attractors; all further ranges are the constants of this module. No more than 16 pairs
//! per body may meet in one segment: a spec whose first segment has more is refused, one whose later segment has
//! more runs out of fuel, on every machine alike, and so do one with more than 2,048 pairs in contact at once and one
//! whose outcome is above [`OUTCOME_BYTES_MAX`].
//! Shapes come from a fixed catalogue: balls, and [`ROCK_FORMS`] convex rocks in [`ROCK_SIZES`] sizes; its digest
//! is part of the protocol identity.
//!
//! Work units are estimated from bodies, steps and the pairs that meet in the first segment, see `physics/units.rs`.
//!
//! # Determinism
//!
//! The engine is built with `enhanced-determinism` and without threads; every world is fresh; bodies enter in
//! the order of their ids, except that a body near no other enters later or never (`physics/world.rs`); and all
//! else is integers and `f64` with `+ - * /` and square roots. So outcomes are the same bit for bit everywhere.
//! Tests compare them with golden digests; any change to those must raise the kernel version.
//!
//! # Checks
//!
//! | check | the lie it stops |
//! |---|---|
//! | `physics.stream` | bytes that no kernel writes for this spec |
//! | `physics.rotation`, `.plane`, `.range`, `.caps` | states that no kernel gives |
//! | `physics.contact_missing` | contacts left out or too late: two bodies that nothing touched before fly through each other, or one through a wall |
//! | `physics.contact_apart` | contacts made up or too early: two bodies that nothing touched before are apart |
//! | `physics.displacement` | a body farther from its first contact than the fastest cap carries it |
//! | `physics.momentum` | a push: a group's momentum changes by more than rounding, attractors, walls or caps explain |
//! | `physics.energy` | a group of bodies in contact gains energy |
//! | `physics.crowded` | states from which the kernel would have given up |
//! | `physics.rerun` (deep) | anything: one segment is run again from the state claimed at its start and must be equal; one false segment of `n` is caught with a chance of 1/`n`, `n` of `n` always |
//! | `physics.spec` | none: the spec itself was never admissible |
//!
//! All but the deep one run on every answer and take 5 to 16 % of the kernel's time, with attractors up to a quarter.
//! That untouched bodies fly by the formula, that touched ones and no others have a state, that contacts are of known bodies
//! and in the segment and that all values are finite needs no check: an outcome has no way to say anything else.

mod admit;
mod base;
pub(crate) mod bits;
mod catalogue;
mod check;
mod flight;
mod kernel;
mod lone;
mod meet;
mod outcome;
mod quanta;
mod reach;
mod scene;
mod settle;
mod spec;
mod stream;
mod trajectory;
mod units;
mod vector;
mod watch;
mod world;

use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use base::{BodySnapshot, PhysicsBase};
pub use catalogue::{
    BALL_RADIUS_STEP_M, BALLS, ROCK_FORMS, ROCK_RADIUS_STEP_M, ROCK_SIZES, ShapeId, ShapeKind,
    catalogue_digest,
};
pub use outcome::{Contact, Impulse, PhysicsOutcome, Segment, Touched, WALL};
pub use quanta::{
    Motion, POSITION_ERROR_M, POSITION_STEPS_PER_M, ROTATION_ERROR_RAD, ROTATION_STEPS, Rotation,
    SPIN_ERROR_RAD_S, SPIN_STEPS_PER_RAD_S, State, VELOCITY_ERROR_M_S, VELOCITY_STEPS_PER_M_S,
};
pub use spec::{Attractor, Body, BodyMaterial, PhysicsSpec, Walls};
pub use trajectory::Trajectory;

use crate::blobs::Blobs;
use crate::fuel::{Fuel, Fueled, Stop};
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};
use scene::PhysicsScene;

/// Seconds of a step.
pub const STEP_S: f64 = 1.0 / 60.0;
/// Bodies of one spec.
pub const BODIES_MAX: usize = 1_200;
/// Segments of one spec.
pub const SEGMENTS_MAX: usize = 16;
/// Steps of one segment.
pub const STEPS_MAX: usize = 30;
/// Recommended steps of a segment: with fewer, building worlds costs more; with more, a lie is caught less
/// often and each answer takes longer to check.
pub const STEPS_DEFAULT: u8 = 20;
/// Materials of one spec.
pub const MATERIALS_MAX: usize = 16;
/// Attractors of one spec.
pub const ATTRACTORS_MAX: usize = 4;
/// Contacts of one segment: every pair that may meet, and every body with the walls.
const CONTACTS_MAX: usize = PAIRS_PER_BODY_MAX * (BODIES_MAX + 4) + BODIES_MAX;
/// Pairs that may meet in one segment, per body; a closest packing of equal balls has six.
const PAIRS_PER_BODY_MAX: usize = 16;
/// Pairs of bodies that may be in contact in one tick of the engine. Its solver takes some 2 microseconds a pair and cannot
/// be interrupted, so more would keep a stopped kernel from ending within 5 ms. Fields of 1,200 rocks have up to 299, since
/// rocks that rest beside one another stay out of the engine.
const PAIRS_IN_CONTACT_MAX: usize = 2_048;
/// Pairs of bodies whose paths are examined closely, per body; the densest of the benchmark's scenes has six.
/// Without a limit, a thousand bodies that fly to and fro through one another take a tenth of a second to
/// admit.
const LOOKS_PER_BODY_MAX: usize = 48;
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
/// Metres that the displacement bound allows beyond speed times time, for rounding.
const DISPLACEMENT_SLACK_M: f64 = 0.05;

const _: () = assert!(
    START_MAX_M + SPEED_CAP_MAX as f64 / 4.0 * STEP_S * (SEGMENTS_MAX * STEPS_MAX) as f64 + 1.0
        < POSITION_MAX_M,
    "no body can leave the range of positions"
);
const _: () = assert!(BODIES_MAX < WALL as usize);
const _: () =
    assert!(SPEED_CAP_MAX as f64 / 4.0 * VELOCITY_STEPS_PER_M_S < 32_000.0, "a velocity fits its numbers");

/// See [`TaskKind::FUEL_PERCENT`]. Four times the time that the units pay for is the most allowed; `docs/PERFORMANCE.md`,
/// "Fuel", has what the worst and what honest tasks take.
const FUEL_PERCENT: u64 = 340;

/// The kind `physics`.
pub struct Physics;

impl TaskKind for Physics {
    const ID: KindId = KindId(2);
    const NAME: &'static str = "physics";
    const KERNEL_VERSION: u16 = 8;
    const FUEL_PERCENT: u64 = FUEL_PERCENT;
    type Spec = PhysicsSpec;
    type Outcome = PhysicsOutcome;

    fn catalogue() -> Option<Digest> {
        Some(catalogue_digest())
    }

    fn blob_refs(spec: &PhysicsSpec) -> Vec<Digest> {
        spec.base.iter().map(|base| base.digest).collect()
    }

    fn admit(spec: &PhysicsSpec, blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        let scene = admit::in_range(spec, blobs)?;
        worth(&scene)
    }

    fn is_prepared(spec: &PhysicsSpec, blobs: &Blobs) -> bool {
        let is_ready =
            |base: &PhysicsBase| blobs.get(base.digest).is_ok_and(|blob| blob.is_prepared::<BodySnapshot>());
        spec.base.as_ref().is_none_or(is_ready)
    }

    fn admission_prepares(_: &PhysicsSpec, _: &Blobs) -> bool {
        true
    }

    fn run(spec: &PhysicsSpec, blobs: &Blobs, stop: &Stop) -> Result<PhysicsOutcome, KernelError> {
        let scene = admit::in_range(spec, blobs)?;
        let mut fuel = Fuel::of::<Self>(worth(&scene)?, stop);
        outcome(&scene, &mut fuel)
    }

    fn check(spec: &PhysicsSpec, blobs: &Blobs, outcome: &PhysicsOutcome) -> Result<(), CheckError> {
        check::check(&judged(spec, blobs)?, outcome).map(|_| ())
    }

    fn deep_check(
        spec: &PhysicsSpec,
        blobs: &Blobs,
        outcome: &PhysicsOutcome,
        seed: u64,
    ) -> Result<(), CheckError> {
        let (scene, stop) = (judged(spec, blobs)?, Stop::never());
        let units = worth(&scene).map_err(|error| CheckError::new("physics.spec", error.to_string()))?;
        check::deep_check(&scene, outcome, seed, &mut Fuel::of::<Self>(units, &stop))
    }

    const LEAVES: bool = true;

    fn leaves(spec: &PhysicsSpec, blobs: &Blobs, outcome: &PhysicsOutcome) -> Option<Vec<u8>> {
        outcome.snapshot(spec, blobs).ok()?.to_blob()
    }
}

impl Fueled for Physics {
    fn fuel<'a>(spec: &PhysicsSpec, blobs: &Blobs, stop: &'a Stop) -> Result<Fuel<'a>, SpecError> {
        Ok(Fuel::of::<Self>(worth(&admit::in_range(spec, blobs)?)?, stop))
    }

    fn run_on(spec: &PhysicsSpec, blobs: &Blobs, fuel: &mut Fuel<'_>) -> Result<PhysicsOutcome, KernelError> {
        outcome(&admit::in_range(spec, blobs)?, fuel)
    }
}

fn outcome(scene: &PhysicsScene<'_>, fuel: &mut Fuel<'_>) -> Result<PhysicsOutcome, KernelError> {
    let outcome = kernel::run(scene, fuel)?;
    if outcome.bytes() > OUTCOME_BYTES_MAX {
        return Err(KernelError::OutOfFuel);
    }
    Ok(outcome)
}

/// Work units of a scene whose spec is in range.
fn worth(scene: &PhysicsScene<'_>) -> Result<WorkUnits, SpecError> {
    let (near, walled) = admit::not_crowded(scene)?;
    units::reckon(scene, &near, &walled)
}

/// The scene of a spec being judged. The caller must have admitted it; if not, no outcome passes.
fn judged<'s>(spec: &'s PhysicsSpec, blobs: &Blobs) -> Result<PhysicsScene<'s>, CheckError> {
    admit::in_range(spec, blobs).map_err(|error| CheckError::new("physics.spec", error.to_string()))
}
