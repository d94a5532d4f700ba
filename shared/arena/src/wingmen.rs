//! Wingmen: how they fly and shoot beside the gamer, and when they are lost and come back.
//!
//! A wingman flies the legs of its plan, and by a simple rule where it has none: towards the nearest enemy in
//! range, around it at a distance, and beside the ship if there is none. It shoots by itself at enemies that
//! it sees, as long as the gamer shoots too.

use crate::arena::{Arena, TICK};
use crate::bullets::Shooter;
use crate::config::WingmanRules;
use crate::events::ArenaEvent;
use crate::nearby::RockGrid;
use crate::planning::{Course, Who};
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;

/// Metres from a rock or wall at which a wingman begins to steer aside, the weight of steering away from it, and
/// of giving way sideways.
const FEELER: f32 = 1.6;
const AVOIDANCE: f32 = 0.9;
const SIDEWAYS: f32 = 0.2;
/// Share of its top speed with which it circles around an enemy by rule.
const CIRCLING: f32 = 0.8;
/// Metres within which it attacks enemies by rule; beyond, it stays with the ship.
pub(crate) const ATTENTION: f32 = 30.0;
/// Metres to the side of the ship and behind it at which it flies.
const BESIDE: f32 = 3.5;
/// Ticks of invulnerability after damage or a return.
pub(crate) const MERCY_TICKS: u16 = 20;

/// Number of a wingman, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WingmanId(pub u32);

/// A wingman of the gamer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wingman {
    /// Stable number.
    pub id: WingmanId,
    /// Position, metres; where it was lost, while it is away.
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
    /// Hull points.
    pub hull: u8,
    /// Whether it flew a leg of a plan in this tick.
    pub guided: bool,
    /// Ticks until it is back; 0 while it is there.
    pub(crate) away_ticks: u16,
    pub(crate) cooldown_ticks: u16,
    pub(crate) mercy_ticks: u16,
    pub(crate) course: Course,
}

impl Wingman {
    fn new(id: WingmanId, rules: &WingmanRules, position: Vec2) -> Self {
        Self {
            id,
            position,
            previous: position,
            velocity: Vec2::ZERO,
            heading: Vec2::FORWARD,
            previous_heading: Vec2::FORWARD,
            radius: rules.radius,
            hull: rules.hull,
            guided: false,
            away_ticks: 0,
            cooldown_ticks: rules.cooldown_ticks,
            mercy_ticks: MERCY_TICKS,
            course: Course::default(),
        }
    }

    /// Whether it is in the arena.
    pub fn is_there(&self) -> bool {
        self.away_ticks == 0
    }

    /// 1 or -1: the side of the ship on which it flies and to which it gives way.
    pub(crate) fn side(&self) -> f32 {
        if self.id.0.is_multiple_of(2) { 1.0 } else { -1.0 }
    }
}

impl Arena {
    /// All wingmen, including those that are away, in the order of their ids.
    pub fn wingmen(&self) -> &[Wingman] {
        &self.wingmen
    }

    /// Whether wingmen wait for the gamer to open fire: otherwise they would win the waves of a player who only
    /// watches. While the gamer has no ship, they fight on.
    pub fn wingmen_hold_fire(&self) -> bool {
        let patience = self.config.wingmen.holds_fire_ticks;
        patience > 0 && self.ship.alive && self.calm_ticks > patience
    }

    /// Makes all configured wingmen, beside the ship.
    pub(crate) fn muster_wingmen(&mut self) {
        let rules = &self.config.wingmen;
        self.wingmen = (1..=u32::from(rules.flying))
            .map(|number| {
                let wingman = Wingman::new(WingmanId(number), rules, Vec2::ZERO);
                let position = self.ship.position + beside(self.ship.heading, wingman.side());
                Wingman { position, previous: position, ..wingman }
            })
            .collect();
    }

    /// Moves present wingmen to the ship, which has jumped.
    pub(crate) fn gather_wingmen(&mut self) {
        let (at, heading) = (self.ship.position, self.ship.heading);
        for wingman in self.wingmen.iter_mut().filter(|wingman| wingman.is_there()) {
            wingman.position = at + beside(heading, wingman.side());
            wingman.previous = wingman.position;
        }
    }

    /// The enemies' nearest target: the ship or a wingman; `None` while none is there.
    pub(crate) fn quarry_of(&self, from: Vec2) -> Option<Vec2> {
        nearest(from, self.quarries())
    }

    /// The enemies' targets: the ship and its wingmen, as far as they are there.
    pub(crate) fn quarries(&self) -> impl Iterator<Item = Vec2> {
        let ship = Some(self.ship.position).filter(|_| self.ship.alive);
        let wingmen = self.wingmen.iter().filter(|wingman| wingman.is_there());
        ship.into_iter().chain(wingmen.map(|wingman| wingman.position))
    }

