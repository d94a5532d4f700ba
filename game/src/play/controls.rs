//! What the gamer or the autopilot wants the ship to do.

use bevy::prelude::*;
use p2c2r_arena::{Arena, Autopilot, Controls, Flight};

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
    Itself(Autopilot),
    /// Whoever flew this.
    Recorded(Flight),
}

impl Pilot {
    /// The controls for the next step of `arena`.
    pub(crate) fn controls(&mut self, arena: &Arena, intent: Controls) -> Controls {
        match self {
            Self::Gamer => intent,
            Self::Itself(autopilot) => autopilot.controls(arena),
            // Outcomes come at other ticks than when it was flown, so a round may end where that one did not: the next
            // begins at once, and what there is to compute stays the same.
            Self::Recorded(flight) => Controls { restart: arena.is_over(), ..flight.controls(arena.tick()) },
        }
    }
}
