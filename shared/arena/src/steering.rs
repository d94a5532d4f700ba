//! How enemies move: along fresh paths, by sight, or straight ahead; and how they are kept out of rocks and
//! walls.

use crate::arena::{Arena, TICK};
use crate::config::EnemyRules;
use crate::dice::Dice;
use crate::enemies::{Enemy, EnemyRole, Steering};
use crate::nearby::RockGrid;
use crate::rocks::Rock;
use crate::vec2::Vec2;
use crate::wingmen::nearest;

/// Metres from a rock or wall at which an enemy without a path begins to steer aside.
const NOSE_FEELER: f32 = 1.6;
/// The same for an enemy on a path, which only has to react when others push it.
const PATH_FEELER: f32 = 0.25;
/// Distance below which an enemy that sees the ship leaves its path and flies at it, metres.
const SIGHT_DISTANCE: f32 = 7.0;
/// Distance, in multiples of an enemy's standoff, below which an enemy that sees the ship leaves its path to keep
/// its standoff.
const KEEPING_FROM: f32 = 1.15;
/// How strongly it returns to that distance: when it is a third too near or too far it does nothing else.
const KEEPING_HASTE: f32 = 3.0;
/// Weight of avoiding rocks against the wish to move on. A larger weight gets enemies without a path round larger
/// rocks.
const AVOIDANCE: f32 = 0.9;
/// Share of its speed below which an enemy without a path counts as caught.
const STUCK_SPEED: f32 = 0.3;
/// Seconds for which an enemy without a path is assumed to keep its velocity; after that it has hit something
/// or turned.
const UNGUIDED_SECONDS: f32 = 0.5;
/// Ticks for which it may be caught before it wanders, and the shortest and longest wandering.
const STUCK_TICKS: u16 = 40;
const WANDER_TICKS: (u16, u16) = (45, 150);
/// Weight of avoiding other enemies against the wish to move on.
const SEPARATION: f32 = 0.8;

/// What all enemies see in one tick: positions at its beginning, so that the enemies' order does not matter.
struct Surroundings<'a> {
    rules: &'a EnemyRules,
    rocks: &'a [Rock],
    near: &'a RockGrid,
    others: &'a [Vec2],
    /// Where the ship is, or was lost.
    ship: Vec2,
    /// The enemies' targets: the ship and its wingmen, as far as they are there.
    quarries: &'a [Vec2],
    tick: u64,
    half: f32,
    /// Distance at which a waypoint counts as passed, metres.
    pass: f32,
    /// Factor on the speeds of the first wave.
    haste: f32,
}

impl Surroundings<'_> {
    /// The target of an enemy at a place: the nearest, or where the ship was lost.
    fn target(&self, from: Vec2) -> Vec2 {
        nearest(from, self.quarries.iter().copied()).unwrap_or(self.ship)
    }
}

impl Arena {
    /// Moves all enemies by one tick.
    pub(crate) fn move_enemies(&mut self, near: &RockGrid) {
        let others: Vec<Vec2> = self.enemies.iter().map(|enemy| enemy.position).collect();
        let quarries: Vec<Vec2> = self.quarries().collect();
        let haste = self.haste();
        let rules = &self.config.enemies;
        let around = Surroundings {
            rules,
            rocks: &self.rocks,
            near,
            others: &others,
            ship: self.ship.position,
            quarries: &quarries,
            tick: self.tick,
            half: self.field.half,
            pass: (self.field.cell_size() * 0.75).max(0.5),
            haste,
        };
        let mut found = Vec::new();
        for (index, enemy) in self.enemies.iter_mut().enumerate() {
            enemy.advance(index, &around, &mut found, &mut self.dice);
        }
    }

    /// Factor on the enemies' speeds of the first wave.
    pub(crate) fn haste(&self) -> f32 {
        let rules = &self.config.enemies;
        let waves = self.wave.saturating_sub(1) as f32;
        1.0 + (rules.speed_per_wave * waves).min(rules.speed_gain_max)
    }
}

