//! Intersections of rays with spheres, capsules and rocks: entries from outside only. A ray that starts inside a
//! shape does not see it, and all shapes are convex, so a ray that leaves one never meets it again.

use std::sync::LazyLock;

use glam::Vec3;

use crate::physics::{ROCK_FORMS, ShapeId};

/// Faces of a rock at most; the catalogue's have 18 corners.
pub const ROCK_FACES: usize = 32;

/// The faces of a rock of outer radius 1: a point is inside where `normal · point <= height` for all of them.
/// Rocks with fewer faces than [`ROCK_FACES`] repeat their first one.
#[derive(Clone, Debug)]
pub struct RockFaces {
    /// Unit normals, outwards: all x, all y, all z.
    pub normals: [[f32; ROCK_FACES]; 3],
    /// Distances of the faces from the centre, above 0.
    pub heights: [f32; ROCK_FACES],
}

static FACES: LazyLock<Vec<RockFaces>> = LazyLock::new(|| (0..ROCK_FORMS).map(RockFaces::new).collect());

impl RockFaces {
    /// The faces of a form of the catalogue, taken modulo [`ROCK_FORMS`].
    #[inline]
    pub fn of(form: u16) -> &'static Self {
        &FACES[usize::from(form % ROCK_FORMS)]
    }

    fn new(form: u16) -> Self {
        let (corners, triangles) = ShapeId::rock(form, 1.0).unit_mesh().unwrap_or_default();
        assert!((1..=ROCK_FACES).contains(&triangles.len()), "a rock has more faces than its corners allow");
        let mut faces = Self { normals: [[0.0; ROCK_FACES]; 3], heights: [1.0; ROCK_FACES] };
        for face in 0..ROCK_FACES {
            let triangle = triangles.get(face).unwrap_or(&triangles[0]);
            let [a, b, c] = triangle.map(|corner| Vec3::from(corners[corner as usize]).as_dvec3());
            let normal = (b - a).cross(c - a).normalize();
            let [x, y, z] = normal.as_vec3().to_array();
            (faces.normals[0][face], faces.normals[1][face], faces.normals[2][face]) = (x, y, z);
            faces.heights[face] = normal.dot(a) as f32;
        }
        faces
    }

    /// Where a ray enters, in lengths of `direction`; the ray is in the rock's own frame and size.
    #[inline]
    pub fn enter(&self, origin: Vec3, direction: Vec3) -> Option<f32> {
        let (mut entry, mut exit) = ([f32::MIN; 8], [f32::MAX; 8]);
        let [nx, ny, nz] = &self.normals;
        for group in 0..ROCK_FACES / 8 {
            for lane in 0..8 {
                let face = group * 8 + lane;
                let (x, y, z) = (nx[face], ny[face], nz[face]);
                let along = x * direction.x + y * direction.y + z * direction.z;
                let room = self.heights[face] - (x * origin.x + y * origin.y + z * origin.z);
                let at = room / along;
                // For a ray parallel to a face, `at` is infinite with the correct sign; NaN loses both
                // comparisons.
                let enters = along < 0.0;
                let entering = if enters { at } else { f32::MIN };
                let leaving = if enters { f32::MAX } else { at };
                entry[lane] = if entering > entry[lane] { entering } else { entry[lane] };
                exit[lane] = if leaving < exit[lane] { leaving } else { exit[lane] };
            }
        }
        let entry = entry.iter().fold(f32::MIN, |most, at| if *at > most { *at } else { most });
        let exit = exit.iter().fold(f32::MAX, |least, at| if *at < least { *at } else { least });
        (entry > 0.0 && entry < exit).then_some(entry)
    }

    /// Normal of the face that a point of the surface is on.
    pub fn normal(&self, point: Vec3) -> Vec3 {
        let [nx, ny, nz] = &self.normals;
        let (mut nearest, mut least) = (0, f32::MIN);
        for face in 0..ROCK_FACES {
            let above = nx[face] * point.x + ny[face] * point.y + nz[face] * point.z - self.heights[face];
            if above > least {
                (nearest, least) = (face, above);
            }
        }
        Vec3::new(nx[nearest], ny[nearest], nz[nearest])
    }
}

/// Where a ray (direction of length 1) enters a sphere; `from_centre` is its origin seen from the centre.
#[inline]
pub(super) fn enter_sphere(from_centre: Vec3, direction: Vec3, radius: f32) -> Option<f32> {
    let along = from_centre.dot(direction);
    // The perpendicular part keeps its precision however far away the sphere is.
    let across = from_centre - along * direction;
    let left = radius * radius - across.length_squared();
    if left < 0.0 {
        return None;
    }
    let at = -along - left.sqrt();
    (at > 0.0).then_some(at)
}

/// Where a ray (direction of length 1) enters a capsule; `from_start` is its origin seen from the capsule's
/// first end, `axis` leads from there to the other.
#[inline]
pub(super) fn enter_capsule(from_start: Vec3, direction: Vec3, axis: Vec3, radius: f32) -> Option<f32> {
    // From the ray's point closest to the capsule's middle, so that numbers stay as small as the capsule.
    let to_middle = (0.5 * axis - from_start).dot(direction);
    let start = from_start + to_middle * direction;
    let (axis_square, axis_along) = (axis.length_squared(), axis.dot(direction));
    let (axis_start, along) = (axis.dot(start), start.dot(direction));
    let a = axis_square - axis_along * axis_along;
    let b = axis_square * along - axis_start * axis_along;
    let c = axis_square * (start.length_squared() - radius * radius) - axis_start * axis_start;
    let (at, place) = if a > 1e-6 * axis_square {
        let left = b * b - a * c;
        if left < 0.0 {
            return None;
        }
        let at = (-b - left.sqrt()) / a;
        (at, axis_start + at * axis_along)
    } else {
        // A ray along the axis: the end that it meets first.
        (0.0, if axis_along > 0.0 { -1.0 } else { axis_square + 1.0 })
    };
    if place > 0.0 && place < axis_square {
        let at = at + to_middle;
        return (at > 0.0).then_some(at);
    }
    let end = if place <= 0.0 { from_start } else { from_start - axis };
    enter_sphere(end, direction, radius)
}
