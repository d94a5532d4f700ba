//! A worker's owner and a worker that runs: `p2c2r-worker status`, `pause`, `resume`, `finish` and `config`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use p2c2r_tests::programs::{Program, command, coordinator, worker};
use serde_json::Value;

fn verb(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command("p2c2r-worker");
    command.args(arguments).arg("--keys").arg(folder.join("keys"));
    command
}

#[track_caller]
fn asked(folder: &Path, arguments: &[&str]) -> String {
    Program::start("verb", verb(folder, arguments)).ended_well()
}

#[track_caller]
fn nobody_answers(folder: &Path) {
    let mut status = Program::start("status", verb(folder, &["status"]));
    assert_eq!(status.ended().code(), Some(1));
    assert!(status.seen().contains("no worker"), "{}", status.seen());
}

#[test]
fn a_running_worker_is_looked_at_paused_resumed_and_finished_by_its_owner() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (mut coordinator, _) = coordinator(folder, "127.0.0.1:0", Program::start);
    nobody_answers(folder);
    let mut worker = worker(folder, "ada", Program::start);
    worker.line("Connected!");
    let sockets: Vec<_> = fs::read_dir(folder.join("keys"))
        .expect("the folder of the accounts")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".sock"))
        .collect();
    assert_eq!(sockets.len(), 1);
    let mode = sockets[0].metadata().expect("its permissions").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let said = asked(folder, &["pause"]);
    assert!(said.contains("ada: resting: paused by its owner"), "{said}");
    worker.line("Resting");
    let said = asked(folder, &["resume", "--name", "ada"]);
    assert!(said.contains("ada: working"), "{said}");
    worker.line("Working again");
    let status: Value = serde_json::from_str(&asked(folder, &["status", "--json"])).expect("JSON");
    assert_eq!((&status["name"], &status["connected"]), (&"ada".into(), &true.into()), "{status}");
    assert!(status["computed"].is_u64() && status["earned_nanos"].is_i64(), "{status}");
    let money = ["account_confirmed_nanos", "account_pending_nanos", "account_paid_nanos"]
        .map(|name| status[name].as_i64());
    assert!(money.iter().all(Option::is_some), "{status}");

    asked(folder, &["finish"]);
    worker.ended_well();
    nobody_answers(folder);
    coordinator.stop();
}

/// The answer that a browser on this computer gets.
fn got(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the page");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_page_shows_how_the_worker_stands_to_this_computer_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (mut coordinator, _) = coordinator(folder, "127.0.0.1:0", Program::start);
    let mut worker = worker(folder, "ada", |name, mut command| {
        command.args(["--page", "127.0.0.1:0"]);
        Program::start(name, command)
    });
    let line = worker.line("Your page: http://");
    let address =
        line.split_once("http://").and_then(|(_, rest)| rest.split_once('/')).expect("an address").0;
    worker.line("Connected!");
    let page = got(address, "/", address);
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for part in ["● working", "Pending", "Confirmed", "Paid", "p2c2r-worker pause 1h"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    asked(folder, &["pause"]);
    assert!(got(address, "/", "localhost").contains("resting: paused by its owner"));
    let status = got(address, "/status.json", address);
    let status: Value = serde_json::from_str(status.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!(status["name"], "ada", "{status}");
    assert!(
        got(address, "/", "attacker.example").starts_with("HTTP/1.1 403 "),
        "a name that was made to lead here"
    );
    worker.stop();
    coordinator.stop();
}

#[test]
fn a_socket_that_a_killed_worker_left_is_taken_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    for _ in 0..2 {
        let mut worker = worker(folder.path(), "ada", Program::start);
        worker.line("Connected!");
        let said = asked(folder.path(), &["status"]);
        assert!(said.contains("ada: working, connected"), "{said}");
        worker.signal("KILL");
        worker.ended();
        nobody_answers(folder.path());
    }
    coordinator.stop();
}

#[test]
fn a_worker_rests_outside_its_hours() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let output = Command::new("date").arg("+%H").output().expect("the hour of the day");
    let hour: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    let hours = format!("{:02}:00-{:02}:00", (hour + 11) % 24, (hour + 13) % 24);
    let mut worker = worker(folder.path(), "ada", |name, mut command| {
        command.args(["--hours", &hours]);
        Program::start(name, command)
    });
    worker.line("Resting: outside its hours");
    worker.line("Connected!");
    let said = asked(folder.path(), &["status"]);
    assert!(said.contains("resting: outside its hours"), "{said}");
    worker.stop();
    coordinator.stop();
}

#[test]
fn a_workers_settings_are_shown_as_a_file_that_it_accepts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("worker.toml");
    let show = [
        "config",
        "show",
        "--slots",
        "3",
        "--hours",
        "22:00-7:00",
        "--idle-minutes",
        "10",
        "--upload-kbit",
        "500",
    ];
    let shown = asked(folder.path(), &show);
    for line in
        ["slots = 3", "hours = \"22:00-07:00\"", "idle_minutes = 10", "upload_kbit = 500", "memory_mb = 1024"]
    {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    fs::write(&path, &shown).expect("a file");
    let file = path.to_str().expect("a path");
    assert_eq!(asked(folder.path(), &["config", "show", "--config", file]), shown);
    asked(folder.path(), &["config", "check", "--config", file]);
    let mut wrong =
        Program::start("config check", verb(folder.path(), &["config", "check", "--idle-minutes", "0"]));
    assert_eq!(wrong.ended().code(), Some(2));
    assert!(wrong.seen().contains("1 to 1440"), "{}", wrong.seen());
}

#[test]
fn a_worker_that_has_nothing_to_finish_answers_its_owner_before_it_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (mut coordinator, _) = coordinator(folder, "127.0.0.1:0", Program::start);
    let mut worker = worker(folder, "ada", Program::start);
    worker.line("Connected!");
    coordinator.stop();
    worker.line("Connection lost");
    let said = asked(folder, &["finish"]);
    assert!(said.contains("ada: finishing what runs"), "{said}");
    worker.ended_well();
}

/// Waits for a message to the service manager that has this line.
#[cfg(target_os = "linux")]
#[track_caller]
fn hear(socket: &std::os::unix::net::UnixDatagram, line: &str) -> String {
    let mut heard = Vec::new();
    loop {
        let mut message = [0; 4_096];
        let Ok(length) = socket.recv(&mut message) else { panic!("{line} is not among {heard:?}") };
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        if message.lines().any(|said| said == line) {
            return message;
        }
        heard.push(message);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_manager_hears_that_the_worker_is_ready_alive_and_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(p2c2r_tests::programs::PATIENCE)).expect("a timeout");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let mut worker = worker(folder.path(), "ada", |name, mut command| {
        // A tenth of a second, so that a watchdog that is fed only once is found out.
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
        Program::start(name, command)
    });
    hear(&socket, "READY=1");
    for _ in 0..3 {
        hear(&socket, "WATCHDOG=1");
    }
    worker.line("Connected!");
    let working = (0..100).map(|_| hear(&socket, "WATCHDOG=1")).find(|alive| alive.contains("working for"));
    assert!(working.is_some_and(|alive| alive.contains("0 task(s) under way")));
    worker.stop();
    hear(&socket, "STOPPING=1");
    coordinator.stop();
}
