//! Rate limits on the time that the app's thread spends on examining submits: per account, in sum, and per update.
//!
//! A submit's cost is estimated from its sizes before it is examined. The estimate is high; for specs several times too
//! high, since copying most of them is faster.

use p2c2r_protocol::{Micros, Submit};

use crate::core::state::budgets::{Allowance, WorkBudget};

/// Nanoseconds that any submit takes.
const SUBMIT_NS: u64 = 500;
/// Nanoseconds for each byte of a spec or blob: hashed, decoded, its ranges checked.
const BYTE_NS: u64 = 2;
/// Nanoseconds to prepare a blob that was not seen before, however small: ten bytes can encode a grid of a million
/// cells.
const FRESH_BLOB_NS: u64 = 1_000_000;
/// Specs of one account: a third of a processor, with a burst.
const SPECS_OF_ACCOUNT: Allowance = Allowance { every: 3, at_once_ns: 50_000_000 };
/// New blobs of one account: a burst of sixteen, then one every 128 ms. A game sends two a second.
const BLOBS_OF_ACCOUNT: Allowance = Allowance { every: 128, at_once_ns: 15 * FRESH_BLOB_NS };
/// Submits of all accounts together: half a processor. The rest is for the admitted tasks.
const ALL: Allowance = Allowance { every: 2, at_once_ns: 100_000_000 };
/// Nanoseconds that submits may take in one update, so that workers' answers and heartbeats are not kept waiting.
const UPDATE_NS_MAX: u64 = 20_000_000;

/// What one account has used up.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountSubmitRates {
    specs: WorkBudget,
    blobs: WorkBudget,
}

/// What all accounts have used up.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubmitRates {
    all: WorkBudget,
    this_update_ns: u64,
}

impl SubmitRates {
    /// Another update begins.
    pub fn begin_update(&mut self) {
        self.this_update_ns = 0;
    }

    /// Whether the submit may be examined; if so, its cost is counted.
    pub fn may_look_at(&mut self, account: &mut AccountSubmitRates, submit: &Submit, now: Micros) -> bool {
        self.take(&mut account.specs, SPECS_OF_ACCOUNT, work_of(submit), now)
    }

    /// Whether the submit might be examined now; nothing is counted.
    pub fn could_look_at(&self, account: &AccountSubmitRates, submit: &Submit, now: Micros) -> bool {
        self.may_take(account.specs, SPECS_OF_ACCOUNT, work_of(submit), now)
    }

    /// Whether a new blob may be prepared; if so, its cost is counted.
    pub fn may_look_at_blob(&mut self, account: &mut AccountSubmitRates, now: Micros) -> bool {
        self.take(&mut account.blobs, BLOBS_OF_ACCOUNT, FRESH_BLOB_NS, now)
    }

    fn may_take(&self, own: WorkBudget, allowance: Allowance, work_ns: u64, now: Micros) -> bool {
        own.may_begin(now, allowance)
            && self.all.may_begin(now, ALL)
            && self.this_update_ns + work_ns <= UPDATE_NS_MAX
    }

    fn take(&mut self, own: &mut WorkBudget, allowance: Allowance, work_ns: u64, now: Micros) -> bool {
        let may = self.may_take(*own, allowance, work_ns, now);
        if may {
            own.spend(now, work_ns, allowance);
            self.all.spend(now, work_ns, ALL);
            self.this_update_ns += work_ns;
        }
        may
    }
}

/// Nanoseconds that it takes to examine a submit.
fn work_of(submit: &Submit) -> u64 {
    let bytes = submit.spec.len() + submit.blobs.iter().map(Vec::len).sum::<usize>();
    SUBMIT_NS + BYTE_NS * bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blobs admitted from `accounts` accounts that each try to send eight every 10 ms for a minute.
    fn blobs_of(accounts: usize) -> u64 {
        let mut rates = SubmitRates::default();
        let mut accounts = vec![AccountSubmitRates::default(); accounts];
        let mut blobs = 0;
        for update in 0..6_000 {
            let now = Micros(update * 10_000);
            rates.begin_update();
            let mut in_update = 0;
            for account in &mut accounts {
                in_update += (0..8).filter(|_| rates.may_look_at_blob(account, now)).count() as u64;
            }
            assert!(in_update * FRESH_BLOB_NS <= UPDATE_NS_MAX);
            blobs += in_update;
        }
        blobs
    }

    #[test]
    fn blobs_are_rationed_per_account_and_in_sum() {
        assert_eq!(blobs_of(1), 15 + 60_000 / 128 + 1);
        let (many, more) = (blobs_of(120), blobs_of(1_000));
        assert_eq!(many, more, "however many they are");
        assert!(many * FRESH_BLOB_NS <= 30_100_000_000, "half of a minute and a burst: {many}");
    }
}
