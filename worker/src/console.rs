//! The lines that the helper reads: the worker's name and devices, its connection, its tasks and earnings.
//!
//! Lines are `tracing` events, so that a log collector gets the same facts as JSON; a person sees only the sentences.

use std::time::Duration;

use bevy_ecs::resource::Resource;
use bevy_ecs::system::Res;
use p2c2r_link::{LinkProblem, LinkStatus};
use p2c2r_program::log::Story;
use p2c2r_program::{Log, LogError, LogFormat, Output};
use p2c2r_tasks::KernelUse;
use tracing::{debug, error, info, warn};

use crate::attempts::Offer;
use crate::config::{Execution, WorkerConfig};
use crate::earnings::{Electricity, SessionEarnings};
use crate::executor::{Denied, Executor};
use crate::share::Share;
use crate::update::WorkerParts;

/// Interval between two lines about the same connection problem.
const PROBLEM_AGAIN: Duration = Duration::from_mins(5);

/// Directives that silence libraries. The first two report malformed packets, which the link counts and with which a
/// hostile peer could fill the log; the others report missing features of graphics drivers that are not used.
const QUIET: &str = "renet=off,renetcode=off,wgpu_core=error,wgpu_hal=error,naga=error";

/// Starts logging to standard output: this crate's lines as sentences without their fields, so that a helper reads them
/// at ease.
pub fn start_logging(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let story = Story::messages_of(env!("CARGO_CRATE_NAME"));
    Log { filter, defaults: QUIET, format, to: Output::Standard, story }.start()
}

/// What has been shown so far, so that nothing is shown twice.
#[derive(Resource)]
pub struct Console {
    name: String,
    coordinator: String,
    computes_on: String,
    is_sandbox_off: bool,
    cpu_share: Share,
    electricity: Option<Electricity>,
    every: Duration,
    link: LinkStatus,
    said_connecting: bool,
    refused: Option<String>,
    /// The problem that was shown last, and when.
    problem: Option<(String, Duration)>,
    said_fallback: bool,
    said_farewell: bool,
    shown_at: Duration,
    shown: Figures,
}

/// What a status line is about; a line is printed when this has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    computed: u64,
    failed: u64,
    verdicts: (u64, u64),
    earned: i64,
}

impl Console {
    /// Nothing shown yet.
    pub fn new(config: &WorkerConfig) -> Self {
        Self {
            name: config.name.clone(),
            coordinator: config.coordinator.clone(),
            computes_on: config.computes_on.clone(),
            is_sandbox_off: matches!(config.execution, Execution::Threads),
            cpu_share: config.cpu_share,
            electricity: config.electricity,
            every: config.status_every,
            link: LinkStatus::Offline,
            said_connecting: false,
            refused: None,
            problem: None,
            said_fallback: false,
            said_farewell: false,
            shown_at: Duration::ZERO,
            shown: Figures::default(),
        }
    }
}

impl Console {
    /// The worker's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The coordinator, as the helper knows it.
    pub fn coordinator(&self) -> &str {
        &self.coordinator
    }

    /// What part of the time each slot may compute.
    pub fn cpu_share(&self) -> Share {
        self.cpu_share
    }

    /// What computing costs its owner, if reports are to say it.
    pub fn electricity(&self) -> Option<Electricity> {
        self.electricity
    }

    /// Whether to show this problem: not again for a while, and not a lost connection, which has its own line.
    fn is_news(&mut self, problem: &str, is_loss: bool, now: Duration) -> bool {
        let is_known =
            self.problem.as_ref().is_some_and(|(said, at)| said == problem && now < *at + PROBLEM_AGAIN);
        if !is_known {
            self.problem = Some((problem.to_owned(), now));
        }
        !is_known && !is_loss
    }
}

impl Figures {
    fn of(session: &SessionEarnings) -> Self {
        Self {
            computed: session.computed_count(),
            failed: session.failed_count(),
            verdicts: session.verdicts(),
            earned: session.earned().0,
        }
    }
}

/// Shows the worker's name, slots and kinds, what computes, and how its kernels are restricted.
pub fn show_banner(console: Res<'_, Console>, offer: Res<'_, Offer>, executor: Res<'_, Executor>) {
    let kinds: Vec<String> =
        offer.kinds.iter().map(|kind| format!("{}.v{}", kind.name(), kind.kernel_version())).collect();
    let kinds = kinds.join(", ");
    info!("💻 P2C2R WORKER");
    info!("===============");
    info!(
        event = "start",
        name = console.name,
        slots = offer.offered.slots,
        kinds,
        "{}: {} slot(s), {kinds}",
        console.name,
        offer.offered.slots
    );
    info!(event = "computes-on", computes_on = console.computes_on, "{}", console.computes_on);
    let cpu_percent = console.cpu_share.percent();
    let gpu_percent = executor.gpu_share().map(|(share, _)| share.percent());
    if cpu_percent < 100 || gpu_percent.is_some_and(|percent| percent < 100) {
        let of_gpu =
            gpu_percent.map(|percent| format!(", the graphics processor {percent} %")).unwrap_or_default();
        info!(
            event = "shares",
            cpu_percent, gpu_percent, "⏱  Each slot computes at most {cpu_percent} % of the time{of_gpu}."
        );
    }
    match executor.denied() {
        Some(Denied { processes, tried }) => {
            let tried = tried.join("; ");
            info!(
                event = "sandbox",
                processes,
                tried,
                "🔒 Kernels run in {processes} processes of their own. Each tried to: {tried}. All of it was denied."
            );
        }
        None if console.is_sandbox_off => warn!(
            event = "unsandboxed",
            "🔓 Kernels run unsandboxed, as was asked for: a fault in one could reach this computer's files and network."
        ),
        None => {}
    }
}

