//! What the coordinator holds of the ledger: appending without waiting, asking for accounts, and closing.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use crossbeam_channel::TryRecvError;
use p2c2r_protocol::limits::NAME_BYTES_MAX;
use p2c2r_protocol::{AccountKey, Nanos, Role, TaskNo};

use super::accounts::Ask;
use super::outcome_index::OutcomeIndex;
use super::outcome_reader::{OutcomeReader, ReadFrom, ReaderThread};
use super::queue::{Reply, WriterQueue, WriterRequest};
use super::writer::WriterState;
use super::{
    Account, AccountId, AdmissionRoom, CREDIT_MAX, CachedOutcome, CloseReport, Committed, Entry, LedgerClock,
    LedgerError, LedgerId, LedgerOptions, LedgerState, LedgerStopped, PatientTask, Progress, Recovery,
    Totals, file, payouts, recovery, writer,
};

/// A handle to the ledger's writer thread. Clones share it; dropping the last one closes the ledger, as
/// [`Ledger::close`] does but without its report.
#[derive(Clone, Resource)]
pub struct Ledger {
    keeper: Arc<Keeper>,
}

struct Keeper {
    queue: Arc<WriterQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    path: PathBuf,
    outcomes: Arc<OutcomeIndex>,
    reader: Mutex<Option<ReaderThread>>,
    found: Mutex<Found>,
    id: LedgerId,
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
    /// Opens the ledger at `path`, brings its schema up to date, voids the holds that a crash left open, and starts the
    /// writer. If there is no file, one is created, unless [`LedgerOptions::id`] names the ledger that it has to be.
    /// `notify` is called from the writer's thread after every group commit and when recording fails.
    pub fn open(
        path: &Path,
        options: LedgerOptions,
        notify: impl Fn() + Send + 'static,
    ) -> Result<Self, LedgerError> {
        let queue = Arc::new(WriterQueue::new(options.queue_entries_max));
        let file = file::open(path, &options)?;
        let id = file.id;
        writer::balanced(&file)?;
        let explain = |error| file::explain(path, &error);
        let clock = options.clock.clone();
        let mut writer = WriterState::load(&file.connection, options).map_err(explain)?;
        let opened_ms = writer.opened_ms;
        let recovered = recovery::recover(&file.connection, &mut writer).map_err(explain)?;
        queue.patient_open_changed(recovered.patient.len(), 0);
        writer.publish(&queue);
        let for_writer = Arc::clone(&queue);
        let (path, outcomes) = (file.path.clone(), Arc::clone(writer.outcomes.index()));
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer::run(file, writer, for_writer, notify))
            .map_err(|error| LedgerError::Thread(error.to_string()))?;
        let found = Found { outcomes: recovered.outcomes, patient: recovered.patient };
        let keeper = Keeper {
            queue,
            thread: Mutex::new(Some(thread)),
            path,
            outcomes,
            reader: Mutex::default(),
            found: Mutex::new(found),
            id,
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

    /// Asks for the account of the owner of `key` in this role, without waiting. `notify` is called from the writer's
    /// thread once [`Ledger::opened`] has an answer, or an error because there will be none.
    /// An account that does not exist is opened; only then is a gamer, but no worker, credited with `credit` by the bank
    /// (zero to [`CREDIT_MAX`]). `name` is stored as the account's label.
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

    /// Credits an account from the bank, by the operator's hand, with more than zero and at most [`CREDIT_MAX`]. The
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

    /// Gives the account of an older ledger that is called `name` and has no owner to the owner of `key`: once, by the
    /// operator's hand. Refused if the key has an account in this role.
    pub fn claim(&self, role: Role, name: &str, key: AccountKey) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_for(Ask::Claim { role, name: name.into(), key }, || {})?)
    }

    /// Books that a worker was paid `amount` outside: more than zero, and at most what is available. The same `reference`
    /// is booked once, however often this is called; for another account or amount it is refused.
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

    /// Convicts a worker by the operator's hand, as [`Entry::WorkerConvicted`] does, or forgives it, as
    /// [`Entry::WorkerForgiven`] does.
    pub fn judge(&self, key: AccountKey, quarantined: bool) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_for(Ask::Judge { key, quarantined }, || {})?)
    }

    /// Books that the payout of this `reference` came back, once, by a transfer of its own: the worker can be paid the
    /// amount again, under another reference.
    pub fn take_back_payout(&self, reference: &str) -> Result<Account, LedgerError> {
        self.wait_for(&self.ask_for(Ask::TakeBack { reference: reference.into() }, || {})?)
    }

    fn ask_for(&self, ask: Ask, notify: impl Fn() + Send + 'static) -> Result<AccountRequest, LedgerError> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        let reply = Reply::new(reply, notify);
        self.keeper.queue.request(WriterRequest::Account { ask, reply })?;
        Ok(AccountRequest(answer))
    }

    /// The account that was asked for; `None` while the answer is not there. Never waits.
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
    pub fn room(&self) -> Result<AdmissionRoom, LedgerStopped> {
        self.keeper.queue.room()
    }

    /// Appends all entries and empties `entries`, which keeps its memory; they are durable when [`Committed::entries`] has
    /// counted them. Admissions among them are not refused for want of room: ask for [`Ledger::room`] before. Never waits.
    pub fn append_all(&self, entries: &mut Vec<Entry>) -> Result<(), LedgerStopped> {
        self.keeper.queue.append_all(entries)
    }

    /// Waits for the writer while it is far behind (half of the queue is full), but no longer than `longest`: a
    /// coordinator that never waits would have to refuse tasks sooner.
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

    /// Which ledger it is.
    pub fn id(&self) -> LedgerId {
        self.keeper.id
    }

    /// What opening found to do.
    pub fn recovery(&self) -> Recovery {
        self.keeper.recovery
    }

    /// The ledger's time in seconds. It never goes back, also not from one run to the next: see [`LedgerClock`].
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

    /// Starts a thread that reads kept outcomes when they are asked for, calls `notify` after each answer, and ends with the
    /// ledger. Before it returns, it indexes all kept outcomes, which takes half as long as opening the ledger.
    pub fn read_outcomes(&self, notify: impl Fn() + Send + 'static) -> Result<OutcomeReader, LedgerError> {
        let Keeper { queue, path, outcomes, clock, opened_ms, .. } = &*self.keeper;
        let (clock, opened_ms) = (clock.clone(), *opened_ms);
        let from = ReadFrom {
            path: path.clone(),
            index: Arc::clone(outcomes),
            queue: Arc::clone(queue),
            now_ms: Box::new(move || opened_ms + clock.running_ms()),
        };
        let (reader, thread) = OutcomeReader::start(from, notify)?;
        self.keeper.end_reader(Some(thread));
        Ok(reader)
    }

    /// Patient tasks to be queued again, oldest first; empty at the second call.
    pub fn take_patient_tasks(&self) -> Vec<PatientTask> {
        std::mem::take(&mut self.found().patient)
    }

    /// Waits until everything appended so far is durable. Work that has fallen due (releasing pay, deleting outcomes,
    /// returning a convicted worker's pay) is begun, and continues in later groups where it is too much for one.
    pub fn flush(&self) -> Result<(), LedgerError> {
        self.ask(WriterRequest::Flush)?
    }

    /// Records everything appended, folds the write-ahead log into the file, verifies that the balances add
    /// up to zero, and ends the writer.
    pub fn close(&self) -> Result<CloseReport, LedgerError> {
        self.keeper.end_reader(None);
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
    /// Ends the reader, if there is one, and puts `next` in its place. The reader must end before the file is closed, so that
    /// closing can remove the write-ahead log.
    fn end_reader(&self, next: Option<ReaderThread>) {
        let last = std::mem::replace(&mut *self.reader.lock().unwrap_or_else(PoisonError::into_inner), next);
        if let Some(last) = last {
            last.end();
        }
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the ledger's writer panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end_reader(None);
        let (reply, answer) = sync_channel(1);
        if self.queue.request(WriterRequest::Close(reply)).is_ok() {
            let _ = answer.recv();
        }
        self.join();
    }
}
