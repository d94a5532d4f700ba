//! Runs in a kernel process, one after the other: sends a run, waits for the result, and gives up a process that
//! exceeds its time.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use p2c2r_protocol::limits::OUTCOME_BYTES_MAX;
use p2c2r_protocol::{AttemptFailure, Digest, Payload};
use p2c2r_tasks::Blobs;

use super::frame::{Failure, FrameSocket, RunDone, RunTask, Wait, sentence};
use super::launch::Process;
use crate::executor::Run;

/// Time-out for a kernel to end after it was told to stop: kernels notice within milliseconds, but an uninterruptible
/// step, such as preparing a blob on a loaded machine, takes longer.
const STOP_MAX: Duration = Duration::from_secs(1);
/// Interval at which the clock is checked during a run.
const TICK: Duration = Duration::from_millis(100);
/// Blobs that a process is assumed to have kept. A wrong guess costs one more exchange.
const KNOWN_MAX: usize = 4_096;

/// A lane of a process.
pub(crate) struct Lane {
    line: FrameSocket,
    number: u16,
    process: Arc<Process>,
    known: HashSet<Digest>,
    next_serial: u64,
    /// Serial numbers of the runs that the process has not answered.
    unanswered: Vec<u64>,
    /// Answers that came together with others and are still to be taken.
    answers: Vec<RunDone>,
}

/// A run that is under way.
pub(crate) struct Sent {
    serial: u64,
    /// Every blob was sent with it, so an answer that one is missing is invalid.
    all_blobs: bool,
    /// When it was told to stop because its time was over.
    stopped_at: Option<Instant>,
}

/// The result of a run.
pub(super) enum Came {
    /// An outcome, or why there is none.
    Result(Result<Payload, Failure>),
    /// Nothing: its time was over.
    TimeOver,
    /// Nothing, and the process is unusable; why, in words that follow "it".
    Lost(String),
}

impl Lane {
    /// A lane of this process.
    pub fn new(line: FrameSocket, number: u16, process: Arc<Process>) -> Self {
        let (known, unanswered, answers) = (HashSet::new(), Vec::new(), Vec::new());
        Self { line, number, process, known, next_serial: 0, unanswered, answers }
    }

    /// The process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Whether the process has all of these already.
    pub fn knows(&self, blobs: &Blobs) -> bool {
        blobs.iter().all(|blob| self.known.contains(&blob.digest()))
    }

    /// Sends a run, with the blobs that the process is not known to have. After an error the process must be given up:
    /// the socket has room for a frame unless the process has stopped reading, and nobody waits for such a process.
    pub fn send(&mut self, run: &Run) -> io::Result<Sent> {
        let all_blobs = !run.blobs.iter().any(|blob| self.known.contains(&blob.digest()));
        let serial = self.next_serial();
        self.send_alone(run, serial, false)?;
        let sent = Sent { serial, all_blobs, stopped_at: None };
        self.stop_with(run, &sent);
        Ok(sent)
    }

