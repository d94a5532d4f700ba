//! A ledger in a folder of its own, with a wall clock that the test moves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2c2r_protocol::{
    AccountKey, Attempt, Digest, KindId, Nanos, PassedCheck, Role, TaskId, TaskNo, WorkUnits,
};
use p2c2r_server::ledger::{
    self, Account, AccountId, Admission, CheckReport, Entry, Ledger, LedgerClock, LedgerOptions,
    PatientPayload, Settlement, Source, Verdict,
};
use rusqlite::Connection;
use tempfile::TempDir;

/// A folder, a clock and the options for ledgers in it.
pub struct Lab {
    pub folder: TempDir,
    pub path: PathBuf,
    wall_s: Arc<AtomicU64>,
    running_s: Arc<AtomicU64>,
    boot: AtomicU64,
}

impl Lab {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.db");
        Self {
            folder,
            path,
            wall_s: Arc::new(AtomicU64::new(1_800_000_000)),
            running_s: Arc::default(),
            boot: AtomicU64::new(1),
        }
    }

    pub fn options(&self) -> LedgerOptions {
        let [wall, running] = [&self.wall_s, &self.running_s].map(|clock| {
            let clock = Arc::clone(clock);
            move || Duration::from_secs(clock.load(Ordering::Relaxed))
        });
        let boot = self.boot.load(Ordering::Relaxed) as i64;
        let clock = LedgerClock::new(wall, running, Some(boot));
        LedgerOptions { clock, ..LedgerOptions::default() }
    }

    pub fn open(&self) -> Ledger {
        Ledger::open(&self.path, self.options(), || {}).unwrap()
    }

    pub fn pass(&self, seconds: u64) {
        self.step_wall_clock(seconds as i64);
        self.running_s.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The wall clock is set to another time; none passes.
    pub fn step_wall_clock(&self, seconds: i64) {
        self.wall_s.fetch_add(seconds as u64, Ordering::Relaxed);
    }

    /// The machine is started anew, and its running time with it.
    pub fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::Relaxed);
        self.running_s.store(0, Ordering::Relaxed);
    }

    /// The books must balance.
    pub fn check(&self) -> CheckReport {
        let report = ledger::check(&self.path).unwrap();
        assert!(report.ok, "{report}");
        report
    }

    /// Changes the file as only an intruder would, triggers put aside.
    pub fn tamper(&self, sql: &str) {
        let connection = Connection::open(&self.path).unwrap();
        let triggers: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for trigger in triggers {
            connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// The key of whoever these tests call by this name.
pub fn key_of(name: &str) -> AccountKey {
    AccountKey(Digest::of(name.as_bytes()).0)
}

pub fn account_of(ledger: &Ledger, role: Role, name: &str) -> Account {
    ledger.open_account(role, key_of(name), name, Nanos::DOLLAR).unwrap()
}

pub fn gamer(ledger: &Ledger) -> AccountId {
    account_of(ledger, Role::Gamer, "ada").id
}

pub fn worker(ledger: &Ledger) -> AccountId {
    account_of(ledger, Role::Worker, "bob").id
}

pub fn admission(task: TaskNo, gamer: AccountId, game_task: u64, price: i64) -> Admission {
    Admission {
        task,
        gamer,
        game_task: TaskId(game_task),
        kind: KindId(1),
        kernel_version: 1,
        key: Digest::of(&game_task.to_le_bytes()),
        units: WorkUnits(price as u64),
        price: Nanos(price),
        price_list: 1,
        patient: None,
    }
}

pub fn admitted(task: TaskNo, gamer: AccountId, game_task: u64, price: i64) -> Entry {
    Entry::TaskAdmitted(admission(task, gamer, game_task, price))
}

pub fn patient(task: TaskNo, gamer: AccountId, game_task: u64, price: i64) -> Entry {
    let payload = PatientPayload { spec: vec![1, 2, 3].into(), blobs: vec![vec![4].into(), vec![].into()] };
    Entry::TaskAdmitted(Admission {
        patient: Some(Box::new(payload)),
        ..admission(task, gamer, game_task, price)
    })
}

pub fn started(task: TaskNo, attempt: u32, worker: AccountId) -> Entry {
    Entry::AttemptStarted { task, attempt: Attempt(attempt), worker: Some(worker) }
}

pub fn ended(task: TaskNo, attempt: u32, verdict: Verdict) -> Entry {
    Entry::AttemptEnded { task, attempt: Attempt(attempt), verdict }
}

pub fn settled(task: TaskNo, attempt: u32, worker: AccountId, pay: i64, fee: i64) -> Entry {
    settled_with(task, attempt, worker, pay, fee, &task.0.to_le_bytes())
}

pub fn settled_with(
    task: TaskNo,
    attempt: u32,
    worker: AccountId,
    pay: i64,
    fee: i64,
    outcome: &[u8],
) -> Entry {
    Entry::TaskSettled(Settlement {
        task,
        source: Source::Worker { worker, attempt: Attempt(attempt) },
        pay: Nanos(pay),
        fee: Nanos(fee),
        check: PassedCheck::Always,
        outcome: Some(outcome.into()),
    })
}

pub fn append(ledger: &Ledger, entries: impl IntoIterator<Item = Entry>) {
    for entry in entries {
        ledger.append(entry).unwrap();
    }
}

/// A whole task done by a worker.
pub fn whole(task: TaskNo, gamer: AccountId, worker: AccountId, price: i64, fee: i64) -> [Entry; 3] {
    [
        admitted(task, gamer, task.0, price),
        started(task, 1, worker),
        settled(task, 1, worker, price - fee, fee),
    ]
}

/// The file with `change` made to its bytes.
pub fn change_bytes(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}
