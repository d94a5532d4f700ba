//! The compute pool: runs the coordinator's own kernels and expensive checks off the app's thread.
//!
//! Plain threads with two bounded queues. Checks have priority over kernels: an answer that exists is worth more than
//! one still to be computed. Results wake the app.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased, unbounded};
use p2c2r_protocol::catch_panic::catch_panic;

use crate::config::ComputeMode;
use crate::core::work::{Check, Checked, Computed, KernelRun, left};
use crate::error::ServerError;
use crate::waking::LateWaker;

/// Checks that may wait for a thread. When the queue is full, the app judges the next check itself; that slows the
/// intake of answers and so applies back-pressure.
const CHECKS_WAITING_MAX: usize = 4_096;

/// A result of the pool.
pub enum PoolResult {
    /// A check.
    Check(Checked),
    /// A kernel.
    Kernel(Computed),
}

/// Runs a kernel. Its outcome is `None` if it panics or if its task ended while it waited.
fn run(kernel: KernelRun) -> Computed {
    let job = kernel.job.upgrade();
    let outcome =
        job.as_ref().and_then(|job| catch_panic(|| job.run(&kernel.blobs, &kernel.stop)).ok()?.ok());
    let left = job.zip(outcome.as_ref()).and_then(|(job, outcome)| left(&*job, &kernel.blobs, outcome));
    let outcome = outcome.map(Arc::from);
    Computed { task: kernel.task, outcome, left, took: Duration::ZERO }
}

/// Judges an outcome and measures the processor time that takes.
fn judge(check: Check) -> Checked {
    let (checked, took) = timed(|| check.judge());
    Checked { took, ..checked }
}

/// The result of `work`, and the processor time of this thread that it takes; time by the clock where the system does not
/// tell.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let (started, before) = (Instant::now(), processor_time());
    let result = work();
    let spent = before.zip(processor_time()).map(|(before, after)| after.saturating_sub(before));
    (result, spent.unwrap_or_else(|| started.elapsed()))
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

/// The pool.
pub struct Pool(Inner);

enum Inner {
    Inline { finished: VecDeque<PoolResult> },
    Threads { checks: Sender<Check>, kernels: Sender<KernelRun>, finished: Receiver<PoolResult> },
}

impl Pool {
    /// A pool as configured, whose results wake the app by `waker`. Its queue holds `kernels_waiting_max` kernels and one more
    /// for each thread, because checks may occupy every thread.
    pub fn new(
        compute: ComputeMode,
        kernels_waiting_max: usize,
        waker: &LateWaker,
    ) -> Result<Self, ServerError> {
        let ComputeMode::Threads(threads) = compute else {
            return Ok(Self(Inner::Inline { finished: VecDeque::new() }));
        };
        let (checks, checks_in) = bounded(CHECKS_WAITING_MAX);
        let (kernels, kernels_in) = bounded(kernels_waiting_max.saturating_add(threads));
        // Unbounded is safe: there are never more results than runs, and runs are bounded by the queues.
        let (finished_out, finished) = unbounded();
        for number in 0..threads {
            let (checks, kernels, finished) = (checks_in.clone(), kernels_in.clone(), finished_out.clone());
            let waker = waker.clone();
            std::thread::Builder::new()
                .name(format!("p2c2r-compute-{number}"))
                .spawn(move || work(&checks, &kernels, &finished, &waker))
                .map_err(ServerError::Threads)?;
        }
        Ok(Self(Inner::Threads { checks, kernels, finished }))
    }

    /// Queues a check, or runs it on this thread and returns the verdict if the queue is full. Its time is measured there
    /// as well, so that a full queue makes no deep check free.
    pub fn check(&mut self, check: Check) -> Option<Checked> {
        match &mut self.0 {
            Inner::Inline { .. } => Some(check.judge()),
            Inner::Threads { checks, .. } => match checks.try_send(check) {
                Ok(()) => None,
                Err(TrySendError::Full(check) | TrySendError::Disconnected(check)) => Some(judge(check)),
            },
        }
    }

    /// Queues a kernel run; returns it as the error if the queue is full.
    pub fn run(&mut self, kernel: KernelRun) -> Result<(), KernelRun> {
        match &mut self.0 {
            Inner::Inline { finished } => {
                finished.push_back(PoolResult::Kernel(run(kernel)));
                Ok(())
            }
            Inner::Threads { kernels, .. } => kernels.try_send(kernel).map_err(TrySendError::into_inner),
        }
    }

