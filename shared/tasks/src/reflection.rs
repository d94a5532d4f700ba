//! Light around points, ray traced: cube maps in which hulls and rocks can mirror what happens around them.
//!
//! # Task
//!
//! A [`ReflectionSpec`] lists a scene: [`Surface`]s, [`Object`]s made of them (spheres, capsules, rocks of
//! the physics catalogue), a sun, the seed of a sky, and one to [`VIEWPOINTS_MAX`] probes, each as a
//! [`Viewpoint`] with its face, levels and paths. A [`ReflectionOutcome`] holds the radiance that arrives at
//! each probe, as a cube map, sharp and, if more than one level is asked for, filtered for rougher surfaces; it
//! unfolds into one [`Probe`] per viewpoint, with the irradiance, which a renderer only has to upload. A cube is
//! the same, bit for bit, alone and among others. Kernels trace a [`Scene`]: the spec in metres and radiance, in
//! arrays of plain records that a GPU takes as they are, with a four-wide BVH over the objects, built by obvhs.
//!
//! # The kernel
//!
//! Each texel gets a number of paths through random points of it. A path that meets nothing sees the sky
//! ([`sky_radiance`]). At a surface it adds the surface's own light and the light of the sun and of one
//! sampled light, a glowing sphere or capsule, each by a shadow ray; then it goes on as in a mirror, from a
//! GGX facet, or diffusely. Glowing objects count where a path meets them directly from the probe, after a
//! mirror or after a narrow lobe (GGX width below [`SHARP_ALPHA`]); after wider lobes and diffuse surfaces
//! they count only by sampling, nearer and brighter lights with higher probability, so nothing counts twice.
//! Only the [`LIGHTS_MAX`] strongest are sampled; the others, and rocks that glow, count wherever they are
//! met. The sun has no disc; mirrors show it as a lobe of [`SHARP_ALPHA`] would. After its last surface a
//! path sees the sky without a visibility test. No path counts more than [`radiance_bound`].
//!
//! Objects are visible from outside only. So a probe may be inside the hull that it lights, and rays need no
//! offset, since a ray that leaves a convex object never meets it again.
//!
//! # Units and limits
//!
//! Metres, with positions and radii in 64ths; radiance without unit, 0 to [`LIGHT_RADIANCE_MAX`]; y is up. Faces of
//! 2^[`FACE_LOG2_MIN`] to 2^[`FACE_LOG2_MAX`] texels' edge, up to [`SAMPLES_MAX`] paths per texel, [`BOUNCES_MAX`] surfaces
//! per path, [`OBJECTS_MAX`] objects of [`SURFACES_MAX`] surfaces, [`VIEWPOINTS_MAX`] probes whose streams may have as many bytes
//! together as that of the largest face alone. A scene of 150 rocks and 20 other things, face 32,
//! 4 paths of at most 3 surfaces: 1.8 KB of spec, 2.6 KB of outcome (3.6 KB with all six levels), some 6 ms of one core, of
//! which 0.6 ms are the encoding; filtered levels add 2 ms. Another probe of face 16 takes 8 bytes of spec and some 0.7 KB of
//! outcome. Work units are estimated from the spec alone, see `reflection/units.rs`.
//!
//! # Determinism
//!
//! On a CPU all is integers and `f32` with `+ - * /` and square roots, and every random number is a hash of where it is used
//! (`reflection/random.rs`). So any texel can be traced alone, threads do not matter, and the same spec gives the same
//! cube, bit for bit, wherever `f32` is IEEE 754's; tests compare it with golden digests. GPUs round differently
//! (fused products, approximate division), and a path that only just passes an edge may go another way altogether:
//! that is why the kind is not [`TaskKind::DETERMINISTIC`] and is judged by tolerance.
//!
//! # Checks
//!
//! | check | the lie it stops |
//! |---|---|
//! | `reflection.size` | another number of probes, another face or another number of levels than was asked for |
//! | `decode`, `reflection.stream` | bytes that no encoder writes, rounding steps coarser than the wildest cube of its size needs, or coarse steps in a stream below half its limit |
//! | `reflection.brightness` | a texel more than four times as bright as anything in the scene; with coarser steps, more than these explain |
//! | `reflection.filtered` (deep) | filtered levels that are not the sharp level's: any, of any probe, always |
//! | `reflection.block` (deep) | a false macroblock (16 by 16 texels), mean size of the residual above 0.2 octaves: one of `n` of all probes together is caught with a chance of 2/3`n` (24 of them at face 32, 6 at 16), or 1/`n` where nothing glows, because every third seed looks where lights are. So a whole false probe of face 16 beside one of 32 and three more of 16 is caught by about every eighth check |
//! | `reflection.residual` (deep) | small errors everywhere: two of three macroblocks off by more than 0.05 octaves in size or 0.02 in the mean, without the worst square of each, or by 0.08 with it |
//! | `reflection.spec` | none: the spec itself was never admissible |
//!
//! The deep check traces a macroblock again, with the same random numbers, and sends it through the same quantisation,
//! so an honest CPU's residual is exactly 0 and an honest GPU's nearly; where one macroblock is doubtful, two more are
//! looked at, since a stray path may spoil one but not two. A macroblock whose light depends on rounding (two surfaces in
//! one place, say) is not judged: before a difference counts, the macroblock is traced once more from a hair's breadth
//! beside the probe. In tests one check caught fewer samples (a quarter, half or three quarters of them), another seed,
//! another sky, a constant or coarser cube, and light 3 % darker or brighter: always. Another place of the probe, no
//! objects, no sun, one face for all: two times in three or more. One surface per path where three were asked for: every
//! other time. Bolts and explosions left out: one in three. Two surfaces for three: one in five among mirrors, elsewhere
//! hardly ever, because that changes little. Answers that were rounded differently, with a path gone astray in one texel
//! of a thousand, failed none of 100,000 checks. The always-on checks take some 0.3 ms at the default size, the deep one
//! 0.8 ms.

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
mod threads;
mod trace;
mod units;

