//! The fixed catalogue of shapes: made by code, the same on every machine, named by its digest in the protocol
//! identity.

use std::sync::{Arc, LazyLock, OnceLock};

use bincode::{Decode, Encode};
use p2c2r_protocol::Digest;
use rapier3d::parry::transformation::convex_hull;
use rapier3d::prelude::{SharedShape, Vector};

use super::vector::{Vec3, add, cross, dot, length, scale, sub};

/// Balls in the catalogue; their radii are the multiples of [`BALL_RADIUS_STEP_M`] from one on.
pub const BALLS: u16 = 128;
/// Metres between the radii of two balls.
pub const BALL_RADIUS_STEP_M: f64 = 1.0 / 16.0;
/// Forms of rocks; each comes in [`ROCK_SIZES`].
pub const ROCK_FORMS: u16 = 8;
/// Sizes of rocks; their outer radii are the multiples of [`ROCK_RADIUS_STEP_M`] from one on.
pub const ROCK_SIZES: u16 = 64;
/// Metres between the outer radii of two sizes of rocks.
pub const ROCK_RADIUS_STEP_M: f64 = 1.0 / 8.0;
/// Corners of a rock at most.
const ROCK_CORNERS: usize = 18;

/// A shape of the catalogue: first the balls by radius, then the rocks by form and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ShapeId(pub u16);

/// Which shape a [`ShapeId`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeKind {
    /// A ball.
    Ball,
    /// A rock of this form, 0 to [`ROCK_FORMS`] - 1.
    Rock(u16),
}

impl ShapeId {
    /// Shapes in the catalogue; ids are below this.
    pub const COUNT: u16 = BALLS + ROCK_FORMS * ROCK_SIZES;

    /// The ball whose radius is nearest.
    pub fn ball(radius_m: f64) -> Self {
        Self(nearest(radius_m, BALL_RADIUS_STEP_M, BALLS))
    }

    /// The rock of `form` (taken modulo [`ROCK_FORMS`]) whose outer radius is nearest.
    pub fn rock(form: u16, radius_m: f64) -> Self {
        Self(BALLS + form % ROCK_FORMS * ROCK_SIZES + nearest(radius_m, ROCK_RADIUS_STEP_M, ROCK_SIZES))
    }

    /// Ball or rock.
    pub fn kind(self) -> ShapeKind {
        match self.0.checked_sub(BALLS) {
            None => ShapeKind::Ball,
            Some(rock) => ShapeKind::Rock(rock / ROCK_SIZES % ROCK_FORMS),
        }
    }

    /// Radius of the smallest ball around the centre of mass that holds the shape, metres.
    pub fn outer_radius_m(self) -> f64 {
        match self.0.checked_sub(BALLS) {
            None => f64::from(self.0 + 1) * BALL_RADIUS_STEP_M,
            Some(rock) => f64::from(rock % ROCK_SIZES + 1) * ROCK_RADIUS_STEP_M,
        }
    }

    /// Radius of the largest ball around the centre of mass that the shape holds, metres.
    pub fn inner_radius_m(self) -> f64 {
        self.outer_radius_m() * self.form().map_or(1.0, |form| form.inner_radius)
    }

    /// Cubic metres.
    pub fn volume_m3(self) -> f64 {
        let radius = self.outer_radius_m();
        let unit = self.form().map_or(4.0 / 3.0 * std::f64::consts::PI, |form| form.volume);
        unit * radius * radius * radius
    }

    /// Moment of inertia per mass about every axis, square metres. Rocks have the mean of their principal
    /// moments: with one moment for all axes a free body's spin is constant, and its flight has a formula.
    pub fn inertia_per_mass_m2(self) -> f64 {
        let radius = self.outer_radius_m();
        self.form().map_or(0.4, |form| form.inertia) * radius * radius
    }

    /// Corners and triangles of a rock of outer radius 1 about its centre of mass, for drawing: counter-clockwise
    /// seen from outside. Nothing for a ball.
    pub fn unit_mesh(self) -> Option<(&'static [[f32; 3]], &'static [[u32; 3]])> {
        self.form().map(|form| (form.corners.as_slice(), form.triangles.as_slice()))
    }

