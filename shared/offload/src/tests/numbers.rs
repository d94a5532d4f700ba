//! Diagnostics and the report.

use bevy_diagnostic::{DiagnosticPath, DiagnosticsStore};

use super::*;
use crate::diagnostics::{self, KindPaths};

fn value(game: &Game, path: &DiagnosticPath) -> Option<f64> {
    game.app.world().resource::<DiagnosticsStore>().get(path).expect("registered").value()
}

#[test]
fn what_is_not_known_has_no_value() {
    let game = Game::unconnected(settings(), config());
    let paths = KindPaths::of::<Twice>();
    for path in [
        &paths.latency_ms_p50,
        &paths.latency_ms_p95,
        &paths.in_time_percent,
        &paths.remote_percent,
        &paths.local_compute_ms,
        &paths.cost_dollars_per_hour,
        &paths.reused_percent,
        &paths.age_ms,
        &diagnostics::WORKERS,
        &diagnostics::RTT_MS,
        &diagnostics::JITTER_MS,
        &diagnostics::NEAREST_WORKER_MS,
        &diagnostics::LOSS_PERCENT,
        &diagnostics::SENT_BYTES_PER_SECOND,
        &diagnostics::COST_DOLLARS_PER_HOUR,
    ] {
        assert_eq!(value(&game, path), None, "{path}");
    }
    assert_eq!(value(&game, &diagnostics::ENABLED), Some(1.0));
    assert_eq!(value(&game, &diagnostics::REMOTE), Some(0.0));
}

#[test]
fn diagnostics_tell_the_last_ten_seconds_and_forget() {
    let mut game = Game::new();
    for number in 0..10 {
        game.ask_for(number);
        let task = game.submit().task;
        game.frame();
        match number {
            0..6 => game.say(done(task, 2 * number)),
            6..8 => game.say(done_by(task, 2 * number, ComputedBy::Coordinator)),
            _ => game.refuse(task, Refusal::TooLate { predicted_us: 1 }),
        }
        game.frames(8);
    }
    game.frames(50);
    let paths = KindPaths::new("twice");
    assert_eq!(value(&game, &paths.latency_ms_p50), Some(20.0));
    assert_eq!(value(&game, &paths.latency_ms_p95), Some(40.0));
    assert_eq!(value(&game, &paths.in_time_percent), Some(100.0));
    assert_eq!(value(&game, &paths.remote_percent), Some(60.0));
    assert_eq!(value(&game, &paths.coordinator_percent), Some(20.0));
    assert_eq!(value(&game, &paths.local_percent), Some(20.0));
    assert_eq!(value(&game, &diagnostics::COST_DOLLARS_TOTAL), Some(1_600e-9));
    assert_eq!(value(&game, &diagnostics::WORKERS), Some(3.0));
    assert_eq!(value(&game, &diagnostics::NEAREST_WORKER_MS), Some(12.0));
    let rate = value(&game, &diagnostics::COST_DOLLARS_PER_HOUR).unwrap();
    assert!(rate > 1_600e-9 * 3_600.0 / 2.0 && rate < 1_600e-9 * 3_600.0, "{rate}");
    assert!((value(&game, &paths.local_compute_ms).unwrap() - 20.0).abs() < 20.0);
    game.frames(1_100);
    assert_eq!(value(&game, &paths.latency_ms_p50), None, "stale numbers are not shown");
    assert_eq!(value(&game, &paths.cost_dollars_per_hour), Some(0.0));
}

#[test]
fn a_patient_task_counts_in_what_the_session_costs_and_in_no_rate_an_hour() {
    let mut game = Game::new();
    game.ask_for(1);
    let timely = game.submit().task;
    game.ask(Offloading::new(spec(2), Blobs::default()).patient());
    let patient = game.submit().task;
    let rate = |game: &Game| value(game, &diagnostics::COST_DOLLARS_PER_HOUR).unwrap();
    game.say(done(timely, 2));
    game.frames(60);
    let before = rate(&game);
    game.say(done(patient, 4));
    game.frames(60);
    assert!(before > 0.0 && rate(&game) <= before, "{before}, {}", rate(&game));
    assert_eq!(value(&game, &diagnostics::COST_DOLLARS_TOTAL), Some(400e-9));
    assert_eq!(value(&game, &diagnostics::COST_DOLLARS_PATIENT_TOTAL), Some(200e-9));
    let totals = game.totals();
    assert_eq!((totals.cost_nanos, totals.cost_patient_nanos), (Nanos(400), PRICE));
}

#[test]
fn a_kinds_name_is_part_of_its_paths() {
    let paths = KindPaths::of::<Twice>();
    assert_eq!(paths.latency_ms_p50.as_str(), "p2c2r/twice/latency_ms_p50");
    assert_eq!(paths.cost_dollars_per_hour.as_str(), "p2c2r/twice/cost_dollars_per_hour");
}

