//! Filters a sharp cube for the lighting of rough surfaces: levels filtered by GGX lobes of growing roughness,
//! each half the size of the one before, and irradiance.
//!
//! Level `l` of `n` is for perceptual roughness `l / (n - 1)`, as Bevy's `environment_map.wgsl` looks it up;
//! the lobe's alpha is the roughness squared, and a direction at the angle θ from the middle weighs `D(h) ·
//! cos θ · G(cos θ)`, as in Bevy's own `environment_filter.wgsl` (with the view along the normal: Karis,
//! "Real Shading in Unreal Engine 4", 2013). Every output texel is a sum over cells of the cube weighted by
//! solid angle, fine where the lobe is steep and coarse elsewhere (`filter/lobes.rs`); edges of faces play no
//! part in it, so there are no seams. The weights of a size are computed once per process.
//!
//! Only `+ - * /` and square roots, in one stated order: the same cube gives the same levels, bit for bit,
//! everywhere.

mod lobes;

use super::cube::{CubeMap, direction};
use super::threads::Threads;
use crate::kind::KernelError;
use lobes::{Lobes, Pyramid};

/// Irradiance as nine spherical harmonics (L2): per coefficient red, green, blue. See [`irradiance_over_pi`].
pub type Irradiance = [[f32; 3]; 9];

/// Steps per texel of the sharp level of summing it up, of turning the sums to each face, and of all lobes.
pub(super) const PYRAMID_STEPS: u64 = 10;
pub(super) const TURN_STEPS: u64 = 20;
pub(super) const LOBE_STEPS: u64 = 33;

/// The filtered levels after the sharp one, `levels - 1` of them, and the irradiance. `base`'s face is a power of
/// two, up to the largest that travels; levels beyond the face's own are left out.
pub(super) fn filter(
    base: &CubeMap,
    levels: u8,
    threads: &mut Threads<'_, '_>,
) -> Result<(Vec<CubeMap>, Irradiance), KernelError> {
    let face_log2 = base.face().ilog2() as usize;
    let levels = usize::from(levels).clamp(1, face_log2 + 1);
    let lobes = Lobes::of(face_log2, levels, threads.stop())?;
    let texels = base.texels().len() as u64;
    threads.spend(PYRAMID_STEPS * texels, 0, 1)?;
    let pyramid = lobes.pyramid(base);
    let irradiance = project(lobes, &pyramid);
    let mut filtered: Vec<CubeMap> = (1..levels).map(|level| CubeMap::black(base.face() >> level)).collect();
    if !filtered.is_empty() {
        let turned = lobes.turned(&pyramid, TURN_STEPS * texels, threads)?;
        for (level, cube) in filtered.iter_mut().enumerate() {
            // Each level has a quarter of the texels of the one before it: all have less than a third of the first's.
            let steps = 3 * LOBE_STEPS * cube.texels().len() as u64;
            lobes.apply(level, &turned, cube, steps, threads)?;
        }
    }
    Ok((filtered, irradiance))
}

/// The nine real harmonics up to the second band, without their constants.
fn harmonics([x, y, z]: [f32; 3]) -> [f32; 9] {
    [1.0, x, y, z, x * y, y * z, z * x, 3.0 * z * z - 1.0, x * x - y * y]
}

/// Squares of the harmonics' constants (1/4π, 3/4π, 15/4π, 15/16π, 5/16π) times the factors of a cosine lobe
/// per band (π, 2π/3, π/4: Ramamoorthi and Hanrahan, 2001), over π.
const SHARES: [f32; 9] = {
    use std::f32::consts::PI;
    let (one, two) = (3.0 / (4.0 * PI) * (2.0 / 3.0), 15.0 / (4.0 * PI) / 4.0);
    [1.0 / (4.0 * PI), one, one, one, two, two, two, 5.0 / (16.0 * PI) / 4.0, 15.0 / (16.0 * PI) / 4.0]
};

/// Size of face that is fine enough for nine harmonics.
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

#[cfg(test)]
mod tests {
    use super::super::cube::locate;
    use super::super::threads::undisturbed;
    use super::*;

