//! What has happened since the start, in counts.

use p2c2r_protocol::{FeeCarry, Nanos};

/// What has happened since the start, in counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What of the fee is too little to be charged yet; lost, less than a nano-dollar, with a restart.
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
    /// Tasks that took the place of an equal one that ended while it was worked on.
    pub inherited: u64,
    /// Admitted tasks without an outcome.
    pub failed: u64,
    /// Answers that failed a check.
    pub rejected: u64,
    /// Answers that passed a deep check, or were computed again and are the same.
    pub checked_deeply: u64,
    /// Answers that had to wait until there was time to check them.
    pub waited_for_checks: u64,
    /// Answers that came to nothing because there was no time to check them.
    pub unchecked: u64,
    /// Incidents that cost a worker trust: silence, a kernel that failed, no free slot.
    pub incidents: u64,
    /// Workers' accounts convicted.
    pub convicted: u64,
    /// Answers to attempts their sender did not hold: late, repeated or forged.
    pub stray: u64,
    /// Attempts handed out again after one that came to nothing.
    pub repeated: u64,
    /// Second attempts handed out while the first was under way.
    pub hedged: u64,
    /// Of them, those that were accepted.
    pub hedges_won: u64,
    /// Attempts handed out to a worker that had had nothing for long, to see whether it has become better.
    pub tried: u64,
    /// Answers that came after another worker's to the same task was accepted, and said the same.
    pub twice_alike: u64,
    /// The same, and said something else.
    pub twice_unlike: u64,
    /// Charged for finished tasks.
    pub revenue: Nanos,
    /// The coordinator's share of it.
    pub fee: Nanos,
}

impl Tally {
    /// Tasks done.
    pub fn completed(&self) -> u64 {
        self.by_workers + self.by_coordinator + self.from_cache
    }
}
