//! How an owner controls a running worker: over a socket in the folder of the accounts, which only this user can open
//! and which `p2c2r-worker status`, `pause`, `resume` and `finish` use; and over its page, which only reads
//! ([`crate::page`]).
//!
//! On the socket, one line of JSON asks ([`ControlRequest`]), one answers ([`WorkerReport`]).

#[cfg(unix)]
mod socket;

#[cfg(not(unix))]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use bevy_ecs::resource::Resource;
use crossbeam_channel::{Receiver, Sender, bounded, never};
use p2c2r_link::Waker;
use p2c2r_protocol::{Digest, Nanos};
use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(not(unix))]
use crate::drain::Drain;
use crate::update::WorkerParts;

#[cfg(unix)]
pub use socket::{SocketFile, ask, listen};

/// Longest pause that can be requested: a month.
pub const PAUSE_MAX: Duration = Duration::from_hours(31 * 24);

/// Time-out for an answer: a worker answers in the update after it was woken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after the system could not accept a connection, for example because all file descriptors are in use: without
/// it the next try would fail at once, and so on in a busy loop.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Requests that wait for one update.
const ASKED_MAX: usize = 16;

/// What stands for a worker's name in the names of its files, since a name may have any characters: eight hexadecimal digits.
pub(crate) fn name_digits(name: &str) -> String {
    Digest::of(name.as_bytes()).to_string()[..8].to_owned()
}

/// Why a running worker could not be asked.
#[derive(Debug, Error)]
pub enum ControlError {
    /// No such worker runs.
    #[error(
        "no worker{0} runs here: its socket would be in {1}; give its --keys folder, and its --name if it has one; if it runs \
         as a service, use `sudo p2c2r-helper`"
    )]
    NotRunning(String, String),
    /// It does not answer.
    #[error("the worker behind {path} does not answer: {source}")]
    NoAnswer {
        /// Its socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The report of each worker that was asked, or why there is none.
pub type Answers = Vec<Result<WorkerReport, ControlError>>;

/// Other systems have no such socket.
#[cfg(not(unix))]
pub fn listen(
    _folder: &Path,
    _name: &str,
    _line: ControlLine,
    _drain: Drain,
) -> io::Result<std::convert::Infallible> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Other systems have no such socket.
#[cfg(not(unix))]
pub fn ask(folder: &Path, _name: Option<&str>, _request: ControlRequest) -> Result<Answers, ControlError> {
    Err(ControlError::NotRunning(String::new(), folder.display().to_string()))
}

/// What an owner can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase", deny_unknown_fields)]
pub enum ControlRequest {
    /// A report, and nothing else.
    Status,
    /// To take no more work, for this time or until it is resumed.
    Pause {
        /// Seconds, at most [`PAUSE_MAX`].
        seconds: Option<u64>,
    },
    /// To work again.
    Resume,
    /// To finish what runs, and end.
    Finish,
}

/// A worker's state and figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its public name.
    pub name: String,
    /// Its coordinator.
    pub coordinator: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Why the last try to connect failed, and what to do; `None` once connected and before the first failure.
    pub problem: Option<String>,
    /// Whether it was asked to end.
    pub finishing: bool,
    /// Why it takes no work, if it takes none.
    pub resting: Option<String>,
    /// Its slots: tasks that it can compute at the same time.
    pub slots: u16,
    /// Slots that may compute now: fewer while the computer is used or warm, if its owner wants that.
    pub slots_now: u16,
    /// Per cent of the time that each slot may compute.
    pub cpu_percent_max: u8,
    /// Per cent of its time that the graphics processor may compute; `None` without one, and where kernels run in the
    /// worker's own process.
    pub gpu_percent_max: Option<u8>,
    /// Per cent of the last minute that the graphics processor computed.
    pub gpu_percent: Option<f64>,
    /// Tasks it holds, running and waiting.
    pub held: usize,
    /// Tasks that gave an outcome since it started.
    pub computed: u64,
    /// Tasks that gave none.
    pub failed: u64,
    /// Answers that were accepted.
    pub accepted: u64,
    /// Answers that were not.
    pub rejected: u64,
    /// Earned by this program since it started, in nano-dollars.
    pub earned_nanos: i64,
    /// Earned per hour since it started, in nano-dollars; `None` in the first minute.
    pub earned_per_hour_nanos: Option<i64>,
    /// Cost of the electricity that computing took, by its owner's figures, in nano-dollars; `None` without these.
    pub electricity_nanos: Option<i64>,
    /// Confirmed earnings of its account, which can be paid out, in nano-dollars; `None` before it first joined.
    pub account_confirmed_nanos: Option<i64>,
    /// Earnings of its account that are pending until the fraud window is over, in nano-dollars.
    pub account_pending_nanos: Option<i64>,
    /// Earnings of its account that were paid out, as the operator recorded it, in nano-dollars.
    pub account_paid_nanos: Option<i64>,
    /// Seconds since it started.
    pub uptime_seconds: u64,
}

