//! Connected gamers, what their accounts may spend, and which of their task ids are used up.
//!
//! Money here is a mirror of the ledger: durable balances plus what this process has held and charged since.
//! The ledger is the truth; the mirror only decides what may be started.

mod account;
mod hour;
mod remembered;
mod spent;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Digest, GamerStatement, Micros, NumberHash, PeerId, Receipt, Region, TaskId};

use crate::ledger::{self, AccountId};
pub use account::AccountMirror;
pub use hour::HourCap;
use remembered::{Remembered, RememberedLoad};

/// Bytes of delivered tasks that are remembered, over all accounts. Beyond it, the accounts that have been disconnected
/// longest are forgotten first, then a gamer's own oldest tasks; a repeated submit of a forgotten task is refused
/// instead of answered again.
pub const DELIVERED_BYTES_IN_SUM_MAX: usize = 96 * 1024 * 1024;
/// Bytes of undelivered outcomes, over all accounts; the oldest are dropped first.
pub const UNDELIVERED_BYTES_IN_SUM_MAX: usize = 32 * 1024 * 1024;
/// How long an outcome waits for its gamer: as long as outcomes are kept anywhere.
const UNDELIVERED_KEPT: Duration = crate::core::state::cache::KEPT;
/// Stale entries that the `waiting` and `away` queues may hold, besides valid ones, before they are swept.
const ORDER_SLACK: usize = 1_024;
/// Accounts examined in one search for an account to forget; bounds the cost of the search.
const AWAY_LOOKED_AT_MAX: usize = 64;
/// Accounts remembered, connected or not. Exceeded only while more are connected, have tasks in flight or have
/// undelivered outcomes.
pub const ACCOUNTS_MAX: usize = 4_096;

/// One connected gamer.
pub struct GamerSession {
    /// Public name.
    pub name: String,
    /// The account that pays.
    pub account: AccountId,
    /// What the gamer was last told.
    pub told: GamerStatement,
    /// The connection has ended; messages received before are still handled.
    pub leaving: bool,
}

/// The connected workers, as far as gamers are told of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkersAround {
    /// How many there are.
    pub count: u32,
    /// The shortest round trip to one of them, in whole milliseconds, rounded up so that it does not change with every
    /// measurement; `None` before one is measured.
    pub nearest_ms: Option<u16>,
    /// Where that worker's owner says that it is.
    pub nearest_region: Option<Region>,
}

/// A finished task, remembered.
#[derive(Clone)]
pub struct FinishedTask {
    /// Digest of what was asked.
    pub key: Digest,
    /// The outcome.
    pub outcome: Arc<[u8]>,
    /// The receipt that went with it.
    pub receipt: Receipt,
    /// The worker whose outcome it is; `None` for the coordinator's own.
    pub maker: Option<AccountId>,
    /// Whether it was sent to a connected gamer.
    pub delivered: bool,
}

/// All connected gamers, and the accounts of recent ones.
#[derive(Default)]
pub struct Gamers {
    sessions: HashMap<PeerId, GamerSession, NumberHash>,
    accounts: HashMap<AccountId, AccountMirror, NumberHash>,
    /// Disconnected accounts, the longest disconnected first; an entry is valid if its number equals the account's
    /// `away`.
    away: VecDeque<(u64, AccountId)>,
    next_away: u64,
    /// Number and bytes of all remembered tasks.
    remembered: RememberedLoad,
    /// Number and bytes of the undelivered ones among them.
    undelivered: RememberedLoad,
    /// Undelivered tasks, the oldest first, with the moment each was finished; entries of delivered ones are skipped.
    waiting: VecDeque<(Micros, AccountId, TaskId)>,
}

impl Gamers {
    /// Connected gamers.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Bytes of delivered tasks; at most [`DELIVERED_BYTES_IN_SUM_MAX`].
    pub fn delivered_bytes(&self) -> usize {
        self.remembered.bytes - self.undelivered.bytes
    }

    /// Bytes of undelivered tasks; at most [`UNDELIVERED_BYTES_IN_SUM_MAX`].
    pub fn undelivered_bytes(&self) -> usize {
        self.undelivered.bytes
    }

    /// Opens the mirror of an account from the ledger's record: its balance, its charges and when the recent ones were
    /// made, and its spent ids. An account that is open already is not changed.
    pub fn open_account(&mut self, account: &ledger::Account, now: Micros) -> &mut AccountMirror {
        if self.account(account.id).is_none() {
            self.add(account, now);
        }
        self.accounts.entry(account.id).or_default()
    }

