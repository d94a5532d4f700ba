//! The game without window, GPU or sockets: the very app that `--headless --local` runs, stepped by hand.

mod pages;

use std::time::Duration;

use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use clap::Parser as _;
use p2c2r_arena::{Arena, ArenaConfig, ArenaEvent, Controls, Harm};
use p2c2r_game::cli::GameCli;
use p2c2r_game::report::Results;
use p2c2r_game::settings::Settings;
use p2c2r_game::{Battlefield, Happened, app};
use p2c2r_link::{ClientTransport, ToServer};
use p2c2r_offload::{
    LocalCompute, LocalReason, OffloadCaps, OffloadMode, OffloadState, OffloadSwitch, OffloadTotals,
};
use p2c2r_protocol::GameToServer;

/// A sixtieth of a second and a little, so that every update holds at least one step.
const FRAME: Duration = Duration::from_nanos(16_666_667);

fn local_game(arguments: &[&str]) -> (App, Results, GameCli) {
    linked_game(arguments, None)
}

/// A game that borrows over `link`.
fn linked_game(arguments: &[&str], link: Option<ClientTransport>) -> (App, Results, GameCli) {
    let cli =
        GameCli::try_parse_from([&["p2c2r-game", "--headless", "--local"], arguments].concat()).unwrap();
    let mut offload = app::offload_config(&cli).unwrap();
    offload.local = LocalCompute::Simulated { takes: Duration::from_millis(3) };
    offload.link = link;
    let mut app = app::build(&cli, offload).unwrap();
    app.insert_resource(TimeUpdateStrategy::ManualDuration(FRAME));
    let results = Results::keep(&mut app);
    app.finish();
    app.cleanup();
    (app, results, cli)
}

fn play(app: &mut App, frames: u32) {
    for _ in 0..frames {
        app.update();
    }
}

/// Steps the arena alone, straight on into whatever comes, so that lives are soon lost; the game sees only the outcome.
fn fly_recklessly(app: &mut App, ticks: u32) {
    let arena = &mut app.world_mut().resource_mut::<Battlefield>().arena;
    for _ in 0..ticks {
        if !arena.is_over() {
            arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
        }
    }
}

#[test]
fn the_game_plays_itself_and_enemies_follow_locally_computed_paths() {
    let (mut app, _, _) = local_game(&[]);
    play(&mut app, 900);
    let totals = app.world().resource::<OffloadTotals>();
    let path = &totals.kinds["path"];
    assert!(path.submitted > 5, "{path:?}");
    assert_eq!(path.local + path.open, path.submitted, "everything is computed here: {path:?}");
    assert_eq!(path.failed, 0);
    assert_eq!(totals.cost_nanos.0, 0, "local compute costs nothing");
    let arena = &app.world().resource::<Battlefield>().arena;
    assert!(arena.tick() >= 890, "60 steps a second: {}", arena.tick());
    assert!(arena.wave() >= 1);
}

#[test]
fn all_kinds_run_on_this_computer_when_it_is_alone() {
    let (mut app, _, _) = local_game(&[]);
    play(&mut app, 600);
    let totals = app.world().resource::<OffloadTotals>();
    let least = [("path", 3), ("physics", 15), ("reflection", 30), ("lightfield", 30), ("tactics", 1)];
    for (name, least) in least {
        let kind = &totals.kinds[name];
        assert!(kind.local >= least, "{name}: {kind:?}");
        assert_eq!((kind.failed, kind.remote), (0, 0), "{name}: {kind:?}");
        assert_eq!(kind.local + kind.reused + kind.open, kind.submitted, "{name}: {kind:?}");
    }
    assert_eq!(totals.kinds.len(), least.len(), "kinds that the game does not use");
    let arena = &app.world().resource::<Battlefield>().arena;
    assert!(arena.rocks().len() > 100);
    assert!(arena.rocks().iter().any(|rock| rock.position != rock.previous), "no rock flies");
}

#[test]
fn without_reflections_none_is_asked_for_and_the_report_says_so() {
    let (mut app, results, cli) = local_game(&["--reflections", "off", "--seconds", "3"]);
    while app.should_exit().is_none() {
        app.update();
    }
    let report = serde_json::to_value(results.report(&cli)).unwrap();
    assert_eq!(report["reflections"], false);
    assert_eq!(report["kinds"]["reflection"]["submitted"], 0);
    assert_eq!(report["kinds"]["lightfield"]["submitted"], 0);
    assert!(report["kinds"]["physics"]["submitted"].as_u64().unwrap() > 3);
}

#[test]
fn light_changes_nothing_in_the_arena() {
    let digest = |arguments: &[&str]| {
        let (mut app, _, _) = local_game(arguments);
        play(&mut app, 240);
        app.world().resource::<Battlefield>().arena.digest()
    };
    assert_eq!(digest(&["--reflections", "on"]), digest(&["--reflections", "off"]));
    assert_eq!(digest(&["--preset", "rich"]), digest(&["--preset", "saver"]));
}

