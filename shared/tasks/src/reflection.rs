//! Light around a point, ray traced: a cube map in which hulls and rocks can mirror what happens around them.

mod admit;
mod bvh;
mod check;
mod codec;
mod cube;
mod filter;
#[cfg(feature = "gpu")]
mod gpu;
mod lights;
mod outcome;
mod probe;
mod random;
mod scene;
mod shapes;
mod sky;
mod spec;
mod surface;
mod trace;
mod units;

use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use bvh::{DEPTH_MAX, LEAF, NO_CHILD, Node, STACK};
pub use codec::{LUMINANCE, RADIANCE_FLOOR, RADIANCE_MAX};
pub use cube::{CubeMap, FACES, direction};
pub use filter::{Irradiance, irradiance_over_pi};
#[cfg(feature = "gpu")]
pub use gpu::{GpuTracer, TOLERANCE, Tolerance};
pub use outcome::{FACE_LOG2_MAX, ProbeError, ReflectionOutcome};
pub use probe::Probe;
pub use scene::{
    CAPSULE, FAR, Hit, Light, MIRROR_ALPHA, Material, NONE, Primitive, ROCK, SPHERE, STONE_MIRROR, Scene,
    SunLight, power, radiance_bound,
};
pub use shapes::{ROCK_FACES, RockFaces};
pub use sky::{SKY_RADIANCE_MAX, Sky, sky_radiance};
pub use spec::{Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, ReflectionSpec, Sun, Surface};
pub use surface::SHARP_ALPHA;

use crate::blobs::Blobs;
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};

/// Smallest face, as a power of two.
pub const FACE_LOG2_MIN: u8 = 4;
/// Levels of one outcome.
pub const LEVELS_MAX: u8 = FACE_LOG2_MAX + 1;
/// Paths per texel.
pub const SAMPLES_MAX: u8 = 64;
/// Surfaces a path may meet.
pub const BOUNCES_MAX: u8 = 8;
/// Objects of one spec.
pub const OBJECTS_MAX: usize = 2_048;
/// Surfaces of one spec.
pub const SURFACES_MAX: usize = 64;
/// Largest [`Surface::power`] and [`Sun::power`]; it stands for [`LIGHT_RADIANCE_MAX`].
pub const POWER_MAX: u8 = 32;
/// Brightest that anything is, and that any path gives.
pub const LIGHT_RADIANCE_MAX: f32 = 256.0;
/// Glowing objects that surfaces ask for their light; of more, the strongest, and the others are only seen where
/// paths meet them.
pub const LIGHTS_MAX: usize = 64;

/// The kind `reflection`.
pub struct Reflection;

impl TaskKind for Reflection {
    const ID: KindId = KindId(3);
    const NAME: &'static str = "reflection";
    const KERNEL_VERSION: u16 = 1;
    const DETERMINISTIC: bool = false;
    type Spec = ReflectionSpec;
    type Outcome = ReflectionOutcome;

    fn catalogue() -> Option<Digest> {
        Some(crate::physics::catalogue_digest())
    }

    fn admit(spec: &ReflectionSpec, _: &Blobs) -> Result<WorkUnits, SpecError> {
        admit::in_range(spec)?;
        units::reckon(spec)
    }

    fn run(spec: &ReflectionSpec, _: &Blobs) -> Result<ReflectionOutcome, KernelError> {
        admit::in_range(spec)?;
        Ok(ReflectionOutcome::of(spec.levels, &Scene::new(spec).trace()))
    }

    fn check(spec: &ReflectionSpec, _: &Blobs, outcome: &ReflectionOutcome) -> Result<(), CheckError> {
        judged(spec)?;
        check::check(spec, outcome)
    }

    fn deep_check(
        spec: &ReflectionSpec,
        _: &Blobs,
        outcome: &ReflectionOutcome,
        seed: u64,
    ) -> Result<(), CheckError> {
        judged(spec)?;
        check::deep_check(spec, outcome, seed)
    }
}

/// That a spec being judged was admitted is the caller's duty; if it was not, no outcome passes.
fn judged(spec: &ReflectionSpec) -> Result<(), CheckError> {
    admit::in_range(spec).map_err(|error| CheckError::new("reflection.spec", error.to_string()))
}