    fn add(&mut self, account: &ledger::Account, now: Micros) {
        self.accounts.insert(account.id, AccountMirror::new(account, now));
        self.note_away(account.id);
        while self.accounts.len() > ACCOUNTS_MAX && self.forget_away_longest(account.id) {}
    }

    /// A gamer joined.
    pub fn join(&mut self, peer: PeerId, name: String, account: AccountId) {
        if let Some(mirror) = self.accounts.get_mut(&account) {
            mirror.sessions.push(peer);
            mirror.away = None;
        }
        let session = GamerSession { name, account, told: GamerStatement::default(), leaving: false };
        self.sessions.insert(peer, session);
    }

    /// A gamer's connection has ended: nothing is sent over it from now on.
    pub fn begin_leaving(&mut self, peer: PeerId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.leaving = true;
        let account = session.account;
        self.disconnect(peer, account);
    }

    /// A gamer left.
    pub fn leave(&mut self, peer: PeerId) -> Option<GamerSession> {
        let session = self.sessions.remove(&peer)?;
        self.disconnect(peer, session.account);
        Some(session)
    }

    fn disconnect(&mut self, peer: PeerId, account: AccountId) {
        let Some(mirror) = self.accounts.get_mut(&account) else { return };
        mirror.sessions.retain(|other| *other != peer);
        if mirror.sessions.is_empty() && mirror.away.is_none() {
            self.note_away(account);
        }
    }

    /// Appends the account to the queue of disconnected ones.
    fn note_away(&mut self, account: AccountId) {
        let Some(mirror) = self.accounts.get_mut(&account) else { return };
        mirror.away = Some(self.next_away);
        if self.away.len() > 2 * self.accounts.len() + ORDER_SLACK {
            let accounts = &self.accounts;
            self.away.retain(|(place, account)| {
                accounts.get(account).is_some_and(|mirror| mirror.away == Some(*place))
            });
        }
        self.away.push_back((self.next_away, account));
        self.next_away += 1;
    }

    /// Forgets the account that has been disconnected longest or, if it has tasks in flight or undelivered outcomes,
    /// only its delivered tasks. Returns false if nothing could be forgotten. The account `but` is never removed.
    fn forget_away_longest(&mut self, but: AccountId) -> bool {
        for _ in 0..self.away.len().min(AWAY_LOOKED_AT_MAX) {
            let Some((place, account)) = self.away.pop_front() else { return false };
            let Some(mirror) = self.accounts.get_mut(&account) else { continue };
            if mirror.away != Some(place) {
                continue;
            }
            let before = mirror.remembered.load();
            while mirror.remembered.drop_oldest_delivered() {}
            let after = mirror.remembered.load();
            let is_needed = account == but || !mirror.tasks.is_empty() || after.count > 0;
            self.remembered.count -= before.count - after.count;
            self.remembered.bytes -= before.bytes - after.bytes;
            if is_needed {
                self.note_away(account);
            } else {
                self.accounts.remove(&account);
            }
            if !is_needed || before != after {
                return true;
            }
        }
        false
    }

    /// Remembers a finished task, and forgets older ones for it: see [`DELIVERED_BYTES_IN_SUM_MAX`] and
    /// [`UNDELIVERED_BYTES_IN_SUM_MAX`].
    pub fn remember(&mut self, account: AccountId, id: TaskId, finished: Box<FinishedTask>) {
        let (at, delivered) = (finished.receipt.sent_at, finished.delivered);
        if self.change_remembered(account, |remembered| remembered.add(id, finished)).is_none() {
            return;
        }
        if !delivered {
            self.waiting.push_back((at, account, id));
            if self.waiting.len() > 2 * self.undelivered.count + ORDER_SLACK {
                let accounts = &self.accounts;
                self.waiting.retain(|(_, account, id)| {
                    accounts.get(account).is_some_and(|mirror| mirror.remembered.is_undelivered(*id))
                });
            }
            while self.undelivered.bytes > UNDELIVERED_BYTES_IN_SUM_MAX && self.drop_longest_waiting() {}
        }
        self.keep_delivered_within_bounds(account);
    }

    /// Forgets delivered tasks until they fit [`DELIVERED_BYTES_IN_SUM_MAX`]: those of disconnected accounts first, at
    /// last those of this account, which has just grown.
    fn keep_delivered_within_bounds(&mut self, account: AccountId) {
        while self.delivered_bytes() > DELIVERED_BYTES_IN_SUM_MAX {
            if !self.forget_away_longest(account)
                && self.change_remembered(account, Remembered::drop_oldest_delivered) != Some(true)
            {
                break;
            }
        }
    }

