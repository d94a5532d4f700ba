//! The budget of hedges (second attempts), and whether hedging is useful at present.
//!
//! Dean and Barroso, "The tail at scale" (2013): a second attempt after the 95th percentile costs a twentieth more work
//! and removes the latency tail. When all workers are slow, hedges only add load; so they stop when the median rises,
//! and they never exceed a set share of the work.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::{Attempt, Device, Digest, KindId, PeerId, TaskNo, WorkUnits};
use p2c2r_tasks::{Blobs, TaskJob};

use crate::core::state::workers::Prediction;
use crate::ledger::AccountId;

/// The budget counts hundredths of a work unit, since the share is in per cent.
const PARTS: u64 = 100;
/// Work units of unused budget that may accumulate: a second of the reference core. More would let one bad minute after
/// a quiet hour double the load.
const SAVED_UNITS_MAX: u64 = 1_000_000;
/// The median ratio of measured to predicted time, in thousandths, above which all workers count as slow.
const SLOW_MEDIAN: i32 = 1_500;
/// By how much one measurement moves the median, in thousandths: it takes 25 more measurements above than below to move
/// it from 1 to [`SLOW_MEDIAN`].
const MEDIAN_STEP: i32 = 20;
/// The lateness after which a hedge is due, in thousandths of the mean deviation above the predicted time: the initial
/// value and the bounds within which it is learned.
const LATENESS_FIRST: u32 = 2_000;
const LATENESS_MIN: u32 = 1_000;
const LATENESS_MAX: u32 = 1_000_000;
/// An attempt is late only beyond a twentieth of its predicted time, even where the deviation is tiny.
const LATE_PART_MIN: u32 = 20;
/// The lateness grows by a sixteenth with each late attempt and shrinks by a smaller fraction with each timely one: in
/// balance when one attempt in 14 is late.
const LATENESS_UP: u32 = 16;
const LATENESS_DOWN: u32 = LATENESS_UP * 13;
/// Lost attempts remembered in case their answers still arrive; answers to older ones are strays.
const OTHERS_MAX: usize = 64;

/// The budget of hedges, and the attempts that lost.
pub struct Hedging {
    /// Units of second attempts allowed per hundred units of first attempts.
    percent: u64,
    /// Units of first attempts so far.
    first_units: u64,
    /// Units of second attempts so far.
    second_units: u64,
    /// Units of second attempts that may be handed out, times [`PARTS`].
    saved: u64,
    /// Median of time taken over time predicted, in thousandths less one thousand.
    median: i32,
    /// Thousandths of the mean deviation above the mean by which 13 of 14 attempts are answered.
    lateness: u32,
    others: VecDeque<Other>,
}

/// A lost attempt: it was revoked, or its answer was still being judged, when another attempt at its task was accepted.
pub struct Other {
    /// The task.
    pub task: TaskNo,
    /// The task's number in the ledger.
    pub in_books: TaskNo,
    /// The attempt that was not accepted.
    pub lost: HedgedAttempt,
    /// Whether its answer was being judged already; anything its worker sends later is not an answer to it.
    pub is_judged: bool,
    /// What sort of work.
    pub kind: KindId,
    /// What it is worth.
    pub units: WorkUnits,
    /// The decoded spec.
    pub job: Arc<dyn TaskJob>,
    /// Its blobs.
    pub blobs: Blobs,
    /// Digest of kind, kernel version and spec.
    pub key: Digest,
    /// The attempt that was accepted.
    pub accepted: HedgedAttempt,
    /// The accepted outcome.
    pub outcome: Arc<[u8]>,
}

/// One of a task's attempts, and the worker that held it.
#[derive(Clone, Copy, Debug)]
pub struct HedgedAttempt {
    /// The worker's connection.
    pub worker: PeerId,
    /// The worker's account.
    pub account: AccountId,
    /// The attempt's number.
    pub attempt: Attempt,
    /// What the kernel runs on, as the worker claims.
    pub device: Device,
}

impl Hedging {
    /// A budget of `percent` units of second attempts per hundred units of first ones; zero for none.
    pub fn new(percent: u32) -> Self {
        Self {
            percent: percent.into(),
            first_units: 0,
            second_units: 0,
            saved: 0,
            median: 0,
            lateness: LATENESS_FIRST,
            others: VecDeque::new(),
        }
    }

    /// Adds the share of a first attempt to the budget.
    pub fn first(&mut self, units: WorkUnits) {
        self.first_units = self.first_units.saturating_add(units.0);
        let earned = units.0.saturating_mul(self.percent);
        self.saved = self.saved.saturating_add(earned).min(SAVED_UNITS_MAX * PARTS);
    }

    /// Whether a second attempt of this size could be handed out now.
    pub fn has_saved(&self, units: WorkUnits) -> bool {
        !self.is_everybody_slow() && units.0.saturating_mul(PARTS) <= self.saved
    }

