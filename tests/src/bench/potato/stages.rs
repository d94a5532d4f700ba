//! Where the time of light goes, stage by stage, and its least possible age.

use std::fmt::Write as _;

use p2c2r_protocol::Stages;

use super::PotatoRow;
use super::figures::PotatoFigures;

/// A stage's column: heading, and the mean.
type Stage = (&'static str, fn(&PotatoFigures) -> Option<f64>);

/// In the order of [`Stages::NAMES`].
const STAGES: [Stage; Stages::NAMES.len()] = [
    ("sent", |figures| figures.light_client_queue_ms),
    ("up", |figures| figures.light_uplink_ms),
    ("queue", |figures| figures.light_coordinator_queue_ms),
    ("to worker", |figures| figures.light_worker_downlink_ms),
    ("queue", |figures| figures.light_worker_queue_ms),
    ("kernel", |figures| figures.light_kernel_ms),
    ("back", |figures| figures.light_worker_uplink_ms),
    ("judge", |figures| figures.light_judge_ms),
    ("down", |figures| figures.light_downlink_ms),
];

/// The least possible 95th percentile of the light's age, in milliseconds: the round trips, the kernel, and 95 hundredths
/// of the time from one request to the next, since the light shown ages until the next comes. `None` without borrowed light.
pub fn floor_ms(row: &PotatoRow) -> Option<f64> {
    let figures = &row.figures;
    let interval = figures.light_asked_per_s.filter(|rate| *rate > 0.0).map(|rate| 1e3 / rate)?;
    Some(row.setting.arm.round_trips_ms() + figures.light_kernel_ms? + 0.95 * interval)
}

/// Mean milliseconds of every stage of the light around the ship, the time from one request to the next, and the floor of its
/// age beside what was measured. Empty where nothing borrowed.
pub fn table(rows: &[PotatoRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let Some(floor) = floor_ms(row) else { continue };
        if text.is_empty() {
            let _ = write!(text, "light, mean ms       ");
            for (heading, _) in STAGES {
                let _ = write!(text, "{heading:>10}");
            }
            let _ = writeln!(text, "{:>10}{:>10}{:>10}", "every", "floor p95", "age p95");
        }
        let _ = write!(text, "{:<9} {:<11}", row.setting.preset, row.setting.arm.name());
        let every = row.figures.light_asked_per_s.map(|rate| 1e3 / rate);
        let values = STAGES.iter().map(|(_, stage)| stage(&row.figures));
        for value in values.chain([every, Some(floor), row.figures.light_age_ms_p95]) {
            let _ = match value {
                Some(value) => write!(text, "{value:>10.1}"),
                None => write!(text, "{:>10}", "-"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::{Arm, Setting};
    use super::*;

    #[test]
    fn stages_stand_in_their_order_with_the_floor_behind_them() {
        let stages: serde_json::Map<String, serde_json::Value> =
            (1..).zip(Stages::NAMES).map(|(ms, name)| (name.to_owned(), json!(ms))).collect();
        let report =
            json!({"seconds": 10.0, "kinds": {"reflection": {"submitted": 50, "stages_ms": stages}}});
        let mut row = PotatoRow {
            setting: Setting { preset: "rich".into(), share: 30, arm: Arm::Far },
            figures: PotatoFigures::of(&[], &report, Duration::ZERO),
        };
        row.figures.light_age_ms_p95 = Some(700.0);
        let text = table(&[row.clone()]);
        let cells: Vec<&str> = text.lines().nth(1).expect("a row").split_whitespace().collect();
        assert_eq!(cells[2..11], ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "7.0", "8.0", "9.0"]);
        // 400 ms of round trips, 6 of the kernel, 190 of an interval of 200.
        assert_eq!(cells[11..], ["200.0", "596.0", "700.0"]);
        row.figures = PotatoFigures::default();
        assert_eq!(table(&[row]), "", "nothing is said of light that was not borrowed");
    }
}
