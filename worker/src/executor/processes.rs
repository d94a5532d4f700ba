//! Runs in kernel processes: a slot's thread hands each to its own process, the app's thread tiny ones to the process of
//! tiny tasks.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use p2c2r_protocol::{AttemptFailure, Device, KindId, Micros, Payload};
use p2c2r_tasks::KernelUse;
use p2c2r_tasks::gpu::GpuChoice;

use super::{Denied, ResultGuard, Run, RunResult, Stage, on_slot};
use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::gpu;
use crate::kernels::Sandbox;
use crate::kernels::graphics::{Graphics, Search, Searching};
use crate::kernels::station::{StartingStation, Station};

/// Longest wait of the app's thread for a tiny task, after which another thread waits on: what the longest takes and being
/// woken, several times over.
const TINY_WAIT: Duration = Duration::from_micros(300);

/// The queue of the slots, and the process of tiny tasks.
pub(super) struct Processes {
    queue: Sender<Run>,
    /// Here unless the other thread waits for its answer.
    tiny: Option<Station>,
    tiny_away: Sender<Away>,
    tiny_back: Receiver<Station>,
    graphics: Option<Arc<Graphics>>,
    computes_on: String,
    denied: Denied,
}

/// A tiny task that takes longer than the app's thread waits.
struct Away {
    station: Station,
    run: Run,
    sent: Option<crate::kernels::station::Begun>,
    started_at: Micros,
}

impl Processes {
    /// Starts all processes and waits until they have shown that they are restricted.
    pub fn start(
        sandbox: &Sandbox,
        config: &WorkerConfig,
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
        let tiny = stations.pop();
        let (queue, runs) = crossbeam_channel::bounded::<Run>(config.held_max());
        for (station, slot) in stations.into_iter().zip(1..) {
            let (runs, results_in, graphics) = (runs.clone(), results_in.clone(), graphics.clone());
            on_slot(slot, move || run_all(station, runs, graphics.as_ref(), &results_in))?;
        }
        let (tiny_away, away) = crossbeam_channel::bounded(1);
        let (back, tiny_back) = crossbeam_channel::bounded(1);
        let results_in = results_in.clone();
        let finish = move || finish_away(&away, &back, &results_in);
        let spawned = thread::Builder::new().name("slot-tiny".into()).spawn(finish);
        spawned.map_err(|source| WorkerError::Thread { slot: config.slots, source })?;
        Ok(Self { queue, tiny, tiny_away, tiny_back, graphics, computes_on, denied })
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

    /// Whether the process of tiny tasks is idle, and no run waits for a slot.
    pub fn takes_tiny(&mut self) -> bool {
        if self.tiny.is_none() {
            self.tiny = self.tiny_back.try_recv().ok();
        }
        self.tiny.is_some() && self.queue.is_empty()
    }

    /// Runs a tiny task in its process.
    pub fn run_tiny(&mut self, run: Run, results: &Sender<RunResult>) {
        let Some(mut station) = self.tiny.take() else { return };
        if !run.stage.leave_queue(Stage::Running) {
            self.tiny = Some(station);
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
                self.tiny = Some(station);
                return;
            }
            // Whoever is to answer may be waiting for this very processor.
            thread::yield_now();
        }
        // The other thread ends with this sender only.
        let _ = self.tiny_away.send(Away { station, run, sent, started_at });
    }
}

fn tell(run: &Run, started_at: Micros, result: Result<Payload, AttemptFailure>, results: &Sender<RunResult>) {
    // The other end is gone only when the app is, and then nobody waits for the result.
    let _ = results.send(RunResult { serial: run.serial, result, started_at, finished_at: run.clock.now() });
}

/// A slot: computes what is queued until the executor, and with it the queue's other end, is gone.
fn run_all(
    mut station: Station,
    runs: Receiver<Run>,
    graphics: Option<&Arc<Graphics>>,
    results: &Sender<RunResult>,
) {
    for run in runs {
        if !run.stage.leave_queue(Stage::Running) {
            continue;
        }
        let started_at = run.clock.now();
        let mut guard =
            ResultGuard { results, run: &run, started_at, result: Err(AttemptFailure::KernelPanicked) };
        let on_device = graphics.and_then(|graphics| graphics.compute(&run));
        guard.result = on_device.unwrap_or_else(|| station.compute(&run));
        drop(guard);
        run.waker.wake();
    }
}

/// Waits for the tiny tasks that take longer, and gives their process back.
fn finish_away(away: &Receiver<Away>, back: &Sender<Station>, results: &Sender<RunResult>) {
    for Away { mut station, run, sent, started_at } in away {
        let result = match sent {
            Some(mut begun) => station.finish(&mut begun, &run),
            None => station.compute(&run),
        };
        if back.send(station).is_err() {
            return;
        }
        tell(&run, started_at, result, results);
        run.waker.wake();
    }
}
