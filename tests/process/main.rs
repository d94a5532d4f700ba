//! The three real programs, started as a person starts them.

#[cfg(unix)]
mod kills;
mod lost_output;
#[cfg(unix)]
mod owner;
mod potato;
mod presets;
#[cfg(target_os = "linux")]
mod sandbox;
#[cfg(target_os = "linux")]
mod soak;
mod surroundings;
#[cfg(target_os = "linux")]
mod window;
mod wrong_settings;
#[cfg(target_os = "linux")]
mod x_server;

use std::path::Path;
use std::process::Command;

use p2c2r_server::config::default_prices;
use p2c2r_tasks::KindRegistry;
use p2c2r_tests::bench::play::{Play, Played, Varied};
use p2c2r_tests::programs::{Program, command, coordinator, folder, game, ledger_balances, worker};
use serde_json::Value;

fn report(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the game wrote its report");
    serde_json::from_str(&text).expect("the report is JSON")
}

fn count(report: &Value, name: &str) -> u64 {
    report["kinds"]["path"][name].as_u64().unwrap_or_else(|| panic!("kinds.path.{name} in {report:#}"))
}

#[test]
fn every_program_explains_itself() {
    for name in ["p2c2r-server", "p2c2r-worker", "p2c2r-game", "p2c2r-doctor"] {
        for option in ["--help", "--version"] {
            let mut command = command(name);
            command.arg(option);
            let said = Program::start(name, command).ended_well();
            assert!(!said.is_empty(), "{name} {option} says nothing");
        }
        let mut command = command(name);
        command.arg("--no-such-option");
        let mut program = Program::start(name, command);
        assert_eq!(program.ended().code(), Some(2), "{}", program.seen());
    }
}

#[test]
fn a_coordinator_that_listens_everywhere_says_what_its_links_name_and_is_joined_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "[::]:0", Program::start);
    let advice = coordinator.line("Join links name ");
    assert!(advice.contains("--public-address"), "{advice}");
    let mut worker = worker(folder.path(), "ada", Program::start);
    worker.line("Connected!");
    coordinator.line("Worker connected: ada");
    worker.stop();
    coordinator.stop();
}

#[test]
fn a_game_plays_with_two_workers_the_ledger_balances_and_the_run_can_be_replayed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let recording = folder.path().join("run");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", |name, mut command| {
        command.arg("--record").arg(&recording);
        Program::start(name, command)
    });
    let mut workers = ["ada", "grace"].map(|name| worker(folder.path(), name, Program::start));
    for worker in &mut workers {
        worker.line("onnected");
    }
    let path = folder.path().join("report.json");
    game(folder.path(), 5, &path, Program::start).ended_well();
    let report = report(&path);
    assert!(count(&report, "remote") > 0, "{report:#}");
    assert!(report["cost_nanos"].as_i64().is_some_and(|cost| cost > 0), "{report:#}");
    assert!(report["kinds"]["path"]["latency_ms"]["p95"].as_f64().is_some(), "{report:#}");
    asks_for_light_as_the_bench_says(&report);
    for worker in &mut workers {
        let said = worker.stop();
        assert!(said.contains('$'), "a worker's last words name its earnings:\n{said}");
    }
    coordinator.stop();
    ledger_balances(folder.path());
    let mut replay = command("p2c2r-server");
    replay.arg("replay").arg(&recording);
    let said = Program::start("replay", replay).ended_well();
    assert!(said.contains("the same"), "{said}");
}

/// The bench's `play::LIGHT` and `play::FIELD` are second copies of how the game asks for light: the price of a task and
/// the highest rate of tasks must agree.
#[track_caller]
fn asks_for_light_as_the_bench_says(report: &Value) {
    let play = Play::of(5).expect("the kernels take it");
    agrees(&play.reflection, report);
    agrees(&play.lightfield, report);
}

/// Parts of the sector's light, which is asked for once, with the first wave.
const SECTOR_PARTS: f64 = 16.0;

