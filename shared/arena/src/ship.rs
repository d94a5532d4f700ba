//! The gamer's ship: flying, bouncing, being lost and coming back.

use crate::arena::{Arena, TICK};
use crate::bullets::Shooter;
use crate::config::ShipRules;
use crate::controls::Controls;
use crate::events::{ArenaEvent, Harm};
use crate::record::{Record, Recorded};
use crate::rocks::Rock;
use crate::vec2::Vec2;
use crate::wells::{self, Well};

/// Speed against an obstacle below which a bump is a scrape and makes no event, m/s.
pub(crate) const SCRAPE_SPEED: f32 = 1.5;
/// Candidates for the place of a returning ship.
const RETURN_TRIES: u32 = 16;

/// The gamer's ship.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ship {
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
    /// Whether it is in the arena; after a loss it is away for a while.
    pub alive: bool,
    /// Ticks of invulnerability left.
    pub invulnerable_ticks: u16,
    /// Whether its engine burned forward in this tick.
    pub thrusting: bool,
    /// Whether it boosted in this tick.
    pub boosting: bool,
    /// Shield points.
    pub shield: u8,
    /// Hull points.
    pub hull: u8,
    /// Missiles it has.
    pub missiles: u8,
    /// Ticks of boost left.
    pub boost_ticks: u16,
    /// Whether the boost has run out and waits for a quarter of its charge, so that it does not flicker.
    pub drained: bool,
    pub(crate) cooldown_ticks: u16,
    pub(crate) missile_cooldown_ticks: u16,
    pub(crate) away_ticks: u16,
    /// Ticks until the shield recharges its next point.
    pub(crate) mend_ticks: u16,
    /// Ticks until the next tick of boost is charged.
    pub(crate) charge_ticks: u16,
}

impl Ship {
    /// A ship at rest.
    pub(crate) fn new(rules: &ShipRules, position: Vec2) -> Self {
        Self {
            position,
            previous: position,
            velocity: Vec2::ZERO,
            heading: Vec2::FORWARD,
            previous_heading: Vec2::FORWARD,
            radius: rules.radius,
            alive: true,
            invulnerable_ticks: rules.invulnerable_ticks,
            thrusting: false,
            boosting: false,
            shield: rules.shield,
            hull: rules.hull,
            missiles: rules.missiles,
            boost_ticks: rules.boost_ticks,
            drained: false,
            cooldown_ticks: 0,
            missile_cooldown_ticks: 0,
            away_ticks: 0,
            mend_ticks: rules.shield_ticks,
            charge_ticks: rules.boost_charge_ticks,
        }
    }

    /// Whether it can be hurt.
    pub fn is_vulnerable(&self) -> bool {
        self.alive && self.invulnerable_ticks == 0
    }

    /// One tick of free flight among `wells`; the autopilot also predicts with it.
    pub(crate) fn fly(&mut self, rules: &ShipRules, controls: Controls, wells: &[Well]) {
        let turn = Vec2::small_turn(rules.turn_rate * TICK);
        self.heading = match controls.turn.signum() {
            1 => self.heading.turned(turn).unit_or(self.heading),
            -1 => self.heading.turned_back(turn).unit_or(self.heading),
            _ => self.heading,
        };
        self.thrusting = controls.thrust > 0 && rules.thrust > 0.0;
        let below_quarter = u32::from(self.boost_ticks) * 4 < u32::from(rules.boost_ticks);
        self.drained = self.boost_ticks == 0 || (self.drained && below_quarter);
        self.boosting = self.thrusting && controls.boost && !self.drained;
        let push = match controls.thrust.signum() {
            1 if self.boosting => rules.thrust * rules.boost,
            1 => rules.thrust,
            -1 => -rules.brake,
            _ => 0.0,
        };
        self.use_charge(rules);
        let drag = 1.0 - (rules.drag * TICK).min(1.0);
        let push = self.heading * push + wells::pull(wells, self.position);
        self.velocity = (self.velocity + push * TICK) * drag;
        self.position += self.velocity * TICK;
    }

    /// The [`Controls::turn`] that points the ship along the unit vector `aim`: 1 for left, -1 for right, 0
    /// if it is off by less than half of what it turns in a tick.
    pub fn turn_towards(&self, rules: &ShipRules, aim: Vec2) -> i8 {
        let step = Vec2::small_turn(rules.turn_rate * TICK * 0.5);
        match self.heading.cross(aim) {
            _ if self.heading.dot(aim) > step.x => 0,
            side if side >= 0.0 => 1,
            _ => -1,
        }
    }

