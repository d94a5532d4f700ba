//! The process of the graphics processor, which takes several runs at the same time, and what it has done. Wherever it
//! cannot compute, a core does.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use p2c2r_protocol::{AttemptFailure, Device, KindId, Payload};
use p2c2r_tasks::KernelUse;
use tracing::warn;

use super::frame::Failure;
use super::lane::{Came, Lane};
use super::launch::{Admitted, LaunchPlan, Launched};
use super::station::BackOff;
use super::{LANES_MAX, Sandbox};
use crate::error::KernelsError;
use crate::executor::Run;
use crate::share::{BusyTime, Share};

/// Longest wait for a free lane, after which a core computes the run.
const LANE_WAIT_MAX: Duration = Duration::from_secs(20);
/// Interval at which a run that waits for the device checks whether it was cancelled.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The process of the graphics processor.
pub(crate) struct Graphics {
    plan: LaunchPlan,
    kinds: Vec<(KindId, Device)>,
    lanes: Mutex<Lanes>,
    freed: Condvar,
    share: Share,
    uses: Mutex<HashMap<KindId, KernelUse>>,
}

struct Lanes {
    idle: Vec<Lane>,
    /// The number of the process that lives, if one does.
    process: Option<u32>,
    back_off: BackOff,
    is_starting: bool,
    /// Runs that it computes.
    at_work: usize,
    /// Since when there are some, or until when the device rests.
    since: Instant,
    busy: BusyTime,
}

impl Lanes {
    fn of(admitted: Admitted) -> Self {
        let now = Instant::now();
        let process = admitted.lanes.first().map(|lane| lane.process().id());
        Self {
            idle: admitted.lanes,
            process,
            back_off: BackOff::default(),
            is_starting: false,
            at_work: 0,
            since: now,
            busy: BusyTime::new(now),
        }
    }

    /// How long the device still rests; none for a run that may begin now.
    fn rests_for(&self, share: Share, now: Instant) -> Option<Duration> {
        if !share.is_limited() {
            return None;
        }
        if self.at_work > 0 {
            // One at a time: with several, each one's time on the device could not be measured.
            return Some(LOOK_AGAIN);
        }
        Some(self.since.saturating_duration_since(now)).filter(|rest| !rest.is_zero())
    }

    fn begin(&mut self, now: Instant) {
        if self.at_work == 0 {
            self.since = now;
        }
        self.at_work += 1;
    }

    /// A run has ended, and whether the device computed for it.
    fn end(&mut self, has_computed: bool, share: Share, now: Instant) {
        self.at_work = self.at_work.saturating_sub(1);
        if self.at_work == 0 && has_computed {
            let took = now.saturating_duration_since(self.since);
            self.busy.add(now, took);
            self.since = now + share.rest_after(took);
        }
    }
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
        let mut admitted = self.launched.admit()?;
        let device = match admitted.device.take() {
            Some(Ok(device)) => device,
            Some(Err(reason)) => return Ok(Search::None(reason)),
            None => return Ok(Search::None("its process says nothing of one".to_owned())),
        };
        let died = died(&admitted);
        let uses = device.kinds.iter().map(|(kind, _)| (*kind, KernelUse::default())).collect();
        let graphics = Arc::new(Graphics {
            share: self.plan.sandbox.gpu_share,
            plan: self.plan,
            kinds: device.kinds,
            lanes: Mutex::new(Lanes::of(admitted)),
            freed: Condvar::new(),
            uses: Mutex::new(uses),
        });
        graphics.clone().keep_alive(died);
        Ok(Search::Found(graphics, device.description))
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

    /// What part of the device's time may be used, and how much of it was in the last minute, in per cent.
    pub fn share(&self) -> (Share, f64) {
        (self.share, locked(&self.lanes).busy.percent(Instant::now()))
    }

    /// Computes a run; `None` if a core must.
    pub fn compute(self: &Arc<Self>, run: &Run) -> Option<Result<Payload, AttemptFailure>> {
        self.device(run.kind)?;
        let mut lane = self.take_lane(run)?;
        let came = match lane.send(run) {
            Ok(mut sent) => lane.wait(&mut sent, run),
            Err(_) => Came::Lost(lane.process().end()),
        };
        let has_computed = !matches!(came, Came::Result(Err(Failure::NotReady | Failure::BadSpec)));
        locked(&self.lanes).end(has_computed, self.share, Instant::now());
        let result = match came {
            Came::Lost(how) => {
                let told = format!("its process {how}");
                warn!(
                    event = "kernel-process-lost",
                    how, "The process of the graphics processor {how}. A new one is started."
                );
                self.count(run.kind, |used| fell_back(used, &told));
                self.lost(lane.process().id());
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

    fn take_lane(self: &Arc<Self>, run: &Run) -> Option<Lane> {
        let give_up = Instant::now() + LANE_WAIT_MAX.min(run.time_left());
        let mut lanes = locked(&self.lanes);
        loop {
            let now = Instant::now();
            let rest = lanes.rests_for(self.share, now);
            if rest.is_none()
                && let Some(lane) = lanes.idle.pop()
            {
                lanes.begin(now);
                return Some(lane);
            }
            if lanes.process.is_none() {
                self.start_again(&mut lanes);
                return None;
            }
            let left = give_up.saturating_duration_since(now);
            if left <= rest.unwrap_or_default() || run.cancel.cancelled_for().is_some() {
                return None;
            }
            let wait = rest.map_or(left, |rest| left.min(rest).min(LOOK_AGAIN));
            lanes = self.freed.wait_timeout(lanes, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn put_back(&self, lane: Lane) {
        let mut lanes = locked(&self.lanes);
        if lanes.process == Some(lane.process().id()) {
            lanes.idle.push(lane);
            self.freed.notify_one();
        }
    }

    fn lost(&self, process: u32) -> bool {
        let mut lanes = locked(&self.lanes);
        let is_known = lanes.process == Some(process);
        if is_known {
            (lanes.process, lanes.idle) = (None, Vec::new());
            lanes.back_off.died(Instant::now());
            self.freed.notify_all();
        }
        is_known
    }

    /// Restarts the process as soon as it dies, even if it is not needed then. Ends with the worker.
    fn keep_alive(self: Arc<Self>, (process, died): (u32, Receiver<Instant>)) {
        let this = Arc::downgrade(&self);
        drop(self);
        // Without this thread, the process is restarted when it is needed.
        let _ = thread::Builder::new().name("graphics-watch".into()).spawn(move || {
            let _ = died.recv();
            let Some(this) = this.upgrade() else { return };
            if this.lost(process) {
                warn!(
                    event = "kernel-process-lost",
                    process, "The process of the graphics processor ended. A new one is started."
                );
            }
            let mut lanes = locked(&this.lanes);
            if lanes.process.is_none() {
                this.start_again(&mut lanes);
            }
        });
    }

    /// Restarts the process on another thread, because opening a device can take seconds and a core can compute
    /// meanwhile.
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
                    let died = died(&admitted);
                    lanes.process = Some(died.0);
                    lanes.idle = admitted.lanes;
                    this.freed.notify_all();
                    this.clone().keep_alive(died);
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

/// The number of the process, and what says when it has ended.
fn died(admitted: &Admitted) -> (u32, Receiver<Instant>) {
    let process = admitted.lanes.first().map(Lane::process);
    process.map_or((0, crossbeam_channel::never()), |process| (process.id(), process.died().clone()))
}

fn fell_back(used: &mut KernelUse, reason: &str) {
    used.fallbacks += 1;
    used.first_failure.get_or_insert_with(|| reason.to_owned());
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Ignores poisoning: no code panics while this lock is held, and the data would be consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
