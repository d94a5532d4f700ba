//! The comparison columns: after T, the last ten seconds of the other mode beside the present one, so that a
//! player can compare both.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use bevy::text::LineBreak;
use bevy::time::common_conditions::on_real_timer;
use p2c2r_offload::{LastOutcome, OffloadSwitch, OffloadTotals};
use p2c2r_protocol::Nanos;
use p2c2r_tasks::reflection::Reflection;

use super::level::{Across, BorrowingDetail, Edge, ShownFrom};
use super::middle::MiddleRoom;
use super::palette::{BRIGHT, DIM, EDGE, Ground, Ink, Letters, PANEL, Rim};
use super::scale::Room;
use super::{panel, score, write};
use crate::figures;
use crate::play::Reflecting;
use crate::settings::Settings;
use crate::view::HidesFight;

/// How far back a column looks.
const WINDOW: Duration = Duration::from_secs(10);
/// Shortest time from which a rate by the hour is told: in less, a single receipt would look like thousands of dollars.
const RATE_MIN: Duration = Duration::from_secs(1);
/// Frames kept at most: ten seconds of 480 a second.
const FRAMES_MAX: usize = 4_800;
const TEXT: f32 = 13.0;
/// How long the columns stay where the panel is small. By then they have been read, and the fight needs their place.
const STAYS: Duration = Duration::from_secs(45);
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
    /// Real time since the start.
    at: Duration,
    took: Duration,
    /// Processor time of the whole program, where the system tells it.
    processor: Option<Duration>,
    /// When the light on the screen was asked for, on the clock of `at`; `None` while none is shown.
    light_asked_at: Option<Duration>,
    /// Whether new light came in this frame.
    light_is_new: bool,
    /// Sum of the receipts that came in this frame, without those for a sector's light.
    paid: Nanos,
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
    /// When the present mode began.
    since: Duration,
    before: Option<Column>,
    processor_at: Option<Duration>,
    paid: Nanos,
}