impl WorkerReport {
    /// Whether it takes work when it is connected.
    pub fn takes_work(&self) -> bool {
        !self.finishing && self.resting.is_none()
    }

    /// What it does, in words.
    pub fn state(&self) -> String {
        match &self.resting {
            _ if self.finishing => "finishing what runs".to_owned(),
            Some(why) => format!("resting: {why}"),
            None if self.connected => "working".to_owned(),
            None => "waiting for its coordinator".to_owned(),
        }
    }

    /// Earnings less the cost of electricity; `None` if that cost is not set.
    pub fn net(&self) -> Option<Nanos> {
        self.electricity_nanos.map(|electricity| Nanos(self.earned_nanos.saturating_sub(electricity)))
    }
}

impl fmt::Display for WorkerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, coordinator, held, computed, failed, accepted, rejected, .. } = self;
        let link = if self.connected { "connected to" } else { "not connected to" };
        let slots = if self.slots_now == self.slots {
            self.slots.to_string()
        } else {
            format!("{} of {}", self.slots_now, self.slots)
        };
        writeln!(f, "{name}: {}, {link} {coordinator}, {slots} slot(s)", self.state())?;
        if let Some(problem) = &self.problem {
            writeln!(f, "  {problem}")?;
        }
        if self.cpu_percent_max < 100 {
            writeln!(f, "  each slot computes at most {} % of the time", self.cpu_percent_max)?;
        }
        if let (Some(most), Some(now)) = (self.gpu_percent_max, self.gpu_percent) {
            writeln!(f, "  graphics processor: {now:.0} % of its time in the last minute, {most} % at most")?;
        }
        writeln!(
            f,
            "  tasks: {held} under way, {computed} computed, {failed} failed, {accepted} accepted, {rejected} rejected"
        )?;
        let per_hour =
            self.earned_per_hour_nanos.map_or_else(|| "-".to_owned(), |nanos| Nanos(nanos).to_string());
        write!(
            f,
            "  earned: {} by this worker in {} minute(s), {per_hour} an hour",
            Nanos(self.earned_nanos),
            self.uptime_seconds / 60
        )?;
        if let (Some(net), Some(electricity)) = (self.net(), self.electricity_nanos.map(Nanos)) {
            write!(f, "\n  net: {net}, about {electricity} went for electricity")?;
        }
        let account = [self.account_confirmed_nanos, self.account_pending_nanos, self.account_paid_nanos];
        if let [Some(confirmed), Some(pending), Some(paid)] = account.map(|nanos| nanos.map(Nanos)) {
            write!(f, "\n  account: {confirmed} confirmed, {pending} pending, {paid} paid")?;
        }
        Ok(())
    }
}

/// A request and where its answer goes.
struct Asked {
    request: ControlRequest,
    answer: Sender<WorkerReport>,
}

