//! Fragments: the small stones into which rocks shatter. They move and collide as all rocks do, slow down,
//! come to rest, and are removed after a while.
//!
//! They are rocks of the smallest kind. They stop bullets but hurt nobody and give no points, and nobody avoids
//! them. The gamer's ship, wingmen and enemies all meet them by one rule: a fragment bounces off a hull, or
//! breaks on it above a certain speed, and takes its share of the momentum. Fragments expire only where a
//! window begins, so that the window's spec, made before, already leaves them out.

use crate::arena::Arena;
use crate::enemies::Enemy;
use crate::events::ArenaEvent;
use crate::layout::Site;
use crate::nearby::RockGrid;
use crate::rocks::{Rock, cut_radius};
use crate::ship::{SCRAPE_SPEED, Ship};
use crate::vec2::Vec2;
use crate::wingmen::Wingman;

/// Ticks at the end of its life during which a fragment is drawn smaller and smaller.
const FADING_TICKS: u16 = 60;
/// Gap between two fragments where a rock shatters, as a share of their radius.
const GAP: f32 = 0.08;

impl Rock {
    /// Whether it is a fragment.
    pub fn is_fragment(&self) -> bool {
        self.gone_at.is_some()
    }

    /// Share of its size at which it is drawn at `tick`: 1, and for fragments less and less in their last
    /// second.
    pub fn share_left(&self, tick: u64) -> f32 {
        let Some(gone_at) = self.gone_at else { return 1.0 };
        (gone_at.saturating_sub(tick) as f32 / f32::from(FADING_TICKS)).clamp(0.05, 1.0)
    }
}

/// A ship of any kind that meets fragments.
#[derive(Clone, Copy)]
struct Hull {
    position: Vec2,
    velocity: Vec2,
    radius: f32,
}

/// How a hull met the fragments of one tick.
struct Met {
    /// The hull's velocity afterwards.
    velocity: Vec2,
    /// Where the hardest contact was, and its speed.
    hardest: Option<(Vec2, f32)>,
}

/// Centres in a disc of `room` metres for discs of radius `radius`, from the middle outwards, in a honeycomb.
fn honeycomb(room: f32, radius: f32) -> Vec<Vec2> {
    let (across, reach) = (2.0 * radius * (1.0 + GAP), room - radius);
    let rows = (room / across) as i32 + 1;
    let mut places = Vec::new();
    for row in -rows..=rows {
        let shift = if row % 2 == 0 { 0.0 } else { 0.5 };
        for column in -rows - 1..=rows {
            let place = Vec2::new((column as f32 + shift) * across, row as f32 * across * 0.866_025_4);
            if place.length() <= reach {
                places.push(place);
            }
        }
    }
    places.sort_by(|a, b| a.length().total_cmp(&b.length()));
    places
}

impl Arena {
    /// Leaves fragments in place of `rock`, which is gone: inside it, and beside its pieces (those from the
    /// index `pieces` on). Together they keep the rock's momentum. At the limit the oldest fragments are
    /// removed.
    pub(crate) fn shatter(&mut self, rock: &Rock, pieces: usize) {
        let rules = &self.config.rocks;
        let (radius, speed) = (cut_radius(rules.fragment_radius), rules.fragment_speed);
        let (most, ticks) = (rules.fragments.min(rules.fragments_max) as usize, rules.fragment_ticks);
        if most == 0 || rock.radius < 2.0 * radius {
            return;
        }
        let is_free = |place: &Vec2| {
            let near = |piece: &Rock| {
                (rock.position + *place).distance(piece.position) < piece.radius + radius * (1.0 + GAP)
            };
            !self.rocks.get(pieces..).unwrap_or_default().iter().any(near)
        };
        let mut places: Vec<Vec2> = honeycomb(rock.radius, radius).into_iter().filter(is_free).collect();
        // Spread evenly from the middle to the edge, if there are more places than fragments.
        let count = places.len().min(most);
        places = (0..count).map(|number| places[number * places.len() / count]).collect();
        self.make_room_for_fragments(count);
        let out = |place: Vec2, dice: f32| place * (speed * dice / rock.radius);
        let thrown: Vec<Vec2> = places.iter().map(|place| out(*place, self.dice.between(0.5, 1.5))).collect();
        let mean = thrown.iter().fold(Vec2::ZERO, |sum, out| sum + *out) * (1.0 / count.max(1) as f32);
        let gone_at = self.tick + u64::from(ticks);
        for (place, out) in places.into_iter().zip(thrown) {
            let turned = crate::plane::turning(rock.motion.spin[1] as f32, place);
            let site = Site {
                position: rock.position + place,
                radius,
                velocity: rock.velocity + out - mean + turned,
            };
            let before = self.rocks.len();
            self.add_tumbling_rock(site, rock.motion.spin);
            if let Some(fragment) = self.rocks.get_mut(before) {
                fragment.gone_at = Some(gone_at);
                fragment.hits_left = 1;
            }
        }
    }