    /// Boosting uses charge; otherwise it recharges.
    fn use_charge(&mut self, rules: &ShipRules) {
        if self.boosting {
            self.boost_ticks -= 1;
            self.charge_ticks = rules.boost_charge_ticks;
        } else if self.boost_ticks < rules.boost_ticks {
            self.charge_ticks = self.charge_ticks.saturating_sub(1);
            if self.charge_ticks == 0 {
                self.boost_ticks += 1;
                self.charge_ticks = rules.boost_charge_ticks;
            }
        }
    }

    /// Recharges the shield.
    fn mend(&mut self, rules: &ShipRules) {
        if self.shield >= rules.shield {
            self.mend_ticks = rules.shield_ticks;
            return;
        }
        self.mend_ticks = self.mend_ticks.saturating_sub(1);
        if self.mend_ticks == 0 {
            self.shield += 1;
            self.mend_ticks = rules.shield_ticks;
        }
    }

    /// Moves it out of an obstacle whose surface has the normal `out` and lies `depth` away, and reflects its
    /// velocity against an obstacle of `velocity`; `share` of the change is the ship's, the rest the obstacle's.
    /// Returns the speed against the obstacle.
    fn bounce(&mut self, rules: &ShipRules, out: Vec2, depth: f32, velocity: Vec2, share: f32) -> f32 {
        self.position += out * depth;
        let against = (velocity - self.velocity).dot(out);
        if against > 0.0 {
            self.velocity += out * (against * (1.0 + rules.bounce) * share);
        }
        against.max(0.0)
    }

    /// Keeps it inside the walls. Returns the speed against them.
    pub(crate) fn meet_walls(&mut self, rules: &ShipRules, half: f32) -> f32 {
        let limit = half - self.radius;
        let mut against: f32 = 0.0;
        for out in [Vec2::new(-1.0, 0.0), Vec2::new(1.0, 0.0), Vec2::new(0.0, -1.0), Vec2::new(0.0, 1.0)] {
            let depth = -self.position.dot(out) - limit;
            if depth > 0.0 {
                against = against.max(self.bounce(rules, out, depth, Vec2::ZERO, 1.0));
            }
        }
        against
    }

    /// Keeps it out of `rock`, which weighs `mass` kilograms. Returns the speed against the rock and the impulse that
    /// the rock gets, if they touch.
    pub(crate) fn meet_rock(&mut self, rules: &ShipRules, rock: &Rock, mass: f32) -> Option<(f32, Vec2)> {
        let apart = self.position - rock.position;
        let reach = self.radius + rock.radius;
        if apart.length_squared() >= reach * reach {
            return None;
        }
        let out = apart.unit_or(-self.heading);
        let share = mass / (mass + rules.mass);
        let speed = self.bounce(rules, out, reach - apart.length(), rock.velocity, share);
        Some((speed, out * (-speed * (1.0 + rules.bounce) * share * rules.mass)))
    }
}

impl Arena {
    /// Flies, bounces and fires the ship, or waits for the next one.
    pub(crate) fn move_ship(&mut self, controls: Controls, events: &mut Vec<ArenaEvent>) {
        if !self.ship.alive {
            self.await_ship(events);
            return;
        }
        let (rules, stuff, tick) = (&self.config.ship, self.stuff(), self.tick);
        self.ship.invulnerable_ticks = self.ship.invulnerable_ticks.saturating_sub(1);
        self.ship.cooldown_ticks = self.ship.cooldown_ticks.saturating_sub(1);
        self.ship.missile_cooldown_ticks = self.ship.missile_cooldown_ticks.saturating_sub(1);
        self.ship.mend(rules);
        self.ship.fly(rules, controls, &self.sector.wells);
        let (mut crash_speed, mut crash_side) = (0.0_f32, Vec2::FORWARD);
        for rock in self.rocks.iter_mut().filter(|rock| !rock.is_fragment()) {
            let mass = stuff.mass(rock);
            let Some((speed, impulse)) = self.ship.meet_rock(rules, rock, mass) else { continue };
            let out = (self.ship.position - rock.position).unit_or(Vec2::FORWARD);
            if speed > crash_speed {
                (crash_speed, crash_side) = (speed, -out);
            }
            let at = rock.position + out * rock.radius;
            if speed > 0.0 {
                rock.push(&stuff, at, impulse, tick);
            }
            if speed > SCRAPE_SPEED {
                events.push(ArenaEvent::Bumped { at, speed });
            }
        }
        let wall_speed = self.ship.meet_walls(rules, self.field.half);
        if wall_speed > SCRAPE_SPEED {
            events.push(ArenaEvent::Bumped { at: self.ship.position, speed: wall_speed });
        }
        if crash_speed >= rules.crash_speed {
            self.hurt_ship(self.config.ship.crash_damage, Harm::Crashed, crash_side, events);
        }
        if self.ship.alive {
            self.fire_ship(controls, events);
        }
    }

