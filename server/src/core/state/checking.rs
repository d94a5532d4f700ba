//! The time budget of deep checks, and the answers that wait for it.
//!
//! A check begins while budget is left. Its predicted time, learned from earlier checks, is reserved at the start and
//! corrected to the measured time at the end; so one check may overdraw the budget, and the next ones wait longer.
//!
//! While most of the budget is saved up, checks have time to spare: then more answers are drawn than trust asks for, as many as
//! the work that they are about can pay for ([`Checking::affordable_share`]).
//!
//! Answers wait in lanes, which share the time by weight (`WEIGHTS`): whatever fills one lane, the others move on.
//! No answer that was drawn for a check is accepted without it, and a drawn check whose task does not wait for it any
//! longer is made later: a worker that always lies must not escape because there is too much to check.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{Attempt, KindId, Micros, TaskNo, WorkUnits};
use p2c2r_tasks::fuel::FUEL_PERCENT;
use p2c2r_tasks::is_out_of_fuel;

use super::speed::ServiceTimes;
use crate::core::fault::{self, Fault};
use crate::core::work::{Cause, Check, Checked, Depth};

/// Time over which unused budget accumulates: three seconds of a core at the default. Longer would let a flood of newcomers
/// take more processor time at once; shorter would have the first gamer of a new coordinator wait, because its workers'
/// first answers in each kind are all checked.
const SAVED_UP: Duration = Duration::from_secs(30);

/// Checks have time to spare while more than this part of what can be saved up is left. What is saved up below that is for
/// the checks that trust asks for. Time to spare comes back as fast at any level, so a high one loses nothing.
const SPARE_ABOVE: f64 = 0.75;
/// Microseconds of processor time that a check on another thread takes besides the check itself, on both threads.
const HAND_OVER_US: f64 = 10.0;
/// The longest check that time to spare is used for: a third of a frame, since the answer waits for its check.
const SPARE_CHECK_MAX: Duration = Duration::from_millis(5);

/// The lane of drawn answers: their workers are proven, so that only some of their answers are checked.
const DRAWN: usize = 0;
/// The lane of workers whose answers are all checked. An answer that there is no time to check is dropped and not
/// accepted, so dropping it hides no lie.
const NEWCOMERS: usize = 1;
/// The lane of checks that no task waits for: of answers that another worker contradicts, and of drawn answers that could
/// not be checked while their tasks waited. Of the latter, one per worker and kind waits, picked at random: if it is wrong,
/// all later answers of that worker are checked. So no worker takes another's places, and none can know that a lie will not
/// be picked.
const LATER: usize = 2;
/// The lane of answers "out of fuel". Checking one takes several times the work that its gamer pays for, and any gamer can
/// submit a task that ends so. So they have their own budget, and cannot overdraw that of the other lanes.
const FUEL: usize = 3;

/// The shares of time of the lanes before [`FUEL`], relative to one another; lanes in which nothing waits take no part.
const WEIGHTS: [f64; 3] = [2.0, 1.0, 1.0];
/// The part of all checking time that goes into the budget for answers "out of fuel", until that holds what accrues in
/// [`FUEL_SAVED_UP`]. All other time goes to the other lanes.
const FUEL_PART: f64 = 0.25;
/// Bounds the budget for answers "out of fuel": it holds at most all checking time of this long, in addition to
/// [`SAVED_UP`] for the other lanes.
const FUEL_SAVED_UP: Duration = Duration::from_secs(10);
/// Answers that may wait in each lane. An answer behind more of them would miss any deadline; in [`LATER`] each one keeps a
/// spec in memory that no open task accounts for.
const PLACES: [usize; 4] = [1_024, 1_024, 256, 1_024];
/// Bytes of outcomes and blobs that may wait in each lane.
const LANE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Result of asking for a check.
pub enum CheckStart {
    /// It begins.
    Begins(Check),
    /// It waits.
    Waits,
    /// There is no room to wait.
    NoRoom,
}

/// A check that waits.
struct WaitingCheck {
    check: Check,
    /// Number of answers of the same worker and kind from which it was picked at random.
    one_of: u64,
}

/// Checks that wait for the same reason.
#[derive(Default)]
struct Lane {
    /// The oldest first.
    waiting: VecDeque<WaitingCheck>,
    bytes: usize,
    /// Virtual time: microseconds served, divided by the lane's weight. A lane in which nothing waited catches up with the
    /// others when something does again. The lane furthest behind goes next.
    served_us: f64,
}

impl Lane {
    fn pop(&mut self) -> Option<Check> {
        self.remove(0)
    }

    fn remove(&mut self, at: usize) -> Option<Check> {
        let WaitingCheck { check, .. } = self.waiting.remove(at)?;
        self.bytes -= bytes(&check);
        Some(check)
    }
}

