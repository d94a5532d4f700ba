//! Bounds how long a kernel may run: it counts its own steps and ends once its task's fuel is spent, and it
//! stops when its answer is no longer wanted.
//!
//! What a task is worth ([`WorkUnits`]) is an estimate made before anything runs, so somebody can always make
//! a spec that takes longer than it pays for. Fuel bounds by how much: a task gets [`STEPS_PER_UNIT`] steps
//! per work unit, times its kind's multiple ([`TaskKind::FUEL_PERCENT`]), and a kernel that needs more gives
//! up. Steps are counted, not timed, so it gives up at the same place on the cores of every machine, and anyone
//! can check that by running the task again. A graphics processor counts no steps: there the shaders' own loop
//! bounds limit the work, so a spec that runs out of fuel on cores may have an outcome there.
//!
//! A step is about a nanosecond: each kind weighs what its kernel does (a cell of a search, two bodies that
//! meet, a box that a ray enters) by the most time that takes on the machine it was measured on.
//! `docs/PERFORMANCE.md` has the measurements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p2c2r_protocol::WorkUnits;

use crate::blobs::Blobs;
use crate::kind::{KernelError, SpecError, TaskKind};

/// Steps that a kernel may take per work unit: a unit is a microsecond, a step about a nanosecond.
pub const STEPS_PER_UNIT: u64 = 1_000;

/// The default of [`TaskKind::FUEL_PERCENT`].
pub const FUEL_PERCENT: u64 = 400;

/// Steps between two checks of the stop flag: some 200 microseconds.
const STEPS_PER_LOOK: u64 = 200_000;

/// The bytes that stand for "out of fuel" where an encoded outcome is expected. Every outcome has at least one byte,
/// so none is mistaken for it.
pub const OUT_OF_FUEL: &[u8] = &[];

/// Whether an encoded outcome says that the kernel ran out of fuel.
pub fn is_out_of_fuel(outcome: &[u8]) -> bool {
    outcome == OUT_OF_FUEL
}

/// Tells a kernel that its answer is no longer wanted. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    flag: Option<Arc<AtomicBool>>,
    yields: bool,
}

impl Stop {
    /// A flag that can be set.
    pub fn new() -> Self {
        Self { flag: Some(Arc::default()), yields: false }
    }

    /// A flag that can be set, for a kernel beside threads that must not wait for it: whenever the kernel counts so many
    /// steps that it checks the flag, it offers its processor to them. A low priority alone does not do that where the
    /// scheduler lets a thread finish its slice of some milliseconds, or takes a quota's overdraft off the next periods
    /// (`docs/PERFORMANCE.md`, "A frame beside local compute").
    pub fn yielding() -> Self {
        Self { yields: true, ..Self::new() }
    }

    /// A flag that is never set.
    pub const fn never() -> Self {
        Self { flag: None, yields: false }
    }

