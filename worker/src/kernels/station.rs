//! A process that computes on a core, one run at a time, and is started again when it has died.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use p2c2r_protocol::{AttemptFailure, Payload};
use p2c2r_tasks::Blobs;
use tracing::{debug, warn};

use super::Sandbox;
use super::frame::Wait;
pub(crate) use super::lane::Sent as Begun;
use super::lane::{Came, Lane};
use super::launch::{Admitted, LaunchPlan, Launched};
use crate::error::KernelsError;
use crate::executor::Run;

/// Pause before the second start in a row; doubles with every further one. The first one after a run that ended well is
/// at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: a process that dies at every start costs almost nothing, and recovers soon after the cause is
/// gone.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When a process that died is started again.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    deaths: u32,
    not_before: Option<Instant>,
}

impl BackOff {
    /// It has died, or could not be started.
    pub fn died(&mut self, now: Instant) {
        self.deaths += 1;
        let doublings = self.deaths.saturating_sub(2).min(16);
        let pause = if self.deaths < 2 { Duration::ZERO } else { FIRST_PAUSE * 2_u32.pow(doublings) };
        self.not_before = Some(now + pause.min(LONGEST_PAUSE));
    }

    /// It works.
    pub fn works(&mut self) {
        *self = Self::default();
    }

    /// How long to wait for the next start.
    pub fn pause(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

/// A place where one run at a time is computed.
pub(crate) struct Station {
    plan: LaunchPlan,
    lane: Option<Lane>,
    back_off: BackOff,
}

/// A station whose process is starting.
pub(crate) struct StartingStation {
    plan: LaunchPlan,
    launched: Launched,
}

impl StartingStation {
    /// Starts the process of a station.
    pub fn new(sandbox: &Arc<Sandbox>, identity: &Arc<str>) -> Result<Self, KernelsError> {
        let (sandbox, identity) = (sandbox.clone(), identity.clone());
        let plan = LaunchPlan { sandbox, identity, device: None, lanes: 1 };
        Ok(Self { launched: plan.launch()?, plan })
    }

    /// The station, and what its process could not do.
    pub fn open(self) -> Result<(Station, Vec<String>), KernelsError> {
        let mut admitted = self.launched.admit()?;
        let denied = std::mem::take(&mut admitted.denied);
        Ok((Station::of(self.plan, admitted), denied))
    }
}

impl Station {
    /// A station with this process, started again according to `plan`.
    pub(super) fn of(plan: LaunchPlan, admitted: Admitted) -> Self {
        Self { plan, lane: admitted.lanes.into_iter().next(), back_off: BackOff::default() }
    }

    /// Signals when [`Station::revive`] is to be called next: when its process has died, or may be restarted.
    pub fn ails(&self) -> Receiver<Instant> {
        match &self.lane {
            Some(lane) => lane.process().died().clone(),
            None => crossbeam_channel::after(self.back_off.pause(Instant::now())),
        }
    }

    /// Restarts a process that died between two runs, unless the back-off pause is not over.
    pub fn revive(&mut self) {
        self.lost(None);
        if self.back_off.pause(Instant::now()).is_zero() {
            self.start_again();
        }
    }

    /// Whether it has a process.
    pub fn is_alive(&self) -> bool {
        self.lane.is_some()
    }

    /// Whether a run with these blobs begins at once.
    pub fn knows(&self, blobs: &Blobs) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.knows(blobs))
    }

    /// Sends a run; `None` if the process has died.
    pub fn begin(&mut self, run: &Run) -> Option<Begun> {
        let sent = self.lane.as_mut()?.send(run);
        if sent.is_err() {
            self.lost(None);
        }
        sent.ok()
    }

    /// Sends runs whose blobs the process has, together; `None` if it has died.
    pub fn begin_together<'a>(&mut self, runs: impl Iterator<Item = &'a Run>) -> Option<Vec<Begun>> {
        let sent = self.lane.as_mut()?.send_together(runs);
        if sent.is_err() {
            self.lost(None);
        }
        sent.ok()
    }

    /// The run's result, if there is one in time.
    pub fn look(
        &mut self,
        sent: &mut Begun,
        run: &Run,
        wait: Wait,
    ) -> Option<Result<Payload, AttemptFailure>> {
        let came = self.lane.as_mut()?.receive(sent, run, wait)?;
        Some(self.told(came))
    }

    /// From now on a cancellation of this run, which was sent together with others, is sent to the process.
    pub fn stop_with(&self, run: &Run, sent: &Begun) {
        if let Some(lane) = &self.lane {
            lane.stop_with(run, sent);
        }
    }

    /// Waits for the result of a run that was begun.
    pub fn finish(&mut self, sent: &mut Begun, run: &Run) -> Result<Payload, AttemptFailure> {
        let Some(lane) = &mut self.lane else { return Err(AttemptFailure::KernelPanicked) };
        let came = lane.wait(sent, run);
        self.told(came)
    }

    /// Computes a run. A process that died between two runs is restarted first; if it dies during the run, the run
    /// fails, because the run may be the cause. A run whose time is over before it begins is not begun.
    pub fn compute(&mut self, run: &Run) -> Result<Payload, AttemptFailure> {
        while !run.time_left().is_zero() {
            if let Some(mut sent) = self.begin(run) {
                return self.finish(&mut sent, run);
            }
            let pause = self.back_off.pause(Instant::now());
            if run.cancel.cancelled_for().is_some() || pause >= run.time_left() {
                return Err(AttemptFailure::Overloaded);
            }
            thread::sleep(pause);
            self.start_again();
        }
        Err(AttemptFailure::Overloaded)
    }

    fn start_again(&mut self) {
        match self.plan.launch().and_then(Launched::admit) {
            Ok(admitted) => {
                self.lane = admitted.lanes.into_iter().next();
                debug!("a kernel process was started again");
            }
            Err(error) => {
                self.back_off.died(Instant::now());
                warn!(event = "kernel-process-failed", %error, "A kernel process cannot be started again: {error}");
            }
        }
    }

    fn told(&mut self, came: Came) -> Result<Payload, AttemptFailure> {
        match came {
            Came::Result(result) => {
                self.back_off.works();
                result.map_err(|failure| failure.told())
            }
            Came::TimeOver => Err(AttemptFailure::KernelPanicked),
            Came::Lost(how) => {
                self.lost(Some(&how));
                Err(AttemptFailure::KernelPanicked)
            }
        }
    }

    fn lost(&mut self, in_a_run: Option<&str>) {
        let Some(lane) = self.lane.take() else { return };
        self.back_off.died(Instant::now());
        let how = in_a_run.map_or_else(|| lane.process().end(), str::to_owned);
        let and = if in_a_run.is_some() { "Its task is reported as failed; a" } else { "A" };
        warn!(
            event = "kernel-process-lost",
            process = lane.process().id(),
            how,
            "A kernel process {how}. {and} new one is started."
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_keeps_dying_is_started_ever_more_seldom_and_one_that_worked_at_once() {
        let now = Instant::now();
        let mut back_off = BackOff::default();
        let mut pauses = Vec::new();
        for _ in 0..40 {
            back_off.died(now);
            pauses.push(back_off.pause(now));
        }
        assert_eq!(pauses[..3], [Duration::ZERO, FIRST_PAUSE, 2 * FIRST_PAUSE]);
        assert!(pauses.is_sorted());
        assert_eq!(pauses[39], LONGEST_PAUSE);
        back_off.works();
        back_off.died(now);
        assert_eq!(back_off.pause(now), Duration::ZERO);
    }
}
