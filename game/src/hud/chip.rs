//! The chip that says whether work is being borrowed, by colour, shape and word.

use std::fmt::Write as _;

use bevy::prelude::*;
use p2c2r_offload::{LocalReason, OffloadMode, OffloadState};

use super::level::{BorrowingDetail, Cornered, ShownFrom};
use super::palette::{BRIGHT, CLEAR, EDGE, Ground, Letters, ORANGE, PANEL, Rim, SKY_BLUE};
use super::{show, text, write, write_inside};
use crate::figures::{self, Figures};
use crate::settings::Settings;

/// Size of the text, pixels at a window height of 720: all of it stays below three tenths of a wide window.
const TEXT: f32 = 15.0;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_chip).add_systems(
        Update,
        (
            show_state.run_if(resource_changed::<Figures>.or_else(resource_changed::<OffloadState>)),
            show_session.run_if(resource_changed::<Figures>.or_else(resource_changed::<Settings>)),
        ),
    );
}

/// The coloured shape.
#[derive(Component)]
struct Lamp;

/// `BORROWING ON`.
#[derive(Component)]
struct Word;

/// What the session has cost, below the rest. It is shown only at the chip's level: at higher ones the panel has it.
#[derive(Component)]
struct Session;

/// Frames a second, the round trip to the coordinator, and dollars an hour.
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
            flex_direction: FlexDirection::Column,
            align_items: AlignItems::FlexEnd,
            padding: UiRect::horizontal(px(12)),
            border: UiRect::all(px(1)),
            border_radius: BorderRadius::all(px(16)),
            ..default()
        },
        Ground(PANEL),
        Rim(EDGE),
        children![
            (
                Node { height: px(30), column_gap: px(9), align_items: AlignItems::Center, ..default() },
                children![
                    (Lamp, lamp, Ground(SKY_BLUE), Rim(SKY_BLUE)),
                    (Word, text("BORROWING -", TEXT, BRIGHT)),
                    (Rate, text("", TEXT, BRIGHT)),
                ],
            ),
            (
                Session,
                Node { height: px(22), display: Display::None, ..default() },
                children![text("", TEXT, BRIGHT)],
            ),
        ],
    ));
}

fn show_state(
    figures: Res<Figures>,
    state: Res<OffloadState>,
    lamp: Single<(&mut Node, &mut Ground, &mut Rim), With<Lamp>>,
    mut word: Single<(&mut Text, &mut Letters), (With<Word>, Without<Rate>)>,
    mut rate: Single<&mut Text, (With<Rate>, Without<Word>)>,
) {
    // On: a full disc. On but alone: a ring. Off: a square.
    let (name, colour, full, radius) = match &state.mode {
        OffloadMode::Remote => ("BORROWING ON", SKY_BLUE, true, percent(50)),
        OffloadMode::Local(LocalReason::SwitchedOff) => ("BORROWING OFF", ORANGE, true, percent(0)),
        OffloadMode::Local(_) => ("BORROWING ON, ALONE", ORANGE, false, percent(50)),
    };
    let (mut node, mut background, mut border) = lamp.into_inner();
    let radius = BorderRadius::all(radius);
    if node.border_radius != radius {
        node.border_radius = radius;
    }
    background.set_if_neq(Ground(if full { colour } else { CLEAR }));
    border.set_if_neq(Rim(colour));
    write(&mut word.0, name);
    word.1.set_if_neq(Letters(colour));
    write(&mut rate, &rate_text(&figures));
}

fn show_session(
    figures: Res<Figures>,
    settings: Res<Settings>,
    session: Single<(&mut Node, &Children), With<Session>>,
    mut texts: Query<&mut Text>,
) {
    let (mut node, children) = session.into_inner();
    show(&mut node, settings.display.level == BorrowingDetail::Chip);
    write_inside(children, &mut texts, &session_text(&figures));
}

fn session_text(figures: &Figures) -> String {
    format!("session {}", figures::dollars_to_the_nano(figures.cost_dollars))
}

/// `60 fps 12 ms $0.0031/h`; without a coordinator, the frame rate alone.
fn rate_text(figures: &Figures) -> String {
    let mut words = format!("{:>3} fps", figures::count(figures.fps));
    // Writing to a String cannot fail.
    if let Some(rtt) = figures.rtt_ms {
        let _ = write!(words, " {:>3} ms", figures::milliseconds(Some(rtt)));
    }
    if let Some(cost) = figures.cost_dollars_per_hour {
        let _ = write!(words, " ${cost:.4}/h");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chip_says_how_fast_how_far_and_how_dear() {
        let figures = Figures {
            fps: Some(59.8),
            rtt_ms: Some(12.3),
            cost_dollars_per_hour: Some(0.003_14),
            ..Figures::default()
        };
        assert_eq!(rate_text(&figures), " 60 fps  12 ms $0.0031/h");
        assert_eq!(rate_text(&Figures { fps: Some(7.0), ..Figures::default() }), "  7 fps");
        assert_eq!(rate_text(&Figures::default()), "  - fps");
        assert_eq!(session_text(&Figures::default()), "session -");
        let spent = Figures { cost_dollars: Some(0.010_000_001), ..figures };
        assert_eq!(session_text(&spent), "session $0.010000001");
    }
}
