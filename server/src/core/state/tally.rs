//! What has happened since the start, in counts.

use p2c2r_protocol::{FeeCarry, Nanos};

/// What has happened since the start, in counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Fraction of a nano-dollar of the fee that is not charged yet; lost at a restart.
    pub fee_carry: FeeCarry,
    /// Tasks admitted.
    pub admitted: u64,
    /// Tasks refused.
    pub refused: u64,
    /// Tasks done by workers.
    pub by_workers: u64,
    /// Tasks done by the coordinator's own kernel.
    pub by_coordinator: u64,
    /// Tasks answered from the cache.
    pub from_cache: u64,
    /// Of them, tasks that waited for the outcome of an equal one that was under way.
    pub shared: u64,
    /// Followers that inherited the attempts of an equal task that ended early.
    pub inherited: u64,
    /// Admitted tasks without an outcome.
    pub failed: u64,
    /// Answers that failed a check.
    pub rejected: u64,
    /// Answers that passed a deep check, or were computed again and are the same.
    pub checked_deeply: u64,
    /// Answers that had to wait until there was time to check them.
    pub waited_for_checks: u64,
    /// Answers discarded because there was no time to check them.
    pub unchecked: u64,
    /// Answers that another worker contradicted and that were not computed again, because too many others waited for
    /// that. Such an answer may be wrong and may have reached a game.
    pub undecided: u64,
    /// Incidents that cost a worker trust: silence, a kernel that failed, no free slot.
    pub incidents: u64,
    /// Workers' accounts convicted.
    pub convicted: u64,
    /// Answers to attempts their sender did not hold: late, repeated or forged.
    pub stray: u64,
    /// Failed attempts, after each of which the task was assigned again or given up.
    pub repeated: u64,
    /// Second attempts handed out while the first was under way.
    pub hedged: u64,
    /// Hedges whose answer was accepted.
    pub hedges_won: u64,
    /// Trials: attempts given to a long idle worker to see whether it has become faster.
    pub tried: u64,
    /// Answers to a lost hedge that equal the accepted answer.
    pub twice_alike: u64,
    /// Answers to a lost hedge that differ from the accepted answer.
    pub twice_unlike: u64,
    /// Charged for finished tasks.
    pub revenue: Nanos,
    /// The coordinator's share of the revenue.
    pub fee: Nanos,
}

impl Tally {
    /// Tasks done.
    pub fn completed(&self) -> u64 {
        self.by_workers + self.by_coordinator + self.from_cache
    }
}
