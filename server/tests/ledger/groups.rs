//! Groups around the number of rows that one statement writes, which is 64.

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, AccountId, Entry, Ledger, Verdict, VoidReason};
use rusqlite::Connection;

use super::lab::{
    Lab, account_of, admitted, append, ended, gamer, patient, settled, settled_with, started, whole, worker,
};

const DOLLAR: i64 = Nanos::DOLLAR.0;

fn rows(lab: &Lab, sql: &str) -> i64 {
    Connection::open(&lab.path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn every_task_of_a_group_is_recorded_however_many_there_are() {
    for tasks in [1, 63, 64, 65, 127, 128, 129, 300] {
        let lab = Lab::new();
        let ledger = lab.open();
        let (payer, helper) = (gamer(&ledger), worker(&ledger));
        // The second group reuses statements with parameters bound by the first.
        for first in [1, 1_001] {
            append(
                &ledger,
                (first..first + tasks).flat_map(|no| whole(TaskNo(no), payer, helper, 10 + no as i64, 10)),
            );
            ledger.flush().unwrap();
        }
        let pay: i64 = (1..=tasks).chain(1_001..=1_000 + tasks).map(|no| no as i64).sum();
        let fees = 2 * 10 * tasks as i64;
        let seen = account_of(&ledger, Role::Gamer, "ada");
        assert_eq!((seen.available.0, seen.accepted), (DOLLAR - pay - fees, 2 * tasks), "{tasks} tasks");
        assert_eq!(account_of(&ledger, Role::Worker, "bob").set_aside, Nanos(pay));
        ledger.close().unwrap();
        let report = lab.check();
        assert_eq!((report.tasks, report.attempts, report.transfers), (2 * tasks, 2 * tasks, 1 + 4 * tasks));
        assert_eq!(rows(&lab, "SELECT count(*) FROM outcomes WHERE bytes IS NOT NULL"), 2 * tasks as i64);
        assert_eq!(rows(&lab, "SELECT max(id) - min(id) + 1 FROM outcomes"), 2 * tasks as i64, "no gaps");
        assert_eq!(lab.open().take_cached_outcomes().len(), 2 * tasks as usize);
    }
}

#[test]
fn a_task_of_one_group_and_one_attempt_is_one_row_that_says_what_others_have_rows_for() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    let whole = |no, price, fee| whole(TaskNo(no), payer, helper, price, fee);
    let mut entries = life(6, 6, payer, helper);
    entries.extend(whole(1, 100, 10));
    // No fee, no pay, and neither.
    entries.extend([whole(2, 100, 0), whole(3, 100, 100), whole(4, 0, 0)].into_iter().flatten());
    let [admitted, started, settled] = whole(7, 100, 10);
    entries.extend([admitted, started]);
    append(&ledger, entries);
    ledger.flush().unwrap();
    append(&ledger, [settled]);
    ledger.flush().unwrap();
    let of_tasks = |table: &str, bits: u8| {
        let sql = format!("SELECT count(*) FROM {table} WHERE id > 0 AND id >> {bits} =");
        [1, 2, 3, 4, 6, 7].map(|no| rows(&lab, &format!("{sql} {no}")))
    };
    assert_eq!(of_tasks("transfers", 2), [0, 0, 0, 0, 2, 3]);
    assert_eq!(of_tasks("attempts", 8), [0, 0, 0, 0, 2, 1]);
    let seen = account_of(&ledger, Role::Worker, "bob");
    assert_eq!((seen.set_aside.0, seen.accepted, seen.rejected), (90 + 100 + 60 + 90, 6, 1));
    assert_eq!(account_of(&ledger, Role::Gamer, "ada").available.0, DOLLAR - 100 - 100 - 100 - 65 - 100);

    // A verdict on the accepted attempt comes too late, as it does where the attempt has a row.
    for no in [1, 7] {
        append(&ledger, [ended(TaskNo(no), 1, Verdict::Rejected { reason: "late".into() })]);
    }
    append(&ledger, [ended(TaskNo(1), 2, Verdict::Lost)]);
    ledger.flush().unwrap();
    let anomalies = ledger.drain_committed().anomalies;
    assert_eq!((anomalies.bad_attempt, anomalies.not_open, anomalies.total()), (2, 1, 3));
    ledger.close().unwrap();
    let check = lab.check();
    assert_eq!((check.tasks, check.attempts, check.transfers), (6, 7, 1 + 2 + 1 + 1 + 2 + 3));
    let attempts = ledger::report(&lab.path).unwrap().attempts;
    assert_eq!((attempts.accepted, attempts.rejected), (6, 1));
}

#[test]
fn an_admission_that_is_repeated_takes_no_verdict_from_the_task_that_has_its_number() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    let task = TaskNo(1);
    let void = Entry::TaskVoided { task, reason: VoidReason::Late };
    append(&ledger, [admitted(task, payer, 1, 100), started(task, 1, helper), void]);
    ledger.flush().unwrap();
    append(&ledger, [admitted(task, payer, 1, 100), ended(task, 1, Verdict::Accepted)]);
    // A new task has no such attempt, whatever an entry says.
    append(&ledger, [admitted(TaskNo(2), payer, 2, 100), ended(TaskNo(2), 1, Verdict::Accepted)]);
    let void = Entry::TaskVoided { task: TaskNo(2), reason: VoidReason::Late };
    append(&ledger, [started(TaskNo(2), 1, helper), void]);
    ledger.flush().unwrap();
    assert_eq!(account_of(&ledger, Role::Worker, "bob").accepted, 1);
    let anomalies = ledger.drain_committed().anomalies;
    assert_eq!((anomalies.conflicts, anomalies.bad_attempt, anomalies.total()), (1, 1, 2));
    ledger.close().unwrap();
    lab.check();
}

