//! Runs in kernel processes: a slot's thread hands each to its own process, the app's thread tiny ones to the process of
//! tiny tasks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use p2c2r_protocol::{AttemptFailure, Device, KindId, Micros, Payload};
use p2c2r_tasks::KernelUse;
use p2c2r_tasks::gpu::GpuChoice;

use super::permits::{RunPermit, RunPermits, RunQueue};
use super::{Denied, ResultGuard, Run, RunResult, Stage, left, on_slot, queue_or_refuse};
use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::gpu;
use crate::kernels::Sandbox;
use crate::kernels::graphics::{Graphics, Search, Searching};
use crate::kernels::station::{Begun, StartingStation, Station};
use crate::kernels::{EACH_BYTES, LOOKED_FOR_MAX, TOGETHER_BYTES_MAX, Wait};
use crate::share::Share;

/// Longest wait of the app's thread for tiny tasks. Afterwards another thread waits instead, and until it has the answers
/// tiny tasks go to the slots one by one, which costs several wake-ups for each. So it is longer than their process
/// usually waits for a processor while other programs compute. A revocation that arrives meanwhile is late by as much.
const TINY_WAIT: Duration = Duration::from_millis(2);
/// How much of that the app's thread busy-polls when few tasks were sent, before it sleeps: several times what the
/// largest takes, a wake-up included.
const TINY_LOOK: Duration = Duration::from_micros(300);

/// The queue of the slots, and the process of tiny tasks.
pub(super) struct Processes {
    queue: RunQueue,
    tiny: SharedStation,
    tiny_away: Sender<Away>,
    graphics: Option<Arc<Graphics>>,
    computes_on: String,
    denied: Denied,
    /// Tiny tasks that will be sent in one frame, and how much of [`TOGETHER_BYTES_MAX`] they take.
    waiting: Vec<Run>,
    waiting_bytes: usize,
    /// Their permit to be computed.
    permit: Option<RunPermit>,
    /// The threads of the slots, and the one of tiny tasks.
    threads: Vec<JoinHandle<()>>,
}

/// Longest wait at shutdown for slots to reap their processes; the system reaps any that still compute.
const END_MAX: Duration = Duration::from_millis(200);

