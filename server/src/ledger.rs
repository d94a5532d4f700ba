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
//! Double entry in integer nano-dollars. Accounts come in seven kinds: the bank (which alone may be below zero:
//! it gives credits), the fee, what was paid out, and two per peer: gamer and held, worker and pending. A peer's account is found by its
//! owner's public key; its name is a label.
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
//! Rows of what is over are kept for a day (longer if the fraud window is) and then folded into sums per account, kind and
//! verdict, so that the file stays as large as a day's work; the hash chain goes on (`ledger/folding.rs`). A gamer's number
//! for a task is remembered as long as the task's row.
//!
//! A task admitted and settled inside one group is written once, in its final state: `gamer -> pending` and
//! `gamer -> fee`, with the same balances. Transfers are never changed or deleted (triggers refuse it), and
//! each group's transfers, and what it does to accounts, are hashed into a chain (`ledger/chain.rs`).
//!
//! # Charged once
//! Four locks: the gamer's number for a task is unique per gamer; a task's row leaves the state "open" once;
//! a transfer's number is its task's number and its place in the task's story, so a second hold or a second
//! resolution has no number to take; and an opening credit's number is its account's. A grant's reference is unique.
//!
//! | file | owns |
//! |---|---|
//! | `entry.rs` | what the coordinator tells the ledger |
//! | `account.rs` | what the ledger tells the coordinator |
//! | `accounts.rs` | finding, opening, claiming and crediting accounts |
//! | `options.rs` | settings and limits |
//! | `error.rs` | errors an operator can act on |
//! | `queue.rs` | the bounded queue between the two threads |
//! | `file.rs` | opening the file: pragmas, migrations, refusals |
//! | `lock.rs` | one coordinator for one file, and whether it is still there |
//! | `reading.rs` | opening the file to read it, without a right to write |
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
//! | `folding.rs` | what was over a day ago, as sums instead of rows |
//! | `charges.rs` | what gamers were charged in the last hour |
//! | `earnings.rs` | pay on its way from pending to available |
//! | `payouts.rs` | what workers were paid outside |
//! | `reversals.rs` | pending pay of a convicted worker on its way back |
//! | `trust.rs` | what is known of workers |
//! | `audit.rs`, `task_audit.rs` | `check`: derives everything again from the transfers |
//! | `export.rs` | `export`: the transfers as comma-separated values |
//! | `report.rs` | `report`: balances, fees and earnings for people |

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
mod head_key;
mod heads;
mod lock;
mod options;
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
mod task_audit;
mod trust;
mod writer;

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use crossbeam_channel::TryRecvError;
use p2c2r_join::AccountSecret;
use p2c2r_protocol::limits::NAME_BYTES_MAX;
use p2c2r_protocol::{AccountKey, Nanos, Role, TaskNo};

pub use account::{
    Account, Anomalies, CONFLICTS_KEPT_MAX, CachedOutcome, CloseReport, Committed, Conflict, LedgerState,
    PatientTask, Progress, Recovery, Totals,
};
pub use audit::{CheckReport, PROBLEMS_NAMED_MAX};
pub use back_pressure::AdmissionRoom;
pub use backup::BackupReport;
pub use charges::RecentCharge;
pub use entry::{
    ATTEMPT_MAX, AccountId, Admission, ComputedFrom, Entry, PatientPayload, Settlement, Verdict, VoidReason,
};
pub use error::{Breakdown, LedgerBusy, LedgerError};
pub use head_key::{HEAD_KEY_FILE, existing_head_key, head_key};
pub use heads::{BadHead, Head, Link, SignedHead, read_heads};
pub use options::{
    CREDIT_MAX, GROUP_COMMIT_MAX, LedgerClock, LedgerOptions, MONEY_MAX, OnFailure, PATIENT_TASKS_MAX,
    QUEUE_BYTES_MAX, QUEUE_ENTRIES_MAX, TASK_NO_GAP, TASK_NO_MAX,
};
pub use payouts::{PAYOUT_REFERENCE_CHARS_MAX, Payable, Payables};
pub use publishing::HeadPublisher;
pub use report::{AccountLine, AttemptCounts, KindLine, LedgerReport};
pub use trust::{KindTrust, WorkerLine, WorkerLines, WorkerTrust, workers};

