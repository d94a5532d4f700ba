//! What entries do to accounts.

use p2c2r_protocol::{Nanos, PassedCheck, Role, TaskNo};
use p2c2r_server::ledger::{
    self, AccountId, Committed, ComputedFrom, Entry, Ledger, LedgerOptions, LedgerStopped, Settlement,
    Verdict, VoidReason,
};

use super::lab::{
    Lab, account_of, admitted, append, ended, gamer, key_of, patient, settled, started, whole, worker,
};

/// Available, set aside, turnover, accepted, rejected.
fn books(ledger: &Ledger, role: Role, name: &str) -> (i64, i64, i64, u64, u64) {
    let account = account_of(ledger, role, name);
    (account.available.0, account.set_aside.0, account.turnover.0, account.accepted, account.rejected)
}

const DOLLAR: i64 = Nanos::DOLLAR.0;

#[test]
fn a_settled_task_is_shared_between_worker_and_coordinator() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), gamer, worker, 100, 10));
    ledger.flush().unwrap();
    assert_eq!(books(&ledger, Role::Gamer, "ada"), (DOLLAR - 100, 0, 100, 1, 0));
    assert_eq!(books(&ledger, Role::Worker, "bob"), (0, 90, 90, 1, 0));
    assert_eq!(ledger.totals().fee, Nanos(10));
    assert_eq!(ledger.close().unwrap().sum, Nanos::ZERO);
    assert_eq!(lab.check().transfers, 3, "opening credit, pay, fee");
}

#[test]
fn written_in_one_group_or_in_many_the_balances_are_the_same() {
    let (together, apart) = (Lab::new(), Lab::new());
    for (lab, separately) in [(&together, false), (&apart, true)] {
        let ledger = lab.open();
        let (gamer, worker) = (gamer(&ledger), worker(&ledger));
        let entries = [
            admitted(TaskNo(1), gamer, 1, 100),
            started(TaskNo(1), 1, worker),
            ended(TaskNo(1), 1, Verdict::Rejected { reason: "path.cost".into() }),
            started(TaskNo(1), 2, worker),
            admitted(TaskNo(2), gamer, 2, 50),
            settled(TaskNo(1), 2, worker, 60, 5),
            Entry::TaskVoided { task: TaskNo(2), reason: VoidReason::Late },
        ];
        for entry in entries {
            append(&ledger, [entry]);
            if separately {
                ledger.flush().unwrap();
            }
        }
        ledger.flush().unwrap();
        assert_eq!(books(&ledger, Role::Gamer, "ada"), (DOLLAR - 65, 0, 65, 1, 1));
        assert_eq!(books(&ledger, Role::Worker, "bob"), (0, 60, 60, 1, 1));
        ledger.close().unwrap();
    }
    assert_eq!(together.check().transfers, 3);
    assert_eq!(apart.check().transfers, 7, "credit, two holds, pay, fee, return of the rest, void");
}

#[test]
fn held_and_charged_are_seen_apart() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    append(&ledger, [admitted(TaskNo(1), gamer, 1, 100), started(TaskNo(1), 1, worker)]);
    ledger.flush().unwrap();
    let Committed { accounts, entries, .. } = ledger.drain_committed();
    let seen = accounts.iter().find(|account| account.id == gamer).unwrap();
    assert_eq!((seen.available.0, seen.set_aside.0, seen.turnover.0), (DOLLAR - 100, 100, 0));
    assert_eq!(entries, 2);
    assert!(ledger.drain_committed().accounts.is_empty(), "told once");
    append(&ledger, [settled(TaskNo(1), 1, worker, 90, 10)]);
    ledger.flush().unwrap();
    assert_eq!(books(&ledger, Role::Gamer, "ada"), (DOLLAR - 100, 0, 100, 1, 0));
}

#[test]
fn a_repeated_entry_charges_nothing_twice() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    let entries = whole(TaskNo(1), gamer, worker, 100, 10);
    append(&ledger, entries.iter().flat_map(|entry| [entry.clone(), entry.clone()]));
    append(&ledger, entries.clone());
    ledger.flush().unwrap();
    append(&ledger, entries);
    append(&ledger, [Entry::TaskVoided { task: TaskNo(1), reason: VoidReason::Late }]);
    ledger.flush().unwrap();
    assert_eq!(books(&ledger, Role::Gamer, "ada"), (DOLLAR - 100, 0, 100, 1, 0));
    assert_eq!(books(&ledger, Role::Worker, "bob"), (0, 90, 90, 1, 0));
    assert!(ledger.close().unwrap().anomalies.total() > 0);
    lab.check();
}

