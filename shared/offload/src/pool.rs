//! Local compute: kernels on a few threads, nearest deadline first, never on the app's thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::{Micros, TaskId, WorkUnits};
use p2c2r_tasks::{KernelError, Stop};

use crate::config::LocalCompute;
use crate::outcome::FailReason;
use crate::work::{AnyOutcome, AnyWork};

/// More threads than this would slow the game down more than they help.
const THREADS_MAX: usize = 8;

/// Niceness of the compute threads: the lowest priority there is, because a frame must never wait for a
/// kernel. Their kernels yield as well ([`Stop::yielding`]).
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;

/// A task to compute.
pub(crate) struct ComputeJob {
    pub task: TaskId,
    pub kind: usize,
    pub units: WorkUnits,
    pub work: Arc<dyn AnyWork>,
    /// Estimated compute time.
    pub expected: Duration,
    pub pushed_at: Micros,
}

/// A computed task.
pub(crate) struct ComputedTask {
    pub task: TaskId,
    pub kind: usize,
    pub units: WorkUnits,
    pub result: Result<AnyOutcome, FailReason>,
    /// Elapsed time, which deadlines have to allow for.
    pub took: Duration,
    /// Processor time, which leaves out what other programs take of a busy computer; elapsed time on a system that does
    /// not report it.
    pub spent: Duration,
}

/// Order of the queue: by deadline, patient tasks last, then as asked.
pub(crate) type Turn = (Micros, TaskId);

#[derive(Default)]
struct Queue {
    jobs: BTreeMap<Turn, ComputeJob>,
    /// The stop flags of running kernels.
    running: HashMap<TaskId, Stop>,
    /// Estimated time of all waiting and running jobs.
    expected: Duration,
    closed: bool,
}

impl Queue {
    fn push(&mut self, turn: Turn, job: ComputeJob) {
        self.expected += job.expected;
        self.jobs.insert(turn, job);
    }

    fn remove(&mut self, turn: Turn) -> Option<ComputeJob> {
        let job = self.jobs.remove(&turn)?;
        self.done(job.expected);
        Some(job)
    }

    fn done(&mut self, expected: Duration) {
        self.expected = self.expected.saturating_sub(expected);
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Kernels run outside the lock, so the queue behind a poisoned lock is still consistent.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads and their queue.
pub(crate) struct LocalPool {
    shared: Arc<Shared>,
    finished: Receiver<ComputedTask>,
    threads: usize,
    simulated: Option<Simulated>,
}

/// Compute that only simulates taking time.
struct Simulated {
    takes: Duration,
    free_at: Micros,
}

impl LocalPool {
    /// Starts the threads.
    ///
    /// # Panics
    /// If the system refuses a thread; this happens at start-up or not at all.
    pub fn new(compute: LocalCompute) -> Self {
        let shared = Arc::new(Shared::default());
        let (sender, finished) = unbounded();
        let threads = match compute {
            LocalCompute::Auto => {
                let cores = thread::available_parallelism().map_or(1, usize::from);
                cores.saturating_sub(1).clamp(1, THREADS_MAX)
            }
            LocalCompute::Threads(threads) => threads.get(),
            LocalCompute::Simulated { takes } => {
                let simulated = Some(Simulated { takes, free_at: Micros(0) });
                return Self { shared, finished, threads: 1, simulated };
            }
        };
        for number in 1..=threads {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            thread::Builder::new()
                .name(format!("offload-{number}"))
                .spawn(move || work_off(&shared, &sender))
                .expect("the system refuses a thread for local compute");
        }
        Self { shared, finished, threads, simulated: None }
    }

    /// Queues a job.
    pub fn push(&self, turn: Turn, job: ComputeJob) {
        self.shared.lock().push(turn, job);
        self.shared.wake.notify_one();
    }

    /// Removes a job; true if it had not begun. One that has begun runs on, and its outcome still comes.
    pub fn cancel(&self, turn: Turn) -> bool {
        self.shared.lock().remove(turn).is_some()
    }

    /// Stops a kernel whose outcome is no longer wanted. Its job still finishes, soon.
    pub fn stop(&self, task: TaskId) {
        if let Some(stop) = self.shared.lock().running.get(&task) {
            stop.stop();
        }
    }

    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// How many jobs are computed at the same time.
    pub fn threads(&self) -> u32 {
        self.threads as u32
    }

    /// Estimated time that a job pushed now would wait.
    pub fn backlog(&self) -> Duration {
        self.shared.lock().expected / self.threads as u32
    }

    /// Takes the tasks computed since the last call.
    pub fn poll(&mut self, now: Micros) -> Vec<ComputedTask> {
        match &mut self.simulated {
            Some(simulated) => simulated.poll(&mut self.shared.lock(), now),
            None => self.finished.try_iter().collect(),
        }
    }
}

impl Drop for LocalPool {
    /// Threads end as soon as their kernel notices the stop; the drop does not wait for them, so that
    /// quitting is immediate.
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.running.values().for_each(Stop::stop);
        drop(queue);
        self.shared.wake.notify_all();
    }
}

impl Simulated {
    fn poll(&mut self, queue: &mut Queue, now: Micros) -> Vec<ComputedTask> {
        let mut finished = Vec::new();
        while let Some((turn, job)) = queue.jobs.first_key_value() {
            let started = self.free_at.max(job.pushed_at);
            let due = Micros(started.0 + Micros::from(self.takes).0);
            if due > now {
                break;
            }
            let turn = *turn;
            let Some(job) = queue.remove(turn) else { break };
            self.free_at = due;
            finished.push(ComputedTask {
                took: self.takes,
                spent: self.takes,
                ..compute(job, &Stop::never())
            });
        }
        finished
    }
}

/// Lowers the calling thread's priority below the game's own threads. Only where niceness is per thread:
/// elsewhere it would lower the whole program.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LOWEST_PRIORITY) {
        tracing::debug!(%error, "local compute keeps the game's priority");
    }
}

