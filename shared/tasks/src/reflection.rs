//! Light around a point, ray traced: a cube map in which hulls and rocks can mirror what happens around them.

mod cube;
mod spec;

pub use cube::{CubeMap, FACES, direction};
pub use spec::{Form, Object, POSITION_STEPS_PER_M, RADIUS_STEPS_PER_M, ReflectionSpec, Sun, Surface};
