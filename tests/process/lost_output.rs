//! Nobody reads what a program writes, or nothing can be written: the program and its work go on.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

use p2c2r_tests::programs::{Program, command, coordinator, game, ledger_balances, worker};

use crate::{count, report};

/// An output that loses everything written to it.
#[derive(Clone, Copy, Debug)]
enum Lost {
    /// A pipe whose reader has gone.
    Pipe,
    /// A disk without room, as `/dev/full` plays it.
    Full,
}

impl Lost {
    fn output(self) -> Stdio {
        match self {
            Self::Pipe => {
                let (reader, writer) = std::io::pipe().expect("a pipe");
                drop(reader);
                writer.into()
            }
            Self::Full => full().into(),
        }
    }

    /// Starts `command` with all its output lost.
    fn start(self, name: &str, mut command: Command) -> Program {
        command.stdout(self.output()).stderr(self.output());
        Program::start_unheard(name, command)
    }
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("Linux has one")
}

#[test]
fn programs_whose_output_is_lost_work_on() {
    for lost in [Lost::Pipe, Lost::Full] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut coordinator, _) =
            coordinator(folder.path(), "127.0.0.1:0", |name, command| lost.start(name, command));
        let mut worker = worker(folder.path(), "ada", |name, command| lost.start(name, command));
        let path = folder.path().join("report.json");
        game(folder.path(), 5, &path, |name, command| lost.start(name, command)).ended_well();
        let report = report(&path);
        assert!(count(&report, "remote") > 0, "{lost:?}: {report:#}");
        worker.stop();
        coordinator.stop();
        ledger_balances(folder.path());
    }
}

#[test]
fn what_is_only_printed_keeps_its_status() {
    for lost in [Lost::Pipe, Lost::Full] {
        let expect = |name: &str, arguments: &[&str], status: i32| {
            let mut command = command(name);
            command.args(arguments);
            let ended = lost.start(name, command).ended();
            assert_eq!(ended.code(), Some(status), "{lost:?}: {name} {arguments:?}");
        };
        for name in ["p2c2r-server", "p2c2r-worker", "p2c2r-game"] {
            expect(name, &["--help"], 0);
            expect(name, &["--version"], 0);
            expect(name, &["--no-such-option"], 2);
        }
        expect("p2c2r-server", &["config", "show"], 0);
        expect("p2c2r-server", &["config", "check"], 0);
        expect("p2c2r-server", &["config", "check", "--peers-max", "0"], 2);
        expect("p2c2r-server", &["ledger", "check", "--db", "/nowhere/results.db"], 1);
        expect("p2c2r-worker", &["--slots", "0"], 2);
        expect("p2c2r-game", &["--screenshot", "a.png"], 2);
    }
}
