//! The coordinator's books: who was charged, who earned, and what was computed, in one SQLite file that
//! survives `kill -9` at any moment.
//!
//! # How it works
//! [`Ledger`] is a handle to one writer thread, which owns the only connection. The app thread appends
//! [`Entry`]s to a bounded queue without waiting; the writer gathers them for at most 50 ms and writes each
//! group in one transaction with one `fsync`. After each it publishes what is now durable
//! ([`Ledger::drain_committed`]) and calls `notify`.
//!
//! # The books
//! Double entry in integer nano-dollars. Accounts come in seven kinds: the bank (the only one that may be below zero,
//! because it gives credits), the fee, what was paid out, and two per peer: gamer and held, worker and pending. A peer's
//! account is found by its owner's public key; its name is a label.
//!
//! ```text
//! bank -> gamer                      opening credit, once
//! bank -> gamer, bank -> worker      a grant of the operator, once per reference
//! gamer -> held                      a task is admitted
//! held -> pending, held -> fee       it is settled; what is left over goes held -> gamer
//! held -> gamer                      it is voided
//! pending -> worker                  the fraud window has passed
//! worker -> payout                   its owner was paid outside, once per reference; payout -> worker takes it back
//! pending -> gamer, pending -> fee   the worker was convicted before that: back to who paid, if that can be told
//! ```
//!
//! Rows of ended tasks are kept for a day, or for the fraud window if that is longer, and then folded into sums per
//! account, kind and verdict, so that the file stays as large as a day's work; the hash chain goes on
//! (`ledger/folding.rs`). Where there are too many rows, they are kept only while their pay is pending, and for at least
//! ten minutes. A gamer's number for a task is remembered as long as the task's row.
//!
//! A task admitted and settled inside one group is written once, in its final state: `gamer -> pending` and
//! `gamer -> fee`, with the same balances. If a worker did it in one attempt, the usual case, the task's row names the
//! worker and stands for the attempt and the transfers too; all other attempts and transfers have rows of their own.
//!
//! Transfers are never changed, and are deleted only when they are folded; triggers refuse everything else, and protect
//! the rows of ended tasks in the same way. Each group's transfers and changes of accounts are hashed into a chain
//! (`ledger/chain.rs`).
//!
//! # Charged once
//! Four unique keys: the gamer's number for a task is unique per gamer; a task's row leaves the state "open" once; a
//! transfer's number is composed of its task's number and its place among that task's transfers, so a second hold or a
//! second resolution has no free number; and an opening credit's number is its account's. A grant's reference is
//! unique.
//!
//! | file | owns |
//! |---|---|
//! | `handle.rs` | what the coordinator does with the ledger: appending, asking, closing |
//! | `entry.rs` | what the coordinator tells the ledger |
//! | `account.rs` | what the ledger tells the coordinator |
//! | `accounts.rs` | finding, opening, claiming and crediting accounts |
//! | `options.rs` | settings and limits |
//! | `error.rs` | errors an operator can act on |
//! | `queue.rs` | the bounded queue between the two threads |
//! | `file.rs`, `meta.rs` | opening the file: pragmas, migrations, refusals; what it says of itself |
//! | `lock.rs` | one coordinator for one file, and whether the file is still in its place |
//! | `reading.rs` | opening the file read-only, also for a user who may not write it |
//! | `backup.rs` | `backup`: a whole copy of a ledger that is in use |
//! | `writer.rs` | the thread: group commits, requests, failure |
//! | `book.rs` | the rules: what an entry does to accounts and tasks |
//! | `posting.rs` | how a group is written |
//! | `sql.rs` | the SQL of the writer |
//! | `rows.rs` | adding many rows with one statement |
//! | `chain.rs` | the hash chain over transfers and accounts |
//! | `account_log.rs` | what happens to accounts, as the chain covers it |
//! | `heads.rs`, `head_key.rs` | signed heads of the chain, and whether a book still contains one |
//! | `publishing.rs` | heads put into a file while the coordinator runs |
//! | `recovery.rs` | what a restart finds: open holds, patient tasks, outcomes |
//! | `outcomes.rs` | expiry and revocation of kept outcomes |
//! | `outcome_index.rs`, `outcome_reader.rs` | kept outcomes that memory has no room for, read when they are asked for |
//! | `folding.rs` | sums that replace the rows of tasks that ended a day ago |
//! | `charges.rs` | what gamers were charged in the last hour |
//! | `earnings.rs` | pay on its way from pending to available |
//! | `payouts.rs` | what workers were paid outside |
//! | `reversals.rs` | pending pay of a convicted worker on its way back |
//! | `trust.rs` | what is known of workers |
//! | `audit.rs`, `task_audit.rs` | `check`: derives everything again from the transfers |
//! | `export.rs` | `export`: the transfers as comma-separated values |
//! | `report.rs` | `report`: balances, fees and earnings for people |
//! | `standing.rs` | what an account has done by the books, for the account store |