/// Says once that a graphics processor failed and what computes instead, and when the worker leaves how often it
/// failed.
pub(crate) fn show_fallbacks(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { console, exit, offer, executor, .. } = parts;
    let leaving = !exit.is_empty() && !console.said_farewell;
    if console.said_fallback && !leaving {
        return;
    }
    for kind in offer.kinds.iter() {
        let used = kind.kernel_use().or_else(|| executor.device_use(kind.id()));
        let Some(use_so_far) = used else { continue };
        let (name, KernelUse { runs, fallbacks, first_failure }) = (kind.name(), use_so_far);
        if leaving {
            info!(
                event = "gpu-use",
                kind = name,
                runs,
                fallbacks,
                "🖥  {name}: {runs} task(s) on the graphics processor, {fallbacks} on the cores after it failed"
            );
        } else if let Some(reason) = first_failure {
            console.said_fallback = true;
            warn!(
                event = "gpu-fallback",
                kind = name,
                reason,
                "{name}: {reason}. The cores compute instead."
            );
        }
    }
}

/// The problem comes last, because it may end in a question.
fn not_connected(problem: &str) -> String {
    format!("🔌 Not connected, tries go on: {problem}")
}

/// Says how the link stands whenever that changes.
pub(crate) fn show_link(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { console, link, time, .. } = parts;
    if *link.status() == console.link {
        return;
    }
    let was = std::mem::replace(&mut console.link, link.status().clone());
    let coordinator = console.coordinator.clone();
    match link.status() {
        // Retries never end; only the first after each loss is shown.
        LinkStatus::Connecting if console.said_connecting => debug!("Trying {coordinator} again"),
        LinkStatus::Connecting => {
            console.said_connecting = true;
            info!(event = "connecting", coordinator, "🔌 Connecting to coordinator at {coordinator}...");
        }
        LinkStatus::Connected => {
            (console.said_connecting, console.refused, console.problem) = (false, None, None);
            info!(event = "connected", coordinator, "✅ Connected! Ready to contribute compute.");
        }
        LinkStatus::Refused { reason } if console.refused.as_ref() == Some(&reason.detail) => {}
        LinkStatus::Refused { reason } => {
            console.refused = Some(reason.detail.clone());
            error!(
                event = "refused",
                coordinator, "⛔ The coordinator at {coordinator} refuses this worker: {reason}"
            );
        }
        LinkStatus::Offline => {
            let (Some(LinkProblem { detail: problem, .. }), now) = (link.problem(), time.elapsed()) else {
                return;
            };
            if console.is_news(problem, was == LinkStatus::Connected, now) {
                warn!(event = "offline", coordinator, problem, "{}", not_connected(problem));
            }
        }
    }
}

/// Prints the status line when it is due and something has changed.
pub(crate) fn show_status(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { console, session, next, time, .. } = parts;
    let figures = Figures::of(session);
    if figures == console.shown {
        return;
    }
    let since = time.elapsed().saturating_sub(console.shown_at);
    if since < console.every {
        next.within(console.every.saturating_sub(since));
        return;
    }
    let tasks = figures.computed - console.shown.computed;
    let per_second = per_second(tasks, since, console.every);
    let median_ms = session.median().unwrap_or_default().as_secs_f64() * 1e3;
    let (accepted, rejected) = figures.verdicts;
    let account = session.account().unwrap_or_default();
    info!(
        event = "status",
        tasks = figures.computed,
        failed = figures.failed,
        per_second,
        median_ms,
        accepted,
        rejected,
        earned_nanos = figures.earned,
        account_earned_nanos = account.earned.0,
        account_pending_nanos = account.pending.0,
        account_paid_nanos = account.paid.0,
        "📊 {} task(s), {per_second:.1}/s, p50 {median_ms:.2} ms, {accepted} accepted, {rejected} rejected. {}",
        figures.computed,
        total_earned(session, time.elapsed())
    );
    (console.shown_at, console.shown) = (time.elapsed(), figures);
}

