//! Faults made on purpose, by which the simulation proves that its auditor finds them.
//!
//! Outside of this crate's own tests [`is_made`] and [`is_any_made`] are the constant `false`, and what asks for them
//! compiles to nothing.

/// A fault: what is done wrongly where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `admit`: what an account has is not looked at.
    LendsMoney,
    /// `admit`: the cap of a task is not looked at.
    IgnoresCaps,
    /// `account`: what the hour has cost before the coordinator started is not looked at.
    ForgetsTheHour,
    /// `admit`: an id that is used up is let in again.
    ForgetsIds,
    /// `queue`: what an account was served does not count.
    ServesTheFirst,
    /// `hedge`: second attempts have no budget.
    HedgesWithoutEnd,
    /// `judge`: a newcomer's answers are not drawn for deep checks.
    TrustsNewcomers,
    /// `judge`: an answer that failed its check is accepted.
    AcceptsWhatFailed,
    /// `judge`: a convicted worker still gets work.
    EmploysTheConvicted,
    /// `judge`: a convicted worker's outcomes stay in the cache.
    KeepsWhatTheConvictedMade,
    /// `judge`: one failed check convicts.
    ConvictsAtOnce,
    /// `lease`: nothing is due at the end of a lease.
    WaitsForEver,
    /// `tasks`: whoever answers an attempt is believed to have it.
    AcceptsForgeries,
    /// `settle`: a task is charged twice.
    ChargesTwice,
    /// `settle`: a nano-dollar of the worker's goes to the fee.
    KeepsANano,
    /// `settle`: what is late is charged.
    ChargesWhatIsLate,
    /// `settle`: an outcome that only looks right is kept for others.
    SharesTheUnchecked,
    /// `settle`: whoever waits for an equal task gets what only looks right.
    GivesTheUnchecked,
    /// `reuse`, `follow`: an outcome that is there already costs what computing it does.
    ChargesReuseInFull,
    /// `follow`: whoever waits for an equal task gets its outcome twice.
    GivesTwice,
    /// `settle`: losers of a hedge are not told.
    LetsThemWorkInVain,
    /// `charge`: a task that was taken back costs its price.
    ChargesWhatWasNotBegun,
    /// `deliver`: an outcome goes to whoever is there.
    DeliversToAnybody,
    /// `take_over`: patient tasks from before are not queued again.
    ForgetsPatientTasks,
    /// `account`: what is charged is told before it is recorded.
    TellsTooSoon,
    /// `next_due`: it is late by a millisecond.
    SleepsTooLong,
}

#[cfg(test)]
pub(crate) use making::{FaultGuard, is_any_made, is_made};

#[cfg(not(test))]
pub(crate) const fn is_made(_: Fault) -> bool {
    false
}

#[cfg(not(test))]
pub(crate) const fn is_any_made() -> bool {
    false
}

#[cfg(test)]
mod making {
    use std::cell::Cell;

    use super::Fault;

    thread_local! {
        static MADE: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Whether this fault is made on this thread.
    pub(crate) fn is_made(fault: Fault) -> bool {
        MADE.get() == Some(fault)
    }

    /// Whether any fault is made on this thread: the scheduler's own assertions then keep quiet, because it is the auditor's
    /// turn to find it.
    pub(crate) fn is_any_made() -> bool {
        MADE.get().is_some()
    }

    /// Makes a fault on this thread until this is dropped.
    pub(crate) struct FaultGuard(());

    impl FaultGuard {
        /// Makes it.
        pub(crate) fn on_this_thread(fault: Fault) -> Self {
            MADE.set(Some(fault));
            Self(())
        }
    }

    impl Drop for FaultGuard {
        fn drop(&mut self) {
            MADE.set(None);
        }
    }
}
