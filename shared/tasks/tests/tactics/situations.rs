//! Situations that are planned in the tests.

use p2c2r_tasks::tactics::{
    Agent, Behaviour, Bolt, Class, LEAD_LEGS, Leg, POSITION_STEPS_PER_M, Planner, RoundRock, Tactics,
    TacticsOutcome, TacticsSpec,
};
use p2c2r_tasks::{Blobs, Stop, TaskKind};

use crate::seeded::Seeded;

impl Seeded {
    /// A place within so many metres of the middle.
    fn place(&mut self, reach_m: f32) -> [i16; 2] {
        let reach = (reach_m * POSITION_STEPS_PER_M) as u64;
        [0; 2].map(|_| (self.below(2 * reach + 1) as i64 - reach as i64) as i16)
    }
}

/// A gunner that keeps its distance.
pub const WINGMAN: Class = Class {
    second_side: false,
    behaviour: Behaviour::Circle,
    radius: 19,
    speed: 72,
    agility: 32,
    turn: 160,
    standoff: 36,
    salvo: 1,
    fan: 0,
    sight: 72,
    cooldown: 3,
    bolt_speed: 120,
    bolt_steps: 13,
    spread: 8,
    leads: true,
    damage: 1,
    ram: 0,
    mercy: 5,
    fragile: false,
    plates: i8::MAX,
    hull_worth: 6,
    life_worth: 12,
};

const SHIP: Class = Class {
    behaviour: Behaviour::Roam,
    speed: 80,
    agility: 13,
    spread: 26,
    hull_worth: 8,
    life_worth: 24,
    ..WINGMAN
};

const RAMMER: Class = Class {
    second_side: true,
    behaviour: Behaviour::Hunt,
    radius: 22,
    speed: 52,
    agility: 40,
    standoff: 0,
    salvo: 0,
    ram: 2,
    mercy: 0,
    fragile: true,
    hull_worth: 4,
    life_worth: 4,
    ..WINGMAN
};

const GUNNER: Class = Class {
    second_side: true,
    behaviour: Behaviour::Keep,
    radius: 22,
    speed: 38,
    agility: 40,
    sight: 80,
    cooldown: 20,
    bolt_speed: 64,
    bolt_steps: 23,
    spread: 20,
    leads: false,
    hull_worth: 4,
    life_worth: 4,
    ..WINGMAN
};

const BOSS: Class = Class {
    second_side: true,
    radius: 51,
    speed: 27,
    turn: 26,
    salvo: 3,
    fan: 28,
    cooldown: 28,
    ram: 2,
    plates: 64,
    ..GUNNER
};

/// A fight in the game's arena: the ship, a wingman that plans, and others; in every third fight also a boss that plans.
pub fn fight(rammers: usize, gunners: usize, seed: u64) -> TacticsSpec {
    let mut seeded = Seeded(seed);
    let mut agent = |class: u8, hull: u8, reach_m: f32| Agent {
        class,
        position: seeded.place(reach_m),
        velocity: seeded.place(5.0),
        heading: [0, 127],
        hull,
        cooldown: seeded.below(20) as u8,
        mercy: 0,
        left: class.is_multiple_of(2),
    };
    let mut agents = vec![agent(0, 4, 5.0), agent(1, 3, 8.0)];
    agents.extend((0..rammers).map(|_| agent(2, 1, 24.0)));
    agents.extend((0..gunners).map(|_| agent(3, 2, 24.0)));
    let mut planners = vec![planner(1)];
    if seed.is_multiple_of(3) {
        planners.push(planner(agents.len() as u8));
        agents.push(agent(4, 20, 20.0));
    }
    let mut seeded = Seeded(!seed);
    let bolts = (0..gunners).map(|_| Bolt {
        second_side: true,
        position: seeded.place(16.0),
        velocity: seeded.place(16.0),
        steps_left: 1 + seeded.below(22) as u8,
        damage: 1,
    });
    let bolts = bolts.collect();
    let rocks = (0..30).map(|_| RoundRock {
        position: seeded.place(30.0),
        velocity: seeded.place(1.0),
        radius: 19 + seeded.below(46) as u8,
    });
    TacticsSpec {
        seed: seed as u32,
        half: 40 * 64,
        lead_steps: 5,
        candidates: 24,
        futures: 4,
        classes: vec![SHIP, WINGMAN, RAMMER, GUNNER, BOSS],
        agents,
        bolts,
        rocks: rocks.collect(),
        planners,
    }
}

pub fn planner(agent: u8) -> Planner {
    let mut before = [Leg::Rule; LEAD_LEGS];
    before[0] = Leg::Fly(3);
    Planner { agent, before }
}

pub fn run(spec: &TacticsSpec) -> TacticsOutcome {
    Tactics::admit(spec, &Blobs::default()).unwrap();
    Tactics::run(spec, &Blobs::default(), &Stop::never()).unwrap()
}