#[track_caller]
fn agrees<K: Varied>(light: &Played<K>, report: &Value) {
    let prices = default_prices(&KindRegistry::builtin());
    let price: f64 = light
        .tasks
        .iter()
        .map(|(spec, blobs)| {
            let units = K::admit(spec, blobs).expect("what a game asks for is admissible");
            prices.price(K::ID, units).expect("it is sold").0 as f64
        })
        .sum::<f64>()
        / light.tasks.len() as f64;
    let asked = &report["kinds"][K::NAME];
    let number = |name: &str| asked[name].as_f64().unwrap_or_else(|| panic!("{name} in {report:#}"));
    let paid = number("remote") + number("coordinator");
    assert!(paid > 0.0, "{report:#}");
    // Outcomes that came after their task had ended are charged as well, and counted under one of these.
    let paid_max = paid + number("wasted") + number("reused");
    let sector = if K::NAME == "lightfield" { SECTOR_PARTS } else { 0.0 };
    // The bench's tasks do not include the sector's light.
    let cost = number("cost_nanos") - number("cost_patient_nanos");
    let (least, most) = (cost / paid_max, cost / (paid - sector).max(1.0));
    assert!(
        least <= price * 1.1 && most >= price * 0.9,
        "the game pays {least} to {most} for a task of {}, the bench says {price}",
        K::NAME
    );
    let seconds = report["seconds"].as_f64().expect("how long it played");
    let asked_max = light.per_second * seconds * 1.1 + 2.0 + sector;
    let submitted = number("submitted");
    assert!(submitted <= asked_max, "{submitted} tasks in {seconds} s, at most {asked_max}");
}

#[test]
fn a_sector_that_one_gamer_had_baked_is_there_for_the_next() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let mut workers = ["ada", "grace"].map(|name| worker(folder.path(), name, Program::start));
    for worker in &mut workers {
        worker.line("onnected");
    }
    // The first wave starts after two and a half seconds.
    let [first, second] = ["first.json", "second.json"].map(|name| {
        let path = folder.path().join(name);
        game(folder.path(), 8, &path, Program::start).ended_well();
        report(&path)
    });
    let cached = |report: &Value, kind: &str| report["kinds"][kind]["cache"].as_u64().expect("a count");
    assert_eq!(cached(&first, "lightfield"), 0, "{first:#}");
    let from_cache = cached(&second, "lightfield");
    assert!((1..=16).contains(&from_cache), "{second:#}");
    for worker in &mut workers {
        worker.stop();
    }
    coordinator.stop();
    ledger_balances(folder.path());
}

#[test]
fn a_coordinator_killed_and_restarted_gets_its_game_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut first, address) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let mut worker = worker(folder.path(), "ada", Program::start);
    worker.line("onnected");
    let path = folder.path().join("report.json");
    let mut game = game(folder.path(), 14, &path, Program::start);
    // Three lines of the display are three seconds of play.
    for _ in 0..3 {
        game.line("path");
    }
    first.signal("KILL");
    first.ended();
    ledger_balances(folder.path());
    game.line("path");
    let (mut second, _) = coordinator(folder.path(), &address, Program::start);
    game.ended_well();
    let report = report(&path);
    assert!(count(&report, "local") > 0 && count(&report, "remote") > 0, "{report:#}");
    worker.stop();
    second.stop();
    ledger_balances(folder.path());
}

#[test]
fn a_game_whose_coordinator_does_not_answer_plays_alone_and_joins_when_it_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut away, address) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    away.stop();
    let path = folder.path().join("report.json");
    let mut game = game(folder.path(), 20, &path, Program::start);
    for _ in 0..3 {
        let line = game.line("| path");
        assert!(line.contains("borrowing ON (alone)"), "{line}");
    }
    let (mut coordinator, _) = coordinator(folder.path(), &address, Program::start);
    game.line("borrowing ON cost");
    game.ended_well();
    let report = report(&path);
    assert!(count(&report, "local") > 0 && count(&report, "coordinator") > 0, "{report:#}");
    coordinator.stop();
    ledger_balances(folder.path());
}

#[test]
fn a_game_without_a_coordinator_plays_locally() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.json");
    let mut command = command("p2c2r-game");
    // The first wave, and with it the first task, comes after two seconds.
    command.args(["--local", "--headless", "--autopilot", "--seconds", "5", "--report"]).arg(&path);
    Program::start("game", command).ended_well();
    let report = report(&path);
    assert!(count(&report, "local") > 0 && count(&report, "remote") == 0, "{report:#}");
    assert_eq!(report["cost_nanos"].as_i64(), Some(0));
}

#[test]
fn mistakes_at_start_are_one_clear_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let refused = |arguments: &[&str], expected: &str| {
        let mut command = command("p2c2r-server");
        command.env("P2C2R_DATA_DIR", &data).args(arguments);
        let mut program = Program::start("coordinator", command);
        assert!(!program.ended().success(), "{arguments:?} was accepted");
        let said = program.seen();
        assert!(said.contains(expected), "{arguments:?} should say `{expected}`:\n{said}");
        assert!(!said.contains("panicked"), "{said}");
    };
    refused(&["--listen", "nonsense"], "nonsense");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    let _udp = std::net::UdpSocket::bind(&taken).expect("the same port");
    refused(&["--listen", &taken], &taken);
    refused(&["--listen", "127.0.0.1:0", "--db", "no/such/folder.db"], "folder.db");
    refused(&["--listen", "127.0.0.1:0", "--public-address", "a b"], "public-address");
    let db = data.join("results.db");
    std::fs::write(&db, b"this is no database, it is a letter of complaint to the operator").expect("a file");
    refused(&["--listen", "127.0.0.1:0"], "results.db");
}

