//! Gravity wells: points that attract the ship, bullets and rocks, and in whose core rocks and bullets end.
//! Enemies have the engines to ignore them.
//!
//! The pull is that of the kind `physics`: `strength · d / (d² + softness²)^1.5` at the distance `d`. Rocks are
//! heavy and feel only a share of it, [`SectorRules::well_rocks`]. A well's numbers lie on that kind's lattice, so
//! that the pull on carried rocks (by the kernel) equals that on loose rocks (by the arena).

use p2c2r_tasks::physics::{Attractor, Motion, POSITION_STEPS_PER_M, STEP_S};

use crate::arena::Arena;
use crate::config::SectorRules;
use crate::events::ArenaEvent;
use crate::plane::lifted;
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;

/// Softness steps per metre.
const SOFTNESS_STEPS_PER_M: f32 = 4.0;

/// A gravity well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Well {
    /// Its middle, metres.
    pub position: Vec2,
    /// Radius in which rocks and bullets end, metres.
    pub core: f32,
    /// Pull on ship and bullets, cubic metres per second squared.
    strength: f32,
    /// Pull on rocks, the same unit.
    rock_strength: i32,
    /// In quarters of a metre.
    softness: u16,
}

impl Well {
    /// A well at the lattice point near `position`.
    pub(crate) fn new(rules: &SectorRules, position: Vec2) -> Self {
        let steps = POSITION_STEPS_PER_M as f32;
        // Arenas reach 128 m out, so that all lattice points are exact in `f32`.
        let on_lattice = |along: f32| ((along * steps) as i32) as f32 / steps;
        Self {
            position: Vec2::new(on_lattice(position.x), on_lattice(position.y)),
            core: rules.well_core,
            strength: rules.well_strength,
            rock_strength: (rules.well_strength * rules.well_rocks) as i32,
            softness: (rules.well_softness * SOFTNESS_STEPS_PER_M) as u16,
        }
    }

    /// Acceleration of ship or bullets at `place`, m/s².
    fn pull(&self, place: Vec2) -> Vec2 {
        let way = self.position - place;
        let softness = f32::from(self.softness) / SOFTNESS_STEPS_PER_M;
        let square = way.length_squared() + softness * softness;
        way * (self.strength / (square * square.sqrt()))
    }

    /// Acceleration of a rock at `place`, m/s², along x and z of the kind `physics`.
    fn rock_pull(&self, place: [f64; 3]) -> [f64; 2] {
        let centre = lifted(self.position);
        let (x, z) = (centre[0] - place[0], centre[2] - place[2]);
        let softness = f64::from(self.softness) / f64::from(SOFTNESS_STEPS_PER_M);
        let square = x * x + z * z + softness * softness;
        let scale = f64::from(self.rock_strength) / (square * square.sqrt());
        [x * scale, z * scale]
    }

    /// Speed at which a rock at `distance` circles the well, m/s.
    pub(crate) fn circling_speed(&self, distance: f32) -> f32 {
        let softness = f32::from(self.softness) / SOFTNESS_STEPS_PER_M;
        let square = distance * distance + softness * softness;
        (self.rock_strength as f32 * distance * distance / (square * square.sqrt())).sqrt()
    }

    /// This well for the kernel of `physics`.
    pub(crate) fn attractor(&self) -> Attractor {
        let position = lifted(self.position).map(|part| (part * POSITION_STEPS_PER_M) as i32);
        Attractor { position, strength: self.rock_strength, softness: self.softness }
    }

    /// Whether `place` is in its core.
    pub(crate) fn swallows(&self, place: Vec2) -> bool {
        place.distance_squared(self.position) < self.core * self.core
    }
}

/// Acceleration of ship or bullets at `place` by all wells, m/s².
pub(crate) fn pull(wells: &[Well], place: Vec2) -> Vec2 {
    wells.iter().fold(Vec2::ZERO, |sum, well| sum + well.pull(place))
}

/// One tick of a rock's centre, in the kernel's order: the pull, the cap, then the movement.
pub(crate) fn pulled(wells: &[Well], motion: &mut Motion, speed_cap: f64) {
    for well in wells {
        let [x, z] = well.rock_pull(motion.position);
        motion.velocity[0] += x * STEP_S;
        motion.velocity[2] += z * STEP_S;
    }
    let [x, _, z] = motion.velocity;
    let speed = (x * x + z * z).sqrt();
    if speed > speed_cap {
        motion.velocity = motion.velocity.map(|part| part * (speed_cap / speed));
    }
    motion.position[0] += motion.velocity[0] * STEP_S;
    motion.position[2] += motion.velocity[2] * STEP_S;
}

impl Arena {
    /// The gravity wells of the present sector.
    pub fn wells(&self) -> &[Well] {
        &self.sector.wells
    }

    /// Removes the rocks that have come into a core, without points.
    pub(crate) fn swallow_rocks(&mut self, events: &mut Vec<ArenaEvent>) {
        let wells = &self.sector.wells;
        self.rocks.retain(|rock| {
            let swallowed = wells.iter().any(|well| well.swallows(rock.position));
            if swallowed {
                let (id, at, radius) = (rock.id, rock.position, rock.radius);
                events.push(ArenaEvent::RockDestroyed { id, at, radius, pieces: 0 });
                events.push(ArenaEvent::Explosion { at, size: radius });
            }
            !swallowed
        });
    }
}

impl Recorded for Well {
    fn record(&self, record: &mut Record) {
        let Self { position, core, strength, rock_strength, softness } = self;
        record.add(position);
        record.each([core, strength]);
        // Two's complement keeps the sign.
        record.add(&(*rock_strength as u32));
        record.add(softness);
    }
}
