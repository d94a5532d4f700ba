//! The coordinator's own kernel: what it does when nobody else can, and how long that would take.

use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{KindId, Micros, TaskFailure, TaskNo, WorkUnits};
use p2c2r_tasks::{Stop, StopOnDrop};
use tracing::debug;

use crate::compute::{Computed, Kernel, Pool};
use crate::config::Fallback;
use crate::desk::Desk;
use crate::ledger::Entry;
use crate::receipts::own_stages;
use crate::settle::Made;
use crate::speed::ServiceTimes;
use crate::table::{Phase, Task};

/// Kept free before a deadline beside the predicted time, because the result still has to be collected and
/// sent. Errs on the early side: the own kernel starts a little sooner than it must.
const MARGIN: Duration = Duration::from_millis(2);

/// How fast the own kernel is.
#[derive(Resource)]
pub struct OwnKernel {
    speed: ServiceTimes,
}

impl Default for OwnKernel {
    fn default() -> Self {
        Self { speed: ServiceTimes::of_reference_core() }
    }
}

impl OwnKernel {
    /// How long a task would take from now on, those waiting for a thread included.
    pub fn predict(&self, pool: &Pool, kind: KindId, units: WorkUnits) -> Duration {
        let service = self.speed.predict(kind, units);
        let queue = service.mean * (pool.kernels_waiting() / pool.threads()) as u32;
        queue + service.mean + service.deviation * 2 + MARGIN
    }

    /// The own kernel took so long.
    pub fn measured(&mut self, kind: KindId, units: WorkUnits, took: Duration) {
        self.speed.measured(kind, units, took);
    }
}

impl Desk<'_> {
    /// Whether the own kernel may do this task: a timely one, and the operator said so. Patient tasks wait for
    /// a worker, which is what they are patient for.
    pub fn may_compute(&self, task: &Task) -> bool {
        self.settings.0.fallback == Fallback::Compute && task.deliver_by.is_some()
    }

    /// The latest moment at which the own kernel must start to be in time; the deadline itself if it may not
    /// be used, `None` for a patient task.
    pub fn wait_until(&self, task: &Task) -> Option<Micros> {
        let deliver_by = task.deliver_by?;
        if !self.may_compute(task) {
            return Some(deliver_by);
        }
        let own = self.own.predict(&self.pool, task.kind, task.units);
        Some(Micros(deliver_by.0.saturating_sub(Micros::from(own).0)))
    }

    /// Starts the own kernel on a waiting task, or ends the task if the pool is full.
    pub fn compute(&mut self, no: TaskNo) {
        let (now, stop) = (self.now(), Stop::new());
        let Some(task) = self.tasks.matcher().compute(no, now, StopOnDrop(stop.clone())).map(|task| {
            let (job, blobs) = (Arc::downgrade(&task.job), task.blobs.clone());
            (task.attempt(), task.deliver_by, Kernel { task: no, job, blobs, stop })
        }) else {
            return;
        };
        let (attempt, deliver_by, kernel) = task;
        self.books.append(Entry::AttemptStarted { task: no, attempt, worker: None });
        self.leases.schedule(&mut self.tasks, no, deliver_by);
        debug!(task = no.0, "→ computing here");
        if self.pool.run(kernel).is_err() {
            self.fail(no, TaskFailure::NoWorker);
        }
    }

    /// The own kernel has finished.
    pub fn computed(&mut self, computed: Computed) {
        let no = computed.task;
        let Some(outcome) = computed.outcome else {
            self.fail(no, TaskFailure::KernelFailed);
            return;
        };
        let now = self.now();
        let Some(task) = self.tasks.workers().computed(no) else { return };
        self.own.measured(task.kind, task.units, computed.took);
        let Phase::Computing { since } = task.phase() else { return };
        let took = Micros::from(computed.took).since(Micros(0));
        let stages = own_stages(task.received_at, since, took, now);
        self.finish(no, task, outcome, Made::Here { stages });
    }
}