impl Recent {
    /// Records the frame that has just ended, and the mode from now on. A frame in which the mode changed ran in the
    /// old one.
    fn note(&mut self, frame: Option<Frame>, now: Duration, offloading: bool) {
        if let Some(frame) = frame {
            self.push(frame);
        }
        if self.offloading.is_some_and(|before| before != offloading) {
            self.before = Some(self.column());
            self.frames.clear();
            self.since = now;
        }
        self.offloading = Some(offloading);
    }

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
    fn column(&self) -> Column {
        let count = self.frames.len();
        let sum: Duration = self.frames.iter().map(|frame| frame.took).sum();
        let mut took_ms: Vec<f64> = self.frames.iter().map(|frame| frame.took.as_secs_f64() * 1e3).collect();
        let mut longest = |share| figures::exceeded_by(&mut took_ms, share);
        let processor: Option<Duration> = self.frames.iter().map(|frame| frame.processor).sum();
        let mean = |sum: Duration| (count > 0).then(|| sum.as_secs_f64() * 1e3 / count as f64);
        // Light that was asked for in the other mode says nothing about this one.
        let own_light = |frame: &Frame| frame.light_asked_at.filter(|asked_at| *asked_at >= self.since);
        let lights =
            self.frames.iter().filter(|frame| frame.light_is_new && own_light(frame).is_some()).count();
        let ages = self.frames.iter().filter_map(|frame| Some(frame.at.saturating_sub(own_light(frame)?)));
        let (ages_sum, ages_count) =
            ages.fold((Duration::ZERO, 0_u32), |(sum, count), age| (sum + age, count + 1));
        let offloading = self.offloading.unwrap_or_default();
        // The mode `alone` buys nothing: receipts that still come in it are for tasks of the mode before.
        let paid = self.frames.iter().filter(|_| offloading).map(|frame| frame.paid.as_dollars());
        Column {
            offloading,
            values: [
                mean(sum).map(|ms| 1e3 / ms),
                longest(0.01).map(|ms| 1e3 / ms),
                longest(0.05),
                processor.and_then(mean),
                (!sum.is_zero()).then(|| lights as f64 / sum.as_secs_f64()),
                (ages_count > 0).then(|| ages_sum.as_secs_f64() * 1e3 / f64::from(ages_count)),
                (sum >= RATE_MIN).then(|| paid.sum::<f64>() * 3_600.0 / sum.as_secs_f64()),
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
    clock: Res<Time<Virtual>>,
    switch: Res<OffloadSwitch>,
    totals: Res<OffloadTotals>,
    reflecting: Res<Reflecting>,
    light: Res<LastOutcome<Reflection>>,
    mut recent: ResMut<Recent>,
) {
    let processor_now = processor_time();
    let then = std::mem::replace(&mut recent.processor_at, processor_now);
    let processor = processor_now.zip(then).map(|(now, then)| now.saturating_sub(then));
    let paid_now = Nanos(totals.cost_nanos.0.saturating_sub(totals.cost_patient_nanos().0));
    let paid_then = std::mem::replace(&mut recent.paid, paid_now);
    let frame = Frame {
        at: time.elapsed(),
        took: time.delta(),
        processor,
        light_asked_at: light.asked_at().filter(|_| reflecting.enabled),
        light_is_new: light.is_changed(),
        paid: Nanos(paid_now.0.saturating_sub(paid_then.0)),
    };
    // A frame without elapsed time says nothing about the frame rate, and one of a pause nothing about play.
    let counts = !frame.took.is_zero() && !clock.is_paused();
    let is_measured = processor.is_some() || processor_now.is_none();
    recent.note(Some(frame).filter(|_| counts && is_measured), time.elapsed(), switch.enabled);
}

/// The whole table, which appears after the first T.
#[derive(Component)]
pub(super) struct Columns;

/// A value: its row, and whether it is of the other mode.
#[derive(Component, Clone, Copy)]
struct Value(usize, bool);

/// The name of a mode, and whether it is the other one's.
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
    let table = commands.spawn(table).insert((Columns, HidesFight, Visibility::Hidden, ChildOf(root))).id();
    commands.entity(table).with_children(|table| {
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
fn has_room(picture: Vec2, middle: MiddleRoom, level: BorrowingDetail) -> bool {
    let is_wide = middle == MiddleRoom::Whole || picture.x - panel::side(level) >= WIDTH_MIN;
    is_wide && picture.y >= HEIGHT_MIN
}

/// Whether the comparison is still shown this long after the switch.
fn is_news(level: BorrowingDetail, since: Duration) -> bool {
    level >= BorrowingDetail::Full || since < STAYS
}

fn show_columns(
    time: Res<Time<Real>>,
    recent: Res<Recent>,
    picture: Res<Room>,
    middle: Res<MiddleRoom>,
    settings: Res<Settings>,
    mut table: Single<&mut Visibility, With<Columns>>,
    mut heads: Query<(&Head, &mut Text), Without<Value>>,
    mut values: Query<(&Value, &mut Text), Without<Head>>,
) {
    let Some(before) = recent.before else { return };
    let level = settings.display.level;
    let shown =
        has_room(picture.0, *middle, level) && is_news(level, time.elapsed().saturating_sub(recent.since));
    table.set_if_neq(if shown { Visibility::Inherited } else { Visibility::Hidden });
    if !shown {
        return;
    }
    let now = recent.column();
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

    fn frame(at_ms: u64, took_ms: u64, light_is_new: bool) -> Frame {
        let (at, took) = (Duration::from_millis(at_ms), Duration::from_millis(took_ms));
        let light_asked_at = Some(at.saturating_sub(Duration::from_millis(80)));
        Frame { at, took, processor: Some(took / 2), light_asked_at, light_is_new, paid: Nanos(0) }
    }

    /// Plays `frames` frames of 10 ms in a mode, from `now` on, milliseconds; returns the time after them.
    fn play(
        recent: &mut Recent,
        now: &mut u64,
        offloading: bool,
        frames: u32,
        what: impl Fn(Frame) -> Frame,
    ) {
        for number in 0..frames {
            // The switch is thrown in the first frame, whose time ran in the mode before.
            let is_first = number == 0 && recent.offloading != Some(offloading);
            *now += 10;
            let ended = frame(*now, 10, false);
            let ended = if is_first { ended } else { what(ended) };
            recent.note(Some(ended), Duration::from_millis(*now), offloading);
        }
    }

    #[test]
    fn a_column_tells_the_mean_from_the_worst() {
        let mut recent = Recent::default();
        let mut at = 80;
        for number in 0..200 {
            let took = if number % 50 == 0 { 100 } else { 10 };
            at += took;
            recent.push(frame(at, took, number % 10 == 0));
        }
        let column = recent.column();
        let value = |row: usize| column.values[row].unwrap();
        // 200 frames in 2.36 s; the two longest of a hundred take a tenth of a second.
        assert!((value(0) - 200.0 / 2.36).abs() < 0.1, "{column:?}");
        assert!((value(1) - 10.0).abs() < 1e-9 && (value(2) - 10.0).abs() < 1e-9, "{column:?}");
        assert!((value(3) - 5.9).abs() < 1e-9 && (value(4) - 20.0 / 2.36).abs() < 0.01, "{column:?}");
        assert!((value(5) - 80.0).abs() < 1e-9, "the age of what is on the screen: {column:?}");
    }

    #[test]
    fn neither_column_has_anything_of_the_other_mode() {
        let (mut recent, mut now) = (Recent::default(), 0);
        recent.note(None, Duration::ZERO, true);
        let ago = |frame: Frame, ms| frame.at.checked_sub(Duration::from_millis(ms));
        // Borrowed light of 120 ms, 2,000 nano-dollars a frame, for five seconds.
        let borrowing = |frame: Frame| Frame {
            light_asked_at: ago(frame, 120),
            light_is_new: true,
            paid: Nanos(2_000),
            ..frame
        };
        play(&mut recent, &mut now, true, 500, borrowing);
        let there = recent.column();
        assert!((there.values[5].unwrap() - 120.0).abs() < 1.0, "{there:?}");
        let rate = 2_000e-9 * 100.0 * 3_600.0;
        assert!((there.values[6].unwrap() - rate).abs() < rate * 0.01, "{there:?}");
        // Alone: borrowed light stays on the screen and its receipts come for a while, then light of 900 ms is shown.
        let switched = Duration::from_millis(now + 10);
        play(&mut recent, &mut now, false, 50, |frame| Frame {
            light_asked_at: switched.checked_sub(Duration::from_millis(40)),
            light_is_new: true,
            paid: Nanos(2_000),
            ..frame
        });
        let unknown = recent.column();
        assert_eq!(unknown.values[4..], [Some(0.0), None, None], "nothing of its own has come: {unknown:?}");
        play(&mut recent, &mut now, false, 200, |frame| Frame {
            light_asked_at: ago(frame, 900).filter(|asked_at| *asked_at >= switched),
            ..frame
        });
        let alone = recent.column();
        assert!((alone.values[5].unwrap() - 900.0).abs() < 1.0, "{alone:?}");
        assert_eq!(alone.values[6], Some(0.0), "{alone:?}");
        assert!(recent.before.is_some_and(|before| before.offloading), "the mode before");
        // After switching back, the other mode's column has what it said last.
        play(&mut recent, &mut now, true, 1, borrowing);
        let kept = recent.before.unwrap();
        assert!(!kept.offloading && kept.values[6] == Some(0.0), "{kept:?}");
        assert!((kept.values[5].unwrap() - 900.0).abs() < 10.0, "{kept:?}");
        assert_eq!(recent.column().values, [None; ROWS.len()], "the present mode has just begun");
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
        let column = recent.column();
        assert!((column.values[0].unwrap() - 100.0).abs() < 1e-9, "{column:?}");
        assert_eq!(recent.frames.len(), 1_001);
    }

    #[test]
    fn an_empty_column_is_all_dashes() {
        let column = Recent::default().column();
        for (row, value) in column.values.iter().enumerate() {
            assert_eq!(value_text(row, *value), figures::UNKNOWN, "{}", ROWS[row]);
        }
    }

    #[test]
    fn the_columns_give_way_where_letters_are_large_or_the_picture_is_narrow() {
        let has_room = |picture, middle| has_room(picture, middle, BorrowingDetail::Full);
        let wide = Vec2::new(1_280.0, 720.0);
        assert!(has_room(wide, MiddleRoom::Whole) && has_room(wide, MiddleRoom::BesidePanel));
        assert!(!has_room(wide / 1.25, MiddleRoom::BesidePanel));
        let narrow = Vec2::new(960.0, 720.0);
        assert!(has_room(narrow, MiddleRoom::Whole) && !has_room(narrow, MiddleRoom::BesidePanel));
    }

    #[test]
    fn the_columns_go_once_they_have_been_read_unless_everything_is_wanted() {
        assert!(is_news(BorrowingDetail::Compact, Duration::from_secs(20)));
        assert!(!is_news(BorrowingDetail::Compact, Duration::from_mins(1)));
        assert!(is_news(BorrowingDetail::Full, Duration::from_hours(1)));
    }
}
