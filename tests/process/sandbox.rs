//! The worker's kernel processes as the operating system sees them, and what becomes of them when they are killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use p2c2r_tests::programs::{Program, children, coordinator, game, status_field as field, worker};

fn proc(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}

fn open_files(process: u32) -> Vec<String> {
    let files = fs::read_dir(proc(process).join("fd")).expect("its files").flatten();
    // One may be closed while it is looked at.
    let leads_to = files.filter_map(|file| fs::read_link(file.path()).ok());
    leads_to.map(|path| path.to_string_lossy().into_owned()).collect()
}

fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "could not signal {process}");
}

#[test]
fn a_worker_shows_its_owner_that_kernels_reach_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let mut worker = worker(folder.path(), "ada", Program::start);
    let receipt = worker.line("Kernels run in 2 processes of their own");
    for tried in [
        "network socket",
        "read ",
        "permissions",
        "write ",
        "signal ",
        "priority",
        "second process",
        "another program",
    ] {
        assert!(receipt.contains(tried), "{receipt}");
    }
    assert!(receipt.contains("All of it was denied"), "{receipt}");
    worker.line("onnected");
    let children = children(worker.id());
    assert_eq!(children.len(), 2, "one for the slot, one for tiny tasks");
    for child in children {
        for thread in fs::read_dir(proc(child).join("task")).expect("its threads").flatten() {
            let status = fs::read_to_string(thread.path().join("status")).expect("its status");
            let name = field(&status, "Name");
            assert_eq!((field(&status, "NoNewPrivs"), field(&status, "Seccomp")), ("1", "2"), "{name}");
        }
        let environment = fs::read(proc(child).join("environ")).expect("its environment");
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("HOME") && !environment.contains("P2C2R"), "{environment}");
        let limits = fs::read_to_string(proc(child).join("limits")).expect("its limits");
        let data = limits.lines().find(|line| line.starts_with("Max data size")).expect("a limit");
        assert!(data.contains("1024000000"), "{data}");
        let space = limits.lines().find(|line| line.starts_with("Max address space")).expect("a limit");
        assert!(!space.contains("unlimited"), "{space}");
        // Files that the parent of these tests left open are inherited by every process.
        let inherited = open_files(std::process::id());
        for leads_to in open_files(child).iter().filter(|file| !inherited.contains(file)) {
            assert!(leads_to.starts_with("socket:") || leads_to == "/dev/null", "{leads_to}");
        }
    }
    worker.stop();
    coordinator.stop();
}

#[test]
fn kernel_processes_that_are_killed_or_stopped_cost_their_tasks_and_the_worker_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let mut worker = worker(folder.path(), "ada", |name, mut command| {
        command.env("P2C2R_LOG", "debug");
        Program::start(name, command)
    });
    worker.line("onnected");
    let path = folder.path().join("report.json");
    let mut game = game(folder.path(), 60, &path, Program::start);
    worker.line("completed in");
    let first = children(worker.id());
    for child in &first {
        signal(*child, "KILL");
    }
    worker.line("was ended by signal 9");
    worker.line("completed in");
    // A process that neither answers nor heeds a stop is ended when the time of its task is over.
    let second = children(worker.id());
    assert!(second.iter().all(|child| !first.contains(child)), "{first:?} and {second:?}");
    for child in &second {
        signal(*child, "STOP");
    }
    worker.line("did not end a task whose time was over, and was killed");
    worker.line("completed in");
    game.stop();
    worker.stop();
    coordinator.stop();
}

/// Kills a worker's kernel processes and waits until they are buried and others have shown that they are restricted.
fn replaces_what_dies(worker: u32) {
    let before = children(worker);
    assert_eq!(before.len(), 2, "one for the slot, one for tiny tasks");
    for child in &before {
        signal(*child, "KILL");
    }
    let give_up = std::time::Instant::now() + p2c2r_tests::programs::PATIENCE;
    let is_left = |child: &u32| proc(*child).exists();
    // Whether it is alive and restricted: a process that only begins, or has ended, is not.
    let is_restricted = |child: &u32| {
        let status = fs::read_to_string(proc(*child).join("status")).unwrap_or_default();
        status.contains("\nSeccomp:\t2")
    };
    while before.iter().any(is_left)
        || children(worker).iter().filter(|child| is_restricted(child)).count() < 2
    {
        assert!(std::time::Instant::now() < give_up, "{before:?} are not replaced");
        std::thread::yield_now();
    }
}

#[test]
fn kernel_processes_that_die_while_nothing_is_computed_are_buried_and_replaced_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let mut worker = worker(folder.path(), "ada", Program::start);
    worker.line("onnected");
    // Twice, since what replaced one is watched as well.
    for _ in 0..2 {
        replaces_what_dies(worker.id());
    }
    worker.stop();
    coordinator.stop();
}

#[test]
fn a_worker_whose_program_was_replaced_restarts_the_kernels_that_it_has_offered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let program = folder.path().join("p2c2r-worker");
    let mut worker = worker(folder.path(), "ada", |name, command| {
        fs::copy(command.get_program(), &program).expect("a copy of the worker");
        let mut copied = Command::new(&program);
        copied.args(command.get_args()).stdin(std::process::Stdio::null());
        for (name, value) in command.get_envs() {
            copied.env(name, value.unwrap_or_default());
        }
        Program::start(name, copied)
    });
    worker.line("onnected");
    // A build does the same: the running file stays, and another takes its name.
    let built = folder.path().join("built");
    fs::copy("/bin/true", &built).and_then(|_| fs::rename(&built, &program)).expect("another program");
    replaces_what_dies(worker.id());
    worker.stop();
    coordinator.stop();
}

#[test]
fn kernel_processes_end_with_their_worker_however_it_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut coordinator, _) = coordinator(folder.path(), "127.0.0.1:0", Program::start);
    let mut worker = worker(folder.path(), "ada", Program::start);
    worker.line("onnected");
    let children = children(worker.id());
    assert_eq!(children.len(), 2);
    worker.signal("KILL");
    worker.ended();
    // An ended process stays a zombie until the process that inherited it has waited for it.
    let is_there = |child: &u32| {
        let status = fs::read_to_string(proc(*child).join("status")).unwrap_or_default();
        field(&status, "Name") == "p2c2r-kernel" && !field(&status, "State").starts_with('Z')
    };
    let give_up = std::time::Instant::now() + p2c2r_tests::programs::PATIENCE;
    while children.iter().any(is_there) {
        assert!(std::time::Instant::now() < give_up, "{children:?} outlive their worker");
        std::thread::yield_now();
    }
    coordinator.stop();
}
