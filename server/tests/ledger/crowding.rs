//! More tasks than the books may hold: the oldest are folded early, without loss of anything that is owed, and accounts
//! with many tasks have to wait before those with few.

use std::time::{Duration, Instant};

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, Entry, Ledger, LedgerOptions};
use rusqlite::Connection;

use super::lab::{Lab, account_of, append, gamer, whole, worker};

const TASKS_MAX: u64 = 2_000;

/// After this no pay is pending.
const WINDOW_OVER: u64 = 2 * 3_600;

fn open(lab: &Lab) -> Ledger {
    let options = LedgerOptions { tasks_max: TASKS_MAX, tasks_per_account_max: 20, ..lab.options() };
    Ledger::open(&lab.path, options, || {}).unwrap()
}

/// A gamer's tasks from number `first` on, in groups of 100.
fn tasks(ledger: &Ledger, name: &str, first: u64, count: u64) {
    let (payer, helper) = (account_of(ledger, Role::Gamer, name).id, worker(ledger));
    for first in (first..first + count).step_by(100) {
        append(ledger, (first..first + 100).flat_map(|no| whole(TaskNo(no), payer, helper, 100, 10)));
        ledger.flush().unwrap();
    }
}

fn steps(ledger: &Ledger) {
    for _ in 0..20 {
        ledger.flush().unwrap();
    }
}

fn outcomes(lab: &Lab) -> i64 {
    let sql = "SELECT count(*) FROM outcomes";
    Connection::open(&lab.path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_flood_is_folded_before_its_day_is_over_and_the_file_stops_growing() {
    let lab = Lab::new();
    let ledger = open(&lab);
    let mut sizes = Vec::new();
    for round in 0..6 {
        tasks(&ledger, "ada", 1 + round * 1_500, 1_500);
        lab.pass(WINDOW_OVER);
        let before = ledger::report(&lab.path).unwrap();
        steps(&ledger);
        let check = lab.check();
        assert!(check.tasks <= TASKS_MAX / 2, "{check}");
        assert_eq!(check.tasks + check.folded_tasks, (round + 1) * 1_500, "{check}");
        assert_eq!(check.tasks as i64, outcomes(&lab), "outcomes go with their tasks");
        assert_eq!(account_of(&ledger, Role::Gamer, "ada").tasks_recorded, check.tasks);
        assert_eq!(ledger.room().unwrap().tasks_per_account, u64::MAX);
        let after = ledger::report(&lab.path).unwrap();
        assert_eq!(
            (after.kinds, after.attempts, after.gamers),
            (before.kinds, before.attempts, before.gamers)
        );
        sizes.push(lab.path.metadata().unwrap().len());
    }
    assert!(sizes[5] <= sizes[2], "{sizes:?}");
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn what_is_pending_is_not_folded_early_and_still_goes_back_to_who_paid_it() {
    let lab = Lab::new();
    let ledger = open(&lab);
    tasks(&ledger, "ada", 1, 3_000);
    steps(&ledger);
    assert_eq!(lab.check().folded_tasks, 0);
    assert_eq!(ledger.room().unwrap().tasks_per_account, 0, "nobody gets another one");
    append(&ledger, [Entry::WorkerConvicted { worker: worker(&ledger) }]);
    steps(&ledger);
    let paid_back = account_of(&ledger, Role::Gamer, "ada").available;
    assert_eq!(paid_back, Nanos(Nanos::DOLLAR.0 - 3_000 * 10), "all but the fee");
    lab.pass(WINDOW_OVER);
    steps(&ledger);
    let check = lab.check();
    assert!(check.tasks <= TASKS_MAX / 2, "{check}");
    assert_eq!(ledger.room().unwrap().tasks_per_account, u64::MAX, "there is room again");
}

/// When everybody is refused, nothing is appended, and the writer must make room all the same.
#[test]
fn books_that_are_full_are_folded_although_nothing_comes_also_after_a_restart() {
    let lab = Lab::new();
    let ledger = open(&lab);
    tasks(&ledger, "ada", 1, 2_000);
    ledger.close().unwrap();
    lab.pass(WINDOW_OVER);
    let ledger = open(&lab);
    assert_eq!(ledger.room().unwrap().tasks_per_account, 0);
    let patience = Instant::now() + Duration::from_mins(1);
    while ledger.room().unwrap().tasks_per_account < u64::MAX {
        assert!(Instant::now() < patience, "the writer does not fold by itself");
        std::thread::yield_now();
    }
}

#[test]
fn accounts_that_have_many_wait_before_those_that_have_few() {
    let lab = Lab::new();
    let ledger = open(&lab);
    tasks(&ledger, "ada", 1, 1_500);
    assert_eq!(ledger.room().unwrap().tasks_per_account, u64::MAX, "three quarters are no reason to refuse");
    tasks(&ledger, "eve", 1_501, 100);
    assert_eq!(ledger.room().unwrap().tasks_per_account, 20, "what is set for an account");
    tasks(&ledger, "eve", 1_601, 200);
    assert_eq!(ledger.room().unwrap().tasks_per_account, 200 / 15, "of what is left");
    let recorded =
        |ledger: &Ledger| ["ada", "eve"].map(|name| account_of(ledger, Role::Gamer, name).tasks_recorded);
    assert_eq!(recorded(&ledger), [1_500, 300]);
    ledger.close().unwrap();
    let ledger = open(&lab);
    assert_eq!(
        (recorded(&ledger), gamer(&ledger)),
        ([1_500, 300], account_of(&ledger, Role::Gamer, "ada").id)
    );
    assert_eq!(ledger.room().unwrap().tasks_per_account, 200 / 15);
    ledger.close().unwrap();
    lab.tamper("UPDATE accounts SET tasks = 3 WHERE tasks > 3");
    let check = ledger::check(&lab.path).unwrap();
    assert!(!check.ok && check.to_string().contains("tasks"), "{check}");
}
