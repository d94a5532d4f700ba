//! What the gamer has spent and has left.

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{GamerStatement, Nanos};

/// The gamer's money as far as this game knows it.
///
/// Three numbers differ: a receipt counts at once (`session_estimate`), the money for tasks in flight is
/// `held`, and only what the ledger has durably recorded is `charged`.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadAccount {
    /// The coordinator's latest statement; `None` before the first connection.
    pub statement: Option<GamerStatement>,
    /// Version of the coordinator's price list; `None` before the first connection.
    pub price_list: Option<u32>,
    /// Charged since this session's first statement, durably recorded.
    pub session_charged: Nanos,
    /// Prices of the receipts of this session.
    pub session_estimate: Nanos,
    /// What this session has cost as far as that is known: its receipts, and what was charged without one.
    pub session_total: Nanos,
    /// The most that tasks now at the coordinator can still cost.
    pub reserved: Nanos,
    /// The most that this session can have cost in the last sixty minutes when all tasks that are out have ended: it counts
    /// for [`OffloadCaps::hour`](crate::OffloadCaps::hour).
    pub hour_at_most: Nanos,
    /// The most that this session can still cost without a receipt if the game ends now: the money reserved for tasks whose
    /// outcomes a later session does not get, and the prices of tasks that ended without a receipt and may have been charged.
    /// Without patient tasks that are kept on disk: their receipts come in the session that takes them up again.
    pub at_risk: Nanos,
    /// What had been charged when this session began.
    pub(crate) charged_before: Option<Nanos>,
    /// Charged in this session by coordinators that were left for another.
    charged_by_others: Nanos,
}

impl OffloadAccount {
    /// Charged since the account was opened, durably recorded.
    pub fn charged(&self) -> Option<Nanos> {
        self.statement.map(|statement| statement.charged)
    }

    /// Held for tasks in flight.
    pub fn held(&self) -> Option<Nanos> {
        self.statement.map(|statement| statement.held)
    }

    /// What is left to spend.
    pub fn available(&self) -> Option<Nanos> {
        self.statement.map(|statement| statement.available)
    }

    /// Resets what belongs to the coordinator that is left, whose account the next one does not share; what this
    /// session has cost stays.
    pub(crate) fn leave_coordinator(&mut self) {
        self.charged_by_others = self.session_charged;
        (self.charged_before, self.statement, self.price_list) = (None, None, None);
    }

    /// Takes in a statement; returns what the coordinator that sent it has charged in this session.
    pub(crate) fn record(&mut self, statement: GamerStatement) -> Nanos {
        let before = *self.charged_before.get_or_insert(statement.charged);
        // A coordinator that takes charges back makes this negative, which is then correct.
        let here = statement.charged.0.saturating_sub(before.0);
        self.session_charged = Nanos(self.charged_by_others.0.saturating_add(here));
        self.statement = Some(statement);
        Nanos(here)
    }
}
