//! Bullets: bolts fly straight, missiles turn towards enemies, and both end at the first thing they touch;
//! only a boss's mirrors reflect bolts.

use crate::arena::{Arena, TICK};
use crate::enemies::{Enemy, EnemyId};
use crate::events::{ArenaEvent, Harm};
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;
use crate::wells::{self, Well};
use crate::wingmen::WingmanId;

/// Most bullets at once; a gun fired beyond it does nothing. The ship and 200 gunners at their default rates
/// stay below it.
const BULLETS_MAX: usize = 256;

/// Number of a bullet; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BulletId(pub u32);

/// Who fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shooter {
    /// The gamer's ship.
    Ship,
    /// A wingman.
    Wingman(WingmanId),
    /// An enemy, possibly gone by now.
    Enemy(EnemyId),
}

/// The kind of a bullet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ammunition {
    /// A bolt of light.
    Bolt,
    /// A missile that turns towards the enemy nearest to its heading.
    Missile,
}

/// A bullet in flight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bullet {
    /// What it is.
    pub ammunition: Ammunition,
    /// Stable number.
    pub id: BulletId,
    /// Who fired it, or the boss that reflected it; a bullet passes through ships of the shooter's side.
    pub shooter: Shooter,
    /// Whether a boss's mirrors reflected it.
    pub(crate) reflected: bool,
    /// Position, metres.
    pub position: Vec2,
    /// Position one tick ago, for interpolation and for the segment it swept.
    pub previous: Vec2,
    /// Velocity, metres per second.
    pub velocity: Vec2,
    /// Ticks it still flies.
    pub ticks_left: u16,
}

/// What a bullet hits.
#[derive(Clone, Copy)]
enum Target {
    Rock(usize),
    Enemy(usize),
    Ship,
    Wingman(usize),
}

impl Bullet {
    /// Turns a missile towards the enemy that needs the smallest turn, among those that it has not passed.
    fn home(&mut self, enemies: &[Enemy], turn_rate: f32) {
        let heading = self.velocity.unit_or(Vec2::FORWARD);
        let mut best: Option<(f32, Vec2)> = None;
        for enemy in enemies {
            let ahead = (enemy.position - self.position).unit_or(heading);
            let along = heading.dot(ahead);
            if along > 0.0 && best.is_none_or(|(most, _)| along > most) {
                best = Some((along, ahead));
            }
        }
        if let Some((_, ahead)) = best {
            let turned = heading.turned_towards(ahead, Vec2::small_turn(turn_rate * TICK));
            self.velocity = turned * self.velocity.length();
        }
    }

    /// Applies the pull of `wells`. A missile's engine keeps its speed; a bolt's speed changes.
    fn fall(&mut self, wells: &[Well]) {
        if wells.is_empty() {
            return;
        }
        let speed = self.velocity.length();
        let drawn = self.velocity + wells::pull(wells, self.position) * TICK;
        self.velocity = match self.ammunition {
            Ammunition::Bolt => drawn,
            Ammunition::Missile => drawn.unit_or(self.velocity) * speed,
        };
    }

