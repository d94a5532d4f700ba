//! The comparison columns: after T, the last ten seconds of the other mode beside the present one, so that a
//! player can compare both.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use bevy::text::LineBreak;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::{LastOutcome, OffloadSwitch};
use p2c2r_tasks::reflection::Reflection;

use super::level::{Across, BorrowingDetail, Edge, ShownFrom};
use super::middle::MiddleRoom;
use super::palette::{BRIGHT, DIM, EDGE, Ground, Ink, Letters, PANEL, Rim};
use super::scale::Room;
use super::{panel, score, write};
use crate::figures::{self, Figures};

/// How far back a column looks.
const WINDOW: Duration = Duration::from_secs(10);
/// Frames kept at most: ten seconds of 480 a second.
const FRAMES_MAX: usize = 4_800;
const TEXT: f32 = 13.0;
/// Height in pixels at a scale of 1 that score, columns, announcements and the ship's state need.
const HEIGHT_MIN: f32 = 660.0;
/// Width in pixels beside the panel below which announcements wrap into so many lines that they need the
/// columns' place.
const WIDTH_MIN: f32 = 400.0;
/// Widths of the columns in pixels.
const WIDTHS: [f32; 3] = [112.0, 76.0, 76.0];
const ROWS: [&str; 7] =
    ["fps", "1 % low fps", "frame p95 ms", "CPU ms a frame", "light a second", "light's age ms", "$/hour"];

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Recent>().add_systems(Startup, spawn_columns).add_systems(
        Update,
        (note_frame, show_columns.run_if(on_real_timer(Duration::from_millis(500)))).chain(),
    );
}

/// One frame.
#[derive(Clone, Copy)]
struct Frame {
    at: Duration,
    took: Duration,
    /// Processor time of the whole program, where the system tells it.
    processor: Option<Duration>,
    /// New light came in it.
    light: bool,
}

/// The figures of one mode.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Column {
    offloading: bool,
    /// Values in the order of [`ROWS`]; `None` is unknown.
    values: [Option<f64>; ROWS.len()],
}

/// The frames of the present mode, and the last figures of the other one.
#[derive(Resource, Default)]
struct Recent {
    frames: VecDeque<Frame>,
    offloading: Option<bool>,
    before: Option<Column>,
    processor_at: Option<Duration>,
}

impl Recent {
    fn push(&mut self, frame: Frame) {
        if self.frames.len() == FRAMES_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
        while self.frames.front().is_some_and(|first| frame.at.saturating_sub(first.at) > WINDOW) {
            self.frames.pop_front();
        }
    }

    /// The figures of the present mode.
    fn column(&self, offloading: bool, figures: &Figures) -> Column {
        let count = self.frames.len();
        let sum: Duration = self.frames.iter().map(|frame| frame.took).sum();
        let mut took_ms: Vec<f64> = self.frames.iter().map(|frame| frame.took.as_secs_f64() * 1e3).collect();
        let mut longest = |share| figures::exceeded_by(&mut took_ms, share);
        let processor: Option<Duration> = self.frames.iter().map(|frame| frame.processor).sum();
        let lights = self.frames.iter().filter(|frame| frame.light).count();
        let mean = |sum: Duration| (count > 0).then(|| sum.as_secs_f64() * 1e3 / count as f64);
        let light_age =
            figures.kinds.iter().find(|kind| kind.name == "reflection").and_then(|kind| kind.p50_ms);
        Column {
            offloading,
            values: [
                mean(sum).map(|ms| 1e3 / ms),
                longest(0.01).map(|ms| 1e3 / ms),
                longest(0.05),
                processor.and_then(mean),
                (!sum.is_zero()).then(|| lights as f64 / sum.as_secs_f64()),
                light_age,
                figures.cost_dollars_per_hour,
            ],
        }
    }
}

/// Processor time that this program has used so far.
fn processor_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(Duration::new(used.tv_sec.try_into().ok()?, used.tv_nsec.try_into().ok()?))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

fn note_frame(
    time: Res<Time<Real>>,
    switch: Res<OffloadSwitch>,
    light: Res<LastOutcome<Reflection>>,
    figures: Res<Figures>,
    mut recent: ResMut<Recent>,
) {
    let before = recent.offloading.replace(switch.enabled);
    if let Some(before) = before.filter(|before| *before != switch.enabled) {
        recent.before = Some(recent.column(before, &figures));
        recent.frames.clear();
    }
    let now = processor_time();
    let then = std::mem::replace(&mut recent.processor_at, now);
    let processor = now.zip(then).map(|(now, then)| now.saturating_sub(then));
    let frame = Frame { at: time.elapsed(), took: time.delta(), processor, light: light.is_changed() };
    // A frame without elapsed time says nothing about the frame rate.
    if !frame.took.is_zero() && (processor.is_some() || now.is_none()) {
        recent.push(frame);
    }
}

/// The whole table, which appears after the first T.
#[derive(Component)]
pub(super) struct Columns;

/// A value: its row, and whether it is of the other mode.
#[derive(Component, Clone, Copy)]
struct Value(usize, bool);

/// The name of a mode: whether of the other one.
#[derive(Component, Clone, Copy)]
struct Head(bool);