use accounts::Ask;
use queue::{Reply, WriterQueue, WriterRequest};
use writer::WriterState;

/// A handle to the ledger's writer thread. Clones share it; dropping the last one closes the ledger, as
/// [`Ledger::close`] does but without its report.
#[derive(Clone, Resource)]
pub struct Ledger {
    keeper: Arc<Keeper>,
}

struct Keeper {
    queue: Arc<WriterQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    found: Mutex<Found>,
    recovery: Recovery,
    next_task_no: TaskNo,
    clock: LedgerClock,
    /// The ledger's time when the clock's running time was zero, in milliseconds.
    opened_ms: i64,
}

/// An account that has been asked for.
pub struct AccountRequest(crossbeam_channel::Receiver<Result<Account, LedgerError>>);

/// What was found at open and waits to be fetched.
#[derive(Default)]
struct Found {
    outcomes: Vec<CachedOutcome>,
    patient: Vec<PatientTask>,
}

impl Ledger {
    /// Opens the ledger at `path`, creating it if there is none, brings its schema up to date, voids the
    /// holds a crash left open, and starts the writer. `notify` is called from the writer's thread after
    /// every group commit and when recording fails.
    pub fn open(
        path: &Path,
        options: LedgerOptions,
        notify: impl Fn() + Send + 'static,
    ) -> Result<Self, LedgerError> {
        let queue = Arc::new(WriterQueue::new(options.queue_entries_max));
        let file = file::open(path, options.pages_max)?;
        writer::balanced(&file)?;
        let explain = |error| file::explain(path, &error);
        let clock = options.clock.clone();
        let mut writer = WriterState::load(&file.connection, options).map_err(explain)?;
        let opened_ms = writer.opened_ms;
        let recovered = recovery::recover(&file.connection, &mut writer).map_err(explain)?;
        queue.patient_open_changed(recovered.patient.len(), 0);
        queue.publish(std::iter::empty(), writer.committed());
        let for_writer = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer::run(file, writer, for_writer, notify))
            .map_err(|error| LedgerError::Thread(error.to_string()))?;
        let found = Found { outcomes: recovered.outcomes, patient: recovered.patient };
        let keeper = Keeper {
            queue,
            thread: Mutex::new(Some(thread)),
            found: Mutex::new(found),
            recovery: recovered.recovery,
            next_task_no: recovered.next_task_no,
            clock,
            opened_ms,
        };
        Ok(Self { keeper: Arc::new(keeper) })
    }

    /// Finds or opens an account as [`Ledger::ask_account`] does, and waits for the disk: for joining, not for tasks.
    pub fn open_account(
        &self,
        role: Role,
        key: AccountKey,
        name: &str,
        credit: Nanos,
    ) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_account(role, key, name, credit, || {})?)
    }

    /// Asks for the account of whoever has `key` on this side, without waiting. `notify` is called from the writer's
    /// thread once [`Ledger::opened`] has an answer, be it that there will be none.
    /// An account that does not exist is opened, and then, and never again, a gamer is credited with `credit` by the
    /// bank (zero to [`CREDIT_MAX`]; a worker is not). `name` is stored as the account's label.
    pub fn ask_account(
        &self,
        role: Role,
        key: AccountKey,
        name: &str,
        credit: Nanos,
        notify: impl Fn() + Send + 'static,
    ) -> Result<AccountRequest, LedgerError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(LedgerError::BadName);
        }
        if !(Nanos::ZERO..=CREDIT_MAX).contains(&credit) {
            return Err(LedgerError::BadCredit(credit));
        }
        self.ask_for(Ask::Open { role, key, name: name.into(), credit }, notify)
    }

    /// The account with this number.
    pub fn account(&self, id: AccountId) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_for(Ask::Find { id }, || {})?)
    }

    /// Credits an account with more than nothing and at most [`CREDIT_MAX`] from the bank, by the operator's hand. The
    /// same `reference` is booked once, however often it is granted; for another account or amount it is refused.
    pub fn grant(
        &self,
        role: Role,
        key: AccountKey,
        amount: Nanos,
        reference: [u8; 16],
    ) -> Result<Account, LedgerError> {
        if !(Nanos(1)..=CREDIT_MAX).contains(&amount) {
            return Err(LedgerError::BadCredit(amount));
        }
        self.wait_for(&self.ask_for(Ask::Grant { role, key, amount, reference }, || {})?)
    }

    /// Gives the account of an older ledger that is called `name` and has no owner to whoever has `key`: once, by the
    /// operator's hand. Refused if the key has an account on this side.
    pub fn claim(&self, role: Role, name: &str, key: AccountKey) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_for(Ask::Claim { role, name: name.into(), key }, || {})?)
    }

    /// Books that a worker was paid `amount` outside: more than nothing, and no more than is available. The same `reference`
    /// is booked once, however often it is said; for another account or amount it is refused.
    pub fn pay_out(
        &self,
        account: AccountId,
        amount: Nanos,
        reference: &str,
    ) -> Result<Account, LedgerError> {
        if amount <= Nanos::ZERO {
            return Err(LedgerError::BadPayout(amount));
        }
        if !payouts::is_reference(reference) {
            return Err(LedgerError::BadReference);
        }
        self.wait_for(&self.ask_for(Ask::PayOut { account, amount, reference: reference.into() }, || {})?)
    }

    /// Convicts a worker by the operator's hand, as [`Entry::WorkerConvicted`] does, or lets it work again as a newcomer.
    pub fn judge(&self, key: AccountKey, quarantined: bool) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_for(Ask::Judge { key, quarantined }, || {})?)
    }

    /// Books that the payout of this `reference` came back, once, by an entry of its own: the worker can be paid it again,
    /// under another reference.
    pub fn take_back_payout(&self, reference: &str) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_for(Ask::TakeBack { reference: reference.into() }, || {})?)
    }

    fn ask_for(&self, ask: Ask, notify: impl Fn() + Send + 'static) -> Result<AccountRequest, LedgerError> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        let reply = Reply::new(reply, notify);
        self.keeper.queue.request(WriterRequest::Account { ask, reply })?;
        Ok(AccountRequest(answer))
    }

    /// The account that was asked for, if the answer is there; never waits.
    pub fn opened(&self, opening: &AccountRequest) -> Option<Result<Account, LedgerError>> {
        match opening.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(self.why_no_answer())),
        }
    }

    fn wait_for(&self, opening: &AccountRequest) -> Result<Account, LedgerError> {
        opening.0.recv().map_err(|_| self.why_no_answer())?
    }

    /// How many admissions would be taken now. Never waits.
    pub fn room(&self) -> Result<AdmissionRoom, LedgerBusy> {
        self.keeper.queue.room()
    }

    /// Appends all entries, and leaves `entries` empty with its memory; they are durable when [`Committed::entries`] says
    /// so. Admissions among them are not refused for want of room: ask for [`Ledger::room`] before. Never waits.
    pub fn append_all(&self, entries: &mut Vec<Entry>) -> Result<(), LedgerBusy> {
        self.keeper.queue.append_all(entries)
    }

    /// Appends one entry; it is durable when [`Committed::entries`] says so. Never waits.
    pub fn append(&self, entry: Entry) -> Result<(), LedgerBusy> {
        self.keeper.queue.append(entry)
    }

    /// Waits for the writer while it is far behind (half of the queue is taken), but no longer than `longest`: a
    /// coordinator that never does would sooner have to refuse tasks.
    pub fn wait_for_writer(&self, longest: Duration) {
        self.keeper.queue.wait_for_writer(longest);
    }

    /// What was durably recorded since the last call.
    pub fn drain_committed(&self) -> Committed {
        self.keeper.queue.drain()
    }

    /// The whole ledger as durably recorded.
    pub fn totals(&self) -> Totals {
        self.keeper.queue.totals()
    }

    /// How far the ledger is. Never waits for the disk.
    pub fn progress(&self) -> Progress {
        self.keeper.queue.progress()
    }

    /// Whether the ledger records. Once it does not, admit no paid task.
    pub fn state(&self) -> LedgerState {
        self.keeper.queue.state()
    }

    /// What peers may be told of why the ledger does not record; `None` while it does, or if it was closed.
    pub fn failure_for_peers(&self) -> Option<&'static str> {
        match self.state() {
            LedgerState::Broken(breakdown) => Some(breakdown.for_peers),
            LedgerState::Open | LedgerState::Closed => None,
        }
    }

    /// Whether the ledger records; cheap enough to be asked at every task.
    pub fn is_open(&self) -> bool {
        self.keeper.queue.is_open()
    }

    /// What opening found to do.
    pub fn recovery(&self) -> Recovery {
        self.keeper.recovery
    }

    /// The ledger's time in seconds, which only grows, also from one run to the next: see [`LedgerClock`].
    pub fn seconds(&self) -> u64 {
        let Keeper { clock, opened_ms, .. } = &*self.keeper;
        u64::try_from((opened_ms + clock.running_ms()) / 1_000).unwrap_or_default()
    }

    /// The first task number not used in this ledger when it was opened: count on from it.
    pub fn next_task_no(&self) -> TaskNo {
        self.keeper.next_task_no
    }

    /// Outcomes of the last 24 hours for the cache, newest first; empty at the second call.
    pub fn take_cached_outcomes(&self) -> Vec<CachedOutcome> {
        std::mem::take(&mut self.found().outcomes)
    }

    /// Patient tasks to be queued again, oldest first; empty at the second call.
    pub fn take_patient_tasks(&self) -> Vec<PatientTask> {
        std::mem::take(&mut self.found().patient)
    }

    /// Waits until everything appended so far is durable. What has fallen due (pay, expired outcomes, pay of a convicted worker
    /// on its way back) is begun, and goes on in later groups where it is too much for one.
    pub fn flush(&self) -> Result<(), LedgerError> {
        self.ask(WriterRequest::Flush)?
    }

    /// Records everything appended, folds the write-ahead log into the file, verifies that the balances add
    /// up to zero, and ends the writer.
    pub fn close(&self) -> Result<CloseReport, LedgerError> {
        let report = self.ask(WriterRequest::Close)?;
        self.keeper.join();
        report
    }

    fn ask<T>(
        &self,
        request: impl FnOnce(std::sync::mpsc::SyncSender<T>) -> WriterRequest,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = sync_channel(1);
        self.keeper.queue.request(request(reply))?;
        self.answer(&answer)
    }

    fn answer<T>(&self, answer: &Receiver<T>) -> Result<T, LedgerError> {
        answer.recv().map_err(|_| self.why_no_answer())
    }

    fn why_no_answer(&self) -> LedgerError {
        match self.state() {
            LedgerState::Broken(reason) => LedgerError::Broken(reason),
            _ => LedgerError::Closed,
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.keeper.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the ledger's writer panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let (reply, answer) = sync_channel(1);
        if self.queue.request(WriterRequest::Close(reply)).is_ok() {
            let _ = answer.recv();
        }
        self.join();
    }
}

