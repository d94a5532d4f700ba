//! Runs in kernel processes: a slot's thread hands each to its own process, the app's thread tiny ones to the process of
//! tiny tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use p2c2r_protocol::{AttemptFailure, Device, KindId, Micros, Payload};
use p2c2r_tasks::KernelUse;
use p2c2r_tasks::gpu::GpuChoice;

use super::{Denied, OpenSlots, ResultGuard, Run, RunResult, Stage, left, on_slot};
use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::gpu;
use crate::kernels::Sandbox;
use crate::kernels::graphics::{Graphics, Search, Searching};
use crate::kernels::station::{StartingStation, Station};
use crate::share::Share;

/// Longest wait of the app's thread for a tiny task, after which another thread waits on: what the longest takes and being
/// woken, several times over.
const TINY_WAIT: Duration = Duration::from_micros(300);

/// The queue of the slots, and the process of tiny tasks.
pub(super) struct Processes {
    queue: Sender<Run>,
    tiny: SharedStation,
    tiny_away: Sender<Away>,
    graphics: Option<Arc<Graphics>>,
    computes_on: String,
    denied: Denied,
    cpu_share: Share,
    /// When the process of tiny tasks has rested enough.
    tiny_free_at: Instant,
    /// The slots', and that of tiny tasks.
    threads: Vec<JoinHandle<()>>,
}

/// Longest wait at the end for slots to bury their processes; one that still computes is buried by the system.
const END_MAX: Duration = Duration::from_millis(200);

impl Drop for Processes {
    fn drop(&mut self) {
        // Threads end when nothing more can come.
        (self.queue, self.tiny_away) = (crossbeam_channel::bounded(0).0, crossbeam_channel::bounded(0).0);
        self.graphics = None;
        drop(self.tiny.take());
        let give_up = Instant::now() + END_MAX;
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The station of tiny tasks: here unless the app's thread or the one of `slot-tiny` has it in hand.
#[derive(Clone, Default)]
struct SharedStation(Arc<Mutex<Option<Station>>>);

impl SharedStation {
    fn locked(&self) -> MutexGuard<'_, Option<Station>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Station> {
        self.locked().take()
    }

    fn put(&self, station: Station) {
        *self.locked() = Some(station);
    }
}

/// What the app's thread does not wait for.
enum Away {
    /// A tiny task that takes longer.
    Run { station: Station, run: Run, sent: Option<crate::kernels::station::Begun>, started_at: Micros },
    /// A station whose process has died.
    Dead(Station),
}

/// How long after it died the process of tiny tasks is looked for again that the app's thread had in hand.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Processes {
    /// Starts all processes and waits until they have shown that they are restricted.
    pub fn start(
        sandbox: &Sandbox,
        config: &WorkerConfig,
        open: &Arc<OpenSlots>,
        results_in: &Sender<RunResult>,
    ) -> Result<Self, WorkerError> {
        let sandbox = Arc::new(sandbox.clone());
        let searching = match sandbox.gpu {
            GpuChoice::Off => None,
            _ => Some(Searching::new(&sandbox)?),
        };
        let opening =
            (0..=config.slots).map(|_| StartingStation::new(&sandbox)).collect::<Result<Vec<_>, _>>()?;
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
        let tiny = SharedStation::default();
        *tiny.locked() = stations.pop();
        let (queue, runs) = crossbeam_channel::bounded::<Run>(config.held_max());
        let mut threads = Vec::new();
        for (station, slot) in stations.into_iter().zip(1..) {
            let (runs, results_in, graphics) = (runs.clone(), results_in.clone(), graphics.clone());
            let (share, open) = (config.cpu_share, open.clone());
            threads.push(on_slot(slot, move || {
                run_all(station, runs, graphics.as_ref(), &results_in, (&open, share));
            })?);
        }
        let (tiny_away, away) = crossbeam_channel::bounded(1);
        let (shared, results_in) = (tiny.clone(), results_in.clone());
        let care = move || care_for_tiny(&away, &shared, &results_in);
        let spawned = thread::Builder::new().name("slot-tiny".into()).spawn(care);
        threads.push(spawned.map_err(|source| WorkerError::Thread { slot: config.slots, source })?);
        let (cpu_share, tiny_free_at) = (config.cpu_share, Instant::now());
        Ok(Self { queue, tiny, tiny_away, graphics, computes_on, denied, cpu_share, tiny_free_at, threads })
    }