fn spawn_columns(mut commands: Commands) {
    // Inside a root, because roots are hidden while a menu is open.
    let place =
        (Across(Edge::Top(score::BELOW)), Node { position_type: PositionType::Absolute, ..default() });
    let table = Node {
        flex_direction: FlexDirection::Column,
        row_gap: px(2),
        padding: UiRect::axes(px(12), px(8)),
        border: UiRect::all(px(1)),
        border_radius: BorderRadius::all(px(8)),
        ..default()
    };
    let table = (ShownFrom(BorrowingDetail::Compact), table, Ground(PANEL), Rim(EDGE));
    let root = commands.spawn(place).id();
    commands.spawn(table).insert((Columns, Visibility::Hidden, ChildOf(root))).with_children(|table| {
        table.spawn(Node::default()).with_children(|row| {
            row.spawn(cell("last 10 s", 0, DIM));
            row.spawn((Head(false), cell("", 1, BRIGHT)));
            row.spawn((Head(true), cell("", 2, DIM)));
        });
        for (number, name) in ROWS.iter().enumerate() {
            table.spawn(Node::default()).with_children(|row| {
                row.spawn(cell(name, 0, DIM));
                row.spawn((Value(number, false), cell(figures::UNKNOWN, 1, BRIGHT)));
                row.spawn((Value(number, true), cell(figures::UNKNOWN, 2, DIM)));
            });
        }
    });
}

fn cell(content: &str, column: usize, colour: Ink) -> impl Bundle {
    let justify = if column == 0 { Justify::Left } else { Justify::Right };
    (
        Text::new(content),
        Node { width: px(WIDTHS[column]), height: px(18), ..default() },
        TextFont::from_font_size(TEXT),
        Letters(colour),
        // Only text that may wrap is aligned within its column.
        TextLayout::new(justify, LineBreak::WordBoundary),
    )
}

fn mode_name(offloading: bool) -> &'static str {
    if offloading { "borrowing" } else { "alone" }
}

fn value_text(row: usize, value: Option<f64>) -> String {
    match row {
        6 => figures::dollars(value),
        0 | 1 => figures::count(value),
        _ => figures::milliseconds(value),
    }
}

/// Whether the columns cover nothing else in a picture of this size at a scale of 1.
fn has_room(picture: Vec2, middle: MiddleRoom) -> bool {
    let is_wide = middle == MiddleRoom::Whole || picture.x - panel::SIDE >= WIDTH_MIN;
    is_wide && picture.y >= HEIGHT_MIN
}

fn show_columns(
    recent: Res<Recent>,
    figures: Res<Figures>,
    picture: Res<Room>,
    middle: Res<MiddleRoom>,
    mut table: Single<&mut Visibility, With<Columns>>,
    mut heads: Query<(&Head, &mut Text), Without<Value>>,
    mut values: Query<(&Value, &mut Text), Without<Head>>,
) {
    let (Some(before), Some(offloading)) = (recent.before, recent.offloading) else { return };
    let has_room = has_room(picture.0, *middle);
    table.set_if_neq(if has_room { Visibility::Inherited } else { Visibility::Hidden });
    let now = recent.column(offloading, &figures);
    for (Head(ghost), mut text) in &mut heads {
        write(&mut text, mode_name(if *ghost { before.offloading } else { now.offloading }));
    }
    for (Value(row, ghost), mut text) in &mut values {
        let column = if *ghost { &before } else { &now };
        write(&mut text, &value_text(*row, column.values[*row]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(at_ms: u64, took_ms: u64, light: bool) -> Frame {
        let (at, took) = (Duration::from_millis(at_ms), Duration::from_millis(took_ms));
        Frame { at, took, processor: Some(took / 2), light }
    }

    #[test]
    fn a_column_tells_the_mean_from_the_worst() {
        let mut recent = Recent::default();
        let mut at = 0;
        for number in 0..200 {
            let took = if number % 50 == 0 { 100 } else { 10 };
            at += took;
            recent.push(frame(at, took, number % 10 == 0));
        }
        let column = recent.column(true, &Figures::default());
        let value = |row: usize| column.values[row].unwrap();
        // 200 frames in 2.36 s; the two longest of a hundred take a tenth of a second.
        assert!((value(0) - 200.0 / 2.36).abs() < 0.1, "{column:?}");
        assert!((value(1) - 10.0).abs() < 1e-9 && (value(2) - 10.0).abs() < 1e-9, "{column:?}");
        assert!((value(3) - 5.9).abs() < 1e-9 && (value(4) - 20.0 / 2.36).abs() < 0.01, "{column:?}");
        assert_eq!((column.values[5], column.values[6]), (None, None), "what is not known is no zero");
    }

    #[test]
    fn only_the_last_ten_seconds_count() {
        let mut recent = Recent::default();
        for number in 0..100 {
            recent.push(frame(number * 500, 500, false));
        }
        for number in 0..1_001 {
            recent.push(frame(50_000 + number * 10, 10, false));
        }
        let column = recent.column(false, &Figures::default());
        assert!((column.values[0].unwrap() - 100.0).abs() < 1e-9, "{column:?}");
        assert_eq!(recent.frames.len(), 1_001);
    }

    #[test]
    fn an_empty_column_is_all_dashes() {
        let column = Recent::default().column(true, &Figures::default());
        for (row, value) in column.values.iter().enumerate() {
            assert_eq!(value_text(row, *value), figures::UNKNOWN, "{}", ROWS[row]);
        }
    }

    #[test]
    fn the_columns_give_way_where_letters_are_large_or_the_picture_is_narrow() {
        let wide = Vec2::new(1_280.0, 720.0);
        assert!(has_room(wide, MiddleRoom::Whole) && has_room(wide, MiddleRoom::BesidePanel));
        assert!(!has_room(wide / 1.25, MiddleRoom::BesidePanel));
        let narrow = Vec2::new(960.0, 720.0);
        assert!(has_room(narrow, MiddleRoom::Whole) && !has_room(narrow, MiddleRoom::BesidePanel));
    }
}
