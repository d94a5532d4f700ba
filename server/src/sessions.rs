//! The gamers who are connected, what they may spend, and which of their task ids are spent.
//!
//! Money here is a mirror of the ledger: durable balances plus what this process has held and charged since.
//! The ledger is the truth; the mirror only decides what may be started.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{
    Digest, GamerStatement, Micros, Nanos, NumberHash, PeerId, Receipt, SeededHash, TaskId, TaskNo,
};

use crate::ledger::AccountId;

/// Finished tasks remembered per account, to answer a repeated submit again.
const RECENT_MAX: usize = 256;
/// Bytes of outcomes remembered per account for the same purpose.
const RECENT_BYTES_MAX: usize = 1024 * 1024;
/// Task ids remembered behind the newest one of a game session. More than one gamer may have in flight, so
/// that ids arriving out of order are still told from spent ones.
const SPENT_WINDOW: u32 = 8_192;
/// Game sessions of one account whose spent ids are remembered one by one.
const SPENT_SESSIONS_MAX: usize = 8;
/// Game sessions of one account of which the newest id is remembered; no further ones are let in.
const SPENT_FLOORS_MAX: usize = crate::ledger::NEWEST_TASKS_MAX;
/// Blobs not seen before that one connection may bring at once.
const FRESH_BLOBS_AT_ONCE: u64 = 16;
/// After that one in so many microseconds.
const FRESH_BLOB_EVERY_US: u64 = 125_000;
/// Accounts remembered after their gamers left.
const ACCOUNTS_MAX: usize = 4_096;

const _: () = assert!(SPENT_WINDOW as usize > 2 * p2c2r_protocol::limits::TASKS_PER_GAMER_MAX);

/// One connected gamer.
pub struct Session {
    /// Public name.
    pub name: String,
    /// The account that pays.
    pub account: AccountId,
    /// What the gamer was last told.
    pub told: GamerStatement,
    /// The connection is gone; only what came before it went is still heard.
    pub leaving: bool,
    /// Until when the blobs it brought use up its share.
    fresh_blobs_until: Micros,
}

impl Session {
    /// Whether it may bring a blob that was not seen before; if so, that is counted.
    pub fn may_bring_blob(&mut self, now: Micros) -> bool {
        let used_until = self.fresh_blobs_until.0.max(now.0);
        let may = used_until - now.0 <= (FRESH_BLOBS_AT_ONCE - 1) * FRESH_BLOB_EVERY_US;
        if may {
            self.fresh_blobs_until = Micros(used_until + FRESH_BLOB_EVERY_US);
        }
        may
    }
}

/// A finished task, remembered.
#[derive(Clone)]
pub struct Finished {
    /// Digest of what was asked.
    pub key: Digest,
    /// The outcome.
    pub outcome: Arc<[u8]>,
    /// The receipt that went with it.
    pub receipt: Receipt,
    /// Whether it was sent to a connected gamer.
    pub delivered: bool,
}

/// One account's mirror.
#[derive(Default)]
pub struct Account {
    /// What the account may spend, holds not yet taken off.
    balance: Nanos,
    /// Held for tasks in flight.
    held: Nanos,
    /// Charged since this process opened the account, durable or not.
    charged: Nanos,
    /// Charged as the ledger has durably recorded it.
    charged_durable: Nanos,
    /// Charged before this process opened the account.
    charged_before: Nanos,
    /// Tasks in flight.
    pub tasks: HashSet<TaskNo, NumberHash>,
    spent: SpentIds,
    recent: HashMap<TaskId, Finished, SeededHash>,
    recent_order: VecDeque<TaskId>,
    recent_bytes: usize,
    undelivered: usize,
    sessions: Vec<PeerId>,
}

impl Account {
    /// What may still be spent.
    pub fn available(&self) -> Nanos {
        self.balance - self.held
    }

    /// Holds `price` for a task.
    pub fn hold(&mut self, price: Nanos) {
        self.held += price;
    }

