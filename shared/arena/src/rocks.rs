//! Rocks: round obstacles that stand in the way of bullets, ships and paths, and break when shot.

use crate::arena::Arena;
use crate::config::RockRules;
use crate::events::ArenaEvent;
use crate::layout;
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;

/// Rocks there may be at once; pieces beyond it do not appear.
const ROCKS_MAX: usize = 1_024;

/// Number of a rock; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RockId(pub u32);

/// A rock. It stands still as yet; everything that reads it takes its position of the tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rock {
    /// Stable number.
    pub id: RockId,
    /// Centre, metres.
    pub position: Vec2,
    /// Centre one tick ago, for interpolation.
    pub previous: Vec2,
    /// Radius, metres.
    pub radius: f32,
    /// Bullets it still takes before it breaks.
    pub hits_left: u8,
}

impl Rock {
    /// A rock for geometry only, before it has a number.
    pub(crate) fn mock(position: Vec2, radius: f32) -> Self {
        Self { id: RockId(0), position, previous: position, radius, hits_left: 1 }
    }

    /// Whether the straight way of something of radius `reach` from `start` to `end` touches it.
    pub(crate) fn blocks(&self, start: Vec2, end: Vec2, reach: f32) -> bool {
        let reach = self.radius + reach;
        crate::vec2::segment_distance_squared(start, end, self.position) < reach * reach
    }
}

/// Bullets a rock takes: one for the smallest, all of `hits` for the largest.
fn hits_of(rules: &RockRules, radius: f32) -> u8 {
    let span = (rules.radius_max - rules.radius_min).max(0.01);
    let share = ((radius - rules.radius_min) / span).clamp(0.0, 1.0);
    1 + (share * f32::from(rules.hits - 1)) as u8
}

/// A measure of how much rock there is.
pub(crate) fn area(rocks: &[Rock]) -> f32 {
    rocks.iter().map(|rock| rock.radius * rock.radius).sum()
}

impl Arena {
    pub(crate) fn add_rock(&mut self, position: Vec2, radius: f32) {
        if self.rocks.len() >= ROCKS_MAX {
            return;
        }
        self.last_rock += 1;
        self.rocks.push(Rock {
            id: RockId(self.last_rock),
            position,
            previous: position,
            radius,
            hits_left: hits_of(&self.config.rocks, radius),
        });
        self.pathing.rocks_changed();
    }

    /// A bullet flying along `heading` hits the rock at `index`.
    pub(crate) fn hit_rock(&mut self, index: usize, at: Vec2, heading: Vec2, events: &mut Vec<ArenaEvent>) {
        let rock = &mut self.rocks[index];
        rock.hits_left -= 1;
        if rock.hits_left > 0 {
            events.push(ArenaEvent::Hit { at });
            return;
        }
        let rock = self.rocks.remove(index);
        self.pathing.rocks_changed();
        let radius = rock.radius * self.config.rocks.piece_size;
        let pieces = if radius >= self.config.rocks.radius_min { self.config.rocks.pieces } else { 0 };
        // Pieces lie inside the rock they come from, so nothing that stood beside it is suddenly inside one.
        for side in [heading.left(), -heading.left(), heading, -heading].into_iter().take(pieces as usize) {
            self.add_rock(rock.position + side * (rock.radius - radius), radius);
        }
        events.push(ArenaEvent::RockDestroyed {
            id: rock.id,
            at: rock.position,
            radius: rock.radius,
            pieces,
        });
        events.push(ArenaEvent::Explosion { at: rock.position, size: rock.radius });
        self.earn(self.config.rocks.points, events);
    }

    /// Brings new rocks where much has been shot away.
    pub(crate) fn regrow_rocks(&mut self) {
        let mut shunned: Vec<Vec2> = self.enemies.iter().map(|enemy| enemy.position).collect();
        shunned.push(self.ship.position);
        for _ in 0..self.config.rocks.singles {
            if area(&self.rocks) >= self.first_rock_area * self.config.rocks.regrow_below {
                return;
            }
            let placed: Vec<(Vec2, f32)> =
                self.rocks.iter().map(|rock| (rock.position, rock.radius)).collect();
            let found = layout::single(&self.config, &self.field, &mut self.dice, &placed, &shunned);
            if let Some((position, radius)) = found {
                self.add_rock(position, radius);
            }
        }
    }
}

impl Recorded for Rock {
    fn record(&self, record: &mut Record) {
        let Self { id, position, previous, radius, hits_left } = self;
        record.add(&id.0);
        record.add(position);
        record.add(previous);
        record.add(radius);
        record.add(hits_left);
    }
}
