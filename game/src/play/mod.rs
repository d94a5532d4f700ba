//! Runs the arena: controls in, tasks out, outcomes back in. Needs neither window nor GPU.

mod borrowing;
mod controls;
mod ending;
mod keyboard;
mod lightfield;
mod recorded;
mod reflecting;
mod sources;
mod stepping;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use p2c2r_arena::{Arena, ArenaEvent, Sector};

pub(crate) use borrowing::plans_bought;
pub(crate) use controls::{Intent, Pilot};
pub(crate) use ending::{Ending, RunLength};
pub(crate) use keyboard::window_plugin;
pub(crate) use lightfield::{FieldFineness, LightAround, PARTS as SECTOR_PARTS, sector_bought};
pub(crate) use recorded::{flip_plugin, read_flight};
pub(crate) use reflecting::{Fineness, MirroredShip, ORES, Reflecting, SHIP_FACE, SHIPS_MAX, is_ore, ore_of};
pub(crate) use sources::{Source, Sources};
pub(crate) use stepping::Slips;

pub(super) fn plugin(app: &mut App) {
    app.add_message::<Happened>().add_plugins((
        controls::plugin,
        keyboard::plugin,
        stepping::plugin,
        borrowing::plugin,
        reflecting::plugin,
        lightfield::plugin,
        ending::plugin,
    ));
}

/// The arena being played in. Only `stepping` writes it.
#[derive(Resource)]
pub struct Battlefield {
    /// The rules and their state.
    pub arena: Arena,
}

/// The properties that determine the look of a sector, whatever has happened in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scenery {
    pub(crate) seed: u64,
    /// Colour of the star's light, each part of 255.
    pub(crate) star: [u8; 3],
    /// Edge of the arena, metres.
    pub(crate) size: f32,
}

impl Scenery {
    /// The scenery of a sector of this arena.
    pub(crate) fn of(sector: &Sector, arena: &Arena) -> Self {
        Self { seed: sector.seed, star: sector.plan().star, size: arena.config().size }
    }
}

/// Whether play is paused or over, so that no new task should be asked or paid for.
fn nobody_plays(battlefield: &Battlefield, clock: &Time<Virtual>) -> bool {
    clock.is_paused() || battlefield.arena.is_over()
}

/// Something that happened in the arena, for sound and effects.
#[derive(Message, Clone, Copy, Debug)]
pub struct Happened(pub ArenaEvent);

/// The fraction of the next tick that has passed, for drawing between ticks.
#[derive(SystemParam)]
pub(crate) struct TickShare<'w> {
    fixed: Res<'w, Time<Fixed>>,
}

impl TickShare<'_> {
    /// 0 right at the last tick, towards 1 just before the next.
    pub(crate) fn get(&self) -> f32 {
        self.fixed.overstep_fraction().clamp(0.0, 1.0)
    }
}
