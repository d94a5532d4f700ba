//! What a convicted worker has pending goes back to those who paid it.

use std::time::Duration;

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, AccountId, Entry, Ledger, LedgerOptions};

use rusqlite::Connection;

use super::lab::{Lab, account_of, admitted, append, gamer, patient, settled, started, whole, worker};

const DOLLAR: i64 = Nanos::DOLLAR.0;

/// Available, set aside and turnover.
fn sums(ledger: &Ledger, role: Role, name: &str) -> (i64, i64, i64) {
    let account = account_of(ledger, role, name);
    (account.available.0, account.set_aside.0, account.turnover.0)
}

fn peers(ledger: &Ledger) -> [AccountId; 4] {
    let grace = account_of(ledger, Role::Gamer, "grace").id;
    let eve = account_of(ledger, Role::Worker, "eve").id;
    [gamer(ledger), grace, worker(ledger), eve]
}

#[test]
fn pending_pay_goes_back_to_who_paid_and_nobody_elses_is_touched() {
    let lab = Lab::new();
    let ledger = lab.open();
    let [ada, grace, bob, eve] = peers(&ledger);
    // Paid out long before; a patient task of that time is settled only now.
    append(&ledger, whole(TaskNo(1), ada, eve, 1_000, 100));
    append(&ledger, [patient(TaskNo(2), grace, 2, 500)]);
    ledger.flush().unwrap();
    lab.pass(3_700);
    append(&ledger, [started(TaskNo(2), 1, eve), settled(TaskNo(2), 1, eve, 450, 50)]);
    for no in [3, 5, 7] {
        append(&ledger, whole(TaskNo(no), ada, eve, 100, 10));
        append(&ledger, whole(TaskNo(no + 1), grace, bob, 100, 10));
        ledger.flush().unwrap();
    }
    append(&ledger, whole(TaskNo(20), grace, eve, 200, 20));
    append(&ledger, [admitted(TaskNo(21), ada, 21, 300), started(TaskNo(21), 1, eve)]);
    append(&ledger, [Entry::WorkerConvicted { worker: eve }, Entry::WorkerConvicted { worker: eve }]);
    ledger.flush().unwrap();
    assert_eq!(sums(&ledger, Role::Worker, "eve").0, 900, "what was paid out before is gone");
    ledger.close().unwrap();
    lab.check();

    let ledger = lab.open();
    ledger.flush().unwrap();
    assert_eq!(sums(&ledger, Role::Worker, "eve"), (900, 0, 900));
    assert_eq!(sums(&ledger, Role::Worker, "bob"), (0, 270, 270));
    assert_eq!(sums(&ledger, Role::Gamer, "ada"), (DOLLAR - 1_000 - 30, 0, 1_000 + 30));
    assert_eq!(sums(&ledger, Role::Gamer, "grace"), (DOLLAR - 300 - 70, 0, 300 + 70));
    let totals = ledger.totals();
    assert_eq!((totals.revenue.0, totals.fee.0, totals.earned.0), (1_400, 230, 1_170));
    lab.pass(10_000);
    ledger.flush().unwrap();
    assert_eq!(sums(&ledger, Role::Worker, "eve"), (900, 0, 900), "nothing of it falls due");
    assert_eq!(sums(&ledger, Role::Worker, "bob"), (270, 0, 270));
    ledger.close().unwrap();
    lab.check();
    assert_eq!(ledger::report(&lab.path).unwrap().totals, totals);
}

#[test]
fn a_reversal_that_takes_many_groups_survives_restarts_and_balances_in_between() {
    const TASKS: u64 = 12_000;
    let lab = Lab::new();
    let ledger = lab.open();
    let [ada, grace, _, eve] = peers(&ledger);
    append(
        &ledger,
        (1..=TASKS).flat_map(|no| whole(TaskNo(no), if no % 3 == 0 { ada } else { grace }, eve, 10, 1)),
    );
    append(&ledger, [Entry::WorkerConvicted { worker: eve }]);
    ledger.close().unwrap();
    for _ in 0..5 {
        lab.check();
        // Opening writes a group, and so does closing.
        lab.open().close().unwrap();
    }
    let connection = Connection::open(&lab.path).unwrap();
    let sql = "SELECT count(DISTINCT grp) FROM transfers WHERE reason = 8";
    let groups: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(groups >= 3, "in steps: {groups}");
    let ledger = lab.open();
    assert_eq!(sums(&ledger, Role::Gamer, "ada").0, DOLLAR - TASKS as i64 / 3);
    assert_eq!(sums(&ledger, Role::Gamer, "grace").0, DOLLAR - 2 * TASKS as i64 / 3);
    assert_eq!(sums(&ledger, Role::Worker, "eve"), (0, 0, 0));
}

#[test]
fn pay_whose_payer_cannot_be_told_goes_to_the_coordinator() {
    let lab = Lab::new();
    let longer = LedgerOptions { fraud_window: Duration::from_hours(5), ..lab.options() };
    let ledger = Ledger::open(&lab.path, longer, || {}).unwrap();
    let [ada, _, _, eve] = peers(&ledger);
    append(&ledger, whole(TaskNo(1), ada, eve, 100, 10));
    ledger.close().unwrap();
    lab.pass(3_600);
    // Under a shorter window, what is pending cannot be as old as it is.
    let ledger = lab.open();
    append(&ledger, [Entry::WorkerConvicted { worker: eve }]);
    ledger.flush().unwrap();
    ledger.flush().unwrap();
    assert_eq!(sums(&ledger, Role::Worker, "eve"), (0, 0, 0));
    assert_eq!(sums(&ledger, Role::Gamer, "ada"), (DOLLAR - 100, 0, 100));
    assert_eq!(ledger.totals().fee, Nanos(100));
    ledger.close().unwrap();
    lab.check();
}