fn work_off(shared: &Shared, finished: &Sender<ComputedTask>) {
    lower_priority();
    loop {
        let (job, stop) = {
            let mut queue = shared.lock();
            loop {
                if queue.closed {
                    return;
                }
                match queue.jobs.pop_first() {
                    Some((_, job)) => {
                        let stop = Stop::yielding();
                        queue.running.insert(job.task, stop.clone());
                        break (job, stop);
                    }
                    None => queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
                }
            }
        };
        let expected = job.expected;
        let computed = compute(job, &stop);
        let mut queue = shared.lock();
        queue.done(expected);
        queue.running.remove(&computed.task);
        drop(queue);
        if finished.send(computed).is_err() {
            return;
        }
    }
}

/// Runs the kernel; a panic in it fails the task and nothing else.
fn compute(job: ComputeJob, stop: &Stop) -> ComputedTask {
    let (started, used) = (Instant::now(), processor_time());
    let result = match catch_panic(|| job.work.run(stop)) {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(KernelError::OutOfFuel)) => Err(FailReason::OutOfFuel),
        Ok(Err(error)) => Err(FailReason::Kernel(error.to_string())),
        Err(panicked) => Err(FailReason::Kernel(format!("it panicked: {}", panicked.message))),
    };
    let took = started.elapsed();
    let spent = used.zip(processor_time()).map_or(took, |(before, after)| after.saturating_sub(before));
    ComputedTask { task: job.task, kind: job.kind, units: job.units, result, took, spent }
}

/// Processor time of the calling thread so far, where the system tells.
fn processor_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let told = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Some(Duration::new(u64::try_from(told.tv_sec).ok()?, u32::try_from(told.tv_nsec).ok()?))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use p2c2r_protocol::Digest;
    use p2c2r_tasks::{Blobs, KernelError, SpecError};

    use super::*;

    /// A kernel that gets no processor for a while, as happens to the lowest priority on a busy computer.
    struct Starved;

    impl AnyWork for Starved {
        fn admit(&self) -> Result<WorkUnits, SpecError> {
            Ok(WorkUnits(1))
        }
        fn run(&self, _: &Stop) -> Result<AnyOutcome, KernelError> {
            thread::sleep(Duration::from_millis(200));
            Ok(Arc::new(()))
        }
        fn encode(&self) -> Vec<u8> {
            Vec::new()
        }
        fn blob_refs(&self) -> Vec<Digest> {
            Vec::new()
        }
        fn blobs(&self) -> &Blobs {
            unreachable!("it is computed here")
        }
    }

    #[test]
    fn what_a_kernel_waits_for_the_processor_is_not_processor_time() {
        let job = ComputeJob {
            task: TaskId(1),
            kind: 0,
            units: WorkUnits(1),
            work: Arc::new(Starved),
            expected: Duration::ZERO,
            pushed_at: Micros(0),
        };
        let ComputedTask { took, spent, .. } = compute(job, &Stop::never());
        assert!(took >= Duration::from_millis(200), "{took:?}");
        assert!(spent < took / 2, "{spent:?} of {took:?}");
    }
}
