//! Whom the coordinator still gives work: a worker whose answers failed their checks twice gets no more.
//!
//! One failure is not fraud, since consumer hardware flips bits; two independent ones end it. Two questions are asked
//! here: what does this verdict do, and may this account work.

use std::collections::HashMap;

use p2c2r_protocol::NumberHash;

use crate::ledger::AccountId;

/// Failed checks after which a worker is quarantined.
pub const REJECTED_MAX: u32 = 2;
/// Accounts with failures that are remembered.
const ACCOUNTS_MAX: usize = 65_536;

/// What a verdict does to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It works on.
    Working,
    /// It has just been quarantined.
    Quarantined,
}

/// Failed checks by account.
#[derive(Default)]
pub struct Trust {
    rejected: HashMap<AccountId, u32, NumberHash>,
}

impl Trust {
    /// An answer of this account failed a check.
    pub fn rejected(&mut self, account: AccountId) -> Standing {
        // Forgetting a single failure is the harmless direction: quarantines are never forgotten.
        if self.rejected.len() >= ACCOUNTS_MAX {
            self.rejected.retain(|_, count| *count >= REJECTED_MAX);
        }
        let count = self.rejected.entry(account).or_default();
        *count = count.saturating_add(1);
        if *count == REJECTED_MAX { Standing::Quarantined } else { Standing::Working }
    }

    /// Whether this account gets no work.
    pub fn is_quarantined(&self, account: AccountId) -> bool {
        self.rejected.get(&account).is_some_and(|count| *count >= REJECTED_MAX)
    }
}
