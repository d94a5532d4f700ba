//! Invalid settings: every program names the setting, its value and its range, and ends with status 2.

use p2c2r_tests::programs::{Program, command};

/// Runs a program that must refuse its settings; returns what it says.
#[track_caller]
fn refused(name: &str, arguments: &[&str]) -> String {
    let mut command = command(name);
    command.args(arguments);
    let mut program = Program::start(name, command);
    let status = program.ended();
    let said = program.seen();
    assert_eq!(status.code(), Some(2), "{name} {arguments:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn running_refuses_what_config_check_refuses() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = folder.path().join("results.db");
    let db = db.to_str().expect("a UTF-8 path");
    for (setting, value, range) in [
        ("--compute-queue", "1000000000", "1 to 65536"),
        ("--compute-queue", "18446744073709551615", "1 to 65536"),
        ("--compute-threads", "1000000", "1 to 1024"),
        ("--cache-entries", "18446744073709551615", "0 to 1048576"),
        ("--opening-credit-nanos", "9223372036854775807", "0 to 1000000000000000"),
        ("--fraud-window-seconds", "18446744073709551615", "0 to 31536000"),
        ("--summary-seconds", "18446744073709551615", "1 to 86400"),
        ("--check-budget-percent", "NaN", "0.1 to 10000"),
        ("--peers-max", "0", "1 to 1024"),
        ("--bytes-per-second", "1", "1000 to"),
        ("--log", "p2c2r_server=loud", "not valid"),
    ] {
        let said = [&["config", "check"][..], &[]].map(|verb| {
            refused(
                "p2c2r-server",
                &[verb, &["--listen", "127.0.0.1:0", "--db", db, setting, value]].concat(),
            )
        });
        assert_eq!(said[0], said[1]);
        let name = setting.trim_start_matches('-');
        assert!(said[0].contains(name) && said[0].contains(value), "{setting} {value}: {}", said[0]);
        assert!(said[0].contains(range), "{setting} {value}: {}", said[0]);
    }
    assert!(!folder.path().join("results.db").exists(), "nothing was begun");
}

#[test]
fn worker_and_game_refuse_with_the_range() {
    for (name, arguments, range) in [
        ("p2c2r-worker", &["--slots", "257"][..], "1 to 256"),
        ("p2c2r-worker", &["--busy-poll-us", "18446744073709551615"], "0 to 10000"),
        ("p2c2r-worker", &["--name", &"n".repeat(65)], "1 to 64"),
        ("p2c2r-worker", &["--log", "p2c2r_worker=loud"], "not valid"),
        ("p2c2r-worker", &["--config", "/dev/zero"], "/dev/zero"),
        ("p2c2r-game", &["--headless", "--seconds", "0"], "1 to 86400"),
        ("p2c2r-game", &["--headless", "--name", &"n".repeat(65)], "1 to 64"),
        ("p2c2r-game", &["--headless", "--log", "p2c2r_game=loud"], "not valid"),
    ] {
        let said = refused(name, arguments);
        assert!(said.contains(range), "{name} {arguments:?}: {said}");
    }
}

#[test]
fn the_suggested_file_holds_no_seed_and_is_accepted() {
    let mut show = command("p2c2r-server");
    show.args(["config", "show"]);
    let shown = Program::start("config show", show).ended_well();
    assert!(!shown.contains("seed"), "{shown}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("server.toml");
    std::fs::write(&path, &shown).expect("a file");
    let mut check = command("p2c2r-server");
    check.args(["config", "check", "--config"]).arg(&path);
    Program::start("config check", check).ended_well();
}
