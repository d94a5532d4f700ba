//! The file itself: it has one coordinator at a time, by whatever name; its loss is noticed; it can be read without the
//! right to write; copies of it are whole.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use p2c2r_protocol::{Role, TaskNo};
use p2c2r_server::ledger::{self, Ledger, LedgerError, LedgerOptions, LedgerState};
use rusqlite::Connection;

use super::lab::{Lab, account_of, admitted, append, gamer, started, whole, worker};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

const DB: &str = "P2C2R_TEST_OTHER_DB";

/// Tries to open a ledger and prints the result. Started by tests below, as another coordinator would be.
#[test]
#[ignore = "runs as a child process of other tests"]
fn another_coordinator() {
    let Ok(path) = std::env::var(DB) else { return };
    match Ledger::open(path.as_ref(), LedgerOptions::default(), || {}) {
        Ok(_) => println!("\nit opens"),
        Err(error) => println!("\n{error}"),
    }
}

fn said_by_another_coordinator(path: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "file::another_coordinator", "--ignored", "--nocapture"])
        .env(DB, path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The file under its own name, through a symbolic link, through one to its folder, and through a hard link elsewhere.
fn names(lab: &Lab) -> Vec<PathBuf> {
    let elsewhere = lab.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&lab.path, elsewhere.join("symbolic.db")).unwrap();
    symlink(lab.folder.path(), elsewhere.join("folder")).unwrap();
    fs::hard_link(&lab.path, elsewhere.join("hard.db")).unwrap();
    vec![
        lab.path.clone(),
        elsewhere.join("symbolic.db"),
        elsewhere.join("folder/results.db"),
        elsewhere.join("hard.db"),
    ]
}