    /// The fraction of this tick's path, 0 to 1, at which it comes closest to `centre`, if it comes within
    /// `reach`.
    fn touches(&self, centre: Vec2, reach: f32) -> Option<f32> {
        let way = self.position - self.previous;
        let length_squared = way.length_squared();
        let share = if length_squared > 0.0 {
            ((centre - self.previous).dot(way) / length_squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let nearest = self.previous + way * share;
        (nearest.distance_squared(centre) < reach * reach).then_some(share)
    }
}

impl Arena {
    /// Launches a missile of the ship.
    pub(crate) fn launch(
        &mut self,
        at: Vec2,
        heading: Vec2,
        speed: f32,
        ticks_left: u16,
        events: &mut Vec<ArenaEvent>,
    ) {
        if self.add_bullet(Ammunition::Missile, Shooter::Ship, at, heading * speed, ticks_left) {
            events.push(ArenaEvent::MissileLaunched { at, heading });
        }
    }

    pub(crate) fn fire(
        &mut self,
        shooter: Shooter,
        muzzle: Vec2,
        heading: Vec2,
        speed: f32,
        ticks_left: u16,
        events: &mut Vec<ArenaEvent>,
    ) {
        if self.add_bullet(Ammunition::Bolt, shooter, muzzle, heading * speed, ticks_left) {
            events.push(ArenaEvent::Fired { by: shooter, at: muzzle, heading });
        }
    }

    fn add_bullet(
        &mut self,
        ammunition: Ammunition,
        shooter: Shooter,
        muzzle: Vec2,
        velocity: Vec2,
        ticks_left: u16,
    ) -> bool {
        if self.bullets.len() >= BULLETS_MAX {
            return false;
        }
        self.last_bullet = self.last_bullet.wrapping_add(1);
        let id = BulletId(self.last_bullet);
        self.bullets.push(Bullet {
            id,
            ammunition,
            shooter,
            reflected: false,
            position: muzzle,
            previous: muzzle,
            velocity,
            ticks_left,
        });
        true
    }

    /// Flies all bullets by one tick and lets each hit the first thing in its way.
    pub(crate) fn fly_bullets(&mut self, events: &mut Vec<ArenaEvent>) {
        let mut bullets = std::mem::take(&mut self.bullets);
        bullets.retain_mut(|bullet| {
            bullet.ticks_left = bullet.ticks_left.saturating_sub(1);
            if bullet.ammunition == Ammunition::Missile {
                bullet.home(&self.enemies, self.config.ship.missile_turn_rate);
            }
            bullet.fall(&self.sector.wells);
            bullet.position += bullet.velocity * TICK;
            if let Some((share, target)) = self.first_touched(bullet) {
                let at = bullet.previous + (bullet.position - bullet.previous) * share;
                let heading = bullet.velocity.unit_or(Vec2::FORWARD);
                return self.strike(bullet, target, at, heading, events);
            }
            if self.sector.wells.iter().any(|well| well.swallows(bullet.position)) {
                return false;
            }
            let Vec2 { x, y } = bullet.position;
            bullet.ticks_left > 0 && x.abs() < self.field.half && y.abs() < self.field.half
        });
        self.bullets = bullets;
    }

    /// Applies a bullet to what it hits. Returns whether it flies on.
    fn strike(
        &mut self,
        bullet: &mut Bullet,
        target: Target,
        at: Vec2,
        heading: Vec2,
        events: &mut Vec<ArenaEvent>,
    ) -> bool {
        match target {
            Target::Rock(index) => self.hit_rock(index, at, heading, events),
            Target::Enemy(index)
                if bullet.ammunition == Ammunition::Bolt
                    && self.throws_back(&self.enemies[index], heading) =>
            {
                let enemy = &self.enemies[index];
                let out = (at - enemy.position).unit_or(-heading);
                (bullet.shooter, bullet.reflected) = (Shooter::Enemy(enemy.id), true);
                bullet.position = enemy.position + out * (enemy.radius + 0.05);
                bullet.velocity = bullet.velocity - out * (2.0 * bullet.velocity.dot(out));
                events.push(ArenaEvent::Reflected { at });
                return bullet.ticks_left > 0;
            }
            Target::Enemy(index) => {
                let hits = match bullet.ammunition {
                    Ammunition::Bolt => 1,
                    Ammunition::Missile => self.config.ship.missile_hits,
                };
                self.hit_enemy(index, at, hits, events);
            }
            Target::Wingman(index) => {
                events.push(ArenaEvent::Hit { at });
                self.hurt_wingman(index, self.config.enemies.bullet_damage, events);
            }
            Target::Ship if self.ship.is_vulnerable() => {
                events.push(ArenaEvent::Hit { at });
                let by = if bullet.reflected { Harm::Reflected } else { Harm::Shot };
                self.hurt_ship(self.config.enemies.bullet_damage, by, -heading, events);
            }
            Target::Ship => events.push(ArenaEvent::Hit { at }),
        }
        false
    }

    /// What a bullet touches first, and at which fraction of this tick's path.
    fn first_touched(&self, bullet: &Bullet) -> Option<(f32, Target)> {
        let mut first: Option<(f32, Target)> = None;
        let mut consider = |centre: Vec2, reach: f32, target: Target| {
            if let Some(share) = bullet.touches(centre, reach)
                && first.is_none_or(|(least, _)| share < least)
            {
                first = Some((share, target));
            }
        };
        for (index, rock) in self.rocks.iter().enumerate() {
            consider(rock.position, rock.radius, Target::Rock(index));
        }
        if !matches!(bullet.shooter, Shooter::Enemy(_)) {
            for (index, enemy) in self.enemies.iter().enumerate() {
                consider(enemy.position, enemy.radius, Target::Enemy(index));
            }
            return first;
        }
        if self.ship.alive {
            consider(self.ship.position, self.ship.radius, Target::Ship);
        }
        for (index, wingman) in self.wingmen.iter().enumerate().filter(|(_, wingman)| wingman.is_there()) {
            consider(wingman.position, wingman.radius, Target::Wingman(index));
        }
        first
    }
}

impl Recorded for Bullet {
    fn record(&self, record: &mut Record) {
        let Self { ammunition, id, shooter, reflected, position, previous, velocity, ticks_left } = self;
        record.add(&(*ammunition as u8));
        record.add(&id.0);
        record.add(&match shooter {
            Shooter::Ship => 0,
            // There are at most two wingmen, and never this many enemies.
            Shooter::Wingman(WingmanId(number)) => u32::MAX - number,
            // Enemies count from 1.
            Shooter::Enemy(EnemyId(number)) => *number,
        });
        record.add(reflected);
        record.add(position);
        record.add(previous);
        record.add(velocity);
        record.add(ticks_left);
    }
}