/// The budget and the queues of deep checks on the compute pool.
pub struct Checking {
    /// Microseconds of checking per microsecond of time.
    share: f64,
    /// Microseconds of budget left at the moment `at`; negative when overdrawn.
    left_us: f64,
    /// The same for the budget of answers "out of fuel".
    left_for_fuel_us: f64,
    /// The moment for which both hold.
    at: Micros,
    times: ServiceTimes,
    /// The same for checks that compute the whole again.
    again_times: ServiceTimes,
    lanes: [Lane; 4],
    /// [`Lane::served_us`] of the lane served last, before it was served: a lane in which nothing waited starts there.
    turn_us: f64,
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
            left_for_fuel_us: share * FUEL_SAVED_UP.as_micros() as f64,
            at: Micros(0),
            times: ServiceTimes::of_reference_core(),
            again_times: ServiceTimes::of_reference_core(),
            lanes: Default::default(),
            turn_us: 0.0,
            taken: Duration::ZERO,
        }
    }

    /// Whether most of the budget is saved up, so that there is time for more checks than trust asks for.
    pub fn has_time_to_spare(&mut self, now: Micros) -> bool {
        self.refill(now);
        self.left_us > SPARE_ABOVE * self.share * SAVED_UP.as_micros() as f64
    }

    /// The share of answers of this kind and size that can be checked deeply, 0 to 1, if checks may take the part `spare` of
    /// the work on average. Zero if one check takes too long for its answer to wait; one if none was measured, which cannot take
    /// longer than the task, so that the time of a check is soon known.
    pub fn affordable_share(&self, kind: KindId, units: WorkUnits, spare: f64) -> f64 {
        let check = self.times.predict(kind, units).mean;
        if check > SPARE_CHECK_MAX {
            return 0.0;
        }
        if !self.times.knows(kind, units) {
            return 1.0;
        }
        (spare * units.0 as f64 / (check.as_nanos() as f64 / 1e3 + HAND_OVER_US)).min(1.0)
    }

    /// Whether a whole task of this kind and size can be computed again while its answer waits, if checks have time to spare.
    pub fn affords_all(&self, kind: KindId, units: WorkUnits) -> bool {
        self.again_times.predict(kind, units).mean <= SPARE_CHECK_MAX
    }

    /// Asks for a check. `is_proven` says that not all answers of its worker are checked.
    pub fn ask(&mut self, mut check: Check, is_proven: bool, now: Micros) -> CheckStart {
        self.refill(now);
        let lane = match check.cause {
            Cause::Disputed { .. } => LATER,
            Cause::Answer if is_out_of_fuel(&check.outcome) => FUEL,
            Cause::Answer if is_proven => DRAWN,
            Cause::Answer => NEWCOMERS,
        };
        let before = if lane == FUEL { &self.lanes[FUEL..] } else { &self.lanes[..FUEL] };
        if before.iter().all(|lane| lane.waiting.is_empty()) && *self.budget_of(&check) > 0.0 {
            self.reserve(&mut check);
            return CheckStart::Begins(check);
        }
        match self.push(lane, check) {
            None => CheckStart::Waits,
            Some(check) => {
                self.look_later(lane, check);
                CheckStart::NoRoom
            }
        }
    }

    /// The next waiting check, if there is time for it. A check whose task no longer waits for it, by `is_awaited`, is
    /// skipped: if it was drawn it moves to `LATER`, otherwise it is dropped.
    pub fn next(&mut self, now: Micros, is_awaited: impl Fn(&Check) -> bool) -> Option<Check> {
        self.refill(now);
        loop {
            let lane = self.lane_with_time()?;
            let mut check = self.lanes[lane].pop()?;
            if lane != LATER && !is_awaited(&check) {
                self.look_later(lane, check);
                continue;
            }
            self.reserve(&mut check);
            if lane != FUEL {
                let served = &mut self.lanes[lane].served_us;
                self.turn_us = *served;
                *served += check.reserved.as_secs_f64() * 1e6 / WEIGHTS[lane];
            }
            return Some(check);
        }
    }

    /// When the next waiting check can begin, or a little before; `None` if none waits.
    pub fn due(&self) -> Option<Micros> {
        let waits = |lanes: &[Lane]| lanes.iter().any(|lane| !lane.waiting.is_empty());
        // One microsecond after the budget is back at zero, because it must be above zero.
        let within = |left_us: f64, share: f64| if left_us > 0.0 { 0.0 } else { 1.0 - left_us / share };
        let others = waits(&self.lanes[..FUEL]).then(|| within(self.left_us, self.share));
        let fuel = waits(&self.lanes[FUEL..]).then(|| within(self.left_for_fuel_us, self.share * FUEL_PART));
        let soonest = others.into_iter().chain(fuel).min_by(f64::total_cmp)?;
        Some(Micros(self.at.0.saturating_add(soonest.ceil() as u64)))
    }

    /// The task of this attempt stops waiting for the check of its answer: a drawn check is made later, another is dropped.
    pub fn give_up(&mut self, task: TaskNo, attempt: Attempt) {
        for lane in [DRAWN, NEWCOMERS, FUEL] {
            let is_it = |it: &WaitingCheck| (it.check.task, it.check.attempt) == (task, attempt);
            let at = self.lanes[lane].waiting.iter().position(is_it);
            if let Some(check) = at.and_then(|at| self.lanes[lane].remove(at)) {
                self.look_later(lane, check);
                return;
            }
        }
    }

    /// A check is over. Only a deep one spends the budget: every answer gets the always-on check, however many come.
    pub fn ended(&mut self, checked: &Checked) {
        let Checked { check, took, .. } = checked;
        if check.depth == Depth::Always && !fault::is_made(Fault::ChargesEveryCheck) {
            return;
        }
        *self.budget_of(check) += check.reserved.as_secs_f64() * 1e6 - took.as_secs_f64() * 1e6;
        self.taken += *took;
        if !took.is_zero() && !check.reserved.is_zero() {
            self.times_of(check).measured(check.kind, units(check), *took);
        }
    }

    /// Answers that wait.
    pub fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.waiting.len()).sum()
    }

    /// Time that deep checks have taken in all.
    pub fn taken(&self) -> Duration {
        self.taken
    }

    /// The lane whose turn it is and for which time is left.
    fn lane_with_time(&self) -> Option<usize> {
        let has_some = |lane: &usize| !self.lanes[*lane].waiting.is_empty();
        let behind =
            |one: &usize, other: &usize| self.lanes[*one].served_us.total_cmp(&self.lanes[*other].served_us);
        let next = if self.left_us > 0.0 { (0..FUEL).filter(has_some).min_by(behind) } else { None };
        next.or_else(|| Some(FUEL).filter(|lane| self.left_for_fuel_us > 0.0 && has_some(lane)))
    }

    /// Adds a check to a lane; returns it if there is no room.
    fn push(&mut self, lane: usize, check: Check) -> Option<Check> {
        let (of, bytes) = (&mut self.lanes[lane], bytes(&check));
        if of.waiting.len() >= PLACES[lane] || of.bytes + bytes > LANE_BYTES_MAX {
            return Some(check);
        }
        if of.waiting.is_empty() {
            of.served_us = of.served_us.max(self.turn_us);
        }
        of.bytes += bytes;
        of.waiting.push_back(WaitingCheck { check, one_of: 1 });
        None
    }

    /// Moves a check that no task waits for to [`LATER`] if it was drawn; otherwise it is dropped. If a check of the same
    /// worker and kind waits there already, each of all that came since is kept with equal probability (reservoir sampling).
    fn look_later(&mut self, lane: usize, check: Check) {
        if lane != DRAWN {
            return;
        }
        let of = |check: &Check| (check.cause, check.account, check.kind);
        let later = &mut self.lanes[LATER];
        let Some(waiting) = later.waiting.iter_mut().find(|it| of(&it.check) == of(&check)) else {
            drop(self.push(LATER, check));
            return;
        };
        waiting.one_of += 1;
        let bytes = later.bytes - bytes(&waiting.check) + bytes(&check);
        // The check's seed is the random number: no worker knows it, and drawing another would be no more random.
        if check.depth.seed().is_multiple_of(waiting.one_of) && bytes <= LANE_BYTES_MAX {
            (later.bytes, waiting.check) = (bytes, check);
        }
    }

    /// The budget that a check spends, in microseconds.
    fn budget_of(&mut self, check: &Check) -> &mut f64 {
        let is_for_fuel = check.cause == Cause::Answer && is_out_of_fuel(&check.outcome);
        if is_for_fuel { &mut self.left_for_fuel_us } else { &mut self.left_us }
    }

    /// What is known of the time that checks of this depth take.
    fn times_of(&mut self, check: &Check) -> &mut ServiceTimes {
        if matches!(check.depth, Depth::Again(_)) { &mut self.again_times } else { &mut self.times }
    }

    fn reserve(&mut self, check: &mut Check) {
        let predicted = self.times_of(check).predict(check.kind, units(check)).mean;
        check.reserved = predicted.max(Duration::from_nanos(1));
        *self.budget_of(check) -= check.reserved.as_secs_f64() * 1e6;
    }

    fn refill(&mut self, now: Micros) {
        let gained = self.share * now.0.saturating_sub(self.at.0) as f64;
        let most = |saved_up: Duration| self.share * saved_up.as_micros() as f64;
        let for_fuel = (gained * FUEL_PART).min(most(FUEL_SAVED_UP) - self.left_for_fuel_us);
        self.left_for_fuel_us += for_fuel;
        self.left_us = (self.left_us + gained - for_fuel).min(most(SAVED_UP));
        self.at = self.at.max(now);
    }
}

/// The size by which a check's time is predicted. An answer "out of fuel" can only be checked by using up all the fuel
/// again.
fn units(check: &Check) -> WorkUnits {
    let factor = if is_out_of_fuel(&check.outcome) { FUEL_PERCENT / 100 } else { 1 };
    WorkUnits(check.units.0.saturating_mul(factor))
}

/// Bytes that a waiting check keeps in memory, without its spec.
fn bytes(check: &Check) -> usize {
    check.outcome.len() + check.blobs.iter().map(|blob| blob.bytes().len()).sum::<usize>()
}

#[cfg(test)]
mod tests;
