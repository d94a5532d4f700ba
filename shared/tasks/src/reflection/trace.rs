//! The kernel on the CPU: paths from the probe through every texel.

use glam::Vec3;
use rayon::prelude::*;

use super::cube::{CubeMap, FACES, direction};
use super::random::{Draws, draw, sin_cos_turns};
use super::scene::{NONE, Scene};
use super::surface::HitSurface;
use crate::fuel::{Fuel, Stop};
use crate::kind::KernelError;

/// A path ends once it carries less than this in every colour.
pub(super) const THROUGHPUT_MIN: f32 = 1.0 / 256.0;

/// Steps of the parts of a path without the boxes its rays enter, the most nanoseconds that each takes: its
/// random numbers, its first ray and its sky; a surface; each light that a surface may sample.
const PATH_STEPS: u64 = 100;
const SURFACE_STEPS: u64 = 245;
const LIGHT_STEPS: u64 = 8;

/// Radiance around a place, the mean over all directions: as it is, then times the direction's x, y and z. Each red, green
/// and blue.
pub(crate) type RadianceMoments = [[f32; 3]; 4];

static NEVER: Stop = Stop::never();

/// Fuel without a limit, for callers outside a kernel.
fn endless() -> Fuel<'static> {
    Fuel::endless(&NEVER)
}

impl Scene {
    /// Traces the whole cube on this thread.
    pub fn trace(&self) -> CubeMap {
        self.trace_within(&mut endless()).unwrap_or_else(|_| CubeMap::black(self.face))
    }

    /// [`Scene::trace`]; an error if the fuel ends or the task is stopped.
    pub(super) fn trace_within(&self, fuel: &mut Fuel<'_>) -> Result<CubeMap, KernelError> {
        let mut cube = CubeMap::black(self.face);
        for (index, texel) in cube.texels_mut().iter_mut().enumerate() {
            *texel = self.texel_within(index as u32, fuel)?;
        }
        Ok(cube)
    }

    /// [`Scene::trace`] on rayon's threads, a row at a time; the same cube, bit for bit.
    pub fn trace_parallel(&self) -> CubeMap {
        let mut cube = CubeMap::black(self.face);
        let row = self.face as usize;
        cube.texels_mut().par_chunks_mut(row).enumerate().for_each(|(number, texels)| {
            let first = number * row;
            texels.iter_mut().enumerate().for_each(|(at, texel)| *texel = self.texel((first + at) as u32));
        });
        cube
    }

    /// Radiance of the texel at `index` of [`CubeMap::texels`]: the mean of its paths.
    pub fn texel(&self, index: u32) -> [f32; 3] {
        self.texel_within(index, &mut endless()).unwrap_or_default()
    }

    /// [`Scene::texel`]; an error if the fuel ends or the task is stopped.
    pub(super) fn texel_within(&self, index: u32, fuel: &mut Fuel<'_>) -> Result<[f32; 3], KernelError> {
        let area = self.face * self.face;
        let (face, place) = ((index / area) as usize % FACES, index % area);
        let (x, y) = ((place % self.face) as f32, (place / self.face) as f32);
        let mut sum = Vec3::ZERO;
        for sample in 0..self.samples {
            let draws = Draws::new(self.seed, index, sample);
            let [right, down] = draws.pair(draw::JITTER);
            let size = self.face as f32;
            let towards = direction(face, (x + right) / size, (y + down) / size);
            let towards = Vec3::from(towards).normalize_or(Vec3::Y);
            let light = self.path(Vec3::from(self.probe), towards, draws, fuel)?;
            sum += cut(light, self.radiance_max);
        }
        Ok((sum / self.samples as f32).to_array())
    }

    /// The light around a place, from `paths` paths in uniform directions. `index` separates its random
    /// numbers from those of other places.
    pub(crate) fn moments_within(
        &self,
        place: [f32; 3],
        index: u32,
        paths: u32,
        fuel: &mut Fuel<'_>,
    ) -> Result<RadianceMoments, KernelError> {
        let mut sums = [Vec3::ZERO; 4];
        for sample in 0..paths {
            let draws = Draws::new(self.seed, index, sample);
            let [height, turns] = draws.pair(draw::JITTER);
            let up = 1.0 - 2.0 * height;
            let left = 1.0 - up * up;
            let across = if left > 0.0 { left.sqrt() } else { 0.0 };
            let (sin, cos) = sin_cos_turns(turns);
            let towards = Vec3::new(across * cos, up, across * sin);
            let light = cut(self.path(Vec3::from(place), towards, draws, fuel)?, self.radiance_max);
            sums[0] += light;
            sums[1] += light * towards.x;
            sums[2] += light * towards.y;
            sums[3] += light * towards.z;
        }
        Ok(sums.map(|sum| (sum / paths as f32).to_array()))
    }