#[test]
fn the_field_is_asked_for_five_times_a_second_and_not_at_all_where_it_is_not_bought() {
    let asked = |preset: &str| {
        let (mut app, _, _) = local_game(&["--preset", preset]);
        play(&mut app, 600);
        app.world().resource::<OffloadTotals>().kinds["lightfield"].submitted
    };
    let default = asked("default");
    // And once, with the first wave, for the sector in 16 parts.
    assert!((62..=66).contains(&default), "{default} in ten seconds");
    assert_eq!(asked("saver"), 0);
}

/// Tasks of each kind that were asked for so far.
fn submitted(app: &App) -> Vec<(&'static str, u64)> {
    let kinds = &app.world().resource::<OffloadTotals>().kinds;
    kinds.iter().map(|(name, kind)| (*name, kind.submitted)).collect()
}

#[test]
fn nothing_is_asked_for_while_the_game_is_paused() {
    let (mut app, _, _) = local_game(&[]);
    play(&mut app, 300);
    app.world_mut().resource_mut::<Time<Virtual>>().pause();
    // What the last step before the pause asked for leaves in the frame of that step.
    play(&mut app, 1);
    let before = submitted(&app);
    assert!(before.iter().all(|(_, count)| *count > 0), "{before:?}");
    play(&mut app, 300);
    assert_eq!(submitted(&app), before);
    for (name, kind) in &app.world().resource::<OffloadTotals>().kinds {
        assert_eq!(kind.open, 0, "{name} is still waited for: {kind:?}");
    }
    app.world_mut().resource_mut::<Time<Virtual>>().unpause();
    play(&mut app, 120);
    let after = submitted(&app);
    assert!(after.iter().zip(&before).all(|(after, before)| after.1 > before.1), "{before:?}, {after:?}");
}

#[test]
fn nothing_is_asked_for_after_the_game_is_over() {
    let (mut app, _, _) = local_game(&[]);
    play(&mut app, 300);
    let mut arena = Arena::new(ArenaConfig::default().with_allies(1));
    while !arena.is_over() {
        arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
        assert!(arena.tick() < 60 * 240, "no round ended");
    }
    app.world_mut().resource_mut::<Battlefield>().arena = arena;
    play(&mut app, 1);
    let (before, mut frames) = (submitted(&app), 0);
    loop {
        play(&mut app, 1);
        // The autopilot begins the next round after a while, as a gamer does with Enter.
        if !app.world().resource::<Battlefield>().arena.is_over() {
            break;
        }
        assert_eq!(submitted(&app), before, "{frames} frames after the end");
        frames += 1;
        if frames > 60 {
            let kinds = &app.world().resource::<OffloadTotals>().kinds;
            assert!(kinds.values().all(|kind| kind.open == 0), "somebody still computes: {kinds:?}");
        }
    }
    assert!(frames > 100, "the next round began after {frames} frames");
    play(&mut app, 600);
    let after = submitted(&app);
    assert!(after.iter().zip(&before).all(|(after, before)| after.1 > before.1), "{before:?}, {after:?}");
}

#[test]
fn the_same_seed_plays_the_same_game_and_another_does_not() {
    let digest = |seed: &str| {
        let (mut app, _, _) = local_game(&["--seed", seed]);
        play(&mut app, 300);
        app.world().resource::<Battlefield>().arena.digest()
    };
    assert_eq!(digest("7"), digest("7"));
    assert_ne!(digest("7"), digest("8"));
}

#[test]
fn the_run_ends_after_its_seconds_and_reports_in_the_agreed_shape() {
    let (mut app, results, cli) = local_game(&["--seconds", "5", "--seed", "3"]);
    let mut frames = 0;
    while app.should_exit().is_none() {
        app.update();
        frames += 1;
        assert!(frames < 600, "five seconds are about 300 frames");
    }
    let said: Vec<_> = app.world_mut().resource_mut::<Messages<ToServer<GameToServer>>>().drain().collect();
    assert!(
        said.iter().any(|ToServer(message)| *message == GameToServer::Leaving),
        "it leaves without a word"
    );
    let report = serde_json::to_value(results.report(&cli)).unwrap();
    assert_eq!(report["frames"], frames);
    assert!(report["seconds"].as_f64().unwrap() >= 5.0);
    assert!(
        report["ledger_balanced"].is_null() && report.as_object().unwrap().contains_key("ledger_balanced")
    );
    assert_eq!(report["seed"], 3);
    assert!(report["impair"].is_null());
    assert_eq!(report["reflections"], true);
    assert_eq!(report["cost_nanos"], 0);
    assert!(report["charged_nanos"].is_null(), "nobody has said");
    let path = &report["kinds"]["path"];
    for key in ["submitted", "remote", "coordinator", "local", "rejected", "late", "bytes_up", "bytes_down"] {
        assert!(path[key].is_u64(), "{key}: {path}");
    }
    for key in ["p50", "p95", "p99"] {
        assert!(path["latency_ms"][key].is_f64(), "{key}: {path}");
    }
    assert!(path.as_object().unwrap().contains_key("stages_ms"));
    // The launcher replaces exactly this.
    let text = serde_json::to_string_pretty(&results.report(&cli)).unwrap();
    assert_eq!(text.matches("\"ledger_balanced\": null").count(), 1);
    results.report(&cli).judge().unwrap();
}

