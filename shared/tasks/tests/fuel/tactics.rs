//! Situations of every sort: crowds, guns that fire without pause, rocks in one place, all agents in them.

use p2c2r_tasks::Blobs;
use p2c2r_tasks::tactics::{
    Agent, Behaviour, Bolt, Class, LEAD_LEGS, Leg, Planner, RoundRock, Tactics, TacticsSpec,
};

use crate::fights;
use crate::seeded::Seeded;
use crate::worst::{self, Genome};

#[derive(Clone, Copy, Debug)]
pub struct Fights {
    agents: u64,
    bolts: u64,
    rocks: u64,
    planners: u64,
    candidates: u64,
    futures: u64,
    lead: u64,
    /// Metres that agents and rocks are apart at most, and half the square.
    spread: u64,
    rocks_spread: u64,
    half: u64,
    size: u64,
    /// Properties of guns.
    salvo: u64,
    cooldown: u64,
    sight: u64,
    life: u64,
    bolt_speed: u64,
    /// Metres a second.
    speed: u64,
    hull: u64,
    behaviour: u64,
    seed: u64,
}

impl Genome for Fights {
    type Kind = Tactics;

    fn random(seeded: &mut Seeded) -> Self {
        Self {
            agents: 1 + worst::skewed(seeded, 5).min(31),
            bolts: worst::skewed(seeded, 6),
            rocks: worst::skewed(seeded, 6),
            planners: 1 + seeded.below(4),
            candidates: 1 + worst::skewed(seeded, 6),
            futures: 1 + worst::skewed(seeded, 4),
            lead: seeded.below(31),
            spread: 1 + worst::skewed(seeded, 7),
            rocks_spread: 1 + worst::skewed(seeded, 7),
            half: 8 + worst::skewed(seeded, 7),
            size: 1 + worst::skewed(seeded, 8).min(254),
            salvo: seeded.below(6),
            cooldown: 1 + worst::skewed(seeded, 5),
            sight: worst::skewed(seeded, 8),
            life: 1 + worst::skewed(seeded, 6),
            bolt_speed: 1 + worst::skewed(seeded, 8).min(254),
            speed: worst::skewed(seeded, 5),
            hull: 1 + worst::skewed(seeded, 8).min(254),
            behaviour: seeded.below(4),
            seed: seeded.bits(),
        }
    }

    fn varied(&self, seeded: &mut Seeded) -> Self {
        let (mut varied, other) = (*self, Self::random(seeded));
        match seeded.below(18) {
            0 => varied.agents = other.agents,
            1 => varied.bolts = other.bolts,
            2 => varied.rocks = other.rocks,
            3 => varied.planners = other.planners,
            4 => varied.candidates = other.candidates,
            5 => varied.futures = other.futures,
            6 => varied.lead = other.lead,
            7 => varied.spread = other.spread,
            8 => varied.rocks_spread = other.rocks_spread,
            9 => varied.half = other.half,
            10 => varied.size = other.size,
            11 => varied.salvo = other.salvo,
            12 => varied.cooldown = other.cooldown,
            13 => varied.sight = other.sight,
            14 => varied.life = other.life,
            15 => varied.bolt_speed = other.bolt_speed,
            16 => varied.speed = other.speed,
            _ => (varied.hull, varied.behaviour, varied.seed) = (other.hull, other.behaviour, other.seed),
        }
        varied
    }

    fn typical() -> (TacticsSpec, Blobs) {
        (fights::fight(6, 4, 1), Blobs::default())
    }

    fn spec(&self) -> (TacticsSpec, Blobs) {
        let mut seeded = Seeded(self.seed);
        let mut place = |metres: u64| {
            let reach = 64 * metres.min(self.half);
            [0; 2].map(|_| (seeded.below(2 * reach + 1) as i64 - reach as i64) as i16)
        };
        let class = |second_side: bool| Class {
            second_side,
            behaviour: [Behaviour::Roam, Behaviour::Hunt, Behaviour::Circle, Behaviour::Keep]
                [self.behaviour as usize],
            radius: self.size.min(64) as u8,
            speed: (self.speed * 8).min(255) as u8,
            agility: 40,
            turn: 80,
            standoff: 20,
            salvo: self.salvo as u8,
            fan: 10,
            sight: self.sight as u8,
            cooldown: self.cooldown as u8,
            bolt_speed: self.bolt_speed as u8,
            bolt_steps: self.life as u8,
            spread: 30,
            leads: true,
            damage: 1,
            ram: 0,
            mercy: 0,
            fragile: false,
            plates: i8::MAX,
            hull_worth: 2,
            life_worth: 2,
        };
        let agent = |number: u64| Agent {
            class: (number % 2) as u8,
            position: place(self.spread),
            velocity: [0; 2],
            heading: [1, 0],
            hull: self.hull as u8,
            cooldown: 0,
            mercy: 0,
            left: true,
        };
        let agents: Vec<Agent> = (0..self.agents).map(agent).collect();
        let bolts = (0..self.bolts).map(|number| Bolt {
            second_side: number % 2 == 0,
            position: place(self.spread),
            velocity: place(8),
            steps_left: self.life as u8,
            damage: 1,
        });
        let bolts = bolts.collect();
        let rocks = (0..self.rocks).map(|_| RoundRock {
            position: place(self.rocks_spread),
            velocity: [0; 2],
            radius: self.size as u8,
        });
        let rocks = rocks.collect();
        let planner = |agent: u64| Planner { agent: agent as u8, before: [Leg::Rule; LEAD_LEGS] };
        let spec = TacticsSpec {
            seed: self.seed as u32,
            half: (64 * self.half) as u16,
            lead_steps: self.lead as u8,
            candidates: self.candidates as u16,
            futures: self.futures as u8,
            classes: vec![class(false), class(true)],
            planners: (0..self.planners.min(self.agents)).map(planner).collect(),
            agents,
            bolts,
            rocks,
        };
        (spec, Blobs::default())
    }

    fn slack(&self) -> u64 {
        // A step is counted after it: 32 bodies and 96 bolts that all test 64 rocks and one another.
        32 * (34 + 64 * 9 + 200) + 96 * (14 + 64 * 6 + 32 * 3)
    }
}

#[test]
fn no_spec_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Fights>(400, 200, 5_000, 1));
}

#[test]
#[ignore = "takes minutes"]
fn of_100_000_and_1_000_climbed_none_takes_more_steps_than_it_pays_for() {
    worst::means_something(&worst::search::<Fights>(100_000, 1_000, 50_000, 2));
}

/// Fights as games have them stay below the limit of fuel.
#[test]
fn fights_in_arenas() {
    let mut most = 0.0_f64;
    for seed in 0..12 {
        for (rammers, gunners) in [(0, 0), (4, 0), (2, 9), (12, 6), (14, 14)] {
            let spec = fights::fight(rammers, gunners, seed);
            let name = format!("fight {rammers} {gunners}");
            most = most.max(crate::honest::of_fuel::<Tactics>(&name, &spec, &Blobs::default()));
        }
    }
    assert!(most < 0.8, "{most} of the fuel");
}
