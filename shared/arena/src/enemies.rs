//! Enemies: what they are, what hits do to them, and when gunners shoot.

use crate::arena::Arena;
use crate::bullets::Shooter;
use crate::config::EnemyRules;
use crate::events::ArenaEvent;
use crate::nearby::RockGrid;
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;

/// Number of an enemy; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnemyId(pub u32);

/// What an enemy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnemyRole {
    /// Rams the ship.
    Rammer,
    /// Slower and tougher; shoots when it sees the ship.
    Gunner,
}

/// What an enemy steers by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// A path from an outcome that is still fresh.
    Path,
    /// Its eyes: nothing stands between it and the ship, or it keeps its distance to shoot.
    Sight,
    /// Its nose: straight at the ship, pushed aside by rocks; gets caught in hollows, and wanders about until
    /// it is out.
    Nose,
}

/// An enemy.
#[derive(Clone, Debug, PartialEq)]
pub struct Enemy {
    /// Stable number.
    pub id: EnemyId,
    /// What it does.
    pub role: EnemyRole,
    /// Position, metres.
    pub position: Vec2,
    /// Position one tick ago, for interpolation.
    pub previous: Vec2,
    /// Velocity, metres per second.
    pub velocity: Vec2,
    /// Where it points: a unit vector.
    pub heading: Vec2,
    /// Heading one tick ago, for interpolation.
    pub previous_heading: Vec2,
    /// Radius, metres.
    pub radius: f32,
    /// Bullets it still takes before it blows up.
    pub hits_left: u8,
    /// What it steered by in this tick.
    pub steering: Steering,
    /// Points it still has to pass, nearest first.
    pub(crate) way: Vec<Vec2>,
    /// Ticks for which the way still holds.
    pub(crate) fresh_ticks: u16,
    /// Ticks until a gunner may shoot.
    pub(crate) cooldown_ticks: u16,
    /// Ticks for which it has hardly moved by nose.
    pub(crate) stuck_ticks: u16,
    /// Ticks for which it tries another direction than its nose.
    pub(crate) wander_ticks: u16,
    /// That direction.
    pub(crate) wander: Vec2,
}

impl Enemy {
    /// An enemy at rest.
    pub(crate) fn new(
        id: EnemyId,
        role: EnemyRole,
        rules: &EnemyRules,
        position: Vec2,
        heading: Vec2,
        cooldown_ticks: u16,
    ) -> Self {
        Self {
            id,
            role,
            position,
            previous: position,
            velocity: Vec2::ZERO,
            heading,
            previous_heading: heading,
            radius: rules.radius,
            hits_left: if role == EnemyRole::Gunner { rules.gunner_hits } else { 1 },
            steering: Steering::Nose,
            way: Vec::new(),
            fresh_ticks: 0,
            cooldown_ticks,
            stuck_ticks: 0,
            wander_ticks: 0,
            wander: heading,
        }
    }

    /// The points of its path that it still has to pass, nearest first, metres; none without a fresh path.
    pub fn waypoints(&self) -> &[Vec2] {
        &self.way
    }
}

impl Arena {
    /// Lets gunners shoot that see the ship.
    pub(crate) fn fire_enemies(&mut self, near: &RockGrid, events: &mut Vec<ArenaEvent>) {
        let sight = self.config.enemies.sight;
        let mut found = Vec::new();
        for index in 0..self.enemies.len() {
            let enemy = &mut self.enemies[index];
            enemy.cooldown_ticks = enemy.cooldown_ticks.saturating_sub(1);
            let (id, from) = (enemy.id, enemy.position);
            let ready = enemy.role == EnemyRole::Gunner && enemy.cooldown_ticks == 0;
            let target = self.ship.position;
            if !ready || !self.ship.alive || from.distance_squared(target) > sight * sight {
                continue;
            }
            near.near(from, target, 0.2, &mut found);
            if found.iter().any(|index| self.rocks[*index as usize].blocks(from, target, 0.2)) {
                continue;
            }
            let rules = &self.config.enemies;
            let (speed, ticks) = (rules.bullet_speed, rules.bullet_ticks);
            let astray = Vec2::small_turn(self.dice.between(-rules.spread, rules.spread));
            let heading = (target - from).unit_or(Vec2::FORWARD).turned(astray);
            let enemy = &mut self.enemies[index];
            enemy.cooldown_ticks = rules.cooldown_ticks;
            let muzzle = from + heading * enemy.radius;
            self.fire(Shooter::Enemy(id), muzzle, heading, speed, ticks, events);
        }
    }

    /// A bullet of the ship hits the enemy at `index`.
    pub(crate) fn hit_enemy(&mut self, index: usize, at: Vec2, events: &mut Vec<ArenaEvent>) {
        let enemy = &mut self.enemies[index];
        enemy.hits_left -= 1;
        if enemy.hits_left > 0 {
            events.push(ArenaEvent::Hit { at });
        } else {
            self.destroy_enemy(index, events);
        }
    }

    /// Removes the enemy at `index` and pays for it.
    pub(crate) fn destroy_enemy(&mut self, index: usize, events: &mut Vec<ArenaEvent>) {
        let enemy = self.enemies.remove(index);
        let points = match enemy.role {
            EnemyRole::Rammer => self.config.enemies.rammer_points,
            EnemyRole::Gunner => self.config.enemies.gunner_points,
        };
        events.push(ArenaEvent::EnemyDestroyed { id: enemy.id, at: enemy.position, points });
        events.push(ArenaEvent::Explosion { at: enemy.position, size: enemy.radius * 2.0 });
        self.earn(points, events);
    }

    /// Ramming: an enemy and a ship that can be hurt destroy each other.
    pub(crate) fn ram(&mut self, events: &mut Vec<ArenaEvent>) {
        if !self.ship.is_vulnerable() {
            return;
        }
        let reach = self.ship.radius + self.config.enemies.radius;
        let at = self.ship.position;
        let touching = |enemy: &Enemy| enemy.position.distance_squared(at) < reach * reach;
        if let Some(index) = self.enemies.iter().position(touching) {
            self.destroy_enemy(index, events);
            self.lose_ship(events);
        }
    }
}

impl Recorded for EnemyId {
    fn record(&self, record: &mut Record) {
        record.add(&self.0);
    }
}

impl Recorded for Enemy {
    fn record(&self, record: &mut Record) {
        let Self {
            id,
            role,
            position,
            previous,
            velocity,
            heading,
            previous_heading,
            radius,
            hits_left,
            steering,
            way,
            fresh_ticks,
            cooldown_ticks,
            stuck_ticks,
            wander_ticks,
            wander,
        } = self;
        record.add(id);
        record.add(&(*role as u8));
        record.each([position, previous, velocity, heading, previous_heading]);
        record.add(radius);
        record.add(hits_left);
        record.add(&(*steering as u8));
        record.list(way);
        record.each([fresh_ticks, cooldown_ticks, stuck_ticks, wander_ticks]);
        record.add(wander);
    }
}