#[test]
fn a_file_is_one_ledger_by_whatever_name_it_is_reached() {
    let lab = Lab::new();
    let first = lab.open();
    let (payer, helper) = (gamer(&first), worker(&first));
    for (name, no) in names(&lab).iter().zip(1..) {
        let here = Ledger::open(name, LedgerOptions::default(), || {}).err();
        assert!(matches!(here, Some(LedgerError::Locked { .. })), "{}: {here:?}", name.display());
        let there = said_by_another_coordinator(name);
        assert!(there.contains("another coordinator"), "{}: {there}", name.display());
        append(&first, whole(TaskNo(no), payer, helper, 100, 10));
        first.flush().unwrap();
    }
    assert_eq!(first.close().unwrap().totals.tasks_done, 4, "the first goes on");
    lab.check();
    for name in [&lab.path, &lab.folder.path().join("elsewhere/hard.db")] {
        assert!(said_by_another_coordinator(name).contains("it opens"), "{}", name.display());
    }
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_makes_it_where_the_link_says() {
    let lab = Lab::new();
    let link = lab.folder.path().join("link.db");
    symlink("results.db", &link).unwrap();
    let first = Ledger::open(&link, lab.options(), || {}).unwrap();
    assert!(said_by_another_coordinator(&lab.path).contains("another coordinator"));
    first.close().unwrap();
    lab.check();
}

#[test]
fn a_lock_file_that_cannot_be_used_is_named() {
    let lab = Lab::new();
    let lock = lab.folder.path().join("results.db.lock");
    fs::create_dir(&lock).unwrap();
    let error = Ledger::open(&lab.path, lab.options(), || {}).err().unwrap();
    assert!(matches!(error, LedgerError::LockFile { .. }), "{error}");
    assert!(error.to_string().contains(lock.to_str().unwrap()), "{error}");
    assert!(!lab.path.exists(), "nothing is made when it cannot be locked");
}

/// What may happen to the files of a running coordinator.
fn accidents() -> [(&'static str, fn(&Lab)); 4] {
    fn path(lab: &Lab, name: &str) -> PathBuf {
        lab.folder.path().join(name)
    }
    [
        ("deleted", |lab| fs::remove_file(&lab.path).unwrap()),
        ("moved", |lab| fs::rename(&lab.path, path(lab, "moved.db")).unwrap()),
        ("replaced", |lab| {
            fs::copy(&lab.path, path(lab, "copy.db")).unwrap();
            fs::rename(path(lab, "copy.db"), &lab.path).unwrap();
        }),
        ("bereft of its log", |lab| fs::remove_file(path(lab, "results.db-wal")).unwrap()),
    ]
}

#[test]
fn a_file_that_is_gone_stops_the_ledger_before_anything_more_counts_as_recorded() {
    for (what, happens) in accidents() {
        let lab = Lab::new();
        let ledger = lab.open();
        let (payer, helper) = (gamer(&ledger), worker(&ledger));
        append(&ledger, whole(TaskNo(1), payer, helper, 100, 10));
        ledger.flush().unwrap();
        happens(&lab);
        append(&ledger, whole(TaskNo(2), payer, helper, 100, 10));
        let error = ledger.flush().unwrap_err();
        assert!(error.to_string().contains("deleted or replaced"), "{what}: {error}");
        assert_eq!(ledger.totals().tasks_done, 1, "{what}");
        assert!(ledger.failure_for_peers().unwrap().contains("deleted"), "{what}");
        assert!(ledger.close().is_err(), "{what}");
    }
}

#[test]
fn an_idle_coordinator_notices_that_its_file_is_gone() {
    let lab = Lab::new();
    let (tell, told) = mpsc::channel();
    let ledger = Ledger::open(&lab.path, lab.options(), move || tell.send(()).unwrap_or(())).unwrap();
    ledger.flush().unwrap();
    fs::remove_file(&lab.path).unwrap();
    while ledger.state() == LedgerState::Open {
        told.recv_timeout(LONG).unwrap();
    }
    assert!(matches!(ledger.close(), Err(LedgerError::Broken(_))));
}

/// The output of a coordinator that does not start because its ledger is not where it belongs.
fn not_started(data: &Path, db: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_p2c2r-server"))
        // If it starts all the same, it ends because it cannot write its ready file.
        .args(["--listen", "127.0.0.1:0", "--ready-file", "no/such/folder", "--db"])
        .arg(db)
        .arg("--data-dir")
        .arg(data)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    said
}

#[test]
fn a_coordinator_whose_file_is_deleted_ends_with_status_1_and_says_why() {
    let lab = Lab::new();
    let data = lab.folder.path().join("data");
    let (child, lines) = lab.coordinator(&data, &[]);
    fs::remove_file(&lab.path).unwrap();
    let rest: String = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    let said = rest + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("deleted or replaced"), "{said}");
    assert!(!said.contains("the books balance"), "{said}");

    // Started again, as a service manager does at once.
    let log = lab.folder.path().join("results.db-wal");
    let logged = fs::read(&log).unwrap();
    assert!(!logged.is_empty());
    for empty in [false, true] {
        if empty {
            fs::write(&lab.path, "").unwrap();
            let said = ledger::check(&lab.path).unwrap_err().to_string();
            assert!(said.contains("results.db-wal"), "{said}");
        }
        let said = not_started(&data, &lab.path);
        assert!(said.contains("results.db-wal"), "{said}");
        assert_eq!(lab.path.exists(), empty, "nothing is made in its place");
        assert!(fs::read(&log).unwrap() == logged, "the log is left alone");
    }
    fs::remove_file(&log).unwrap();
    for empty in [true, false] {
        let said = not_started(&data, &lab.path);
        assert!(said.contains("ledger replace"), "{said}");
        assert_eq!(lab.path.exists(), empty, "nothing is made in its place");
        let _ = fs::remove_file(&lab.path);
    }
}

#[test]
fn a_coordinator_goes_on_with_another_ledger_only_if_it_is_told_to() {
    let (lab, other) = (Lab::new(), Lab::new());
    let data = lab.folder.path().join("data");
    let start = |lab: &Lab| {
        let (mut child, _lines) = lab.coordinator(&data, &[]);
        child.kill().unwrap();
        child.wait().unwrap();
    };
    start(&lab);
    start(&lab);
    with_a_task(&other).close().unwrap();
    let bytes = fs::read(&other.path).unwrap();
    let said = not_started(&data, &other.path);
    assert!(said.contains("is not the ledger") && said.contains("ledger replace"), "{said}");
    assert!(fs::read(&other.path).unwrap() == bytes, "it was left alone");
    let replace = |db: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_p2c2r-server"));
        let output =
            command.args(["ledger", "replace", "--data-dir"]).arg(&data).arg("--db").arg(db).output();
        super::lab::said(&output.unwrap())
    };
    assert!(replace(&other.path).contains("goes on with the ledger"));
    start(&other);
    assert!(not_started(&data, &lab.path).contains("is not the ledger"));
    let third = Lab::new();
    assert!(not_started(&data, &third.path).contains("ledger replace"));
    assert!(replace(&third.path).contains("begins an empty ledger"));
    start(&third);
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_made_only_its_user_can_read() {
    let lab = Lab::new();
    let ledger = lab.open();
    append(&ledger, whole(TaskNo(1), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.flush().unwrap();
    ledger::backup(&lab.path, &lab.folder.path().join("results.backup")).unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(lab.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 5, "database, log, its index, lock, backup");
}

/// Runs the program as somebody who owns nothing here, if this is root, and as this user otherwise.
fn as_auditor(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String) {
    let program = lab.folder.path().join("program");
    if !program.exists() {
        // By another process: a child that another test's thread starts meanwhile would inherit the file that this process has
        // open for writing, and a program that is open for writing cannot be run.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_p2c2r-server")).arg(&program).status();
        assert!(copied.unwrap().success());
    }
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        use std::os::unix::process::CommandExt as _;
        command.uid(65_534).gid(65_534);
    }
    let output = command.args(arguments).arg("--db").arg(&lab.path).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

/// Files and folder that everybody may read and nobody write.
fn forbid_writing(lab: &Lab) {
    for name in ["results.db", "results.db-wal", "results.db-shm"] {
        let path = lab.folder.path().join(name);
        if path.exists() {
            fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        }
    }
    fs::set_permissions(lab.folder.path(), Permissions::from_mode(0o555)).unwrap();
}

fn audited(lab: &Lab, note: Option<&str>) {
    as_auditor(lab, &["--version"]);
    forbid_writing(lab);
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(lab.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for (verb, expected) in [("check", "The books balance."), ("report", "revenue    $0.0000001")] {
        let (status, said) = as_auditor(lab, &["ledger", verb]);
        assert_eq!(status, Some(0), "{verb}: {said}");
        assert!(said.contains(expected), "{verb}: {said}");
        match note {
            Some(note) => assert!(said.contains(note), "{verb}: {said}"),
            None => assert!(!said.contains("Read "), "{verb}: {said}"),
        }
    }
    assert_eq!(names(), before, "nothing was made");
    fs::set_permissions(lab.folder.path(), Permissions::from_mode(0o755)).unwrap();
}

fn with_a_task(lab: &Lab) -> Ledger {
    let ledger = lab.open();
    append(&ledger, whole(TaskNo(1), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.flush().unwrap();
    ledger
}

#[test]
fn an_auditor_who_may_write_nothing_reads_a_ledger_that_is_closed() {
    let lab = Lab::new();
    with_a_task(&lab).close().unwrap();
    audited(&lab, Some("the database alone, which has no write-ahead log"));
}

#[test]
fn an_auditor_who_may_write_nothing_reads_a_ledger_that_is_in_use() {
    let lab = Lab::new();
    let ledger = with_a_task(&lab);
    audited(&lab, None);
    append(&ledger, whole(TaskNo(2), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.close().unwrap();
}

#[test]
fn an_auditor_who_may_write_nothing_reads_what_a_crash_left() {
    let lab = Lab::new();
    let ledger = with_a_task(&lab);
    let left = Lab::new();
    for name in ["results.db", "results.db-wal"] {
        fs::copy(lab.folder.path().join(name), left.folder.path().join(name)).unwrap();
    }
    ledger.close().unwrap();
    audited(&left, Some("Read from a copy of the database and its write-ahead log"));
}

#[test]
fn a_copy_of_the_database_alone_says_what_it_is() {
    let lab = Lab::new();
    let ledger = with_a_task(&lab);
    let copy = lab.folder.path().join("copy.db");
    fs::copy(&lab.path, &copy).unwrap();
    ledger.close().unwrap();
    let report = ledger::check(&copy).unwrap();
    assert_eq!(report.tasks, 0, "all was in the log");
    let said = report.to_string();
    assert!(said.contains("copy.db-wal") && said.contains("ledger backup"), "{said}");

    // A database without tables, as older programs left a new ledger.
    let bare = lab.folder.path().join("bare.db");
    let connection = Connection::open(&bare).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.close().unwrap();
    assert_eq!(bare.metadata().unwrap().len(), 4_096);
    for refused in [ledger::check(&bare).err(), Ledger::open(&bare, lab.options(), || {}).err()] {
        let said = refused.unwrap().to_string();
        assert!(said.contains("bare.db-wal") && said.contains("ledger backup"), "{said}");
    }
    assert_eq!(ledger::check(&lab.path).unwrap().notes, Vec::<String>::new(), "closed in order");
}

#[test]
fn a_backup_is_whole_verified_and_made_beside_a_running_coordinator() {
    let lab = Lab::new();
    let ledger = with_a_task(&lab);
    append(&ledger, [admitted(TaskNo(2), gamer(&ledger), 2, 30), started(TaskNo(2), 1, worker(&ledger))]);
    ledger.flush().unwrap();
    let path = lab.folder.path().join("results.backup");
    let made = ledger::backup(&lab.path, &path).unwrap();
    assert_eq!((made.check.tasks, made.check.open_tasks, made.check.ok), (2, 1, true));
    append(&ledger, whole(TaskNo(3), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.close().unwrap();

    let bytes = fs::read(&path).unwrap();
    let error = ledger::backup(&lab.path, &path).unwrap_err();
    assert!(matches!(error, LedgerError::Exists { .. }), "{error}");
    assert!(fs::read(&path).unwrap() == bytes, "nothing is replaced");

    let restored = Ledger::open(&path, lab.options(), || {}).unwrap();
    assert_eq!((restored.totals().tasks_done, restored.recovery().holds_voided), (1, 1));
    assert!(!restored.recovery().closed_in_order, "numbers used after the copy are not given out again");
    let ada = account_of(&restored, Role::Gamer, "ada");
    assert_eq!((ada.turnover.0, ada.set_aside.0), (100, 0));
    restored.close().unwrap();
    assert_eq!(ledger::check(&path).unwrap().notes, Vec::<String>::new());
}

/// The files of the ledger in `lab` as a crash would leave them now.
fn killed(lab: &Lab) -> Lab {
    let left = Lab::new();
    for name in ["results.db", "results.db-wal"] {
        fs::copy(lab.folder.path().join(name), left.folder.path().join(name)).unwrap();
    }
    left
}

#[test]
fn a_copy_beside_the_log_of_the_ledger_that_it_replaces_is_refused_and_left_alone() {
    for of_a_closed_one in [false, true] {
        let lab = Lab::new();
        let copy = lab.folder.path().join("copy");
        let mut ledger = with_a_task(&lab);
        if of_a_closed_one {
            ledger.close().unwrap();
        }
        ledger::backup(&lab.path, &copy).unwrap();
        if of_a_closed_one {
            ledger = lab.open();
        }
        append(&ledger, whole(TaskNo(2), gamer(&ledger), worker(&ledger), 100, 10));
        ledger.flush().unwrap();
        let left = killed(&lab);
        ledger.close().unwrap();
        fs::copy(&copy, &left.path).unwrap();

        let log = left.folder.path().join("results.db-wal");
        let files = || (fs::read(&left.path).unwrap(), fs::read(&log).unwrap());
        let before = files();
        let elsewhere = left.folder.path().join("elsewhere");
        for refused in [
            Ledger::open(&left.path, left.options(), || {}).err(),
            ledger::check(&left.path).err(),
            ledger::backup(&left.path, &elsewhere).err(),
        ] {
            let refused = refused.unwrap();
            assert!(matches!(refused, LedgerError::LogOfAnother { .. }), "{refused}");
            assert!(refused.to_string().contains(log.to_str().unwrap()), "{refused}");
        }
        assert!(files() == before, "both are left alone");

        fs::remove_file(&log).unwrap();
        let restored = left.open();
        assert_eq!(restored.totals().tasks_done, 1);
        append(&restored, whole(restored.next_task_no(), gamer(&restored), worker(&restored), 100, 10));
        restored.flush().unwrap();
        let left = killed(&left);
        restored.close().unwrap();
        assert_eq!(left.open().totals().tasks_done, 2, "from then on the log is its own");
        left.check();
    }
}

#[test]
fn a_ledger_whose_books_do_not_balance_is_not_backed_up() {
    let lab = Lab::new();
    with_a_task(&lab).close().unwrap();
    lab.tamper("UPDATE accounts SET balance = balance + 5 WHERE id = 3");
    let path = lab.folder.path().join("results.backup");
    let error = ledger::backup(&lab.path, &path).unwrap_err();
    assert!(matches!(error, LedgerError::Unsound { .. }), "{error}");
    let left: Vec<_> = fs::read_dir(lab.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("backup"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