    /// Flies and fires all wingmen, and counts down for those that are away.
    pub(crate) fn move_wingmen(&mut self, near: &RockGrid, events: &mut Vec<ArenaEvent>) {
        let mut found = Vec::new();
        for index in 0..self.wingmen.len() {
            if self.wingmen[index].is_there() {
                self.fly_wingman(index, near, &mut found);
                self.fire_wingman(index, near, &mut found, events);
            } else {
                self.await_wingman(index, events);
            }
        }
    }

    fn await_wingman(&mut self, index: usize, events: &mut Vec<ArenaEvent>) {
        let wingman = &mut self.wingmen[index];
        wingman.away_ticks -= 1;
        if wingman.away_ticks > 0 {
            return;
        }
        if !self.ship.alive {
            // It comes back with the ship.
            wingman.away_ticks = 1;
            return;
        }
        let limit = self.field.half - wingman.radius;
        let at = self.ship.position + beside(self.ship.heading, wingman.side());
        let at = Vec2::new(at.x.clamp(-limit, limit), at.y.clamp(-limit, limit));
        *wingman = Wingman::new(wingman.id, &self.config.wingmen, at);
        events.push(ArenaEvent::WingmanReturned { at });
    }

    /// The velocity a wingman wants by rule: a vector of at most length 1.
    fn wingman_wish(&self, wingman: &Wingman) -> Vec2 {
        let enemy = nearest(wingman.position, self.enemies.iter().map(|enemy| enemy.position));
        let near = |at: &Vec2| at.distance_squared(wingman.position) < ATTENTION * ATTENTION;
        let Some(enemy) = enemy.filter(near) else {
            let place = self.ship.position + beside(self.ship.heading, wingman.side());
            return ((place - wingman.position) * 0.5).at_most(1.0);
        };
        let straight = (enemy - wingman.position).unit_or(wingman.heading);
        if enemy.distance(wingman.position) < self.config.wingmen.standoff {
            straight.left() * (wingman.side() * CIRCLING)
        } else {
            straight
        }
    }

    fn fly_wingman(&mut self, index: usize, near: &RockGrid, found: &mut Vec<u32>) {
        let mut wingman = self.wingmen[index];
        let rules = &self.config.wingmen;
        wingman.mercy_ticks = wingman.mercy_ticks.saturating_sub(1);
        let enemy = nearest(wingman.position, self.enemies.iter().map(|enemy| enemy.position));
        let ahead = || enemy.map(|enemy| (enemy - wingman.position).unit_or(wingman.heading));
        let leg = wingman.course.direction(self.tick, ahead);
        wingman.guided = leg.is_some();
        let mut wish = leg.unwrap_or_else(|| self.wingman_wish(&wingman));
        let side = wingman.side() * SIDEWAYS;
        let mut feel = |out: Vec2, gap: f32| {
            let into = -wish.dot(out);
            if into > 0.0 {
                let weight = (1.0 - gap / FEELER).clamp(0.0, 1.0);
                wish += (out + out.left() * side) * (into * weight * AVOIDANCE);
            }
        };
        near.near(wingman.position, wingman.position, wingman.radius + FEELER, found);
        for rock in found.iter().map(|index| &self.rocks[*index as usize]) {
            let apart = wingman.position - rock.position;
            let gap = apart.length() - rock.radius - wingman.radius;
            if gap < FEELER {
                feel(apart.unit_or(-wingman.heading), gap);
            }
        }
        let limit = self.field.half - wingman.radius;
        for out in [Vec2::new(-1.0, 0.0), Vec2::new(1.0, 0.0), Vec2::new(0.0, -1.0), Vec2::new(0.0, 1.0)] {
            let gap = limit + wingman.position.dot(out);
            if gap < FEELER {
                feel(out, gap);
            }
        }
        let wanted = wish.at_most(1.0) * rules.speed;
        wingman.velocity += (wanted - wingman.velocity) * (rules.agility * TICK).min(1.0);
        wingman.position += wingman.velocity * TICK;
        for rock in found.iter().map(|index| &self.rocks[*index as usize]) {
            let apart = wingman.position - rock.position;
            let reach = rock.radius + wingman.radius;
            if apart.length_squared() < reach * reach {
                let out = apart.unit_or(-wingman.heading);
                wingman.position = rock.position + out * reach;
                let against = (wingman.velocity - rock.velocity).dot(out);
                if against < 0.0 {
                    wingman.velocity -= out * against;
                }
            }
        }
        let Vec2 { x, y } = wingman.position;
        wingman.position = Vec2::new(x.clamp(-limit, limit), y.clamp(-limit, limit));
        let enemy = nearest(wingman.position, self.enemies.iter().map(|enemy| enemy.position));
        let looks = enemy.map_or(wingman.velocity, |enemy| enemy - wingman.position);
        let turn = Vec2::small_turn(rules.turn_rate * TICK);
        wingman.heading = wingman.heading.turned_towards(looks.unit_or(wingman.heading), turn);
        self.wingmen[index] = wingman;
    }

