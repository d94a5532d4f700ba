//! The chip that says whether work is being borrowed, by colour, shape and word.

use bevy::prelude::*;
use p2c2r_offload::{LocalReason, OffloadMode, OffloadState};

use super::level::{BorrowingDetail, Cornered, ShownFrom};
use super::palette::{BRIGHT, EDGE, ORANGE, PANEL, SKY_BLUE};
use super::{text, write};
use crate::figures::{self, Figures};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_chip).add_systems(
        Update,
        show_state.run_if(resource_changed::<Figures>.or_else(resource_changed::<OffloadState>)),
    );
}

/// The coloured shape.
#[derive(Component)]
struct Lamp;

/// `OFFLOAD ON`.
#[derive(Component)]
struct Word;

/// Dollars an hour.
#[derive(Component)]
struct Rate;

fn spawn_chip(mut commands: Commands) {
    let lamp = Node {
        width: px(13),
        height: px(13),
        border: UiRect::all(px(3)),
        border_radius: BorderRadius::all(percent(50)),
        ..default()
    };
    commands.spawn((
        ShownFrom(BorrowingDetail::Chip),
        Cornered(14.0),
        Node {
            position_type: PositionType::Absolute,
            height: px(32),
            padding: UiRect::horizontal(px(12)),
            column_gap: px(9),
            align_items: AlignItems::Center,
            border: UiRect::all(px(1)),
            border_radius: BorderRadius::all(px(16)),
            ..default()
        },
        BackgroundColor(PANEL.into()),
        BorderColor::all(EDGE),
        children![
            (Lamp, lamp, BackgroundColor(SKY_BLUE.into()), BorderColor::all(SKY_BLUE)),
            (Word, text("OFFLOAD -", 16.0, BRIGHT)),
            (Rate, text("", 16.0, BRIGHT)),
        ],
    ));
}

fn show_state(
    figures: Res<Figures>,
    state: Res<OffloadState>,
    lamp: Single<(&mut Node, &mut BackgroundColor, &mut BorderColor), With<Lamp>>,
    mut word: Single<(&mut Text, &mut TextColor), (With<Word>, Without<Rate>)>,
    mut rate: Single<&mut Text, (With<Rate>, Without<Word>)>,
) {
    // On: a full disc. On but alone: a ring. Off: a square.
    let (name, colour, full, radius) = match &state.mode {
        OffloadMode::Remote => ("OFFLOAD ON", SKY_BLUE, true, percent(50)),
        OffloadMode::Local(LocalReason::SwitchedOff) => ("OFFLOAD OFF", ORANGE, true, percent(0)),
        OffloadMode::Local(_) => ("OFFLOAD ON, ALONE", ORANGE, false, percent(50)),
    };
    let (mut node, mut background, mut border) = lamp.into_inner();
    let radius = BorderRadius::all(radius);
    if node.border_radius != radius {
        node.border_radius = radius;
    }
    background.set_if_neq(BackgroundColor(if full { colour.into() } else { Color::NONE }));
    border.set_if_neq(BorderColor::all(colour));
    write(&mut word.0, name);
    word.1.set_if_neq(TextColor(colour.into()));
    let cost = figures
        .cost_dollars_per_hour
        .map_or_else(String::new, |cost| format!("{}/h", figures::dollars(Some(cost))));
    write(&mut rate, &cost);
}