    /// Gives a hold back.
    pub fn release(&mut self, price: Nanos) {
        debug_assert!(self.held >= price, "a hold is given back once");
        self.held -= price;
    }

    /// Charges `price`, which the caller has released if it was held.
    pub fn charge(&mut self, price: Nanos) {
        self.balance -= price;
        self.charged += price;
    }

    /// The ledger has durably recorded `charged` in all.
    pub fn recorded(&mut self, charged: Nanos) {
        self.charged_durable = charged;
    }

    /// The ledger has recorded everything there is, with this much left to spend and this much charged in
    /// all: what the mirror took for charged and the ledger dropped (an id used before a restart) is put
    /// right.
    pub fn rebase(&mut self, available: Nanos, charged: Nanos) {
        self.balance = available + self.held;
        self.charged_before = charged;
        self.charged = Nanos::ZERO;
        self.charged_durable = charged;
    }

    /// Whether `id` was admitted before.
    pub fn is_spent(&self, id: TaskId) -> bool {
        self.spent.contains(id)
    }

    /// These are the newest ids of game sessions from before, and everything up to them is spent.
    pub fn know_spent(&mut self, newest: &[TaskId]) {
        for id in newest {
            self.spent.know(*id);
        }
    }

    /// `id` has been admitted.
    pub fn spend(&mut self, id: TaskId) {
        self.spent.insert(id);
    }

    /// The finished task called `id`, if it is still remembered.
    pub fn finished(&self, id: TaskId) -> Option<&Finished> {
        self.recent.get(&id)
    }

    /// Finished tasks that no one has been sent yet.
    pub fn undelivered(&self) -> usize {
        self.undelivered
    }

    /// Remembers a finished task; the oldest delivered ones go. Those charged and not delivered stay: no more
    /// of them than tasks may be in flight.
    pub fn remember(&mut self, id: TaskId, finished: Finished) {
        self.recent_bytes += finished.outcome.len();
        self.undelivered += usize::from(!finished.delivered);
        self.recent.insert(id, finished);
        self.recent_order.push_back(id);
        while self.recent_order.len() > RECENT_MAX || self.recent_bytes > RECENT_BYTES_MAX {
            let delivered = |id: &TaskId| self.recent.get(id).is_none_or(|finished| finished.delivered);
            let Some(at) = self.recent_order.iter().position(delivered) else { break };
            let Some(oldest) = self.recent_order.remove(at) else { break };
            if let Some(gone) = self.recent.remove(&oldest) {
                self.recent_bytes -= gone.outcome.len();
            }
        }
    }

    /// Finished tasks no one has been sent yet; from now on they count as sent.
    pub fn take_undelivered(&mut self) -> Vec<(TaskId, Finished)> {
        let mut taken: Vec<_> = self
            .recent
            .iter_mut()
            .filter(|(_, finished)| !finished.delivered)
            .map(|(id, finished)| {
                finished.delivered = true;
                (*id, finished.clone())
            })
            .collect();
        self.undelivered = 0;
        taken.sort_unstable_by_key(|(id, _)| *id);
        taken
    }

    /// A connection of this account, if there is one.
    pub fn any_session(&self) -> Option<PeerId> {
        self.sessions.first().copied()
    }

    fn statement(&self) -> GamerStatement {
        let not_recorded = self.charged_before + self.charged - self.charged_durable;
        GamerStatement {
            charged: self.charged_durable,
            held: self.held + not_recorded.max(Nanos::ZERO),
            available: self.available(),
            workers: 0,
            gamers: 0,
        }
    }
}

/// Everyone who plays.
#[derive(Resource, Default)]
pub struct Gamers {
    sessions: HashMap<PeerId, Session, NumberHash>,
    accounts: HashMap<AccountId, Account, NumberHash>,
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

