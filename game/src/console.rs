//! The HUD without a screen: one line a second on standard output, and a summary at the end.

use std::fmt::Write as _;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::common_conditions::on_real_timer;

use p2c2r_offload::OffloadTotals;
use p2c2r_program::say;

use crate::figures::{self, Figures};
use crate::play::Battlefield;
use crate::report::RunReport;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Last, print_line.run_if(on_real_timer(Duration::from_secs(1))));
}

fn print_line(time: Res<Time<Real>>, figures: Res<Figures>, battlefield: Res<Battlefield>) {
    let arena = &battlefield.arena;
    say(line(time.elapsed(), &figures, (arena.score(), arena.lives(), arena.wave())));
}

/// One line: time; per kind who computes it, median and 95th-percentile latency, cost and problems; then the
/// totals.
pub fn line(elapsed: Duration, figures: &Figures, (score, lives, wave): (u64, u32, u32)) -> String {
    let mut text = format!("{:>4}s", elapsed.as_secs());
    for kind in &figures.kinds {
        let (p50, p95) = (figures::milliseconds(kind.p50_ms), figures::milliseconds(kind.p95_ms));
        let cost = figures::dollars(kind.dollars_per_hour);
        let _ = write!(text, " | {} {} {p50}/{p95} ms {cost}/h", kind.name, kind.place_text());
        // Left out while all are in time, so that a line with all kinds stays short.
        if let Some(share) = kind.in_time_percent.filter(|share| *share < 100.0) {
            let _ = write!(text, " in time {}", figures::percent(Some(share)));
        }
        if let Some(age) = kind.reused_age_ms() {
            let _ = write!(text, " reused {} ms old", figures::milliseconds(Some(age)));
        }
    }
    let state = match (figures.enabled, figures.remote) {
        (false, _) => "OFF",
        (true, true) => "ON",
        (true, false) => "ON (alone)",
    };
    let _ = write!(text, " | borrowing {state} cost {}", figures::dollars_to_the_nano(figures.cost_dollars));
    if let Some(once) = figures.sector_light_dollars.filter(|once| *once > 0.0) {
        let _ = write!(text, " (sector light {})", figures::dollars_to_the_nano(Some(once)));
    }
    let _ = write!(
        text,
        " workers {} rtt {} ms fps {} | score {score} lives {lives} wave {wave}",
        figures::count(figures.workers),
        figures::milliseconds(figures.rtt_ms),
        figures::count(figures.fps),
    );
    text
}

/// Prints the summary for the gamer.
pub(super) fn print_summary(report: &RunReport) {
    say(summary(report).trim_end_matches('\n'));
}

/// The summary for the gamer.
pub fn summary(report: &RunReport) -> String {
    let mut text = String::from("\n");
    let _ = writeln!(
        text,
        "Played {:.0} s, {} frames: score {}, wave {}.",
        report.seconds, report.frames, report.score, report.wave
    );
    for (name, kind) in &report.totals.kinds {
        let _ = writeln!(
            text,
            "  {name}: {} tasks = {} by workers + {} by the coordinator + {} from its cache + {} here ({} late, {} rejected, {} reused, {} without outcome)",
            kind.submitted,
            kind.remote,
            kind.coordinator,
            kind.cache,
            kind.local,
            kind.late,
            kind.rejected,
            kind.reused,
            kind.failed,
        );
        if let Some(latency) = kind.latency_ms() {
            let _ = writeln!(
                text,
                "  {name}: latency p50 {} ms, p95 {} ms, p99 {} ms; {} KB up, {} KB down; {}",
                figures::milliseconds(Some(latency.p50)),
                figures::milliseconds(Some(latency.p95)),
                figures::milliseconds(Some(latency.p99)),
                kind.bytes_up / 1_000,
                kind.bytes_down / 1_000,
                kind.cost_nanos,
            );
        }
    }
    text += &total_cost(&report.totals, report.seconds);
    text.push('\n');
    text
}