    /// Where runs wait for a slot.
    pub fn queue(&self) -> &Sender<Run> {
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

    /// How the graphics processor has done.
    pub fn device_use(&self, kind: KindId) -> Option<KernelUse> {
        self.graphics.as_ref()?.used_for(kind)
    }

    /// What part of the graphics processor's time may be used, and how much of it was in the last minute, in per cent.
    pub fn gpu_share(&self) -> Option<(Share, f64)> {
        self.graphics.as_ref().map(|graphics| graphics.share())
    }

    /// Whether the process of tiny tasks is idle and has rested enough, and no run waits for a slot.
    pub fn takes_tiny(&self) -> bool {
        self.tiny.locked().is_some()
            && self.queue.is_empty()
            && (!self.cpu_share.is_limited() || Instant::now() >= self.tiny_free_at)
    }

    /// Runs a tiny task in its process, or queues it if that is being started again.
    pub fn run_tiny(&mut self, run: Run, results: &Sender<RunResult>) {
        let Some(mut station) = self.tiny.take() else {
            if let Err(full) = self.queue.try_send(run) {
                let run = full.into_inner();
                tell(&run, run.clock.now(), Err(AttemptFailure::Overloaded), results);
            }
            return;
        };
        if !run.stage.leave_queue(Stage::Running) {
            self.tiny.put(station);
            return;
        }
        let started = Instant::now();
        let started_at = run.clock.now();
        let is_quick = station.knows(&run.blobs);
        let mut sent = station.begin(&run);
        // A process that must first prepare a blob, or be started again, takes milliseconds.
        while is_quick
            && started.elapsed() < TINY_WAIT
            && let Some(begun) = &mut sent
        {
            if let Some(result) = station.look(begun, &run) {
                tell(&run, started_at, result, results);
                if self.cpu_share.is_limited() {
                    self.tiny_free_at = Instant::now() + self.cpu_share.rest_after(started.elapsed());
                }
                if station.is_alive() {
                    self.tiny.put(station);
                } else {
                    // The other thread ends with this sender only.
                    let _ = self.tiny_away.send(Away::Dead(station));
                }
                return;
            }
            // Whoever is to answer may be waiting for this very processor.
            thread::yield_now();
        }
        let _ = self.tiny_away.send(Away::Run { station, run, sent, started_at });
    }
}

fn tell(run: &Run, started_at: Micros, result: Result<Payload, AttemptFailure>, results: &Sender<RunResult>) {
    // The other end is gone only when the app is, and then nobody waits for the result.
    let (finished_at, left) = (run.clock.now(), left(run, &result));
    let _ = results.send(RunResult { serial: run.serial, result, left, started_at, finished_at });
}

/// A slot: computes what is queued until the executor, and with it the queue's other end, is gone. A process that dies
/// in between is started again at once.
fn run_all(
    mut station: Station,
    runs: Receiver<Run>,
    graphics: Option<&Arc<Graphics>>,
    results: &Sender<RunResult>,
    (open, share): (&OpenSlots, Share),
) {
    let mut ails = station.ails();
    let mut rest = Duration::ZERO;
    loop {
        if !rest.is_zero() {
            thread::sleep(std::mem::take(&mut rest));
        }
        let run = select! {
            recv(runs) -> run => run,
            recv(ails) -> _ => {
                station.revive();
                ails = station.ails();
                continue;
            }
        };
        let Ok(run) = run else { return };
        let _place = open.place();
        if !run.stage.leave_queue(Stage::Running) {
            continue;
        }
        let started_at = run.clock.now();
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
    }
}

/// Waits for the tiny tasks that take longer, and starts their process again where it died.
fn care_for_tiny(away: &Receiver<Away>, shared: &SharedStation, results: &Sender<RunResult>) {
    let mut ails = shared.locked().as_ref().map_or_else(crossbeam_channel::never, Station::ails);
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
        match away {
            Ok(Away::Run { mut station, run, sent, started_at }) => {
                let result = match sent {
                    Some(mut begun) => station.finish(&mut begun, &run),
                    None => station.compute(&run),
                };
                ails = station.ails();
                shared.put(station);
                tell(&run, started_at, result, results);
                run.waker.wake();
            }
            Ok(Away::Dead(mut station)) => {
                station.revive();
                ails = station.ails();
                shared.put(station);
            }
            Err(_) => return,
        }
    }
}