/// The entries of a task, which has one of four histories.
fn life(no: u64, game_task: u64, payer: AccountId, helper: AccountId) -> Vec<Entry> {
    let task = TaskNo(no);
    let void = Entry::TaskVoided { task, reason: VoidReason::Late };
    match no % 4 {
        0 => vec![admitted(task, payer, game_task, 100), started(task, 1, helper), void],
        1 => vec![patient(task, payer, game_task, 100), started(task, 1, helper)],
        2 => vec![
            admitted(task, payer, game_task, 100),
            started(task, 1, helper),
            ended(task, 1, Verdict::Rejected { reason: "path.cost".into() }),
            started(task, 2, helper),
            settled(task, 2, helper, 60, 5),
        ],
        _ => vec![
            admitted(task, payer, game_task, 100),
            started(task, 1, helper),
            settled(task, 1, helper, 90, 10),
        ],
    }
}

#[test]
fn of_many_tasks_only_those_whose_numbers_were_used_before_are_dropped() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    append(&ledger, (1..=10).flat_map(|no| life(no, no, payer, helper)));
    ledger.flush().unwrap();
    // At both ends of a statement, in the middle, all four histories; numbers of an earlier group, of the same
    // group, and of the same statement.
    let used_before = |no: u64| match no {
        11..=14 => Some(no - 10),
        30 => Some(29),
        64 | 65 => Some(20),
        74 => Some(1),
        75 => Some(73),
        138 | 139 => Some(75 + 16),
        150 => Some(149),
        _ => None,
    };
    append(&ledger, (11..=150).flat_map(|no| life(no, used_before(no).unwrap_or(no), payer, helper)));
    ledger.flush().unwrap();
    let committed = ledger.drain_committed();
    let expected: Vec<u64> = (11..=150).filter(|no| used_before(*no).is_some()).collect();
    let dropped: Vec<u64> = committed.conflicts.iter().map(|conflict| conflict.task.0).collect();
    assert_eq!(dropped, expected);
    assert_eq!(committed.anomalies.conflicts, expected.len() as u64);

    let kept = || (1..=150).filter(|no| used_before(*no).is_none());
    let of = |kind: u64| kept().filter(|no| no % 4 == kind).count() as i64;
    let seen = account_of(&ledger, Role::Gamer, "ada");
    let charged = 65 * of(2) + 100 * of(3);
    assert_eq!(seen.available, Nanos(DOLLAR - charged - 100 * of(1)));
    assert_eq!(seen.set_aside, Nanos(100 * of(1)), "the patient ones are held");
    assert_eq!((seen.accepted as i64, seen.rejected as i64), (of(2) + of(3), of(0)));
    ledger.close().unwrap();
    let report = lab.check();
    assert_eq!(report.tasks, kept().count() as u64);
    assert_eq!(report.open_tasks, of(1) as u64);
    assert_eq!(report.attempts, report.tasks + of(2) as u64);
    assert_eq!(lab.open().take_patient_tasks().len(), of(1) as usize);
}

#[test]
fn large_outcomes_and_small_ones_come_back_as_they_were() {
    let outcome = |no: u64| vec![no as u8; if no.is_multiple_of(7) { 60_000 } else { no as usize % 50 }];
    let lab = Lab::new();
    let ledger: Ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    for no in 1..=150 {
        let task = TaskNo(no);
        append(&ledger, [admitted(task, payer, no, 100), started(task, 1, helper)]);
        append(&ledger, [settled_with(task, 1, helper, 90, 10, &outcome(no))]);
    }
    ledger.close().unwrap();
    lab.check();
    let found = lab.open().take_cached_outcomes();
    assert_eq!(found.len(), 150);
    for (no, found) in (1..=150).rev().zip(&found) {
        assert!(*found.bytes == outcome(no)[..], "the outcome of task {no} has {} bytes", found.bytes.len());
    }
}

/// Each thread's niceness is in the nineteenth field of its `stat`; the second, its name in brackets, may have spaces.
#[cfg(target_os = "linux")]
#[test]
fn the_writer_lets_other_threads_go_first() {
    let niceness = |stat: &str| -> i32 {
        let after_name = stat.rsplit_once(") ").unwrap().1;
        after_name.split(' ').nth(16).unwrap().parse().unwrap()
    };
    let ours = niceness(&std::fs::read_to_string("/proc/thread-self/stat").unwrap());
    let lab = Lab::new();
    let ledger = lab.open();
    ledger.flush().unwrap();
    // Linux ends a listing of threads early when the thread it stands at exits, as those of other tests do: list again.
    let found = (0..1000).find_map(|_| {
        std::fs::read_dir("/proc/self/task")
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok())
            .filter(|stat| stat.contains("(ledger)"))
            .map(|stat| niceness(&stat))
            .find(|&found| found == (ours + 10).min(19))
    });
    assert!(found.is_some(), "no ledger's thread has a niceness of 10 more than this thread's {ours}");
    ledger.close().unwrap();
}
