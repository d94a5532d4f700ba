//! Enemies: what they are, what hits do to them, and when gunners shoot.

use crate::arena::Arena;
use crate::bullets::Shooter;
use crate::config::EnemyRules;
use crate::events::{ArenaEvent, Harm};
use crate::nearby::RockGrid;
use crate::planning::Course;
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
    /// Slower and tougher; looks for a place from which it sees the ship, keeps its distance and shoots.
    Gunner,
    /// Slow and tough; hides from the ship, far away, and launches rammers.
    Carrier,
    /// Plated in front with mirrors that reflect bolts, and slow to turn; fires salvos.
    Boss,
}

impl EnemyRole {
    /// The distance from the ship that it prefers to keep, metres; `None` if it rams.
    pub(crate) fn distance(self, rules: &EnemyRules) -> Option<f32> {
        match self {
            Self::Rammer => None,
            Self::Gunner | Self::Boss => Some(rules.standoff),
            Self::Carrier => Some(rules.carrier_distance),
        }
    }

    /// Whether it survives ramming: carriers and bosses do.
    pub fn is_large(self) -> bool {
        matches!(self, Self::Carrier | Self::Boss)
    }

    fn radius(self, rules: &EnemyRules) -> f32 {
        match self {
            Self::Rammer | Self::Gunner => rules.radius,
            Self::Carrier => rules.carrier_radius,
            Self::Boss => rules.boss_radius,
        }
    }

    /// Bullets that destroy an undamaged one.
    pub fn hits(self, rules: &EnemyRules) -> u8 {
        match self {
            Self::Rammer => 1,
            Self::Gunner => rules.gunner_hits,
            Self::Carrier => rules.carrier_hits,
            Self::Boss => rules.boss_hits,
        }
    }

    fn points(self, rules: &EnemyRules) -> u32 {
        match self {
            Self::Rammer => rules.rammer_points,
            Self::Gunner => rules.gunner_points,
            Self::Carrier => rules.carrier_points,
            Self::Boss => rules.boss_points,
        }
    }

    /// Ticks from one shot, salvo or launch to the next.
    pub(crate) fn cooldown(self, rules: &EnemyRules) -> u16 {
        match self {
            Self::Rammer | Self::Gunner => rules.cooldown_ticks,
            Self::Carrier => rules.launch_ticks,
            Self::Boss => rules.boss_cooldown_ticks,
        }
    }
}

/// Radians between the bolts of a boss's salvo, and their number.
pub(crate) const SALVO_TURN: f32 = 0.22;
pub(crate) const SALVO: i8 = 3;
/// Speed that a large enemy gives a ship on contact, m/s.
const SHOVE_SPEED: f32 = 9.0;

/// How an enemy steers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Along a path from an outcome that is still fresh.
    Path,
    /// By sight: nothing stands between it and the ship, or it keeps its distance to shoot.
    Sight,
    /// Straight at the ship, pushed aside by rocks; it gets caught in hollows, and wanders about until it is
    /// out.
    Nose,
    /// By a plan.
    Plan,
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
    /// Whether a carrier launched it. Such an enemy gives no points and leaves nothing: otherwise a carrier would be worth
    /// more the longer it is left alone.
    pub(crate) launched: bool,
    /// How it steered in this tick.
    pub steering: Steering,
    /// Points it still has to pass, nearest first.
    pub(crate) way: Vec<Vec2>,
    /// Ticks for which the way still holds.
    pub(crate) fresh_ticks: u16,
    /// Ticks until a gunner may shoot.
    pub(crate) cooldown_ticks: u16,
    /// Ticks for which it has hardly moved while steering by [`Steering::Nose`].
    pub(crate) stuck_ticks: u16,
    /// Ticks for which it wanders instead of heading straight for the ship.
    pub(crate) wander_ticks: u16,
    /// The direction in which it wanders.
    pub(crate) wander: Vec2,
    /// Its plan, if it has one.
    pub(crate) course: Course,
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
            radius: role.radius(rules),
            hits_left: role.hits(rules),
            launched: false,
            steering: Steering::Nose,
            way: Vec::new(),
            fresh_ticks: 0,
            cooldown_ticks,
            stuck_ticks: 0,
            wander_ticks: 0,
            wander: heading,
            course: Course::default(),
        }
    }

    /// The points of its path that it still has to pass, nearest first, metres; empty without a fresh path.
    pub fn waypoints(&self) -> &[Vec2] {
        &self.way
    }
}

