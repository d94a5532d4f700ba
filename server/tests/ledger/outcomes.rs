//! Outcomes kept for the cache.

use p2c2r_protocol::TaskNo;
use p2c2r_server::ledger::{self, Entry, Ledger, LedgerOptions, OutcomeReader};

use super::lab::{Lab, account_of, append, gamer, whole, worker};

fn kept(ledger: &Ledger) -> Vec<u64> {
    let bytes = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    ledger.take_cached_outcomes().iter().map(|outcome| bytes(&outcome.bytes)).collect()
}

#[test]
fn outcomes_come_back_newest_first_for_a_day() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), payer, helper, 10, 1));
    ledger.flush().unwrap();
    lab.pass(1_000);
    append(&ledger, whole(TaskNo(2), payer, helper, 10, 1));
    ledger.close().unwrap();
    lab.pass(24 * 3_600 - 1_001);
    let ledger = lab.open();
    let found = ledger.take_cached_outcomes();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].key, p2c2r_protocol::Digest::of(&2_u64.to_le_bytes()));
    assert_eq!((found[0].kind.0, found[0].kernel_version), (1, 1));
    assert_eq!(found[0].worker.as_ref().map(|(id, name)| (*id, &**name)), Some((helper, "bob")));
    assert_eq!(found[1].expires_in.as_secs(), 1);
    ledger.close().unwrap();
    lab.pass(1);
    let ledger = lab.open();
    assert_eq!(kept(&ledger), [2]);
    ledger.close().unwrap();
    assert_eq!(rows(&lab), 1, "expired ones are deleted");
}

#[test]
fn the_cache_is_read_within_its_bounds() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, (1..=5).flat_map(|no| whole(TaskNo(no), payer, helper, 10, 1)));
    ledger.close().unwrap();
    for options in [
        LedgerOptions { cache_entries_max: 2, ..lab.options() },
        LedgerOptions { cache_bytes_max: 17, ..lab.options() },
    ] {
        let ledger = Ledger::open(&lab.path, options, || {}).unwrap();
        assert_eq!(kept(&ledger), [5, 4]);
    }
    let small = LedgerOptions { outcome_bytes_max: 24, ..lab.options() };
    Ledger::open(&lab.path, small, || {}).unwrap().close().unwrap();
    assert_eq!(kept(&lab.open()), [5, 4, 3], "the oldest go first");
}

/// The result of looking for an outcome.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// No row is known.
    Nowhere,
    /// A row was known, and it has nothing that may be used.
    Gone,
    /// This outcome was read.
    Found(u64),
}
use Looked::{Found, Gone, Nowhere};

/// Looks for the outcome of task `number` beside the writer.
fn read(reader: &OutcomeReader, number: u64) -> Looked {
    let key = p2c2r_protocol::Digest::of(&number.to_le_bytes());
    let Some(row) = reader.find(key) else { return Nowhere };
    assert!(reader.ask(key, row));
    let read = reader.wait().unwrap();
    assert_eq!(read.key, key);
    let Some(outcome) = read.outcome else {
        assert_eq!(reader.find(key), None, "it is not looked for again");
        return Gone;
    };
    Found(u64::from_le_bytes(outcome.bytes[..].try_into().unwrap()))
}