    /// Whether the inline pool holds results; it cannot wake the app for them.
    pub fn has_inline_results(&self) -> bool {
        matches!(&self.0, Inner::Inline { finished } if !finished.is_empty())
    }

    /// Whether there is a finished result.
    pub fn has_finished(&self) -> bool {
        match &self.0 {
            Inner::Inline { finished } => !finished.is_empty(),
            Inner::Threads { finished, .. } => !finished.is_empty(),
        }
    }

    /// The next finished result, if there is one.
    pub fn next_finished(&mut self) -> Option<PoolResult> {
        match &mut self.0 {
            Inner::Inline { finished } => finished.pop_front(),
            Inner::Threads { finished, .. } => finished.try_recv().ok(),
        }
    }
}

/// One thread: ends when the pool is dropped.
fn work(
    checks: &Receiver<Check>,
    kernels: &Receiver<KernelRun>,
    finished: &Sender<PoolResult>,
    waker: &LateWaker,
) {
    loop {
        let result = select_biased! {
            recv(checks) -> check => match check {
                Ok(check) => PoolResult::Check(judge(check)),
                Err(_) => return,
            },
            recv(kernels) -> kernel => match kernel {
                Ok(kernel) => {
                    let started = Instant::now();
                    let computed = run(kernel);
                    PoolResult::Kernel(Computed { took: started.elapsed(), ..computed })
                }
                Err(_) => return,
            },
        };
        if finished.send(result).is_err() {
            return;
        }
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use p2c2r_protocol::{Attempt, Device, Digest, KindId, Micros, PeerId, TaskNo, WorkUnits};
    use p2c2r_tasks::{Blobs, CheckError, KernelError, SpecError, Stop, StopOnDrop, TaskJob};

    use crate::core::receipts::WorkerTimes;
    use crate::core::work::{Cause, Depth};
    use crate::ledger::AccountId;

    use super::*;

    type KernelScript = Box<dyn Fn(&Stop) -> Result<Vec<u8>, KernelError> + Send + Sync>;
    type CheckScript = Box<dyn Fn() -> Result<(), CheckError> + Send + Sync>;

    /// A task whose kernel and check do what a test says.
    struct Scripted {
        kernel: KernelScript,
        check: CheckScript,
    }

    impl TaskJob for Scripted {
        fn blob_refs(&self) -> &[Digest] {
            &[]
        }
        fn admit(&self, _: &Blobs) -> Result<WorkUnits, SpecError> {
            Ok(WorkUnits(1))
        }
        fn run(&self, _: &Blobs, stop: &Stop) -> Result<Vec<u8>, KernelError> {
            (self.kernel)(stop)
        }
        fn check(&self, _: &Blobs, _: &[u8]) -> Result<(), CheckError> {
            (self.check)()
        }
        fn deep_check(&self, blobs: &Blobs, outcome: &[u8], _: u64) -> Result<(), CheckError> {
            self.check(blobs, outcome)
        }
    }

    fn scripted(
        kernel: impl Fn(&Stop) -> Result<Vec<u8>, KernelError> + Send + Sync + 'static,
        check: impl Fn() -> Result<(), CheckError> + Send + Sync + 'static,
    ) -> Arc<dyn TaskJob> {
        Arc::new(Scripted { kernel: Box::new(kernel), check: Box::new(check) })
    }

    fn wait_for(stop: &Stop) {
        while !stop.is_stopped() {
            std::thread::yield_now();
        }
    }

    fn kernel(job: &Arc<dyn TaskJob>) -> KernelRun {
        KernelRun { task: TaskNo(1), job: Arc::downgrade(job), blobs: Blobs::default(), stop: Stop::new() }
    }

    #[test]
    fn the_kernel_of_a_task_that_has_ended_does_not_run() {
        let started = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&started);
        let count = move |_: &Stop| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Vec::new())
        };
        let job = scripted(count, || Ok(()));
        run(kernel(&job));
        let waiting = kernel(&job);
        drop(job);
        assert!(run(waiting).outcome.is_none());
        assert_eq!(started.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_kernel_of_a_task_that_ends_is_stopped_and_its_thread_free() {
        let mut pool = Pool::new(ComputeMode::Threads(1), 4, &LateWaker::default()).unwrap();
        let until_stopped = |stop: &Stop| {
            wait_for(stop);
            Err(KernelError::Stopped)
        };
        let job = scripted(until_stopped, || Ok(()));
        for no in 1..=3 {
            let kernel = KernelRun { task: TaskNo(no), ..kernel(&job) };
            let task = StopOnDrop(kernel.stop.clone());
            pool.run(kernel).ok().unwrap();
            drop(task);
            let finished = std::iter::repeat_with(|| pool.next_finished()).flatten().next();
            let Some(PoolResult::Kernel(computed)) = finished else { panic!("a kernel was run") };
            assert_eq!((computed.task, computed.outcome), (TaskNo(no), None));
        }
    }

    fn check(job: Arc<dyn TaskJob>) -> Check {
        Check {
            cause: Cause::Answer,
            in_books: TaskNo(1),
            task: TaskNo(1),
            attempt: Attempt(1),
            heard_at: Micros(1),
            worker: PeerId(1),
            account: AccountId(1),
            device: Device::Cores,
            times: WorkerTimes::default(),
            kind: KindId(1),
            job,
            blobs: Blobs::default(),
            units: WorkUnits(1),
            outcome: Arc::from([]),
            depth: Depth::Always,
            reserved: Duration::ZERO,
        }
    }

    /// Other programs' work on a busy machine must not use up the budget of checks: here the thread gets no processor.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_check_is_measured_by_the_processor_time_it_takes() {
        let starved = scripted(
            |_| Ok(Vec::new()),
            || {
                std::thread::sleep(Duration::from_millis(200));
                Ok(())
            },
        );
        let checked = judge(check(starved));
        assert!(checked.took < Duration::from_millis(100), "{:?}", checked.took);
    }

    /// The core may have as many kernels running as there are threads, and counts those that no thread has taken yet.
    #[test]
    fn kernels_wait_while_all_threads_are_busy_with_checks() {
        let mut pool = Pool::new(ComputeMode::Threads(2), 1, &LateWaker::default()).unwrap();
        let let_go = Stop::new();
        let held = let_go.clone();
        let check_until_let_go = move || {
            wait_for(&held);
            Ok(())
        };
        let job = scripted(|_| Ok(Vec::new()), check_until_let_go);
        for _ in 0..2 {
            assert!(pool.check(check(Arc::clone(&job))).is_none());
        }
        for _ in 0..3 {
            assert!(pool.run(kernel(&job)).is_ok(), "two for the threads and one that waits");
        }
        let_go.stop();
        let finished = std::iter::repeat_with(|| pool.next_finished()).flatten().take(5);
        let kernels =
            finished.filter(|done| matches!(done, PoolResult::Kernel(done) if done.outcome.is_some()));
        assert_eq!(kernels.count(), 3);
    }

    #[test]
    fn a_check_for_which_the_queue_has_no_place_is_measured_on_this_thread() {
        let mut pool = Pool::new(ComputeMode::Threads(1), 1, &LateWaker::default()).unwrap();
        let (has_begun, let_go) = (Arc::new(AtomicUsize::new(0)), Stop::new());
        let (begun, held) = (Arc::clone(&has_begun), let_go.clone());
        let held = scripted(
            |_| Ok(Vec::new()),
            move || {
                begun.fetch_add(1, Ordering::Relaxed);
                wait_for(&held);
                Ok(())
            },
        );
        assert!(pool.check(check(held)).is_none());
        while has_begun.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        let takes_time = || {
            let began = Instant::now();
            while began.elapsed().is_zero() {}
            Ok(())
        };
        let job = scripted(|_| Ok(Vec::new()), takes_time);
        for _ in 0..CHECKS_WAITING_MAX {
            assert!(pool.check(check(Arc::clone(&job))).is_none());
        }
        let checked = pool.check(check(job)).expect("there is no place left");
        assert!(checked.verdict.is_ok() && !checked.took.is_zero());
        let_go.stop();
    }

    #[test]
    fn panics_are_a_rejected_verdict_and_a_missing_outcome() {
        let panicking = || scripted(|_| panic!("kernel"), || panic!("check"));
        assert_eq!(check(panicking()).judge().verdict.unwrap_err().check, "panic");
        for compute in [ComputeMode::Inline, ComputeMode::Threads(1)] {
            let mut pool = Pool::new(compute, 4, &LateWaker::default()).unwrap();
            let job = panicking();
            pool.run(kernel(&job)).ok().unwrap();
            let finished = loop {
                if let Some(finished) = pool.next_finished() {
                    break finished;
                }
                std::thread::yield_now();
            };
            assert!(matches!(finished, PoolResult::Kernel(Computed { outcome: None, .. })));
        }
    }
}
