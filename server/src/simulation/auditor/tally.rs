//! What happened in a world, in counts.

/// What happened in a world, so that a simulation of nothing is noticed.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditTally {
    /// Tasks admitted.
    pub admitted: u64,
    /// Tasks that workers did.
    pub by_workers: u64,
    /// Tasks that the coordinator did.
    pub by_coordinator: u64,
    /// Runs of patient tasks that the coordinator began, and those that it stopped.
    pub patient_here: u64,
    /// See `patient_here`.
    pub gave_way: u64,
    /// Tasks answered from the cache.
    pub from_cache: u64,
    /// Outcomes that memory had no room for, read from the ledger.
    pub recalled: u64,
    /// Tasks that waited for the outcome of an equal one, and got it.
    pub shared: u64,
    /// Tasks that took the place of an equal one while somebody worked on it.
    pub inherited: u64,
    /// Submits that were refused.
    pub refused: u64,
    /// Tasks charged for what was begun.
    pub begun: u64,
    /// Tasks that cost nothing.
    pub voided: u64,
    /// Second attempts.
    pub hedged: u64,
    /// Wrong answers that were paid.
    pub wrong: u64,
    /// Workers convicted.
    pub convicted: u64,
    /// Coordinators started after the first.
    pub restarts: u64,
    /// Caps that the operator set, and accounts renamed.
    pub capped: u64,
    /// See `capped`.
    pub renamed: u64,
    /// Attempts whose blobs workers were sent again, and submits refused because blobs were missing.
    pub sent_again: u64,
    /// See `sent_again`.
    pub blobs_asked_for: u64,
}

impl AuditTally {
    /// Adds the counts of another world.
    pub fn add(&mut self, other: &Self) {
        self.admitted += other.admitted;
        self.by_workers += other.by_workers;
        self.by_coordinator += other.by_coordinator;
        self.patient_here += other.patient_here;
        self.gave_way += other.gave_way;
        self.from_cache += other.from_cache;
        self.recalled += other.recalled;
        self.shared += other.shared;
        self.inherited += other.inherited;
        self.refused += other.refused;
        self.begun += other.begun;
        self.voided += other.voided;
        self.hedged += other.hedged;
        self.wrong += other.wrong;
        self.convicted += other.convicted;
        self.restarts += other.restarts;
        self.capped += other.capped;
        self.renamed += other.renamed;
        self.sent_again += other.sent_again;
        self.blobs_asked_for += other.blobs_asked_for;
    }
}
