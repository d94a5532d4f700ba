//! Two strip charts of the last ten seconds: frame times against the frame budget, and answer times, each against how far
//! ahead its kind is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use p2c2r_offload::{OffloadFrameBudget, OffloadHorizon, Offloaded};
use p2c2r_tasks::TaskKind;
use p2c2r_tasks::lightfield::Lightfield;
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::tactics::Tactics;

use super::level::{BorrowingDetail, ShownFrom};
use super::palette::{DIM, ORANGE, SKY_BLUE};
use super::{text, write};
use crate::figures::{self, UNKNOWN};
use crate::settings::{Palette, Settings};

/// Columns of a chart and the time that each is for: ten seconds.
const COLUMNS: usize = 100;
const COLUMN: Duration = Duration::from_millis(100);
/// Pixels of a chart's picture, and of a column.
const HEIGHT: usize = 32;
const COLUMN_WIDTH: usize = 3;
const WIDTH: usize = COLUMNS * COLUMN_WIDTH;
/// Width on the screen, pixels at a window height of 720, and the gap between the charts: together the width
/// of the table above.
const SHOWN_WIDTH: f32 = 290.0;
const GAP: f32 = 14.0;
/// The limit is at this share of a chart's height, so that the excess above it is visible.
const LIMIT_AT: f32 = 0.5;
/// A value up to this factor above its limit counts as within it: a screen's frames are never exactly on
/// budget.
const OVER: f32 = 1.05;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (note_frames, note_answers, draw_charts).chain());
}

/// A time and its limit, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    /// The kind of the answer; `None` for a frame.
    kind: Option<&'static str>,
    took: f32,
    /// `None` if there is none: while tasks go to no coordinator, nothing is asked for ahead.
    limit: Option<f32>,
}

impl Sample {
    /// An answer of kind `K`, against how far ahead that kind is asked for.
    fn of<K: TaskKind>(done: &Offloaded<K>, horizon: &OffloadHorizon) -> Self {
        let ahead = horizon.of::<K>().as_secs_f32() * 1e3;
        let took = done.latency.as_secs_f32() * 1e3;
        Self { kind: Some(K::NAME), took, limit: Some(ahead).filter(|ahead| *ahead > 0.0) }
    }

    /// Its share of the limit; 0 without one.
    fn share(self) -> f32 {
        self.limit.map_or(0.0, |limit| self.took / limit)
    }

    /// The one that is nearer to its limit, or beyond it by more; without limits the longer one.
    fn worse(self, other: Self) -> Self {
        let order = self.share().total_cmp(&other.share()).then(self.took.total_cmp(&other.took));
        if order.is_lt() { other } else { self }
    }
}

/// A chart on the screen.
#[derive(Component)]
pub(super) struct Chart {
    shows: Shows,
    /// The worst sample of each column; `None` where there was none.
    samples: VecDeque<Option<Sample>>,
    open: Option<Sample>,
    opened_at: Duration,
}

/// What a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    Frames,
    Answers,
}

/// The words above a chart.
#[derive(Component)]
pub(super) struct Caption(Shows);

/// Adds both charts to a panel, side by side, each below its caption.
pub(super) fn spawn_charts(panel: &mut ChildSpawnerCommands, images: &mut Assets<Image>) {
    let row = Node { column_gap: px(GAP), ..default() };
    panel.spawn((ShownFrom(BorrowingDetail::Full), row)).with_children(|row| {
        for shows in [Shows::Frames, Shows::Answers] {
            let image = images.add(picture());
            let column = Node { flex_direction: FlexDirection::Column, row_gap: px(2), ..default() };
            row.spawn(column).with_children(|column| {
                column.spawn((Caption(shows), text("", 13.0, DIM)));
                column.spawn((
                    Chart {
                        shows,
                        samples: VecDeque::with_capacity(COLUMNS),
                        open: None,
                        opened_at: Duration::ZERO,
                    },
                    ImageNode { image_mode: NodeImageMode::Stretch, ..ImageNode::new(image) },
                    Node { width: px(SHOWN_WIDTH), height: px(HEIGHT as f32), ..default() },
                ));
            });
        }
    });
}

fn picture() -> Image {
    Image::new_fill(
        Extent3d { width: WIDTH as u32, height: HEIGHT as u32, depth_or_array_layers: 1 },
        TextureDimension::D2,
        &[0; 4],
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::default(),
    )
}

