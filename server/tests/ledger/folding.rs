//! Folding: rows older than a day become sums, the chain continues, and the file stays bounded.

use std::time::Duration;

use p2c2r_protocol::{Nanos, PassedCheck, Role, TaskNo};
use p2c2r_server::ledger::{
    self, AccountId, ComputedFrom, Entry, Ledger, LedgerOptions, Settlement, Totals, Verdict, VoidReason,
};
use rusqlite::Connection;

use super::lab::{
    Lab, account_of, admitted, append, ended, gamer, key_of, patient, settled, started, whole, worker,
};

const DAY: u64 = 24 * 3_600;

/// Seconds after which every finished task can be folded.
const FOLDED_AFTER: u64 = DAY + 3_600;

fn count(lab: &Lab, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    Connection::open(&lab.path).unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// Folds everything that is due: each flush carries out one step.
fn fold(ledger: &Ledger) {
    for _ in 0..20 {
        ledger.flush().unwrap();
    }
}

/// Tasks of every sort from number `first` on, in groups of their own; the last one stays open.
fn history(ledger: &Ledger, first: u64) -> u64 {
    let (payer, helper) = (gamer(ledger), worker(ledger));
    let cached = |task| {
        let source = ComputedFrom::Cache;
        let check = PassedCheck::Always;
        Entry::TaskSettled(Settlement { task, source, pay: Nanos(0), fee: Nanos(5), check, outcome: None })
    };
    let mut no = first;
    for _ in 0..6 {
        let [paid, void, again, reused] = [no, no + 1, no + 2, no + 3].map(TaskNo);
        append(ledger, whole(paid, payer, helper, 100, 10));
        append(ledger, [admitted(void, payer, void.0, 40), started(void, 1, helper)]);
        ledger.flush().unwrap();
        append(ledger, [Entry::TaskVoided { task: void, reason: VoidReason::Late }]);
        append(ledger, [admitted(again, payer, again.0, 70), started(again, 1, helper)]);
        append(ledger, [ended(again, 1, Verdict::Rejected { reason: "path.cost".into() })]);
        append(ledger, [started(again, 2, helper), settled(again, 2, helper, 50, 5)]);
        append(ledger, [admitted(reused, payer, reused.0, 5), cached(reused)]);
        ledger.flush().unwrap();
        no += 4;
    }
    append(ledger, [patient(TaskNo(no), payer, no, 30)]);
    ledger.flush().unwrap();
    no
}

#[test]
fn what_is_over_for_a_day_leaves_its_sums_and_nothing_else() {
    let lab = Lab::new();
    let ledger = lab.open();
    let open = history(&ledger, 1);
    ledger.grant(Role::Gamer, key_of("ada"), Nanos(77), [1; 16]).unwrap();
    lab.pass(7_200);
    ledger.flush().unwrap();
    let before = ledger::report(&lab.path).unwrap();
    assert!(before.workers[0].available > Nanos::ZERO, "released");
    lab.pass(FOLDED_AFTER);
    fold(&ledger);
    let check = lab.check();
    assert_eq!((check.tasks, check.open_tasks, check.attempts), (1, 1, 0), "{check}");
    assert_eq!((check.folded_tasks, check.transfers), (24, 0), "{check}");
    assert!(check.to_string().contains("folded"), "{check}");
    assert_eq!(ledger::report(&lab.path).unwrap(), before, "and the report says the same");

    // The open task's hold was folded; its end comes now, and is folded later.
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, [started(TaskNo(open), 1, helper), settled(TaskNo(open), 1, helper, 20, 2)]);
    append(&ledger, whole(TaskNo(open + 1), payer, helper, 100, 10));
    ledger.close().unwrap();
    assert_eq!(lab.check().tasks, 2);
    let before = ledger::report(&lab.path).unwrap();
    lab.pass(FOLDED_AFTER);
    let ledger = lab.open();
    fold(&ledger);
    ledger.close().unwrap();
    let check = lab.check();
    assert_eq!((check.tasks, check.folded_tasks), (0, 26), "{check}");
    let after = ledger::report(&lab.path).unwrap();
    assert_eq!(before.totals.pending, Nanos(110), "what both tasks have just earned");
    let released = Totals { pending: Nanos::ZERO, ..before.totals };
    assert_eq!((after.totals, &after.kinds, after.attempts), (released, &before.kinds, before.attempts));
    assert_eq!(after.gamers, before.gamers);
}

