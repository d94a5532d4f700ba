//! Builds meshes from code: faceted hulls from outlines, and the noise for rocks and clouds. No model files,
//! no licences.

use bevy::asset::RenderAssetUsages;
use bevy::mesh::PrimitiveTopology;
use bevy::prelude::*;

/// How far the normals of a hull's plates lean outwards at their corners, as a share of the normal.
const BEND: f32 = 0.6;

/// One faceted piece of a hull, in a space where the hull points along +y of the outline.
pub(super) struct HullPart {
    /// Corners as (right, forward), star-shaped around their middle.
    pub(super) outline: &'static [(f32, f32)],
    /// Height of the top above the outline.
    pub(super) top: f32,
    /// Depth of the bottom below the outline.
    pub(super) bottom: f32,
    /// Size of the top and bottom faces relative to the outline, 0 for a ridge.
    pub(super) inset: f32,
    /// Height of the outline itself.
    pub(super) lift: f32,
    /// Colour.
    pub(super) colour: (f32, f32, f32),
    /// Whether the piece is mirrored to the other side.
    pub(super) mirrored: bool,
}

/// The mesh of a hull that points along -Z.
pub(super) fn hull(parts: &[HullPart]) -> Mesh {
    let mut facets = Facets::default();
    for part in parts {
        facets.add_part(part, 1.0);
        if part.mirrored {
            facets.add_part(part, -1.0);
        }
    }
    facets.into_mesh()
}

/// Triangles without shared corners, each corner with its own normal and colour.
#[derive(Default)]
pub(super) struct Facets {
    positions: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    colours: Vec<[f32; 4]>,
}

impl Facets {
    fn add_part(&mut self, part: &HullPart, side: f32) {
        let corner = |&(right, forward): &(f32, f32)| Vec3::new(right * side, part.lift, -forward);
        let rim: Vec<Vec3> = part.outline.iter().map(corner).collect();
        let middle = rim.iter().sum::<Vec3>() / rim.len() as f32;
        let face = |at: Vec3, height: f32| middle + (at - middle) * part.inset + Vec3::Y * height;
        let colour = Vec3::from(part.colour);
        for (index, &a) in rim.iter().enumerate() {
            let b = rim[(index + 1) % rim.len()];
            for height in [part.top, -part.bottom] {
                let (inner_a, inner_b) = (face(a, height), face(b, height));
                self.add_triangle([a, b, inner_b], middle, colour);
                self.add_triangle([a, inner_b, inner_a], middle, colour);
                self.add_triangle([inner_a, inner_b, middle + Vec3::Y * height], middle, colour);
            }
        }
    }

    /// Adds a triangle with its front away from `inside`.
    fn add_triangle(&mut self, corners: [Vec3; 3], inside: Vec3, colour: Vec3) {
        let [a, b, c] = corners;
        let normal = (b - a).cross(c - a);
        if normal.length_squared() < 1e-10 {
            return;
        }
        let outward = normal.dot((a + b + c) / 3.0 - inside) >= 0.0;
        let (corners, normal) = if outward { ([a, b, c], normal) } else { ([a, c, b], -normal) };
        let normal = normal.normalize();
        for corner in corners {
            // Tilted outwards a little, as if the plate were bent: a flat one would reflect a single spot.
            let bent = (normal + (corner - inside).normalize_or(normal) * BEND).normalize();
            self.add(corner, bent, colour);
        }
    }

    /// Adds the next corner of a triangle; three make one.
    pub(super) fn add(&mut self, corner: Vec3, normal: Vec3, colour: Vec3) {
        self.positions.push(corner.to_array());
        self.normals.push(normal.to_array());
        self.colours.push(colour.extend(1.0).to_array());
    }

    pub(super) fn into_mesh(self) -> Mesh {
        Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::RENDER_WORLD)
            .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, self.positions)
            .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, self.normals)
            .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, self.colours)
    }
}