#[test]
fn a_gamers_task_number_used_twice_is_dropped_and_reported() {
    let lab = Lab::new();
    let first = lab.open();
    append(&first, whole(TaskNo(1), gamer(&first), worker(&first), 100, 10));
    first.close().unwrap();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    // The same number of the game under new numbers of the coordinator: settled at once, open, and patient.
    append(
        &ledger,
        [
            admitted(TaskNo(2), gamer, 1, 100),
            started(TaskNo(2), 1, worker),
            settled(TaskNo(2), 1, worker, 90, 10),
            admitted(TaskNo(3), gamer, 1, 100),
            patient(TaskNo(4), gamer, 1, 100),
        ],
    );
    ledger.flush().unwrap();
    let committed = ledger.drain_committed();
    let dropped: Vec<u64> = committed.conflicts.iter().map(|conflict| conflict.task.0).collect();
    assert_eq!(dropped, [2, 3, 4]);
    assert_eq!(committed.anomalies.conflicts, 3);
    append(&ledger, [settled(TaskNo(3), 1, worker, 90, 10)]);
    ledger.flush().unwrap();
    assert_eq!(books(&ledger, Role::Gamer, "ada"), (DOLLAR - 100, 0, 100, 1, 0));
    assert_eq!(books(&ledger, Role::Worker, "bob"), (0, 90, 90, 1, 0));
    ledger.close().unwrap();
    assert_eq!(lab.check().tasks, 1);
}

#[test]
fn no_gamer_goes_below_zero() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    append(
        &ledger,
        [
            admitted(TaskNo(1), gamer, 1, DOLLAR - 1),
            admitted(TaskNo(2), gamer, 2, 2),
            admitted(TaskNo(3), gamer, 3, -5),
            started(TaskNo(1), 1, worker),
            settled(TaskNo(1), 1, worker, DOLLAR - 2, 0),
            admitted(TaskNo(4), gamer, 4, 2),
        ],
    );
    ledger.flush().unwrap();
    assert_eq!(ledger.drain_committed().anomalies.overdrawn, 2);
    assert_eq!(books(&ledger, Role::Gamer, "ada"), (0, 2, DOLLAR - 2, 1, 0));
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn a_settlement_that_shares_out_too_much_or_pays_the_wrong_one_voids_the_task() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    let other = account_of(&ledger, Role::Worker, "eve").id;
    let own = |task, pay: i64| {
        Entry::TaskSettled(Settlement {
            task: TaskNo(task),
            source: ComputedFrom::Coordinator,
            pay: Nanos(pay),
            fee: Nanos(0),
            check: PassedCheck::Own,
            outcome: None,
        })
    };
    let bad = [
        settled(TaskNo(1), 1, worker, 90, 11),
        settled(TaskNo(2), 1, worker, -1, 11),
        settled(TaskNo(3), 1, other, 90, 10),
        settled(TaskNo(4), 2, worker, 90, 10),
        own(5, 1),
    ];
    for (no, settlement) in (1..).map(TaskNo).zip(bad) {
        append(&ledger, [admitted(no, gamer, no.0, 100), started(no, 1, worker), settlement]);
    }
    append(&ledger, [admitted(TaskNo(6), AccountId(2), 6, 1), started(TaskNo(1), 3, gamer)]);
    ledger.flush().unwrap();
    let anomalies = ledger.drain_committed().anomalies;
    assert_eq!((anomalies.bad_settlement, anomalies.wrong_account), (5, 2));
    assert_eq!(books(&ledger, Role::Gamer, "ada"), (DOLLAR, 0, 0, 0, 5));
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn the_coordinators_own_work_and_the_cache_pay_no_worker() {
    let lab = Lab::new();
    let ledger = lab.open();
    let gamer = gamer(&ledger);
    for (no, source, fee) in [(1, ComputedFrom::Coordinator, 100), (2, ComputedFrom::Cache, 10)] {
        let check = PassedCheck::Own;
        let settlement =
            Settlement { task: TaskNo(no), source, pay: Nanos(0), fee: Nanos(fee), check, outcome: None };
        append(&ledger, [admitted(TaskNo(no), gamer, no, 100)]);
        ledger.flush().unwrap();
        append(&ledger, [Entry::TaskSettled(settlement)]);
    }
    ledger.flush().unwrap();
    assert_eq!(books(&ledger, Role::Gamer, "ada"), (DOLLAR - 110, 0, 110, 2, 0));
    assert_eq!(ledger.close().unwrap().totals.fee, Nanos(110));
    lab.check();
    let report = ledger::report(&lab.path).unwrap();
    assert_eq!((report.kinds[0].by_coordinator, report.kinds[0].by_cache), (1, 1));
}

