//! The level of detail of the HUD, from the settings; one key cycles it, another moves the HUD.

use bevy::prelude::*;

pub(super) use crate::settings::BorrowingDetail;

use super::show;
use crate::input::{Action, Actions, InputSystems};
use crate::settings::Settings;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, change_display.in_set(InputSystems::Act))
        .add_systems(Update, (show_level, move_to_corner, move_across).run_if(resource_changed::<Settings>));
}

/// A node that is shown from this level on.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct ShownFrom(pub(super) BorrowingDetail);

/// A node in the corner that the settings name, this far from the upper or lower edge, pixels at a window height of 720.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct Cornered(pub(super) f32);

/// A node on the side opposite to the display, so that neither covers the other.
#[derive(Component, Clone, Copy, Debug)]
pub(super) struct Across(pub(super) Edge);

/// An edge of the picture and the distance from it, in pixels at a window height of 720.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edge {
    Top(f32),
    Bottom(f32),
}

/// Distance from the side, pixels.
pub(super) const MARGIN: f32 = 16.0;

fn move_to_corner(settings: Res<Settings>, mut nodes: Query<(&Cornered, &mut Node)>) {
    let corner = settings.display.corner;
    for (Cornered(from_edge), mut node) in &mut nodes {
        let edge = if corner.is_top() { Edge::Top(*from_edge) } else { Edge::Bottom(*from_edge) };
        stand(&mut node, edge, corner.is_right());
    }
}

fn move_across(settings: Res<Settings>, mut nodes: Query<(&Across, &mut Node)>) {
    let right = !settings.display.corner.is_right();
    for (Across(edge), mut node) in &mut nodes {
        stand(&mut node, *edge, right);
        node.align_items = if right { AlignItems::FlexEnd } else { AlignItems::FlexStart };
    }
}

fn stand(node: &mut Node, edge: Edge, right: bool) {
    let (near, away) = (px(MARGIN), Val::Auto);
    (node.left, node.right) = if right { (away, near) } else { (near, away) };
    (node.top, node.bottom) = match edge {
        Edge::Top(distance) => (px(distance), away),
        Edge::Bottom(distance) => (away, px(distance)),
    };
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
        show(&mut node, settings.display.level >= *from);
    }
}
