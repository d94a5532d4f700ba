//! The controls of the ship, from the gamer, the autopilot or a recording.

use bevy::prelude::*;
use p2c2r_arena::{Arena, Autopilot, Controls, Flight};

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Intent>();
}

/// The controls from the held inputs; written by the input systems.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub(crate) struct Intent(pub(crate) Controls);

/// Who steers.
#[derive(Resource, Default)]
pub(crate) enum Pilot {
    /// The gamer, through [`Intent`].
    #[default]
    Gamer,
    /// The autopilot.
    Itself(Autopilot),
    /// A recorded flight.
    Recorded(Flight),
}

impl Pilot {
    /// The controls for the next step of `arena`.
    pub(crate) fn controls(&mut self, arena: &Arena, intent: Controls) -> Controls {
        match self {
            Self::Gamer => intent,
            Self::Itself(autopilot) => autopilot.controls(arena),
            // Outcomes come at other ticks than when the flight was recorded, so a round may end at another
            // tick: the next begins at once, so that the load stays the same.
            Self::Recorded(flight) => Controls { restart: arena.is_over(), ..flight.controls(arena.tick()) },
        }
    }
}