#[test]
fn what_memory_has_no_room_for_is_read_beside_the_writer_before_and_after_a_restart() {
    let lab = Lab::new();
    let options = || LedgerOptions { cache_entries_max: 1, ..lab.options() };
    let ledger = Ledger::open(&lab.path, options(), || {}).unwrap();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), payer, helper, 10, 1));
    ledger.flush().unwrap();
    let reader = ledger.read_outcomes(|| {}).unwrap();
    append(&ledger, (2..=3).flat_map(|no| whole(TaskNo(no), payer, helper, 10, 1)));
    ledger.flush().unwrap();
    // Another connection's transaction is open, for which the reader must not wait.
    let connection = rusqlite::Connection::open(&lab.path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!([1, 2, 3, 9].map(|number| read(&reader, number)), [Found(1), Found(2), Found(3), Nowhere]);
    drop(connection);
    ledger.close().unwrap();
    for ending in ["-wal", "-shm"] {
        let beside = lab.folder.path().join(format!("results.db{ending}"));
        assert!(!beside.exists(), "closed in order: {}", beside.display());
    }
    assert!(!reader.ask(p2c2r_protocol::Digest([0; 32]), 1), "it is closed with the ledger");

    let ledger = Ledger::open(&lab.path, options(), || {}).unwrap();
    let reader = ledger.read_outcomes(|| {}).unwrap();
    assert_eq!(kept(&ledger), [3]);
    assert_eq!([1, 2, 3].map(|number| read(&reader, number)), [Found(1), Found(2), Found(3)]);
    lab.pass(24 * 3_600);
    assert_eq!(read(&reader, 1), Gone, "a day is over");
    assert_eq!(read(&reader, 1), Nowhere);
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn neither_what_is_revoked_nor_disputed_nor_damaged_is_read_nor_what_was_not_checked_deeply() {
    let lab = Lab::new();
    let ledger = lab.open();
    let reader = ledger.read_outcomes(|| {}).unwrap();
    let (payer, honest) = (gamer(&ledger), worker(&ledger));
    let liar = account_of(&ledger, p2c2r_protocol::Role::Worker, "eve").id;
    append(
        &ledger,
        (1..=4).flat_map(|no| whole(TaskNo(no), payer, if no == 1 { liar } else { honest }, 10, 1)),
    );
    let mut unchecked = whole(TaskNo(5), payer, honest, 10, 1);
    if let Entry::TaskSettled(settlement) = &mut unchecked[2] {
        settlement.check = p2c2r_protocol::PassedCheck::Always;
    }
    append(&ledger, unchecked);
    ledger.flush().unwrap();
    append(&ledger, [Entry::WorkerConvicted { worker: liar }, Entry::OutcomeDisputed { task: TaskNo(2) }]);
    ledger.flush().unwrap();
    lab.tamper("UPDATE outcomes SET bytes = x'0900000000000000' WHERE task = 3");
    let found = [1, 2, 3, 4, 5].map(|number| read(&reader, number));
    assert_eq!(found, [Gone, Gone, Gone, Found(4), Nowhere]);
}

/// Tasks of which outcomes are kept.
fn tasks_with_outcomes(lab: &Lab) -> Vec<i64> {
    let connection = rusqlite::Connection::open(&lab.path).unwrap();
    let mut select = connection.prepare("SELECT task FROM outcomes ORDER BY id").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn dispute(ledger: &Ledger, task: u64) {
    append(ledger, [Entry::OutcomeDisputed { task: TaskNo(task) }]);
    ledger.flush().unwrap();
}

#[test]
fn a_disputed_outcome_goes_however_many_were_kept_after_it() {
    const TASKS: u64 = 65_537;
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    for first in (1..=TASKS).step_by(8_192) {
        let last = TASKS.min(first + 8_191);
        append(&ledger, (first..=last).flat_map(|no| whole(TaskNo(no), payer, helper, 10, 1)));
        ledger.flush().unwrap();
    }
    dispute(&ledger, 1);
    let left = tasks_with_outcomes(&lab);
    assert_eq!((left[0], left.len() as u64), (2, TASKS - 1));
}

#[test]
fn a_disputed_outcome_is_found_among_gaps_and_in_whatever_order_tasks_ended() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, honest) = (gamer(&ledger), worker(&ledger));
    let liar = account_of(&ledger, p2c2r_protocol::Role::Worker, "eve").id;
    let by = |no, worker| whole(TaskNo(no), payer, worker, 10, 1);
    let [admitted, started, late] = by(1, honest);
    append(&ledger, [admitted, started]);
    ledger.flush().unwrap();
    append(&ledger, (2..=60).rev().flat_map(|no| by(no, if (10..50).contains(&no) { liar } else { honest })));
    append(&ledger, [Entry::WorkerConvicted { worker: liar }]);
    ledger.flush().unwrap();
    // A task that is settled without an outcome has none to be found.
    let mut bare = by(61, honest);
    if let Entry::TaskSettled(settlement) = &mut bare[2] {
        settlement.outcome = None;
    }
    append(&ledger, by(62, honest).into_iter().chain([late]).chain(bare));
    ledger.flush().unwrap();
    let mut left: Vec<i64> = (2..10).chain(50..=60).chain([1, 62]).collect();
    assert_eq!(tasks_with_outcomes(&lab), left);
    for task in [61, 30, 99, 9, 50, 1, 2, 60, 62, 5, 5] {
        dispute(&ledger, task);
        left.retain(|kept| *kept != task as i64);
        assert_eq!(tasks_with_outcomes(&lab), left, "after {task}");
    }
    append(&ledger, by(63, honest).into_iter().chain([Entry::OutcomeDisputed { task: TaskNo(63) }]));
    ledger.flush().unwrap();
    assert_eq!(tasks_with_outcomes(&lab), left, "in the group that kept it");
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn a_file_that_cannot_be_read_is_tried_again() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), payer, helper, 10, 1));
    ledger.flush().unwrap();
    let reader = ledger.read_outcomes(|| {}).unwrap();
    let key = p2c2r_protocol::Digest::of(&1_u64.to_le_bytes());
    let row = reader.find(key).unwrap();
    lab.tamper("ALTER TABLE outcomes RENAME TO elsewhere");
    for _ in 0..2 {
        assert!(reader.ask(key, row) && reader.wait().unwrap().outcome.is_none());
    }
    lab.tamper("ALTER TABLE elsewhere RENAME TO outcomes");
    assert_eq!(read(&reader, 1), Found(1), "its row is still known");
}

#[test]
fn a_convicted_workers_outcomes_go_at_once() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, honest) = (gamer(&ledger), worker(&ledger));
    let liar = account_of(&ledger, p2c2r_protocol::Role::Worker, "eve").id;
    append(
        &ledger,
        (1..=9).flat_map(|no| whole(TaskNo(no), payer, if no % 3 == 0 { honest } else { liar }, 10, 1)),
    );
    append(&ledger, [Entry::WorkerConvicted { worker: liar }]);
    ledger.flush().unwrap();
    append(&ledger, whole(TaskNo(10), payer, liar, 10, 1));
    ledger.close().unwrap();
    assert_eq!(kept(&lab.open()), [10, 9, 6, 3], "only those from before the conviction");
    lab.check();
}

#[test]
fn an_outcome_that_rotted_on_disk_is_not_served() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, (1..=2).flat_map(|no| whole(TaskNo(no), payer, helper, 10, 1)));
    ledger.close().unwrap();
    lab.tamper("UPDATE outcomes SET bytes = x'0900000000000000' WHERE id = 2");
    assert_eq!(kept(&lab.open()), [1]);
    assert!(!ledger::check(&lab.path).unwrap().ok);
}

fn rows(lab: &Lab) -> i64 {
    let connection = rusqlite::Connection::open(&lab.path).unwrap();
    connection.query_row("SELECT count(*) FROM outcomes", [], |row| row.get(0)).unwrap()
}
