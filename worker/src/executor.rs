//! Runs kernels, never more than `slots` at a time, and gives exactly one result for each that was started.
//!
//! Three things must hold whatever a kernel does. A panic ends that attempt and nothing else: it is caught, and
//! the thread goes on. An attempt that was taken back before it began is never begun: whoever moves it out of
//! [`Stage::Queued`] first decides. And the count of running attempts cannot drift, because the result is sent
//! by a guard's drop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Instant;

use bevy_ecs::resource::Resource;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use p2c2r_link::Waker;
use p2c2r_program::guard::guarded;
use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{AttemptFailure, Micros};
use p2c2r_tasks::{Blobs, Job, KernelError, Stop};

use crate::config::{Execution, WorkerConfig};
use crate::error::WorkerError;

/// One instant on both the app's clock and the machine's, so that other threads can stamp times that compare
/// with the app's.
#[derive(Clone, Copy, Debug)]
pub struct ClockAnchor {
    /// The instant on the app's clock.
    pub at: Micros,
    /// The same instant on the machine's clock; `None` stops the clock at `at`, for manual time.
    pub instant: Option<Instant>,
}

impl ClockAnchor {
    /// The app's clock now, from any thread.
    pub fn now(&self) -> Micros {
        let since = self.instant.map_or(0, |instant| instant.elapsed().as_micros());
        Micros(self.at.0.saturating_add(u64::try_from(since).unwrap_or(u64::MAX)))
    }
}

/// How far an attempt has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Waiting; may be taken back.
    Queued = 0,
    /// In the kernel, which looks now and then whether its answer is still wanted.
    Running = 1,
    /// Taken back before it began.
    TakenBack = 2,
}

/// An attempt's stage, shared between the app and the thread that may run it.
#[derive(Clone, Debug, Default)]
pub struct SharedStage(Arc<AtomicU8>);

