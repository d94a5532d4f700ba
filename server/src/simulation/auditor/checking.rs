//! The time of deep checks: an answer that was drawn for one waits only while that time is spent, and what its task does not
//! wait for is checked later.

use std::collections::HashMap;
use std::time::Duration;

use p2c2r_protocol::{Attempt, KindId, TaskNo};

use super::{Audit, Auditor, StepCause, rule};
use crate::core::work::{Cause, Check, Depth};
use crate::ledger::AccountId;

/// Microseconds over which unused time is saved up.
const SAVED_UP_US: f64 = 30e6;
/// Microseconds that sums of fractions may be off.
const SLACK_US: f64 = 1.0;

/// What is left of the time for deep checks, and the checks under way.
pub(super) struct CheckingTime {
    /// Microseconds of checking per microsecond of time.
    share: f64,
    left_us: f64,
    at: u64,
    under_way: HashMap<(TaskNo, Attempt), Depth>,
    /// By worker and kind, the first answer of a proven worker that was discarded because there was no time to check it. It
    /// was drawn for a check, otherwise it would have been accepted, so the check is owed.
    owed: HashMap<(AccountId, KindId), (TaskNo, Attempt)>,
}

impl CheckingTime {
    /// The time of a coordinator that may spend `percent` per cent of one core.
    pub fn new(percent: f64) -> Self {
        let share = percent / 100.0;
        Self { share, left_us: share * SAVED_UP_US, at: 0, under_way: HashMap::new(), owed: HashMap::new() }
    }

    /// Another coordinator begins, with all that can be saved up.
    pub fn clear(&mut self) {
        self.left_us = self.share * SAVED_UP_US;
        self.under_way.clear();
        self.owed.clear();
    }

    /// It is `now`, in microseconds.
    pub fn pass(&mut self, now: u64) {
        let passed = now.saturating_sub(self.at) as f64;
        self.left_us = (self.left_us + self.share * passed).min(self.share * SAVED_UP_US);
        self.at = now;
    }

    /// A check begins. If no task waits for the answer, the check is one that was put off.
    pub fn begun(&mut self, check: &Check, is_awaited: bool) {
        self.under_way.insert((check.task, check.attempt), check.depth);
        if !is_awaited && check.cause == Cause::Answer {
            self.owed.remove(&(check.account, check.kind));
        }
    }

    /// A proven worker's answer in a kind is discarded without its check.
    pub fn discarded(&mut self, whose: (AccountId, KindId), answer: (TaskNo, Attempt)) {
        self.owed.entry(whose).or_insert(answer);
    }

    /// A check is over; only a deep one spends the time.
    pub fn ended(&mut self, of: (TaskNo, Attempt), took: Duration) {
        if self.under_way.remove(&of).is_some_and(|depth| depth != Depth::Always) {
            self.left_us -= took.as_secs_f64() * 1e6;
        }
    }

    /// Whether a deep check could begin: none is under way for which time may be set aside, and time is left.
    fn could_begin(&self) -> bool {
        self.left_us > SLACK_US && self.under_way.values().all(|depth| *depth == Depth::Always)
    }
}

impl Auditor {
    /// After time has passed, no answer waits for a check that could begin, and none is owed.
    pub(super) fn nobody_waits_for_a_check_in_vain(&self) -> Audit {
        if !matches!(self.step.cause, StepCause::TimePassed) || !self.checking.could_begin() {
            return Ok(());
        }
        rule(self.checking.owed.is_empty(), "what was drawn for a check is checked, then or later", || {
            format!("{:?}", self.checking.owed)
        })?;
        for (no, open) in &self.open {
            let waits = open.live.iter().find(|live| {
                live.is_answered && !self.checking.under_way.contains_key(&(open.known_as, live.attempt))
            });
            rule(waits.is_none(), "answers wait for a check only while its time is spent", || {
                format!("{waits:?} of {no}: {} us are left", self.checking.left_us)
            })?;
        }
        Ok(())
    }
}
