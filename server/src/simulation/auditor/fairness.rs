//! Fairness: no account is served at another one's cost.
//!
//! While two gamers both have assignable tasks waiting, one is served at most one task of each more than the other (the
//! bound of fair queueing), whatever the kinds, since every worker here does all of them. Checked for every pair and
//! every interval.

use std::collections::BTreeMap;

use super::{Audit, rule};
use crate::ledger::AccountId;

/// What is known of one account.
#[derive(Default)]
struct Waits {
    /// Tasks that nobody has tried yet.
    fresh: i64,
    /// Tasks with a failed attempt, which not every worker may take.
    again: i64,
}

impl Waits {
    fn is_backlogged(&self) -> bool {
        self.fresh > 0 && self.again == 0
    }
}

/// Which account was served while others waited.
pub(super) struct Fairness {
    /// By how much one may be ahead of another.
    bound: Option<u64>,
    waits: BTreeMap<AccountId, Waits>,
    /// By how much the first is ahead of the second, maximised over the start of the interval.
    ahead: BTreeMap<(AccountId, AccountId), i64>,
}

impl Fairness {
    /// Without a bound nothing is checked.
    pub fn new(bound: Option<u64>) -> Self {
        Self { bound, waits: BTreeMap::new(), ahead: BTreeMap::new() }
    }

    pub fn clear(&mut self) {
        self.waits.clear();
        self.ahead.clear();
    }

    /// A task waits.
    pub fn waits(&mut self, account: AccountId, is_again: bool) {
        self.count(account, is_again, 1);
    }

    /// A task stops waiting.
    pub fn waits_no_more(&mut self, account: AccountId, is_again: bool) {
        self.count(account, is_again, -1);
    }

    fn count(&mut self, account: AccountId, is_again: bool, by: i64) {
        let waits = self.waits.entry(account).or_default();
        if is_again {
            waits.again += by;
        } else {
            waits.fresh += by;
        }
        if !waits.is_backlogged() {
            self.ahead.retain(|(one, other), _| *one != account && *other != account);
        }
    }

    /// A task of this account was handed out, while it was still among those that wait.
    pub fn served(&mut self, account: AccountId, units: u64) {
        let is_backlogged = |account: &AccountId| self.waits.get(account).is_some_and(Waits::is_backlogged);
        if !is_backlogged(&account) {
            return;
        }
        let others: Vec<AccountId> =
            self.waits.keys().filter(|other| **other != account && is_backlogged(other)).copied().collect();
        for other in others {
            *self.ahead.entry((account, other)).or_default() += units as i64;
            let behind = self.ahead.entry((other, account)).or_default();
            *behind = (*behind - units as i64).max(0);
        }
    }

    pub fn audit(&self) -> Audit {
        let worst = self.ahead.iter().max_by_key(|(_, units)| **units);
        let (Some(((one, other), units)), Some(bound)) = (worst, self.bound) else { return Ok(()) };
        rule(*units <= bound as i64, "nobody is served at somebody else's cost", || {
            format!("{one} got {units} units more than {other}, whose tasks waited as well")
        })
    }
}
