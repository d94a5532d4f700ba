//! Bodies of every sort, apart or in one another, at rest or at full speed.

use p2c2r_tasks::Blobs;
use p2c2r_tasks::physics::{
    Attractor, Body, BodyMaterial, Motion, POSITION_STEPS_PER_M, Physics, PhysicsSpec, ShapeId, State, Walls,
};

use crate::scenes;
use crate::seeded::Seeded;
use crate::worst::{self, Genome};

#[derive(Clone, Copy, Debug)]
pub struct Bodies {
    count: u64,
    segments: u64,
    steps: u64,
    /// Metres from the middle that they start within, and that they fly to.
    spread: f64,
    aim: f64,
    /// Share of the speed cap.
    speed: f64,
    /// Percentage at rest.
    resting: u64,
    /// Percentage of balls, and the largest size of all, in eighths of a metre.
    balls: u64,
    size: u64,
    planar: bool,
    walls: Option<u64>,
    attractors: u64,
    restitution: u64,
    seed: u64,
}

impl Genome for Bodies {
    type Kind = Physics;

    fn random(seeded: &mut Seeded) -> Self {
        let share = |seeded: &mut Seeded| seeded.below(1_001) as f64 / 1_000.0;
        Self {
            count: 1 + worst::skewed(seeded, 7),
            segments: 1 + seeded.below(16).min(seeded.below(16)),
            steps: 1 + seeded.below(30),
            spread: 40.0 * share(seeded) * share(seeded),
            aim: 10.0 * share(seeded) * share(seeded),
            speed: share(seeded),
            resting: (seeded.below(2) * seeded.below(101)).max(seeded.below(4) / 3 * 95),
            balls: seeded.below(101),
            size: 1 + worst::skewed(seeded, 5),
            planar: seeded.below(2) == 0,
            walls: (seeded.below(3) == 0).then(|| 4 + seeded.below(30)),
            attractors: seeded.below(9) / 5 * seeded.below(5),
            restitution: seeded.below(256),
            seed: seeded.bits(),
        }
    }

    fn varied(&self, seeded: &mut Seeded) -> Self {
        let (mut varied, other) = (*self, Self::random(seeded));
        match seeded.below(13) {
            0 => varied.count = other.count,
            1 => varied.segments = other.segments,
            2 => varied.steps = other.steps,
            3 => varied.spread = other.spread,
            4 => varied.aim = other.aim,
            5 => varied.speed = other.speed,
            6 => varied.balls = other.balls,
            7 => varied.size = other.size,
            8 => varied.walls = other.walls,
            9 => varied.attractors = other.attractors,
            10 => varied.restitution = other.restitution,
            11 => varied.resting = other.resting,
            _ => varied.seed = other.seed,
        }
        varied
    }

    fn typical() -> (PhysicsSpec, Blobs) {
        (PhysicsSpec { segments: 3, steps: 20, ..scenes::arena(60, 1) }, Blobs::default())
    }

    fn spec(&self) -> (PhysicsSpec, Blobs) {
        let mut seeded = Seeded(self.seed);
        let planar = self.planar || self.walls.is_some();
        let way = move |seeded: &mut Seeded, reach: f64| {
            let mut way = [0; 3].map(|_| (seeded.below(2_001) as f64 / 1_000.0 - 1.0) * reach);
            if planar {
                way[1] = 0.0;
            }
            way
        };
        let material =
            BodyMaterial { restitution: self.restitution as u8, speed_cap: 256, ..BodyMaterial::ROCK };
        let spread = self.walls.map_or(self.spread, |half| self.spread.min(half as f64));
        let bodies = (0..self.count)
            .map(|number| {
                let size = (1 + seeded.below(self.size)) as f64 / 8.0;
                let shape = if seeded.below(100) < self.balls {
                    ShapeId::ball(size)
                } else {
                    ShapeId::rock(seeded.below(8) as u16, size)
                };
                let position = way(&mut seeded, spread);
                let goal = way(&mut seeded, self.aim);
                let to = [0, 1, 2].map(|axis| goal[axis] - position[axis]);
                let long = to.iter().map(|part| part * part).sum::<f64>().sqrt().max(1e-3);
                let speed = if seeded.below(100) < self.resting { 0.0 } else { 63.0 * self.speed };
                let velocity = to.map(|part| part / long * speed);
                let motion = Motion { position, velocity, ..Motion::default() };
                Body { id: number as u32, shape, material: 0, state: State::of(&motion) }
            })
            .collect();
        let attractors = (0..self.attractors).map(|_| Attractor {
            position: way(&mut seeded, self.spread).map(|part| (part * POSITION_STEPS_PER_M) as i32),
            strength: 40,
            softness: 8,
        });
        let half = |half: u64| (half as f64 * POSITION_STEPS_PER_M) as i32;
        let spec = PhysicsSpec {
            base: None,
            segments: self.segments as u8,
            steps: self.steps as u8,
            planar,
            walls: self.walls.map(|metres| Walls { half_x: half(metres), half_z: half(metres) }),
            attractors: attractors.collect(),
            materials: vec![material],
            bodies,
        };
        (spec, Blobs::default())
    }

    fn slack(&self) -> u64 {
        // A tick of the engine is counted after it, but is not begun if the pairs near one another may take
        // more than is left. The engine may see a few more pairs than those, since its boxes are wider.
        100_000
    }
}

#[test]
fn no_spec_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Bodies>(600, 200, 10_000, 1));
}

#[test]
#[ignore = "takes minutes"]
fn of_100_000_and_1_000_climbed_none_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Bodies>(100_000, 1_000, 50_000, 2));
}
