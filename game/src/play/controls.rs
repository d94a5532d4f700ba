//! What the gamer or the autopilot wants the ship to do.

use bevy::prelude::*;
use p2c2r_arena::{Arena, Autopilot, Controls};

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
}

impl Pilot {
    /// The controls for the next step of `arena`.
    pub(crate) fn controls(&mut self, arena: &Arena, intent: Controls) -> Controls {
        match self {
            Self::Gamer => intent,
            Self::Itself(autopilot) => autopilot.controls(arena),
        }
    }
}
