//! Runs kernels in kernel processes ([`crate::kernels`]) or in this one, and gives exactly one result for each run that
//! began: never more at a time than the slots that may compute and, while all may, tiny ones beside them.
//!
//! Three things must hold whatever a kernel does. A panic, or the end of a kernel process, ends only that attempt: the
//! slot's thread goes on. An attempt that was taken back while queued is never begun: the first to move it out of
//! [`Stage::Queued`] decides. And the count of running attempts cannot drift, because a guard sends the result when it
//! is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bevy_ecs::resource::Resource;
use crossbeam_channel::{Receiver, Sender};
use p2c2r_link::Waker;
use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{AttemptFailure, KernelOffer, KindId, Micros, Payload};
use p2c2r_tasks::{Blob, Blobs, KernelError, KernelUse, KindRegistry, TaskJob};

use crate::attempts::AttemptKey;
use crate::cancel::Cancel;
use crate::config::{Execution, WorkerConfig};
use crate::error::WorkerError;
use crate::share::Share;

mod permits;
#[cfg(target_os = "linux")]
mod processes;

use permits::{RunPermits, RunQueue};
#[cfg(target_os = "linux")]
use processes::Processes;

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
    /// In the kernel, which polls whether its answer is still needed.
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
    /// The attempt.
    pub key: AttemptKey,
    /// Unique among this program's runs.
    pub serial: u64,
    /// What sort of work.
    pub kind: KindId,
    /// The encoded spec.
    pub spec: Payload,
    /// The decoded spec.
    pub job: Arc<dyn TaskJob>,
    /// Its blobs.
    pub blobs: Blobs,
    /// Whether admission has been passed already.
    pub admitted: bool,
    /// Its stage.
    pub stage: SharedStage,
    /// Stops the kernel early when its answer is not needed.
    pub cancel: Cancel,
    /// When its lease ends, which is the time-out of the run.
    pub over_at: Instant,
    /// The app's clock.
    pub clock: ClockAnchor,
    /// Wakes the app when the result is there.
    pub waker: Waker,
}