impl Enemy {
    fn advance(&mut self, index: usize, around: &Surroundings<'_>, found: &mut Vec<u32>, dice: &mut Dice) {
        let rules = around.rules;
        let wish = self.wish(around, found);
        let feeler = if self.steering == Steering::Path { PATH_FEELER } else { NOSE_FEELER };
        let target = around.target(self.position);
        let aside = self.avoid(wish, feeler, around, found) + self.separate(index, around);
        let top_speed = self.top_speed(rules, around.haste);
        let wanted = aside.at_most(1.0) * top_speed;
        self.velocity += (wanted - self.velocity) * (rules.agility * TICK).min(1.0);
        self.position += self.velocity * TICK;
        self.stay_out(around, found);
        self.notice_hollow(top_speed, dice);
        let looks = match self.steering {
            _ if self.role == EnemyRole::Boss => target - self.position,
            Steering::Sight => target - self.position,
            Steering::Plan | Steering::Path | Steering::Nose => self.velocity,
        };
        let turn_rate = if self.role == EnemyRole::Boss { rules.boss_turn_rate } else { rules.turn_rate };
        let turn = Vec2::small_turn(turn_rate * TICK);
        self.heading = self.heading.turned_towards(looks.unit_or(self.heading), turn);
    }

    /// Its speed where nothing is in its way, metres per second.
    fn top_speed(&self, rules: &EnemyRules, haste: f32) -> f32 {
        haste
            * match self.role {
                EnemyRole::Rammer => rules.rammer_speed,
                EnemyRole::Gunner => rules.gunner_speed,
                EnemyRole::Carrier => rules.carrier_speed,
                EnemyRole::Boss => rules.boss_speed,
            }
    }

    /// Where it will be in `seconds`: along its path as far as that leads; without one it keeps its velocity
    /// for at most [`UNGUIDED_SECONDS`].
    pub(crate) fn in_future(&self, rules: &EnemyRules, haste: f32, seconds: f32) -> Vec2 {
        if self.way.is_empty() {
            return self.position + self.velocity * seconds.min(UNGUIDED_SECONDS);
        }
        let mut left = self.top_speed(rules, haste) * seconds;
        let mut at = self.position;
        for point in &self.way {
            let leg = point.distance(at);
            if leg > left {
                return at + (*point - at) * (left / leg);
            }
            left -= leg;
            at = *point;
        }
        at
    }

    /// The velocity it wants: a vector of at most length 1. Also chooses how it steers, and passes waypoints.
    fn wish(&mut self, around: &Surroundings<'_>, found: &mut Vec<u32>) -> Vec2 {
        self.fresh_ticks = self.fresh_ticks.saturating_sub(1);
        if self.fresh_ticks == 0 {
            self.way.clear();
        }
        let near = |point: &Vec2| point.distance(self.position) < around.pass;
        let passed = self.way.iter().take_while(|point| near(point)).count();
        self.way.drain(..passed);
        let target = around.target(self.position);
        let ahead = target - self.position;
        let straight = ahead.unit_or(self.heading);
        let bears_on = || (!around.quarries.is_empty()).then_some(straight);
        if let Some(leg) = self.course.direction(around.tick, bears_on) {
            self.steering = Steering::Plan;
            return leg;
        }
        let distance = ahead.length();
        let kept = self.role.distance(around.rules);
        let near = kept.map_or(SIGHT_DISTANCE, |kept| (kept * KEEPING_FROM).max(SIGHT_DISTANCE));
        let mut is_clear = || {
            around.near.near(self.position, target, self.radius, found);
            let blocks = |rock: &Rock| rock.blocks(self.position, target, self.radius);
            !found.iter().any(|index| blocks(&around.rocks[*index as usize]))
        };
        if !around.quarries.is_empty() && distance < near && is_clear() {
            self.steering = Steering::Sight;
            return kept.map_or(straight, |kept| self.circle(straight, distance, kept));
        }
        if let Some(next) = self.way.first() {
            self.steering = Steering::Path;
            return (*next - self.position).unit_or(straight);
        }
        self.steering = Steering::Nose;
        if self.wander_ticks > 0 { self.wander } else { straight }
    }

    /// Circles the ship, which lies `straight` ahead at `distance`, and moves towards or away from it to stay
    /// `kept` metres away.
    fn circle(&self, straight: Vec2, distance: f32, kept: f32) -> Vec2 {
        // A boss never backs off.
        let back = if self.role == EnemyRole::Boss { 0.0 } else { -1.0 };
        let astray = ((distance - kept) / kept.max(1.0) * KEEPING_HASTE).clamp(back, 1.0);
        let around = straight.left() * (self.side() * 0.8 * (1.0 - astray.abs()));
        around + straight * astray
    }

