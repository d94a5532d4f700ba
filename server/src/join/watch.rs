//! Watches the account store for changes by the operator's commands, which are other processes: reports closed,
//! renamed, capped and quarantined accounts to the app, and has the ledger record credits and quarantine orders.
//! Keeps in the store which accounts are connected.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use p2c2r_protocol::AccountKey;
use tracing::{debug, error};

use super::error::JoinError;
use super::limits::LastComplaint;
use super::reach::SharedUdpReach;
use super::renewal::RenewedCertificate;
use super::store::{AccountStore, OperatorChange, Order, WallSeconds};
use crate::core::state::gamers::HourCap;
use crate::ledger::AccountId;

/// Polling interval of the store: a revoked account is disconnected within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Polls between two attempts to carry out an order that failed: the ledger knows an account only once it has
/// connected.
const LOOKS_UNTIL_NEXT_TRY: u32 = 20;

/// Carries an order out in the ledger, durably and idempotently, and waits for it. Returns the account's number, or an
/// error that says why it is not done yet.
pub type Clerk = Box<dyn Fn(&Order) -> Result<AccountId, String> + Send>;

/// The app's end: delivers the operator's changes, hears that somebody is connected, and stops the joining of new peers.
#[derive(Resource, Debug)]
pub struct AccountNews {
    changes: Receiver<OperatorChange>,
    here: Sender<Vec<AccountKey>>,
    closing: Arc<AtomicBool>,
    reach: SharedUdpReach,
    certificate: Option<Arc<RenewedCertificate>>,
}

impl AccountNews {
    /// Notes that somebody is connected, so UDP arrives.
    pub fn somebody_is_here(&self) {
        self.reach.somebody_is_here();
    }

    /// Has the store note that these accounts are connected.
    pub fn are_here(&self, accounts: Vec<AccountKey>) {
        // Fails only if the watch has ended, and then the coordinator is about to end.
        let _ = self.here.send(accounts);
    }

    /// The port at which UDP does not arrive, if it does not.
    pub fn blocked_udp_port(&self) -> Option<u16> {
        self.reach.blocked_port()
    }

    /// When the operator's certificate ends; `None` where the coordinator's own is used, whose end no client looks at.
    pub fn certificate_ends(&self) -> Option<WallSeconds> {
        self.certificate.as_ref().and_then(|certificate| certificate.ends())
    }

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

/// Watches the store with its own connection and thread, so that a flood of requests does not delay the closing of an
/// account.
pub(super) struct Watch {
    store: AccountStore,
    clerk: Clerk,
    changes: Sender<OperatorChange>,
    /// Lists of the connected accounts, which the app sends from time to time.
    here: Receiver<Vec<AccountKey>>,
    stop: Receiver<()>,
    /// State of the store when it was last read.
    version: Option<i64>,
    /// The operator's last act that the app knows of.
    epoch: i64,
    /// The hourly caps that the app knows of.
    hour_caps: HashMap<AccountKey, HourCap>,
    to_do: Vec<Order>,
    looks_until_next_try: u32,
    /// Whether UDP arrives, reported at every poll.
    reach: SharedUdpReach,
}

impl Watch {
    /// A watch that reports the operator's changes from now on, and carries out orders given while no coordinator ran.
    /// It ends when the returned sender is dropped.
    pub fn new(
        store: AccountStore,
        clerk: Clerk,
        reach: SharedUdpReach,
        certificate: Option<Arc<RenewedCertificate>>,
    ) -> Result<(Self, AccountNews, Sender<()>), JoinError> {
        let epoch = store.epoch()?;
        let hour_caps = store.hour_caps()?;
        let (changes_in, changes) = unbounded();
        // The app reads the caps before it welcomes anyone.
        for (key, cap) in &hour_caps {
            let _ = changes_in.send(OperatorChange::Capped(*key, *cap));
        }
        let (here_in, here) = unbounded();
        let (stop_in, stop) = crossbeam_channel::bounded(0);
        let watch = Self {
            store,
            clerk,
            changes: changes_in,
            here,
            stop,
            version: None,
            epoch,
            hour_caps,
            to_do: Vec::new(),
            looks_until_next_try: 0,
            reach: reach.clone(),
        };
        Ok((
            watch,
            AccountNews { changes, here: here_in, closing: Arc::default(), reach, certificate },
            stop_in,
        ))
    }