    /// Opens the mirror of an account, as the ledger knows it: what it may spend and what it was charged. An
    /// account that is open already keeps what it has.
    pub fn open_account(&mut self, account: AccountId, balance: Nanos, charged: Nanos) -> &mut Account {
        if self.accounts.len() >= ACCOUNTS_MAX {
            self.accounts.retain(|_, account| {
                !account.sessions.is_empty() || !account.tasks.is_empty() || account.undelivered > 0
            });
        }
        self.accounts.entry(account).or_insert_with(|| Account {
            balance,
            charged_before: charged,
            charged_durable: charged,
            ..Account::default()
        })
    }

    /// A gamer joined.
    pub fn join(&mut self, peer: PeerId, name: String, account: AccountId) {
        if let Some(mirror) = self.accounts.get_mut(&account) {
            mirror.sessions.push(peer);
        }
        let session = Session {
            name,
            account,
            told: GamerStatement::default(),
            leaving: false,
            fresh_blobs_until: Micros(0),
        };
        self.sessions.insert(peer, session);
    }

    /// A gamer's connection is gone: nothing is sent there any more.
    pub fn begin_leaving(&mut self, peer: PeerId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.leaving = true;
        if let Some(mirror) = self.accounts.get_mut(&session.account) {
            mirror.sessions.retain(|other| *other != peer);
        }
    }

    /// A gamer left.
    pub fn leave(&mut self, peer: PeerId) -> Option<Session> {
        let session = self.sessions.remove(&peer)?;
        if let Some(mirror) = self.accounts.get_mut(&session.account) {
            mirror.sessions.retain(|other| *other != peer);
        }
        Some(session)
    }

    /// One connected gamer.
    pub fn session(&self, peer: PeerId) -> Option<&Session> {
        self.sessions.get(&peer)
    }

    /// One connected gamer, to change.
    pub fn session_mut(&mut self, peer: PeerId) -> Option<&mut Session> {
        self.sessions.get_mut(&peer)
    }

    /// Connected gamers.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &Session)> {
        self.sessions.iter().map(|(peer, session)| (*peer, session))
    }

    /// Their connections.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.sessions.keys().copied()
    }

    /// One account's mirror.
    pub fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.get(&account)
    }

    /// One account's mirror, to change.
    pub fn account_mut(&mut self, account: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&account)
    }

    /// What a gamer is told of its account.
    pub fn statement(&self, account: AccountId, workers: usize) -> GamerStatement {
        let statement = self.accounts.get(&account).map(Account::statement).unwrap_or_default();
        GamerStatement { workers: workers as u32, gamers: self.sessions.len() as u32, ..statement }
    }
}

/// Which task ids were admitted before: per game session (the upper 32 bits) a window behind the newest one.
/// Ids before the window count as spent, so a replay is never charged twice, however late it comes.
#[derive(Default)]
struct SpentIds {
    sessions: Vec<(u32, SpentWindow)>,
    /// Newest ids of sessions without a window: everything up to them counts as spent.
    floors: HashMap<u32, u32>,
}

struct SpentWindow {
    newest: u32,
    bits: Box<[u64]>,
}

fn halves(id: TaskId) -> (u32, u32) {
    ((id.0 >> 32) as u32, id.0 as u32)
}

impl SpentWindow {
    fn bit(number: u32) -> (usize, u64) {
        let at = number % SPENT_WINDOW;
        ((at / 64) as usize, 1 << (at % 64))
    }
    fn contains(&self, number: u32) -> bool {
        if number > self.newest {
            return false;
        }
        let (word, bit) = Self::bit(number);
        self.newest - number >= SPENT_WINDOW || self.bits[word] & bit != 0
    }
    fn insert(&mut self, number: u32) {
        if number > self.newest {
            if number - self.newest >= SPENT_WINDOW {
                self.bits.fill(0);
            } else {
                for forgotten in self.newest + 1..=number {
                    let (word, bit) = Self::bit(forgotten);
                    self.bits[word] &= !bit;
                }
            }
            self.newest = number;
        }
        let (word, bit) = Self::bit(number);
        self.bits[word] |= bit;
    }
}