/// What `seconds` of play cost in all, once, and by the hour.
fn total_cost(totals: &OffloadTotals, seconds: f64) -> String {
    let (total, once, hours) = (totals.cost_nanos, totals.cost_patient_nanos(), seconds / 3_600.0);
    let mut text = format!("Total cost: {total}");
    if once.0 > 0 {
        let _ = write!(text, ", of it {once} once for the light of sectors");
    }
    if seconds >= 1.0 && total.0 > 0 {
        let per_hour = figures::dollars(Some((total - once).as_dollars() / hours));
        let rest = if once.0 > 0 { "the rest: " } else { "" };
        let _ = write!(text, " ({rest}{per_hour}/h in {hours:.4} hours of play)");
    }
    text
}

#[cfg(test)]
mod tests {
    use p2c2r_offload::KindTotals;
    use p2c2r_protocol::Nanos;

    use super::*;
    use crate::figures::KindFigures;

    #[test]
    fn a_line_names_place_latency_and_cost() {
        let figures = Figures {
            kinds: vec![KindFigures {
                name: "path",
                p50_ms: Some(6.25),
                p95_ms: Some(14.0),
                in_time_percent: Some(99.7),
                remote_percent: Some(97.0),
                local_percent: Some(3.0),
                dollars_per_hour: Some(0.0123),
                ..default()
            }],
            cost_dollars: Some(0.000_41),
            sector_light_dollars: Some(0.000_031),
            workers: Some(3.0),
            enabled: true,
            remote: true,
            link_up: true,
            ..default()
        };
        let text = line(Duration::from_secs(7), &figures, (1_200, 3, 2));
        for part in [
            "7s",
            "path workers 97%",
            "6.2/14 ms",
            "in time 99.7%",
            "$0.0123/h",
            "borrowing ON",
            "cost $0.000410000 (sector light $0.000031000)",
            "workers 3",
            "rtt - ms",
            "score 1200 lives 3 wave 2",
        ] {
            assert!(text.contains(part), "`{part}` is missing in: {text}");
        }
    }

    #[test]
    fn a_line_stays_short_while_all_is_well_and_tells_of_reuse() {
        let kind = |name, reused_percent| KindFigures {
            name,
            p50_ms: Some(62.0),
            p95_ms: Some(131.0),
            in_time_percent: Some(100.0),
            remote_percent: Some(100.0),
            reused_percent,
            age_ms: Some(240.0),
            dollars_per_hour: Some(0.0045),
            ..default()
        };
        let line_of = |reused| {
            let kinds = vec![kind("path", None), kind("physics", None), kind("reflection", reused)];
            line(Duration::from_secs(70), &Figures { kinds, ..default() }, (12_345, 3, 12))
        };
        let well = line_of(Some(0.0));
        assert!(well.len() <= 240, "{} characters: {well}", well.len());
        assert!(!well.contains("reused") && !well.contains("in time"), "{well}");
        assert!(line_of(Some(3.0)).contains("reused 240 ms old"));
    }

    #[test]
    fn the_summary_tells_what_was_paid_once_from_what_was_paid_by_the_hour() {
        let said = |once| {
            let kind = KindTotals { cost_patient_nanos: Nanos(once), ..KindTotals::default() };
            let totals = OffloadTotals {
                kinds: [("lightfield", kind)].into(),
                cost_nanos: Nanos(400),
                ..OffloadTotals::default()
            };
            total_cost(&totals, 3.6)
        };
        assert_eq!(
            said(100),
            "Total cost: $0.0000004, of it $0.0000001 once for the light of sectors (the rest: $0.000300/h in 0.0010 hours of play)"
        );
        assert_eq!(said(0), "Total cost: $0.0000004 ($0.000400/h in 0.0010 hours of play)");
        assert_eq!(total_cost(&OffloadTotals::default(), 3.6), "Total cost: $0.00");
    }

    #[test]
    fn a_line_says_when_the_game_is_alone() {
        // A connection alone does not help: the account may be empty.
        let figures = Figures { enabled: true, link_up: true, ..default() };
        assert!(line(Duration::ZERO, &figures, (0, 3, 0)).contains("borrowing ON (alone)"));
        assert!(line(Duration::ZERO, &Figures::default(), (0, 3, 0)).contains("borrowing OFF"));
    }
}