#[test]
fn day_after_day_the_file_stays_as_large_as_a_days_work() {
    let lab = Lab::new();
    let mut sizes = Vec::new();
    let mut next = 1;
    for _ in 0..6 {
        let ledger = lab.open();
        let (payer, helper) = (gamer(&ledger), worker(&ledger));
        for _ in 0..20 {
            append(&ledger, (next..next + 50).flat_map(|no| whole(TaskNo(no), payer, helper, 100, 10)));
            ledger.flush().unwrap();
            next += 50;
        }
        lab.pass(FOLDED_AFTER);
        fold(&ledger);
        ledger.close().unwrap();
        assert_eq!(lab.check().folded_tasks, next - 1);
        sizes.push(lab.path.metadata().unwrap().len());
    }
    assert!(sizes[5] < sizes[1] + sizes[1] / 8, "{sizes:?}");
}

#[test]
fn folding_takes_steps_and_balances_after_each_also_after_a_crash() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    for first in (1..6_000).step_by(500) {
        append(&ledger, (first..first + 500).flat_map(|no| whole(TaskNo(no), payer, helper, 100, 10)));
        ledger.flush().unwrap();
    }
    lab.pass(FOLDED_AFTER);
    let mut seen = Vec::new();
    while lab.check().folded_tasks < 6_000 {
        ledger.flush().unwrap();
        seen.push(lab.check().folded_tasks);
        let crashed = Lab::new();
        for name in ["results.db", "results.db-wal"] {
            std::fs::copy(lab.folder.path().join(name), crashed.folder.path().join(name)).unwrap();
        }
        crashed.check();
        assert!(seen.len() < 100, "it comes to an end: {seen:?}");
    }
    assert!(seen.is_sorted(), "{seen:?}");
    let steps = count(&lab, "groups WHERE folded IS NOT NULL");
    assert!(steps >= 6_000 * 2 / 2_048, "{steps} steps");
}

/// Folds everything so far; returns how many groups of the ledger have folded something.
fn steps_until_folded(lab: &Lab, ledger: &Ledger) -> i64 {
    lab.pass(FOLDED_AFTER);
    fold(ledger);
    count(lab, "groups WHERE folded IS NOT NULL")
}

#[test]
fn tasks_that_move_no_money_are_folded_in_steps_too() {
    let lab = Lab::new();
    let ledger = lab.open();
    let payer = gamer(&ledger);
    for first in (1..20_000).step_by(100) {
        let cancelled = |no| {
            let void = Entry::TaskVoided { task: TaskNo(no), reason: VoidReason::Cancelled };
            [admitted(TaskNo(no), payer, no, 10), void]
        };
        append(&ledger, (first..first + 100).flat_map(cancelled));
        ledger.flush().unwrap();
    }
    let steps = steps_until_folded(&lab, &ledger);
    assert!(steps >= 20_000 / 4_096, "{steps} steps");
    let check = lab.check();
    assert_eq!((check.folded_tasks, check.tasks), (20_000, 0), "{check}");
}

#[test]
fn changes_of_accounts_are_folded_in_steps_too() {
    let lab = Lab::new();
    let ledger = lab.open();
    for round in 0..10 {
        for number in 0..1_000 {
            let name = format!("bob {round} {number}");
            ledger.ask_account(Role::Worker, key_of("bob"), &name, Nanos::ZERO, || {}).unwrap();
        }
        ledger.flush().unwrap();
    }
    let steps = steps_until_folded(&lab, &ledger);
    assert!(steps >= 10_000 / 4_096, "{steps} steps");
    assert_eq!(count(&lab, "account_log"), 0);
    lab.check();
}

