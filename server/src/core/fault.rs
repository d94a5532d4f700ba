//! Injected faults, which prove that the simulation's auditor detects them.
//!
//! Outside this crate's own tests [`is_made`] and [`is_any_made`] are the constant `false`, and the branches that ask
//! for them compile to nothing.

/// An injected fault: the step that misbehaves, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `admit`: the balance is not checked.
    LendsMoney,
    /// `admit`: the task's price cap is not checked.
    IgnoresCaps,
    /// `account`: what was charged in the last hour before the coordinator's start is ignored.
    ForgetsTheHour,
    /// `join`: an account keeps its cap when the operator sets another.
    KeepsTheCap,
    /// `join`: a worker keeps its name when the operator gives it another.
    KeepsTheName,
    /// `judge`: a worker that lacks blobs is sent its attempt again without them.
    SendsNoBlobs,
    /// `admit`: a spent task id is admitted again.
    ForgetsIds,
    /// `admit`: a task whose answer is being judged goes on after its player has quit.
    IgnoresQuitting,
    /// `queue`: the units that an account was served are not counted.
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
    /// `judge`: a convicted worker's outcomes still go to gamers who were away.
    DeliversWhatTheConvictedMade,
    /// `judge`: one failed check convicts.
    ConvictsAtOnce,
    /// `checking`: always-on checks spend the time of deep ones.
    ChargesEveryCheck,
    /// `lease`: leases never expire.
    WaitsForEver,
    /// `fall_back`: a patient task is computed on although the pool is needed.
    KeepsThePool,
    /// `tasks`: an answer is accepted from a worker that does not hold the lease.
    AcceptsForgeries,
    /// `settle`: a task is charged twice.
    ChargesTwice,
    /// `settle`: a nano-dollar of the worker's goes to the fee.
    KeepsANano,
    /// `settle`: a late outcome is charged.
    ChargesWhatIsLate,
    /// `settle`: an outcome without a deep check is cached for other gamers.
    SharesTheUnchecked,
    /// `settle`: followers of an equal task get an outcome without a deep check.
    GivesTheUnchecked,
    /// `reuse`, `follow`: a reused outcome costs the full price.
    ChargesReuseInFull,
    /// `follow`: a follower gets the leader's outcome twice.
    GivesTwice,
    /// `settle`: the losing attempt of a hedge is not revoked.
    LetsThemWorkInVain,
    /// `charge`: a cancelled task costs its full price.
    ChargesWhatWasNotBegun,
    /// `charge`: a task that inherited attempts pays also for what was begun in them before.
    ChargesTheHeirForAll,
    /// `deliver`: an outcome goes to any connected gamer.
    DeliversToAnybody,
    /// `take_over`: an outcome is cached that the ledger read before it had recorded what revokes it.
    RecallsWhatIsRevoked,
    /// `take_over`: patient tasks are not queued again after a restart.
    ForgetsPatientTasks,
    /// `account`: a charge is reported before the ledger has recorded it.
    TellsTooSoon,
    /// `next_due`: the next wake-up is a millisecond late.
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

    /// Whether this fault is injected on this thread.
    pub(crate) fn is_made(fault: Fault) -> bool {
        MADE.get() == Some(fault)
    }

    /// Whether any fault is injected on this thread. The scheduler's own assertions are then off, so that it is the auditor
    /// that must find the fault.
    pub(crate) fn is_any_made() -> bool {
        MADE.get().is_some()
    }

    /// Injects a fault on this thread until the guard is dropped.
    pub(crate) struct FaultGuard(());

    impl FaultGuard {
        /// Injects `fault`.
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
