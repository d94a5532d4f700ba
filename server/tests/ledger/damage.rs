//! Files that cannot be opened, disks that fill up, and books that were tampered with.

use std::path::{Path, PathBuf};

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, Ledger, LedgerError, LedgerOptions, LedgerState, LedgerStopped};
use rusqlite::Connection;

use super::lab::{
    Lab, account_of, admitted, append, change_bytes, ended, gamer, key_of, patient, rechain, settled,
    spell_out, started, whole, worker,
};

fn open(path: &Path) -> LedgerError {
    Ledger::open(path, LedgerOptions::default(), || {}).err().expect("the ledger must be refused")
}

/// Opening must fail and leave the file's bytes alone.
fn refused(path: &Path) -> LedgerError {
    let before = std::fs::read(path).unwrap();
    let error = open(path);
    assert!(std::fs::read(path).unwrap() == before, "the file was changed");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    error
}

/// A closed ledger with some history.
pub fn used() -> Lab {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    for first in [1, 11, 21, 31] {
        append(&ledger, (first..first + 10).flat_map(|no| whole(TaskNo(no), payer, helper, 100, 10)));
        ledger.flush().unwrap();
    }
    append(&ledger, [admitted(TaskNo(41), payer, 41, 7), started(TaskNo(41), 1, helper)]);
    ledger.flush().unwrap();
    append(&ledger, [settled(TaskNo(41), 1, helper, 5, 1), patient(TaskNo(42), payer, 42, 9)]);
    ledger.close().unwrap();
    lab.check();
    lab
}

#[test]
fn a_missing_folder_or_a_folder_in_place_of_the_file_is_named() {
    let lab = Lab::new();
    let missing = lab.folder.path().join("nowhere/results.db");
    assert!(matches!(open(&missing), LedgerError::DirectoryMissing { .. }));
    assert!(matches!(open(lab.folder.path()), LedgerError::NotAFile { .. }));
    assert!(matches!(ledger::check(&lab.path), Err(LedgerError::Missing { .. })));
    assert!(matches!(ledger::report(lab.folder.path()), Err(LedgerError::NotAFile { .. })));
    assert!(!lab.path.exists());
}

#[test]
fn a_read_only_file_is_refused() {
    let lab = used();
    let mut permissions = lab.path.metadata().unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&lab.path, permissions).unwrap();
    assert!(matches!(refused(&lab.path), LedgerError::ReadOnly { .. }));
    lab.check();
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let lab = Lab::new();
    std::fs::write(&lab.path, "my diary\n".repeat(1_000)).unwrap();
    assert!(matches!(refused(&lab.path), LedgerError::NotALedger { .. }));
    std::fs::remove_file(&lab.path).unwrap();
    Connection::open(&lab.path).unwrap().execute_batch("CREATE TABLE diary (day TEXT)").unwrap();
    assert!(matches!(refused(&lab.path), LedgerError::NotALedger { .. }));
    assert!(matches!(ledger::check(&lab.path), Err(LedgerError::NotALedger { .. })));
}

#[test]
fn a_newer_schema_is_refused() {
    let lab = used();
    Connection::open(&lab.path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&lab.path);
    assert!(matches!(error, LedgerError::NewerSchema { found: 99, .. }), "{error}");
    assert!(matches!(ledger::check(&lab.path), Err(LedgerError::NewerSchema { .. })));
}