impl Chart {
    /// Records one time; the worst of a column counts.
    fn note(&mut self, sample: Sample) {
        self.open = Some(self.open.map_or(sample, |worst| worst.worse(sample)));
    }

    /// Ends the column if its time is over; returns whether it did.
    fn turn(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.opened_at) < COLUMN {
            return false;
        }
        self.opened_at = now;
        if self.samples.len() == COLUMNS {
            self.samples.pop_front();
        }
        self.samples.push_back(self.open.take());
        true
    }

    fn caption(&self) -> String {
        let worst = self.samples.iter().flatten().copied().reduce(Sample::worse);
        let number = |value: Option<f32>| figures::count(value.map(f64::from));
        let took = number(worst.map(|worst| worst.took));
        let limit = number(worst.and_then(|worst| worst.limit));
        let kind = worst.and_then(|worst| worst.kind).map_or(UNKNOWN, figures::word_of);
        match self.shows {
            Shows::Frames => format!("longest frame {took}, budget {limit} ms"),
            Shows::Answers => format!("worst answer: {kind} {took} of {limit} ms"),
        }
    }
}

/// Draws columns into the picture, the newest at the right. A bar's height is the column's worst time as a share of its
/// limit; a line marks the limit.
fn draw(samples: &VecDeque<Option<Sample>>, palette: Palette, pixels: &mut [u8]) {
    pixels.fill(0);
    let limit_row = HEIGHT - 1 - (LIMIT_AT * (HEIGHT - 1) as f32) as usize;
    let first = COLUMNS - samples.len();
    // The line goes through columns without a sample, too.
    let has_limit = samples.iter().flatten().any(|sample| sample.limit.is_some());
    let [over, within, dim] = [ORANGE, SKY_BLUE, DIM].map(|ink| ink.in_palette(palette));
    for (column, sample) in samples.iter().enumerate() {
        let share = sample.map_or(0.0, Sample::share) * LIMIT_AT;
        let colour = if share > LIMIT_AT * OVER { over } else { within };
        let tall = ((share * HEIGHT as f32).ceil() as usize).min(HEIGHT);
        for x in (first + column) * COLUMN_WIDTH..(first + column + 1) * COLUMN_WIDTH {
            for row in HEIGHT - tall..HEIGHT {
                put(pixels, x, row, colour.with_alpha(0.85));
            }
            if has_limit {
                put(pixels, x, limit_row, dim);
            }
        }
    }
}

fn put(pixels: &mut [u8], x: usize, row: usize, colour: Srgba) {
    let at = (row * WIDTH + x) * 4;
    if let Some(pixel) = pixels.get_mut(at..at + 4) {
        pixel.copy_from_slice(&colour.to_u8_array());
    }
}

fn note_frames(time: Res<Time<Real>>, budget: Res<OffloadFrameBudget>, mut charts: Query<&mut Chart>) {
    let limit = Some(budget.0.as_secs_f32() * 1e3);
    for mut chart in charts.iter_mut().filter(|chart| chart.shows == Shows::Frames) {
        chart.note(Sample { kind: None, took: time.delta_secs() * 1e3, limit });
    }
}

fn note_answers(
    horizon: Res<OffloadHorizon>,
    mut paths: MessageReader<Offloaded<Path>>,
    mut motions: MessageReader<Offloaded<Physics>>,
    mut lights: MessageReader<Offloaded<Reflection>>,
    mut fields: MessageReader<Offloaded<Lightfield>>,
    mut plans: MessageReader<Offloaded<Tactics>>,
    mut charts: Query<&mut Chart>,
) {
    let samples = paths.read().map(|done| Sample::of(done, &horizon));
    let samples = samples.chain(motions.read().map(|done| Sample::of(done, &horizon)));
    let samples = samples.chain(lights.read().map(|done| Sample::of(done, &horizon)));
    let samples = samples.chain(fields.read().map(|done| Sample::of(done, &horizon)));
    let samples = samples.chain(plans.read().map(|done| Sample::of(done, &horizon)));
    let Some(mut chart) = charts.iter_mut().find(|chart| chart.shows == Shows::Answers) else { return };
    for sample in samples {
        chart.note(sample);
    }
}

