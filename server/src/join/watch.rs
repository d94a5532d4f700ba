//! Notices what the operator's commands, which are other processes, have changed in the account store: tells the app who
//! was closed, renamed, capped or judged, and has the ledger book credits and judgements.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bevy_ecs::resource::Resource;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use p2c2r_protocol::AccountKey;
use tracing::{debug, error};

use super::error::JoinError;
use super::store::{AccountStore, OperatorChange, Order};
use crate::core::state::gamers::HourCap;
use crate::ledger::AccountId;

/// How often the store is asked whether it has changed: a revoked account is out within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks between two tries to book what could not be booked: the ledger knows an account only once it has connected.
const LOOKS_UNTIL_NEXT_TRY: u32 = 20;

/// Carries an order out in the ledger, durably and so that doing it again changes nothing, and waits for it. Answers with the
/// account's number; an error says why it is not done yet.
pub type Clerk = Box<dyn Fn(&Order) -> Result<AccountId, String> + Send>;

/// The app's end: what the operator has changed comes in, and nobody is let in any more once the app closes.
#[derive(Resource, Debug)]
pub struct AccountNews {
    changes: Receiver<OperatorChange>,
    closing: Arc<AtomicBool>,
}

impl AccountNews {
    /// The next change, if there is one.
    pub fn take(&self) -> Option<OperatorChange> {
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
    clerk: Clerk,
    changes: Sender<OperatorChange>,
    stop: Receiver<()>,
    /// State of the store when it was last read.
    version: Option<i64>,
    /// The operator's last act that the app knows of.
    epoch: i64,
    /// What an hour may cost, as the app knows it.
    hour_caps: HashMap<AccountKey, HourCap>,
    to_do: Vec<Order>,
    looks_until_next_try: u32,
}

impl Watch {
    /// A watch that tells what the operator does from now on, and carries out what was ordered while no coordinator ran. It
    /// ends when the returned sender is dropped.
    pub fn new(store: AccountStore, clerk: Clerk) -> Result<(Self, AccountNews, Sender<()>), JoinError> {
        let epoch = store.epoch()?;
        let hour_caps = store.hour_caps()?;
        let (changes_in, changes) = unbounded();
        // The app reads them before anybody is welcomed.
        for (key, cap) in &hour_caps {
            let _ = changes_in.send(OperatorChange::Capped(*key, *cap));
        }
        let (stop_in, stop) = crossbeam_channel::bounded(0);
        let watch = Self {
            store,
            clerk,
            changes: changes_in,
            stop,
            version: None,
            epoch,
            hour_caps,
            to_do: Vec::new(),
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
            if self.carry_out() {
                wake();
            }
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
        let (mut news, epoch) = self.store.changes_since(self.epoch)?;
        let hour_caps = self.store.hour_caps()?;
        let changed = hour_caps.iter().filter(|(key, cap)| self.hour_caps.get(*key) != Some(*cap));
        news.extend(changed.map(|(key, cap)| OperatorChange::Capped(*key, *cap)));
        let gone = self.hour_caps.keys().filter(|key| !hour_caps.contains_key(*key));
        news.extend(gone.map(|key| OperatorChange::Capped(*key, HourCap::AsEverybody)));
        self.hour_caps = hour_caps;
        let credits = self.store.credits_to_book()?.into_iter().map(Order::Credit);
        self.to_do = credits.chain(self.store.judgements_to_do()?.into_iter().map(Order::Judge)).collect();
        self.looks_until_next_try = 0;
        (self.version, self.epoch) = (Some(version), epoch);
        let is_news = !news.is_empty();
        for change in news {
            // The app has ended, and with it this thread in a moment.
            let _ = self.changes.send(change);
        }
        Ok(is_news)
    }

    /// Does what is to be done; says whether there is news for the app.
    fn carry_out(&mut self) -> bool {
        if self.to_do.is_empty() {
            return false;
        }
        if self.looks_until_next_try > 0 {
            self.looks_until_next_try -= 1;
            return false;
        }
        self.looks_until_next_try = LOOKS_UNTIL_NEXT_TRY;
        let Self { clerk, store, changes, .. } = self;
        let mut is_news = false;
        self.to_do.retain(|order| {
            let done = clerk(order).and_then(|account| {
                store.mark_done(order).map_err(|error| error.to_string())?;
                if let Order::Judge(judgement) = order {
                    // The app has ended, and with it this thread in a moment.
                    let _ = changes.send(OperatorChange::Judged(account, judgement.quarantined));
                    is_news = true;
                }
                Ok(())
            });
            if let Err(reason) = &done {
                debug!(%reason, ?order, "an order is not carried out yet");
            }
            done.is_err()
        });
        is_news
    }
}
