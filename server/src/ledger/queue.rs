//! The bounded queue between the coordinator's app thread and the ledger's writer thread, and the durable
//! results on their way back.
//!
//! A locked vector that the writer swaps for an empty one: appending is a push, and the writer is woken at
//! most twice per group instead of once per entry.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::account::{Account, CloseReport, Committed, LedgerState, Progress};
use super::accounts::Ask;
use super::back_pressure::AdmissionRoom;
use super::entry::{AccountId, Entry};
use super::error::{LedgerError, LedgerStopped};
use super::options::{GROUP_ENTRIES_ENOUGH, PATIENT_TASKS_MAX, QUEUE_BYTES_MAX, QUEUE_SHARE_GIVING_WAY};

/// A request, which the writer handles at once and answers.
pub(super) enum WriterRequest {
    /// Write everything appended so far, and one group's part of the work that has fallen due.
    Flush(SyncSender<Result<(), LedgerError>>),
    /// Do what is asked of an account, and answer with its new state.
    Account { ask: Ask, reply: Reply<Account> },
    /// Write everything and end.
    Close(SyncSender<Result<CloseReport, LedgerError>>),
}

/// Sends an answer to its requester; notifies when it is dropped, whether answered or not.
pub(super) struct Reply<T> {
    sender: Option<Sender<Result<T, LedgerError>>>,
    notify: Box<dyn Fn() + Send>,
}

impl<T> Reply<T> {
    pub fn new(sender: Sender<Result<T, LedgerError>>, notify: impl Fn() + Send + 'static) -> Self {
        Self { sender: Some(sender), notify: Box::new(notify) }
    }

    pub fn send(&self, answer: Result<T, LedgerError>) {
        if let Some(sender) = &self.sender {
            // The requester may be gone.
            let _ = sender.send(answer);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        // The channel is closed first: the notified thread must find it answered or closed.
        self.sender = None;
        (self.notify)();
    }
}

/// What the writer takes at once.
#[derive(Default)]
pub(super) struct Batch {
    /// Entries in the order they were appended.
    pub entries: Vec<Entry>,
    /// To be answered once the entries before them are written.
    pub requests: Vec<WriterRequest>,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.requests.is_empty()
    }
}

struct Inbox {
    batch: Batch,
    payload_bytes: usize,
    patient_open: usize,
    state: LedgerState,
    /// Whether the writer waits for a first entry, which must wake it.
    idle: bool,
}

struct Outbox {
    accounts: HashMap<AccountId, Account>,
    rest: Committed,
}

/// Both directions.
pub(super) struct WriterQueue {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    taken: Condvar,
    /// Whether the writer is far behind; readable without the lock.
    behind: AtomicBool,
    /// Whether requests wait; readable without the lock.
    requested: AtomicBool,
    outbox: Mutex<Outbox>,
    /// Whether the state is [`LedgerState::Open`]; readable without the lock.
    open: AtomicBool,
    /// An account with this many tasks recorded one by one gets no further task admitted.
    tasks_per_account: AtomicU64,
    entries_max: usize,
}

