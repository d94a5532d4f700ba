//! A program's surroundings: ignored signals, empty variables, the time in log lines, a missing desktop or display.

use std::process::Command;

use p2c2r_tests::programs::{Program, command, coordinator, game, worker};

use crate::report;

/// The command that starts `command` with these signals ignored, as `nohup` does and a shell for its background jobs.
fn ignoring(signals: &str, command: &Command) -> Command {
    started_by("sh", &["-c", &format!("trap '' {signals}; exec \"$0\" \"$@\"")], command)
}

/// The command that starts `command` with no signal ignored, however the tests were started.
fn heeding_all(command: &Command) -> Command {
    started_by("env", &["--default-signal"], command)
}

fn started_by(starter: &str, options: &[&str], command: &Command) -> Command {
    let mut starts = Command::new(starter);
    starts.args(options).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => starts.env(name, value),
            None => starts.env_remove(name),
        };
    }
    starts
}

#[test]
fn signals_that_are_ignored_at_the_start_stay_ignored() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = |name: &str, command: Command| Program::start(name, ignoring("HUP INT", &command));
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", start);
    let mut worker = worker(folder.path(), "ada", start);
    worker.line("onnected");
    let path = folder.path().join("report.json");
    let mut game = game(folder.path(), 60, &path, start);
    game.line("path");
    for signal in ["HUP", "INT"] {
        for program in [&coordinator, &worker, &game] {
            program.signal(signal);
        }
    }
    // A program that had obeyed one of them would be closing by now, and gone before the next line.
    game.line("path");
    game.line("path");
    let said = [coordinator.seen(), worker.seen()].concat();
    assert!(!said.contains("closing") && !said.contains("Leaving"), "{said}");
    game.stop();
    assert!(report(&path)["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    worker.stop();
    coordinator.stop();
}

#[test]
fn a_hangup_that_is_not_ignored_ends_a_program_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = |name: &str, command: Command| Program::start(name, heeding_all(&command));
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", start);
    let mut worker = worker(folder.path(), "ada", start);
    worker.line("onnected");
    let path = folder.path().join("report.json");
    let mut game = game(folder.path(), 60, &path, start);
    game.line("path");
    for program in [&mut game, &mut worker, &mut coordinator] {
        program.signal("HUP");
        program.ended_well();
    }
    assert!(report(&path)["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
}

/// Every variable that a program reads, by its own help.
fn variables(name: &str) -> Vec<String> {
    let mut command = command(name);
    command.arg("--help");
    let help = Program::start(name, command).ended_well();
    let found: Vec<String> = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next())
        .map(str::to_owned)
        .collect();
    assert!(!found.is_empty(), "{help}");
    found
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = |name: &str, mut command: Command| {
        let program = command.get_program().to_string_lossy().rsplit('/').next().expect("a name").to_owned();
        command.envs(variables(&program).into_iter().map(|variable| (variable, "")));
        Program::start(name, command)
    };
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", start);
    let mut worker = worker(folder.path(), "ada", start);
    worker.line("onnected");
    let path = folder.path().join("report.json");
    game(folder.path(), 1, &path, start).ended_well();
    worker.stop();
    coordinator.stop();

    let defaults = |set_to_nothing: bool| {
        let mut command = command("p2c2r-server");
        command.args(["config", "show"]);
        if set_to_nothing {
            command.envs(variables("p2c2r-server").into_iter().map(|variable| (variable, "")));
        }
        Program::start("config show", command).ended_well()
    };
    assert_eq!(defaults(true), defaults(false));
}

#[test]
fn lines_carry_the_time_where_nobody_else_notes_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let said = coordinator.stop();
    assert!(!said.is_empty(), "it wrote nothing");
    for line in said.lines() {
        let time = line.split(' ').next().unwrap_or_default();
        // RFC 3339 in UTC, such as 2026-11-28T19:11:47.123456Z.
        let is_time = time.len() == 27 && time.ends_with('Z') && time.as_bytes()[10] == b'T';
        assert!(is_time, "no time: {line}\nin {said}");
        assert!(!line.contains("WARN"), "an ordinary start warns of nothing: {line}");
    }
}

/// Mesa asks the desktop which device it uses, and libwayland complains where there is none.
#[test]
fn a_worker_without_a_desktop_prints_no_complaint_about_one() {
    let keys = tempfile::tempdir().expect("a temporary folder");
    let mut command = command("p2c2r-worker");
    command.args(["--join", "p2c2r://127.0.0.1:9/nobody", "--keys"]).arg(keys.path());
    command.env_remove("XDG_RUNTIME_DIR").env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    let mut worker = Program::start("worker", command);
    // `CPU only: …` or `GPU: …`: the look at the devices is over.
    worker.line("PU");
    let said = worker.stop();
    assert!(!said.contains("XDG_RUNTIME_DIR"), "{said}");
}

/// Without a display no window opens, but the settings are read before that.
#[test]
#[cfg(target_os = "linux")]
fn a_run_that_a_player_steers_reads_the_players_settings_and_any_other_starts_bare() {
    for (arguments, is_read) in [
        (&["--page=title"][..], true),
        (&["--page=play", "--difficulty=cadet", "--seed=7"], true),
        (&["--seconds=1"], true),
        (&["--autopilot"], false),
        (&["--headless", "--seconds=1"], false),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = folder.path().join("p2c2r");
        std::fs::create_dir(&files).expect("a folder");
        std::fs::write(files.join("settings.toml"), "sound = [").expect("a file");
        let mut game = command("p2c2r-game");
        game.arg("--local").args(arguments).env("XDG_CONFIG_HOME", folder.path());
        game.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("P2C2R_SETTINGS");
        let mut game = Program::start("game", game);
        game.ended();
        let aside = files.join("settings.toml.damaged-1");
        assert_eq!(aside.exists(), is_read, "{arguments:?}: {}", game.seen());
    }
}
