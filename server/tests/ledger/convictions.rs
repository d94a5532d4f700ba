//! A convicted worker's pending pay goes back to the gamers who paid it.

use std::time::Duration;

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, AccountId, Entry, Ledger, LedgerOptions, Totals};

use rusqlite::Connection;

use super::lab::{
    Lab, account_of, admitted, append, gamer, patient, settled, spell_out, started, whole, worker,
};

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
    let released = ledger.totals();
    assert_eq!((released.pending.0, released.available().0), (0, 1_170));
    assert_eq!(released, Totals { pending: Nanos::ZERO, ..totals }, "nothing else has changed");
    ledger.close().unwrap();
    lab.check();
    assert_eq!(ledger::report(&lab.path).unwrap().totals, released);
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

/// The amounts that reversals in the file gave back to an account, the oldest first.
fn given_back(lab: &Lab, credit: AccountId) -> Vec<i64> {
    let connection = Connection::open(&lab.path).unwrap();
    let mut select = connection
        .prepare("SELECT amount FROM transfers WHERE reason = 8 AND credit = ?1 ORDER BY id")
        .unwrap();
    select.query_map([credit.0], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// What happens to a ledger between two convictions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Nothing,
    Restart,
    Folding,
}

#[test]
fn what_has_gone_back_once_does_not_go_back_again() {
    for between in [Between::Nothing, Between::Restart, Between::Folding] {
        let lab = Lab::new();
        let kept = LedgerOptions { outcomes_kept: Duration::ZERO, ..lab.options() };
        let mut ledger = Ledger::open(&lab.path, kept.clone(), || {}).unwrap();
        let [ada, grace, _, eve] = peers(&ledger);
        let key = account_of(&ledger, Role::Worker, "eve").key.unwrap();
        // The clock stands still: all of it falls due at once. The first pay is for the later task.
        append(&ledger, [patient(TaskNo(1), grace, 1, 500)]);
        append(&ledger, whole(TaskNo(2), ada, eve, 1_000, 100));
        ledger.flush().unwrap();
        ledger.judge(key, true).unwrap();
        ledger.flush().unwrap();
        assert_eq!(given_back(&lab, ada), [900]);
        ledger.judge(key, false).unwrap();
        match between {
            Between::Nothing => {}
            Between::Restart => {
                ledger.close().unwrap();
                lab.check();
                ledger = Ledger::open(&lab.path, kept, || {}).unwrap();
            }
            Between::Folding => {
                lab.pass(2 * 3_600);
                for _ in 0..5 {
                    ledger.flush().unwrap();
                }
                assert!(given_back(&lab, ada).is_empty(), "folded");
            }
        }
        append(&ledger, [started(TaskNo(1), 1, eve), settled(TaskNo(1), 1, eve, 450, 50)]);
        ledger.flush().unwrap();
        assert_eq!(sums(&ledger, Role::Worker, "eve"), (0, 450, 450));
        ledger.judge(key, true).unwrap();
        ledger.flush().unwrap();
        assert_eq!(given_back(&lab, grace), [450], "{between:?}");
        let once: &[i64] = if between == Between::Folding { &[] } else { &[900] };
        assert_eq!(given_back(&lab, ada), once, "{between:?}");
        assert_eq!(sums(&ledger, Role::Worker, "eve"), (0, 0, 0));
        assert_eq!(sums(&ledger, Role::Gamer, "ada"), (DOLLAR - 100, 0, 100), "{between:?}");
        assert_eq!(sums(&ledger, Role::Gamer, "grace"), (DOLLAR - 50, 0, 50), "{between:?}");
        ledger.close().unwrap();
        lab.check();
    }
}

#[test]
fn a_conviction_in_the_group_of_the_pay_finds_who_paid_whoever_else_is_convicted_then() {
    const TASKS: u64 = 30_000;
    let lab = Lab::new();
    let ledger = lab.open();
    let [ada, grace, bob, eve] = peers(&ledger);
    // A reversal that takes many groups is under way for the account that was opened later.
    append(&ledger, (1..=TASKS).flat_map(|no| whole(TaskNo(no), ada, bob, 10, 1)));
    append(&ledger, [Entry::WorkerConvicted { worker: bob }]);
    ledger.flush().unwrap();
    append(&ledger, whole(TaskNo(TASKS + 1), grace, eve, 100, 10));
    append(&ledger, whole(TaskNo(TASKS + 2), grace, bob, 200, 20));
    append(&ledger, [eve, bob].map(|worker| Entry::WorkerConvicted { worker }));
    for _ in 0..12 {
        ledger.flush().unwrap();
    }
    for name in ["bob", "eve"] {
        assert_eq!(sums(&ledger, Role::Worker, name), (0, 0, 0), "{name}");
    }
    assert_eq!(sums(&ledger, Role::Gamer, "ada"), (DOLLAR - TASKS as i64, 0, TASKS as i64));
    assert_eq!(sums(&ledger, Role::Gamer, "grace"), (DOLLAR - 30, 0, 30));
    assert_eq!(ledger.totals().fee, Nanos(TASKS as i64 + 30));
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn a_worker_convicted_by_checks_and_by_the_operator_in_one_group_is_convicted_once() {
    let lab = Lab::new();
    let ledger = lab.open();
    let [ada, _, _, eve] = peers(&ledger);
    let key = account_of(&ledger, Role::Worker, "eve").key.unwrap();
    append(&ledger, whole(TaskNo(1), ada, eve, 100, 10));
    append(&ledger, [Entry::WorkerConvicted { worker: eve }]);
    ledger.judge(key, true).unwrap();
    ledger.flush().unwrap();
    assert_eq!(sums(&ledger, Role::Worker, "eve"), (0, 0, 0));
    assert_eq!(sums(&ledger, Role::Gamer, "ada"), (DOLLAR - 10, 0, 10));
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn who_paid_is_found_also_under_another_window_and_in_a_ledger_of_schema_9() {
    for schema in [9, 11] {
        let lab = Lab::new();
        let longer = LedgerOptions { fraud_window: Duration::from_hours(5), ..lab.options() };
        let ledger = Ledger::open(&lab.path, longer, || {}).unwrap();
        let [ada, _, bob, eve] = peers(&ledger);
        append(&ledger, whole(TaskNo(1), ada, eve, 100, 10));
        append(&ledger, whole(TaskNo(2), ada, bob, 100, 10));
        ledger.close().unwrap();
        if schema == 9 {
            spell_out(&Connection::open(&lab.path).unwrap());
            let sql = "ALTER TABLE earnings DROP COLUMN first_grp; DROP TABLE charged;
                 DELETE FROM meta WHERE name = 'charged_from_grp'; PRAGMA user_version = 9";
            Connection::open(&lab.path).unwrap().execute_batch(sql).unwrap();
        }
        lab.pass(3_600);
        let ledger = lab.open();
        append(&ledger, [Entry::WorkerConvicted { worker: eve }]);
        ledger.flush().unwrap();
        ledger.flush().unwrap();
        assert_eq!(sums(&ledger, Role::Worker, "eve"), (0, 0, 0));
        assert_eq!(sums(&ledger, Role::Gamer, "ada"), (DOLLAR - 110, 0, 110));
        assert_eq!(given_back(&lab, ada), [90]);
        ledger.close().unwrap();
        lab.check();
    }
}

#[test]
fn pay_whose_payer_cannot_be_told_goes_to_the_coordinator() {
    let lab = Lab::new();
    let shorter = LedgerOptions { outcomes_kept: Duration::ZERO, ..lab.options() };
    let longer = LedgerOptions { fraud_window: Duration::from_hours(5), ..shorter.clone() };
    let ledger = Ledger::open(&lab.path, longer, || {}).unwrap();
    let [ada, _, _, eve] = peers(&ledger);
    append(&ledger, whole(TaskNo(1), ada, eve, 100, 10));
    ledger.close().unwrap();
    lab.pass(2 * 3_600);
    // Under a shorter window, transfers are folded that are as old as pay which is still pending.
    let ledger = Ledger::open(&lab.path, shorter, || {}).unwrap();
    for _ in 0..5 {
        ledger.flush().unwrap();
    }
    assert_eq!(lab.check().folded_tasks, 1);
    append(&ledger, [Entry::WorkerConvicted { worker: eve }]);
    ledger.flush().unwrap();
    ledger.flush().unwrap();
    assert_eq!(sums(&ledger, Role::Worker, "eve"), (0, 0, 0));
    assert_eq!(sums(&ledger, Role::Gamer, "ada"), (DOLLAR - 100, 0, 100));
    assert_eq!(ledger.totals().fee, Nanos(100));
    ledger.close().unwrap();
    lab.check();
}

/// A worker that is convicted again, and perhaps forgiven again, while pay from before its first conviction still goes back.
#[test]
fn a_conviction_while_pay_goes_back_takes_no_longer_group_than_any_other() {
    const TASKS: u64 = 30_000;
    for is_forgiven in [false, true] {
        for restarts in [false, true] {
            let lab = Lab::new();
            let mut ledger = lab.open();
            let [ada, grace, _, eve] = peers(&ledger);
            let key = account_of(&ledger, Role::Worker, "eve").key.unwrap();
            append(&ledger, (1..=TASKS).flat_map(|no| whole(TaskNo(no), ada, eve, 10, 1)));
            append(&ledger, [Entry::WorkerConvicted { worker: eve }]);
            ledger.flush().unwrap();
            ledger.judge(key, false).unwrap();
            append(&ledger, whole(TaskNo(TASKS + 1), grace, eve, 100, 10));
            append(&ledger, [Entry::WorkerConvicted { worker: eve }]);
            ledger.flush().unwrap();
            if is_forgiven {
                ledger.judge(key, false).unwrap();
                // This pay is nobody else's.
                append(&ledger, whole(TaskNo(TASKS + 2), grace, eve, 1_000, 100));
            }
            if restarts {
                ledger.close().unwrap();
                lab.check();
                // Everything that is pending would be due by now.
                lab.pass(2 * 3_600);
                ledger = lab.open();
            }
            for _ in 0..12 {
                ledger.flush().unwrap();
            }
            let kept = if is_forgiven { 900 } else { 0 };
            let (available, set_aside, turnover) = sums(&ledger, Role::Worker, "eve");
            assert_eq!((available + set_aside, turnover), (kept, kept), "{is_forgiven} {restarts}");
            assert_eq!(sums(&ledger, Role::Gamer, "ada").2, TASKS as i64);
            assert_eq!(given_back(&lab, grace), [90], "{is_forgiven} {restarts}");
            ledger.close().unwrap();
            lab.check();
            let sql = "SELECT max(sum) FROM (SELECT sum(amount) AS sum FROM transfers WHERE reason = 8 GROUP BY grp)";
            let largest: i64 =
                Connection::open(&lab.path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
            assert!(largest <= 4_100 * 9, "in steps: {largest}");
        }
    }
}
