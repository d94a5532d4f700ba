//! The stage bars: for each kind, where the time of its remote answers went. The parts of a bar add up to the total
//! beside it; after that stand the shares of workers, coordinator and this computer.

use bevy::prelude::*;
use bevy::text::LineBreak;
use p2c2r_offload::OffloadTotals;

use super::level::{BorrowingDetail, ShownFrom};
use super::palette::{BLUISH_GREEN, DIM, Ground, Ink, Letters, ORANGE, SHADE, SKY_BLUE};
use super::{TEXT_MIN, show, text, write};
use crate::figures::{self, Figures, KindFigures};

const TEXT: f32 = 13.0;
/// Pixels: as high as a number's letters.
const BAR_HEIGHT: f32 = 13.0;
/// Pixels of a kind's name, of a bar, of the total and of the shares.
const WIDTHS: (f32, f32, f32, f32) = (100.0, 270.0, 70.0, 130.0);
/// What a bar and the numbers beside it mean.
const LEGEND: &str = "where answers' time goes, in all; % by workers/coordinator/here";
/// Words for the parts of a bar, in their order. A part shows its number in the bar where it is wide enough.
const WORDS: [&str; STAGES] =
    ["wait here", "up", "coordinator", "out", "wait there", "kernel", "back", "check", "down"];
/// Pixels that a part must be wide for its number.
const NUMBER_WIDTH: f32 = 10.0;
/// A paler blue, for the way between coordinator and worker, on which a dark number can still be read.
const PALE_BLUE: Ink = SKY_BLUE.with_alpha(0.75);

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, fill_bars.run_if(resource_changed::<Figures>));
}

/// A part of a kind's bar: the kind's row, and the stage in the order of `Stages::NAMES`.
#[derive(Component, Clone, Copy)]
pub(super) struct StagePart(usize, usize);

/// The total beside a kind's bar.
#[derive(Component, Clone, Copy)]
pub(super) struct StageTotal(usize);

/// The shares of those who computed a kind.
#[derive(Component, Clone, Copy)]
pub(super) struct ByWhom(usize);

/// The number of a part, inside it.
#[derive(Component, Clone, Copy)]
pub(super) struct StageNumber(usize, usize);

/// Waiting is dim, the way to the coordinator and back blue, and that to the worker a paler blue.
fn colour(stage: usize) -> Ink {
    match stage {
        1 | 8 => SKY_BLUE,
        3 | 6 => PALE_BLUE,
        5 => ORANGE,
        7 => BLUISH_GREEN,
        _ => DIM,
    }
}