/// A ledger of schema 1, 2, 3 or 6 with the books of `lab`, outcomes under checksums of that time, and a worker whose outcomes
/// are still to be deleted.
pub fn older(lab: &Lab, schema: usize) -> PathBuf {
    let older = lab.folder.path().join(format!("schema-{schema}.db"));
    let connection = Connection::open(&older).unwrap();
    let migrations = [
        include_str!("../../src/ledger/migrations/0001_books.sql"),
        include_str!("../../src/ledger/migrations/0002_numbers_say_the_task.sql"),
        include_str!("../../src/ledger/migrations/0003_lighter_outcomes.sql"),
        include_str!("../../src/ledger/migrations/0004_accounts_by_key.sql"),
        include_str!("../../src/ledger/migrations/0005_reversals.sql"),
        include_str!("../../src/ledger/migrations/0006_folding.sql"),
    ];
    connection.execute_batch(&migrations[..schema].concat()).unwrap();
    let spelled_out = lab.folder.path().join(format!("spelled-out-{schema}.db"));
    std::fs::copy(&lab.path, &spelled_out).unwrap();
    spell_out(&Connection::open(&spelled_out).unwrap());
    let path = spelled_out.to_str().unwrap();
    connection.execute_batch(&format!("DELETE FROM accounts; ATTACH '{path}' AS newest")).unwrap();
    let key = if schema < 4 { "" } else { ", key" };
    let columns = format!("id, kind, name, balance, turnover, accepted, rejected, opened_ms{key}");
    let sql =
        format!("INSERT INTO main.accounts ({columns}) SELECT {columns} FROM newest.accounts WHERE kind < 7");
    connection.execute_batch(&sql).unwrap();
    let columns = "id, at_ms, transfers, hash";
    let sql = format!("INSERT INTO main.groups ({columns}) SELECT {columns} FROM newest.groups");
    connection.execute_batch(&sql).unwrap();
    let tables = "meta tasks transfers attempts revocations patient";
    for table in tables.split(' ') {
        connection.execute_batch(&format!("INSERT INTO main.{table} SELECT * FROM newest.{table}")).unwrap();
    }
    let columns = "due_ms, worker, amount";
    let sql = format!("INSERT INTO main.earnings ({columns}) SELECT {columns} FROM newest.earnings");
    connection.execute_batch(&sql).unwrap();
    let columns = "id, task, worker, expires_ms, checksum, bytes";
    let sql = format!("INSERT INTO main.outcomes ({columns}) SELECT {columns} FROM newest.outcomes");
    connection.execute_batch(&sql).unwrap();
    // The chain of that time, which did not cover accounts.
    rechain(&connection, false);
    let rot = if schema < 3 { "checksum + 1" } else { "checksum" };
    let sql = format!(
        "UPDATE main.outcomes SET checksum = {rot};
         INSERT INTO main.revocations SELECT id, 30 FROM main.accounts WHERE kind = 5;
         PRAGMA application_id = 0x50324332; PRAGMA user_version = {schema}"
    );
    connection.execute_batch(&sql).unwrap();
    older
}

#[test]
fn an_older_ledger_is_brought_up_to_date() {
    let lab = used();
    let newest = ledger::check(&lab.path).unwrap();
    for schema in [1, 2, 3, 6] {
        let older = older(&lab, schema);
        let error = ledger::check(&older).unwrap_err();
        assert!(error.to_string().contains(&format!("schema {schema}")), "{error}");

        let opened = Ledger::open(&older, lab.options(), || {}).unwrap();
        if schema < 3 {
            assert_eq!(opened.take_cached_outcomes(), [], "kept under another checksum");
        }
        assert_eq!(opened.take_patient_tasks().len(), 1);
        let before = ledger::check(&older).unwrap();
        assert!(
            before.ok && before.groups == newest.groups + 2,
            "one group takes over the accounts: {before}"
        );
        if schema < 4 {
            opened.claim(Role::Gamer, "ada", key_of("ada")).unwrap();
            opened.claim(Role::Worker, "bob", key_of("bob")).unwrap();
        }
        let (payer, helper) = (gamer(&opened), worker(&opened));
        let report = ledger::check(&older).unwrap();
        assert!(report.ok, "{report}");
        assert_eq!(report.transfers, newest.transfers);
        append(&opened, whole(TaskNo(43), payer, helper, 100, 10));
        opened.close().unwrap();
        let report = ledger::check(&older).unwrap();
        assert!(report.ok, "{report}");
        assert_eq!(report.transfers, newest.transfers + 2);

        let again = Ledger::open(&older, lab.options(), || {}).unwrap();
        let kept = again.take_cached_outcomes();
        assert!(
            kept.iter().any(|kept| *kept.bytes == 43_u64.to_le_bytes()),
            "the old revocation is not for it"
        );
        assert!(schema >= 3 || kept.len() == 1);
        again.close().unwrap();
    }
}

#[test]
fn a_damaged_header_or_page_is_refused() {
    let lab = used();
    let bytes = std::fs::read(&lab.path).unwrap();
    change_bytes(&lab.path, |bytes| bytes[..16].fill(0));
    assert!(matches!(refused(&lab.path), LedgerError::NotALedger { .. }));
    for page in 1..bytes.len() / 4_096 {
        std::fs::write(&lab.path, &bytes).unwrap();
        change_bytes(&lab.path, |bytes| bytes[page * 4_096..][..2_048].fill(0xA5));
        let error = refused(&lab.path);
        assert!(matches!(error, LedgerError::Corrupt { .. }), "page {page}: {error}");
    }
    std::fs::write(&lab.path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(refused(&lab.path), LedgerError::Corrupt { .. }));
    std::fs::write(&lab.path, &bytes).unwrap();
    lab.check();
}

#[test]
fn a_second_coordinator_is_refused_until_the_first_is_gone() {
    let lab = Lab::new();
    let first = lab.open();
    let error = open(&lab.path);
    let LedgerError::Locked { holder, .. } = error else { panic!("{error}") };
    assert_eq!(holder, Some(std::process::id()));
    first.close().unwrap();
    lab.open().close().unwrap();
}