/// Tasks per second. While something happens, a line comes after each `every`; so if the last line is longer ago,
/// nothing happened in between, and the tasks count over `every` alone.
fn per_second(tasks: u64, since: Duration, every: Duration) -> f64 {
    tasks as f64 / since.min(every).as_secs_f64()
}

/// Prints the sum of the session when the worker leaves.
pub(crate) fn show_farewell(parts: &mut WorkerParts<'_, '_>) {
    let WorkerParts { console, exit, session, time, .. } = parts;
    if exit.is_empty() || std::mem::replace(&mut console.said_farewell, true) {
        return;
    }
    let (accepted, rejected) = session.verdicts();
    let account = session.account().unwrap_or_default();
    info!(
        event = "farewell",
        tasks = session.computed_count(),
        failed = session.failed_count(),
        accepted,
        rejected,
        earned_nanos = session.earned().0,
        account_earned_nanos = account.earned.0,
        account_pending_nanos = account.pending.0,
        account_paid_nanos = account.paid.0,
        "👋 {} task(s) computed, {} failed, {accepted} accepted, {rejected} rejected",
        session.computed_count(),
        session.failed_count()
    );
    info!("{}", total_earned(session, time.elapsed()));
}

/// For example `Total earned by this worker: $0.083 (33 minutes uptime, $0.15/hour)`, and then the account's figures.
fn total_earned(session: &SessionEarnings, uptime: Duration) -> String {
    let per_hour = session.earned_per_hour(uptime).map(|nanos| format!(", {nanos}/hour")).unwrap_or_default();
    let own =
        format!("Total earned by this worker: {} ({} uptime{per_hour})", session.earned(), spoken(uptime));
    match session.account() {
        Some(account) => format!("{own}. Its account: {account}"),
        // The coordinator has not sent a statement yet.
        None => own,
    }
}

/// A duration as one would say it: `40 seconds`, `33 minutes`, `2.5 hours`.
fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} second{}", if seconds == 1 { "" } else { "s" }),
        60..3_600 => format!("{} minute{}", seconds / 60, if seconds < 120 { "" } else { "s" }),
        _ => format!("{:.1} hours", duration.as_secs_f64() / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::{Nanos, WorkerSession, WorkerStatement};

    use super::*;

    #[test]
    fn a_problem_is_told_once_and_a_loss_not_twice() {
        let mut console = Console::new(&WorkerConfig::named("ada"));
        let at = Duration::from_secs;
        assert!(!console.is_news("no sign of life", true, at(10)));
        assert!(!console.is_news("no sign of life", false, at(11)));
        assert!(console.is_news("nobody answers", false, at(12)));
        assert!(!console.is_news("nobody answers", false, at(13)));
        assert!(console.is_news("nobody answers", false, at(12) + PROBLEM_AGAIN));
    }

    #[test]
    fn a_problem_that_ends_in_a_question_ends_the_sentence() {
        let said = not_connected("nobody answers; does its firewall let it through?");
        assert!(said.contains("tries go on") && said.ends_with("let it through?"), "{said}");
    }

    #[test]
    fn what_the_worker_earned_and_what_its_account_has_are_two_figures() {
        let mut session = SessionEarnings::default();
        let said = |session: &SessionEarnings| total_earned(session, Duration::from_mins(1));
        assert_eq!(said(&session), "Total earned by this worker: $0.00 (1 minute uptime, $0.00/hour)");
        let own = WorkerSession { earned: Nanos(2_500_000), accepted: 1, rejected: 0 };
        let mut statement =
            WorkerStatement { earned: Nanos(1_250_000_000), session: own, ..WorkerStatement::default() };
        session.record(&statement);
        let text = "Total earned by this worker: $0.0025 (1 minute uptime, $0.15/hour). Its account: ";
        assert_eq!(said(&session), format!("{text}$1.25 confirmed, $0.00 pending, $0.00 paid"));
        statement.pending = Nanos(200_000_000);
        statement.paid = Nanos(1_000_000_000);
        session.record(&statement);
        assert_eq!(said(&session), format!("{text}$0.05 confirmed, $0.20 pending, $1.00 paid"));
    }

    #[test]
    fn the_first_tasks_after_a_quiet_night_are_not_counted_over_the_night() {
        let every = Duration::from_secs(10);
        let told = |since| format!("{:.1}", per_second(50, since, every));
        assert_eq!(told(Duration::from_secs(10)), "5.0");
        assert_eq!(told(Duration::from_hours(9)), "5.0");
    }

    #[test]
    fn uptime_is_spoken() {
        let said = |seconds| spoken(Duration::from_secs(seconds));
        assert_eq!(said(1), "1 second");
        assert_eq!(said(59), "59 seconds");
        assert_eq!(said(60), "1 minute");
        assert_eq!(said(33 * 60 + 5), "33 minutes");
        assert_eq!(said(9_000), "2.5 hours");
    }
}
