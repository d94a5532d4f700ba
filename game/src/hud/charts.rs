//! Two strip charts of the last ten seconds: frame times against the frame budget, and answer times against
//! the horizon.

use std::collections::VecDeque;
use std::time::Duration;

use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use p2c2r_offload::{OffloadHorizon, Offloaded};
use p2c2r_tasks::lightfield::Lightfield;
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::reflection::Reflection;

use super::level::{BorrowingDetail, ShownFrom};
use super::palette::{DIM, ORANGE, SKY_BLUE};
use super::{text, write};
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
/// The frame budget at 60 a second.
const FRAME_BUDGET_MS: f32 = 1_000.0 / 60.0;
/// The limit is at this share of a chart's height, so that the excess above it is visible.
const LIMIT_AT: f32 = 0.5;
/// A value up to this factor above its limit counts as within it: a screen's frames are never exactly on
/// budget.
const OVER: f32 = 1.05;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, (note_frames, note_answers, draw_charts).chain());
}

/// One column: the largest value of its time, and the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sample {
    worst: Option<f32>,
    limit: f32,
}

/// A chart on the screen.
#[derive(Component)]
pub(super) struct Chart {
    shows: Shows,
    samples: VecDeque<Sample>,
    open: Sample,
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
                        open: Sample::default(),
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
    /// Records one value; the largest of a column counts.
    fn note(&mut self, value: f32) {
        self.open.worst = Some(self.open.worst.map_or(value, |worst| worst.max(value)));
    }

    /// Ends the column if its time is over; returns whether it did.
    fn turn(&mut self, now: Duration, limit: f32) -> bool {
        self.open.limit = self.open.limit.max(limit);
        if now.saturating_sub(self.opened_at) < COLUMN {
            return false;
        }
        self.opened_at = now;
        if self.samples.len() == COLUMNS {
            self.samples.pop_front();
        }
        self.samples.push_back(std::mem::take(&mut self.open));
        true
    }

    fn caption(&self) -> String {
        let worst = self.samples.iter().filter_map(|sample| sample.worst).reduce(f32::max);
        let worst = worst.map_or_else(|| crate::figures::UNKNOWN.into(), |worst| format!("{worst:.0}"));
        let limit = self.samples.back().map_or(0.0, |sample| sample.limit);
        match self.shows {
            Shows::Frames => format!("longest frame {worst}, budget {limit:.0} ms"),
            Shows::Answers => format!("longest answer {worst}, asked {limit:.0} ms ahead"),
        }
    }
}

/// Draws columns into the picture, the newest at the right: bars up to the largest value, and a line at the
/// limit.
fn draw(samples: &VecDeque<Sample>, palette: Palette, pixels: &mut [u8]) {
    pixels.fill(0);
    let limit_row = HEIGHT - 1 - (LIMIT_AT * (HEIGHT - 1) as f32) as usize;
    let first = COLUMNS - samples.len();
    let [over, within, dim] = [ORANGE, SKY_BLUE, DIM].map(|ink| ink.in_palette(palette));
    for (column, sample) in samples.iter().enumerate() {
        let share = match sample.worst {
            Some(worst) if sample.limit > 0.0 => worst / sample.limit * LIMIT_AT,
            Some(_) | None => 0.0,
        };
        let colour = if share > LIMIT_AT * OVER { over } else { within };
        let tall = ((share * HEIGHT as f32).ceil() as usize).min(HEIGHT);
        for x in (first + column) * COLUMN_WIDTH..(first + column + 1) * COLUMN_WIDTH {
            for row in HEIGHT - tall..HEIGHT {
                put(pixels, x, row, colour.with_alpha(0.85));
            }
            if sample.limit > 0.0 {
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

fn note_frames(time: Res<Time<Real>>, mut charts: Query<&mut Chart>) {
    for mut chart in charts.iter_mut().filter(|chart| chart.shows == Shows::Frames) {
        chart.note(time.delta_secs() * 1e3);
    }
}

fn note_answers(
    mut paths: MessageReader<Offloaded<Path>>,
    mut motions: MessageReader<Offloaded<Physics>>,
    mut lights: MessageReader<Offloaded<Reflection>>,
    mut fields: MessageReader<Offloaded<Lightfield>>,
    mut charts: Query<&mut Chart>,
) {
    let latencies = paths.read().map(|done| done.latency);
    let latencies = latencies.chain(motions.read().map(|done| done.latency));
    let latencies = latencies.chain(lights.read().map(|done| done.latency));
    let latencies = latencies.chain(fields.read().map(|done| done.latency));
    let Some(mut chart) = charts.iter_mut().find(|chart| chart.shows == Shows::Answers) else { return };
    for latency in latencies {
        chart.note(latency.as_secs_f32() * 1e3);
    }
}

fn draw_charts(
    time: Res<Time<Real>>,
    horizon: Res<OffloadHorizon>,
    settings: Res<Settings>,
    mut charts: Query<(&mut Chart, &ImageNode)>,
    mut captions: Query<(&Caption, &mut Text)>,
    mut images: ResMut<Assets<Image>>,
) {
    let rules = horizon.of::<Path>().max(horizon.of::<Physics>());
    let ahead = rules.max(horizon.of::<Reflection>()).max(horizon.of::<Lightfield>());
    for (mut chart, image) in &mut charts {
        let limit = match chart.shows {
            Shows::Frames => FRAME_BUDGET_MS,
            Shows::Answers => ahead.as_secs_f32() * 1e3,
        };
        if !chart.turn(time.elapsed(), limit) || settings.display.level < BorrowingDetail::Full {
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

    fn is_lit(pixels: &[u8], x: usize, row: usize) -> bool {
        pixels[(row * WIDTH + x) * 4 + 3] > 0
    }

    #[test]
    fn the_newest_column_is_at_the_right_and_the_limit_stands_half_way_up() {
        let mut pixels = vec![0; WIDTH * HEIGHT * 4];
        let sample = |worst| Sample { worst: Some(worst), limit: 100.0 };
        draw(&VecDeque::from([sample(50.0), sample(100.0), sample(1_000.0)]), Palette::Standard, &mut pixels);
        let tall = |column: usize| {
            let x = (COLUMNS - 3 + column) * COLUMN_WIDTH;
            // The line of the limit is not part of a bar.
            (0..HEIGHT).rev().take_while(|row| is_lit(&pixels, x, *row)).count()
        };
        assert_eq!((tall(0), tall(1), tall(2)), (HEIGHT / 4, HEIGHT / 2, HEIGHT));
        assert!(!is_lit(&pixels, 0, HEIGHT - 1), "there was nothing ten seconds ago");
    }

    #[test]
    fn the_worst_of_a_column_counts_and_a_hundred_are_kept() {
        let mut chart = Chart {
            shows: Shows::Frames,
            samples: VecDeque::new(),
            open: Sample::default(),
            opened_at: Duration::ZERO,
        };
        for column in 1..=120_u32 {
            for value in [3.0, 40.0, 7.0] {
                chart.note(value);
            }
            assert!(!chart.turn((COLUMN * column).saturating_sub(Duration::from_millis(1)), 16.0));
            assert!(chart.turn(COLUMN * column, 16.0));
        }
        assert_eq!(chart.samples.len(), COLUMNS);
        assert!(chart.samples.iter().all(|sample| *sample == Sample { worst: Some(40.0), limit: 16.0 }));
        assert_eq!(chart.caption(), "longest frame 40, budget 16 ms");
    }
}