    /// Stops every kernel that has a clone of this. A kernel looks every `STEPS_PER_LOOK` steps and mostly
    /// notices within a millisecond; a call that cannot be interrupted, which its kind documents, goes on for up
    /// to 5 ms (`docs/PERFORMANCE.md`, "Fuel").
    pub fn stop(&self) {
        if let Some(flag) = &self.flag {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// An error if [`Self::stop`] was called.
    pub(crate) fn goes_on(&self) -> Result<(), KernelError> {
        if self.is_stopped() { Err(KernelError::Stopped) } else { Ok(()) }
    }

    /// Whether [`Self::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// Stops a kernel when it is dropped. The code that wants the answer owns it.
#[derive(Debug)]
pub struct StopOnDrop(pub Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A kind whose kernel counts its steps, for callers that measure how many a task takes.
pub trait Fueled: TaskKind {
    /// The fuel of an admissible spec.
    fn fuel<'a>(spec: &Self::Spec, blobs: &Blobs, stop: &'a Stop) -> Result<Fuel<'a>, SpecError>;

    /// [`TaskKind::run`] on this fuel.
    fn run_on(spec: &Self::Spec, blobs: &Blobs, fuel: &mut Fuel<'_>) -> Result<Self::Outcome, KernelError>;
}

/// The fuel of one run of a kernel.
#[derive(Debug)]
pub struct Fuel<'a> {
    spent: u64,
    /// Number of steps at which [`Fuel::look`] next checks the limit and the stop flag.
    look_at: u64,
    /// Number of steps at the last check.
    looked_at: u64,
    /// The most steps between two checks so far.
    unseen_max: u64,
    limit: u64,
    stop: &'a Stop,
}

impl<'a> Fuel<'a> {
    /// The fuel of a task of the kind `K` worth `units`, stopped by `stop`.
    pub fn of<K: TaskKind>(units: WorkUnits, stop: &'a Stop) -> Self {
        Self::new(units, K::FUEL_PERCENT, stop)
    }

    /// Fuel without a limit, for computations that belong to no task.
    pub(crate) fn endless(stop: &'a Stop) -> Self {
        Self::new(WorkUnits(u64::MAX), FUEL_PERCENT, stop)
    }

    /// `percent` hundredths of what `units` pay for, stopped by `stop`.
    pub fn new(units: WorkUnits, percent: u64, stop: &'a Stop) -> Self {
        let limit = units.0.saturating_mul(STEPS_PER_UNIT * percent / 100);
        // The first check is at once, so that a task revoked before it began is not begun.
        Self { spent: 0, look_at: 0, looked_at: 0, unseen_max: 0, limit, stop }
    }

    /// Takes `steps` steps. An error is final: the kernel passes it on.
    ///
    /// - [`KernelError::OutOfFuel`]: there were not that many left.
    /// - [`KernelError::Stopped`]: nobody wants the answer.
    #[inline]
    pub fn spend(&mut self, steps: u64) -> Result<(), KernelError> {
        self.spent = self.spent.saturating_add(steps);
        if self.spent < self.look_at { Ok(()) } else { self.look() }
    }

    /// [`Self::spend`] for steps whose work checked the stop flag itself: [`Self::unseen_max`] does not count them.
    pub(crate) fn spend_watched(&mut self, steps: u64) -> Result<(), KernelError> {
        self.unseen_max = self.unseen_max();
        self.spent = self.spent.saturating_add(steps);
        self.looked_at = self.spent;
        self.look()
    }

    /// Ends the kernel now if fewer than `steps` steps are left: for work that is counted only once it is
    /// done. Spends nothing.
    pub fn require(&self, steps: u64) -> Result<(), KernelError> {
        if self.spent.saturating_add(steps) > self.limit { Err(KernelError::OutOfFuel) } else { Ok(()) }
    }

    /// Steps taken so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// The most steps between two checks of the stop flag so far, those since the last check included.
    pub fn unseen_max(&self) -> u64 {
        self.unseen_max.max(self.spent - self.looked_at)
    }

    /// The flag that stops the kernel.
    pub(crate) fn stop(&self) -> &'a Stop {
        self.stop
    }

    /// The most steps this fuel allows.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    #[cold]
    fn look(&mut self) -> Result<(), KernelError> {
        if self.stop.yields {
            std::thread::yield_now();
        }
        if self.stop.is_stopped() {
            return Err(KernelError::Stopped);
        }
        if self.spent > self.limit {
            return Err(KernelError::OutOfFuel);
        }
        self.unseen_max = self.unseen_max.max(self.spent - self.looked_at);
        self.looked_at = self.spent;
        self.look_at = self.spent.saturating_add(STEPS_PER_LOOK).min(self.limit.saturating_add(1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_may_take_so_many_steps_and_not_one_more() {
        let stop = Stop::never();
        let steps = 3 * 3_200;
        let mut fuel = Fuel::new(WorkUnits(3), 320, &stop);
        assert_eq!(fuel.spend(steps), Ok(()));
        assert_eq!(fuel.spend(1), Err(KernelError::OutOfFuel));
        let mut one_by_one = Fuel::new(WorkUnits(3), 320, &stop);
        assert_eq!(one_by_one.require(steps), Ok(()));
        assert_eq!(one_by_one.require(steps + 1), Err(KernelError::OutOfFuel));
        assert_eq!((0..steps).find(|_| one_by_one.spend(1).is_err()), None);
        assert_eq!(one_by_one.spend(1), Err(KernelError::OutOfFuel));
        assert_eq!(Fuel::new(WorkUnits(3), 320, &stop).spend(u64::MAX), Err(KernelError::OutOfFuel));
        assert_eq!(Fuel::endless(&stop).spend(u64::MAX), Ok(()));
    }

    #[test]
    fn a_stop_is_noticed_at_the_next_look_and_before_the_first_step() {
        let stop = Stop::new();
        let mut fuel = Fuel::new(WorkUnits(1_000), 400, &stop);
        fuel.spend(1).unwrap();
        drop(StopOnDrop(stop.clone()));
        let noticed = (0..=STEPS_PER_LOOK).position(|_| fuel.spend(1) == Err(KernelError::Stopped));
        assert!(noticed.is_some_and(|steps| steps as u64 <= STEPS_PER_LOOK));
        assert_eq!(Fuel::new(WorkUnits(1), 400, &stop).spend(1), Err(KernelError::Stopped));
        Stop::never().stop();
        assert!(!Stop::never().is_stopped());
    }
}
