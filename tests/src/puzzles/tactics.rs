//! Small fights: one planner, some attackers, and with every second seed another planner.

use p2c2r_offload::prelude::Blobs;
use p2c2r_tasks::tactics::{
    Agent, Behaviour, Bolt, Class, LEAD_LEGS, Leg, Planner, RoundRock, Tactics, TacticsSpec,
};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::Puzzling;

const WINGMAN: Class = Class {
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

const RAMMER: Class = Class {
    second_side: true,
    behaviour: Behaviour::Hunt,
    speed: 52,
    salvo: 0,
    ram: 2,
    mercy: 0,
    fragile: true,
    ..WINGMAN
};

impl Puzzling for Tactics {
    fn small_task(seed: u64) -> (TacticsSpec, Blobs) {
        let mut random = Pcg32::seed_from_u64(seed);
        let mut place = |reach: i16| [0; 2].map(|_| random.random_range(-reach..=reach));
        let mut agent = |class: u8, reach: i16| Agent {
            class,
            position: place(reach),
            velocity: place(200),
            heading: [0, 100],
            hull: 3,
            cooldown: 4,
            mercy: 0,
            left: true,
        };
        let mut agents: Vec<Agent> = vec![agent(0, 300), agent(0, 600)];
        agents.extend((0..4).map(|_| agent(1, 1_200)));
        let bolt = |_| Bolt {
            second_side: true,
            position: place(900),
            velocity: place(900),
            steps_left: 12,
            damage: 1,
        };
        let bolts = (0..3).map(bolt).collect();
        let rock = |_| RoundRock { position: place(1_500), velocity: place(60), radius: 40 };
        let rocks = (0..8).map(rock).collect();
        let planner = |agent: u8| Planner { agent, before: [Leg::Rule; LEAD_LEGS] };
        let planners = (0..=(seed % 2) as u8).map(planner).collect();
        let spec = TacticsSpec {
            seed: seed as u32,
            half: 2_560,
            lead_steps: 3,
            candidates: 12,
            futures: 2,
            classes: vec![WINGMAN, RAMMER],
            agents,
            bolts,
            rocks,
            planners,
        };
        (spec, Blobs::default())
    }
}
