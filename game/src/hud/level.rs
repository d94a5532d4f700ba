//! How much the HUD shows, as the settings say; one key goes round, another moves it.

use bevy::prelude::*;

pub(super) use crate::settings::Level;

use crate::input::{Action, Actions, InputSystems};
use crate::settings::Settings;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, change_display.in_set(InputSystems::Act))
        .add_systems(Update, show_level.run_if(resource_changed::<Settings>));
}

/// Shown from this level on.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct ShownFrom(pub(super) Level);

fn change_display(actions: Res<Actions>, mut settings: ResMut<Settings>) {
    if actions.just(Action::Display) {
        settings.display.level = settings.display.level.next();
    }
    if actions.just(Action::Corner) {
        settings.display.corner = settings.display.corner.next();
    }
}

fn show_level(settings: Res<Settings>, mut nodes: Query<(&ShownFrom, &mut Node)>) {
    for (ShownFrom(from), mut node) in &mut nodes {
        let display = if settings.display.level >= *from { Display::Flex } else { Display::None };
        if node.display != display {
            node.display = display;
        }
    }
}