impl Drop for Processes {
    fn drop(&mut self) {
        // Closing the queues ends the threads.
        self.queue = RunQueue::new(crossbeam_channel::bounded(0).0, self.queue.permits().clone());
        self.tiny_away = crossbeam_channel::bounded(0).0;
        self.graphics = None;
        drop(self.tiny.take());
        let give_up = Instant::now() + END_MAX;
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The station of tiny tasks, shared by the app's thread and that of `slot-tiny`.
#[derive(Clone)]
struct SharedStation {
    tiny: Arc<Mutex<TinyStation>>,
    share: Share,
}

struct TinyStation {
    /// Empty while one of the threads uses it.
    station: Option<Station>,
    /// When its process has rested enough.
    free_at: Instant,
}

impl SharedStation {
    fn new(station: Option<Station>, share: Share) -> Self {
        Self { tiny: Arc::new(Mutex::new(TinyStation { station, free_at: Instant::now() })), share }
    }

    fn locked(&self) -> MutexGuard<'_, TinyStation> {
        // Ignores poisoning: no code panics while this lock is held.
        self.tiny.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Station> {
        self.locked().station.take()
    }

    fn put(&self, station: Station) {
        self.locked().station = Some(station);
    }

    /// Puts it back after it has computed since `began`, and has its process rest for that.
    fn put_to_rest(&self, station: Station, began: Instant) {
        let mut tiny = self.locked();
        if self.share.is_limited() {
            tiny.free_at = Instant::now() + self.share.rest_after(began.elapsed());
        }
        tiny.station = Some(station);
    }

    /// Whether it is idle and its process has rested enough.
    fn is_ready(&self) -> bool {
        let tiny = self.locked();
        tiny.station.is_some() && (!self.share.is_limited() || Instant::now() >= tiny.free_at)
    }
}

/// Tiny tasks for which the app's thread does not wait, with the station that computes them; no tasks if only its dead
/// process must be restarted.
struct Away {
    station: Station,
    left: VecDeque<(Run, Option<Begun>)>,
    /// How many runs were in the frame of those that were begun, answered ones included.
    together: usize,
    /// When they were sent.
    began: Instant,
    /// Their permit to be computed.
    permit: Option<RunPermit>,
}

/// Pause before the station of tiny tasks is looked for again, if its process died while the app's thread had it.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Processes {
    /// Starts all processes and waits until they have shown that they are restricted.
    pub fn start(
        sandbox: &Sandbox,
        config: &WorkerConfig,
        permits: &Arc<RunPermits>,
        results_in: &Sender<RunResult>,
    ) -> Result<Self, WorkerError> {
        let (sandbox, identity) = (Arc::new(sandbox.clone()), Arc::from(config.kinds.identity().text));
        let searching = match sandbox.gpu {
            GpuChoice::Off => None,
            _ => Some(Searching::new(&sandbox, &identity)?),
        };
        let opening = (0..=config.slots)
            .map(|_| StartingStation::new(&sandbox, &identity))
            .collect::<Result<Vec<_>, _>>()?;
        let mut denied = Denied { processes: opening.len(), tried: Vec::new() };
        let mut stations = Vec::with_capacity(opening.len());
        for opening in opening {
            let (station, tried) = opening.open()?;
            denied.tried = tried;
            stations.push(station);
        }
        let (graphics, computes_on) = match searching.map(Searching::finish).transpose()? {
            Some(Search::Found(graphics, description)) => (Some(graphics), gpu::on_device(&description)),
            Some(Search::None(reason)) => (None, gpu::cpu_only(&reason)),
            None => (None, gpu::cpu_only("a graphics processor is not wanted")),
        };
        denied.processes += usize::from(graphics.is_some());
        let tiny = SharedStation::new(stations.pop(), config.cpu_share);
        let (queue, runs) = crossbeam_channel::bounded::<Run>(config.held_max());
        let mut threads = Vec::new();
        for (station, slot) in stations.into_iter().zip(1..) {
            let (runs, results_in, graphics) = (runs.clone(), results_in.clone(), graphics.clone());
            let (share, permits) = (config.cpu_share, permits.clone());
            threads.push(on_slot(slot, move || {
                run_all(station, runs, graphics.as_ref(), &results_in, (&permits, share));
            })?);
        }
        let (tiny_away, away) = crossbeam_channel::bounded(1);
        let (shared, results_in) = (tiny.clone(), results_in.clone());
        let care = move || care_for_tiny(&away, &shared, &results_in);
        let spawned = thread::Builder::new().name("slot-tiny".into()).spawn(care);
        threads.push(spawned.map_err(|source| WorkerError::Thread { slot: config.slots, source })?);
        let queue = RunQueue::new(queue, permits.clone());
        let (waiting, waiting_bytes, permit) = (Vec::new(), 0, None);
        Ok(Self {
            queue,
            tiny,
            tiny_away,
            graphics,
            computes_on,
            denied,
            waiting,
            waiting_bytes,
            permit,
            threads,
        })
    }

    /// Where runs wait for a slot.
    pub fn queue(&self) -> &RunQueue {
        &self.queue
    }

    /// What computes, as the helper reads it.
    pub fn computes_on(&self) -> &str {
        &self.computes_on
    }

    /// What the processes could not do.
    pub fn denied(&self) -> Denied {
        self.denied.clone()
    }

    /// What the graphics processor's work on this kind counts as, if it does any.
    pub fn device(&self, kind: KindId) -> Option<Device> {
        self.graphics.as_ref()?.device(kind)
    }

    /// How many runs of this kind the graphics processor has computed and failed.
    pub fn device_use(&self, kind: KindId) -> Option<KernelUse> {
        self.graphics.as_ref()?.used_for(kind)
    }

    /// The share of the graphics processor's time that may be used, and the per cent of the last minute that was.
    pub fn gpu_share(&self) -> Option<(Share, f64)> {
        self.graphics.as_ref().map(|graphics| graphics.share())
    }

    /// Whether the process of tiny tasks is idle and has rested enough, no run waits for a slot, and one more may be
    /// computed.
    pub fn takes_tiny(&self) -> bool {
        let permits = self.queue.permits();
        let may_begin = permits.is_one_free() || (self.permit.is_some() && !permits.are_awaited());
        may_begin && self.tiny.is_ready()
    }

    /// Keeps a tiny task for [`Processes::run_waiting`].
    pub fn run_tiny(&mut self, run: Run, results: &Sender<RunResult>) {
        let bytes = run.spec.len() + EACH_BYTES;
        if self.waiting_bytes + bytes > TOGETHER_BYTES_MAX {
            self.run_waiting(results);
        }
        if self.permit.is_none() {
            self.permit = self.queue.permits().take_free();
        }
        if self.permit.is_none() {
            return queue_or_refuse(&self.queue, run, results);
        }
        self.waiting_bytes += bytes;
        self.waiting.push(run);
    }

    /// Runs the waiting tiny tasks in their process, or queues them if that is being restarted. They are sent in one
    /// frame, because a round trip takes longer than a tiny task.
    pub fn run_waiting(&mut self, results: &Sender<RunResult>) {
        self.waiting_bytes = 0;
        if self.waiting.is_empty() {
            return;
        }
        let (runs, permit) = (std::mem::take(&mut self.waiting), self.permit.take());
        let Some(station) = self.tiny.take() else {
            return runs.into_iter().for_each(|run| queue_or_refuse(&self.queue, run, results));
        };
        let wanted = runs.into_iter().filter(|run| run.stage.leave_queue(Stage::Running)).collect();
        let away = run_together(station, wanted, results);
        if away.left.is_empty() && away.station.is_alive() {
            self.tiny.put_to_rest(away.station, away.began);
        } else {
            // The other thread ends with this sender only.
            let _ = self.tiny_away.send(Away { permit, ..away });
        }
    }
}

/// Runs tiny tasks in their process, and waits at most [`TINY_WAIT`] for them. Those that take longer are left over.
fn run_together(mut station: Station, runs: Vec<Run>, results: &Sender<RunResult>) -> Away {
    let began = Instant::now();
    // A run that needs blobs sent, or a new process, takes milliseconds.
    let (quick, slow): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| station.knows(&run.blobs));
    let Some(started_at) = quick.first().map(|run| run.clock.now()) else {
        let left = slow.into_iter().map(|run| (run, None)).collect();
        return Away { station, left, together: 0, began, permit: None };
    };
    let begun = station.begin_together(quick.iter());
    let (together, mut begun) = (quick.len(), begun.into_iter().flatten());
    let mut left: VecDeque<_> = quick.into_iter().map(|run| (run, begun.next())).collect();
    let mut answered = Vec::with_capacity(together);
    while let Some((run, Some(begun))) = left.front_mut()
        && let Some(result) = look(&mut station, begun, run, (began, together))
        && (station.is_alive() || together == 1)
        && let Some((run, _)) = left.pop_front()
    {
        answered.push((run, result));
    }
    tell_all(&answered, started_at, results);
    left.extend(slow.into_iter().map(|run| (run, None)));
    if !station.is_alive() {
        forget_begun(&mut left);
    }
    Away { station, left, together, began, permit: None }
}

