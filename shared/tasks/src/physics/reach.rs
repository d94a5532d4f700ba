//! The distances within which bodies in the engine may touch, so that the cost of a tick is known before it begins.

use rapier3d::prelude::Vector;

use super::ShapeKind;
use super::scene::PhysicsScene;

/// Whether `body` is a ball; a number that is no body counts as a ball.
pub(super) fn is_ball(scene: &PhysicsScene<'_>, body: u16) -> bool {
    let body = scene.spec.bodies.get(usize::from(body));
    body.is_some_and(|body| body.shape.kind() == ShapeKind::Ball)
}

/// A body in the engine, and how far from its centre it may touch anything.
pub(super) struct Reach {
    pub at: Vector,
    /// Metres from its centre within which it may touch anything.
    pub radius: f32,
    pub is_ball: bool,
}

impl Reach {
    /// Lower end of its reach along x.
    pub fn low(&self) -> f32 {
        self.at.x - self.radius
    }

    /// Whether two reaches that overlap along x also overlap along the other axes.
    pub fn is_near(&self, other: &Self) -> bool {
        let near = self.radius + other.radius;
        (self.at.y - other.at.y).abs() <= near && (self.at.z - other.at.z).abs() <= near
    }

    /// Walls within reach.
    pub fn walls(&self, halves: Option<[f64; 2]>) -> u64 {
        let Some([x, z]) = halves else { return 0 };
        u64::from(self.at.x.abs() + self.radius > x as f32)
            + u64::from(self.at.z.abs() + self.radius > z as f32)
    }
}