impl SpentIds {
    fn contains(&self, id: TaskId) -> bool {
        let (session, number) = halves(id);
        if let Some((_, window)) = self.sessions.iter().find(|(key, _)| *key == session) {
            return window.contains(number);
        }
        match self.floors.get(&session) {
            Some(floor) => number <= *floor,
            None => self.floors.len() + self.sessions.len() >= SPENT_FLOORS_MAX,
        }
    }
    fn know(&mut self, id: TaskId) {
        let (session, number) = halves(id);
        if self.sessions.iter().all(|(key, _)| *key != session) {
            let floor = self.floors.entry(session).or_insert(number);
            *floor = number.max(*floor);
        }
    }
    fn insert(&mut self, id: TaskId) {
        let (session, number) = halves(id);
        let at = self.sessions.iter().position(|(key, _)| *key == session).unwrap_or_else(|| {
            if self.sessions.len() >= SPENT_SESSIONS_MAX {
                let (gone, window) = self.sessions.remove(0);
                self.floors.insert(gone, window.newest);
            }
            // The first id seen opens the window; earlier ones of the same session may still be on the way,
            // unless the session was known before.
            let floor = self.floors.remove(&session);
            let bits = vec![floor.map_or(0, |_| u64::MAX); (SPENT_WINDOW / 64) as usize].into();
            self.sessions.push((session, SpentWindow { newest: floor.unwrap_or(number), bits }));
            self.sessions.len() - 1
        });
        self.sessions[at].1.insert(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_spent_once_in_any_order_and_for_ever() {
        let mut spent = SpentIds::default();
        let id = |session: u64, number: u64| TaskId(session << 32 | number);
        for number in [5, 3, 9, 8_000, 4] {
            assert!(!spent.contains(id(1, number)), "{number}");
            spent.insert(id(1, number));
            assert!(spent.contains(id(1, number)), "{number}");
        }
        assert!(!spent.contains(id(1, 6)) && !spent.contains(id(2, 5)));
        spent.insert(id(1, 8_195 + 6));
        assert!(spent.contains(id(1, 6)), "fell out of the window unseen: counts as spent");
        assert!(spent.contains(id(1, 8_000)) && !spent.contains(id(1, 8_001)));
        spent.insert(id(1, 1_000_000));
        assert!(spent.contains(id(1, 8_001)) && !spent.contains(id(1, 999_999)));
    }

    #[test]
    fn a_session_is_never_forgotten_however_many_come_after_it() {
        let mut spent = SpentIds::default();
        let id = |session: u64, number: u64| TaskId(session << 32 | number);
        for session in 0..40 {
            spent.insert(id(session, 3));
            spent.insert(id(session, 7));
        }
        for session in 0..32 {
            assert!(spent.contains(id(session, 3)) && spent.contains(id(session, 7)), "{session}");
            assert!(spent.contains(id(session, 5)), "not told apart any more: counts as spent");
            assert!(!spent.contains(id(session, 8)), "what is new is still let in");
        }
        spent.insert(id(1, 9));
        assert!(spent.contains(id(1, 7)) && !spent.contains(id(1, 8)) && spent.contains(id(1, 9)));
        spent.know(id(50, 4));
        assert!(spent.contains(id(50, 4)) && !spent.contains(id(50, 5)) && !spent.contains(id(51, 1)));
    }

    #[test]
    fn statements_show_a_charge_as_held_until_it_is_recorded() {
        let mut gamers = Gamers::default();
        let account = AccountId(7);
        gamers.open_account(account, Nanos(1_000), Nanos(50)).hold(Nanos(30));
        let mirror = gamers.account_mut(account).unwrap();
        mirror.release(Nanos(30));
        mirror.charge(Nanos(30));
        let told = gamers.statement(account, 2);
        assert_eq!((told.charged, told.held, told.available), (Nanos(50), Nanos(30), Nanos(970)));
        gamers.account_mut(account).unwrap().recorded(Nanos(80));
        let told = gamers.statement(account, 2);
        assert_eq!((told.charged, told.held, told.available), (Nanos(80), Nanos(0), Nanos(970)));
    }
}