impl Run {
    /// How long it may still take.
    pub fn time_left(&self) -> Duration {
        self.over_at.saturating_duration_since(Instant::now())
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct RunResult {
    /// The attempt.
    pub key: AttemptKey,
    /// Which run.
    pub serial: u64,
    /// The encoded outcome, or why there is none.
    pub result: Result<Payload, AttemptFailure>,
    /// The blob that the outcome leaves for later specs to refer to.
    pub left: Option<Arc<Blob>>,
    /// When the kernel started, on the app's clock.
    pub started_at: Micros,
    /// When it ended.
    pub finished_at: Micros,
}

/// The runs that wait and the threads that take them.
#[derive(Resource)]
pub struct Executor {
    lane: Lane,
    permits: Arc<RunPermits>,
    results: Receiver<RunResult>,
    results_in: Sender<RunResult>,
}

enum Lane {
    Inline {
        waiting: VecDeque<Run>,
        per_update: usize,
        waiting_max: usize,
    },
    Threads {
        queue: RunQueue,
        share: Share,
    },
    #[cfg(target_os = "linux")]
    Processes(Box<Processes>),
}

impl Executor {
    /// An executor with one thread per slot, and a process for each where the configuration says so; or with neither.
    pub fn new(config: &WorkerConfig) -> Result<Self, WorkerError> {
        let (results_in, results) = crossbeam_channel::unbounded();
        let permits = RunPermits::new(config.slots);
        let lane = match &config.execution {
            Execution::Inline => Lane::Inline {
                waiting: VecDeque::new(),
                per_update: usize::from(config.slots),
                waiting_max: config.held_max(),
            },
            Execution::Threads => {
                let (queue, runs) = crossbeam_channel::bounded::<Run>(config.held_max());
                for slot in 1..=config.slots {
                    let (runs, results_in, share) = (runs.clone(), results_in.clone(), config.cpu_share);
                    let permits = permits.clone();
                    on_slot(slot, move || {
                        // Ends when the executor, and with it the queue's other end, is gone.
                        for run in runs {
                            let _permit = permits.take_for_queued();
                            if run.stage.leave_queue(Stage::Running) {
                                let began = Instant::now();
                                finish(&run, &results_in);
                                run.waker.wake();
                                if share.is_limited() {
                                    thread::sleep(share.rest_after(began.elapsed()));
                                }
                            }
                        }
                    })?;
                }
                Lane::Threads { queue: RunQueue::new(queue, permits.clone()), share: config.cpu_share }
            }
            #[cfg(target_os = "linux")]
            Execution::Processes(sandbox) => {
                Lane::Processes(Box::new(Processes::start(sandbox, config, &permits, &results_in)?))
            }
            #[cfg(not(target_os = "linux"))]
            Execution::Processes(_) => {
                let reason = "this program knows no way to on this operating system".to_owned();
                return Err(crate::error::KernelsError::Unsupported(reason).into());
            }
        };
        Ok(Self { lane, permits, results, results_in })
    }

    /// Sets how many slots may begin runs from now on. Running ones are finished.
    pub fn compute_on(&self, slots: u16) {
        self.permits.set(slots);
    }

    /// Queues a run; false if the queue is full, where runs that were taken back count until a slot skips them.
    pub fn queue(&mut self, run: Run) -> bool {
        let queue = match &mut self.lane {
            Lane::Inline { waiting, waiting_max, .. } => {
                waiting.retain(|run| run.stage.0.load(Ordering::Acquire) == Stage::Queued as u8);
                let fits = waiting.len() < *waiting_max;
                if fits {
                    waiting.push_back(run);
                }
                return fits;
            }
            Lane::Threads { queue, .. } => queue,
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => processes.queue(),
        };
        queue.send(run).is_none()
    }

    /// Runs a tiny task ahead of waiting ones: at once on this thread, or with the next [`Executor::run_waiting`] in
    /// the process of tiny tasks. To be called only if [`Executor::takes_tiny`] is true; if a slot took the last permit
    /// since then, the run is queued.
    pub fn run_tiny(&mut self, run: Run) {
        match &mut self.lane {
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => processes.run_tiny(run, &self.results_in),
            Lane::Threads { queue, .. } => match queue.permits().take_free() {
                Some(_permit) if run.stage.leave_queue(Stage::Running) => finish(&run, &self.results_in),
                Some(_) => {}
                None => queue_or_refuse(queue, run, &self.results_in),
            },
            Lane::Inline { .. } => {
                if run.stage.leave_queue(Stage::Running) {
                    finish(&run, &self.results_in);
                }
            }
        }
    }

    /// Whether there are threads. Only then may a tiny task run ahead of those that wait for one.
    pub fn has_threads(&self) -> bool {
        !matches!(self.lane, Lane::Inline { .. })
    }

    /// Whether a tiny task may be run at once: no run waits for a slot, one more may be computed, and its blobs and
    /// kernel are ready.
    pub fn takes_tiny(&mut self, run: &Run) -> bool {
        match &mut self.lane {
            Lane::Inline { .. } => false,
            // Only slots rest after a run, so under a limited share they do all of them.
            Lane::Threads { share, .. } if share.is_limited() => false,
            Lane::Threads { queue, .. } => {
                queue.permits().is_one_free() && run.job.is_prepared(&run.blobs) && !run.job.waits()
            }
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => processes.takes_tiny(),
        }
    }

    /// What computes, as the helper reads it; `None` if the configuration has the line.
    pub fn computes_on(&self) -> Option<&str> {
        match &self.lane {
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => Some(processes.computes_on()),
            Lane::Inline { .. } | Lane::Threads { .. } => None,
        }
    }

    /// What the kernel processes tried to do and could not; `None` where kernels run in this process.
    pub fn denied(&self) -> Option<Denied> {
        match &self.lane {
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => Some(processes.denied()),
            Lane::Inline { .. } | Lane::Threads { .. } => None,
        }
    }

    /// The offers for these kinds now, which name a graphics processor only as long as it computes.
    pub fn offers(&self, kinds: &KindRegistry) -> Vec<KernelOffer> {
        let device = |offer: &KernelOffer| match &self.lane {
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => processes.device(offer.kind).unwrap_or(offer.device),
            Lane::Inline { .. } | Lane::Threads { .. } => offer.device,
        };
        kinds.offers().into_iter().map(|offer| KernelOffer { device: device(&offer), ..offer }).collect()
    }

    /// How many runs of this kind the process of the graphics processor has computed and failed, if there is one.
    pub fn device_use(&self, kind: KindId) -> Option<KernelUse> {
        match &self.lane {
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => processes.device_use(kind),
            Lane::Inline { .. } | Lane::Threads { .. } => {
                let _ = kind;
                None
            }
        }
    }

    /// The share of the graphics processor's time that may be used, and the per cent of the last minute that was;
    /// `None` where kernels run in this process.
    pub fn gpu_share(&self) -> Option<(Share, f64)> {
        match &self.lane {
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => processes.gpu_share(),
            Lane::Inline { .. } | Lane::Threads { .. } => None,
        }
    }

    /// Runs what waits for this thread: without threads at most one run per slot; with processes the tiny tasks, for whose
    /// answers this thread waits two milliseconds at most.
    pub fn run_waiting(&mut self) {
        let (waiting, mut free) = match &mut self.lane {
            Lane::Inline { waiting, per_update, .. } => (waiting, *per_update),
            Lane::Threads { .. } => return,
            #[cfg(target_os = "linux")]
            Lane::Processes(processes) => return processes.run_waiting(&self.results_in),
        };
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

/// What every kernel process tried to do and could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// How many processes there are.
    pub processes: usize,
    /// What each tried, in words that follow "tried to".
    pub tried: Vec<String>,
}

/// Starts a slot's thread.
fn on_slot(slot: u16, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, WorkerError> {
    let spawned = thread::Builder::new().name(format!("slot-{slot}")).spawn(work);
    spawned.map_err(|source| WorkerError::Thread { slot, source })
}

/// Queues a run that could not begin at once; answers it as overloaded if the queue is full.
fn queue_or_refuse(queue: &RunQueue, run: Run, results: &Sender<RunResult>) {
    if let Some(run) = queue.send(run) {
        let (started_at, result) = (run.clock.now(), Err(AttemptFailure::Overloaded));
        drop(ResultGuard { results, run: &run, started_at, result });
    }
}

/// Sends a result when it is dropped, so that no way out of a kernel can lose one.
struct ResultGuard<'a> {
    results: &'a Sender<RunResult>,
    run: &'a Run,
    started_at: Micros,
    result: Result<Payload, AttemptFailure>,
}

impl Drop for ResultGuard<'_> {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Err(AttemptFailure::KernelPanicked));
        let finished_at = self.run.clock.now();
        let left = left(self.run, &result);
        // The receiver is gone only when the app is, and then nobody needs the result.
        let _ = self.results.send(RunResult {
            key: self.run.key,
            serial: self.run.serial,
            result,
            left,
            started_at: self.started_at,
            finished_at,
        });
    }
}

/// The blob that an outcome leaves for a later spec to refer to: see
/// [`TaskKind::leaves`](p2c2r_tasks::TaskKind::leaves). The coordinator assumes that it is kept here, and sends it if
/// it is missing.
fn left(run: &Run, result: &Result<Payload, AttemptFailure>) -> Option<Arc<Blob>> {
    let outcome = result.as_ref().ok()?;
    catch_panic(|| run.job.leaves(&run.blobs, outcome)).ok().flatten().map(Blob::new)
}

fn finish(run: &Run, results: &Sender<RunResult>) {
    let mut guard = ResultGuard {
        results,
        run,
        started_at: run.clock.now(),
        result: Err(AttemptFailure::KernelPanicked),
    };
    // Unwind-safe: neither decoding, admission nor a kernel owns anything outside its call, and a blob's prepared form
    // is set once, only when complete.
    let outcome = catch_panic(|| {
        if !run.admitted {
            run.job.admit(&run.blobs).map_err(|_| AttemptFailure::BadSpec)?;
        }
        run.job.run(&run.blobs, run.cancel.stop()).map_err(|error| match error {
            // Never sent: only dropped attempts are stopped.
            KernelError::Stopped => AttemptFailure::Overloaded,
            _ => AttemptFailure::BadSpec,
        })
    });
    if let Ok(result) = outcome {
        // The link carries no larger outcome. A failure that is sent now saves the coordinator from waiting until the
        // lease ends.
        guard.result = result.and_then(|outcome| {
            if outcome.len() <= OUTCOME_BYTES_MAX { Ok(outcome.into()) } else { Err(AttemptFailure::BadSpec) }
        });
    }
}
