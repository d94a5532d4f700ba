//! What `check` found, for people and as JSON.

use std::fmt;

use p2c2r_protocol::Nanos;
use serde::Serialize;

/// Problems named in a report; further ones are only counted.
pub const PROBLEMS_NAMED_MAX: usize = 50;

/// What `p2c2r-server ledger check` found: printable, and serialisable as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// How the ledger was read, unless in place beside its writer, and what may be missing; a sentence each.
    pub notes: Vec<String>,
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
    /// Group commits, and tasks, of which the books keep only the sums.
    pub folded_groups: u64,
    /// See [`CheckReport::folded_groups`].
    pub folded_tasks: u64,
    /// Attempts in the books.
    pub attempts: u64,
    /// Sum of all balances; zero when all is well.
    pub sum: Nanos,
    /// Hash of the newest group: whoever keeps it can later prove that no history before it was replaced.
    pub head: String,
    /// What comparing with heads that were kept elsewhere found, a sentence each.
    pub heads: Vec<String>,
    /// Problems found.
    pub problems_total: u64,
    /// The first [`PROBLEMS_NAMED_MAX`] of them, a sentence each.
    pub problems: Vec<String>,
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        writeln!(f, "accounts   {:>12}", self.accounts)?;
        writeln!(f, "transfers  {:>12}  in {} groups", self.transfers, self.groups)?;
        writeln!(f, "tasks      {:>12}  {} open, {} attempts", self.tasks, self.open_tasks, self.attempts)?;
        if self.folded_groups > 0 {
            writeln!(f, "folded     {:>12}  tasks in {} groups", self.folded_tasks, self.folded_groups)?;
        }
        writeln!(f, "sum        {:>12}", self.sum)?;
        writeln!(f, "chain head {}", self.head)?;
        self.heads.iter().try_for_each(|head| writeln!(f, "head       {head}"))?;
        if self.ok {
            return write!(f, "The books balance.");
        }
        writeln!(f, "The books do NOT balance, {} problem(s):", self.problems_total)?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "- {problem}"))?;
        let more = self.problems_total - self.problems.len() as u64;
        if more > 0 {
            writeln!(f, "- and {more} more")?;
        }
        write!(f, "Keep a copy of the file and restore a backup.")
    }
}

impl CheckReport {
    /// Adds a problem that was found outside the books.
    pub fn add_problem(&mut self, sentence: String) {
        self.problem(|| sentence);
        self.ok = false;
    }

    /// Notes a problem.
    pub(in crate::ledger) fn problem(&mut self, sentence: impl FnOnce() -> String) {
        self.problems_total += 1;
        if self.problems.len() < PROBLEMS_NAMED_MAX {
            self.problems.push(sentence());
        }
    }
}
