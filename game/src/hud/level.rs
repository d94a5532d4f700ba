//! How much the HUD shows; F3 goes round.

use bevy::prelude::*;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Level>().add_systems(Update, (cycle_level, show_level).chain());
}

/// How much is shown.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing.
    Off,
    /// Whether offloading is on, and what it costs.
    Chip,
    /// And the numbers per kind.
    #[default]
    Compact,
    /// And everything else, with the keys.
    Full,
}

impl Level {
    fn next(self) -> Self {
        match self {
            Self::Off => Self::Chip,
            Self::Chip => Self::Compact,
            Self::Compact => Self::Full,
            Self::Full => Self::Off,
        }
    }
}

/// Shown from this level on.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct ShownFrom(pub(super) Level);

fn cycle_level(keys: Res<ButtonInput<KeyCode>>, mut level: ResMut<Level>) {
    if keys.just_pressed(KeyCode::F3) {
        *level = level.next();
    }
}

fn show_level(level: Res<Level>, mut nodes: Query<(&ShownFrom, &mut Node)>) {
    if !level.is_changed() {
        return;
    }
    for (ShownFrom(from), mut node) in &mut nodes {
        node.display = if *level >= *from { Display::Flex } else { Display::None };
    }
}