impl SharedStage {
    /// Leaves [`Stage::Queued`] for `next`; false if the other side was first.
    fn leave_queue(&self, next: Stage) -> bool {
        self.0.compare_exchange(Stage::Queued as u8, next as u8, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes the attempt back; false if it has begun.
    pub fn take_back(&self) -> bool {
        self.leave_queue(Stage::TakenBack)
    }
}

/// One attempt's kernel run.
pub struct Run {
    /// Told apart from every other run of this program.
    pub serial: u64,
    /// The decoded spec.
    pub job: Arc<dyn Job>,
    /// Its blobs.
    pub blobs: Blobs,
    /// Whether admission has been passed already.
    pub admitted: bool,
    /// Its stage.
    pub stage: SharedStage,
    /// Ends the kernel early once nobody wants its answer.
    pub stop: Stop,
    /// The app's clock.
    pub clock: ClockAnchor,
    /// Wakes the app when the result is there.
    pub waker: Waker,
}

/// What came of a run.
#[derive(Debug)]
pub struct RunResult {
    /// Which run.
    pub serial: u64,
    /// The encoded outcome, or why there is none.
    pub result: Result<Vec<u8>, AttemptFailure>,
    /// When the kernel started, on the app's clock.
    pub started_at: Micros,
    /// When it ended.
    pub finished_at: Micros,
}

/// The runs that wait and the threads that take them.
#[derive(Resource)]
pub struct Executor {
    lane: Lane,
    results: Receiver<RunResult>,
    results_in: Sender<RunResult>,
}

enum Lane {
    Inline { waiting: VecDeque<Run>, per_update: usize, waiting_max: usize },
    Threads { queue: Sender<Run> },
}

impl Executor {
    /// An executor with one thread per slot, or with none if the configuration says so.
    pub fn new(config: &WorkerConfig) -> Result<Self, WorkerError> {
        let (results_in, results) = crossbeam_channel::unbounded();
        let lane = match config.execution {
            Execution::Inline => Lane::Inline {
                waiting: VecDeque::new(),
                per_update: usize::from(config.slots),
                waiting_max: config.held_max(),
            },
            Execution::Threads => {
                let (queue, runs) = crossbeam_channel::bounded::<Run>(config.held_max());
                for slot in 1..=config.slots {
                    let (runs, results_in) = (runs.clone(), results_in.clone());
                    thread::Builder::new()
                        .name(format!("slot-{slot}"))
                        .spawn(move || {
                            // Ends when the executor, and with it the queue's other end, is gone.
                            for run in runs {
                                if run.stage.leave_queue(Stage::Running) {
                                    finish(&run, &results_in);
                                    run.waker.wake();
                                }
                            }
                        })
                        .map_err(|source| WorkerError::Thread { slot, source })?;
                }
                Lane::Threads { queue }
            }
        };
        Ok(Self { lane, results, results_in })
    }

    /// Queues a run; false if the queue is full, of runs that were taken back as well.
    pub fn queue(&mut self, run: Run) -> bool {
        match &mut self.lane {
            Lane::Inline { waiting, waiting_max, .. } => {
                waiting.retain(|run| run.stage.0.load(Ordering::Acquire) == Stage::Queued as u8);
                let fits = waiting.len() < *waiting_max;
                if fits {
                    waiting.push_back(run);
                }
                fits
            }
            Lane::Threads { queue } => match queue.try_send(run) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            },
        }
    }

    /// Runs at once on this thread, whatever waits.
    pub fn run_here(&self, run: &Run) {
        if run.stage.leave_queue(Stage::Running) {
            finish(run, &self.results_in);
        }
    }

    /// Whether there are threads, and so whether some tasks may be run on the app's thread instead.
    pub fn has_threads(&self) -> bool {
        matches!(self.lane, Lane::Threads { .. })
    }

    /// Whether no run waits for a slot.
    pub fn nothing_waits(&self) -> bool {
        match &self.lane {
            Lane::Inline { waiting, .. } => waiting.is_empty(),
            Lane::Threads { queue } => queue.is_empty(),
        }
    }

    /// Without threads: runs what waits, at most one per slot.
    pub fn run_waiting(&mut self) {
        let Lane::Inline { waiting, per_update, .. } = &mut self.lane else { return };
        let mut free = *per_update;
        while free > 0
            && let Some(run) = waiting.pop_front()
        {
            if run.stage.leave_queue(Stage::Running) {
                finish(&run, &self.results_in);
                free -= 1;
            }
        }
    }

    /// The next result, if there is one.
    pub fn next_result(&self) -> Option<RunResult> {
        self.results.try_recv().ok()
    }
}

/// Sends a result when it is dropped, so that no way out of a kernel can lose one.
struct ResultGuard<'a> {
    results: &'a Sender<RunResult>,
    run: &'a Run,
    started_at: Micros,
    result: Result<Vec<u8>, AttemptFailure>,
}

impl Drop for ResultGuard<'_> {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Err(AttemptFailure::KernelPanicked));
        // The other end is gone only when the app is, and then nobody waits for the result.
        let _ = self.results.send(RunResult {
            serial: self.run.serial,
            result,
            started_at: self.started_at,
            finished_at: self.run.clock.now(),
        });
    }
}

fn finish(run: &Run, results: &Sender<RunResult>) {
    let mut guard = ResultGuard {
        results,
        run,
        started_at: run.clock.now(),
        result: Err(AttemptFailure::KernelPanicked),
    };
    // Nothing is left broken behind a panic, because neither decoding, admission nor a kernel owns anything outside its
    // call: a blob's prepared form is set once, and only when it is complete.
    let outcome = guarded(|| {
        if !run.admitted {
            run.job.admit(&run.blobs).map_err(|_| AttemptFailure::BadSpec)?;
        }
        run.job.run(&run.blobs, &run.stop).map_err(|error| match error {
            // Nobody hears of it: an attempt is stopped after it was let go.
            KernelError::Stopped => AttemptFailure::Overloaded,
            _ => AttemptFailure::BadSpec,
        })
    });
    if let Ok(result) = outcome {
        // The link would not carry a larger one; the coordinator must not wait for it until the lease ends.
        guard.result = result.and_then(|outcome| {
            if outcome.len() <= OUTCOME_BYTES_MAX { Ok(outcome) } else { Err(AttemptFailure::BadSpec) }
        });
    }
}
