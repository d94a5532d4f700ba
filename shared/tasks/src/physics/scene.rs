//! Values that are derived once from a spec and used by all its segments.

use std::borrow::Cow;

use super::STEP_S;
use super::quanta::POSITION_STEPS_PER_M;
use super::spec::PhysicsSpec;
use super::vector::{Vec3, add, dot, scale, sub};

/// Greatest value of `d / (d² + 1)^1.5`.
pub(super) const PULL_SHAPE_MAX: f64 = 0.384_900_2;

/// A body's constants.
pub(super) struct Facts {
    pub mass: f64,
    pub inertia: f64,
    pub outer: f64,
    pub inner: f64,
    pub speed_cap: f64,
    pub spin_cap: f64,
}

struct Pull {
    position: Vec3,
    strength: f64,
    softness_squared: f64,
}

/// An admitted spec with everything derived from it.
pub(super) struct PhysicsScene<'s> {
    pub spec: Cow<'s, PhysicsSpec>,
    pub facts: Vec<Facts>,
    /// The engine moves nothing faster than this.
    pub speed_max: f64,
    /// No attractor field is stronger than this anywhere.
    pub pull_max: f64,
    /// Seconds of a segment.
    pub segment_s: f64,
    pub steps: u32,
    /// Half extents of the walls along x and z, metres.
    pub walls: Option<[f64; 2]>,
    pulls: Vec<Pull>,
}

impl<'s> PhysicsScene<'s> {
    /// The caller has checked the material indices of `spec`: a body with an unknown material would get no facts, and
    /// shift those of the bodies after it.
    pub fn new(spec: Cow<'s, PhysicsSpec>) -> Self {
        let facts: Vec<Facts> = spec
            .bodies
            .iter()
            .filter_map(|body| {
                let material = spec.materials.get(usize::from(body.material))?;
                let mass = f64::from(material.density) * body.shape.volume_m3();
                Some(Facts {
                    mass,
                    inertia: mass * body.shape.inertia_per_mass_m2(),
                    outer: body.shape.outer_radius_m(),
                    inner: body.shape.inner_radius_m(),
                    speed_cap: material.speed_cap_m_s(),
                    spin_cap: material.spin_cap_rad_s(),
                })
            })
            .collect();
        let pulls: Vec<Pull> = spec
            .attractors
            .iter()
            .map(|attractor| {
                let softness = f64::from(attractor.softness) / 4.0;
                Pull {
                    position: attractor.position.map(|part| f64::from(part) / POSITION_STEPS_PER_M),
                    strength: attractor.strength.into(),
                    softness_squared: softness * softness,
                }
            })
            .collect();
        let metres = |steps: i32| f64::from(steps) / POSITION_STEPS_PER_M;
        Self {
            speed_max: facts.iter().map(|body| body.speed_cap).fold(0.0, f64::max),
            pull_max: pulls.iter().map(|pull| pull.strength.abs() / pull.softness_squared).sum::<f64>()
                * PULL_SHAPE_MAX,
            segment_s: f64::from(spec.steps) * STEP_S,
            steps: spec.steps.into(),
            walls: spec.walls.map(|walls| [metres(walls.half_x), metres(walls.half_z)]),
            facts,
            pulls,
            spec,
        }
    }

    /// The same scene, which owns its spec.
    pub fn into_owned(self) -> PhysicsScene<'static> {
        let Self { spec, facts, speed_max, pull_max, segment_s, steps, walls, pulls } = self;
        let spec = Cow::Owned(spec.into_owned());
        PhysicsScene { spec, facts, speed_max, pull_max, segment_s, steps, walls, pulls }
    }

    /// Acceleration by all attractors at `position`.
    pub fn pull(&self, position: Vec3) -> Vec3 {
        self.pulls.iter().fold([0.0; 3], |sum, pull| {
            let way = sub(pull.position, position);
            let square = dot(way, way) + pull.softness_squared;
            let mut pulled = scale(way, pull.strength / (square * square.sqrt()));
            if self.spec.planar {
                pulled[1] = 0.0;
            }
            add(sum, pulled)
        })
    }

    /// Whether anything pulls.
    pub fn is_pulled(&self) -> bool {
        !self.pulls.is_empty()
    }
}