    fn form(self) -> Option<&'static Form> {
        match self.kind() {
            ShapeKind::Ball => None,
            ShapeKind::Rock(form) => Some(&FORMS[usize::from(form)]),
        }
    }

    /// The engine's shape, made once per process. A rock whose hull the engine refuses would become a ball; a
    /// test ensures that there is none.
    pub(super) fn shape(self) -> SharedShape {
        static SHAPES: [OnceLock<SharedShape>; ShapeId::COUNT as usize] =
            [const { OnceLock::new() }; ShapeId::COUNT as usize];
        let make = || {
            let radius = self.outer_radius_m() as f32;
            let hull = self.form().and_then(|form| {
                let corners =
                    form.corners.iter().map(|corner| Vector::from_array(corner.map(|part| part * radius)));
                SharedShape::convex_mesh(corners.collect(), &form.triangles)
            });
            hull.unwrap_or_else(|| SharedShape::ball(radius))
        };
        SHAPES
            .get(usize::from(self.0))
            .map_or_else(make, |shape| SharedShape(Arc::clone(&shape.get_or_init(make).0)))
    }
}

fn nearest(radius_m: f64, step_m: f64, count: u16) -> u16 {
    // NaN becomes 0, which gives the smallest.
    ((radius_m / step_m).round().clamp(1.0, f64::from(count)) as u16).max(1) - 1
}

/// Digest of the whole catalogue: equal only where every shape is.
pub fn catalogue_digest() -> Digest {
    let steps = [BALL_RADIUS_STEP_M, ROCK_RADIUS_STEP_M].map(f64::to_le_bytes).concat();
    let counts = [BALLS, ROCK_FORMS, ROCK_SIZES].map(u16::to_le_bytes).concat();
    let mut forms = Vec::new();
    for form in FORMS.iter() {
        form.corners.iter().flatten().for_each(|part| forms.extend(part.to_le_bytes()));
        form.triangles.iter().flatten().for_each(|corner| forms.extend(corner.to_le_bytes()));
        for part in [form.inner_radius, form.volume, form.inertia] {
            forms.extend(part.to_le_bytes());
        }
    }
    Digest::of_parts(&[b"physics catalogue", &steps, &counts, &forms])
}

/// A rock of outer radius 1 about its centre of mass.
struct Form {
    corners: Vec<[f32; 3]>,
    triangles: Vec<[u32; 3]>,
    inner_radius: f64,
    volume: f64,
    inertia: f64,
}

static FORMS: LazyLock<Vec<Form>> =
    LazyLock::new(|| (0..ROCK_FORMS).map(|form| Form::new(form.into())).collect());

/// The upper bits of a linear congruential generator: random enough for the looks of rocks.
struct Noise(u64);

impl Noise {
    /// -1 to 1 in steps of 2^-23, so that every machine gets the same number.
    fn signed(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 40) as u32) / f64::from(1 << 23) - 1.0
    }
}

impl Form {
    fn new(number: u64) -> Self {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15 ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let mut directions: Vec<Vec3> = Vec::new();
        // Directions that keep apart; the distance shrinks with each failed try, so at most a few hundred
        // tries are needed.
        let mut apart = 0.75;
        while directions.len() < ROCK_CORNERS {
            let try_out = [noise.signed(), noise.signed(), noise.signed()];
            let long = length(try_out);
            if !(0.1..=1.0).contains(&long) {
                continue;
            }
            let unit = scale(try_out, 1.0 / long);
            if directions.iter().all(|other| length(sub(unit, *other)) > apart) {
                directions.push(unit);
            } else {
                apart *= 0.98;
            }
        }
        let points: Vec<Vec3> =
            directions.into_iter().map(|unit| scale(unit, 0.9 + 0.1 * noise.signed())).collect();
        let centre = Solid::of(&hull_of(&points)).centre;
        let points: Vec<Vec3> = points.into_iter().map(|point| sub(point, centre)).collect();
        let outer = points.iter().map(|point| length(*point)).fold(0.0, f64::max);
        let points: Vec<Vec3> = points.into_iter().map(|point| scale(point, 1.0 / outer)).collect();
        let hull = hull_of(&points);
        let solid = Solid::of(&hull);
        let inner_radius =
            hull.1.iter().map(|triangle| plane_distance(&hull.0, *triangle)).fold(1.0, f64::min);
        let corners = hull.0.iter().map(|corner| corner.map(|part| part as f32)).collect();
        Self {
            corners,
            triangles: hull.1,
            // A little less, since the corners lose precision as f32.
            inner_radius: inner_radius - 1e-4,
            volume: solid.volume,
            inertia: solid.inertia,
        }
    }
}