/// Derives everything in the ledger at `path` again from its transfers and compares: hash chain, balances,
/// accounts, every task's story, pending pay. Read-only, and works beside a running coordinator.
pub fn check(path: &Path) -> Result<CheckReport, LedgerError> {
    audit::check(path, &[])
}

/// Checks as [`check`] does, and whether the ledger still contains `heads`, which were signed earlier and kept elsewhere:
/// whether what it says of the time before them is what it said then.
pub fn check_with_heads(path: &Path, heads: &[SignedHead]) -> Result<CheckReport, LedgerError> {
    audit::check(path, heads)
}

/// The head of the ledger at `path` as it stands, signed with `secret`. Read-only, and works beside a running coordinator.
pub fn head(path: &Path, secret: &AccountSecret) -> Result<SignedHead, LedgerError> {
    heads::head(path, secret)
}

/// Writes all transfers of the ledger at `path` to `out` as comma-separated values, with what was folded as a sum for each
/// account; returns how many rows. Read-only, in little memory, and works beside a running coordinator.
pub fn export(path: &Path, out: &mut impl Write) -> Result<u64, LedgerError> {
    export::export(path, out)
}

/// What workers can be paid, and were. Read-only, and works beside a running coordinator.
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
pub fn open_existing(path: &Path) -> Result<Ledger, LedgerError> {
    if !path.exists() {
        return Err(LedgerError::Missing { path: path.to_owned() });
    }
    Ledger::open(path, LedgerOptions::default(), || {})
}
