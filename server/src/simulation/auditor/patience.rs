//! Patient tasks on the coordinator's pool: only where the operator allows it, one at a time, after a pause, and never
//! in the way of other tasks, nor of checks that the other threads do not make soon.

use p2c2r_protocol::{Attempt, TaskNo};

use super::{Audit, Auditor, rule};
use crate::config::PatientFallback;

/// Microseconds for which the pool has had nothing to do before a patient task begins.
const PAUSE_US: u64 = 5_000_000;

/// Checks under way for each thread but one that a patient task need not give way to.
const CHECKS_PER_THREAD: usize = 16;

/// When the pool was last needed, for a kernel run that does not give way or for many checks.
pub(super) struct Pauses {
    may_compute: bool,
    threads: usize,
    checks: usize,
    used_at: Option<u64>,
}

impl Pauses {
    /// Nothing has happened yet.
    pub fn new(fallback: PatientFallback, threads: u8) -> Self {
        let may_compute = fallback == PatientFallback::Compute;
        Self { may_compute, threads: threads.into(), checks: 0, used_at: None }
    }

    /// Another coordinator begins.
    pub fn clear(&mut self) {
        (self.checks, self.used_at) = (0, None);
    }

    /// A check is given to the pool; returns whether all threads are needed.
    pub fn check_begins(&mut self) -> bool {
        self.checks += 1;
        self.checks > (self.threads - 1) * CHECKS_PER_THREAD
    }

    /// A check is over.
    pub fn check_ended(&mut self) {
        self.checks -= 1;
    }

    /// The pool was used.
    pub fn used(&mut self, now: u64) {
        self.used_at = Some(now);
    }

    fn is_pause(&self, now: u64) -> bool {
        self.used_at.is_none_or(|at| now >= at + PAUSE_US)
    }
}

impl Auditor {
    /// The own kernel begins a task.
    pub(super) fn begins_here(&mut self, task: TaskNo) -> Audit {
        let is_alone = self.open.values().all(|other| !other.is_computed);
        let Some(open) = self.open.get_mut(&task) else { return Ok(()) };
        if open.deadline.is_some() {
            self.step.is_pool_needed = true;
            return Ok(());
        }
        open.gives_way = true;
        self.tally.patient_here += 1;
        rule(
            self.pauses.may_compute && is_alone && self.pauses.is_pause(self.now),
            "what is patient is computed here in pauses, where that is allowed",
            || task.to_string(),
        )
    }

    /// The run of a patient task was stopped.
    pub(super) fn gave_way(&mut self, task: TaskNo, attempt: Attempt) -> Audit {
        let is_needed = self.step.is_pool_needed || !self.step.computed_here.is_empty();
        let Some(open) = self.open.get_mut(&task) else { return Ok(()) };
        let is_it = open.deadline.is_none() && open.newest == attempt && is_needed;
        rule(is_it, "what is computed here stops for a reason", || format!("{attempt} of {task}"))?;
        (open.is_computed, open.gives_way) = (false, false);
        (open.computed, open.is_computed_in_vain) = (None, false);
        self.fairness.waits(open.account, true);
        self.tally.gave_way += 1;
        Ok(())
    }

    /// Once the pool is needed, no patient task is on it that was begun in a pause.
    pub(super) fn the_patient_gives_way(&mut self) -> Audit {
        if !self.step.is_pool_needed {
            return Ok(());
        }
        self.pauses.used(self.now);
        let stays = self.open.iter().find(|(_, open)| open.is_computed && open.gives_way);
        rule(stays.is_none(), "what is patient gives way", || format!("{stays:?}"))
    }
}