    /// Sends runs whose blobs the process is known to have in one frame, which they must fit; they are answered in this
    /// order. After an error the process must be given up.
    pub fn send_together<'a>(&mut self, runs: impl Iterator<Item = &'a Run>) -> io::Result<Vec<Sent>> {
        let mut sent = Vec::new();
        let tasks = runs.map(|run| {
            let serial = self.next_serial();
            self.unanswered.push(serial);
            sent.push(Sent { serial, all_blobs: false, stopped_at: None });
            RunTask { serial, kind: run.kind, spec: run.spec.clone(), blobs: Vec::new() }
        });
        let tasks: Vec<RunTask> = tasks.collect();
        self.line.send_at_once(&tasks)?;
        Ok(sent)
    }

    fn next_serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial - 1
    }

    /// From now on a cancellation of the run is sent to the process.
    pub fn stop_with(&self, run: &Run, sent: &Sent) {
        let (process, lane, serial) = (self.process.clone(), self.number, sent.serial);
        run.cancel.tell_by(move || process.stop_run(lane, serial));
    }

    fn send_alone(&mut self, run: &Run, serial: u64, all_blobs: bool) -> io::Result<()> {
        let mut blobs = Vec::new();
        for blob in run.blobs.iter() {
            if all_blobs || !self.known.contains(&blob.digest()) {
                blobs.push(blob.bytes().to_vec());
            }
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(blob.digest());
        }
        self.unanswered.push(serial);
        self.line.send_at_once(&vec![RunTask { serial, kind: run.kind, spec: run.spec.clone(), blobs }])
    }

    /// Waits for the run's result, at most for its time-out.
    pub fn wait(&mut self, sent: &mut Sent, run: &Run) -> Came {
        let over_at = Instant::now() + run.time_left();
        loop {
            let now = Instant::now();
            if now >= over_at && sent.stopped_at.is_none() {
                self.process.stop_run(self.number, sent.serial);
                sent.stopped_at = Some(now);
            }
            let until_over = over_at.saturating_duration_since(now);
            let tick = if until_over.is_zero() { TICK } else { TICK.min(until_over) };
            if let Some(came) = self.receive(sent, run, Wait::AtMost(tick)) {
                return came;
            }
            let told_for = sent.stopped_at.map(|at| at.elapsed()).max(run.cancel.cancelled_for());
            if told_for.is_some_and(|time| time > STOP_MAX) {
                run.cancel.is_over();
                self.process.kill();
                return Came::Lost("did not end a task whose time was over, and was killed".to_owned());
            }
        }
    }

    /// The run's result, if there is one in time.
    pub fn receive(&mut self, sent: &mut Sent, run: &Run, wait: Wait) -> Option<Came> {
        let answer = loop {
            if let Some(at) = self.answers.iter().position(|done| done.serial == sent.serial) {
                break self.answers.remove(at);
            }
            match self.line.receive::<Vec<RunDone>>(wait) {
                Ok(None) => return None,
                Ok(Some(answers)) => {
                    if !self.takes(answers) {
                        // The process is broken.
                        return Some(self.lost(run));
                    }
                }
                Err(_) => return Some(self.lost(run)),
            }
        };
        let result = answer.result;
        if matches!(result, Err(Failure::BlobsMissing(_))) && !sent.all_blobs {
            sent.all_blobs = true;
            return match self.send_alone(run, sent.serial, true) {
                Ok(()) => None,
                Err(_) => Some(self.lost(run)),
            };
        }
        run.cancel.is_over();
        Some(match result {
            Err(Failure::Stopped) if sent.stopped_at.is_some() => Came::TimeOver,
            Ok(outcome) if outcome.len() > OUTCOME_BYTES_MAX => Came::Result(Err(Failure::BadSpec)),
            Err(Failure::Device(reason)) => Came::Result(Err(Failure::Device(sentence(&reason)))),
            Err(Failure::DeviceLost(reason)) => Came::Result(Err(Failure::DeviceLost(sentence(&reason)))),
            result => Came::Result(result),
        })
    }

    /// Keeps answers to be taken; false if one answers a run that was not sent.
    fn takes(&mut self, answers: Vec<RunDone>) -> bool {
        let is_owed = |done: &RunDone| {
            let at = self.unanswered.iter().position(|serial| *serial == done.serial);
            at.map(|at| self.unanswered.remove(at)).is_some()
        };
        let are_owed = !answers.is_empty() && answers.iter().all(is_owed);
        self.answers.extend(answers);
        are_owed
    }

    fn lost(&self, run: &Run) -> Came {
        run.cancel.is_over();
        Came::Lost(self.process.end())
    }
}

impl Failure {
    /// What the coordinator is told of a run on a core.
    pub(super) fn told(&self) -> AttemptFailure {
        match self {
            Self::BadSpec => AttemptFailure::BadSpec,
            // Never sent: only dropped attempts are stopped.
            Self::Stopped => AttemptFailure::Overloaded,
            Self::Panicked
            | Self::BlobsMissing(_)
            | Self::NotReady
            | Self::Device(_)
            | Self::DeviceLost(_) => AttemptFailure::KernelPanicked,
        }
    }
}
