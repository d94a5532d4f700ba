//! Work that the core hands to other threads: outcomes to judge, and runs of the coordinator's own kernel.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bincode::Encode;
use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::{Attempt, Device, KindId, Micros, PassedCheck, PeerId, TaskNo, WorkUnits};
use p2c2r_tasks::{Blob, Blobs, CheckError, Stop, TaskJob};

use super::receipts::WorkerTimes;
use crate::ledger::AccountId;

/// An outcome to be judged.
pub struct Check {
    /// The task.
    pub task: TaskNo,
    /// The task's number in the ledger when the answer came: an equal task may take its place while the answer is judged.
    pub in_books: TaskNo,
    /// The attempt it answers.
    pub attempt: Attempt,
    /// When the answer was heard.
    pub heard_at: Micros,
    /// The connection of the worker that gave the answer.
    pub worker: PeerId,
    /// The worker's account.
    pub account: AccountId,
    /// What its kernel runs on, as the worker claims.
    pub device: Device,
    /// The times that the worker reports.
    pub times: WorkerTimes,
    /// What sort of work.
    pub kind: KindId,
    /// The decoded spec.
    pub job: Arc<dyn TaskJob>,
    /// Its blobs.
    pub blobs: Blobs,
    /// What it is worth.
    pub units: WorkUnits,
    /// The encoded outcome.
    pub outcome: Arc<[u8]>,
    /// How closely it is looked at.
    pub depth: Depth,
    /// Time set aside for it in the budget of checking.
    pub reserved: Duration,
    /// Why it is judged.
    pub cause: Cause,
}

/// Why an outcome is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is the answer to a live attempt, and its task waits for the verdict.
    Answer,
    /// Its task is over, and another worker has given a different answer to it.
    Disputed {
        /// Whether it is the outcome that the task ended with.
        is_accepted: bool,
    },
}

/// How closely an outcome is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub enum Depth {
    /// The check that every outcome gets.
    Always,
    /// The deep check as well, at the place that this seed picks.
    Deep(u64),
    /// Recomputation, whose outcome must be bit-identical; where the kernel fails here, a deep check with this seed.
    Again(u64),
}

impl Depth {
    /// The seed that picks the place; zero where none is picked.
    pub fn seed(self) -> u64 {
        match self {
            Self::Always => 0,
            Self::Deep(seed) | Self::Again(seed) => seed,
        }
    }

    /// The check named in the receipt.
    pub fn passed(self) -> PassedCheck {
        match self {
            Self::Always => PassedCheck::Always,
            Self::Deep(_) | Self::Again(_) => PassedCheck::Deep,
        }
    }
}

impl Check {
    /// Judges the outcome; a check that panics counts as failed.
    pub fn judge(self) -> Checked {
        let verdict = catch_panic(|| match self.depth {
            Depth::Always => self.job.check(&self.blobs, &self.outcome),
            Depth::Deep(seed) => self.job.deep_check(&self.blobs, &self.outcome, seed),
            Depth::Again(seed) => self.compute_again(seed),
        })
        .unwrap_or_else(|panicked| Err(CheckError::new("panic", panicked.to_string())));
        let left = if verdict.is_ok() { self.left() } else { None };
        let looked_right = verdict.is_ok() || self.looks_right();
        Checked { check: self, verdict, looked_right, left, took: Duration::ZERO }
    }

    /// Whether the outcome passes the check that every outcome gets.
    pub fn looks_right(&self) -> bool {
        catch_panic(|| self.job.check(&self.blobs, &self.outcome)).is_ok_and(|verdict| verdict.is_ok())
    }

    /// What the outcome leaves for a later spec to name. The outcome must have passed its check.
    pub fn left(&self) -> Option<Arc<Blob>> {
        left(&*self.job, &self.blobs, &self.outcome)
    }

    /// Recomputes the outcome and compares; the kernel's own outcome passes every check. A kernel that fails here is no
    /// evidence against a worker on whose machine it succeeded: then the deep check decides.
    fn compute_again(&self, seed: u64) -> Result<(), CheckError> {
        let again = self.job.run(&self.blobs, &Stop::never());
        if again.as_ref().is_ok_and(|outcome| *outcome == *self.outcome) {
            return Ok(());
        }
        self.job.check(&self.blobs, &self.outcome)?;
        match again {
            Ok(_) => Err(CheckError::new("again", "computed again, it is another outcome")),
            Err(_) => self.job.deep_check(&self.blobs, &self.outcome, seed),
        }
    }
}

/// What an outcome leaves for a later spec to name: see [`TaskKind::leaves`](p2c2r_tasks::TaskKind::leaves).
pub fn left(job: &dyn TaskJob, blobs: &Blobs, outcome: &[u8]) -> Option<Arc<Blob>> {
    catch_panic(|| job.leaves(blobs, outcome)).ok().flatten().map(Blob::new)
}

/// A verdict.
pub struct Checked {
    /// What was judged.
    pub check: Check,
    /// Whether it passed.
    pub verdict: Result<(), CheckError>,
    /// Whether it passed the check that every outcome gets, at least.
    pub looked_right: bool,
    /// What the outcome leaves for a later spec to name, if it passed.
    pub left: Option<Arc<Blob>>,
    /// Processor time that the check took; zero if the core made it itself or the inline pool did, which have no clock.
    pub took: Duration,
}

/// A kernel to be run.
pub struct KernelRun {
    /// The task.
    pub task: TaskNo,
    /// The decoded spec; gone once its task has ended.
    pub job: Weak<dyn TaskJob>,
    /// Its blobs.
    pub blobs: Blobs,
    /// Ends the kernel early: the task keeps a [`StopOnDrop`](p2c2r_tasks::StopOnDrop) of it.
    pub stop: Stop,
}

/// The result of a kernel run.
pub struct Computed {
    /// The task.
    pub task: TaskNo,
    /// The encoded outcome; `None` if the kernel failed, panicked or was stopped.
    pub outcome: Option<Arc<[u8]>>,
    /// What the outcome leaves for a later spec to name.
    pub left: Option<Arc<Blob>>,
    /// How long the kernel ran; zero in the inline pool, which has no clock.
    pub took: Duration,
}
