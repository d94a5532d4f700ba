//! The stage bars: for each kind, where the time of what came from elsewhere went. The parts of a bar add up to the
//! total beside it; then how much of it was done where.

use bevy::prelude::*;
use p2c2r_offload::OffloadTotals;

use super::level::{BorrowingDetail, ShownFrom};
use super::palette::{BLUISH_GREEN, DIM, Ground, Ink, ORANGE, SKY_BLUE};
use super::{text, write};
use crate::figures::{self, Figures, KindFigures};

const TEXT: f32 = 13.0;
/// Pixels of a kind's name, of a bar, of the total and of the shares.
const WIDTHS: (f32, f32, f32, f32) = (100.0, 270.0, 70.0, 130.0);
/// What the colours of a bar and the numbers beside it mean, in their order.
const LEGEND: &str = "time of answers: waiting, way, kernel, check; % by workers/coordinator/here";

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

/// Waiting is dim, the way to the coordinator and back blue, and that to the worker a paler blue.
fn colour(stage: usize) -> Ink {
    match stage {
        1 | 8 => SKY_BLUE,
        3 | 6 => SKY_BLUE.with_alpha(0.6),
        5 => ORANGE,
        7 => BLUISH_GREEN,
        _ => DIM,
    }
}

/// Adds a bar for each kind to a panel.
pub(super) fn spawn_bars(panel: &mut ChildSpawnerCommands, kinds: &[&'static str]) {
    panel.spawn((ShownFrom(BorrowingDetail::Full), text(LEGEND, TEXT, DIM)));
    for (row, name) in kinds.iter().enumerate() {
        let line = Node { align_items: AlignItems::Center, ..default() };
        panel.spawn((ShownFrom(BorrowingDetail::Full), line)).with_children(|line| {
            line.spawn((text(figures::word_of(name), TEXT, DIM), Node { width: px(WIDTHS.0), ..default() }));
            let bar = Node { width: px(WIDTHS.1), height: px(10), ..default() };
            line.spawn(bar).with_children(|bar| {
                for stage in 0..STAGES {
                    let part = Node { width: percent(0), height: percent(100), ..default() };
                    bar.spawn((StagePart(row, stage), part, Ground(colour(stage))));
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
    mut parts: Query<(&StagePart, &mut Node)>,
    mut wholes: Query<(&StageTotal, &mut Text), Without<ByWhom>>,
    mut shares_of: Query<(&ByWhom, &mut Text), Without<StageTotal>>,
) {
    let of_row = |row: usize| totals.kinds.get(figures.kinds.get(row)?.name)?.stages_ms().map(shares);
    for (StagePart(row, stage), mut node) in &mut parts {
        let width = percent(of_row(*row).map_or(0.0, |(shares, _)| shares[*stage]));
        if node.width != width {
            node.width = width;
        }
    }
    for (StageTotal(row), mut text) in &mut wholes {
        let total = of_row(*row).map(|(_, total)| total);
        write(&mut text, &format!("{} ms", figures::milliseconds(total)));
    }
    for (ByWhom(row), mut text) in &mut shares_of {
        write(&mut text, &figures.kinds.get(*row).map(by_whom).unwrap_or_default());
    }
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

    #[test]
    fn the_parts_of_a_bar_fill_it_and_add_up_to_the_total() {
        let (parts, total) = shares([1.0, 20.0, 0.0, 10.0, 2.0, 7.0, 10.0, 1.0, 29.0]);
        assert!((total - 80.0).abs() < 1e-9 && (parts.iter().sum::<f32>() - 100.0).abs() < 1e-3, "{parts:?}");
        assert!((parts[1] - 25.0).abs() < 1e-3);
        assert_eq!(shares([0.0; STAGES]), ([0.0; STAGES], 0.0), "nothing came yet");
    }

    #[test]
    fn who_computed_a_kind_stands_beside_its_bar() {
        let kind = KindFigures { remote_percent: Some(97.4), local_percent: Some(2.6), ..default() };
        assert_eq!(by_whom(&kind), "97/-/3%");
    }
}
