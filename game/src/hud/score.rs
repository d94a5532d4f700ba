//! Score, wave and lives, at the top, on the opposite side of the display.

use bevy::prelude::*;

use super::level::{Across, Edge};
use super::palette::{BRIGHT, DIM, EDGE, Ground, PANEL, Rim, SKY_BLUE};
use super::{text, write};
use crate::play::Battlefield;

/// Height that it takes from the top, pixels at a window height of 720.
pub(super) const BELOW: f32 = 104.0;
/// Most lives shown as marks; more are rare and not shown.
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

/// One life.
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
            column.spawn(Node { column_gap: px(6), margin: UiRect::top(px(5)), ..default() }).with_children(
                |marks| {
                    for index in 0..MARKS {
                        marks.spawn((
                            Mark(index),
                            Node {
                                width: px(20),
                                height: px(7),
                                border_radius: BorderRadius::all(px(3)),
                                ..default()
                            },
                            Ground(SKY_BLUE),
                        ));
                    }
                },
            );
        });
}

fn show_score(battlefield: Res<Battlefield>, mut texts: Query<(&Shows, &mut Text)>) {
    let arena = &battlefield.arena;
    for (shows, mut text) in &mut texts {
        let words = match shows {
            Shows::Score => format!("{:06}", arena.score()),
            Shows::Wave => format!("WAVE {}  ENEMIES {:>2}", arena.wave(), arena.enemies().len()),
        };
        write(&mut text, &words);
    }
}

fn show_lives(battlefield: Res<Battlefield>, mut marks: Query<(&Mark, &mut Visibility)>) {
    let lives = battlefield.arena.lives();
    for (Mark(index), mut visibility) in &mut marks {
        visibility.set_if_neq(if *index < lives { Visibility::Inherited } else { Visibility::Hidden });
    }
}
