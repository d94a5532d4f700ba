//! The kind `lightfield`: light around many points of one scene, for the objects between them.
//!
//! A task is a scene as in the kind [`reflection`], and 256 to 4,096 probes. For each probe that kind's
//! tracer traces paths in uniform directions, and the outcome holds, for red, green and blue, the mean
//! radiance and its means weighted by the direction (L1 spherical harmonics). A renderer interpolates probes
//! and calls [`LightProbe::irradiance_over_pi`] once per object, at no cost per pixel. The work is large for
//! its bytes, which makes it worth offloading.
//!
//! # Units and limits
//!
//! Positions in 64ths of a metre, as a list or as a grid along the axes; up to [`PATHS_MAX`] paths a probe of
//! up to [`BOUNCES_MAX`](crate::reflection::BOUNCES_MAX) surfaces, [`OBJECTS_MAX`] objects. Brightness
//! travels in 16ths of an octave (4 % apart) above 2^-12, direction in 16ths of the brightness. Work units
//! are estimated in `lightfield/admit.rs` from the spec alone, and the kernel's fuel ends at twice the time
//! they pay for.
//!
//! # Changes
//!
//! A spec may name a field as its base, by the digest of [`LightField::to_blob`]; the outcome is then sent as
//! changes of that. With the same seed only the light of objects that moved changes, and an unchanged probe takes a
//! fraction of a bit. The base travels like any blob, to a coordinator or worker that does not have it. It is
//! optional: a spec without a base is answered whole. A base proves nothing: the resulting field is judged.
//!
//! # Determinism
//!
//! As for the tracer: the same spec gives the same bits on every core, and a graphics processor's numbers
//! differ by rounding, so the kind is not [`TaskKind::DETERMINISTIC`] and is judged by tolerance.
//!
//! # Checks
//!
//! | check | the lie it stops |
//! |---|---|
//! | `decode`, `lightfield.stream` | bytes that no encoder writes: another number of probes, a black probe with a direction, a change that changes nothing |
//! | `lightfield.brightness` | a probe brighter than anything in the scene |
//! | `lightfield.direction` | a probe with more light from one side than it has from all sides |
//! | `lightfield.probes` (deep) | false probes: 16 are traced again, and two that differ by more than rounding suffice. If 10 % of all probes are false, that is caught with a chance of 0.49, 25 % with 0.94, 50 % with 0.9997; another sky or sun, seed, place or number of paths changes nearly all. One surface per path where three were asked for is caught once in eight times, because it changes little |
//! | `lightfield.mean` (deep) | small errors everywhere: 1 % brighter or darker and more |
//! | `lightfield.spec` | none: the spec itself was never admissible |
//!
//! The lies above were tried with 40 seeds each, see `shared/tasks/tests/lightfield`; graphics processors agree within
//! a stated tolerance (`lightfield/gpu.rs`).
//!
//! An answer with one false probe is never rejected, because two have to differ; it falsifies what one probe shows. Of 256
//! probes, two false ones are both among the 16 once in 272 times, two of five once in 30, two of 13 once in 5. A probe
//! that differs counts only after it was traced once more from a hair's breadth beside it: where that changes its light
//! as much, the difference is due to rounding.

mod admit;
mod check;
mod field;
#[cfg(feature = "gpu")]
mod gpu;
mod kernel;
mod outcome;
mod spec;
mod stream;

use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use check::PROBES_CHECKED;
pub use field::{LEVEL_STEPS, LightField, LightProbe, SHARE_STEPS};
#[cfg(feature = "gpu")]
pub use gpu::{FIELD_TOLERANCE, FieldTolerance};
pub use outcome::{FieldError, LightfieldOutcome};
pub use spec::{LightfieldSpec, Probes};

use crate::blobs::Blobs;
use crate::fuel::{Fuel, Fueled, Stop};
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};
use crate::reflection::{self, ReflectionSpec, Scene};