fn draw_charts(
    time: Res<Time<Real>>,
    settings: Res<Settings>,
    mut charts: Query<(&mut Chart, &ImageNode)>,
    mut captions: Query<(&Caption, &mut Text)>,
    mut images: ResMut<Assets<Image>>,
) {
    for (mut chart, image) in &mut charts {
        if !chart.turn(time.elapsed()) || settings.display.level < BorrowingDetail::Full {
            continue;
        }
        if let Some(mut picture) = images.get_mut(&image.image)
            && let Some(pixels) = &mut picture.data
        {
            draw(&chart.samples, settings.display.palette, pixels);
        }
        let words = chart.caption();
        for (_, mut text) in captions.iter_mut().filter(|(caption, _)| caption.0 == chart.shows) {
            write(&mut text, &words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(kind: Option<&'static str>, took: f32, limit: f32) -> Sample {
        Sample { kind, took, limit: Some(limit) }
    }

    fn chart(shows: Shows) -> Chart {
        Chart { shows, samples: VecDeque::new(), open: None, opened_at: Duration::ZERO }
    }

    fn is_lit(pixels: &[u8], x: usize, row: usize) -> bool {
        pixels[(row * WIDTH + x) * 4 + 3] > 0
    }

    /// Rows of the bar in a column, counted from the newest; the line of the limit is not part of a bar.
    fn tall(pixels: &[u8], from_newest: usize) -> usize {
        let x = (COLUMNS - 1 - from_newest) * COLUMN_WIDTH;
        (0..HEIGHT).rev().take_while(|row| is_lit(pixels, x, *row)).count()
    }

    #[test]
    fn the_newest_column_is_at_the_right_and_the_limit_stands_half_way_up() {
        let mut pixels = vec![0; WIDTH * HEIGHT * 4];
        let samples = [50.0, 100.0, 1_000.0].map(|took| Some(sample(None, took, 100.0)));
        draw(&VecDeque::from(samples), Palette::Standard, &mut pixels);
        assert_eq!([2, 1, 0].map(|column| tall(&pixels, column)), [HEIGHT / 4, HEIGHT / 2, HEIGHT]);
        assert!(!is_lit(&pixels, 0, HEIGHT - 1), "there was nothing ten seconds ago");
    }

    #[test]
    fn the_worst_of_a_column_counts_and_a_hundred_are_kept() {
        let mut chart = chart(Shows::Frames);
        for column in 1..=120_u32 {
            for took in [3.0, 40.0, 7.0] {
                chart.note(sample(None, took, 16.0));
            }
            assert!(!chart.turn((COLUMN * column).saturating_sub(Duration::from_millis(1))));
            assert!(chart.turn(COLUMN * column));
        }
        assert_eq!(chart.samples.len(), COLUMNS);
        assert!(chart.samples.iter().all(|worst| *worst == Some(sample(None, 40.0, 16.0))));
        assert_eq!(chart.caption(), "longest frame 40, budget 16 ms");
    }

    #[test]
    fn an_answer_is_late_by_the_limit_of_its_own_kind() {
        let mut chart = chart(Shows::Answers);
        assert_eq!(chart.caption(), "worst answer: - - of - ms", "nothing is known yet");
        // Light is asked for farther ahead than paths; a path of 300 ms is late, and light of 800 ms is not.
        chart.note(sample(Some("path"), 300.0, 200.0));
        chart.note(sample(Some("reflection"), 800.0, 1_000.0));
        assert!(chart.turn(COLUMN));
        assert_eq!(chart.caption(), "worst answer: paths 300 of 200 ms");
        let mut pixels = vec![0; WIDTH * HEIGHT * 4];
        draw(&chart.samples, Palette::Standard, &mut pixels);
        assert!(tall(&pixels, 0) > HEIGHT / 2, "it stands above the line");
    }

    #[test]
    fn where_nobody_is_asked_there_is_no_limit() {
        let mut chart = chart(Shows::Answers);
        for (kind, took) in [("tactics", 40.0), ("path", 3.0)] {
            chart.note(Sample { kind: Some(kind), took, limit: None });
        }
        assert!(chart.turn(COLUMN));
        assert_eq!(chart.caption(), "worst answer: plans 40 of - ms");
    }
}
