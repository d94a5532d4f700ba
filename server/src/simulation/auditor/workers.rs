//! What the auditor knows of workers: of each answer, whether it was right.

use std::time::Duration;

use p2c2r_protocol::{Attempt, KindId, PeerId, TaskNo};

use super::{Arrived, Audit, Auditor, Given, rule};
use crate::core::state::trust::TrustRules;
use crate::ledger::{AccountId, WorkerTrust};

/// What is known of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Outcomes it has given since its last failed check, accepted or not: an upper bound of the scheduler's count.
    pub outcomes: u64,
    /// The same since the world began.
    pub outcomes_ever: u64,
    /// Outcomes of it that are wrong.
    pub lies: u64,
    /// Checks that found one wrong, in the memory of this coordinator.
    pub failures: u32,
    /// The same since the world began.
    pub failures_ever: u32,
    /// Kinds in which it is past probation by the scheduler's own records.
    pub proven: Vec<KindId>,
    /// Whether the operator has quarantined it.
    pub is_ordered: bool,
    pub is_convicted: bool,
    pub is_convicted_durably: bool,
}

impl Known {
    /// A restarted coordinator knows only what was recorded, which may be from before the last failure.
    pub fn restarted(&mut self) {
        self.outcomes = self.outcomes_ever;
        self.failures = 0;
        self.proven.clear();
        self.is_convicted = self.is_convicted_durably;
    }

    /// A check found an answer wrong.
    pub fn failed(&mut self) {
        self.failures += 1;
        self.failures_ever += 1;
        self.outcomes = 0;
    }
}

impl Auditor {
    /// A worker answers; what it was never handed, or has answered before, counts as nothing.
    pub fn answered(&mut self, peer: PeerId, known_as: TaskNo, attempt: Attempt, given: Given) {
        let Some((holder, account)) = self.assigned.get(&(known_as, attempt)).copied() else { return };
        if holder != peer || self.arrived.contains_key(&(known_as, attempt)) {
            return;
        }
        let task = self.in_books(known_as);
        let live = self.open.get_mut(&task).into_iter().flat_map(|open| &mut open.live);
        if let Some(live) = live.into_iter().find(|live| live.attempt == attempt) {
            live.is_answered = true;
            self.due.remove(&(live.until, task, attempt));
        }
        if given.outcome.is_some() {
            let known = self.known.entry(account).or_default();
            known.outcomes += 1;
            known.outcomes_ever += 1;
            known.lies += u64::from(!given.is_right);
        }
        let is_on_probation = self.is_on_probation(account);
        let kind = self.open.get(&task).map(|open| open.kind.id());
        let is_proven = self
            .known
            .get(&account)
            .is_some_and(|known| kind.is_some_and(|kind| known.proven.contains(&kind)));
        self.arrived.insert((known_as, attempt), Arrived { given, account, is_on_probation, is_proven });
    }

    /// A check is over.
    pub fn checked(&mut self, known_as: TaskNo, attempt: Attempt, is_passed: bool, took: Duration) {
        self.checking.ended((known_as, attempt), took);
        self.pauses.check_ended();
        if !is_passed {
            self.failed.insert((known_as, attempt));
        }
    }

    /// An answer that a task ended with was looked at again, because another worker gave a different one, and is wrong.
    pub fn found_wrong(&mut self, account: AccountId) {
        let known = self.known.entry(account).or_default();
        if !known.is_convicted {
            known.failed();
        }
    }

    /// The operator has quarantined or released a worker; the ledger has recorded it.
    pub fn ordered(&mut self, account: AccountId, quarantined: bool) {
        let known = self.known.entry(account).or_default();
        (known.is_convicted, known.is_convicted_durably) = (quarantined, quarantined);
        known.failures = 0;
        known.outcomes = 0;
        known.is_ordered = quarantined;
        known.proven.clear();
        if quarantined {
            self.durable.take_back(account);
        }
    }

    /// The scheduler has the ledger record what it knows of a worker. Of accepted answers of a kind that are past probation
    /// only a failed check takes any back, which is recorded at once.
    pub(super) fn trusted(&mut self, worker: AccountId, trust: &WorkerTrust) {
        let probation = TrustRules::default().probation_answers;
        let proven = trust.kinds.iter().filter(|of| of.answers >= probation).map(|of| of.kind);
        self.known.entry(worker).or_default().proven = proven.collect();
    }

    pub(super) fn convicted(&mut self, worker: AccountId) -> Audit {
        let known = self.known.entry(worker).or_default();
        rule(known.lies > 0 || known.is_ordered, "no honest worker is convicted", || {
            format!("{worker}: {known:?}")
        })?;
        let failures_max = TrustRules::default().failures_max;
        rule(known.failures_ever >= failures_max || known.is_ordered, "one error is not fraud", || {
            format!("{worker}: {known:?}")
        })?;
        known.is_convicted = true;
        self.ids.values_mut().flatten().for_each(|finished| finished.withdraw(worker));
        self.tally.convicted += 1;
        Ok(())
    }

    /// Whether all that the account answers must be checked deeply.
    fn is_on_probation(&self, account: AccountId) -> bool {
        self.known.get(&account).is_none_or(|known| known.outcomes <= TrustRules::default().probation_answers)
    }
}
