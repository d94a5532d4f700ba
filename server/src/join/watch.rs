//! Notices what the operator's commands, which are other processes, have changed in the account store: tells the app who
//! was closed or renamed, and books credits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bevy_ecs::resource::Resource;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tracing::{debug, error};

use super::error::JoinError;
use super::store::{AccountChange, AccountStore, Credit};

/// How often the store is asked whether it has changed: a revoked account is out within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks between two tries to book what could not be booked: the ledger knows an account only once it has connected.
const LOOKS_UNTIL_NEXT_TRY: u32 = 20;

/// Books a credit, durably and at most once for each reference, and waits for it; an error says why it is not booked yet.
pub type Bank = Box<dyn Fn(&Credit) -> Result<(), String> + Send>;

/// The app's end: what the operator has changed comes in, and nobody is let in any more once the app closes.
#[derive(Resource, Debug)]
pub struct AccountNews {
    changes: Receiver<AccountChange>,
    closing: Arc<AtomicBool>,
}

impl AccountNews {
    /// The next change, if there is one.
    pub fn take(&self) -> Option<AccountChange> {
        self.changes.try_recv().ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// From now on everybody who wants to join is told to try again later.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// What [`close`](Self::close) sets.
    pub(super) fn closing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closing)
    }
}

/// Looks at the store over a connection and on a thread of its own, so that no crowd of requests makes a revoked account
/// wait.
pub(super) struct Watch {
    store: AccountStore,
    bank: Bank,
    changes: Sender<AccountChange>,
    stop: Receiver<()>,
    /// State of the store when it was last read.
    version: Option<i64>,
    /// The operator's last act that the app knows of.
    epoch: i64,
    to_book: Vec<Credit>,
    looks_until_next_try: u32,
}

impl Watch {
    /// A watch that tells what the operator does from now on, and books what was credited while no coordinator ran. It
    /// ends when the returned sender is dropped.
    pub fn new(store: AccountStore, bank: Bank) -> Result<(Self, AccountNews, Sender<()>), JoinError> {
        let epoch = store.epoch()?;
        let (changes_in, changes) = unbounded();
        let (stop_in, stop) = crossbeam_channel::bounded(0);
        let watch = Self {
            store,
            bank,
            changes: changes_in,
            stop,
            version: None,
            epoch,
            to_book: Vec::new(),
            looks_until_next_try: 0,
        };
        Ok((watch, AccountNews { changes, closing: Arc::default() }, stop_in))
    }

    /// Looks until it is stopped; `wake` is called when there is news for the app.
    pub fn run(mut self, wake: impl Fn()) {
        loop {
            match self.look() {
                Ok(true) => wake(),
                Ok(false) => {}
                Err(cause) => error!(%cause, "the operator's changes to accounts cannot be read"),
            }
            self.book();
            if self.stop.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Hands on what has changed since the last look; says whether there was anything.
    fn look(&mut self) -> Result<bool, JoinError> {
        let version = self.store.version()?;
        if self.version == Some(version) {
            return Ok(false);
        }
        let (news, epoch) = self.store.changes_since(self.epoch)?;
        self.to_book = self.store.credits_to_book()?;
        self.looks_until_next_try = 0;
        (self.version, self.epoch) = (Some(version), epoch);
        let is_news = !news.is_empty();
        for change in news {
            // The app has ended, and with it this thread in a moment.
            let _ = self.changes.send(change);
        }
        Ok(is_news)
    }

    fn book(&mut self) {
        if self.to_book.is_empty() {
            return;
        }
        if self.looks_until_next_try > 0 {
            self.looks_until_next_try -= 1;
            return;
        }
        self.looks_until_next_try = LOOKS_UNTIL_NEXT_TRY;
        let (bank, store) = (&self.bank, &mut self.store);
        self.to_book.retain(|credit| {
            let booked = bank(credit)
                .and_then(|()| store.mark_booked(credit.reference).map_err(|error| error.to_string()));
            if let Err(reason) = &booked {
                debug!(%reason, account = ?credit.key, "a credit is not booked yet");
            }
            booked.is_err()
        });
    }
}
