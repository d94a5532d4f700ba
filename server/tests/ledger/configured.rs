//! The operator's commands use the ledger that the coordinator's configuration file names, under the settings of that file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, Ledger, LedgerOptions};
use rusqlite::Connection;

use super::lab::{Lab, append, gamer, key_of, said, whole, worker};

const DAY: u64 = 24 * 3_600;

/// A configuration file that names the ledger of `lab` and a data folder with another one in it.
fn configuration(lab: &Lab, more: &str) -> PathBuf {
    let data = lab.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    Ledger::open(&data.join("results.db"), lab.options(), || {}).unwrap().close().unwrap();
    let path = lab.folder.path().join("server.toml");
    let text = format!("data_dir = '{}'\ndb = '{}'\n{more}", data.display(), lab.path.display());
    fs::write(&path, text).unwrap();
    path
}

fn configured(file: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_p2c2r-server")).args(words).env("P2C2R_CONFIG", file).output().unwrap()
}

#[test]
fn commands_read_the_ledger_that_the_configuration_file_names() {
    let lab = Lab::new();
    let file = configuration(&lab, "");
    let ledger = lab.open();
    append(&ledger, whole(TaskNo(1), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.flush().unwrap();
    for (words, expected) in [
        (&["ledger", "report"][..], "ada"),
        (&["ledger", "export", "--csv"], "ada"),
        (&["ledger", "payout", "list"], "bob"),
        (&["workers", "list"], "bob"),
    ] {
        let answer = said(&configured(&file, words));
        assert!(answer.contains(expected), "{words:?}: {answer}");
    }
    let copy = lab.folder.path().join("copy");
    said(&configured(&file, &["ledger", "backup", copy.to_str().unwrap()]));
    assert_eq!(ledger::check(&copy).unwrap().tasks, 1);
    // The command line overrides the file.
    let decoy = lab.folder.path().join("data/results.db");
    let answer = said(&configured(&file, &["ledger", "report", "--db", decoy.to_str().unwrap()]));
    assert!(!answer.contains("ada"), "{answer}");
    let output = configured(&lab.folder.path().join("no.toml"), &["ledger", "report"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_payout_is_recorded_with_the_fraud_window_that_the_configuration_file_says() {
    let lab = Lab::new();
    // Later than today, so that the ledger's time stands still between the tests' clock and the program's.
    lab.step_wall_clock(50 * 365 * DAY as i64);
    let file = configuration(&lab, "fraud_window_seconds = 604800");
    let options = LedgerOptions { fraud_window: Duration::from_hours(7 * 24), ..lab.options() };
    let ledger = Ledger::open(&lab.path, options, || {}).unwrap();
    append(&ledger, whole(TaskNo(1), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.grant(Role::Worker, key_of("bob"), Nanos(900), [1; 16]).unwrap();
    ledger.flush().unwrap();
    lab.pass(2 * DAY);
    ledger.close().unwrap();
    let rows = || {
        let connection = Connection::open(&lab.path).unwrap();
        connection.query_row("SELECT count(*) FROM tasks", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    // Each command has the opportunity to fold between its start and the payout.
    for reference in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        said(&configured(&file, &["ledger", "payout", "record", "bob", "0.0000001", reference]));
        assert_eq!(rows(), 1, "while its pay is pending, the task says who paid it");
    }
    let ledger = lab.open();
    for _ in 0..20 {
        ledger.flush().unwrap();
    }
    ledger.close().unwrap();
    assert_eq!(rows(), 0, "with a window of an hour it is folded after two days");
}
