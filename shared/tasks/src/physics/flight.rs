//! The one formula by which an untouched body flies. Both sides compute it, so it costs no bytes.
//!
//! Without attractors: after `t` seconds the position is `p + v·t` and the rotation `exp(ω·t)·q`, in closed
//! form, and velocity and spin stay. With attractors, each sixtieth of a second adds the pull at its start to
//! the velocity, cuts the velocity to the material's cap and then moves the position by it; spin and rotation
//! are as without. At a segment's end the result is rounded to the lattice. All of it is `f64` addition,
//! multiplication, division and square root in a fixed order.

use super::STEP_S;
use super::quanta::{Motion, State};
use super::scene::PhysicsScene;
use super::vector::{Vec3, add, capped, compose, scale, turn};
use crate::fuel::Stop;
use crate::kind::KernelError;

/// Straight flight for `seconds`, which may be negative.
pub(super) fn glide(motion: &Motion, seconds: f64) -> Motion {
    Motion {
        position: add(motion.position, scale(motion.velocity, seconds)),
        rotation: compose(turn(scale(motion.spin, seconds)), motion.rotation),
        ..*motion
    }
}

/// One step of an attracted body's centre; also how the engine's bodies are pulled.
pub(super) fn pulled(scene: &PhysicsScene<'_>, speed_cap: f64, position: Vec3, velocity: Vec3) -> Vec3 {
    capped(add(velocity, scale(scene.pull(position), STEP_S)), speed_cap)
}

/// The flight of body `index` from `start`, `ticks` sixtieths of a second on.
pub(super) fn fly(scene: &PhysicsScene<'_>, index: usize, start: &State, ticks: f64) -> Motion {
    let mut motion = glide(&start.motion(), ticks * STEP_S);
    if scene.is_pulled() {
        let (mut position, mut velocity) = (start.position_m(), start.velocity_m_s());
        let mut left = ticks;
        while left > 0.0 {
            velocity = pulled(scene, scene.facts[index].speed_cap, position, velocity);
            position = add(position, scale(velocity, left.min(1.0) * STEP_S));
            left -= 1.0;
        }
        (motion.position, motion.velocity) = (position, velocity);
    }
    motion
}

/// Where an untouched body is at the end of a segment.
pub(super) fn landing(scene: &PhysicsScene<'_>, index: usize, start: &State) -> State {
    State::of(&fly(scene, index, start, scene.steps.into()))
}

/// The centres of all bodies at every tick of a segment, as if none were touched.
pub(super) struct Paths {
    starts: Vec<Vec3>,
    velocities: Vec<Vec3>,
    /// With attractors: body by body, the centre at every tick from 0 to the last.
    curved: Vec<Vec3>,
    /// By body, whether it neither moves nor turns and nothing pulls it.
    still: Vec<bool>,
    steps: u32,
}

impl Paths {
    /// Flies all bodies from `start`, unless `stop` is set on the way.
    pub fn of(scene: &PhysicsScene<'_>, start: &[State], stop: &Stop) -> Result<Self, KernelError> {
        let starts: Vec<Vec3> = start.iter().map(State::position_m).collect();
        let velocities: Vec<Vec3> = start.iter().map(State::velocity_m_s).collect();
        let mut curved = Vec::new();
        if scene.is_pulled() {
            curved.reserve(start.len() * (scene.steps as usize + 1));
            for (index, body) in scene.facts.iter().enumerate() {
                stop.goes_on()?;
                let (mut position, mut velocity) = (starts[index], velocities[index]);
                curved.push(position);
                for _ in 0..scene.steps {
                    velocity = pulled(scene, body.speed_cap, position, velocity);
                    position = add(position, scale(velocity, STEP_S));
                    curved.push(position);
                }
            }
        }
        let still = start.iter().map(|state| !scene.is_pulled() && state.is_still()).collect();
        Ok(Self { starts, velocities, curved, still, steps: scene.steps })
    }

    /// Centre of `body` at `tick`.
    pub fn at(&self, body: usize, tick: u32) -> Vec3 {
        if self.curved.is_empty() {
            add(self.starts[body], scale(self.velocities[body], f64::from(tick) * STEP_S))
        } else {
            self.curved[body * (self.steps as usize + 1) + tick as usize]
        }
    }

    pub fn velocity(&self, body: usize) -> Vec3 {
        self.velocities[body]
    }

    /// Whether a body stays as it is until it is touched.
    pub fn is_still(&self, body: usize) -> bool {
        self.still[body]
    }

    pub fn is_straight(&self) -> bool {
        self.curved.is_empty()
    }

    /// The box that holds `body`'s centre throughout.
    pub fn bounds(&self, body: usize) -> (Vec3, Vec3) {
        let span = |(low, high): (Vec3, Vec3), at: Vec3| {
            let pick = |a: Vec3, by: fn(f64, f64) -> f64| [by(a[0], at[0]), by(a[1], at[1]), by(a[2], at[2])];
            (pick(low, f64::min), pick(high, f64::max))
        };
        let first = self.at(body, 0);
        if self.is_straight() {
            return span((first, first), self.at(body, self.steps));
        }
        (1..=self.steps).fold((first, first), |bounds, tick| span(bounds, self.at(body, tick)))
    }
}