    /// The same integral, by brute force: every texel cut into many, all of them for every direction.
    fn brute(base: &CubeMap, alpha: f32, normal: [f32; 3]) -> [f32; 3] {
        let parts = (128 / base.face()).max(2);
        let fine = base.face() * parts;
        let (mut sum, mut whole) = ([0.0f64; 3], 0.0);
        for side in 0..6 {
            for place in 0..fine * fine {
                let (x, y) = (place % fine, place / fine);
                let way = middle(side, fine as usize, x as usize, y as usize);
                let cosine = dot(unit(way), normal);
                if cosine <= 0.0 {
                    continue;
                }
                // As in Karis' notes, term by term, in double precision.
                let (cosine, a2) = (f64::from(cosine), f64::from(alpha * alpha));
                let half = (0.5 + cosine / 2.0).sqrt();
                let ggx = a2 / (std::f64::consts::PI * (half * half * (a2 - 1.0) + 1.0).powi(2));
                let k = f64::from(alpha) / 2.0;
                let weight =
                    ggx * cosine * (cosine / (cosine * (1.0 - k) + k)) / f64::from(dot(way, way)).powf(1.5);
                let texel = base.texels()[base.index(side, x / parts, y / parts)];
                whole += weight;
                (0..3).for_each(|channel| sum[channel] += weight * f64::from(texel[channel]));
            }
        }
        sum.map(|channel| (channel / whole) as f32)
    }

    fn cube(face: u32, mut light: impl FnMut([f32; 3]) -> [f32; 3]) -> CubeMap {
        let mut cube = CubeMap::black(face);
        let area = (face * face) as usize;
        for (place, texel) in cube.texels_mut().iter_mut().enumerate() {
            let (x, y) = (place % area % face as usize, place % area / face as usize);
            *texel = light(unit(middle(place / area, face as usize, x, y)));
        }
        cube
    }

    /// A bolt, a sun over an edge, and a sky.
    fn sky(face: u32) -> CubeMap {
        cube(face, |way| {
            let sun = if dot(way, unit([1.0, 1.0, 0.1])) > 0.97 { 30.0 } else { 0.0 };
            let bolt = if way[0].abs() < 0.06 && way[1] > 0.0 && way[2] > 0.3 { 50.0 } else { 0.0 };
            [sun + 0.05 + 0.04 * way[2], sun + 0.03, bolt + 0.1]
        })
    }

