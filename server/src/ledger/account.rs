//! What the ledger tells the coordinator: accounts, totals, and what went wrong with entries.

use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::{
    AccountKey, Attempt, Digest, KindId, Nanos, PassedCheck, Role, TaskId, TaskNo, WorkUnits,
};
use serde::Serialize;

use super::charges::RecentCharge;
use super::entry::{AccountId, PatientPayload};
use super::error::Breakdown;
use super::trust::WorkerTrust;

/// One gamer's or worker's account as durably recorded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Whether it is a gamer's or a worker's.
    pub role: Role,
    /// Its owner's public key: whoever holds the key may use the account. `None` for an account of an older ledger that
    /// nobody has claimed.
    pub key: Option<AccountKey>,
    /// Its owner's public name: a label, which other accounts may have as well.
    pub name: Arc<str>,
    /// What a gamer has left to spend, or what a worker may be paid out.
    pub available: Nanos,
    /// Held for a gamer's open tasks, or pending for a worker until the fraud window has passed.
    pub set_aside: Nanos,
    /// Charged to a gamer for finished tasks, or earned by a worker, since the account was opened, less what was taken back
    /// when a worker was convicted.
    pub turnover: Nanos,
    /// A gamer's tasks settled, or a worker's attempts accepted.
    pub accepted: u64,
    /// A gamer's tasks voided, or a worker's attempts rejected.
    pub rejected: u64,
    /// A gamer's tasks that are still recorded one by one.
    pub tasks_recorded: u64,
    /// The largest id that the gamer gave to one of those tasks. Only in the answer to
    /// [`Ledger::open_account`](super::Ledger::open_account).
    pub largest_task: Option<TaskId>,
    /// What a gamer was charged in the last hour, by minute. Only in the answer to
    /// [`Ledger::open_account`](super::Ledger::open_account) and [`Ledger::account`](super::Ledger::account).
    pub charged_lately: Vec<RecentCharge>,
    /// A worker's trust record. Only in the answer to [`Ledger::open_account`](super::Ledger::open_account).
    pub trust: WorkerTrust,
}

impl Account {
    /// What a worker was paid out: its earnings less what its account holds.
    pub fn paid_out(&self) -> Nanos {
        self.turnover - self.available - self.set_aside
    }
}

/// The whole ledger in a few numbers, as durably recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct Totals {
    /// Tasks settled.
    pub tasks_done: u64,
    /// Tasks voided.
    pub tasks_void: u64,
    /// Charged to gamers.
    pub revenue: Nanos,
    /// The coordinator's share of it.
    pub fee: Nanos,
    /// The workers' share of it.
    pub earned: Nanos,
    /// Of what they earned, pending until the fraud window has passed.
    pub pending: Nanos,
    /// Of what they earned, paid outside.
    pub paid_out: Nanos,
}

impl Totals {
    /// What workers can be paid.
    pub fn available(&self) -> Nanos {
        self.earned - self.pending - self.paid_out
    }
}

/// What was recorded since the last call of [`Ledger::drain_committed`](super::Ledger::drain_committed).
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Committed {
    /// Accounts that changed, as they now are. Each at most once.
    pub accounts: Vec<Account>,
    /// The whole ledger.
    pub totals: Totals,
    /// Entries recorded since the ledger was opened, dropped ones included. They are recorded in the order in which they
    /// were appended.
    pub entries: u64,
    /// Group commits since the ledger was opened.
    pub groups: u64,
    /// Tasks dropped since the last call because the gamer's number for them was used before. Nobody was
    /// charged or paid for them. At most [`CONFLICTS_KEPT_MAX`] are kept between two calls; all are counted
    /// in `anomalies`.
    pub conflicts: Vec<Conflict>,
    /// Entries that changed nothing, since the ledger was opened.
    pub anomalies: Anomalies,
}

/// The ledger's progress since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The whole ledger, as durably recorded.
    pub totals: Totals,
    /// Group commits.
    pub groups: u64,
    /// Entries recorded.
    pub entries: u64,
    /// Entries that wait for the writer to take them.
    pub waiting: usize,
    /// Entries that changed nothing.
    pub anomalies: Anomalies,
}

/// Conflicts kept for the coordinator between two calls of [`Ledger::drain_committed`](super::Ledger::drain_committed).
pub const CONFLICTS_KEPT_MAX: usize = 1_024;

