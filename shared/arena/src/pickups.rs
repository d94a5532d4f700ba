//! Pickups that enemies leave behind, and what they give.

use crate::arena::Arena;
use crate::events::ArenaEvent;
use crate::record::{Record, Recorded};
use crate::vec2::Vec2;

/// Most pickups at once; beyond it a destroyed enemy leaves none.
const PICKUPS_MAX: usize = 32;

/// Number of a pickup; never used twice in one arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PickupId(pub u32);

/// What a pickup gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickupKind {
    /// Fills the shield.
    Shield,
    /// Repairs the hull.
    Hull,
    /// Missiles.
    Missiles,
}

/// A pickup in the arena.
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
    /// Decides at random whether an enemy that was destroyed at `at` leaves a pickup.
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

    /// Ages pickups, and gives the ship those that it has reached.
    pub(crate) fn take_pickups(&mut self, events: &mut Vec<ArenaEvent>) {
        let reach = self.config.pickups.reach;
        let mut pickups = std::mem::take(&mut self.pickups);
        pickups.retain_mut(|pickup| {
            pickup.ticks_left = pickup.ticks_left.saturating_sub(1);
            let reached = pickup.position.distance_squared(self.ship.position) < reach * reach;
            if self.ship.alive && reached {
                self.take_up(pickup, events);
                return false;
            }
            pickup.ticks_left > 0
        });
        self.pickups = pickups;
    }

    /// Gives all pickups to the ship, if it is there.
    pub(crate) fn take_all_pickups(&mut self, events: &mut Vec<ArenaEvent>) {
        for pickup in std::mem::take(&mut self.pickups) {
            if self.ship.alive {
                self.take_up(&pickup, events);
            }
        }
    }

    fn take_up(&mut self, pickup: &Pickup, events: &mut Vec<ArenaEvent>) {
        let (ship, rules) = (&mut self.ship, &self.config.ship);
        match pickup.kind {
            PickupKind::Shield => ship.shield = rules.shield,
            PickupKind::Hull => ship.hull = rules.hull,
            PickupKind::Missiles => {
                let most = rules.missiles_max.max(rules.missiles);
                ship.missiles = ship.missiles.saturating_add(self.config.pickups.missiles).min(most);
            }
        }
        events.push(ArenaEvent::PickupTaken { at: pickup.position, kind: pickup.kind });
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