    /// Radiance that arrives at `origin` from `direction` along one path.
    fn path(
        &self,
        mut origin: Vec3,
        mut direction: Vec3,
        draws: Draws,
        fuel: &mut Fuel<'_>,
    ) -> Result<Vec3, KernelError> {
        let surface_steps = SURFACE_STEPS + LIGHT_STEPS * self.lights.len() as u64;
        let mut steps = PATH_STEPS;
        let (mut light, mut throughput) = (Vec3::ZERO, Vec3::ONE);
        // The object that the path leaves, and whether lights count where the path meets them.
        let (mut skip, mut sees_lights) = (NONE, true);
        for surface in 0..self.bounces {
            let Some(hit) = self.first(origin, direction, skip, &mut steps) else { break };
            // Inside the loop and not after it, because each ray of a path may enter thousands of boxes.
            fuel.spend(std::mem::take(&mut steps) + surface_steps)?;
            let primitive = &self.primitives[hit.primitive as usize];
            let material = &self.materials[primitive.material as usize];
            let place = origin + hit.distance * direction;
            if sees_lights || primitive.light == NONE {
                light += throughput * Vec3::from(material.glow);
            }
            let met = HitSurface::new(material, primitive.normal(place), -direction);
            let first = surface * draw::PER_SURFACE;
            light += throughput * self.direct(place, hit.primitive, &met, draws, first, &mut steps);
            let Some(onward) = met.onward(draws.get(first + draw::CHOICE), draws.pair(first + draw::LOBE))
            else {
                fuel.spend(steps)?;
                return Ok(light);
            };
            throughput *= onward.weight;
            let goes_on = throughput.max_element() > THROUGHPUT_MIN;
            // Also ends a path whose weight a black surface made NaN.
            if !goes_on {
                fuel.spend(steps)?;
                return Ok(light);
            }
            (origin, direction, skip, sees_lights) = (place, onward.direction, hit.primitive, onward.sharp);
        }
        // Past its last surface a path sees the sky, whatever stands between.
        fuel.spend(steps)?;
        Ok(light + throughput * self.sky.radiance(direction))
    }

    /// Light of the sun and of one sampled light that the surface reflects along the path.
    fn direct(
        &self,
        place: Vec3,
        object: u32,
        met: &HitSurface<'_>,
        draws: Draws,
        first: u32,
        steps: &mut u64,
    ) -> Vec3 {
        let mut light = Vec3::ZERO;
        let (sun, irradiance) = (Vec3::from(self.sun.direction), Vec3::from(self.sun.irradiance));
        let shine = met.reflect(sun, true) * irradiance;
        if shine.max_element() > THROUGHPUT_MIN
            && !self.is_blocked(place, sun, super::scene::FAR, [object, NONE], steps)
        {
            light += shine;
        }
        if self.lights.is_empty() || !met.asks_lights() {
            return light;
        }
        let asked = self.light_at(
            place,
            object,
            draws.get(first + draw::LIGHT),
            draws.pair(first + draw::LIGHT_POINT),
        );
        if let Some(asked) = asked {
            let material = &self.materials[self.primitives[asked.primitive as usize].material as usize];
            let shine = met.reflect(asked.direction, false) * Vec3::from(material.glow) * asked.weight;
            if shine.max_element() > 0.0
                && !self.is_blocked(place, asked.direction, asked.distance, [object, asked.primitive], steps)
            {
                light += shine;
            }
        }
        light
    }
}

/// `light` with each part at most `most`; NaN becomes black.
fn cut(light: Vec3, most: f32) -> Vec3 {
    let part = |value: f32| if value > 0.0 { if value < most { value } else { most } } else { 0.0 };
    Vec3::new(part(light.x), part(light.y), part(light.z))
}
