//! How much time deep checks may take, and the answers that wait for it.
//!
//! Checks are begun while there is time left in the budget and are paid for when they are over, so that one check may take
//! more than is left and the next ones wait for longer. What a check will take is learned; until it is over, that much is
//! set aside. An answer whose check cannot begin waits, those of proven workers before those of newcomers: whoever floods
//! the coordinator with new accounts makes newcomers wait, and no answer that was drawn for a check ever passes without.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{Attempt, Micros, TaskNo, WorkUnits};
use p2c2r_tasks::fuel::FUEL_PERCENT;
use p2c2r_tasks::is_out_of_fuel;

use super::speed::ServiceTimes;
use crate::core::work::{Check, Checked};

/// Time for which an idle coordinator saves up: longer, and a flood of newcomers is checked at a run; shorter, and a group of
/// answers that come at once waits.
const SAVED_UP: Duration = Duration::from_secs(1);
/// Answers that may wait: beyond as many, they are too late for any deadline.
const WAITING_MAX: usize = 4_096;
/// Bytes of them: outcomes are the larger part.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What becomes of a check that is asked for.
pub enum CheckStart {
    /// It begins.
    Begins(Check),
    /// It waits.
    Waits,
    /// There is no room to wait.
    NoRoom(Check),
}

/// Deep checks on the compute pool: the time they may take, and those that wait for some.
pub struct Checking {
    /// Microseconds of checking in a microsecond.
    share: f64,
    /// Microseconds that are left, below zero if more was used than there was.
    left_us: f64,
    /// When that was.
    at: Micros,
    times: ServiceTimes,
    /// Those of proven workers, then those of newcomers; each in the order in which they came.
    waiting: [VecDeque<Check>; 2],
    bytes: usize,
    /// Time that checks have taken in all.
    taken: Duration,
}

impl Checking {
    /// A budget of so many per cent of one core.
    pub fn new(percent: f64) -> Self {
        let share = percent / 100.0;
        Self {
            share,
            left_us: share * SAVED_UP.as_micros() as f64,
            at: Micros(0),
            times: ServiceTimes::of_reference_core(),
            waiting: [VecDeque::new(), VecDeque::new()],
            bytes: 0,
            taken: Duration::ZERO,
        }
    }

    /// Asks for a check of a proven worker's answer or a newcomer's.
    pub fn ask(&mut self, mut check: Check, is_proven: bool, now: Micros) -> CheckStart {
        let goes_first = self.waiting[0].is_empty() && (is_proven || self.waiting[1].is_empty());
        if goes_first && self.reserve(&mut check, now) {
            return CheckStart::Begins(check);
        }
        if self.waiting() >= WAITING_MAX || self.bytes + check.outcome.len() > WAITING_BYTES_MAX {
            return CheckStart::NoRoom(check);
        }
        self.bytes += check.outcome.len();
        self.waiting[usize::from(!is_proven)].push_back(check);
        CheckStart::Waits
    }

    /// The next of those that wait, if there is time for it.
    pub fn next(&mut self, now: Micros) -> Option<Check> {
        self.refill(now);
        if self.left_us <= 0.0 {
            return None;
        }
        let mut check = self.waiting.iter_mut().find_map(VecDeque::pop_front)?;
        self.bytes -= check.outcome.len();
        self.reserve(&mut check, now);
        Some(check)
    }

    /// When the next of those that wait can begin; `None` if none waits.
    pub fn due(&self) -> Option<Micros> {
        if self.waiting() == 0 {
            return None;
        }
        // A moment later than exactly nothing is left, so that it is more.
        let wait_us = if self.left_us > 0.0 { 0.0 } else { 1.0 - self.left_us / self.share };
        Some(Micros(self.at.0.saturating_add(wait_us.ceil() as u64)))
    }

    /// Takes the answer to an attempt out of those that wait: it will not be checked in time.
    pub fn give_up(&mut self, task: TaskNo, attempt: Attempt) -> Option<Check> {
        for waiting in &mut self.waiting {
            if let Some(at) = waiting.iter().position(|check| (check.task, check.attempt) == (task, attempt))
            {
                let check = waiting.remove(at)?;
                self.bytes -= check.outcome.len();
                return Some(check);
            }
        }
        None
    }

    /// A check is over.
    pub fn ended(&mut self, checked: &Checked) {
        let Checked { check, took, .. } = checked;
        self.left_us += check.reserved.as_secs_f64() * 1e6 - took.as_secs_f64() * 1e6;
        self.taken += *took;
        if !took.is_zero() && !check.reserved.is_zero() {
            self.times.measured(check.kind, units(check), *took);
        }
    }

    /// A check that was about to begin is not needed any more.
    pub fn give_back(&mut self, check: &mut Check) {
        self.left_us += std::mem::take(&mut check.reserved).as_secs_f64() * 1e6;
    }

    /// Answers that wait.
    pub fn waiting(&self) -> usize {
        self.waiting[0].len() + self.waiting[1].len()
    }

    /// Time that checks have taken in all.
    pub fn taken(&self) -> Duration {
        self.taken
    }

    fn reserve(&mut self, check: &mut Check, now: Micros) -> bool {
        self.refill(now);
        if self.left_us <= 0.0 {
            return false;
        }
        check.reserved = self.times.predict(check.kind, units(check)).mean.max(Duration::from_nanos(1));
        self.left_us -= check.reserved.as_secs_f64() * 1e6;
        true
    }

    fn refill(&mut self, now: Micros) {
        let passed_us = now.0.saturating_sub(self.at.0) as f64;
        let most = self.share * SAVED_UP.as_micros() as f64;
        self.left_us = (self.left_us + self.share * passed_us).min(most);
        self.at = self.at.max(now);
    }
}

/// What a check is taken to cost by: who says that the fuel was not enough makes all of it be used again.
fn units(check: &Check) -> WorkUnits {
    let factor = if is_out_of_fuel(&check.outcome) { FUEL_PERCENT / 100 } else { 1 };
    WorkUnits(check.units.0.saturating_mul(factor))
}

#[cfg(test)]
mod tests;
