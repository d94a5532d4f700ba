//! Score, wave and ships left, at the top, on the opposite side of the display.

use bevy::prelude::*;

use super::level::{Across, Edge};
use super::palette::{BRIGHT, DIM, EDGE, Ground, PANEL, Rim, SKY_BLUE};
use super::{show, text, write};
use crate::play::Battlefield;

/// Height that score, wave and ships take from the top, pixels at a window height of 720.
pub(super) const BELOW: f32 = 104.0;
/// Most ships shown as marks; more are rare and not shown.
const MARKS: u32 = 6;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, spawn_score)
        .add_systems(Update, (show_score, show_lives).run_if(resource_changed::<Battlefield>));
}

/// What a text shows.
#[derive(Component)]
enum Shows {
    Score,
    Wave,
}

/// One ship that is left, the present one included.
#[derive(Component)]
struct Mark(u32);

fn spawn_score(mut commands: Commands) {
    commands
        .spawn((
            Across(Edge::Top(8.0)),
            Node {
                position_type: PositionType::Absolute,
                flex_direction: FlexDirection::Column,
                row_gap: px(2),
                padding: UiRect::axes(px(10), px(4)),
                border: UiRect::all(px(1)),
                border_radius: BorderRadius::all(px(8)),
                ..default()
            },
            Ground(PANEL),
            Rim(EDGE),
        ))
        .with_children(|column| {
            column.spawn((Shows::Score, text("000000", 34.0, BRIGHT)));
            column.spawn((Shows::Wave, text("WAVE -", 16.0, DIM)));
            let row = Node { column_gap: px(5), align_items: AlignItems::Center, ..default() };
            column.spawn(row).with_children(|row| {
                row.spawn(text("SHIPS", 13.0, DIM));
                for index in 0..MARKS {
                    row.spawn((Mark(index), mark(), Ground(SKY_BLUE)));
                }
            });
        });
}

/// A ship seen from above, with a round nose.
fn mark() -> Node {
    let (nose, tail) = (percent(50), px(2));
    Node {
        width: px(9),
        height: px(13),
        border_radius: BorderRadius {
            top_left: nose,
            top_right: nose,
            bottom_left: tail,
            bottom_right: tail,
        },
        ..default()
    }
}

fn show_score(
    battlefield: Res<Battlefield>,
    mut shown: Local<Option<(u64, u32, usize)>>,
    mut texts: Query<(&Shows, &mut Text)>,
) {
    let arena = &battlefield.arena;
    let (score, wave, enemies) = (arena.score(), arena.wave(), arena.enemies().len());
    let now = Some((score, wave, enemies));
    if std::mem::replace(&mut *shown, now) == now {
        return;
    }
    for (shows, mut text) in &mut texts {
        let words = match shows {
            Shows::Score => format!("{score:06}"),
            Shows::Wave => format!("WAVE {wave}  ENEMIES {enemies:>2}"),
        };
        write(&mut text, &words);
    }
}

fn show_lives(battlefield: Res<Battlefield>, mut marks: Query<(&Mark, &mut Node)>) {
    for (Mark(index), mut node) in &mut marks {
        show(&mut node, *index < battlefield.arena.lives());
    }
}