mod account;
mod account_log;
mod accounts;
mod audit;
mod back_pressure;
mod backup;
mod book;
mod chain;
mod charges;
mod earnings;
mod entry;
mod error;
mod export;
mod file;
mod folding;
mod handle;
mod head_key;
mod heads;
mod lock;
mod meta;
mod options;
mod outcome_index;
mod outcome_reader;
mod outcomes;
mod payouts;
mod posting;
mod publishing;
mod queue;
mod reading;
mod recovery;
mod report;
mod reversals;
mod rows;
mod sql;
mod standing;
mod task_audit;
mod trust;
mod writer;

use std::io::Write;
use std::path::Path;

use p2c2r_join::AccountSecret;

pub use account::{
    Account, Anomalies, CONFLICTS_KEPT_MAX, CachedOutcome, CloseReport, Committed, Conflict, LedgerState,
    PatientTask, Progress, Recovery, SettledTask, Totals,
};
pub use audit::{CheckReport, PROBLEMS_NAMED_MAX};
pub use back_pressure::AdmissionRoom;
pub use backup::BackupReport;
pub(crate) use backup::copy_pages;
pub use charges::RecentCharge;
pub use entry::{
    ATTEMPT_MAX, AccountId, Admission, ComputedFrom, Entry, PatientPayload, Settlement, Verdict, VoidReason,
};
pub use error::{Breakdown, LedgerError, LedgerStopped};
pub use handle::{AccountRequest, Ledger};
pub use head_key::{HEAD_KEY_FILE, existing_head_key, head_key};
pub use heads::{BadHead, Head, HeadsRead, Link, SignedHead, UnreadableHead, read_heads};
pub use options::{
    CREDIT_MAX, GROUP_COMMIT_MAX, LedgerClock, LedgerId, LedgerOptions, MONEY_MAX, OnFailure,
    PATIENT_TASKS_MAX, QUEUE_BYTES_MAX, QUEUE_ENTRIES_MAX, TASK_NO_GAP, TASK_NO_MAX,
};
pub use outcome_reader::{OutcomeReader, READS_WAITING_MAX, ReadOutcome};
pub use payouts::{PAYOUT_REFERENCE_CHARS_MAX, Payable, Payables};
pub use publishing::HeadPublisher;
pub use report::{AccountLine, AttemptCounts, KindLine, LedgerReport};
pub use standing::{Standing, Standings};
pub use trust::{KindTrust, WorkerLine, WorkerLines, WorkerTrust, workers};

/// Derives everything in the ledger at `path` again from its transfers and compares: hash chain, balances, accounts,
/// the transfers of every task, pending pay. Read-only, and works beside a running coordinator.
pub fn check(path: &Path) -> Result<CheckReport, LedgerError> {
    audit::check(path, &[])
}

/// Does what [`check`] does, and checks that the ledger still contains `heads`, which were signed earlier and kept
/// elsewhere: that nothing recorded before a head has been changed since.
pub fn check_with_heads(path: &Path, heads: &[SignedHead]) -> Result<CheckReport, LedgerError> {
    audit::check(path, heads)
}

/// The head of the ledger at `path` as it stands, signed with `secret`. Read-only, and works beside a running coordinator.
pub fn head(path: &Path, secret: &AccountSecret) -> Result<SignedHead, LedgerError> {
    heads::head(path, secret)
}

/// Writes all transfers of the ledger at `path` to `out` as comma-separated values, folded ones as one sum per account;
/// returns the number of rows. Read-only, in little memory, and works beside a running coordinator.
pub fn export(path: &Path, out: &mut impl Write) -> Result<u64, LedgerError> {
    export::export(path, out)
}

/// What workers can be paid, and have been paid. Read-only, and works beside a running coordinator.
pub fn payables(path: &Path) -> Result<Payables, LedgerError> {
    payouts::payables(path)
}

/// Copies the ledger at `source` to `path`, where there must be nothing, and verifies the copy as [`check`] does. Works
/// beside a running coordinator: the copy is one state of the books.
pub fn backup(source: &Path, path: &Path) -> Result<BackupReport, LedgerError> {
    backup::backup(source, path)
}

/// What the ledger at `path` says. Read-only, and works beside a running coordinator.
pub fn report(path: &Path) -> Result<LedgerReport, LedgerError> {
    report::report(path)
}

/// Opens the ledger at `path` to change it by the operator's hand while no coordinator runs; unlike [`Ledger::open`] it
/// creates none.
pub fn open_existing(path: &Path, options: LedgerOptions) -> Result<Ledger, LedgerError> {
    if !path.exists() {
        return Err(LedgerError::Missing { path: path.to_owned() });
    }
    Ledger::open(path, options, || {})
}
