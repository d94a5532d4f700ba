//! What the books say, for people and for scripts: balances, revenue, fees, and what each kind brought in.

use std::fmt;

use p2c2r_protocol::Nanos;
use serde::Serialize;

use super::account::Totals;

/// `p2c2r-server ledger report`: printable as a table, serialisable as JSON (amounts in nano-dollars).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The whole ledger.
    pub totals: Totals,
    /// Balance of the bank: minus what it has given as opening credit.
    pub bank: Nanos,
    /// Balance of the coordinator's share.
    pub fee: Nanos,
    /// Gamers by what they were charged, highest first.
    pub gamers: Vec<AccountLine>,
    /// Workers by what they earned, highest first.
    pub workers: Vec<AccountLine>,
    /// Kinds by number.
    pub kinds: Vec<KindLine>,
    /// Attempts by verdict.
    pub attempts: AttemptCounts,
}

/// One gamer's or worker's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountLine {
    /// Public name.
    pub name: String,
    /// What a gamer can spend, or a worker can be paid.
    pub available: Nanos,
    /// Held or pending.
    pub set_aside: Nanos,
    /// Charged or earned since it was opened.
    pub turnover: Nanos,
    /// A gamer's tasks settled, or a worker's attempts accepted.
    pub accepted: u64,
    /// A gamer's tasks voided, or a worker's attempts rejected.
    pub rejected: u64,
}

/// What one kind of work brought in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindLine {
    /// Its number.
    pub kind: u8,
    /// Its name, if this build knows it.
    pub name: Option<String>,
    /// Tasks admitted.
    pub tasks: u64,
    /// Settled by a worker's outcome.
    pub by_worker: u64,
    /// Settled by the coordinator's own kernel.
    pub by_coordinator: u64,
    /// Settled from the cache.
    pub by_cache: u64,
    /// Voided.
    pub void: u64,
    /// Charged to gamers.
    pub charged: Nanos,
    /// Earned by workers.
    pub earned: Nanos,
    /// Kept by the coordinator.
    pub fee: Nanos,
}

/// Attempts by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttemptCounts {
    /// Not ended.
    pub running: u64,
    /// Passed their checks.
    pub accepted: u64,
    /// Failed a check.
    pub rejected: u64,
    /// Their worker went away.
    pub lost: u64,
    /// Their lease ran out.
    pub expired: u64,
    /// Their worker said it could not.
    pub failed: u64,
    /// The task was over without them.
    pub unneeded: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} tasks done", self.totals.tasks_done)
    }
}