/// Adds a bar for each kind to a panel.
pub(super) fn spawn_bars(panel: &mut ChildSpawnerCommands, kinds: &[&'static str]) {
    let bars = Node { flex_direction: FlexDirection::Column, ..default() };
    panel.spawn((ShownFrom(BorrowingDetail::Full), bars)).with_children(|bars| {
        bars.spawn(text(LEGEND, TEXT, DIM));
        spawn_swatches(bars);
        for (row, name) in kinds.iter().enumerate() {
            spawn_bar(bars, row, name);
        }
    });
}

/// A swatch with number and word for every part of a bar, in its order.
fn spawn_swatches(bars: &mut ChildSpawnerCommands) {
    let line = Node { align_items: AlignItems::Center, column_gap: px(8), ..default() };
    bars.spawn(line).with_children(|line| {
        for (stage, word) in WORDS.iter().enumerate() {
            let item = Node { align_items: AlignItems::Center, column_gap: px(2), ..default() };
            line.spawn(item).with_children(|item| {
                let swatch = Node {
                    width: px(NUMBER_WIDTH),
                    height: px(BAR_HEIGHT),
                    justify_content: JustifyContent::Center,
                    align_items: AlignItems::Center,
                    ..default()
                };
                item.spawn((swatch, Ground(colour(stage)), children![number(stage)]));
                item.spawn(text(*word, TEXT_MIN, DIM));
            });
        }
    });
}

/// The number of a stage, in dark letters since the parts are light.
fn number(stage: usize) -> impl Bundle {
    (
        Text::new((stage + 1).to_string()),
        TextFont::from_font_size(TEXT_MIN),
        Letters(SHADE.with_alpha(1.0)),
        TextLayout { linebreak: LineBreak::NoWrap, ..default() },
    )
}

fn spawn_bar(bars: &mut ChildSpawnerCommands, row: usize, name: &'static str) {
    let line = Node { align_items: AlignItems::Center, ..default() };
    bars.spawn(line).with_children(|line| {
        line.spawn((text(figures::word_of(name), TEXT, DIM), Node { width: px(WIDTHS.0), ..default() }));
        let bar = Node { width: px(WIDTHS.1), height: px(BAR_HEIGHT), ..default() };
        line.spawn(bar).with_children(|bar| {
            for stage in 0..STAGES {
                let part = Node {
                    width: percent(0),
                    min_width: px(0),
                    height: percent(100),
                    justify_content: JustifyContent::Center,
                    align_items: AlignItems::Center,
                    overflow: Overflow::clip(),
                    ..default()
                };
                bar.spawn((StagePart(row, stage), part, Ground(colour(stage)))).with_children(|part| {
                    let hidden = Node { display: Display::None, ..default() };
                    part.spawn((StageNumber(row, stage), number(stage), hidden));
                });
            }
        });
        line.spawn((
            StageTotal(row),
            text(figures::UNKNOWN, TEXT, DIM),
            Node { width: px(WIDTHS.2), margin: UiRect::left(px(8)), ..default() },
        ));
        line.spawn((
            ByWhom(row),
            text(figures::UNKNOWN, TEXT, DIM),
            Node { width: px(WIDTHS.3), ..default() },
        ));
    });
}

/// Stages of a receipt.
const STAGES: usize = p2c2r_protocol::Stages::NAMES.len();

/// The share of each stage in per cent, and what they add up to in milliseconds.
fn shares(stages_ms: [f64; STAGES]) -> ([f32; STAGES], f64) {
    let total: f64 = stages_ms.iter().sum();
    let share = |ms: f64| if total > 0.0 { (ms / total * 100.0) as f32 } else { 0.0 };
    (stages_ms.map(share), total)
}

fn fill_bars(
    figures: Res<Figures>,
    totals: Res<OffloadTotals>,
    mut parts: Query<(&StagePart, &mut Node), Without<StageNumber>>,
    mut numbers: Query<(&StageNumber, &mut Node), Without<StagePart>>,
    mut wholes: Query<(&StageTotal, &mut Text), Without<ByWhom>>,
    mut shares_of: Query<(&ByWhom, &mut Text), Without<StageTotal>>,
) {
    let of_row = |row: usize| totals.kinds.get(figures.kinds.get(row)?.name)?.stages.means_ms().map(shares);
    for (StagePart(row, stage), mut node) in &mut parts {
        let width = percent(of_row(*row).map_or(0.0, |(shares, _)| shares[*stage]));
        if node.width != width {
            node.width = width;
        }
    }
    for (StageNumber(row, stage), mut node) in &mut numbers {
        show(&mut node, of_row(*row).is_some_and(|(shares, _)| has_number(shares[*stage])));
    }
    for (StageTotal(row), mut text) in &mut wholes {
        let total = of_row(*row).map(|(_, total)| total);
        write(&mut text, &format!("{} ms", figures::milliseconds(total)));
    }
    for (ByWhom(row), mut text) in &mut shares_of {
        write(&mut text, &figures.kinds.get(*row).map(by_whom).unwrap_or_default());
    }
}

/// Whether a part of so many per cent is wide enough for its number.
fn has_number(share: f32) -> bool {
    share / 100.0 * WIDTHS.1 >= NUMBER_WIDTH
}

/// `97/2/1%`, by workers, the coordinator and here; dashes for what is not known.
fn by_whom(kind: &KindFigures) -> String {
    let share = |value: Option<f64>| figures::count(value);
    format!(
        "{}/{}/{}%",
        share(kind.remote_percent),
        share(kind.coordinator_percent),
        share(kind.local_percent)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hud::panel;

    #[test]
    fn the_parts_of_a_bar_fill_it_and_add_up_to_the_total() {
        let (parts, total) = shares([1.0, 20.0, 0.0, 10.0, 2.0, 7.0, 10.0, 1.0, 29.0]);
        assert!((total - 80.0).abs() < 1e-9 && (parts.iter().sum::<f32>() - 100.0).abs() < 1e-3, "{parts:?}");
        assert!((parts[1] - 25.0).abs() < 1e-3);
        assert_eq!(shares([0.0; STAGES]), ([0.0; STAGES], 0.0), "nothing came yet");
    }

    #[test]
    fn every_part_has_a_word_and_neighbours_are_told_apart_by_more_than_their_colour() {
        // Two parts of one colour have two numbers, and a narrow part has its place in the order.
        assert!(has_number(4.0) && !has_number(3.0), "a number is not cut off");
        for stage in 1..STAGES {
            assert_ne!(colour(stage), colour(stage - 1), "{} and {}", WORDS[stage - 1], WORDS[stage]);
        }
        let letters: usize = WORDS.iter().map(|word| word.len()).sum();
        // Six tenths of their size is what letters are wide.
        let width = letters as f32 * TEXT_MIN * 0.6 + STAGES as f32 * (NUMBER_WIDTH + 2.0 + 8.0);
        assert!(width <= panel::WIDTH - 30.0, "the legend takes {width} pixels");
    }

    #[test]
    fn who_computed_a_kind_stands_beside_its_bar() {
        let kind = KindFigures { remote_percent: Some(97.4), local_percent: Some(2.6), ..default() };
        assert_eq!(by_whom(&kind), "97/-/3%");
    }
}
