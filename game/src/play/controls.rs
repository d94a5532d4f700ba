//! What the gamer or the autopilot wants the ship to do.

use bevy::prelude::*;
use p2c2r_arena::{Arena, Autopilot, Controls};

/// Ticks the autopilot lets a finished round stand before it starts the next: three seconds.
const RESTART_TICKS: u32 = 180;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Intent>();
}

/// What the keys held down mean; written by whatever reads keys.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub(crate) struct Intent(pub(crate) Controls);

/// Who steers.
#[derive(Resource, Default)]
pub(crate) enum Pilot {
    /// The gamer, through [`Intent`].
    #[default]
    Gamer,
    /// The game itself.
    Itself(ItselfPilot),
}

/// The autopilot and its patience.
#[derive(Default)]
pub(crate) struct ItselfPilot {
    autopilot: Autopilot,
    ticks_since_over: u32,
}

impl Pilot {
    /// The controls for the next step of `arena`.
    pub(crate) fn controls(&mut self, arena: &Arena, intent: Controls) -> Controls {
        match self {
            Self::Gamer => intent,
            Self::Itself(pilot) => {
                pilot.ticks_since_over = if arena.is_over() { pilot.ticks_since_over + 1 } else { 0 };
                let restart = pilot.ticks_since_over > RESTART_TICKS;
                Controls { restart, ..pilot.autopilot.controls(arena) }
            }
        }
    }
}