type Hull = (Vec<Vec3>, Vec<[u32; 3]>);

/// The convex hull with the corners as the engine rounds them.
fn hull_of(points: &[Vec3]) -> Hull {
    let points: Vec<Vector> =
        points.iter().map(|point| Vector::from_array(point.map(|part| part as f32))).collect();
    let (corners, triangles) = convex_hull(&points);
    (corners.into_iter().map(|corner| corner.to_array().map(f64::from)).collect(), triangles)
}

fn corners_of(corners: &[Vec3], triangle: [u32; 3]) -> [Vec3; 3] {
    triangle.map(|corner| corners[corner as usize])
}

/// Distance of the origin from a triangle's plane.
fn plane_distance(corners: &[Vec3], triangle: [u32; 3]) -> f64 {
    let [a, b, c] = corners_of(corners, triangle);
    let normal = cross(sub(b, a), sub(c, a));
    dot(normal, a) / length(normal)
}

/// Integrals over a solid's tetrahedra from the origin.
struct Solid {
    volume: f64,
    centre: Vec3,
    /// Mean of the principal moments about the origin, per mass: two thirds of the mean square distance.
    inertia: f64,
}

impl Solid {
    fn of((corners, triangles): &Hull) -> Self {
        let (mut volume, mut moment, mut square) = (0.0, [0.0; 3], 0.0);
        for triangle in triangles {
            let [a, b, c] = corners_of(corners, *triangle);
            let part = dot(a, cross(b, c)) / 6.0;
            volume += part;
            moment = add(moment, scale(add(add(a, b), c), part / 4.0));
            let products = dot(a, a) + dot(b, b) + dot(c, c) + dot(a, b) + dot(b, c) + dot(c, a);
            square += part * products / 10.0;
        }
        Self { volume, centre: scale(moment, 1.0 / volume), inertia: square / volume * 2.0 / 3.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rocks_are_closed_hulls_about_their_centre_of_mass() {
        for form in 0..ROCK_FORMS {
            let rock = ShapeId::rock(form, 8.0);
            assert_eq!((rock.kind(), rock.outer_radius_m()), (ShapeKind::Rock(form), 8.0));
            let (corners, triangles) = rock.unit_mesh().unwrap();
            assert_eq!(triangles.len(), 2 * corners.len() - 4, "Euler's formula for triangles");
            let hull = (corners.iter().map(|corner| corner.map(f64::from)).collect(), triangles.to_vec());
            let solid = Solid::of(&hull);
            assert!(length(solid.centre) < 1e-5, "{:?}", solid.centre);
            assert!((0.2..0.42).contains(&solid.inertia), "{}", solid.inertia);
            let (inner, ball) = (rock.inner_radius_m() / 8.0, 4.0 / 3.0 * std::f64::consts::PI);
            assert!(
                (0.55..1.0).contains(&inner) && solid.volume < ball && solid.volume > ball * inner.powi(3)
            );
            let mesh = rock.shape();
            assert!(mesh.as_convex_polyhedron().is_some(), "form {form} is no hull to the engine");
            for corner in mesh.as_convex_polyhedron().unwrap().points() {
                assert!(f64::from(corner.length()) <= 8.0 + 1e-5);
            }
        }
    }

    #[test]
    fn every_id_names_a_shape_of_its_size() {
        for id in (0..ShapeId::COUNT).map(ShapeId) {
            assert!(id.inner_radius_m() > 0.0 && id.inner_radius_m() <= id.outer_radius_m());
            let same = match id.kind() {
                ShapeKind::Ball => ShapeId::ball(id.outer_radius_m()),
                ShapeKind::Rock(form) => ShapeId::rock(form, id.outer_radius_m()),
            };
            assert_eq!(same, id);
            let is_hull = id.shape().as_convex_polyhedron().is_some();
            assert_eq!(is_hull, id.kind() != ShapeKind::Ball);
        }
        assert_eq!(ShapeId::ball(f64::NAN), ShapeId(0));
        assert_eq!(ShapeId::ball(1e9), ShapeId(BALLS - 1));
    }

    /// If this changes, so does the protocol identity: old and new builds will not talk.
    #[test]
    fn the_catalogue_is_the_one_everybody_has() {
        assert_eq!(&catalogue_digest().to_string()[..16], "7aa338c0455b6a60");
    }
}