/// Locks, ignoring poisoning: a panic leaves this plain data consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WriterQueue {
    pub fn new(entries_max: usize) -> Self {
        Self {
            inbox: Mutex::new(Inbox {
                batch: Batch::default(),
                payload_bytes: 0,
                patient_open: 0,
                state: LedgerState::Open,
                idle: false,
            }),
            arrived: Condvar::new(),
            taken: Condvar::new(),
            behind: AtomicBool::new(false),
            requested: AtomicBool::new(false),
            outbox: Mutex::new(Outbox { accounts: HashMap::new(), rest: Committed::default() }),
            open: AtomicBool::new(true),
            tasks_per_account: AtomicU64::new(u64::MAX),
            entries_max,
        }
    }

    /// Appends all entries for the next group, and empties `entries` but keeps its memory. Admissions are not refused
    /// for want of room: the caller has asked for [`WriterQueue::room`].
    pub fn append_all(&self, entries: &mut Vec<Entry>) -> Result<(), LedgerStopped> {
        let mut inbox = lock(&self.inbox);
        match inbox.state {
            LedgerState::Open => {}
            LedgerState::Broken(_) => return Err(LedgerStopped::Broken),
            LedgerState::Closed => return Err(LedgerStopped::Closed),
        }
        for entry in &*entries {
            inbox.payload_bytes += entry.payload_bytes();
            let is_patient = matches!(entry, Entry::TaskAdmitted(admission) if admission.patient.is_some());
            inbox.patient_open += usize::from(is_patient);
        }
        let before = inbox.batch.entries.len();
        inbox.batch.entries.append(entries);
        if self.is_behind(&inbox) {
            self.behind.store(true, Ordering::Relaxed);
        }
        if before < GROUP_ENTRIES_ENOUGH && inbox.batch.entries.len() >= GROUP_ENTRIES_ENOUGH {
            self.arrived.notify_one();
        }
        self.wake_if_idle(&mut inbox);
        Ok(())
    }

    /// How many admissions would be appended now.
    pub fn room(&self) -> Result<AdmissionRoom, LedgerStopped> {
        let inbox = lock(&self.inbox);
        match inbox.state {
            LedgerState::Open => Ok(AdmissionRoom {
                admissions: self.entries_max.saturating_sub(inbox.batch.entries.len()),
                patient: PATIENT_TASKS_MAX.saturating_sub(inbox.patient_open),
                bytes: QUEUE_BYTES_MAX.saturating_sub(inbox.payload_bytes),
                tasks_per_account: self.tasks_per_account.load(Ordering::Relaxed),
            }),
            LedgerState::Broken(_) => Err(LedgerStopped::Broken),
            LedgerState::Closed => Err(LedgerStopped::Closed),
        }
    }

    /// Waits for the writer while it is far behind, but no longer than `longest`.
    pub fn wait_for_writer(&self, longest: Duration) {
        if !self.behind.load(Ordering::Relaxed) {
            return;
        }
        let is_behind = |inbox: &mut Inbox| self.is_behind(inbox);
        drop(self.taken.wait_timeout_while(lock(&self.inbox), longest, is_behind));
    }

    /// Whether someone waits for the writer's group to end: with a request, or because the writer is far behind.
    pub fn is_waited_for(&self) -> bool {
        self.requested.load(Ordering::Relaxed) || self.behind.load(Ordering::Relaxed)
    }

    fn is_behind(&self, inbox: &Inbox) -> bool {
        matches!(inbox.state, LedgerState::Open)
            && (inbox.batch.entries.len() > self.entries_max / QUEUE_SHARE_GIVING_WAY
                || inbox.payload_bytes > QUEUE_BYTES_MAX / QUEUE_SHARE_GIVING_WAY)
    }

    /// Hands the writer a request; it ends the gathering of the current group.
    pub fn request(&self, request: WriterRequest) -> Result<(), LedgerError> {
        let mut inbox = lock(&self.inbox);
        match &inbox.state {
            LedgerState::Open => {}
            LedgerState::Broken(reason) => return Err(LedgerError::Broken(reason.clone())),
            LedgerState::Closed => return Err(LedgerError::Closed),
        }
        inbox.batch.requests.push(request);
        inbox.idle = false;
        self.requested.store(true, Ordering::Relaxed);
        drop(inbox);
        self.arrived.notify_one();
        Ok(())
    }

    fn wake_if_idle(&self, inbox: &mut Inbox) {
        if inbox.idle {
            inbox.idle = false;
            self.arrived.notify_one();
        }
    }

    /// For the writer: waits until something arrives or `due` has passed, then gathers for `gather` unless a request
    /// arrives or there are enough entries for a group, and takes everything. At most `gather` late, never early.
    ///
    /// `batch` must be empty; its memory is used for the entries of the next group, so that the app thread seldom allocates.
    pub fn take(&self, batch: &mut Batch, due: Option<Duration>, gather: Duration) {
        let mut inbox = lock(&self.inbox);
        inbox.idle = true;
        let nothing = |inbox: &mut Inbox| inbox.batch.is_empty();
        inbox = match due {
            None => self.arrived.wait_while(inbox, nothing).unwrap_or_else(PoisonError::into_inner),
            Some(due) => {
                self.arrived.wait_timeout_while(inbox, due, nothing).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        inbox.idle = false;
        if !nothing(&mut inbox) {
            inbox = self
                .arrived
                .wait_timeout_while(inbox, gather, |inbox| {
                    inbox.batch.requests.is_empty() && inbox.batch.entries.len() < GROUP_ENTRIES_ENOUGH
                })
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        inbox.payload_bytes = 0;
        std::mem::swap(&mut inbox.batch, batch);
        self.requested.store(false, Ordering::Relaxed);
        self.behind.store(false, Ordering::Relaxed);
        self.taken.notify_one();
    }

    /// For the writer: counts patient tasks that were found at open, and those that have ended.
    pub fn patient_open_changed(&self, opened: usize, closed: usize) {
        let mut inbox = lock(&self.inbox);
        inbox.patient_open = (inbox.patient_open + opened).saturating_sub(closed);
    }

    /// For the writer: an account with this many tasks recorded one by one gets no further task admitted.
    pub fn bound_accounts(&self, tasks: u64) {
        if self.tasks_per_account.swap(tasks, Ordering::Relaxed) == u64::MAX && tasks < u64::MAX {
            tracing::warn!(
                tasks_per_account = tasks,
                "the ledger has more than three quarters of --ledger-tasks, and too few of them are old enough to be folded: \
                 accounts with more than this get no others for now"
            );
        }
    }

    /// For the writer: ends the queue, which takes nothing from now on. Requests and entries that still wait are returned;
    /// dropping a request tells its sender that there will be no answer.
    pub fn end(&self, state: LedgerState) -> Batch {
        let mut inbox = lock(&self.inbox);
        self.open.store(matches!(state, LedgerState::Open), Ordering::Release);
        inbox.state = state;
        self.behind.store(false, Ordering::Relaxed);
        self.taken.notify_one();
        std::mem::take(&mut inbox.batch)
    }

    /// Whether entries are taken; never waits.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Whether entries are taken, and if not, why.
    pub fn state(&self) -> LedgerState {
        lock(&self.inbox).state.clone()
    }

    /// For the writer: makes a group's results known. `rest` carries everything but the accounts.
    pub fn publish(&self, accounts: impl Iterator<Item = Account>, rest: Committed) {
        let mut outbox = lock(&self.outbox);
        for account in accounts {
            outbox.accounts.insert(account.id, account);
        }
        let mut conflicts = std::mem::take(&mut outbox.rest.conflicts);
        conflicts.extend(rest.conflicts.iter().copied());
        conflicts.truncate(super::CONFLICTS_KEPT_MAX);
        outbox.rest = Committed { conflicts, ..rest };
    }

    /// Everything published since the last call.
    pub fn drain(&self) -> Committed {
        let mut outbox = lock(&self.outbox);
        let accounts = outbox.accounts.drain().map(|(_, account)| account).collect();
        let conflicts = std::mem::take(&mut outbox.rest.conflicts);
        Committed { accounts, conflicts, ..outbox.rest.clone() }
    }

    /// How far the writer is.
    pub fn progress(&self) -> Progress {
        let waiting = lock(&self.inbox).batch.entries.len();
        let outbox = lock(&self.outbox);
        let Committed { totals, entries, groups, anomalies, .. } = outbox.rest;
        Progress { totals, groups, entries, waiting, anomalies }
    }

    /// Entries recorded since the ledger was opened.
    pub fn recorded(&self) -> u64 {
        lock(&self.outbox).rest.entries
    }

    /// The newest totals.
    pub fn totals(&self) -> super::Totals {
        lock(&self.outbox).rest.totals
    }
}

#[cfg(test)]
mod tests;