#[test]
fn a_full_disk_at_start_is_said() {
    let lab = Lab::new();
    let options = LedgerOptions { pages_max: Some(4), ..lab.options() };
    let error = Ledger::open(&lab.path, options, || {}).err().unwrap();
    assert!(matches!(error, LedgerError::DiskFull { .. }), "{error}");
    lab.open().close().unwrap();
    lab.check();
}

#[test]
fn a_disk_that_fills_up_breaks_the_ledger_and_loses_nothing_that_was_recorded() {
    fill_disk(60, 20);
    // The disk is full in the midst of a statement that writes many rows.
    fill_disk(150, 200);
}

/// Records groups of `tasks_per_group` tasks until a disk of `pages` pages is full.
fn fill_disk(pages: u32, tasks_per_group: usize) {
    let lab = Lab::new();
    let options = LedgerOptions { pages_max: Some(pages), ..lab.options() };
    let ledger = Ledger::open(&lab.path, options, || {}).unwrap();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    let mut tasks = (1..).map(TaskNo);
    let error = loop {
        for task in tasks.by_ref().take(tasks_per_group) {
            let appended = ledger.append_all(&mut whole(task, payer, helper, 100, 10).into());
            assert!(matches!(appended, Ok(()) | Err(LedgerStopped::Broken)));
        }
        if let Err(error) = ledger.flush() {
            break error;
        }
    };
    assert!(matches!(error, LedgerError::Broken(_)), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert!(matches!(ledger.state(), LedgerState::Broken(_)));
    assert_eq!(ledger.failure_for_peers(), Some("the disk that its ledger is on is full"));
    assert_eq!(
        ledger.append_all(&mut vec![admitted(TaskNo(1 << 40), payer, 0, 1)]),
        Err(LedgerStopped::Broken)
    );
    assert!(matches!(ledger.close(), Err(LedgerError::Broken(_))));
    let charged = ledger.totals();
    assert!(charged.tasks_done >= tasks_per_group as u64);
    drop(ledger);

    let ledger = lab.open();
    assert_eq!(ledger.totals(), charged, "exactly what was reported is there");
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn tampering_is_found() {
    let all = [
        "UPDATE transfers SET amount = amount + 1 WHERE id = 41 << 2 | 1",
        "UPDATE transfers SET amount = amount - 1 WHERE id = 41 << 2 | 1;
         UPDATE transfers SET amount = amount + 1 WHERE id = 41 << 2 | 2",
        "UPDATE tasks SET price = price + 1, pay = pay + 1 WHERE no = 1; UPDATE tasks SET pay = pay - 1 WHERE no = 2",
        "DELETE FROM transfers WHERE id = 41 << 2 | 1",
        "DELETE FROM transfers WHERE id < 0",
        // Two transfers trade places, within a group, and one moves to another.
        "UPDATE transfers SET id = 1000 WHERE id = 41 << 2 | 1;
         UPDATE transfers SET id = 41 << 2 | 1 WHERE id = 41 << 2 | 2;
         UPDATE transfers SET id = 41 << 2 | 2 WHERE id = 1000",
        "UPDATE tasks SET (opened_grp, closed_grp) = (SELECT opened_grp, closed_grp FROM tasks WHERE no = 11)
         WHERE no = 1",
        "UPDATE transfers SET grp = (SELECT grp FROM transfers WHERE id = 41 << 2) WHERE id = 41 << 2 | 1",
        "UPDATE transfers SET grp = grp + 1 WHERE id = 41 << 2 | 1",
        "UPDATE transfers SET credit = debit, debit = credit WHERE id = 41 << 2 | 1",
        "UPDATE transfers SET attempt = 2 WHERE id = 41 << 2 | 1",
        "INSERT INTO transfers (id, grp, debit, credit, amount, reason, attempt)
         SELECT 20 << 2 | 1, closed_grp, 3, 6, 90, 3, 1 FROM tasks WHERE no = 20",
        "INSERT INTO transfers (id, grp, debit, credit, amount, reason, attempt) VALUES (-9, 1, 1, 3, 5, 1, 0)",
        "INSERT INTO grants (reference, account, amount) VALUES (randomblob(16), 3, 5)",
        "UPDATE grants SET amount = amount + 1",
        "DELETE FROM grants",
        "UPDATE groups SET at_ms = at_ms + 1 WHERE id = 2",
        "UPDATE groups SET hash = randomblob(32) WHERE id = (SELECT max(id) FROM groups)",
        "DELETE FROM groups WHERE id = 2",
        "DELETE FROM groups WHERE id = (SELECT max(id) FROM groups)",
        "UPDATE accounts SET balance = balance + 5 WHERE id = 3",
        "UPDATE accounts SET balance = balance + 5 WHERE id = 3; UPDATE accounts SET balance = balance - 5 WHERE id = 1",
        "UPDATE accounts SET turnover = turnover + 5 WHERE id = 3",
        "UPDATE accounts SET accepted = accepted + 1 WHERE id = 5",
        "DELETE FROM accounts WHERE id = 4",
        "UPDATE tasks SET price = price + 1 WHERE no = 41",
        "UPDATE tasks SET pay = pay - 1, fee = fee + 1 WHERE no = 20",
        "UPDATE tasks SET state = 3 WHERE no = 20",
        "UPDATE tasks SET state = 1, closed_grp = NULL WHERE no = 20",
        "UPDATE tasks SET gamer = 5 WHERE no = 20",
        "DELETE FROM tasks WHERE no = 20",
        "UPDATE tasks SET worker = NULL WHERE no = 20",
        "UPDATE tasks SET worker = 3 WHERE no = 20",
        "UPDATE tasks SET worker = 4711 WHERE no = 20",
        "UPDATE tasks SET worker = 5 WHERE no = 41",
        "UPDATE tasks SET worker = 5 WHERE no = 42",
        "UPDATE tasks SET attempt = 2 WHERE no = 20",
        "UPDATE tasks SET attempt = NULL WHERE no = 20",
        "UPDATE tasks SET source = 2 WHERE no = 20",
        "UPDATE tasks SET opened_grp = opened_grp - 1 WHERE no = 20",
        "UPDATE attempts SET verdict = 2 WHERE id = 41 << 8 | 1",
        "UPDATE attempts SET worker = 3 WHERE id = 41 << 8 | 1",
        "DELETE FROM attempts WHERE id = 41 << 8 | 1",
        "INSERT INTO attempts (id, grp, worker, verdict) VALUES (20 << 8 | 1, 2, 5, 1)",
        "UPDATE earnings SET amount = amount + 1",
        "DELETE FROM earnings",
        "UPDATE outcomes SET checksum = 0 WHERE id = 3",
        "UPDATE outcomes SET bytes = CAST(bytes || x'00' AS BLOB) WHERE id = 3",
        "UPDATE outcomes SET task = 19 WHERE id = 3",
        "UPDATE outcomes SET task = 4711 WHERE id = 3",
        "INSERT INTO patient VALUES (20, x'', x'')",
    ];
    let lab = used();
    let ledger = lab.open();
    ledger.grant(Role::Worker, key_of("bob"), Nanos(11), [7; 16]).unwrap();
    ledger.close().unwrap();
    let whole = std::fs::read(&lab.path).unwrap();
    for sql in all {
        std::fs::write(&lab.path, &whole).unwrap();
        lab.tamper(sql);
        let report = ledger::check(&lab.path).unwrap();
        assert!(!report.ok, "not found: {sql}");
        assert!(report.to_string().contains("NOT"), "{report}");
    }
    std::fs::write(&lab.path, &whole).unwrap();
    lab.tamper("");
    lab.check();
}

#[test]
fn balances_that_do_not_add_up_stop_the_start() {
    let lab = used();
    lab.tamper("UPDATE accounts SET balance = balance + 5 WHERE id = 3");
    assert!(matches!(open(&lab.path), LedgerError::Unbalanced { .. }));
}

#[test]
fn the_file_itself_refuses_to_forget() {
    let lab = used();
    let connection = Connection::open(&lab.path).unwrap();
    for sql in [
        "UPDATE transfers SET amount = 1",
        "DELETE FROM transfers",
        "UPDATE groups SET at_ms = 1",
        "DELETE FROM groups",
        "UPDATE tasks SET fee = 0 WHERE no = 20",
        "DELETE FROM tasks WHERE no = 42",
        "INSERT INTO transfers (id, grp, debit, credit, amount, reason, attempt) VALUES (41 << 2 | 1, 9, 3, 6, 1, 3, 1)",
        "INSERT INTO transfers (id, grp, debit, credit, amount, reason, attempt) VALUES (-3, 9, 1, 3, 1, 1, 0)",
        "INSERT INTO transfers (id, grp, debit, credit, amount, reason, attempt) VALUES (9999, 9, 1, 3, 0, 1, 0)",
    ] {
        assert!(connection.execute_batch(sql).is_err(), "{sql}");
    }
    lab.check();
}

#[test]
fn a_rejected_attempts_reason_is_kept() {
    let lab = Lab::new();
    let ledger = lab.open();
    let payer = gamer(&ledger);
    let liar = account_of(&ledger, Role::Worker, "eve").id;
    append(&ledger, [admitted(TaskNo(1), payer, 1, 5), started(TaskNo(1), 1, liar)]);
    let verdict = ledger::Verdict::Rejected { reason: "path.cost: too low".into() };
    append(&ledger, [ended(TaskNo(1), 1, verdict)]);
    ledger.close().unwrap();
    let reason: String = Connection::open(&lab.path)
        .unwrap()
        .query_row("SELECT reason FROM attempts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(reason, "path.cost: too low");
}
