//! The process of the graphics processor, which takes several runs at the same time, and what it has done. Wherever it
//! cannot compute, a core does.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use p2c2r_protocol::{AttemptFailure, Device, KindId, Payload};
use p2c2r_tasks::KernelUse;
use tracing::warn;

use super::frame::Failure;
use super::lane::{Came, Lane};
use super::launch::{LaunchPlan, Launched};
use super::station::BackOff;
use super::{LANES_MAX, Sandbox};
use crate::error::KernelsError;
use crate::executor::Run;

/// Longest wait for a free lane, after which a run is better computed on a core.
const LANE_WAIT_MAX: Duration = Duration::from_secs(20);

/// The process of the graphics processor.
pub(crate) struct Graphics {
    plan: LaunchPlan,
    kinds: Vec<(KindId, Device)>,
    lanes: Mutex<Lanes>,
    freed: Condvar,
    uses: Mutex<HashMap<KindId, KernelUse>>,
}

#[derive(Default)]
struct Lanes {
    idle: Vec<Lane>,
    /// The number of the process that lives, if one does.
    process: Option<u32>,
    back_off: BackOff,
    is_starting: bool,
}

/// What a search for a graphics processor came to.
pub(crate) enum Search {
    /// One, and how the helper reads it.
    Found(Arc<Graphics>, String),
    /// None, and why, in words that end a sentence.
    None(String),
}

/// A search that is under way, in the process that is to use what it finds.
pub(crate) struct Searching {
    plan: LaunchPlan,
    launched: Launched,
}

impl Searching {
    /// Starts the process.
    pub fn new(sandbox: &Arc<Sandbox>) -> Result<Self, KernelsError> {
        let plan =
            LaunchPlan { sandbox: sandbox.clone(), device: Some(sandbox.gpu.clone()), lanes: LANES_MAX };
        Ok(Self { launched: plan.launch()?, plan })
    }

    /// What it found.
    pub fn finish(self) -> Result<Search, KernelsError> {
        let admitted = self.launched.admit()?;
        let device = match admitted.device {
            Some(Ok(device)) => device,
            Some(Err(reason)) => return Ok(Search::None(reason)),
            None => return Ok(Search::None("its process says nothing of one".to_owned())),
        };
        let process = admitted.lanes.first().map(|lane| lane.process().id());
        let lanes = Lanes { idle: admitted.lanes, process, ..Lanes::default() };
        let uses = device.kinds.iter().map(|(kind, _)| (*kind, KernelUse::default())).collect();
        let graphics = Graphics {
            plan: self.plan,
            kinds: device.kinds,
            lanes: Mutex::new(lanes),
            freed: Condvar::new(),
            uses: Mutex::new(uses),
        };
        Ok(Search::Found(Arc::new(graphics), device.description))
    }
}

impl Graphics {
    /// What computing this kind here counts as; `None` if it computes none.
    pub fn device(&self, kind: KindId) -> Option<Device> {
        self.kinds.iter().find(|(own, _)| *own == kind).map(|(_, device)| *device)
    }

    /// How it has done with runs of this kind; `None` if it computes none.
    pub fn used_for(&self, kind: KindId) -> Option<KernelUse> {
        locked(&self.uses).get(&kind).cloned()
    }

    /// Computes a run; `None` if a core must.
    pub fn compute(self: &Arc<Self>, run: &Run) -> Option<Result<Payload, AttemptFailure>> {
        self.device(run.kind)?;
        let mut lane = self.take_lane()?;
        let came = match lane.send(run) {
            Ok(mut sent) => lane.wait(&mut sent, run),
            Err(_) => Came::Lost(lane.process().end()),
        };
        let result = match came {
            Came::Lost(how) => {
                let told = format!("its process {how}");
                warn!(
                    event = "kernel-process-lost",
                    how, "The process of the graphics processor {how}. A new one is started."
                );
                self.count(run.kind, |used| fell_back(used, &told));
                self.lost(&lane);
                return None;
            }
            Came::TimeOver => Some(Err(AttemptFailure::KernelPanicked)),
            Came::Result(Ok(outcome)) => {
                self.count(run.kind, |used| used.runs += 1);
                locked(&self.lanes).back_off.works();
                Some(Ok(outcome))
            }
            Came::Result(Err(Failure::Stopped)) => Some(Err(Failure::Stopped.told())),
            Came::Result(Err(Failure::Device(reason))) => {
                self.count(run.kind, |used| fell_back(used, &reason));
                None
            }
            Came::Result(Err(_)) => None,
        };
        self.put_back(lane);
        result
    }

    fn count(&self, kind: KindId, change: impl FnOnce(&mut KernelUse)) {
        change(locked(&self.uses).entry(kind).or_default());
    }

    fn take_lane(self: &Arc<Self>) -> Option<Lane> {
        let give_up = Instant::now() + LANE_WAIT_MAX;
        let mut lanes = locked(&self.lanes);
        loop {
            if let Some(lane) = lanes.idle.pop() {
                return Some(lane);
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if lanes.process.is_none() {
                self.start_again(&mut lanes);
                return None;
            }
            if left.is_zero() {
                return None;
            }
            lanes = self.freed.wait_timeout(lanes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn put_back(&self, lane: Lane) {
        let mut lanes = locked(&self.lanes);
        if lanes.process == Some(lane.process().id()) {
            lanes.idle.push(lane);
            self.freed.notify_one();
        }
    }

    fn lost(&self, lane: &Lane) {
        let mut lanes = locked(&self.lanes);
        if lanes.process == Some(lane.process().id()) {
            (lanes.process, lanes.idle) = (None, Vec::new());
            lanes.back_off.died(Instant::now());
            self.freed.notify_all();
        }
    }

    /// Starts the process again on a thread of its own, because opening a device can take seconds and a core can
    /// compute meanwhile.
    fn start_again(self: &Arc<Self>, lanes: &mut Lanes) {
        if lanes.is_starting || !lanes.back_off.pause(Instant::now()).is_zero() {
            return;
        }
        lanes.is_starting = true;
        let this = self.clone();
        let started = thread::Builder::new().name("graphics-start".into()).spawn(move || {
            let admitted = this.plan.launch().and_then(Launched::admit);
            let mut lanes = locked(&this.lanes);
            lanes.is_starting = false;
            match admitted {
                Ok(admitted) if matches!(admitted.device, Some(Ok(_))) => {
                    lanes.process = admitted.lanes.first().map(|lane| lane.process().id());
                    lanes.idle = admitted.lanes;
                }
                Ok(_) => lanes.back_off.died(Instant::now()),
                Err(error) => {
                    warn!(%error, "The process of the graphics processor cannot be started again: {error}");
                    lanes.back_off.died(Instant::now());
                }
            }
        });
        lanes.is_starting = started.is_ok();
    }
}

fn fell_back(used: &mut KernelUse, reason: &str) {
    used.fallbacks += 1;
    used.first_failure.get_or_insert_with(|| reason.to_owned());
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held; if it did, what it guards would be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