/// How other threads of this program ask the worker's app.
#[derive(Clone)]
pub struct ControlLine {
    asks: Sender<Asked>,
    waker: Waker,
}

impl ControlLine {
    /// Sends the app a request and waits for its answer, ten seconds at the most.
    pub fn ask(&self, request: ControlRequest) -> io::Result<WorkerReport> {
        let (answer, report) = bounded(1);
        self.asks.send_timeout(Asked { request, answer }, PATIENCE).map_err(io::Error::other)?;
        self.waker.wake();
        report.recv_timeout(PATIENCE).map_err(io::Error::other)
    }
}

/// Where requests come in.
#[derive(Resource)]
pub struct Control {
    asked: Receiver<Asked>,
    /// Whether the owner asked for the end, of which the worker itself is told only after the answer was sent.
    is_to_finish: bool,
    /// Where this update's requests want their answers.
    waiting: Vec<Sender<WorkerReport>>,
}

impl Control {
    /// Where requests come in, and how they are made.
    pub fn open(waker: Waker) -> (Self, ControlLine) {
        let (asks, asked) = bounded(ASKED_MAX);
        (Self { asked, ..Self::default() }, ControlLine { asks, waker })
    }
}

impl Default for Control {
    /// Nobody can ask.
    fn default() -> Self {
        Self { asked: never(), is_to_finish: false, waiting: Vec::new() }
    }
}

/// Carries out the owner's requests.
pub(crate) fn heed_owner(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { control, availability, time, .. } = parts;
    while let Ok(Asked { request, answer }) = control.asked.try_recv() {
        match request {
            ControlRequest::Status => {}
            ControlRequest::Pause { seconds } => {
                let time_off = seconds.map(|seconds| Duration::from_secs(seconds).min(PAUSE_MAX));
                availability.pause(time.elapsed(), time_off);
            }
            ControlRequest::Resume => availability.resume(),
            ControlRequest::Finish => control.is_to_finish = true,
        }
        control.waiting.push(answer);
    }
}

/// Answers this update's requests with the present state.
pub(crate) fn answer_owner(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { control, availability, attempts, console, drain, .. } = parts;
    let WorkerParts { link, session, offer, executor, time, .. } = parts;
    if control.waiting.is_empty() {
        return;
    }
    let (accepted, rejected) = session.verdicts();
    let (account, gpu_share) = (session.account(), executor.gpu_share());
    let report = WorkerReport {
        name: console.name().to_owned(),
        coordinator: console.coordinator().to_owned(),
        connected: link.is_connected(),
        problem: link.problem().map(|problem| problem.brief().to_owned()),
        finishing: control.is_to_finish || drain.is_asked(),
        resting: availability.rest().map(|rest| rest.said(time.elapsed())),
        slots: offer.slots,
        slots_now: offer.offered.slots,
        cpu_percent_max: console.cpu_share().percent(),
        gpu_percent_max: gpu_share.map(|(share, _)| share.percent()),
        gpu_percent: gpu_share.map(|(_, percent)| (10.0 * percent).round() / 10.0),
        held: attempts.held(),
        computed: session.computed_count(),
        failed: session.failed_count(),
        accepted,
        rejected,
        earned_nanos: session.earned().0,
        earned_per_hour_nanos: session.earned_per_hour(time.elapsed()).map(|nanos| nanos.0),
        electricity_nanos: console
            .electricity()
            .map(|electricity| electricity.cost(session.computing(), offer.slots).0),
        account_confirmed_nanos: account.map(|account| account.confirmed().0),
        account_pending_nanos: account.map(|account| account.pending.0),
        account_paid_nanos: account.map(|account| account.paid.0),
        uptime_seconds: time.elapsed().as_secs(),
    };
    for answer in control.waiting.drain(..) {
        // The requester may be gone.
        let _ = answer.send(report.clone());
    }
}