/// Fewest probes of one spec: below this the scene takes more bytes than its light.
pub const PROBES_MIN: usize = 256;
/// Most probes of one spec.
pub const PROBES_MAX: usize = 4_096;
/// Most paths of a probe.
pub const PATHS_MAX: u16 = 2_048;
/// Most objects of one spec; more take more upload than the light is worth.
pub const OBJECTS_MAX: usize = 512;

/// See [`TaskKind::FUEL_PERCENT`]. Twice the time that the units pay for is the most allowed; `docs/PERFORMANCE.md`,
/// "Fuel", has what the worst and what honest tasks take.
const FUEL_PERCENT: u64 = 185;

/// The kind `lightfield`.
pub struct Lightfield;

impl TaskKind for Lightfield {
    const ID: KindId = KindId(4);
    const NAME: &'static str = "lightfield";
    const KERNEL_VERSION: u16 = 3;
    const DETERMINISTIC: bool = false;
    const RUNS_ON_GRAPHICS: bool = true;
    const FUEL_PERCENT: u64 = FUEL_PERCENT;
    type Spec = LightfieldSpec;
    type Outcome = LightfieldOutcome;

    fn catalogue() -> Option<Digest> {
        Some(crate::physics::catalogue_digest())
    }

    fn blob_refs(spec: &LightfieldSpec) -> Vec<Digest> {
        spec.base.into_iter().collect()
    }

    fn admit(spec: &LightfieldSpec, blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        let scene = admit::in_range(spec, blobs)?;
        admit::reckon(spec, &scene)
    }

    fn is_prepared(spec: &LightfieldSpec, blobs: &Blobs) -> bool {
        let is_ready = |base| blobs.get(base).is_ok_and(|blob| blob.is_prepared::<LightField>());
        spec.base.is_none_or(is_ready)
    }

    fn admission_prepares(_: &LightfieldSpec, _: &Blobs) -> bool {
        true
    }

    fn run(spec: &LightfieldSpec, blobs: &Blobs, stop: &Stop) -> Result<LightfieldOutcome, KernelError> {
        Self::run_on(spec, blobs, &mut Self::fuel(spec, blobs, stop)?)
    }

    fn check(spec: &LightfieldSpec, blobs: &Blobs, outcome: &LightfieldOutcome) -> Result<(), CheckError> {
        check::check(spec, &judged(spec, blobs)?, blobs, outcome)
    }

    fn deep_check(
        spec: &LightfieldSpec,
        blobs: &Blobs,
        outcome: &LightfieldOutcome,
        seed: u64,
    ) -> Result<(), CheckError> {
        check::deep_check(spec, &judged(spec, blobs)?, blobs, outcome, seed)
    }
}

impl Fueled for Lightfield {
    fn fuel<'a>(spec: &LightfieldSpec, blobs: &Blobs, stop: &'a Stop) -> Result<Fuel<'a>, SpecError> {
        let scene = admit::in_range(spec, blobs)?;
        Ok(Fuel::of::<Self>(admit::reckon(spec, &scene)?, stop))
    }

    fn run_on(
        spec: &LightfieldSpec,
        blobs: &Blobs,
        fuel: &mut Fuel<'_>,
    ) -> Result<LightfieldOutcome, KernelError> {
        let base = outcome::base(spec, blobs)?;
        let scene = spec.scene();
        fuel.spend(reflection::scene_steps(&scene))?;
        let field = kernel::trace(spec, &Scene::new(&scene), fuel)?;
        Ok(LightfieldOutcome::of(&field, base.as_deref()))
    }
}

/// The scene of a spec being judged. The caller must have admitted it; if not, no outcome passes.
fn judged(spec: &LightfieldSpec, blobs: &Blobs) -> Result<ReflectionSpec, CheckError> {
    admit::in_range(spec, blobs).map_err(|error| CheckError::new("lightfield.spec", error.to_string()))
}
