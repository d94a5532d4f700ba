//! Outcomes kept for the cache.

use p2c2r_protocol::TaskNo;
use p2c2r_server::ledger::{self, Entry, Ledger, LedgerOptions};

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
