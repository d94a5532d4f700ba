//! The arena's state, the order in which one step changes it, and the read-only methods for views.

use p2c2r_protocol::Digest;

use crate::bullets::Bullet;
use crate::config::{ArenaConfig, TacticsRules, WingmanRules};
use crate::controls::Controls;
use crate::dice::Dice;
use crate::enemies::Enemy;
use crate::events::ArenaEvent;
use crate::field::Field;
use crate::horizon::Horizon;
use crate::nearby::RockGrid;
use crate::pathing::Pathing;
use crate::pickups::Pickup;
use crate::planning::Planning;
use crate::record::{Record, Recorded};
use crate::rocks::Rock;
use crate::sectors::Sector;
use crate::ship::Ship;
use crate::vec2::Vec2;
use crate::wanted::{DueOutcome, RequestId, WantedTask};
use crate::windows::Windows;
use crate::wingmen::Wingman;

/// Seconds of one step.
pub(crate) const TICK: f32 = 1.0 / crate::TICKS_PER_SECOND as f32;

/// The whole state of one game.
#[derive(Clone, Debug)]
pub struct Arena {
    pub(crate) config: ArenaConfig,
    pub(crate) field: Field,
    pub(crate) dice: Dice,
    pub(crate) tick: u64,
    pub(crate) horizon: Horizon,
    pub(crate) ship: Ship,
    pub(crate) wingmen: Vec<Wingman>,
    pub(crate) enemies: Vec<Enemy>,
    pub(crate) bullets: Vec<Bullet>,
    pub(crate) pickups: Vec<Pickup>,
    pub(crate) rocks: Vec<Rock>,
    pub(crate) windows: Windows,
    pub(crate) pathing: Pathing,
    pub(crate) planning: Planning,
    pub(crate) last_request: u32,
    pub(crate) score: u64,
    pub(crate) lives: u32,
    pub(crate) next_life_at: u64,
    pub(crate) over: bool,
    pub(crate) wave: u32,
    pub(crate) wave_pause_ticks: u16,
    /// Rounds begun by a restart since the configuration was set.
    pub(crate) round: u32,
    pub(crate) sector: Sector,
    /// Ticks to the jump into the next sector; 0 while no warp has begun.
    pub(crate) warp_ticks: u16,
    /// Ticks since the gamer last fired in this round.
    pub(crate) calm_ticks: u16,
    pub(crate) first_rock_area: f32,
    pub(crate) last_rock: u32,
    pub(crate) last_enemy: u32,
    pub(crate) last_bullet: u32,
    pub(crate) last_pickup: u32,
}

/// What one step gives back.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// What happened, in order.
    pub events: Vec<ArenaEvent>,
    /// What the arena wants to have computed.
    pub wanted: Vec<WantedTask>,
}

impl Arena {
    /// A new game, which begins with a pause before its first wave. Numbers out of range are clamped, see
    /// [`ArenaConfig::clamped`].
    pub fn new(config: ArenaConfig) -> Self {
        let config = config.clamped();
        let mut arena = Self {
            field: Field::new(config.size, config.grid_cells),
            dice: Dice::new(config.seed),
            tick: 0,
            horizon: Horizon::default(),
            ship: Ship::new(&config.ship, Vec2::ZERO),
            wingmen: Vec::new(),
            enemies: Vec::new(),
            bullets: Vec::new(),
            pickups: Vec::new(),
            rocks: Vec::new(),
            windows: Windows::default(),
            pathing: Pathing::default(),
            planning: Planning::default(),
            last_request: 0,
            score: 0,
            lives: 0,
            next_life_at: 0,
            over: false,
            wave: 0,
            wave_pause_ticks: 0,
            round: 0,
            sector: Sector::default(),
            warp_ticks: 0,
            calm_ticks: 0,
            first_rock_area: 0.0,
            last_rock: 0,
            last_enemy: 0,
            last_bullet: 0,
            last_pickup: 0,
            config,
        };
        arena.begin_round();
        arena
    }

    /// Ends the round and begins one with another configuration, as [`Arena::new`] would. Ticks and the
    /// numbers of rocks, enemies, bullets and requests go on, so that no pending outcome can be mistaken for
    /// one of this round.
    pub fn begin(&mut self, config: ArenaConfig) {
        self.config = config.clamped();
        self.field = Field::new(self.config.size, self.config.grid_cells);
        self.dice = Dice::new(self.config.seed);
        self.round = 0;
        self.begin_round();
    }