pub(crate) use admit::in_range;
pub(crate) use codec::{Coder, Decoder, Encoder, Odds, level_of, luminance_of};
pub(crate) use spec::{put_surroundings, see_from, take_surroundings};
pub(crate) use trace::RadianceMoments;
pub(crate) use units::{Crowd, scene_steps};

use p2c2r_protocol::{Digest, KindId, WorkUnits};

pub use bvh::{DEPTH_MAX, LEAF, NO_CHILD, Node, STACK};
pub use codec::{LEVEL_ERROR_MAX, LEVEL_ERROR_RMS, LUMINANCE, RADIANCE_FLOOR, TEXEL_MAX};
pub use cube::{CubeMap, FACES, direction, locate};
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
pub use spec::{
    Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, ReflectionSpec, Sun, Surface, Viewpoint,
};
pub use surface::SHARP_ALPHA;

use crate::blobs::Blobs;
use crate::fuel::{Fuel, Fueled, Stop};
use crate::kind::{CheckError, KernelError, SpecError, TaskKind};

/// Smallest face, as a power of two.
pub const FACE_LOG2_MIN: u8 = 4;
/// Levels of one outcome.
pub const LEVELS_MAX: u8 = FACE_LOG2_MAX + 1;
/// Probes of one spec. Their streams together may have as many bytes as that of the largest face alone: one face of 64 and six of
/// 16, say, or one of 32 and eleven of 16.
pub const VIEWPOINTS_MAX: usize = 12;
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
/// Largest radiance of anything, and of any path.
pub const LIGHT_RADIANCE_MAX: f32 = 256.0;
/// Glowing objects that surfaces sample for their light: the strongest ones. The others are seen only where
/// paths meet them.
pub const LIGHTS_MAX: usize = 64;

/// See [`TaskKind::FUEL_PERCENT`]. Four times the time that the units pay for is the most allowed; `docs/PERFORMANCE.md`,
/// "Fuel", has what the worst and what honest tasks take.
const FUEL_PERCENT: u64 = 350;

/// The kind `reflection`.
pub struct Reflection;

impl TaskKind for Reflection {
    const ID: KindId = KindId(3);
    const NAME: &'static str = "reflection";
    const KERNEL_VERSION: u16 = 7;
    const FUEL_PERCENT: u64 = FUEL_PERCENT;
    const DETERMINISTIC: bool = false;
    const RUNS_ON_GRAPHICS: bool = true;
    type Spec = ReflectionSpec;
    type Outcome = ReflectionOutcome;

    fn catalogue() -> Option<Digest> {
        Some(crate::physics::catalogue_digest())
    }

    fn admit(spec: &ReflectionSpec, _: &Blobs) -> Result<WorkUnits, SpecError> {
        in_range(spec)?;
        units::reckon(spec)
    }

    fn run(spec: &ReflectionSpec, _: &Blobs, stop: &Stop) -> Result<ReflectionOutcome, KernelError> {
        Self::run_on(spec, &Blobs::default(), &mut Self::fuel(spec, &Blobs::default(), stop)?)
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

impl Fueled for Reflection {
    fn fuel<'a>(spec: &ReflectionSpec, _: &Blobs, stop: &'a Stop) -> Result<Fuel<'a>, SpecError> {
        in_range(spec)?;
        Ok(Fuel::of::<Self>(units::reckon(spec)?, stop))
    }

    fn run_on(
        spec: &ReflectionSpec,
        _: &Blobs,
        fuel: &mut Fuel<'_>,
    ) -> Result<ReflectionOutcome, KernelError> {
        fuel.spend(scene_steps(spec))?;
        let mut scene = Scene::new(spec);
        let mut cubes = Vec::with_capacity(1 + spec.others.len());
        for viewpoint in spec.viewpoints() {
            scene.look_from(&viewpoint);
            cubes.push((viewpoint.levels, scene.trace_within(fuel)?));
        }
        let cubes: Vec<_> = cubes.iter().map(|(levels, cube)| (*levels, cube)).collect();
        ReflectionOutcome::within(&cubes, fuel, false)
    }
}

/// Checks the ranges of a spec being judged. The caller must have admitted it; if not, no outcome passes.
fn judged(spec: &ReflectionSpec) -> Result<(), CheckError> {
    in_range(spec).map_err(|error| CheckError::new("reflection.spec", error.to_string()))
}