/// Patient tasks end among tasks that began much later, and others with lower numbers stay open.
#[test]
fn steps_go_on_past_tasks_that_were_open_for_long() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, (1..=3_000).map(|no| patient(TaskNo(no), payer, no, 30)));
    ledger.flush().unwrap();
    lab.pass(FOLDED_AFTER);
    fold(&ledger);
    for first in (3_001..12_000).step_by(100) {
        append(&ledger, (first..first + 100).flat_map(|no| whole(TaskNo(no), payer, helper, 100, 10)));
        let old = TaskNo(first / 100);
        append(&ledger, [started(old, 1, helper), settled(old, 1, helper, 20, 2)]);
        ledger.flush().unwrap();
    }
    let check = lab.check();
    assert_eq!((check.tasks, check.folded_tasks), (12_000, 0), "{check}");
    let steps = steps_until_folded(&lab, &ledger);
    let check = lab.check();
    assert_eq!((check.tasks, check.open_tasks, check.folded_tasks), (2_910, 2_910, 9_090), "{check}");
    assert!(steps < 20, "{steps} steps");
}

#[test]
fn a_folded_tasks_number_is_not_given_out_again() {
    let lab = Lab::new();
    let ledger = lab.open();
    append(&ledger, whole(TaskNo(9), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.close().unwrap();
    lab.pass(FOLDED_AFTER);
    let ledger = lab.open();
    fold(&ledger);
    ledger.close().unwrap();
    assert_eq!(count(&lab, "tasks"), 0);
    let ledger = lab.open();
    assert_eq!(ledger.next_task_no(), TaskNo(10));
    append(&ledger, whole(TaskNo(9), gamer(&ledger), worker(&ledger), 100, 10));
    ledger.flush().unwrap();
    assert_eq!(ledger.drain_committed().anomalies.conflicts, 1);
    assert_eq!(account_of(&ledger, Role::Gamer, "ada").turnover, Nanos(100));
}

#[test]
fn what_was_tampered_with_is_not_turned_into_sums() {
    let lab = Lab::new();
    let ledger = lab.open();
    history(&ledger, 1);
    ledger.close().unwrap();
    lab.tamper("UPDATE tasks SET pay = pay - 1 WHERE no = 1");
    lab.pass(FOLDED_AFTER);
    let ledger = lab.open();
    fold(&ledger);
    ledger.close().unwrap();
    let check = ledger::check(&lab.path).unwrap();
    assert!(!check.ok && check.folded_tasks == 0, "{check}");
}

#[test]
fn tampering_with_sums_is_found() {
    let lab = Lab::new();
    let ledger = lab.open();
    history(&ledger, 1);
    ledger.grant(Role::Gamer, key_of("ada"), Nanos(77), [1; 16]).unwrap();
    lab.pass(FOLDED_AFTER);
    fold(&ledger);
    ledger.close().unwrap();
    lab.check();
    let whole = std::fs::read(&lab.path).unwrap();
    for sql in [
        "UPDATE folded SET balance = balance + 5 WHERE account = 3; UPDATE folded SET balance = balance - 5 WHERE account = 1;
         UPDATE accounts SET balance = balance + 5 WHERE id = 3; UPDATE accounts SET balance = balance - 5 WHERE id = 1",
        "UPDATE folded SET turnover = turnover + 5 WHERE account = 3; UPDATE accounts SET turnover = turnover + 5 WHERE id = 3",
        "DELETE FROM folded WHERE account = 3",
        "UPDATE folded_kinds SET by_cache = by_cache + 1",
        "DELETE FROM folded_kinds",
        "UPDATE folded_attempts SET attempts = attempts + 1 WHERE verdict = 1",
        "UPDATE checkpoint SET hash = randomblob(32)",
        "UPDATE checkpoint SET grp = grp + 1",
        "UPDATE checkpoint SET task = 0",
        "UPDATE checkpoint SET grants = grants + 1; INSERT INTO grants VALUES (randomblob(16), 3, 9)",
        "DELETE FROM grants",
        "UPDATE groups SET folded = NULL",
        "UPDATE groups SET folded = randomblob(32) WHERE folded IS NOT NULL",
        "DELETE FROM groups",
    ] {
        std::fs::write(&lab.path, &whole).unwrap();
        lab.tamper(sql);
        let report = ledger::check(&lab.path).unwrap();
        assert!(!report.ok, "not found: {sql}");
    }
}

/// Folding goes on with the sums that it wrote, so a later step does not make a changed sum valid.
#[test]
fn sums_that_are_changed_while_the_coordinator_runs_are_found_after_later_steps_too() {
    let lab = Lab::new();
    let ledger = lab.open();
    let idle = account_of(&ledger, Role::Gamer, "grace").id;
    append(&ledger, whole(TaskNo(1), idle, worker(&ledger), 100, 10));
    ledger.flush().unwrap();
    lab.pass(FOLDED_AFTER);
    fold(&ledger);
    for table in
        ["folded SET turnover = turnover + 5 WHERE account", "accounts SET turnover = turnover + 5 WHERE id"]
    {
        lab.tamper(&format!("UPDATE {table} = {}", idle.0));
    }
    assert!(!ledger::check(&lab.path).unwrap().ok);
    history(&ledger, 2);
    lab.pass(FOLDED_AFTER);
    fold(&ledger);
    let report = ledger::check(&lab.path).unwrap();
    assert!(!report.ok && report.folded_tasks > 1, "{report}");
    ledger.close().unwrap();
}

#[test]
fn any_number_of_accounts_fits_into_little_memory() {
    let lab = Lab::new();
    let ledger = Ledger::open(&lab.path, LedgerOptions { accounts_max: 2, ..lab.options() }, || {}).unwrap();
    let ids = |role| -> Vec<AccountId> {
        (0..20).map(|n| account_of(&ledger, role, &format!("{role} {n}")).id).collect()
    };
    let (gamers, workers) = (ids(Role::Gamer), ids(Role::Worker));
    for round in 0..3 {
        let task = |n: usize| TaskNo(1 + round * 20 + n as u64);
        for n in 0..20 {
            append(&ledger, [admitted(task(n), gamers[n], task(n).0, 100), started(task(n), 1, workers[n])]);
            ledger.flush().unwrap();
        }
        for n in (0..20).rev() {
            append(&ledger, [settled(task(n), 1, workers[n], 90, 10)]);
            ledger.flush().unwrap();
        }
    }
    assert_eq!(ledger.drain_committed().anomalies.total(), 0);
    for n in 0..20 {
        let gamer = account_of(&ledger, Role::Gamer, &format!("gamer {n}"));
        assert_eq!((gamer.available.0, gamer.turnover.0), (Nanos::DOLLAR.0 - 300, 300), "{n}");
        assert_eq!(account_of(&ledger, Role::Worker, &format!("worker {n}")).set_aside.0, 270, "{n}");
    }
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn outcomes_that_were_to_be_kept_for_longer_go_with_their_tasks() {
    let lab = Lab::new();
    let kept_for = |hours| LedgerOptions { outcomes_kept: Duration::from_hours(hours), ..lab.options() };
    let ledger = Ledger::open(&lab.path, kept_for(24), || {}).unwrap();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), payer, helper, 100, 10));
    ledger.close().unwrap();
    lab.pass(6 * 3_600);
    let ledger = Ledger::open(&lab.path, kept_for(2), || {}).unwrap();
    append(&ledger, whole(TaskNo(2), payer, helper, 100, 10));
    fold(&ledger);
    let check = lab.check();
    assert_eq!((check.folded_tasks, check.tasks, count(&lab, "outcomes")), (1, 1, 1), "{check}");
    lab.pass(3 * 3_600);
    fold(&ledger);
    ledger.close().unwrap();
    assert_eq!((lab.check().folded_tasks, count(&lab, "outcomes")), (2, 0));
}

#[test]
fn an_outcome_whose_task_was_folded_is_deleted_when_the_ledger_is_opened() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), payer, helper, 100, 10));
    ledger.close().unwrap();
    lab.pass(FOLDED_AFTER);
    let ledger = lab.open();
    append(&ledger, whole(TaskNo(2), payer, helper, 100, 10));
    fold(&ledger);
    ledger.close().unwrap();
    lab.tamper(
        "INSERT INTO outcomes SELECT 1, 1, worker, expires_ms, checksum, bytes, patient FROM outcomes",
    );
    let report = ledger::check(&lab.path).unwrap();
    assert!(report.to_string().contains("belongs to no task"), "{report}");
    lab.open().close().unwrap();
    assert_eq!((lab.check().folded_tasks, count(&lab, "outcomes")), (1, 1));
}