#[test]
fn a_late_verdict_still_counts_against_its_worker() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    let liar = account_of(&ledger, Role::Worker, "eve").id;
    append(&ledger, [admitted(TaskNo(1), gamer, 1, 100), started(TaskNo(1), 1, liar)]);
    append(&ledger, [started(TaskNo(1), 2, worker), settled(TaskNo(1), 2, worker, 90, 10)]);
    ledger.flush().unwrap();
    let wrong = || ended(TaskNo(1), 1, Verdict::Rejected { reason: "ü".repeat(1_000) });
    append(
        &ledger,
        [wrong(), wrong(), ended(TaskNo(1), 2, Verdict::Lost), ended(TaskNo(9), 1, Verdict::Lost)],
    );
    ledger.flush().unwrap();
    let anomalies = ledger.drain_committed().anomalies;
    assert_eq!((anomalies.bad_attempt, anomalies.not_open), (2, 1));
    assert_eq!(books(&ledger, Role::Worker, "eve"), (0, 0, 0, 0, 1));
    assert_eq!(books(&ledger, Role::Worker, "bob"), (0, 90, 90, 1, 0));
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn pay_is_pending_until_the_fraud_window_has_passed() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), gamer, worker, 100, 10));
    ledger.flush().unwrap();
    lab.pass(3_599);
    append(&ledger, whole(TaskNo(2), gamer, worker, 50, 5));
    ledger.flush().unwrap();
    assert_eq!(books(&ledger, Role::Worker, "bob"), (0, 135, 135, 2, 0), "never early");
    lab.pass(61);
    ledger.flush().unwrap();
    assert_eq!(books(&ledger, Role::Worker, "bob"), (90, 45, 135, 2, 0), "at most a minute late");
    ledger.close().unwrap();
    lab.check();
    lab.pass(10_000);
    let ledger = lab.open();
    assert_eq!(books(&ledger, Role::Worker, "bob"), (135, 0, 135, 2, 0), "a restart goes on");
    ledger.close().unwrap();
    lab.check();
}

#[test]
fn the_opening_credit_is_given_once() {
    let lab = Lab::new();
    for _ in 0..2 {
        let ledger = lab.open();
        assert_eq!(account_of(&ledger, Role::Gamer, "ada").available, Nanos::DOLLAR);
        assert_eq!(account_of(&ledger, Role::Gamer, "ada").available, Nanos::DOLLAR);
        assert_eq!(account_of(&ledger, Role::Worker, "ada").available, Nanos::ZERO);
        for name in ["", &"x".repeat(65)] {
            assert!(ledger.open_account(Role::Gamer, key_of(name), name, Nanos::ZERO).is_err());
        }
        ledger.close().unwrap();
    }
    assert_eq!(lab.check().transfers, 1);
    assert_eq!(ledger::report(&lab.path).unwrap().bank, Nanos(-DOLLAR));
}

#[test]
fn a_full_queue_has_room_for_no_task_and_takes_what_becomes_of_those_before() {
    let lab = Lab::new();
    let options = LedgerOptions { queue_entries_max: 0, ..lab.options() };
    let ledger = Ledger::open(&lab.path, options, || {}).unwrap();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    assert_eq!(ledger.room().unwrap().admissions, 0);
    append(&ledger, [admitted(TaskNo(1), gamer, 1, 1), started(TaskNo(1), 1, worker)]);
    ledger.close().unwrap();
    assert_eq!(ledger.append_all(&mut vec![started(TaskNo(1), 1, worker)]), Err(LedgerStopped::Closed));
    assert!(ledger.close().is_err());
}

#[test]
fn the_app_is_notified_of_every_group() {
    let lab = Lab::new();
    let (tell, told) = std::sync::mpsc::channel();
    let ledger = Ledger::open(&lab.path, lab.options(), move || tell.send(()).unwrap_or(())).unwrap();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    told.try_iter().for_each(drop);
    append(&ledger, whole(TaskNo(1), gamer, worker, 100, 10));
    // Nobody flushes: the group is written by itself.
    let wait = std::time::Duration::from_mins(1);
    while ledger.drain_committed().totals.tasks_done == 0 {
        told.recv_timeout(wait).unwrap();
    }
}