    /// Removes the oldest fragments if `count` more would exceed the limit.
    fn make_room_for_fragments(&mut self, count: usize) {
        let present = self.rocks.iter().filter(|rock| rock.is_fragment()).count();
        let mut over = (present + count).saturating_sub(self.config.rocks.fragments_max as usize);
        self.rocks.retain(|rock| {
            let goes = over > 0 && rock.is_fragment();
            over -= usize::from(goes);
            !goes
        });
    }

    /// Lets hulls meet the fragments in their way: the ship, then wingmen and enemies in the order of their
    /// ids.
    pub(crate) fn meet_fragments(&mut self, events: &mut Vec<ArenaEvent>) {
        if !self.rocks.iter().any(Rock::is_fragment) {
            return;
        }
        let near = RockGrid::of_fragments(&self.rocks, self.field.half);
        let mut found = Vec::new();
        if self.ship.alive {
            let Ship { position, velocity, radius, .. } = self.ship;
            let met = self.meet_near(Hull { position, velocity, radius }, &near, &mut found, events);
            self.ship.velocity = met.velocity;
            if let Some((at, speed)) = met.hardest.filter(|(_, speed)| *speed > SCRAPE_SPEED) {
                events.push(ArenaEvent::Bumped { at, speed });
            }
        }
        for index in 0..self.wingmen.len() {
            let Wingman { position, velocity, radius, .. } = self.wingmen[index];
            if self.wingmen[index].is_there() {
                let met = self.meet_near(Hull { position, velocity, radius }, &near, &mut found, events);
                self.wingmen[index].velocity = met.velocity;
            }
        }
        for index in 0..self.enemies.len() {
            let Enemy { position, velocity, radius, .. } = self.enemies[index];
            let met = self.meet_near(Hull { position, velocity, radius }, &near, &mut found, events);
            self.enemies[index].velocity = met.velocity;
        }
        self.rocks.retain(|rock| rock.hits_left > 0);
    }

    /// Lets one hull meet the fragments that it touches. Those that break have no hits left. Nothing is moved
    /// out of an overlap, so that a fragment between a hull and a rock blocks neither.
    fn meet_near(
        &mut self,
        hull: Hull,
        near: &RockGrid,
        found: &mut Vec<u32>,
        events: &mut Vec<ArenaEvent>,
    ) -> Met {
        let (stuff, tick, ship) = (self.stuff(), self.tick, &self.config.ship);
        let break_speed = self.config.rocks.fragment_break_speed;
        // All hulls have the density of the gamer's ship.
        let size = hull.radius / ship.radius;
        let hull_mass = ship.mass * size * size * size;
        let mut met = Met { velocity: hull.velocity, hardest: None };
        near.near(hull.position, hull.position, hull.radius, found);
        for index in found.iter() {
            let fragment = &mut self.rocks[*index as usize];
            let (apart, reach) = (hull.position - fragment.position, hull.radius + fragment.radius);
            if fragment.hits_left == 0 || apart.length_squared() >= reach * reach {
                continue;
            }
            let out = apart.unit_or(Vec2::FORWARD);
            let speed = (fragment.velocity - met.velocity).dot(out);
            if speed <= 0.0 {
                continue;
            }
            let at = fragment.position + out * fragment.radius;
            let breaks = speed >= break_speed;
            let kept = if breaks { 0.0 } else { ship.bounce };
            let mass = stuff.mass(fragment);
            let change = out * (speed * (1.0 + kept) * mass / (mass + hull_mass));
            met.velocity += change;
            if breaks {
                fragment.hits_left = 0;
                events.push(ArenaEvent::Hit { at });
            } else {
                fragment.push(&stuff, at, change * -hull_mass, tick);
            }
            if met.hardest.is_none_or(|(_, most)| speed > most) {
                met.hardest = Some((at, speed));
            }
        }
        met
    }

    /// Removes expired fragments, where a window begins.
    pub(crate) fn sweep_fragments(&mut self) {
        let tick = self.tick;
        self.rocks.retain(|rock| rock.gone_at.is_none_or(|gone_at| gone_at > tick));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_honeycomb_is_inside_and_nothing_in_it_touches() {
        for (room, radius) in [(2.0, 0.25), (1.0, 0.25), (0.5, 0.25), (8.0, 0.5)] {
            let places = honeycomb(room, radius);
            assert!(!places.is_empty());
            for (index, place) in places.iter().enumerate() {
                assert!(place.length() + radius <= room + 1e-5);
                assert!(places[..index].iter().all(|other| other.distance(*place) > 2.0 * radius));
            }
        }
    }
}
