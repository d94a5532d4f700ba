//! Plans for wingmen and bosses, found by rollouts: each candidate plan is played in many futures of a small
//! arena.
//!
//! A [`TacticsSpec`] describes agents on a plane and their behaviour, bolts in flight, rocks, and the agents
//! that want a plan. A [`Plan`] is where to fly, in [`LEGS`] legs of half a second, each a direction or an
//! angle to the nearest opponent; shooting, avoiding rocks and all other agents follow rules. For each
//! planner a number of candidates is tried, each in a number of futures that differ in random events: the
//! turns of agents whose intentions are unknown, and the deviation of shots. A candidate's score is the worth
//! of the other side's losses minus its own, where earlier losses count more. Every second candidate after
//! the first eight varies the best one so far, so that more candidates search deeper. The first three are the
//! rule, to rest, and what is left of the present plan. The outcome is all scores; the plan to fly is the
//! first of the best.
//!
//! # Units and limits
//!
//! Places in 64ths of a metre on a square of up to 512 m; up to [`AGENTS_MAX`] agents of [`CLASSES_MAX`]
//! classes, [`BOLTS_MAX`] bolts, [`ROCKS_MAX`] rocks, [`PLANNERS_MAX`] planners, [`CANDIDATES_MAX`]
//! candidates and [`FUTURES_MAX`] futures. A step is [`STEP_TICKS`] ticks of 1/60 s, a plan [`PLAN_STEPS`]
//! steps; before it, up to [`LEAD_STEPS_MAX`] steps are played without the plan, for the time until the
//! answer arrives. A situation of a dozen agents takes some 0.5 KB, its outcome 0.1 KB. Work units are
//! estimated in `tactics/units.rs`.
//!
//! Grids find neighbours: each rock and body has a bit in every cell that it touches, one word per cell. The
//! rocks' grids are made once for all futures.
//!
//! # Determinism
//!
//! `f32` with `+ - * /` and `sqrt` only, random numbers from a hash of seed, future, agent and step, scores as whole
//! numbers: outcomes are the same bit for bit everywhere. Tests compare them with golden digests; any change to those
//! must raise the kernel version.
//!
//! # Checks
//!
//! | check | the lie it stops |
//! |---|---|
//! | `decode` | bytes that no encoder writes |
//! | `tactics.count` | leaving planners or candidates out |
//! | `tactics.range` | a score that no future could have: more than all agents together are worth |
//! | `tactics.scores` (deep) | scores of other futures than these, of fewer, or made up. The best candidate of every planner is played again in all its futures, and of the others one in [`CHECKED_SHARE`], at least [`CHECKED_MIN`], that the seed picks; they must be equal. A worker that made up all scores, played fewer futures or another situation, or raised a plan to be the best, is always caught. One that lowered `k` of `n` others to hide a better plan is caught with a chance of `1 - (1 - k/n)^m`, where `m` are played again: 0.125 for one of 64, 0.66 for eight |
//! | `tactics.spec` | none: the spec itself was never admissible |
//!
//! That the plan to fly has the best score needs no check: it is not sent but follows from the scores.

mod check;
mod ground;
mod kernel;
mod model;
mod outcome;
mod plan;
mod spec;
mod units;

use p2c2r_protocol::{KindId, WorkUnits};

pub use check::{CHECKED_MIN, CHECKED_SHARE};
pub use outcome::TacticsOutcome;
pub use plan::{BEARINGS, COMPASS, LEAD_LEGS, LEG_STEPS, LEGS, Leg, PLAN_STEPS, Plan};
pub use spec::{Agent, Behaviour, Bolt, Class, Planner, RoundRock, TacticsSpec};

use crate::blobs::Blobs;
use crate::fuel::{Fuel, Fueled, Stop};
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};