    /// A sender for further changes of accounts that the app must hear of.
    pub fn changes(&self) -> Sender<OperatorChange> {
        self.changes.clone()
    }

    /// Polls until it is stopped; `wake` is called when there is news for the app.
    pub fn run(mut self, wake: impl Fn()) {
        let (began, mut complained) = (Instant::now(), LastComplaint::default());
        loop {
            match self.look() {
                Ok(true) => wake(),
                Ok(false) => {}
                Err(_) if !complained.is_due(began.elapsed()) => {}
                Err(cause) => error!(%cause, "the operator's changes to accounts cannot be read"),
            }
            if self.carry_out() {
                wake();
            }
            self.keep_visits();
            self.reach.report();
            if self.stop.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Reports what has changed since the last poll; returns whether anything has.
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
            // Fails only if the app has ended, and then this thread is about to end.
            let _ = self.changes.send(change);
        }
        Ok(is_news)
    }

    /// Stores which accounts are connected; if the store fails, the next note makes up for it.
    fn keep_visits(&mut self) {
        while let Ok(accounts) = self.here.try_recv() {
            if let Err(cause) = self.store.keep_visits(&accounts, WallSeconds::now()) {
                debug!(%cause, "who is connected is not kept yet");
            }
        }
    }

    /// Carries out the pending orders, those for one account in the order in which they were given; returns whether there is
    /// news for the app.
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
        let mut failed = HashSet::new();
        self.to_do.retain(|order| {
            // Not before an earlier order for the same account: a worker that was forgiven last would end in quarantine.
            if failed.contains(&order.account()) {
                return true;
            }
            let done = clerk(order).and_then(|account| {
                store.mark_done(order).map_err(|error| error.to_string())?;
                if let Order::Judge(judgement) = order {
                    // Fails only if the app has ended, and then this thread is about to end.
                    let _ = changes.send(OperatorChange::Judged(account, judgement.quarantined));
                    is_news = true;
                }
                Ok(())
            });
            if let Err(reason) = &done {
                debug!(%reason, ?order, "an order is not carried out yet");
                failed.insert(order.account());
            }
            done.is_err()
        });
        is_news
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::{Nanos, Role};

    use super::super::store::{Judgement, Newcomer};
    use super::*;

    #[test]
    fn an_order_that_failed_is_not_overtaken_by_a_later_one_for_the_same_account() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = AccountStore::open(folder.path()).unwrap();
        let (key, now) = (AccountKey([7; 32]), WallSeconds(1_000));
        let newcomer = Newcomer { key, role: Role::Worker, name: "bob", invite: None };
        store.enrol_openly(&newcomer, (Nanos::ZERO, 1), None, now).unwrap().unwrap();
        for quarantined in [true, false] {
            store.judge(key, quarantined, now).unwrap();
        }
        let ((tell, told), is_first) = (unbounded(), AtomicBool::new(true));
        let clerk = move |order: &Order| {
            tell.send(*order).unwrap();
            if is_first.swap(false, Ordering::Relaxed) { Err("busy".to_owned()) } else { Ok(AccountId(1)) }
        };
        let (mut watch, _news, _stop) =
            Watch::new(store, Box::new(clerk), SharedUdpReach::new(0), None).unwrap();
        watch.look().unwrap();
        for expected in [&[true][..], &[true, false]] {
            watch.looks_until_next_try = 0;
            watch.carry_out();
            let tried = told.try_iter().map(|order| {
                let Order::Judge(Judgement { quarantined, .. }) = order else { panic!("{order:?}") };
                quarantined
            });
            assert_eq!(tried.collect::<Vec<_>>(), expected);
        }
        assert!(watch.to_do.is_empty());
    }
}