    /// Whether a second attempt of this size may be handed out; if so, it is counted.
    pub fn take(&mut self, units: WorkUnits) -> bool {
        if !self.has_saved(units) {
            return false;
        }
        self.saved -= units.0.saturating_mul(PARTS);
        self.second_units = self.second_units.saturating_add(units.0);
        true
    }

    /// Updates the median with one answer's measured and predicted time.
    pub fn measured(&mut self, took: Duration, predicted: Duration) {
        let predicted = predicted.max(Duration::from_micros(1));
        let ratio = (took.as_secs_f32() / predicted.as_secs_f32() * 1_000.0) as i32;
        // The frugal estimate of a median (Ma, Muthukrishnan, Sandler 2013): a step towards each measurement.
        self.median += MEDIAN_STEP * (ratio - 1_000 - self.median).signum();
    }

    /// Time from sending an attempt until it counts as late. 13 of 14 attempts are answered by then, whatever the cause
    /// of delays; so hedges stay within about 7 % of the work even where many attempts are slow.
    pub fn late_after(&self, prediction: Prediction) -> Duration {
        let Prediction { finish, deviation, .. } = prediction;
        finish + (deviation * self.lateness / 1_000).max(finish / LATE_PART_MIN)
    }

    /// Learns from an attempt that would be late after `late`: it was answered after `took`, or given up then if not
    /// `is_answered`.
    pub fn ended(&mut self, took: Duration, late: Duration, is_answered: bool) {
        if took >= late {
            self.lateness = (self.lateness + self.lateness / LATENESS_UP).min(LATENESS_MAX);
        } else if is_answered {
            self.lateness = (self.lateness - self.lateness / LATENESS_DOWN).max(LATENESS_MIN);
        }
    }

    /// Whether the median answer takes much longer than predicted, which means that all workers are slow.
    pub fn is_everybody_slow(&self) -> bool {
        self.median + 1_000 > SLOW_MEDIAN
    }

    /// Whether second attempts are within their share of first ones.
    pub fn is_within_budget(&self) -> bool {
        let parts = |units: u64, parts: u64| u128::from(units) * u128::from(parts);
        parts(self.second_units, PARTS) <= parts(self.first_units, self.percent)
    }

    /// Units of first and of second attempts so far.
    pub fn units(&self) -> (u64, u64) {
        (self.first_units, self.second_units)
    }

    /// Remembers an attempt that lost to another one.
    pub fn overtaken(&mut self, other: Other) {
        if self.others.len() == OTHERS_MAX {
            self.others.pop_front();
        }
        self.others.push_back(other);
    }

    /// Takes the lost attempt to which this is the answer, if it is remembered.
    pub fn take_unanswered(&mut self, task: TaskNo, attempt: Attempt, worker: PeerId) -> Option<Other> {
        self.take_other(task, attempt, worker, false)
    }

    /// Takes the lost attempt to whose answer this is the verdict, if it is remembered.
    pub fn take_judged(&mut self, task: TaskNo, attempt: Attempt, worker: PeerId) -> Option<Other> {
        self.take_other(task, attempt, worker, true)
    }

    fn take_other(
        &mut self,
        task: TaskNo,
        attempt: Attempt,
        worker: PeerId,
        is_judged: bool,
    ) -> Option<Other> {
        let is_it = |other: &Other| {
            other.is_judged == is_judged
                && other.task == task
                && other.lost.attempt == attempt
                && other.lost.worker == worker
        };
        let at = self.others.iter().position(is_it)?;
        self.others.remove(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_attempts_are_a_tenth_of_the_work_and_stop_while_everybody_is_slow() {
        let mut hedging = Hedging::new(10);
        assert!(!hedging.take(WorkUnits(1)), "nothing is saved yet");
        let mut seconds = 0;
        for _ in 0..1_000 {
            hedging.first(WorkUnits(500));
            seconds += u64::from(hedging.take(WorkUnits(500)));
        }
        assert_eq!((seconds, hedging.units()), (100, (500_000, 50_000)));
        hedging.first(WorkUnits(u64::MAX / 4));
        let saved = (0..1_000).take_while(|_| hedging.take(WorkUnits(10_000))).count() as u64;
        assert_eq!(saved * 10_000, SAVED_UNITS_MAX, "no more is saved");
        hedging.first(WorkUnits(1_000_000));
        let ms = Duration::from_millis;
        // Every other answer is slow: the tail is long, but the median is not.
        (0..200).for_each(|n| hedging.measured(ms(if n % 2 == 0 { 1 } else { 50 }), ms(2)));
        assert!(hedging.take(WorkUnits(1)));
        (0..40).for_each(|_| hedging.measured(ms(5), ms(2)));
        assert!(hedging.is_everybody_slow() && !hedging.take(WorkUnits(1)));
        (0..40).for_each(|_| hedging.measured(ms(2), ms(2)));
        assert!(hedging.take(WorkUnits(1)), "over");
        let mut none = Hedging::new(0);
        none.first(WorkUnits(u64::MAX));
        assert!(!none.take(WorkUnits(1)) && none.is_within_budget());
    }
}