    /// Lets a wingman shoot at the nearest enemy, if it sees it.
    fn fire_wingman(
        &mut self,
        index: usize,
        near: &RockGrid,
        found: &mut Vec<u32>,
        events: &mut Vec<ArenaEvent>,
    ) {
        let wingman = &mut self.wingmen[index];
        wingman.cooldown_ticks = wingman.cooldown_ticks.saturating_sub(1);
        if wingman.cooldown_ticks > 0 || self.wingmen_hold_fire() {
            return;
        }
        let (from, rules) = (self.wingmen[index].position, &self.config.wingmen);
        let sight = |at: Vec2| at.distance_squared(from) < rules.sight * rules.sight;
        let mut target: Option<(f32, Vec2, Vec2)> = None;
        for enemy in self.enemies.iter().filter(|enemy| sight(enemy.position)) {
            let away = enemy.position.distance_squared(from);
            if target.is_none_or(|(least, _, _)| away < least) {
                target = Some((away, enemy.position, enemy.velocity));
            }
        }
        let Some((_, at, velocity)) = target else { return };
        near.near(from, at, 0.2, found);
        if found.iter().any(|index| self.rocks[*index as usize].blocks(from, at, 0.2)) {
            return;
        }
        let meets = at + velocity * (from.distance(at) / rules.bullet_speed);
        let astray = Vec2::small_turn(self.dice.between(-rules.spread, rules.spread));
        let wingman = &mut self.wingmen[index];
        let heading = (meets - from).unit_or(wingman.heading).turned(astray).unit_or(Vec2::FORWARD);
        wingman.cooldown_ticks = rules.cooldown_ticks;
        let (by, muzzle) = (Shooter::Wingman(wingman.id), from + heading * wingman.radius);
        let (speed, ticks) = (rules.bullet_speed, rules.bullet_ticks);
        self.fire(by, muzzle, heading, speed, ticks, events);
    }

    /// Hurts the wingman at `index`, unless it is invulnerable.
    pub(crate) fn hurt_wingman(&mut self, index: usize, damage: u8, events: &mut Vec<ArenaEvent>) {
        let wingman = &mut self.wingmen[index];
        if !wingman.is_there() || wingman.mercy_ticks > 0 || damage == 0 {
            return;
        }
        wingman.hull = wingman.hull.saturating_sub(damage);
        wingman.mercy_ticks = MERCY_TICKS;
        if wingman.hull > 0 {
            return;
        }
        wingman.away_ticks = self.config.wingmen.away_ticks;
        wingman.velocity = Vec2::ZERO;
        let at = wingman.position;
        events.push(ArenaEvent::Explosion { at, size: wingman.radius * 2.0 });
        events.push(ArenaEvent::WingmanLost { at });
    }

    /// Enemies that touch a wingman hurt it, and are destroyed unless they are large.
    pub(crate) fn ram_wingmen(&mut self, events: &mut Vec<ArenaEvent>) {
        for index in 0..self.wingmen.len() {
            let Wingman { position, radius, mercy_ticks, .. } = self.wingmen[index];
            if !self.wingmen[index].is_there() || mercy_ticks > 0 {
                continue;
            }
            let touching = self.enemies.iter().position(|enemy| {
                let reach = radius + enemy.radius;
                enemy.position.distance_squared(position) < reach * reach
            });
            let Some(enemy) = touching else { continue };
            if !self.enemies[enemy].role.is_large() {
                self.destroy_enemy(enemy, events);
            }
            self.hurt_wingman(index, self.config.ship.ram_damage, events);
        }
    }

    /// The course of a planner, if it exists.
    pub(crate) fn course_of(&mut self, who: Who) -> Option<&mut Course> {
        match who {
            Who::Wingman(id) => self
                .wingmen
                .iter_mut()
                .find(|wingman| wingman.id == id && wingman.is_there())
                .map(|wingman| &mut wingman.course),
            Who::Enemy(id) => {
                let index = self.enemies.binary_search_by_key(&id, |enemy| enemy.id).ok()?;
                Some(&mut self.enemies[index].course)
            }
        }
    }
}

/// Offset from the ship to its wingman on one side.
fn beside(heading: Vec2, side: f32) -> Vec2 {
    heading.left() * (side * BESIDE) - heading * (BESIDE * 0.5)
}

pub(crate) fn nearest(from: Vec2, places: impl Iterator<Item = Vec2>) -> Option<Vec2> {
    let mut best: Option<(f32, Vec2)> = None;
    for place in places {
        let away = place.distance_squared(from);
        if best.is_none_or(|(least, _)| away < least) {
            best = Some((away, place));
        }
    }
    best.map(|(_, place)| place)
}

impl Recorded for Wingman {
    fn record(&self, record: &mut Record) {
        let Self {
            id,
            position,
            previous,
            velocity,
            heading,
            previous_heading,
            radius,
            hull,
            guided,
            away_ticks,
            cooldown_ticks,
            mercy_ticks,
            course,
        } = self;
        record.add(&id.0);
        record.each([position, previous, velocity, heading, previous_heading]);
        record.add(radius);
        record.add(hull);
        record.add(guided);
        record.each([away_ticks, cooldown_ticks, mercy_ticks]);
        record.add(course);
    }
}
