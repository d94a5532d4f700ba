//! `check`: derives everything in the books again from the transfers and compares.

use std::fmt;

use p2c2r_protocol::Nanos;
use serde::Serialize;

/// Problems named in a report; beyond it they are only counted.
pub const PROBLEMS_NAMED_MAX: usize = 50;

/// What `p2c2r-server ledger check` found: printable, and serialisable as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Accounts in the books.
    pub accounts: u64,
    /// Transfers in the books.
    pub transfers: u64,
    /// Group commits in the chain.
    pub groups: u64,
    /// Tasks in the books.
    pub tasks: u64,
    /// Of them, open.
    pub open_tasks: u64,
    /// Sum of all balances; zero when all is well.
    pub sum: Nanos,
    /// Hash of the newest group: whoever keeps it can later prove that no history before it was replaced.
    pub head: String,
    /// Problems found.
    pub problems_total: u64,
    /// The first [`PROBLEMS_NAMED_MAX`] of them, a sentence each.
    pub problems: Vec<String>,
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.ok)
    }
}