#[test]
fn a_switch_thrown_in_mid_game_loses_no_task() {
    let (mut app, _, _) = local_game(&[]);
    for off in [true, false, true, false, true, false] {
        app.world_mut().resource_mut::<Settings>().borrowing.enabled ^= true;
        play(&mut app, 100);
        let reason = if off { LocalReason::SwitchedOff } else { LocalReason::NoCoordinator };
        assert_eq!(app.world().resource::<OffloadState>().mode, OffloadMode::Local(reason));
    }
    for (name, kind) in &app.world().resource::<OffloadTotals>().kinds {
        let ended = kind.delivered() + kind.reused + kind.failed + kind.cancelled;
        assert_eq!(ended + kind.open, kind.submitted, "{name}: {kind:?}");
        assert_eq!(kind.failed, 0, "{name}: {kind:?}");
    }
}

/// A file for one test, in the folder that cargo keeps for them.
fn file(name: &str, text: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_recorded_flight_is_flown_and_a_round_that_ends_begins_again() {
    let turning = file("turning.flight", "p2c2r-flight 1\n60 1 0\n60 1 1 fire\n");
    let (mut app, _, _) = local_game(&["--flight", &turning]);
    play(&mut app, 30);
    let heading = |app: &App| app.world().resource::<Battlefield>().arena.ship().heading;
    let before = heading(&app);
    play(&mut app, 1);
    assert!(before.cross(heading(&app)) > 0.0, "it turns left, as the flight says");
    // Straight on into whatever comes: sooner or later the last ship is lost.
    let reckless = file("reckless.flight", "p2c2r-flight 1\n1 0 1\n");
    let (mut app, _, _) = local_game(&["--flight", &reckless, "--preset", "default"]);
    let mut was_over = false;
    for _ in 0..60 * 240 {
        app.update();
        let is_over = app.world().resource::<Battlefield>().arena.is_over();
        if was_over && !is_over {
            return;
        }
        was_over = is_over;
    }
    panic!("no round ended and began again");
}

#[test]
fn a_dearer_preset_renews_its_mirrors_more_often_than_a_cheaper_one() {
    let asked = |preset: &str| {
        let (mut app, _, _) = local_game(&["--preset", preset]);
        play(&mut app, 300);
        app.world().resource::<OffloadTotals>().kinds["reflection"].submitted
    };
    let (saver, default, max) = (asked("saver"), asked("default"), asked("max"));
    // `default` pays for other ships' mirrors too: it asks 1.8 times as often as `saver`, for more light each time.
    assert!(saver * 3 < default * 2 && default * 4 < max * 3, "{saver}, {default}, {max}");
}

#[test]
fn t_can_be_pressed_by_the_clock() {
    let (mut app, _, _) = local_game(&["--flip-every", "2"]);
    let mut switched = Vec::new();
    for second in 0..7 {
        play(&mut app, 60);
        switched.push((second, app.world().resource::<OffloadSwitch>().enabled));
    }
    let off: Vec<_> = switched.iter().filter(|(_, enabled)| !enabled).map(|(second, _)| *second).collect();
    assert_eq!(off, [2, 3, 6], "{switched:?}");
}

#[test]
fn a_flight_that_cannot_be_flown_is_refused_with_the_reason() {
    for (flight, reason) in [
        (file("empty.flight", "p2c2r-flight 1\n"), "no ticks"),
        (file("wrong.flight", "p2c2r-flight 1\n1 0 7\n"), "line 2"),
        ("no-such.flight".to_owned(), "no-such.flight"),
    ] {
        let cli =
            GameCli::try_parse_from(["p2c2r-game", "--headless", "--local", "--flight", &flight]).unwrap();
        let error = app::build(&cli, app::offload_config(&cli).unwrap()).err().unwrap();
        assert!(error.to_string().contains(reason) && error.exit_code() == 2, "{error}");
    }
    assert!(GameCli::try_parse_from(["p2c2r-game", "--flight", "a", "--autopilot"]).is_err());
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    let cli = GameCli::try_parse_from(["p2c2r-game", "--impair", "moon"]).unwrap();
    let error = app::offload_config(&cli).err().unwrap();
    assert!(error.to_string().contains("moon") && error.to_string().contains("wan-100ms"), "{error}");
    let cli = GameCli::try_parse_from(["p2c2r-game", "--join", "nowhere"]).unwrap();
    let error = app::offload_config(&cli).err().unwrap();
    assert!(error.to_string().contains("p2c2r://") && error.exit_code() == 2, "{error}");
}
