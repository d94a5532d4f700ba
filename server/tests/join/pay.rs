//! A ledger in which the worker of the first key has earned: a part was paid out, a part is pending, a part can be paid.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2c2r_protocol::{Attempt, Digest, KindId, Nanos, PassedCheck, Role, TaskId, TaskNo, WorkUnits};
use p2c2r_server::config::LEDGER_FILE;
use p2c2r_server::join::make_data_folder;
use p2c2r_server::ledger::{
    AccountId, Admission, ComputedFrom, Entry, Ledger, LedgerClock, LedgerOptions, Settlement,
};

use crate::lab::{Folder, key};

/// The coordinator's share of each task.
const FEE: Nanos = Nanos(100_000);
/// Longer than the fraud window.
const RELEASED_AFTER_S: u64 = 7_200;

/// Makes the folder's ledger: $1.25 can be paid, $0.50 is pending, $0.75 was paid.
pub fn earned_and_paid(folder: &Folder) {
    make_data_folder(&folder.path()).unwrap();
    let passed_s = Arc::new(AtomicU64::new(1_800_000_000));
    let time = {
        let passed_s = passed_s.clone();
        move || Duration::from_secs(passed_s.load(Ordering::Relaxed))
    };
    let options =
        LedgerOptions { clock: LedgerClock::new(time.clone(), time, Some(1)), ..LedgerOptions::default() };
    let ledger = Ledger::open(&folder.path().join(LEDGER_FILE), options, || {}).unwrap();
    let account =
        |role, key, name| ledger.open_account(role, key, name, Nanos(10 * Nanos::DOLLAR.0)).unwrap().id;
    let (gamer, worker) = (account(Role::Gamer, key(9), "grace"), account(Role::Worker, key(1), "ada"));
    let earn = |task, pay| {
        ledger.append_all(&mut task_of(TaskNo(task), (gamer, worker), pay).into()).unwrap();
        ledger.flush().unwrap();
    };
    earn(1, Nanos(2 * Nanos::DOLLAR.0));
    passed_s.fetch_add(RELEASED_AFTER_S, Ordering::Relaxed);
    ledger.flush().unwrap();
    ledger.pay_out(worker, Nanos(750_000_000), "transfer 1").unwrap();
    earn(2, Nanos(500_000_000));
    ledger.close().unwrap();
}

fn task_of(task: TaskNo, (gamer, worker): (AccountId, AccountId), pay: Nanos) -> [Entry; 3] {
    let price = pay + FEE;
    let admission = Admission {
        task,
        gamer,
        game_task: TaskId(task.0),
        kind: KindId(1),
        kernel_version: 1,
        key: Digest::of(&task.0.to_le_bytes()),
        units: WorkUnits(1),
        price,
        price_list: 1,
        patient: None,
    };
    let attempt = Attempt(1);
    let settlement = Settlement {
        task,
        source: ComputedFrom::Worker { worker, attempt },
        pay,
        fee: FEE,
        check: PassedCheck::Deep,
        outcome: None,
    };
    [
        Entry::TaskAdmitted(admission),
        Entry::AttemptStarted { task, attempt, worker: Some(worker) },
        Entry::TaskSettled(settlement),
    ]
}