/// Ticks of 1/60 s in a step of a future: a bolt of 30 m/s flies 2 m in one.
pub const STEP_TICKS: u16 = 4;
/// Steps per metre of positions, and per metre a second of velocities.
pub const POSITION_STEPS_PER_M: f32 = 64.0;
/// Steps per point of a score: see [`TacticsOutcome::scores`].
pub const SCORE_STEPS: i32 = 64;
/// Most classes of a spec.
pub const CLASSES_MAX: usize = 8;
/// Most agents of a spec: one bit each in a `u32`.
pub const AGENTS_MAX: usize = 32;
/// Most bolts of a spec.
pub const BOLTS_MAX: usize = 64;
/// Most rocks of a spec: one bit each in a `u64`.
pub const ROCKS_MAX: usize = 64;
/// Most planners of a spec.
pub const PLANNERS_MAX: usize = 4;
/// Most candidates of a planner.
pub const CANDIDATES_MAX: usize = 512;
/// Most futures of a candidate.
pub const FUTURES_MAX: u8 = 64;
/// Most bolts of a salvo.
pub const SALVO_MAX: u8 = 5;
/// Most steps before a plan begins: two seconds.
pub const LEAD_STEPS_MAX: u8 = 30;
/// Half the edge of the smallest and the largest square, in [`POSITION_STEPS_PER_M`].
pub const HALF_RANGE: std::ops::RangeInclusive<u16> = 8 * 64..=256 * 64;
/// Fastest velocity along an axis, in [`POSITION_STEPS_PER_M`].
pub const VELOCITY_MAX: i16 = 128 * 64;

/// The kind `tactics`.
pub struct Tactics;

impl TaskKind for Tactics {
    const ID: KindId = KindId(5);
    const NAME: &'static str = "tactics";
    const KERNEL_VERSION: u16 = 2;
    const FUEL_PERCENT: u64 = units::FUEL_PERCENT;
    type Spec = TacticsSpec;
    type Outcome = TacticsOutcome;

    fn admit(spec: &TacticsSpec, _: &Blobs) -> Result<WorkUnits, SpecError> {
        units::in_range(spec)?;
        units::reckon(spec)
    }

    fn run(spec: &TacticsSpec, blobs: &Blobs, stop: &Stop) -> Result<TacticsOutcome, KernelError> {
        Self::run_on(spec, blobs, &mut Self::fuel(spec, blobs, stop)?)
    }

    fn check(spec: &TacticsSpec, _: &Blobs, outcome: &TacticsOutcome) -> Result<(), CheckError> {
        judged(spec)?;
        check::check(spec, outcome)
    }

    fn deep_check(
        spec: &TacticsSpec,
        blobs: &Blobs,
        outcome: &TacticsOutcome,
        seed: u64,
    ) -> Result<(), CheckError> {
        judged(spec)?;
        let stop = Stop::never();
        let mut fuel = Self::fuel(spec, blobs, &stop)
            .map_err(|error| CheckError::new("tactics.spec", error.to_string()))?;
        check::deep_check(spec, outcome, seed, &mut fuel)
    }
}

impl Fueled for Tactics {
    fn fuel<'a>(spec: &TacticsSpec, blobs: &Blobs, stop: &'a Stop) -> Result<Fuel<'a>, SpecError> {
        Ok(Fuel::of::<Self>(Self::admit(spec, blobs)?, stop))
    }

    fn run_on(spec: &TacticsSpec, _: &Blobs, fuel: &mut Fuel<'_>) -> Result<TacticsOutcome, KernelError> {
        kernel::run(spec, fuel)
    }
}

/// Checks a spec being judged. The caller must have admitted it; if not, no outcome passes.
fn judged(spec: &TacticsSpec) -> Result<(), CheckError> {
    units::in_range(spec).map_err(|error| CheckError::new("tactics.spec", error.to_string()))
}

/// Bits that hold every count up to `max`.
const fn count_width(max: usize) -> u32 {
    usize::BITS - max.leading_zeros()
}

/// A random number for a place and moment: the same everywhere and for every candidate, so that candidates
/// are compared in the same futures. The mixing is MurmurHash3's finaliser.
fn chance(seed: u32, place: u32, moment: u32) -> u32 {
    let mut bits = seed ^ place.wrapping_mul(0x9e37_79b9) ^ moment.wrapping_mul(0x85eb_ca77).rotate_left(13);
    for _ in 0..2 {
        bits = (bits ^ (bits >> 16)).wrapping_mul(0x85eb_ca6b);
        bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
        bits = (bits ^ (bits >> 16)).wrapping_add(0x9e37_79b9);
    }
    bits
}
