//! A cube map of light, and the direction of each of its texels: one convention for kernels, codec, filter
//! and the upload to a GPU.

/// Faces of a cube.
pub const FACES: usize = 6;

/// Linear radiance around a point, red, green and blue, as six square faces.
///
/// Faces are in the order of GPU cube maps (+x, -x, +y, -y, +z, -z), each row-major from its upper left, in the
/// orientation that WebGPU, Vulkan and Direct3D sample (see [`direction`]). Values are finite and not negative.
#[derive(Clone, Debug, PartialEq)]
pub struct CubeMap {
    face: u32,
    texels: Vec<[f32; 3]>,
}

impl CubeMap {
    /// A black cube with faces of `face` by `face` texels.
    pub fn black(face: u32) -> Self {
        Self { face, texels: vec![[0.0; 3]; FACES * (face * face) as usize] }
    }

    /// Texels along the edge of a face.
    pub fn face(&self) -> u32 {
        self.face
    }

    /// All texels: face by face, each row by row; see [`CubeMap::index`].
    pub fn texels(&self) -> &[[f32; 3]] {
        &self.texels
    }

    /// See [`CubeMap::texels`].
    pub fn texels_mut(&mut self) -> &mut [[f32; 3]] {
        &mut self.texels
    }

    /// Place of a texel in [`CubeMap::texels`]: face 0 to 5, column from the left, row from the top.
    pub fn index(&self, face: usize, x: u32, y: u32) -> usize {
        face * (self.face * self.face) as usize + (y * self.face + x) as usize
    }
}

/// The direction of the point (`u`, `v`) of a face, not normalised: its longest component is 1 or -1. `u`
/// runs to the right and `v` down, both from 0 to 1; the middle of texel (x, y) is ((x + ½) / face, (y + ½) /
/// face).
pub fn direction(face: usize, u: f32, v: f32) -> [f32; 3] {
    let (right, down) = (2.0 * u - 1.0, 2.0 * v - 1.0);
    match face {
        0 => [1.0, -down, -right],
        1 => [-1.0, -down, right],
        2 => [right, 1.0, down],
        3 => [right, -1.0, -down],
        4 => [right, -down, 1.0],
        _ => [-right, -down, -1.0],
    }
}

/// Undoes [`direction`]: face, `u` and `v` of a direction of any length but 0.
pub fn locate([x, y, z]: [f32; 3]) -> (usize, f32, f32) {
    let (ax, ay, az) = (x.abs(), y.abs(), z.abs());
    let (face, most, right, down) = if ax >= ay && ax >= az {
        if x > 0.0 { (0, ax, -z, -y) } else { (1, ax, z, -y) }
    } else if ay >= az {
        if y > 0.0 { (2, ay, x, z) } else { (3, ay, x, -z) }
    } else if z > 0.0 {
        (4, az, x, -y)
    } else {
        (5, az, -x, -y)
    };
    (face, 0.5 + 0.5 * right / most, 0.5 + 0.5 * down / most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_direction_is_found_again() {
        for face in 0..FACES {
            for step in 0..64 {
                let (u, v) = (0.01 + step as f32 / 65.0, 0.99 - step as f32 / 80.0);
                let (found, right, down) = locate(direction(face, u, v).map(|part| part * 7.0));
                assert!(found == face && (right - u).abs() < 1e-5 && (down - v).abs() < 1e-5);
            }
        }
    }
}