/// Marks runs as not begun, so that they are repeated one at a time, which shows which of them killed the process.
fn forget_begun(left: &mut VecDeque<(Run, Option<Begun>)>) {
    for (_, begun) in left {
        *begun = None;
    }
}

/// Waits for the result of a run, one of so many that were sent together at `began`, as long as the app's thread may.
fn look(
    station: &mut Station,
    begun: &mut Begun,
    run: &Run,
    (began, together): (Instant, usize),
) -> Option<Result<Payload, AttemptFailure>> {
    loop {
        let waited = began.elapsed();
        let left = TINY_WAIT.checked_sub(waited)?;
        let polls = together <= LOOKED_FOR_MAX && waited < TINY_LOOK;
        if let Some(result) = station.look(begun, run, if polls { Wait::Not } else { Wait::AtMost(left) }) {
            return Some(result);
        }
        // The answering process may be waiting for this processor.
        thread::yield_now();
    }
}

/// Sends the results of runs that ran one after the other and were answered together; each counts its share of the
/// time.
fn tell_all(
    answered: &[(Run, Result<Payload, AttemptFailure>)],
    started_at: Micros,
    results: &Sender<RunResult>,
) {
    let Some((last, _)) = answered.last() else { return };
    let took = u64::from(last.clock.now().since(started_at));
    let after = |runs: usize| Micros(started_at.0 + took * runs as u64 / answered.len() as u64);
    for (number, (run, result)) in answered.iter().enumerate() {
        tell(run, (after(number), after(number + 1)), result.clone(), results);
    }
}