    #[test]
    fn levels_are_what_brute_force_finds() {
        for (face, levels) in [(32, 6), (16, 5), (16, 3), (8, 4)] {
            let base = sky(face);
            let (filtered, _) = undisturbed(|threads| filter(&base, levels, threads));
            for (index, level) in filtered.iter().enumerate() {
                let roughness = (index + 1) as f32 / f32::from(levels - 1);
                let size = level.face() as usize;
                let texels = level.texels();
                let brightest = texels.iter().flatten().copied().fold(0.0, f32::max);
                assert!(brightest > 0.3);
                for place in (0..texels.len()).step_by(1 + texels.len() / 60) {
                    let (side, at) = (place / (size * size), place % (size * size));
                    let normal = unit(middle(side, size, at % size, at / size));
                    let wanted = brute(&base, roughness * roughness, normal);
                    for (found, wanted) in texels[place].iter().zip(wanted) {
                        // The bolt lies along the horizon of some directions, where a lobe ends within a cell.
                        let tolerance = 0.04 * wanted + 0.018 * brightest;
                        assert!(
                            (found - wanted).abs() < tolerance,
                            "{found} is not {wanted}, face {face}, level {index}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn light_that_is_the_same_everywhere_stays_so() {
        for face_log2 in 0..=6u8 {
            let white = cube(1 << face_log2, |_| [3.0, 0.5, 100.0]);
            let (filtered, irradiance) = undisturbed(|threads| filter(&white, face_log2 + 1, threads));
            for texel in filtered.iter().flat_map(CubeMap::texels) {
                for (found, wanted) in texel.iter().zip([3.0, 0.5, 100.0]) {
                    assert!((found / wanted - 1.0).abs() < 1e-4, "{texel:?}");
                }
            }
            let found = irradiance_over_pi(&irradiance, unit([0.3, -0.5, 0.7]));
            // Few texels are no good quadrature of the sphere.
            let tolerance = if face_log2 < 3 { 0.02 } else { 0.002 };
            assert!((found[0] / 3.0 - 1.0).abs() < tolerance, "{found:?} {face_log2}");
        }
    }

    /// Opposite a light, more roughness gives more brightness; towards it, less; the total stays about the
    /// same.
    #[test]
    fn a_bright_spot_spreads_as_roughness_grows() {
        // Somewhere inside, on an edge, at a corner.
        for spot in [[1.0, 0.1, 0.2], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]] {
            let spot = unit(spot);
            let base = cube(64, |way| if dot(way, spot) > 0.995 { [100.0; 3] } else { [0.0; 3] });
            let (filtered, _) = undisturbed(|threads| filter(&base, 7, threads));
            let peak = |cube: &CubeMap| cube.texels().iter().map(|texel| texel[0]).fold(0.0, f32::max);
            let lit = |cube: &CubeMap| {
                let bar = peak(cube) / 4.0;
                cube.texels().iter().filter(|texel| texel[0] > bar).count() as f32
                    / cube.texels().len() as f32
            };
            let mut before = (peak(&base), lit(&base));
            for level in &filtered[..5] {
                let now = (peak(level), lit(level));
                assert!(now.0 < before.0 && now.1 >= before.1, "{now:?} after {before:?}");
                before = now;
            }
        }
    }

    /// Texels on both sides of an edge between faces see nearly the same, and a turned sky gives turned levels.
    #[test]
    fn there_are_no_seams() {
        let base = sky(32);
        let (filtered, _) = undisturbed(|threads| filter(&base, 6, threads));
        let level = &filtered[1];
        let size = level.face();
        let (mut across, mut brightest) = (0.0f32, 0.0f32);
        for x in 0..size {
            // The upper row of +z meets the lower row of +y, and a bolt crosses there.
            let (upper, lower) =
                (level.texels()[level.index(4, x, 0)], level.texels()[level.index(2, x, size - 1)]);
            across = across.max((upper[2] - lower[2]).abs());
            brightest = brightest.max(upper[2]);
        }
        assert!(brightest > 3.0, "nothing is to be seen there");
        assert!(across < 0.1 * brightest, "{across} across the edge where there is {brightest}");
        // A third of a turn about the diagonal maps faces on faces.
        let light = |way: [f32; 3]| {
            if dot(way, unit([0.9, 0.3, 0.5])) > 0.9 { [way[0].abs(), 2.0, way[1] + 1.0] } else { [0.1; 3] }
        };
        let straight = undisturbed(|threads| filter(&cube(16, light), 5, threads)).0;
        let turned = cube(16, |way| light([way[1], way[2], way[0]]));
        let turned = undisturbed(|threads| filter(&turned, 5, threads)).0;
        for (level, turned) in straight.iter().zip(&turned) {
            let size = level.face() as usize;
            for place in 0..level.texels().len() {
                let (side, at) = (place / (size * size), place % (size * size));
                let way = middle(side, size, at % size, at / size);
                let (to, u, v) = locate([way[1], way[2], way[0]]);
                let (x, y) = ((u * size as f32) as u32, (v * size as f32) as u32);
                let (a, b) = (turned.texels()[place], level.texels()[level.index(to, x, y)]);
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.02 * b + 1e-3), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn irradiance_is_what_brute_force_finds() {
        // Nine harmonics are exact for light of the second degree, and near for any.
        let smooth = cube(64, |[x, y, z]| [1.0 + x, 2.0 + y * z, 1.0 + x * x - 0.5 * z]);
        let (_, irradiance) = undisturbed(|threads| filter(&smooth, 1, threads));
        let bolts = sky(32);
        let (_, rough) = undisturbed(|threads| filter(&bolts, 1, threads));
        for normal in [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.6, -0.5], [-0.3, 0.9, 0.4]]
        {
            let normal = unit(normal);
            let [x, y, z] = normal;
            // The cosine lobe leaves 2/3 of the first band, 1/4 of the second.
            let wanted =
                [1.0 + x / 1.5, 2.0 + y * z / 4.0, 1.0 + 1.0 / 3.0 + (x * x - 1.0 / 3.0) / 4.0 - z / 3.0];
            let found = irradiance_over_pi(&irradiance, normal);
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.01), "{found:?} {wanted:?}");
            let (mut sum, mut whole) = ([0.0f32; 3], 0.0f32);
            for place in 0..6 * 32 * 32 {
                let way = middle(place / 1024, 32, place % 32, place / 32 % 32);
                let weight = dot(unit(way), normal).max(0.0) / dot(way, way).powf(1.5);
                whole += weight;
                (0..3).for_each(|channel| sum[channel] += weight * bolts.texels()[place][channel]);
            }
            let found = irradiance_over_pi(&rough, normal);
            let brightest = sum.map(|s| s / whole);
            assert!(
                found.iter().zip(brightest).all(|(a, b)| (a - b).abs() < 0.15 * b + 0.2),
                "{found:?} {brightest:?}"
            );
        }
    }
}