    /// Starts to wander when heading straight for the ship makes no progress.
    fn notice_hollow(&mut self, top_speed: f32, dice: &mut Dice) {
        self.wander_ticks = self.wander_ticks.saturating_sub(1);
        let caught = self.steering == Steering::Nose && self.velocity.length() < STUCK_SPEED * top_speed;
        self.stuck_ticks = if caught { self.stuck_ticks + 1 } else { 0 };
        if self.stuck_ticks >= STUCK_TICKS {
            self.stuck_ticks = 0;
            self.wander = dice.direction();
            self.wander_ticks =
                WANDER_TICKS.0 + dice.below(u32::from(WANDER_TICKS.1 - WANDER_TICKS.0)) as u16;
        }
    }

    /// 1 or -1: the side to which it gives way, so that enemies part and a rock straight ahead is no dead
    /// end.
    pub(crate) fn side(&self) -> f32 {
        if self.id.0.is_multiple_of(2) { 1.0 } else { -1.0 }
    }

    /// `wish` without the part that leads into rocks and walls within `feeler` metres, plus a push away from
    /// them.
    fn avoid(&self, wish: Vec2, feeler: f32, around: &Surroundings<'_>, found: &mut Vec<u32>) -> Vec2 {
        let mut wish = wish;
        let mut feel = |out: Vec2, gap: f32| {
            let weight = (1.0 - gap / feeler).clamp(0.0, 1.0);
            let into = -wish.dot(out);
            if into > 0.0 {
                wish += (out + out.left() * (0.2 * self.side())) * (into * weight * AVOIDANCE);
            }
        };
        around.near.near(self.position, self.position, self.radius + feeler, found);
        for rock in found.iter().map(|index| &around.rocks[*index as usize]) {
            let apart = self.position - rock.position;
            let reach = rock.radius + self.radius + feeler;
            if apart.length_squared() < reach * reach {
                let out = apart.unit_or(-self.heading);
                feel(out, apart.length() - rock.radius - self.radius);
            }
        }
        let limit = around.half - self.radius;
        for out in [Vec2::new(-1.0, 0.0), Vec2::new(1.0, 0.0), Vec2::new(0.0, -1.0), Vec2::new(0.0, 1.0)] {
            let gap = limit + self.position.dot(out);
            if gap < feeler {
                feel(out, gap);
            }
        }
        wish
    }

    /// A push away from other enemies that are too near.
    fn separate(&self, index: usize, around: &Surroundings<'_>) -> Vec2 {
        let distance = around.rules.separation;
        let mut push = Vec2::ZERO;
        for (other, &position) in around.others.iter().enumerate() {
            let apart = self.position - position;
            let length_squared = apart.length_squared();
            if other == index || length_squared >= distance * distance {
                continue;
            }
            // Two enemies on one spot part to the sides that their numbers give.
            let length = length_squared.sqrt();
            let out = apart.unit_or(Vec2::new(self.side(), 0.0));
            push += out * ((1.0 - length / distance) * SEPARATION);
        }
        push
    }

    /// Moves it out of rocks and walls, and removes the velocity into them.
    fn stay_out(&mut self, around: &Surroundings<'_>, found: &mut Vec<u32>) {
        // Being pushed out of one rock moves it towards others by at most its own size.
        around.near.near(self.position, self.position, self.radius * 3.0, found);
        for rock in found.iter().map(|index| &around.rocks[*index as usize]) {
            let apart = self.position - rock.position;
            let reach = rock.radius + self.radius;
            if apart.length_squared() < reach * reach {
                let out = apart.unit_or(-self.heading);
                self.position = rock.position + out * reach;
                let against = (self.velocity - rock.velocity).dot(out);
                if against < 0.0 {
                    self.velocity -= out * against;
                }
            }
        }
        let limit = around.half - self.radius;
        self.position = Vec2::new(self.position.x.clamp(-limit, limit), self.position.y.clamp(-limit, limit));
    }
}
