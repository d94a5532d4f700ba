//! Sampling the light of a glowing sphere or capsule (next event estimation).

use glam::Vec3;

use super::random::sin_cos_turns;
use super::scene::{CAPSULE, Light, Primitive, Scene};
use super::surface::{basis, out_of};

/// A sampled point of a light.
pub(super) struct LightPoint {
    /// Towards it, length 1.
    pub direction: Vec3,
    pub distance: f32,
    /// Solid angle that the point stands for, divided by the probability that this light was chosen.
    pub weight: f32,
    /// The light.
    pub primitive: u32,
}

impl Scene {
    /// One of the lights, the likelier the brighter it is at `from`, and a point of it; never object `skip`.
    pub(super) fn light_at(&self, from: Vec3, skip: u32, choice: f32, point: [f32; 2]) -> Option<LightPoint> {
        let total: f32 = self.lights.iter().map(|light| self.pull(light, from, skip)).sum();
        let mut left = choice * total;
        let mut chosen = None;
        for light in &self.lights {
            let pull = self.pull(light, from, skip);
            if pull > 0.0 {
                chosen = Some((light, pull));
                left -= pull;
                if left < 0.0 {
                    break;
                }
            }
        }
        let (light, pull) = chosen?;
        let mut found = self.primitives[light.primitive as usize].look(light, from, point)?;
        found.weight *= total / pull;
        Some(found)
    }

    /// How likely a light is sampled from a point, without scale.
    fn pull(&self, light: &Light, from: Vec3, skip: u32) -> f32 {
        if light.primitive == skip {
            return 0.0;
        }
        let primitive = &self.primitives[light.primitive as usize];
        let middle = Vec3::from(primitive.position) + 0.5 * Vec3::from(primitive.axis);
        light.weight / ((middle - from).length_squared() + primitive.radius * primitive.radius)
    }
}

impl Primitive {
    fn look(&self, light: &Light, from: Vec3, point: [f32; 2]) -> Option<LightPoint> {
        if self.shape == CAPSULE {
            self.look_capsule(light, from, point)
        } else {
            self.look_sphere(light, from, point)
        }
    }

    /// A uniform direction in the cone that the sphere fills.
    fn look_sphere(&self, light: &Light, from: Vec3, point: [f32; 2]) -> Option<LightPoint> {
        let to = Vec3::from(self.position) - from;
        let (distance_square, radius_square) = (to.length_squared(), self.radius * self.radius);
        if distance_square <= radius_square * 1.000_1 {
            return None;
        }
        let middle = to / distance_square.sqrt();
        let sin_square = radius_square / distance_square;
        // 1 - cos without loss of precision at small angles.
        let cap = sin_square / (1.0 + (1.0 - sin_square).sqrt());
        let off = point[1] * cap;
        let (sin, cos) = sin_cos_turns(point[0]);
        let (height, across) = (1.0 - off, (off * (2.0 - off)).sqrt());
        let direction = out_of(basis(middle), middle, Vec3::new(across * cos, across * sin, height));
        let along = to.dot(direction);
        let left = radius_square - (distance_square - along * along);
        let distance = along - if left > 0.0 { left.sqrt() } else { 0.0 };
        let weight = std::f32::consts::TAU * cap;
        Some(LightPoint { direction, distance, weight, primitive: light.primitive })
    }

    /// A uniform point of the surface, or the opposite one if the point faces away: of two opposite points at
    /// most one faces a given place.
    fn look_capsule(&self, light: &Light, from: Vec3, point: [f32; 2]) -> Option<LightPoint> {
        let axis = Vec3::from(self.axis);
        let length = axis.length();
        let up = axis / length;
        let (sin, cos) = sin_cos_turns(point[0]);
        // Area along the capsule: the side, then the two halves of a ball.
        let along = point[1] * (length + 2.0 * self.radius);
        let (outwards, share) = if along < length {
            (Vec3::new(cos, sin, 0.0), along / length)
        } else {
            let height = (along - length) / self.radius - 1.0;
            let left = 1.0 - height * height;
            let across = if left > 0.0 { left.sqrt() } else { 0.0 };
            (Vec3::new(across * cos, across * sin, height), if height > 0.0 { 1.0 } else { 0.0 })
        };
        let mut normal = out_of(basis(up), up, outwards);
        let mut place = Vec3::from(self.position) + share * axis + self.radius * normal;
        let mut to = place - from;
        if to.dot(normal) >= 0.0 {
            normal = -normal;
            let other = if along < length { share } else { 1.0 - share };
            place = Vec3::from(self.position) + other * axis + self.radius * normal;
            to = place - from;
        }
        let facing = -to.dot(normal);
        let distance_square = to.length_squared();
        if facing <= 0.0 || distance_square < 1e-8 {
            return None;
        }
        let distance = distance_square.sqrt();
        // One of each pair of opposite points is sampled, so the points stand for half the area.
        let weight = 0.5 * light.area * facing / (distance * distance_square);
        Some(LightPoint { direction: to / distance, distance, weight, primitive: light.primitive })
    }
}
