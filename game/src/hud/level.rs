//! How much the HUD shows, as the settings say; one key goes round, another moves it.

use bevy::prelude::*;

pub(super) use crate::settings::BorrowingDetail;

use crate::input::{Action, Actions, InputSystems};
use crate::settings::{Corner, Settings};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, change_display.in_set(InputSystems::Act))
        .add_systems(Update, (show_level, move_to_corner).run_if(resource_changed::<Settings>));
}

/// Shown from this level on.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct ShownFrom(pub(super) BorrowingDetail);

/// Stands in the corner of the settings, this far from its edge in pixels at a window height of 720.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct Cornered(pub(super) f32);

/// What the left corners hold already, in pixels: the score at the top, the ship's state at the bottom.
const SCORE_HEIGHT: f32 = 96.0;
const GAUGES_HEIGHT: f32 = 116.0;
/// Distance from the side, pixels.
const MARGIN: f32 = 16.0;

fn move_to_corner(settings: Res<Settings>, mut nodes: Query<(&Cornered, &mut Node)>) {
    for (Cornered(from_edge), mut node) in &mut nodes {
        let (near, away) = (px(MARGIN), Val::Auto);
        let (top, right, bottom, left) = match settings.display.corner {
            Corner::TopRight => (px(*from_edge), near, away, away),
            Corner::BottomRight => (away, near, px(*from_edge), away),
            Corner::BottomLeft => (away, away, px(from_edge + GAUGES_HEIGHT), near),
            Corner::TopLeft => (px(from_edge + SCORE_HEIGHT), away, away, near),
        };
        (node.top, node.right, node.bottom, node.left) = (top, right, bottom, left);
    }
}

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
