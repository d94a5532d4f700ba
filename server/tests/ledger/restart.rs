//! What a restart finds.

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, Ledger, TASK_NO_GAP, VoidReason};

use super::lab::{Lab, account_of, admitted, append, gamer, patient, settled, started, whole, worker};

/// Copies the files of a ledger as a crash would leave them: without closing it.
fn crashed(lab: &Lab) -> Lab {
    let copy = Lab::new();
    for ending in ["", "-wal"] {
        let name = format!("results.db{ending}");
        std::fs::copy(lab.folder.path().join(&name), copy.folder.path().join(&name)).unwrap();
    }
    copy
}

#[test]
fn holds_left_open_by_a_crash_are_void_and_patient_tasks_go_on() {
    let lab = Lab::new();
    let first = lab.open();
    let (payer, helper) = (gamer(&first), worker(&first));
    append(&first, whole(TaskNo(1), payer, helper, 100, 10));
    append(&first, [admitted(TaskNo(2), payer, 2, 30), started(TaskNo(2), 1, helper)]);
    append(&first, [patient(TaskNo(3), payer, 3, 40), started(TaskNo(3), 1, helper)]);
    append(&first, [patient(TaskNo(4), payer, 4, 50)]);
    first.flush().unwrap();
    let lab = crashed(&lab);

    let ledger = lab.open();
    let recovery = ledger.recovery();
    assert_eq!((recovery.closed_in_order, recovery.holds_voided, recovery.patient_tasks), (false, 1, 2));
    assert_eq!(ledger.next_task_no(), TaskNo(4 + 1 + TASK_NO_GAP), "no number is given out twice");
    let ada = account_of(&ledger, Role::Gamer, "ada");
    assert_eq!((ada.available, ada.set_aside), (Nanos(Nanos::DOLLAR.0 - 190), Nanos(90)));
    let waiting = ledger.take_patient_tasks();
    assert_eq!(waiting.len(), 2);
    assert_eq!((waiting[0].gamer, waiting[0].price, waiting[0].next_attempt.0), (payer, Nanos(40), 2));
    assert_eq!(ledger.account(payer).unwrap(), ada);
    assert_eq!(&*waiting[0].payload.spec, &[1, 2, 3]);
    assert_eq!(waiting[0].payload.blobs.iter().map(|blob| blob.len()).collect::<Vec<_>>(), [1, 0]);
    assert!(ledger.take_patient_tasks().is_empty());

    // One is finished under its old number, and the other waits through an orderly restart.
    let helper = worker(&ledger);
    append(&ledger, [started(TaskNo(3), 2, helper), settled(TaskNo(3), 2, helper, 36, 4)]);
    ledger.close().unwrap();
    assert_eq!(lab.check().open_tasks, 1);
    let ledger = lab.open();
    assert!(ledger.recovery().closed_in_order);
    assert_eq!(ledger.next_task_no(), TaskNo(5 + TASK_NO_GAP), "and none of those a crash has skipped");
    assert_eq!(ledger.take_patient_tasks().len(), 1);
    append(&ledger, [ledger::Entry::TaskVoided { task: TaskNo(4), reason: VoidReason::Cancelled }]);
    ledger.flush().unwrap();
    let ada = account_of(&ledger, Role::Gamer, "ada");
    assert_eq!((ada.available, ada.set_aside), (Nanos(Nanos::DOLLAR.0 - 140), Nanos(0)));
    ledger.close().unwrap();
    assert_eq!(lab.check().open_tasks, 0);
}

#[test]
fn what_was_not_flushed_is_written_when_the_last_handle_goes() {
    let lab = Lab::new();
    let ledger = lab.open();
    let clone: Ledger = ledger.clone();
    append(&ledger, whole(TaskNo(1), gamer(&ledger), worker(&ledger), 100, 10));
    drop(ledger);
    drop(clone);
    assert_eq!(lab.check().tasks, 1);
    assert!(lab.open().recovery().closed_in_order);
}

#[test]
fn check_and_report_work_beside_a_running_coordinator() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (gamer, worker) = (gamer(&ledger), worker(&ledger));
    append(&ledger, whole(TaskNo(1), gamer, worker, 100, 10));
    append(&ledger, [admitted(TaskNo(2), gamer, 2, 30)]);
    ledger.flush().unwrap();
    assert_eq!(lab.check().open_tasks, 1);
    let report = ledger::report(&lab.path).unwrap();
    assert_eq!((report.totals.revenue, report.totals.fee), (Nanos(100), Nanos(10)));
    assert_eq!((report.gamers[0].set_aside, report.workers[0].turnover), (Nanos(30), Nanos(90)));
    assert!(report.to_string().contains("ada"), "{report}");
    assert!(serde_json::to_string(&report).unwrap().contains("\"by_worker\":1"));
    append(&ledger, [settled(TaskNo(2), 1, worker, 0, 0)]);
    ledger.close().unwrap();
    lab.check();
}

/// Ada's charges of the last hour: seconds ago, and amount.
fn charged(ledger: &Ledger) -> Vec<(u64, i64)> {
    let ada = account_of(ledger, Role::Gamer, "ada");
    assert_eq!(ledger.account(ada.id).unwrap().charged_lately, ada.charged_lately);
    ada.charged_lately.iter().map(|charge| (charge.ago.as_secs(), charge.amount.0)).collect()
}

#[test]
fn what_an_hour_has_cost_is_known_after_a_crash_and_in_the_books_of_every_minute() {
    let lab = Lab::new();
    let ledger = lab.open();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    assert_eq!(charged(&ledger), []);
    append(&ledger, whole(TaskNo(1), payer, helper, 100, 10));
    append(&ledger, whole(TaskNo(2), payer, helper, 20, 2));
    append(&ledger, [admitted(TaskNo(3), payer, 3, 1_000)]);
    append(&ledger, [ledger::Entry::TaskVoided { task: TaskNo(3), reason: VoidReason::Late }]);
    ledger.flush().unwrap();
    append(&ledger, whole(TaskNo(4), payer, helper, 3, 1));
    ledger.flush().unwrap();
    assert_eq!(charged(&ledger), [(0, 123)], "this minute, all groups together, and nothing that is void");
    lab.pass(1_800);
    append(&ledger, whole(TaskNo(5), payer, helper, 7, 1));
    ledger.flush().unwrap();
    // The clock of these tests stands at a full minute.
    assert_eq!(charged(&ledger), [(1_740, 123), (0, 7)]);
    drop(lab.check());
    let lab = crashed(&lab);

    let ledger = lab.open();
    assert_eq!(charged(&ledger).iter().map(|(_, nanos)| nanos).sum::<i64>(), 130);
    // The copy's clock restarts, and the ledger's time continues once the clock has caught up.
    lab.pass(1_800 + 1_860);
    assert_eq!(charged(&ledger).last().map(|(_, nanos)| *nanos), Some(7));
    lab.pass(3_600);
    assert_eq!(charged(&ledger), []);
    append(&ledger, whole(TaskNo(TASK_NO_GAP + 9), payer, helper, 9, 1));
    ledger.close().unwrap();
    drop(lab.check());
    let charges = "SELECT count(*) FROM charged";
    let rows: i64 =
        rusqlite::Connection::open(&lab.path).unwrap().query_row(charges, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1, "old minutes are deleted");
    for tampering in ["UPDATE charged SET amount = amount - 1", "DELETE FROM charged"] {
        lab.tamper(tampering);
        let report = ledger::check(&lab.path).unwrap();
        assert!(report.to_string().contains("last hour"), "{tampering}: {report}");
    }
}
