//! What the core has computed elsewhere, and what comes back: outcomes to judge, and own kernels to run.

use std::sync::{Arc, Weak};
use std::time::Duration;

use p2c2r_program::guard::guarded;
use p2c2r_protocol::{Attempt, Device, KindId, PeerId, TaskNo};
use p2c2r_tasks::{Blobs, CheckError, Job, Stop};

use super::receipts::WorkerTimes;
use crate::ledger::AccountId;

/// An outcome to be judged.
pub struct Check {
    /// The task.
    pub task: TaskNo,
    /// The attempt it answers.
    pub attempt: Attempt,
    /// Whose answer it is.
    pub worker: PeerId,
    /// The worker's account.
    pub account: AccountId,
    /// What its kernel runs on, by its own word.
    pub device: Device,
    /// What the worker says of its times.
    pub times: WorkerTimes,
    /// What sort of work.
    pub kind: KindId,
    /// The decoded spec.
    pub job: Arc<dyn Job>,
    /// Its blobs.
    pub blobs: Blobs,
    /// The encoded outcome.
    pub outcome: Arc<[u8]>,
    /// The seed of the deep check, if it gets one.
    pub deep: Option<u64>,
}

impl Check {
    /// Judges the outcome; a check that panics counts as failed.
    pub fn judge(self) -> Checked {
        let verdict = guarded(|| match self.deep {
            Some(seed) => self.job.deep_check(&self.blobs, &self.outcome, seed),
            None => self.job.check(&self.blobs, &self.outcome),
        })
        .unwrap_or_else(|panicked| Err(CheckError::new("panic", panicked.to_string())));
        Checked { check: self, verdict }
    }
}

/// A verdict.
pub struct Checked {
    /// What was judged.
    pub check: Check,
    /// Whether it passed.
    pub verdict: Result<(), CheckError>,
}

/// A kernel to be run.
pub struct Kernel {
    /// The task.
    pub task: TaskNo,
    /// The decoded spec, as long as its task is in flight.
    pub job: Weak<dyn Job>,
    /// Its blobs.
    pub blobs: Blobs,
    /// Ends the kernel early: the task keeps a [`StopOnDrop`](p2c2r_tasks::StopOnDrop) of it.
    pub stop: Stop,
}

/// What a kernel gave.
pub struct Computed {
    /// The task.
    pub task: TaskNo,
    /// The encoded outcome; `None` if the kernel failed, panicked or was stopped.
    pub outcome: Option<Arc<[u8]>>,
    /// How long the kernel ran; zero in the inline pool, which has no clock.
    pub took: Duration,
}
