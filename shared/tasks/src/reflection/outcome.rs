//! What is answered: a cube, each texel with a shared exponent.

use bincode::{Decode, Encode};

use super::cube::{CubeMap, FACES};

/// A packed cube.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReflectionOutcome {
    face_log2: u8,
    texels: Vec<[u8; 4]>,
}

impl ReflectionOutcome {
    /// Packs a cube.
    pub fn of(_levels: u8, cube: &CubeMap) -> Self {
        let pack = |texel: &[f32; 3]| {
            let most = texel.iter().fold(1e-9_f32, |most, part| most.max(*part));
            let exponent = (most.to_bits() >> 23) as i32 - 126;
            let scale = 255.0 / f32::from_bits(((exponent + 127) as u32) << 23);
            let [r, g, b] = texel.map(|part| (part * scale + 0.5) as u8);
            [r, g, b, (exponent + 128) as u8]
        };
        Self { face_log2: cube.face().ilog2() as u8, texels: cube.texels().iter().map(pack).collect() }
    }

    /// The texels, if there are as many as there should be.
    pub fn unfold(&self) -> Option<CubeMap> {
        if self.face_log2 > 7 || self.texels.len() != FACES << (2 * self.face_log2) {
            return None;
        }
        let mut cube = CubeMap::black(1 << self.face_log2);
        for (to, [r, g, b, exponent]) in cube.texels_mut().iter_mut().zip(&self.texels) {
            let scale = f32::from_bits((u32::from(*exponent).clamp(40, 200) - 1) << 23) / 255.0;
            *to = [*r, *g, *b].map(|part| f32::from(part) * scale);
        }
        Some(cube)
    }
}
