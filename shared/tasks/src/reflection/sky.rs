//! The sky: a nebula and stars from a seed, by one formula that the kernels and the renderer share.
//!
//! `p = 32 + 2.5·d` and `p = 32 + 6·d` are looked up in value noise: the hash of each corner of a unit
//! lattice, blended by `3f² - 2f³` along each axis. Their sum, past a threshold and squared, weighs two
//! tints. Stars sit in one of eight cells of a lattice of 1/12, as smooth spots of radius a quarter of a
//! cell.

use glam::Vec3;

use super::random::{hash, unit};

/// Largest radiance of any part of the sky.
pub const SKY_RADIANCE_MAX: f32 = 4.0;

/// Keeps lattice coordinates positive, so that truncation rounds down.
const OFFSET: f32 = 32.0;

/// The values that the seed determines once.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Sky {
    /// Radiance of the dark background.
    pub ground: [f32; 3],
    /// The seed itself.
    pub seed: u32,
    /// Radiance of the nebula where the coarse noise is high.
    pub tint: [f32; 3],
    /// Padding to 16 bytes.
    pub pad: u32,
    /// Radiance that the fine noise adds.
    pub glow: [f32; 3],
    /// Padding to 16 bytes.
    pub pad2: u32,
}

impl Sky {
    /// The sky of a seed.
    pub fn new(seed: u32) -> Self {
        let part = |number: u32| unit(hash(hash(seed) ^ number));
        let warm = part(1);
        Self {
            ground: [0.012 + 0.01 * part(2), 0.014 + 0.01 * part(3), 0.025 + 0.02 * part(4)],
            seed,
            tint: [0.15 + 0.75 * warm, 0.15 + 0.25 * part(5), 0.9 - 0.6 * warm],
            pad: 0,
            glow: [0.5 - 0.4 * warm + 0.2 * part(6), 0.35 + 0.3 * part(7), 0.3 + 0.6 * warm],
            pad2: 0,
        }
    }

    /// Radiance from `direction`, of length 1.
    #[inline]
    pub fn radiance(&self, direction: Vec3) -> Vec3 {
        let coarse = noise(direction * 2.5 + OFFSET, self.seed);
        let fine = noise(direction * 6.0 + OFFSET, self.seed ^ 0x9e37_79b9);
        let cloud = above(0.65 * coarse + 0.35 * fine - 0.38);
        let density = cloud * cloud * 5.0;
        let wisp = above(fine - 0.55);
        let light = Vec3::from(self.ground)
            + density * Vec3::from(self.tint)
            + density * wisp * 4.0 * Vec3::from(self.glow);
        light + Vec3::splat(star(direction * 12.0 + OFFSET, self.seed))
    }
}

/// [`Sky::radiance`] of the sky with this seed, towards `direction` (any length but 0).
pub fn sky_radiance(seed: u32, direction: [f32; 3]) -> [f32; 3] {
    Sky::new(seed).radiance(Vec3::from(direction).normalize_or(Vec3::Y)).into()
}

fn above(value: f32) -> f32 {
    if value > 0.0 { value } else { 0.0 }
}

/// Keys of the lattice's corner below a point, one per axis, and how far the point is past it.
#[inline]
fn lattice(point: Vec3) -> ([u32; 3], Vec3) {
    let (x, y, z) = (point.x as i32, point.y as i32, point.z as i32);
    let keys = [
        (x as u32).wrapping_mul(STRIDE[0]),
        (y as u32).wrapping_mul(STRIDE[1]),
        (z as u32).wrapping_mul(STRIDE[2]),
    ];
    (keys, point - Vec3::new(x as f32, y as f32, z as f32))
}

const STRIDE: [u32; 3] = [0x8da6_b343, 0xd816_3841, 0xcb1a_b31f];

/// Value noise, 0 to 1.
#[inline]
fn noise(point: Vec3, seed: u32) -> f32 {
    let ([x, y, z], past) = lattice(point);
    let blend = past * past * (3.0 - 2.0 * past);
    let at = |x: u32, y: u32, z: u32| unit(hash(x.wrapping_add(y).wrapping_add(z) ^ seed));
    let (x1, y1, z1) = (x.wrapping_add(STRIDE[0]), y.wrapping_add(STRIDE[1]), z.wrapping_add(STRIDE[2]));
    let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
    let row = |y: u32, z: u32| mix(at(x, y, z), at(x1, y, z), blend.x);
    mix(mix(row(y, z), row(y1, z), blend.y), mix(row(y, z1), row(y1, z1), blend.y), blend.z)
}

/// Light of the star in a cell, if it has one.
#[inline]
fn star(point: Vec3, seed: u32) -> f32 {
    let ([x, y, z], past) = lattice(point);
    let bits = hash(x.wrapping_add(y).wrapping_add(z) ^ seed ^ 0x5851_f42d);
    if bits & 7 != 0 {
        return 0.0;
    }
    let part = |shift: u32| 0.25 + 0.5 / 256.0 * ((bits >> shift) & 255) as f32;
    let off = past - Vec3::new(part(8), part(16), part(24));
    let near = above(1.0 - 16.0 * off.length_squared());
    near * near * (0.5 + 0.08 * ((bits >> 3) & 31) as f32)
}
