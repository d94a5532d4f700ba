//! Light around a point, ray traced: a cube map in which hulls and rocks can mirror what happens around them.

mod codec;
mod cube;
mod filter;
mod outcome;
mod probe;
mod spec;

pub use codec::{LUMINANCE, RADIANCE_FLOOR, RADIANCE_MAX};
pub use cube::{CubeMap, FACES, direction};
pub use filter::{Irradiance, irradiance_over_pi};
pub use outcome::{FACE_LOG2_MAX, ProbeError, ReflectionOutcome};
pub use probe::Probe;
pub use spec::{Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, ReflectionSpec, Sun, Surface};
