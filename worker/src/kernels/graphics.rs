//! The process of the graphics processor, which takes several runs at the same time, and a count of its runs. Wherever
//! it cannot compute, a core does.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

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

/// Longest wait of a run for the device, and the divisor of its remaining time that limits the wait too. After the wait
/// a core computes the run, in the rest of its time.
const LANE_WAIT_MAX: Duration = Duration::from_secs(20);
const LANE_WAIT_PART: u32 = 2;
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
    /// The id of the process, while one lives.
    process: Option<u32>,
    back_off: BackOff,
    /// Runs under way on the device.
    at_work: usize,
    /// When the first of these began; without any, until when the device rests.
    since: Instant,
    busy: BusyTime,
}

impl Lanes {
    fn new(process: u32, idle: Vec<Lane>) -> Self {
        let now = Instant::now();
        Self {
            idle,
            process: Some(process),
            back_off: BackOff::default(),
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

    /// Counts the end of a run; `has_computed` says whether the device worked for it.
    fn end(&mut self, has_computed: bool, share: Share, now: Instant) {
        self.at_work = self.at_work.saturating_sub(1);
        if self.at_work == 0 && has_computed {
            let took = now.saturating_duration_since(self.since);
            self.busy.add(now, took);
            self.since = now + share.rest_after(took);
        }
    }
}

/// The result of a search for a graphics processor.
pub(crate) enum Search {
    /// One, and its description for the helper.
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
    pub fn new(sandbox: &Arc<Sandbox>, identity: &Arc<str>) -> Result<Self, KernelsError> {
        let (device, identity) = (Some(sandbox.gpu.clone()), identity.clone());
        let plan = LaunchPlan { sandbox: sandbox.clone(), identity, device, lanes: LANES_MAX };
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
        let graphics = Arc::new(Graphics::new(self.plan, device.kinds, died.0, admitted.lanes));
        graphics.keep_alive(died).map_err(KernelsError::Start)?;
        Ok(Search::Found(graphics, device.description))
    }
}

impl Graphics {
    /// The process with this id and these idle lanes, which was started according to `plan` and computes these kinds.
    pub(super) fn new(plan: LaunchPlan, kinds: Vec<(KindId, Device)>, process: u32, idle: Vec<Lane>) -> Self {
        let uses = kinds.iter().map(|(kind, _)| (*kind, KernelUse::default())).collect();
        Self {
            share: plan.sandbox.gpu_share,
            plan,
            kinds,
            lanes: Mutex::new(Lanes::new(process, idle)),
            freed: Condvar::new(),
            uses: Mutex::new(uses),
        }
    }

    /// What computing this kind here counts as now; `None` while there is no process, and if it computes none.
    pub fn device(&self, kind: KindId) -> Option<Device> {
        let (_, device) = self.kinds.iter().find(|(own, _)| *own == kind)?;
        locked(&self.lanes).process.map(|_| *device)
    }

    /// How many runs of this kind it has computed and failed; `None` if it computes none.
    pub fn used_for(&self, kind: KindId) -> Option<KernelUse> {
        locked(&self.uses).get(&kind).cloned()
    }

    /// The share of the device's time that may be used, and the per cent of the last minute that was.
    pub fn share(&self) -> (Share, f64) {
        (self.share, locked(&self.lanes).busy.percent(Instant::now()))
    }

    /// Computes a run; `None` if a core must.
    pub fn compute(&self, run: &Run) -> Option<Result<Payload, AttemptFailure>> {
        self.kinds.iter().find(|(own, _)| *own == run.kind)?;
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
            Came::Result(Err(Failure::DeviceLost(reason))) => {
                warn!(
                    event = "device-lost",
                    reason, "The graphics processor failed: {reason}. Cores compute until it is open again."
                );
                self.count(run.kind, |used| fell_back(used, &reason));
                self.lost(lane.process().id());
                lane.process().kill();
                return None;
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

    fn take_lane(&self, run: &Run) -> Option<Lane> {
        let give_up = Instant::now() + LANE_WAIT_MAX.min(run.time_left() / LANE_WAIT_PART);
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
            lanes.process?;
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

    /// Restarts the process whenever it has died, even if no run waits for it: while it is gone, the coordinator is
    /// told of cores alone, and sends only what they can do. The thread ends with the worker.
    fn keep_alive(self: &Arc<Self>, died: (u32, Receiver<Instant>)) -> io::Result<()> {
        let this = Arc::downgrade(self);
        let watch = move || {
            let mut died = died;
            loop {
                let _ = died.1.recv();
                let Some(graphics) = this.upgrade() else { return };
                if graphics.lost(died.0) {
                    warn!(
                        event = "kernel-process-lost",
                        process = died.0,
                        "The process of the graphics processor ended. A new one is started."
                    );
                }
                drop(graphics);
                let Some(again) = start_again(&this) else { return };
                died = again;
            }
        };
        thread::Builder::new().name("graphics-watch".into()).spawn(watch).map(drop)
    }

    /// Starts the process. Returns its id and what tells of its end, or why it does not run.
    fn start(&self) -> Result<(u32, Receiver<Instant>), String> {
        let admitted = self.plan.launch().and_then(Launched::admit).map_err(|error| error.to_string())?;
        match &admitted.device {
            Some(Ok(_)) => {}
            Some(Err(reason)) => return Err(reason.clone()),
            None => return Err("its process says nothing of one".to_owned()),
        }
        let died = died(&admitted);
        let mut lanes = locked(&self.lanes);
        (lanes.process, lanes.idle) = (Some(died.0), admitted.lanes);
        self.freed.notify_all();
        Ok(died)
    }
}

/// Tries to start the process of a graphics processor until it runs; `None` if the worker ends before that.
fn start_again(graphics: &Weak<Graphics>) -> Option<(u32, Receiver<Instant>)> {
    let mut has_said = false;
    loop {
        let pause = locked(&graphics.upgrade()?.lanes).back_off.pause(Instant::now());
        thread::sleep(pause);
        let this = graphics.upgrade()?;
        match this.start() {
            Ok(died) => return Some(died),
            Err(reason) => {
                locked(&this.lanes).back_off.died(Instant::now());
                if !std::mem::replace(&mut has_said, true) {
                    warn!(reason, "The graphics processor cannot be opened again, tries go on: {reason}");
                }
            }
        }
    }
}

/// The id of the process, and what tells of its end.
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
