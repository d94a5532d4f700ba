//! The time budget of deep checks, and the queue of answers that wait for it.
//!
//! A check begins while budget is left. Its predicted time, learned from earlier checks, is reserved at the start and
//! corrected to the measured time at the end; so one check may overdraw the budget, and the next ones wait longer.
//! Waiting answers of proven workers go before those of newcomers: a flood of new accounts delays only newcomers, and
//! no answer that was drawn for a check is accepted without it.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{Attempt, Micros, TaskNo, WorkUnits};
use p2c2r_tasks::fuel::FUEL_PERCENT;
use p2c2r_tasks::is_out_of_fuel;

use super::speed::ServiceTimes;
use crate::core::fault::{self, Fault};
use crate::core::work::{Cause, Check, Checked, Depth};

/// Time over which unused budget accumulates: three seconds of a core at the default. Longer would let a flood of newcomers
/// take more processor time at once; shorter would have the first gamer of a new coordinator wait, because its workers'
/// first answers in each kind are all checked.
const SAVED_UP: Duration = Duration::from_secs(30);
/// Answers that may wait; one behind so many others would miss any deadline.
const WAITING_MAX: usize = 4_096;
/// Bytes of outcomes that may wait.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Places and bytes beyond those for answers that two workers disagree on. One of the two may have reached a game, and
/// nothing else looks at it again: whoever fills the queue must not thereby hide a wrong answer. Few, because they come
/// from second attempts, which have a budget of their own.
const DISPUTED_MAX: usize = 256;
const DISPUTED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Result of asking for a check.
pub enum CheckStart {
    /// It begins.
    Begins(Check),
    /// It waits.
    Waits,
    /// There is no room to wait.
    NoRoom(Check),
}

/// The budget and the queue of deep checks on the compute pool.
pub struct Checking {
    /// Microseconds of checking per microsecond of time.
    share: f64,
    /// Microseconds of budget left at the moment `at`; negative when overdrawn.
    left_us: f64,
    /// The moment for which `left_us` holds.
    at: Micros,
    times: ServiceTimes,
    /// Those of proven workers, then those of newcomers; each in the order in which they came.
    waiting: [VecDeque<Check>; 2],
    bytes: usize,
    /// Time that deep checks have taken in all.
    taken: Duration,
}

impl Checking {
    /// A budget of `percent` per cent of one core.
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
        let (places, bytes) = match check.cause {
            Cause::Answer => (WAITING_MAX, WAITING_BYTES_MAX),
            Cause::Disputed { .. } => (WAITING_MAX + DISPUTED_MAX, WAITING_BYTES_MAX + DISPUTED_BYTES_MAX),
        };
        if self.waiting() >= places || self.bytes + check.outcome.len() > bytes {
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
        // One microsecond after the budget is back at zero, because it must be above zero.
        let wait_us = if self.left_us > 0.0 { 0.0 } else { 1.0 - self.left_us / self.share };
        Some(Micros(self.at.0.saturating_add(wait_us.ceil() as u64)))
    }

    /// Removes the waiting check of an attempt that will not be checked in time.
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

    /// A check is over. Only a deep one spends the budget: every answer gets the always-on check, however many come.
    pub fn ended(&mut self, checked: &Checked) {
        let Checked { check, took, .. } = checked;
        if check.depth == Depth::Always && !fault::is_made(Fault::ChargesEveryCheck) {
            return;
        }
        self.left_us += check.reserved.as_secs_f64() * 1e6 - took.as_secs_f64() * 1e6;
        self.taken += *took;
        if !took.is_zero() && !check.reserved.is_zero() {
            self.times.measured(check.kind, units(check), *took);
        }
    }

    /// Returns the reserved time of a check that is not needed after all.
    pub fn give_back(&mut self, check: &mut Check) {
        self.left_us += std::mem::take(&mut check.reserved).as_secs_f64() * 1e6;
    }

    /// Answers that wait.
    pub fn waiting(&self) -> usize {
        self.waiting[0].len() + self.waiting[1].len()
    }

    /// Time that deep checks have taken in all.
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

/// The size by which a check's time is predicted. An answer "out of fuel" can only be checked by using up all the fuel
/// again.
fn units(check: &Check) -> WorkUnits {
    let factor = if is_out_of_fuel(&check.outcome) { FUEL_PERCENT / 100 } else { 1 };
    WorkUnits(check.units.0.saturating_mul(factor))
}

#[cfg(test)]
mod tests;
