//! The ledger as the coordinator's app uses it: entries are appended without waiting, back-pressure from a slow writer
//! is applied, and a failure to record is noticed.

use std::time::Duration;

use bevy_ecs::system::Res;
use p2c2r_protocol::{AccountKey, Nanos, Role};

use crate::ledger::{
    Account, AccountRequest, AdmissionRoom, Committed, Entry, Ledger, LedgerError, LedgerState, Progress,
};
use crate::peers::Scheduler;
use crate::waking::LateWaker;

/// Longest wait of one update for a ledger that is far behind: heartbeats are still answered in time.
const BACK_PRESSURE_WAIT_MAX: Duration = Duration::from_millis(5);

/// The ledger, as the app's systems use it.
pub struct LedgerClient {
    ledger: Ledger,
    failed: bool,
    waker: LateWaker,
}

impl LedgerClient {
    /// The app's end of `ledger`, whose answers wake the app by `waker`.
    pub fn new(ledger: Ledger, waker: LateWaker) -> Self {
        Self { ledger, failed: false, waker }
    }

    /// Asks for an account, which is opened, and a gamer credited, if there is none. The app is woken once
    /// [`LedgerClient::opened`] has it.
    pub fn ask_account(
        &self,
        role: Role,
        key: AccountKey,
        name: &str,
        credit: Nanos,
    ) -> Result<AccountRequest, LedgerError> {
        let waker = self.waker.clone();
        self.ledger.ask_account(role, key, name, credit, move || waker.wake())
    }

    /// An account that was asked for, if the ledger has answered.
    pub fn opened(&self, opening: &AccountRequest) -> Option<Result<Account, LedgerError>> {
        self.ledger.opened(opening)
    }

    /// How many admissions the ledger would record; `None` if it has stopped recording.
    pub fn room(&mut self) -> Option<AdmissionRoom> {
        if self.has_failed() { None } else { self.ledger.room().ok() }
    }

    /// Appends entries and empties `entries`. Admissions must have had [room](Self::room); entries about admitted tasks
    /// are always taken.
    pub fn record(&mut self, entries: &mut Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        if self.ledger.append_all(entries).is_err() {
            self.failed = true;
            entries.clear();
        }
    }

    /// Whether everything appended so far was taken and more can be.
    pub fn is_recording(&self) -> bool {
        !self.failed && self.ledger.is_open()
    }

    /// Whether recording has failed: nothing more may be admitted.
    pub fn has_failed(&mut self) -> bool {
        self.failed = !self.is_recording();
        self.failed
    }

    /// What peers may be told of why recording has failed, if it has.
    pub fn failure_for_peers(&self) -> Option<&'static str> {
        self.ledger.failure_for_peers()
    }

    /// What was recorded since the last call.
    pub fn drain_committed(&self) -> Committed {
        self.ledger.drain_committed()
    }

    /// The smallest session number for a new connection. An account's session numbers must grow, but the ledger forgets its
    /// last one when the task that carries it is folded, after ten minutes of the ledger's time at the earliest. This minimum
    /// is that time in seconds: it exceeds the forgotten number by then, whatever the wall clock says, unless the account
    /// connected more than once a second.
    pub fn session_at_least(&self) -> u32 {
        u32::try_from(self.ledger.seconds()).unwrap_or(u32::MAX / 2)
    }

    /// Back-pressure: waits for a writer that is far behind.
    fn wait_for_writer(&self) {
        self.ledger.wait_for_writer(BACK_PRESSURE_WAIT_MAX);
    }

    /// The ledger's progress.
    pub fn progress(&self) -> Progress {
        self.ledger.progress()
    }

    /// Why nothing is recorded, in a sentence for the operator, if nothing is.
    pub fn trouble(&self) -> Option<String> {
        match self.ledger.state() {
            LedgerState::Broken(breakdown) => Some(breakdown.to_string()),
            LedgerState::Closed => Some("it is closed".to_owned()),
            LedgerState::Open => self.failed.then(|| "an entry was not taken".to_owned()),
        }
    }
}

/// Waits for a ledger writer that is far behind, after everything decided has been sent. Tasks then wait
/// before admission, and fewer are refused.
pub fn apply_back_pressure(scheduler: Res<'_, Scheduler>) {
    scheduler.ledger.wait_for_writer();
}
