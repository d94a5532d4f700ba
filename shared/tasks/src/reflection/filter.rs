//! From a sharp cube to what a renderer lights rough surfaces with: levels filtered by GGX lobes of growing
//! roughness, each half the size of the one before, and irradiance.
//!
//! Level `l` of `n` is for perceptual roughness `l / (n - 1)`, as Bevy's `environment_map.wgsl` looks it up; the
//! lobe's alpha is the roughness squared, and a direction at the angle θ from the middle weighs
//! `D(h) · cos θ · G(cos θ)`, as in Bevy's own `environment_filter.wgsl` (whoever looks does so along the
//! normal: Karis, "Real Shading in Unreal Engine 4", 2013). Every output texel is a weighted sum over cells of
//! the cube, fine where the lobe is steep and coarse elsewhere, by solid angle (`filter/lobes.rs`); edges of faces
//! play no part in it, so there are no seams. Weights of a size are reckoned once per process.
//!
//! Only `+ - * /` and square roots, in one stated order: the same cube gives the same levels, bit for bit, everywhere.

mod lobes;

use super::cube::{CubeMap, FACES, direction};
use lobes::{Lobes, Pyramid};

/// Irradiance as nine spherical harmonics (L2): per coefficient red, green, blue. See [`irradiance_over_pi`].
pub type Irradiance = [[f32; 3]; 9];

/// The filtered levels after the sharp one, `levels - 1` of them, and the irradiance. `base`'s face is a power of
/// two, up to the largest that travels; levels beyond the face's own are left out.
pub(super) fn filter(base: &CubeMap, levels: u8) -> (Vec<CubeMap>, Irradiance) {
    let face_log2 = base.face().ilog2() as usize;
    let levels = usize::from(levels).clamp(1, face_log2 + 1);
    let lobes = Lobes::of(face_log2, levels);
    let pyramid = lobes.pyramid(base);
    let irradiance = project(lobes, &pyramid);
    let mut filtered: Vec<CubeMap> = (1..levels).map(|level| CubeMap::black(base.face() >> level)).collect();
    if !filtered.is_empty() {
        for face in 0..FACES {
            let turned = lobes.turned(&pyramid, face);
            for (level, cube) in filtered.iter_mut().enumerate() {
                let area = (cube.face() * cube.face()) as usize;
                let out = &mut cube.texels_mut()[face * area..][..area];
                lobes.apply(level, &turned, out);
            }
        }
    }
    (filtered, irradiance)
}

/// The nine real harmonics up to the second band, without their constants.
fn harmonics([x, y, z]: [f32; 3]) -> [f32; 9] {
    [1.0, x, y, z, x * y, y * z, z * x, 3.0 * z * z - 1.0, x * x - y * y]
}

/// Squares of the harmonics' constants (1/4π, 3/4π, 15/4π, 15/16π, 5/16π) times what a cosine lobe leaves of their
/// bands (π, 2π/3, π/4: Ramamoorthi and Hanrahan, 2001), over π.
const SHARES: [f32; 9] = {
    use std::f32::consts::PI;
    let (one, two) = (3.0 / (4.0 * PI) * (2.0 / 3.0), 15.0 / (4.0 * PI) / 4.0);
    [1.0 / (4.0 * PI), one, one, one, two, two, two, 5.0 / (16.0 * PI) / 4.0, 15.0 / (16.0 * PI) / 4.0]
};

/// Faces of this size are fine enough for nine harmonics.
const PROJECTED_FACE_LOG2: usize = 4;

fn project(lobes: &Lobes, pyramid: &Pyramid) -> Irradiance {
    let face_log2 = lobes.face_log2();
    let mip = face_log2.saturating_sub(PROJECTED_FACE_LOG2);
    let face = 1usize << (face_log2 - mip);
    let mut sums = [[0.0f32; 3]; 9];
    for (place, flux) in lobes.mip(pyramid, mip).iter().enumerate() {
        let (side, x, y) = (place / (face * face), place % face, place / face % face);
        let way = unit(middle(side, face, x, y));
        for (sum, harmonic) in sums.iter_mut().zip(harmonics(way)) {
            for channel in 0..3 {
                sum[channel] += harmonic * flux[channel];
            }
        }
    }
    let mut irradiance = sums;
    for (coefficient, share) in irradiance.iter_mut().zip(SHARES) {
        *coefficient = coefficient.map(|sum| sum * share);
    }
    irradiance
}

/// Irradiance over π on a surface whose normal is `normal` (of length one): the mean radiance weighted by the
/// cosine, which is what a white surface reflects and what Bevy's diffuse maps hold. Not negative.
pub fn irradiance_over_pi(irradiance: &Irradiance, normal: [f32; 3]) -> [f32; 3] {
    let mut sum = [0.0f32; 3];
    for (coefficient, harmonic) in irradiance.iter().zip(harmonics(normal)) {
        for channel in 0..3 {
            sum[channel] += coefficient[channel] * harmonic;
        }
    }
    sum.map(|channel| channel.max(0.0))
}

/// Where the middle of a texel looks, not normalised.
fn middle(side: usize, face: usize, x: usize, y: usize) -> [f32; 3] {
    let step = 1.0 / face as f32;
    direction(side, (x as f32 + 0.5) * step, (y as f32 + 0.5) * step)
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn unit(way: [f32; 3]) -> [f32; 3] {
    let scale = 1.0 / dot(way, way).sqrt();
    way.map(|component| component * scale)
}