impl Arena {
    /// Fires the guns of gunners and bosses that see the ship.
    pub(crate) fn fire_enemies(&mut self, near: &RockGrid, events: &mut Vec<ArenaEvent>) {
        let sight = self.config.enemies.sight;
        let mut found = Vec::new();
        for index in 0..self.enemies.len() {
            let enemy = &mut self.enemies[index];
            enemy.cooldown_ticks = enemy.cooldown_ticks.saturating_sub(1);
            let (id, from) = (enemy.id, enemy.position);
            let role = enemy.role;
            let shoots = matches!(role, EnemyRole::Gunner | EnemyRole::Boss);
            let ready = shoots && enemy.cooldown_ticks == 0;
            let Some(target) = self.quarry_of(from).filter(|_| ready) else { continue };
            if from.distance_squared(target) > sight * sight {
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
            enemy.cooldown_ticks = role.cooldown(rules);
            let radius = enemy.radius;
            let salvo = if role == EnemyRole::Boss { SALVO / 2 } else { 0 };
            for place in -salvo..=salvo {
                let heading = heading.turned(Vec2::small_turn(SALVO_TURN * f32::from(place)));
                let heading = heading.unit_or(Vec2::FORWARD);
                self.fire(Shooter::Enemy(id), from + heading * radius, heading, speed, ticks, events);
            }
        }
    }

    /// Lets carriers launch rammers.
    pub(crate) fn launch_rammers(&mut self, events: &mut Vec<ArenaEvent>) {
        if self.over {
            return;
        }
        for index in 0..self.enemies.len() {
            // Asked anew for each carrier, since the one before may have launched.
            if self.enemies.len() >= self.config.enemies.launch_below as usize {
                return;
            }
            let enemy = &self.enemies[index];
            if enemy.role != EnemyRole::Carrier || enemy.cooldown_ticks > 0 {
                continue;
            }
            let at = enemy.position - enemy.heading * enemy.radius;
            self.enemies[index].cooldown_ticks = self.config.enemies.launch_ticks;
            self.add_enemy(EnemyRole::Rammer, at).launched = true;
            events.push(ArenaEvent::Launched { at });
        }
    }

    /// Whether the mirrors of `enemy` reflect a bolt that flies along `heading`.
    pub(crate) fn throws_back(&self, enemy: &Enemy, heading: Vec2) -> bool {
        enemy.role == EnemyRole::Boss && -enemy.heading.dot(heading) > self.config.enemies.boss_plates
    }

    /// Applies a bullet that counts for `hits` hits to the enemy at `index`.
    pub(crate) fn hit_enemy(&mut self, index: usize, at: Vec2, hits: u8, events: &mut Vec<ArenaEvent>) {
        let enemy = &mut self.enemies[index];
        enemy.hits_left = enemy.hits_left.saturating_sub(hits);
        if enemy.hits_left > 0 {
            events.push(ArenaEvent::Hit { at });
        } else {
            self.destroy_enemy(index, events);
        }
    }

    /// Removes the enemy at `index` and pays for it, unless a carrier launched it.
    pub(crate) fn destroy_enemy(&mut self, index: usize, events: &mut Vec<ArenaEvent>) {
        let enemy = self.enemies.remove(index);
        let points = if enemy.launched { 0 } else { enemy.role.points(&self.config.enemies) };
        events.push(ArenaEvent::EnemyDestroyed { id: enemy.id, at: enemy.position, points });
        events.push(ArenaEvent::Explosion { at: enemy.position, size: enemy.radius * 2.0 });
        if !enemy.launched {
            self.leave_pickup(enemy.position, events);
        }
        self.earn(points, events);
    }

    /// Ramming: an enemy that touches a ship that can be hurt hurts it, and is destroyed unless it is large.
    pub(crate) fn ram(&mut self, events: &mut Vec<ArenaEvent>) {
        if !self.ship.is_vulnerable() {
            return;
        }
        let (at, radius) = (self.ship.position, self.ship.radius);
        let touching = |enemy: &Enemy| {
            let reach = radius + enemy.radius;
            enemy.position.distance_squared(at) < reach * reach
        };
        if let Some(index) = self.enemies.iter().position(touching) {
            let enemy = &self.enemies[index];
            let (by, out) = (Harm::Rammed(enemy.role), (at - enemy.position).unit_or(-self.ship.heading));
            if enemy.role.is_large() {
                self.ship.velocity = out * SHOVE_SPEED;
            } else {
                self.destroy_enemy(index, events);
            }
            self.hurt_ship(self.config.ship.ram_damage, by, -out, events);
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
            launched,
            steering,
            way,
            fresh_ticks,
            cooldown_ticks,
            stuck_ticks,
            wander_ticks,
            wander,
            // The arena records courses itself, and only if there are plans.
            course: _,
        } = self;
        record.add(id);
        record.add(&(*role as u8));
        record.each([position, previous, velocity, heading, previous_heading]);
        record.add(radius);
        record.add(hits_left);
        record.add(launched);
        record.add(&(*steering as u8));
        record.list(way);
        record.each([fresh_ticks, cooldown_ticks, stuck_ticks, wander_ticks]);
        record.add(wander);
    }
}