#[test]
fn the_report_has_the_fields_that_readers_of_it_expect() {
    let mut game = Game::new();
    let report = |game: &Game| serde_json::to_value(game.app.world().resource::<OffloadTotals>()).unwrap();
    assert!(report(&game)["kinds"]["twice"]["latency_ms"].is_null(), "unknown before the first outcome");
    game.ask_for(21);
    let task = game.submit().task;
    game.say(done(task, 42));
    game.frame();
    let report = report(&game);
    assert_eq!(report["cost_nanos"], 200);
    let kind = &report["kinds"]["twice"];
    for field in [
        "submitted",
        "remote",
        "coordinator",
        "cache",
        "local",
        "reused",
        "rejected",
        "late",
        "bytes_up",
        "bytes_down",
    ] {
        assert!(kind[field].is_u64(), "{field}");
    }
    assert_eq!((&kind["submitted"], &kind["remote"]), (&1.into(), &1.into()));
    for field in ["p50", "p95", "p99"] {
        assert!((kind["latency_ms"][field].as_f64().unwrap() - 10.0).abs() < 10.0 / 128.0, "{field}");
    }
    let stages = kind["stages_ms"].as_object().unwrap();
    assert_eq!(stages.len(), Stages::NAMES.len());
    let sum: f64 = stages.values().map(|stage| stage.as_f64().unwrap()).sum();
    assert!((sum - 10.0).abs() < 1e-9);
}

#[test]
fn task_ids_of_two_connections_do_not_meet() {
    let mut game = Game::new();
    let mut session = |number| {
        game.lose_link();
        game.say(welcome_under(number));
        game.frame();
        game.ask_for(1);
        let first = game.submit().task;
        game.ask_for(2);
        assert_eq!(game.submit().task.0, first.0 + 1);
        first.0 >> 32
    };
    assert_eq!((session(70), session(u32::MAX)), (70, u64::from(u32::MAX)));
}

#[test]
fn what_the_cap_on_an_hour_leaves_is_told_and_without_a_cap_nothing() {
    let mut game = Game::new();
    game.frames(60);
    assert_eq!(value(&game, &diagnostics::HOUR_LEFT_DOLLARS), None);
    let mut game = Game::with(settings(), OffloadConfig { hour_cap: Some(Nanos(500)), ..config() });
    game.frames(60);
    assert_eq!(value(&game, &diagnostics::HOUR_LEFT_DOLLARS), Some(500e-9));
    game.ask_for(1);
    let task = game.submit().task;
    game.say(done(task, 2));
    game.frames(60);
    assert_eq!(value(&game, &diagnostics::HOUR_LEFT_DOLLARS), Some(300e-9));
    game.app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_mins(62)));
    game.frame();
    game.frame();
    assert_eq!(value(&game, &diagnostics::HOUR_LEFT_DOLLARS), Some(500e-9), "the hour has moved on");
}

#[test]
fn workers_owe_what_was_asked_of_them_and_nothing_else() {
    let mut game = Game::new();
    let owed = |game: &Game| (game.totals().owed, game.totals().owed_in_time);
    let ask = |game: &mut Game, number| {
        game.ask_for(number);
        game.submit().task
    };
    let by_worker = ask(&mut game, 1);
    game.say(done(by_worker, 2));
    game.frame();
    assert_eq!(owed(&game), (1, 1));
    for by in [ComputedBy::Coordinator, ComputedBy::Cache(None)] {
        let task = ask(&mut game, 2);
        game.say(done_by(task, 4, by));
        game.frame();
    }
    assert_eq!(owed(&game), (1, 1), "the coordinator did not need them");
    let task = ask(&mut game, 3);
    game.refuse(task, Refusal::PriceAboveCap { price: PRICE });
    game.frames(60);
    assert_eq!(owed(&game), (1, 1), "money is none of theirs");
    let task = ask(&mut game, 4);
    game.refuse(task, Refusal::TooLate { predicted_us: 1 });
    game.frames(60);
    assert_eq!(owed(&game), (2, 1), "they were too slow or too few");
    ask(&mut game, 5);
    game.switch().enabled = false;
    game.frames(60);
    game.ask_for(6);
    game.frames(60);
    assert_eq!((game.totals().local, owed(&game)), (4, (2, 1)), "computed here because the player wants so");
}

#[test]
fn the_stages_of_some_outcomes_are_told_from_those_before() {
    let stages = |kernel_us| Stages { kernel_us, judge_us: 500, ..Stages::default() };
    let mut times = crate::StageTimes::default();
    assert_eq!(times.means_ms(), None);
    times.add(stages(100_000));
    let before = times;
    times.add(stages(8_000));
    times.add(stages(10_000));
    let since = times.since(before).means_ms().unwrap();
    assert!((since[5] - 9.0).abs() < 1e-9 && (since[7] - 0.5).abs() < 1e-9, "{since:?}");
    assert_eq!(times.since(times).means_ms(), None);
}
