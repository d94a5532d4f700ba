//! What enemies leave behind, and what taking it up is good for.

use crate::arena::Arena;
use crate::events::ArenaEvent;
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;

/// Things that may lie about at once; who is destroyed beyond it leaves nothing.
const PICKUPS_MAX: usize = 32;

/// Number of a thing that lies about; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PickupId(pub u32);

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickupKind {
    /// Fills the shield.
    Shield,
    /// Mends the hull.
    Hull,
    /// Missiles.
    Missiles,
}

/// Something that lies about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pickup {
    /// Stable number.
    pub id: PickupId,
    /// What it is.
    pub kind: PickupKind,
    /// Where, metres.
    pub position: Vec2,
    /// Ticks for which it stays.
    pub ticks_left: u16,
}

impl Arena {
    /// Chance decides whether an enemy that was destroyed at `at` leaves something.
    pub(crate) fn leave_pickup(&mut self, at: Vec2, events: &mut Vec<ArenaEvent>) {
        if self.dice.share() >= self.config.pickups.chance || self.pickups.len() >= PICKUPS_MAX {
            return;
        }
        let kind = match self.dice.below(4) {
            0 => PickupKind::Hull,
            1 => PickupKind::Shield,
            _ => PickupKind::Missiles,
        };
        self.last_pickup = self.last_pickup.wrapping_add(1);
        let id = PickupId(self.last_pickup);
        self.pickups.push(Pickup { id, kind, position: at, ticks_left: self.config.pickups.ticks });
        events.push(ArenaEvent::PickupLeft { at, kind });
    }

    /// Lets things age, and gives those to the ship that it has reached.
    pub(crate) fn take_pickups(&mut self, events: &mut Vec<ArenaEvent>) {
        let reach = self.config.pickups.reach;
        let (ship, rules) = (&mut self.ship, &self.config.ship);
        let rack = self.config.pickups.missiles;
        self.pickups.retain_mut(|pickup| {
            pickup.ticks_left = pickup.ticks_left.saturating_sub(1);
            if ship.alive && pickup.position.distance_squared(ship.position) < reach * reach {
                match pickup.kind {
                    PickupKind::Shield => ship.shield = rules.shield,
                    PickupKind::Hull => ship.hull = rules.hull,
                    PickupKind::Missiles => {
                        ship.missiles =
                            ship.missiles.saturating_add(rack).min(rules.missiles_max.max(rules.missiles));
                    }
                }
                events.push(ArenaEvent::PickupTaken { at: pickup.position, kind: pickup.kind });
                return false;
            }
            pickup.ticks_left > 0
        });
    }
}

impl Recorded for Pickup {
    fn record(&self, record: &mut Record) {
        let Self { id, kind, position, ticks_left } = self;
        record.add(&id.0);
        record.add(&(*kind as u8));
        record.add(position);
        record.add(ticks_left);
    }
}
