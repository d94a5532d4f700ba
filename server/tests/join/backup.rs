//! A coordinator that comes back: from a backup of everything, and with an older copy of its ledger.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Instant;

use p2c2r_protocol::{Nanos, Role};
use p2c2r_server::config::LEDGER_FILE;
use p2c2r_server::join::WallSeconds;
use p2c2r_server::join::store::Newcomer;
use p2c2r_server::ledger::{self, Account, Ledger};
use p2c2r_server::peers::Scheduler;

use crate::lab::{Folder, PATIENCE, key};
use crate::town::Town;

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn ledger_of(town: &Town) -> Ledger {
    town.app.world().resource::<Ledger>().clone()
}

/// The account of the worker of the first key, or of the gamer of the second.
fn account(ledger: &Ledger, role: Role) -> Account {
    let (key, name) = if role == Role::Worker { (key(1), "ada") } else { (key(2), "ann") };
    ledger.open_account(role, key, name, Nanos::DOLLAR).unwrap()
}

/// Steps the coordinator until `is_so`.
#[track_caller]
fn until(town: &mut Town, mut is_so: impl FnMut(&Town) -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so(town) {
        town.app.update();
        assert!(Instant::now() < give_up, "it comes to pass");
        std::thread::yield_now();
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn a_worker_comes_back_without_a_link_to_a_coordinator_that_was_restored_elsewhere() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let copy = folder.root.path().join("copy");
    let words = |verb| [verb, copy.to_str().unwrap()];
    assert!(refused(&folder.program(&words("backup"))).contains("no coordinator has run"));
    assert!(refused(&folder.program(&words("restore"))).contains("no backup"));
    let mut town = Town::open(&folder);
    let worker = town.joined(&folder, "ada");
    ledger_of(&town).grant(Role::Worker, key(1), Nanos(123), [7; 16]).unwrap();
    let fingerprint = town.service.fingerprint();
    let told = said(&folder.program(&words("backup")));
    assert!(told.contains("The books balance."), "{told}");
    assert_eq!(mode(&copy), 0o700);
    let mut names: Vec<_> =
        fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["accounts.db", "certificate.pem", "key.pem", "results.db"]);
    assert!(names.iter().all(|name| mode(&copy.join(name)) == 0o600));
    assert!(refused(&folder.program(&words("backup"))).contains("is not empty"));
    assert!(refused(&folder.program(&words("restore"))).contains("is not empty"));
    let left: Vec<_> =
        fs::read_dir(folder.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the data folder and its copy: {left:?}");
    drop((worker, town));

    said(&elsewhere.program(&words("restore")));
    assert!(refused(&elsewhere.program(&words("restore"))).contains("is not empty"));
    let mut town = Town::open(&elsewhere);
    assert_eq!(town.service.fingerprint(), fingerprint, "clients know it by its key");
    let mut worker = town.worker(Arc::new(town.client("ada", None)));
    until(&mut town, |town| {
        worker.update();
        !town.app.world().resource::<Scheduler>().core().workers().is_empty()
    });
    assert_eq!(account(&ledger_of(&town), Role::Worker).available, Nanos(123));
    for entry in fs::read_dir(elsewhere.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn what_the_operator_ordered_since_an_older_copy_of_the_ledger_is_done_again_once() {
    let folder = Folder::new();
    let (db, copy) = (folder.path().join(LEDGER_FILE), folder.root.path().join("copy"));
    let is_done = |_: &Town| {
        let store = folder.store();
        store.credits_to_book().unwrap().is_empty() && store.judgements_to_do().unwrap().is_empty()
    };
    {
        let mut town = Town::open(&folder);
        let worker = town.joined(&folder, "ada");
        let newcomer = Newcomer { key: key(2), role: Role::Gamer, name: "ann", invite: None };
        let invite = folder.invite(Role::Gamer, 1);
        folder.store().enrol_by_invite(&newcomer, &invite, WallSeconds::now()).unwrap().unwrap();
        assert_eq!(account(&ledger_of(&town), Role::Gamer).available, Nanos::DOLLAR);
        said(&folder.program(&["accounts", "credit", "ann", "0.25"]));
        until(&mut town, is_done);
        ledger::backup(&db, &copy).unwrap();
        said(&folder.program(&["accounts", "credit", "ann", "0.50"]));
        said(&folder.program(&["workers", "quarantine", "ada"]));
        until(&mut town, is_done);
        assert!(account(&ledger_of(&town), Role::Worker).trust.quarantined);
        drop(worker);
    }
    let log = folder.path().join("results.db-wal").metadata();
    assert!(log.is_err() || log.is_ok_and(|log| log.len() == 0), "it was closed in order");
    fs::rename(&copy, &db).unwrap();
    for start in ["the first", "the second"] {
        let mut town = Town::open(&folder);
        until(&mut town, is_done);
        let ledger = ledger_of(&town);
        assert_eq!(account(&ledger, Role::Gamer).available, Nanos(1_750_000_000), "after {start} start");
        assert!(account(&ledger, Role::Worker).trust.quarantined, "after {start} start");
    }
}
