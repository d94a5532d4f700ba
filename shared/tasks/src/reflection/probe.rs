//! A probe unfolded: its texels, and their layout for a GPU.

use super::codec::half;
use super::cube::{CubeMap, FACES, direction};
use super::filter::{Irradiance, filter, irradiance_over_pi};
use super::threads::undisturbed;

/// Light around a point, ready to be used: the sharp cube, levels for rougher surfaces, and irradiance.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The sharp cube, then filtered ones, each half the size of the one before; level `l` of `n` is for perceptual
    /// roughness `l / (n - 1)`.
    pub levels: Vec<CubeMap>,
    /// See [`irradiance_over_pi`].
    pub irradiance: Irradiance,
}

impl Probe {
    /// A cube with its filtered levels (`levels` counts the sharp one) and irradiance, just as workers filter it.
    ///
    /// # Panics
    /// If the face is no power of two or above 128.
    pub fn filtered(base: CubeMap, levels: u8) -> Self {
        assert!(base.face().is_power_of_two() && base.face() <= super::codec::FACE_MAX);
        let (filtered, irradiance) = undisturbed(|threads| filter(&base, levels, threads));
        Self { levels: std::iter::once(base).chain(filtered).collect(), irradiance }
    }

    /// All levels as `Rgba16Float`, face by face with all levels of each (wgpu's and Bevy's `LayerMajor`), little
    /// endian, alpha 1.
    pub fn rgba16f(&self) -> Vec<u8> {
        self.halves(|_, face, x, y| (face, x, y))
    }

    /// [`Probe::rgba16f`] as Bevy's `EnvironmentMapLight` needs it: its shader looks up directions with z
    /// negated, so the cube is mirrored along z.
    pub fn rgba16f_for_bevy(&self) -> Vec<u8> {
        self.halves(|size, face, x, y| match face {
            0 | 1 => (face, size - 1 - x, y),
            2 | 3 => (face, x, size - 1 - y),
            4 => (5, size - 1 - x, y),
            _ => (4, size - 1 - x, y),
        })
    }

    /// The irradiance over π as the six faces of `face` texels' edge of Bevy's diffuse map, in the form of
    /// [`Probe::rgba16f_for_bevy`].
    pub fn diffuse_rgba16f_for_bevy(&self, face: u32) -> Vec<u8> {
        let mut cube = CubeMap::black(face);
        for side in 0..FACES {
            for y in 0..face {
                for x in 0..face {
                    let step = 1.0 / face as f32;
                    let way = direction(side, (x as f32 + 0.5) * step, (y as f32 + 0.5) * step);
                    let length = (way[0] * way[0] + way[1] * way[1] + way[2] * way[2]).sqrt();
                    let normal = way.map(|component| component / length);
                    let at = cube.index(side, x, y);
                    cube.texels_mut()[at] = irradiance_over_pi(&self.irradiance, normal);
                }
            }
        }
        Self { levels: vec![cube], irradiance: self.irradiance }.rgba16f_for_bevy()
    }

    /// `from` gives the texel at a place, from the face's edge, face, column and row.
    fn halves(&self, from: impl Fn(u32, usize, u32, u32) -> (usize, u32, u32)) -> Vec<u8> {
        const ONE: u16 = 0x3c00;
        let texels: usize = self.levels.iter().map(|level| level.texels().len()).sum();
        let mut bytes = Vec::with_capacity(8 * texels);
        for face in 0..FACES {
            for level in &self.levels {
                let size = level.face();
                for y in 0..size {
                    for x in 0..size {
                        let (face, x, y) = from(size, face, x, y);
                        let [r, g, b] = level.texels()[level.index(face, x, y)].map(half);
                        bytes.extend([r, g, b, ONE].into_iter().flat_map(u16::to_le_bytes));
                    }
                }
            }
        }
        bytes
    }
}
