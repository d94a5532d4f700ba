//! The arena's state and the order in which one step changes it.

use p2c2r_protocol::Digest;

use crate::bullets::Bullet;
use crate::config::ArenaConfig;
use crate::controls::Controls;
use crate::enemies::Enemy;
use crate::events::ArenaEvent;
use crate::rocks::Rock;
use crate::ship::Ship;
use crate::vec2::Vec2;
use crate::wanted::{DueOutcome, WantedTask};

/// The whole state of one game.
#[derive(Clone, Debug)]
pub struct Arena {
    config: ArenaConfig,
    tick: u64,
    ship: Ship,
    enemies: Vec<Enemy>,
    bullets: Vec<Bullet>,
    rocks: Vec<Rock>,
    score: u64,
    lives: u32,
    wave: u32,
    over: bool,
}

/// What one step gives back.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// What happened.
    pub events: Vec<ArenaEvent>,
    /// What the arena would like to have computed.
    pub wanted: Vec<WantedTask>,
}

impl Arena {
    /// A new game.
    pub fn new(config: ArenaConfig) -> Self {
        let ship = Ship {
            position: Vec2::ZERO,
            previous: Vec2::ZERO,
            velocity: Vec2::ZERO,
            heading: Vec2::FORWARD,
            previous_heading: Vec2::FORWARD,
            radius: 0.6,
            alive: true,
            invulnerable_ticks: 0,
            thrusting: false,
            cooldown_ticks: 0,
            away_ticks: 0,
        };
        Self {
            config,
            tick: 0,
            ship,
            enemies: Vec::new(),
            bullets: Vec::new(),
            rocks: Vec::new(),
            score: 0,
            lives: 3,
            wave: 0,
            over: false,
        }
    }

    /// Advances the game by 1/60 s.
    pub fn step(&mut self, controls: Controls, due: &[DueOutcome]) -> Step {
        let _ = (controls, due);
        self.tick += 1;
        Step::default()
    }

    /// The numbers this arena plays by.
    pub fn config(&self) -> &ArenaConfig {
        &self.config
    }

    /// Steps taken so far.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The gamer's ship.
    pub fn ship(&self) -> &Ship {
        &self.ship
    }

    /// Living enemies, in the order of their ids.
    pub fn enemies(&self) -> &[Enemy] {
        &self.enemies
    }

    /// Bullets in flight, in the order of their ids.
    pub fn bullets(&self) -> &[Bullet] {
        &self.bullets
    }

    /// Rocks, in the order of their ids.
    pub fn rocks(&self) -> &[Rock] {
        &self.rocks
    }

    /// Points so far in this round.
    pub fn score(&self) -> u64 {
        self.score
    }

    /// Lives left, the present ship's included.
    pub fn lives(&self) -> u32 {
        self.lives
    }

    /// Number of the present wave, from 1; 0 before the first.
    pub fn wave(&self) -> u32 {
        self.wave
    }

    /// Whether the round has ended; [`Controls::restart`] begins a new one.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Digest of the whole state: two arenas with equal digests go on equally under equal inputs.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.tick.to_le_bytes())
    }
}