    /// Advances the game by 1/60 s. The outcomes in `due` are taken first, in their order.
    pub fn step(&mut self, controls: Controls, due: &[DueOutcome]) -> Step {
        let mut events = Vec::new();
        self.tick += 1;
        if self.over && controls.restart {
            self.round = self.round.wrapping_add(1);
            self.begin_round();
            events.push(ArenaEvent::RoundStarted);
        }
        self.mark_previous();
        self.take_outcomes(due, &mut events);
        self.move_rocks(&mut events);
        self.move_ship(controls, &mut events);
        let near = RockGrid::new(&self.rocks, self.field.half);
        self.move_enemies(&near);
        self.move_wingmen(&near, &mut events);
        self.fire_enemies(&near, &mut events);
        self.meet_fragments(&mut events);
        self.fly_bullets(&mut events);
        self.ram(&mut events);
        self.ram_wingmen(&mut events);
        self.launch_rammers(&mut events);
        self.take_pickups(&mut events);
        let wave_started = self.run_waves(&mut events);
        let physics = self.want_physics();
        let paths = self.want_paths(wave_started);
        let wanted = physics.into_iter().chain(paths).chain(self.want_plans()).collect();
        Step { events, wanted }
    }

    fn mark_previous(&mut self) {
        self.ship.previous = self.ship.position;
        self.ship.previous_heading = self.ship.heading;
        for wingman in &mut self.wingmen {
            wingman.previous = wingman.position;
            wingman.previous_heading = wingman.heading;
        }
        for enemy in &mut self.enemies {
            enemy.previous = enemy.position;
            enemy.previous_heading = enemy.heading;
        }
        for bullet in &mut self.bullets {
            bullet.previous = bullet.position;
        }
        for rock in &mut self.rocks {
            rock.previous = rock.position;
            rock.previous_rotation = rock.rotation;
        }
    }

    /// A number for a request.
    pub(crate) fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    /// The configuration this arena plays by.
    pub fn config(&self) -> &ArenaConfig {
        &self.config
    }

    /// Steps taken so far.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The gamer's ship; while it is away, where it was lost.
    pub fn ship(&self) -> &Ship {
        &self.ship
    }

    /// Living enemies, in the order of their ids.
    pub fn enemies(&self) -> &[Enemy] {
        &self.enemies
    }

    /// Bullets in flight, in the order in which they were fired.
    pub fn bullets(&self) -> &[Bullet] {
        &self.bullets
    }

    /// Pickups, in the order of their ids.
    pub fn pickups(&self) -> &[Pickup] {
        &self.pickups
    }

    /// Rocks, in the order of their ids.
    pub fn rocks(&self) -> &[Rock] {
        &self.rocks
    }

    /// Points so far in this round.
    pub fn score(&self) -> u64 {
        self.score
    }

    /// Lives left, including the present ship.
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

    /// Digest of the whole state: two arenas with equal digests evolve equally under equal inputs.
    pub fn digest(&self) -> Digest {
        let mut record = Record::default();
        record.add(self);
        record.digest()
    }
}

impl Recorded for Arena {
    fn record(&self, record: &mut Record) {
        let Self {
            config,
            field: _, // Derived from the configuration.
            dice,
            tick,
            horizon,
            ship,
            wingmen,
            enemies,
            bullets,
            pickups,
            rocks,
            windows,
            pathing,
            planning,
            last_request,
            score,
            lives,
            next_life_at,
            over,
            wave,
            wave_pause_ticks,
            round,
            sector,
            warp_ticks,
            calm_ticks,
            first_rock_area,
            last_rock,
            last_enemy,
            last_bullet,
            last_pickup,
        } = self;
        record.add(config);
        record.add(dice);
        record.each([tick, score, next_life_at]);
        record.add(horizon);
        record.add(ship);
        record.list(enemies);
        record.list(bullets);
        record.list(pickups);
        record.list(rocks);
        record.add(windows);
        record.add(pathing);
        record.add(over);
        record.each([wave_pause_ticks, warp_ticks]);
        record.add(round);
        record.add(sector);
        record.add(first_rock_area);
        record.each([lives, wave, last_request, last_rock, last_enemy, last_bullet, last_pickup]);
        // Without wingmen and plans the digest leaves both out: digests that were recorded before they existed stay valid.
        let alone = *planning == Planning::default()
            && wingmen.is_empty()
            && config.wingmen == WingmanRules::default()
            && config.tactics == TacticsRules::default()
            && horizon.plans == 0;
        if !alone {
            record.add(&config.wingmen);
            record.add(&config.tactics);
            record.add(&horizon.plans);
            record.list(wingmen);
            record.add(calm_ticks);
            record.add(planning);
            for enemy in enemies {
                record.add(&enemy.course);
            }
        }
    }
}
