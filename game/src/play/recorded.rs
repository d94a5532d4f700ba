//! Recorded inputs: a flight from a file, and T pressed by a timer. Benches compare runs with them.

use std::path::Path;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_arena::Flight;

use crate::GameError;
use crate::input::InputSystems;
use crate::settings::{Settings, SettingsAtStart};

/// The flight in this file.
pub(crate) fn read_flight(path: &Path) -> Result<Flight, GameError> {
    let wrong = |reason: String| GameError::Flight { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    text.parse().map_err(|error: p2c2r_arena::FlightError| wrong(error.to_string()))
}

/// Switches borrowing off and on, by real time.
pub(crate) fn flip_plugin(every: Duration) -> impl Plugin {
    move |app: &mut App| {
        app.add_systems(PreUpdate, flip.in_set(InputSystems::Act).run_if(on_real_timer(every)));
    }
}

/// Switches the setting and the value that this run was started with, so that the difference is not saved as the player's
/// choice.
fn flip(mut settings: ResMut<Settings>, mut at_start: ResMut<SettingsAtStart>) {
    settings.borrowing.enabled ^= true;
    at_start.started.borrowing.enabled = settings.borrowing.enabled;
}