fn tell(
    run: &Run,
    (started_at, finished_at): (Micros, Micros),
    result: Result<Payload, AttemptFailure>,
    results: &Sender<RunResult>,
) {
    let left = left(run, &result);
    // The other end is gone only when the app is, and then nobody waits for the result.
    let _ =
        results.send(RunResult { key: run.key, serial: run.serial, result, left, started_at, finished_at });
}

/// A slot: computes what is queued until the executor, and with it the queue's other end, is gone. A process that dies
/// in between is started again at once.
fn run_all(
    mut station: Station,
    runs: Receiver<Run>,
    graphics: Option<&Arc<Graphics>>,
    results: &Sender<RunResult>,
    (permits, share): (&Arc<RunPermits>, Share),
) {
    let mut ails = station.ails();
    loop {
        let run = select! {
            recv(runs) -> run => run,
            recv(ails) -> _ => {
                station.revive();
                ails = station.ails();
                continue;
            }
        };
        let Ok(run) = run else { return };
        let _permit = permits.take_for_queued();
        if !run.stage.leave_queue(Stage::Running) {
            continue;
        }
        let (started_at, mut rest) = (run.clock.now(), Duration::ZERO);
        let mut guard =
            ResultGuard { results, run: &run, started_at, result: Err(AttemptFailure::KernelPanicked) };
        guard.result = graphics.and_then(|graphics| graphics.compute(&run)).unwrap_or_else(|| {
            let began = Instant::now();
            let result = station.compute(&run);
            rest = share.rest_after(began.elapsed());
            result
        });
        drop(guard);
        run.waker.wake();
        ails = station.ails();
        if !rest.is_zero() {
            thread::sleep(rest);
        }
    }
}

/// Waits for tiny tasks that take longer, and restarts their process if it died.
fn care_for_tiny(away: &Receiver<Away>, shared: &SharedStation, results: &Sender<RunResult>) {
    let mut ails = shared.locked().station.as_ref().map_or_else(crossbeam_channel::never, Station::ails);
    loop {
        let away = select! {
            recv(away) -> away => away,
            recv(ails) -> _ => {
                match shared.take() {
                    Some(mut station) => {
                        station.revive();
                        ails = station.ails();
                        shared.put(station);
                    }
                    None => ails = crossbeam_channel::after(LOOK_AGAIN),
                }
                continue;
            }
        };
        let Ok(Away { mut station, mut left, together, began, permit }) = away else { return };
        for (run, begun) in &left {
            if let Some(begun) = begun {
                station.stop_with(run, begun);
            }
        }
        if !station.is_alive() {
            station.revive();
        }
        while let Some((run, begun)) = left.pop_front() {
            let started_at = run.clock.now();
            let result = begun.map(|mut begun| station.finish(&mut begun, &run));
            let result = result.filter(|_| station.is_alive() || together == 1).unwrap_or_else(|| {
                forget_begun(&mut left);
                station.compute(&run)
            });
            tell(&run, (started_at, run.clock.now()), result, results);
            run.waker.wake();
        }
        ails = station.ails();
        shared.put_to_rest(station, began);
        drop(permit);
    }
}