/// Smooth noise in -1..1 with features about one unit across.
pub(super) fn noise(at: Vec3) -> f32 {
    // Truncation and one comparison: `floor` is a library call without SSE 4.1.
    let floor = |value: f32| value as i32 - i32::from(value < (value as i32) as f32);
    let whole = IVec3::new(floor(at.x), floor(at.y), floor(at.z));
    let inside = at - whole.as_vec3();
    let blend = inside * inside * (Vec3::splat(3.0) - 2.0 * inside);
    let corner = |x: i32, y: i32, z: i32| scatter(whole.x + x, whole.y + y, whole.z + z);
    let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
    let near = mix(
        mix(corner(0, 0, 0), corner(1, 0, 0), blend.x),
        mix(corner(0, 1, 0), corner(1, 1, 0), blend.x),
        blend.y,
    );
    let far = mix(
        mix(corner(0, 0, 1), corner(1, 0, 1), blend.x),
        mix(corner(0, 1, 1), corner(1, 1, 1), blend.x),
        blend.y,
    );
    mix(near, far, blend.z)
}

/// Several layers of [`noise`], each half as wide and half as strong, in about -1..1.
pub(super) fn clouds(at: Vec3, layers: u32) -> f32 {
    let (mut sum, mut strength, mut scale) = (0.0, 0.5, 1.0);
    for _ in 0..layers {
        sum += noise(at * scale) * strength;
        strength *= 0.5;
        scale *= 2.03;
    }
    sum
}

/// A pseudo-random number in -1..1.
fn scatter(x: i32, y: i32, z: i32) -> f32 {
    let mut bits = (x as u32).wrapping_mul(0x8DA6_B343)
        ^ (y as u32).wrapping_mul(0xD816_3841)
        ^ (z as u32).wrapping_mul(0xCB1A_B31F);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    bits = (bits ^ (bits >> 12)).wrapping_mul(0x297A_2D39);
    bits ^= bits >> 15;
    bits as f32 / u32::MAX as f32 * 2.0 - 1.0
}

/// A small random generator for the view: sparks, stars. Never used by the rules.
#[derive(Clone, Debug)]
pub(super) struct VisualRng(u32);

impl VisualRng {
    /// A generator that starts at `seed`.
    pub(super) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) | 1)
    }

    /// A number in 0..1.
    pub(super) fn unit(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as f32 / 16_777_216.0
    }

    /// A number in `low..high`.
    pub(super) fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A direction, mostly along the plane.
    pub(super) fn direction(&mut self) -> Vec3 {
        let angle = self.within(0.0, std::f32::consts::TAU);
        Vec3::new(angle.cos(), self.within(-0.35, 0.7), angle.sin()).normalize()
    }
}

#[cfg(test)]
mod tests {
    use bevy::mesh::VertexAttributeValues;

    use super::*;

    #[test]
    fn noise_stays_in_range_and_is_continuous() {
        let mut last = noise(Vec3::ZERO);
        for step in 0..2_000 {
            let value = noise(Vec3::new(step as f32 * 0.01, step as f32 * 0.003, -1.7));
            assert!((-1.0..=1.0).contains(&value));
            assert!((value - last).abs() < 0.2 || step == 0, "a jump at step {step}");
            last = value;
        }
    }

    #[test]
    fn every_facet_of_a_hull_has_a_unit_normal_and_a_colour() {
        let mesh = hull(&[HullPart {
            outline: &[(0.0, 1.0), (0.5, -0.5), (-0.5, -0.5)],
            top: 0.3,
            bottom: 0.2,
            inset: 0.5,
            lift: 0.0,
            colour: (1.0, 0.0, 0.0),
            mirrored: false,
        }]);
        let Some(VertexAttributeValues::Float32x3(normals)) = mesh.attribute(Mesh::ATTRIBUTE_NORMAL) else {
            panic!("no normals")
        };
        assert_eq!(mesh.count_vertices() % 3, 0);
        assert!(normals.iter().all(|normal| (Vec3::from_array(*normal).length() - 1.0).abs() < 1e-4));
    }
}