    fn fire_ship(&mut self, controls: Controls, events: &mut Vec<ArenaEvent>) {
        self.calm_ticks = self.calm_ticks.saturating_add(1);
        let rules = &self.config.ship;
        if controls.missile && self.ship.missiles > 0 && self.ship.missile_cooldown_ticks == 0 {
            self.ship.missile_cooldown_ticks = rules.missile_cooldown_ticks;
            self.ship.missiles -= 1;
            self.calm_ticks = 0;
            let (speed, ticks) = (rules.missile_speed, rules.missile_ticks);
            let (at, heading) =
                (self.ship.position + self.ship.heading * self.ship.radius, self.ship.heading);
            self.launch(at, heading, speed, ticks, events);
        }
        let rules = &self.config.ship;
        if controls.fire && self.ship.cooldown_ticks == 0 {
            self.ship.cooldown_ticks = rules.cooldown_ticks;
            self.calm_ticks = 0;
            let (speed, ticks) = (rules.bullet_speed, rules.bullet_ticks);
            let muzzle = self.ship.position + self.ship.heading * self.ship.radius;
            self.fire(Shooter::Ship, muzzle, self.ship.heading, speed, ticks, events);
        }
    }

    fn await_ship(&mut self, events: &mut Vec<ArenaEvent>) {
        self.ship.thrusting = false;
        self.ship.away_ticks = self.ship.away_ticks.saturating_sub(1);
        if self.over || self.ship.away_ticks > 0 {
            return;
        }
        let position = self.return_point();
        self.ship = Ship::new(&self.config.ship, position);
        events.push(ArenaEvent::ShipReturned { at: position });
    }

    /// The free place, of some random ones, that is farthest from all enemies.
    fn return_point(&mut self) -> Vec2 {
        let (clear, inside) = (self.ship.radius + 1.0, self.field.half - 3.0);
        let mut best: Option<(f32, Vec2)> = None;
        for _ in 0..RETURN_TRIES {
            let point = self.dice.point(inside);
            if self.rocks.iter().any(|rock| rock.blocks(point, point, clear)) {
                continue;
            }
            let near = self
                .enemies
                .iter()
                .map(|enemy| enemy.position.distance_squared(point))
                .fold(f32::MAX, f32::min);
            if best.is_none_or(|(most, _)| near > most) {
                best = Some((near, point));
            }
        }
        // In an arena full of rocks the ship returns where it was lost; a rock there pushes it out.
        best.map_or(self.ship.position, |(_, point)| point)
    }

    /// Hurts the ship unless it is invulnerable: first the shield, then the hull. `from` is the direction to what hurts it.
    pub(crate) fn hurt_ship(&mut self, damage: u8, by: Harm, from: Vec2, events: &mut Vec<ArenaEvent>) {
        if !self.ship.is_vulnerable() || damage == 0 {
            return;
        }
        let rules = &self.config.ship;
        let ship = &mut self.ship;
        let shielded = ship.shield.min(damage);
        ship.shield -= shielded;
        ship.hull = ship.hull.saturating_sub(damage - shielded);
        if ship.hull == 0 {
            self.lose_ship(by, from, events);
            return;
        }
        ship.mend_ticks = rules.shield_delay_ticks.max(rules.shield_ticks);
        ship.invulnerable_ticks = rules.mercy_ticks;
        events.push(ArenaEvent::ShipHurt {
            at: ship.position,
            shield: ship.shield,
            hull: ship.hull,
            by,
            from,
        });
    }

    /// Removes the ship and a life.
    pub(crate) fn lose_ship(&mut self, by: Harm, from: Vec2, events: &mut Vec<ArenaEvent>) {
        let at = self.ship.position;
        self.ship.alive = false;
        self.ship.velocity = Vec2::ZERO;
        self.ship.thrusting = false;
        self.ship.boosting = false;
        self.ship.away_ticks = self.config.ship.away_ticks;
        events.push(ArenaEvent::Explosion { at, size: self.ship.radius * 3.0 });
        self.lose_life(at, by, from, events);
    }
}

impl Recorded for Ship {
    fn record(&self, record: &mut Record) {
        let Self {
            position,
            previous,
            velocity,
            heading,
            previous_heading,
            radius,
            alive,
            invulnerable_ticks,
            thrusting,
            boosting,
            shield,
            hull,
            missiles,
            boost_ticks,
            drained,
            cooldown_ticks,
            missile_cooldown_ticks,
            away_ticks,
            mend_ticks,
            charge_ticks,
        } = self;
        record.each([position, previous, velocity, heading, previous_heading]);
        record.add(radius);
        record.add(alive);
        record.each([thrusting, boosting, drained]);
        record.each([shield, hull, missiles]);
        record.each([invulnerable_ticks, boost_ticks, cooldown_ticks, missile_cooldown_ticks, away_ticks]);
        record.each([mend_ticks, charge_ticks]);
    }
}