    /// The undelivered tasks of an account; the caller sends them, and from now on they count as delivered.
    pub fn take_undelivered(&mut self, account: AccountId) -> Vec<(TaskId, FinishedTask)> {
        let taken = self.change_remembered(account, Remembered::take_undelivered).unwrap_or_default();
        self.keep_delivered_within_bounds(account);
        taken
    }

    /// Withdraws the undelivered outcomes of a convicted worker: their gamers are told instead that the tasks failed.
    /// Looks at all accounts.
    pub fn withdraw(&mut self, maker: AccountId) {
        let of_somebody = self.accounts.iter().filter(|(_, mirror)| mirror.undelivered() > 0);
        let accounts: Vec<AccountId> = of_somebody.map(|(account, _)| *account).collect();
        for account in accounts {
            self.change_remembered(account, |remembered| remembered.withdraw(maker));
        }
    }

    /// The withdrawn tasks of an account that its gamer has not been told of; the caller tells.
    pub fn take_withdrawn(&mut self, account: AccountId) -> Vec<TaskId> {
        self.accounts.get_mut(&account).map(|mirror| mirror.remembered.take_withdrawn()).unwrap_or_default()
    }

    /// Drops outcomes that have been undelivered for `UNDELIVERED_KEPT`. They stay charged.
    pub fn expire_undelivered(&mut self, now: Micros) {
        let too_old = |at: Micros| now.time_since(at) >= UNDELIVERED_KEPT;
        while self.waiting.front().is_some_and(|(at, ..)| too_old(*at)) && self.drop_longest_waiting() {}
    }

    /// Drops the oldest undelivered outcome, or a stale entry of the queue; false if the queue is empty.
    fn drop_longest_waiting(&mut self) -> bool {
        let Some((_, account, id)) = self.waiting.pop_front() else { return false };
        self.change_remembered(account, |remembered| remembered.drop_undelivered(id));
        true
    }

    /// Changes an account's remembered tasks and updates the sums over all accounts.
    fn change_remembered<T>(
        &mut self,
        account: AccountId,
        change: impl FnOnce(&mut Remembered) -> T,
    ) -> Option<T> {
        let remembered = &mut self.accounts.get_mut(&account)?.remembered;
        let before = (remembered.load(), remembered.undelivered());
        let result = change(remembered);
        let after = (remembered.load(), remembered.undelivered());
        for (sum, before, after) in
            [(&mut self.remembered, before.0, after.0), (&mut self.undelivered, before.1, after.1)]
        {
            sum.count = sum.count + after.count - before.count;
            sum.bytes = sum.bytes + after.bytes - before.bytes;
        }
        Some(result)
    }

    /// One connected gamer.
    pub fn session(&self, peer: PeerId) -> Option<&GamerSession> {
        self.sessions.get(&peer)
    }

    /// One connected gamer, to change.
    pub fn session_mut(&mut self, peer: PeerId) -> Option<&mut GamerSession> {
        self.sessions.get_mut(&peer)
    }

    /// Connected gamers.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &GamerSession)> {
        self.sessions.iter().map(|(peer, session)| (*peer, session))
    }

    /// Their connections.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.sessions.keys().copied()
    }

    /// All mirrors, in no particular order.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = (AccountId, &AccountMirror)> {
        self.accounts.iter().map(|(account, mirror)| (*account, mirror))
    }

    /// One account's mirror.
    pub fn account(&self, account: AccountId) -> Option<&AccountMirror> {
        self.accounts.get(&account)
    }

    /// One account's mirror, to change.
    pub fn account_mut(&mut self, account: AccountId) -> Option<&mut AccountMirror> {
        self.accounts.get_mut(&account)
    }

    /// What a gamer is told of its account, and of the workers around it.
    pub fn statement(&self, account: AccountId, workers: WorkersAround) -> GamerStatement {
        let statement = self.accounts.get(&account).map(AccountMirror::statement).unwrap_or_default();
        GamerStatement {
            workers: workers.count,
            nearest_worker_ms: workers.nearest_ms,
            nearest_worker_region: workers.nearest_region,
            gamers: self.sessions.len() as u32,
            ..statement
        }
    }
}

#[cfg(test)]
mod tests;