/// Only Windows has a driver for Direct3D 12. OpenGL's may be missing or fail, but the game must not panic.
#[cfg(target_os = "linux")]
#[test]
fn a_game_draws_with_what_the_environment_allows_or_says_in_a_sentence_that_it_cannot() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let picture = folder.path().join("picture.png");
    let drawn_with = |backend: &str| {
        let mut command = command("p2c2r-game");
        command.env("WGPU_BACKEND", backend).args(["--headless", "--local", "--seconds", "2"]);
        command.arg("--screenshot").arg(&picture);
        let mut game = Program::start("game", command);
        let status = game.ended().code();
        let said = game.seen();
        assert!(!said.contains("panicked"), "{backend}:\n{said}");
        if status != Some(0) {
            assert_eq!(status, Some(69), "{backend}:\n{said}");
            assert!(said.contains("p2c2r-game: ") && said.contains("to draw with"), "{backend}:\n{said}");
        }
        assert_eq!(picture.exists(), status == Some(0), "{backend}:\n{said}");
        status == Some(0)
    };
    assert!(!drawn_with("dx12"));
    drawn_with("gl");
}

#[test]
fn the_bench_runs() {
    let folder_of_report = tempfile::tempdir().expect("a temporary folder");
    let path = folder_of_report.path().join("bench.json");
    let mut bench = Command::new(folder().join("p2c2r-bench"));
    bench.args(["--quick", "--report"]).arg(&path);
    let said = Program::start("bench", bench).ended_well();
    assert!(said.contains("gamers"), "the calibration is printed:\n{said}");
    let rows = report(&path);
    let names: Vec<&str> =
        rows.as_array().into_iter().flatten().filter_map(|row| row["name"].as_str()).collect();
    let (dispatch, kinds) = names.split_at(18);
    assert_eq!(dispatch, ["udp-floor", "p2c2r"].repeat(9), "three conditions with 1, 8 and 64 in flight");
    let shipped = KindRegistry::builtin();
    assert_eq!(kinds, shipped.iter().flat_map(|kind| [kind.name(); 2]).collect::<Vec<_>>());
    for row in rows.as_array().into_iter().flatten() {
        for field in ["p50_us", "p99_us", "rate_per_s"] {
            assert!(row[field].as_f64().is_some_and(|value| value > 0.0), "{row}");
        }
        assert!(row["size_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{row}");
    }
}

#[test]
fn the_bench_of_floods_runs() {
    let mut bench = Command::new(folder().join("p2c2r-bench"));
    bench.args(["--quick", "--only", "flood"]);
    let said = Program::start("bench", bench).ended_well();
    for attack in
        ["requests, many addresses", "responses", "junk", "silent", "half-open", "idle TLS", "token requests"]
    {
        assert!(said.contains(attack), "{said}");
    }
    for aim in ["not in within 2 s: ", "99th percentile inside: ", "before all floods: ", "per byte in: "] {
        assert!(said.contains(aim), "{said}");
    }
}

#[test]
fn the_bench_of_trust_runs() {
    let mut bench = Command::new(folder().join("p2c2r-bench"));
    bench.args(["--quick", "--only", "trust"]);
    let said = Program::start("bench", bench).ended_well();
    for row in ["honest, newcomers", "liar 10 %, proven", "identity farm", "honest workers convicted: 0"] {
        assert!(said.contains(row), "{said}");
    }
}

#[test]
fn the_bench_of_load_runs() {
    let mut bench = Command::new(folder().join("p2c2r-bench"));
    bench.args(["--quick", "--only", "load"]);
    let said = Program::start("bench", bench).ended_well();
    for line in ["KB per peer", "one core to itself would do", "4 idle peers: "] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn the_bench_of_stalls_runs() {
    let mut bench = Command::new(folder().join("p2c2r-bench"));
    bench.args(["--quick", "--only", "stall"]);
    let said = Program::start("bench", bench).ended_well();
    for column in ["p99 ms off / on", "in time % off/on", "extra"] {
        assert!(said.contains(column), "{said}");
    }
}
