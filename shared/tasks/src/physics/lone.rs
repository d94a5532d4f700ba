//! The bodies that stay out of the engine until one in it comes near them.

use super::flight::Paths;
use super::meet::{SegmentStart, wall_near, with_neighbours};
use super::scene::PhysicsScene;
use super::vector::{Vec3, dot, sub};

/// The bodies that are not in the engine, by where their paths begin along x.
pub(super) struct Lone {
    /// The least x of a body's path, and the body.
    pub by_x: Vec<(f64, usize)>,
    /// No path is longer than this along x.
    width: f64,
    outer_max: f64,
    /// By body, the bodies that it rests beside; empty if none rest.
    beside: Vec<Vec<u16>>,
}

impl Lone {
    pub fn new(scene: &PhysicsScene<'_>, ground: &SegmentStart) -> Self {
        let (paths, near) = (&ground.paths, &ground.near);
        let mut is_lone: Vec<bool> =
            (0..scene.facts.len()).map(|body| !wall_near(scene, paths, body)).collect();
        for pair in &near.pairs {
            is_lone[usize::from(pair.a)] = false;
            is_lone[usize::from(pair.b)] = false;
        }
        let mut beside = Vec::new();
        if !near.resting.is_empty() {
            beside = near.beside(scene.facts.len());
            let entering: Vec<usize> = (0..is_lone.len()).filter(|body| !is_lone[*body]).collect();
            for body in with_neighbours(&beside, entering) {
                is_lone[body] = false;
            }
        }
        let mut lone = Self { by_x: Vec::new(), width: 0.0, outer_max: 0.0, beside };
        for (body, facts) in scene.facts.iter().enumerate().filter(|(body, _)| is_lone[*body]) {
            let (low, high) = paths.bounds(body);
            lone.by_x.push((low[0], body));
            lone.width = lone.width.max(high[0] - low[0]);
            lone.outer_max = lone.outer_max.max(facts.outer);
        }
        lone.by_x.sort_by(|a, b| a.0.total_cmp(&b.0));
        lone
    }

    /// Takes out the bodies whose outer balls are within `reach` of `position` at `tick`, in order of id;
    /// also returns how many it examined.
    pub fn take_near(
        &mut self,
        scene: &PhysicsScene<'_>,
        paths: &Paths,
        tick: u32,
        position: Vec3,
        reach: f64,
    ) -> (Vec<usize>, usize) {
        let far = reach + self.outer_max;
        let from = self.by_x.partition_point(|(x, _)| *x < position[0] - far - self.width);
        let to = self.by_x.partition_point(|(x, _)| *x <= position[0] + far);
        let is_near = |body: usize| {
            let (way, reach) = (sub(paths.at(body, tick), position), reach + scene.facts[body].outer);
            dot(way, way) <= reach * reach
        };
        let window = self.by_x.get(from..to).unwrap_or_default();
        let mut near: Vec<usize> =
            window.iter().map(|(_, body)| *body).filter(|body| is_near(*body)).collect();
        if !near.is_empty() {
            if !self.beside.is_empty() {
                near = with_neighbours(&self.beside, near);
                near.retain(|body| self.by_x.iter().any(|(_, lone)| lone == body));
            }
            self.by_x.retain(|(_, body)| !near.contains(body));
            near.sort_unstable();
        }
        (near, to.saturating_sub(from))
    }
}