/// A task whose idempotency key was used before: not charged, not paid, not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Conflict {
    /// The coordinator's number for the task that was dropped.
    pub task: TaskNo,
    /// The gamer.
    pub gamer: AccountId,
    /// The number the gamer used twice.
    pub game_task: TaskId,
}

/// Entries that changed nothing in the books, counted by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct Anomalies {
    /// Tasks whose idempotency key, or whose number, was used before.
    pub conflicts: u64,
    /// Tasks whose price the gamer's account does not cover.
    pub overdrawn: u64,
    /// Tasks of an account that is not a gamer's, attempts or pay of one that is not a worker's.
    pub wrong_account: u64,
    /// Tasks voided instead of settled because the shares were negative, above the price, or paid a worker
    /// under an attempt that was not its own.
    pub bad_settlement: u64,
    /// Entries for a task that is not open, repeated ones among them.
    pub not_open: u64,
    /// Entries for an attempt that does not run, or with a number over the limit.
    pub bad_attempt: u64,
}

impl Anomalies {
    /// The counts, each with a one-word name of its cause.
    pub fn by_cause(&self) -> [(&'static str, u64); 6] {
        [
            ("conflict", self.conflicts),
            ("overdrawn", self.overdrawn),
            ("wrong_account", self.wrong_account),
            ("bad_settlement", self.bad_settlement),
            ("not_open", self.not_open),
            ("bad_attempt", self.bad_attempt),
        ]
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.by_cause().iter().map(|(_, count)| count).sum()
    }
}

/// An outcome kept for the cache.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CachedOutcome {
    /// Digest of kind, kernel version and spec.
    pub key: Digest,
    /// What sort of work.
    pub kind: KindId,
    /// Version of the kernel.
    pub kernel_version: u16,
    /// The worker that computed it, with its public name; `None` if the coordinator did.
    pub worker: Option<(AccountId, Arc<str>)>,
    /// The encoded outcome.
    pub bytes: Arc<[u8]>,
    /// Whether it is a patient task's.
    pub patient: bool,
    /// How long it may still be used.
    pub expires_in: Duration,
    /// The task that it was computed for.
    pub settled: SettledTask,
}

/// A task that has ended with an outcome, as it was charged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SettledTask {
    /// The gamer who paid.
    pub gamer: AccountId,
    /// The gamer's number for it.
    pub game_task: TaskId,
    /// What it cost.
    pub charged: Nanos,
    /// What it was worth.
    pub units: WorkUnits,
    /// Version of the price list it was priced by.
    pub price_list: u32,
    /// The check that its outcome passed.
    pub check: PassedCheck,
}

/// A patient task that was not finished when the coordinator stopped. Its price is still held: settle it or
/// void it under the same number.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PatientTask {
    /// The coordinator's number for it.
    pub task: TaskNo,
    /// The gamer who pays.
    pub gamer: AccountId,
    /// The gamer's number for it.
    pub game_task: TaskId,
    /// What sort of work.
    pub kind: KindId,
    /// Version of the kernel asked for.
    pub kernel_version: u16,
    /// Digest of kind, kernel version and spec.
    pub key: Digest,
    /// What it is worth.
    pub units: WorkUnits,
    /// What is held for it.
    pub price: Nanos,
    /// Version of the price list it was priced by.
    pub price_list: u32,
    /// The first attempt number not used yet.
    pub next_attempt: Attempt,
    /// Its spec and blobs.
    pub payload: PatientPayload,
}

/// What the ledger found to do when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Whether the last coordinator closed the ledger in order.
    pub closed_in_order: bool,
    /// Holds of timely tasks that were left open, and are now void.
    pub holds_voided: u64,
    /// Patient tasks handed back to be queued again.
    pub patient_tasks: u64,
    /// Outcomes read for the cache.
    pub outcomes: u64,
}

/// How the books stood when the ledger was closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CloseReport {
    /// The whole ledger.
    pub totals: Totals,
    /// Sum of all balances; zero, or closing would have failed.
    pub sum: Nanos,
    /// Group commits since it was opened.
    pub groups: u64,
    /// Entries recorded since it was opened.
    pub entries: u64,
    /// Entries that changed nothing.
    pub anomalies: Anomalies,
}

/// Whether the ledger records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerState {
    /// It does.
    Open,
    /// Writing failed, for the reason given: admit no paid task, restart once the cause is mended.
    Broken(Breakdown),
    /// It was closed.
    Closed,
}
