//! What the operator sees: lines for people, or one JSON object a line.
//!
//! Everything goes through `tracing`. Events with the target [`TARGET`] are the coordinator's own reports and print as
//! sentences; JSON has the same events with their fields. A line per task appears only at debug level, so that the log
//! stays readable at ten thousand tasks a second.

use std::time::Duration;

use p2c2r_join::JoinLink;
use p2c2r_link::NextWake;
use p2c2r_program::log::{Fields, Story};
use p2c2r_program::{Log, LogError, LogFormat, Output};
use p2c2r_protocol::{Micros, Role};
use tracing::info;

use crate::config::ServerConfig;
use crate::core::Core;
use crate::core::state::tally::Tally;

/// Target of the events that print as sentences.
pub const TARGET: &str = "p2c2r_server::console";

/// renet and renetcode log malformed packets as errors; the link counts these and logs them at debug itself. Bevy's
/// clock warns about long pauses between updates, which are normal in this event-driven program.
const QUIET: &str = "renet=off,renetcode=off,bevy_app=info,bevy_time=info";

/// Starts logging to standard output.
pub fn start_logging(config: &ServerConfig) -> Result<(), LogError> {
    let story = Story { target: TARGET, sentence };
    Log { filter: &config.log, defaults: QUIET, format: config.log_format, to: Output::Standard, story }
        .start()
}

/// Says that the coordinator listens.
pub fn greet(address: std::net::SocketAddr, config: &ServerConfig) {
    info!(target: TARGET, event = "banner", version = env!("CARGO_PKG_VERSION"), "P2C2R coordinator");
    info!(
        target: TARGET, event = "listening", address = %address, db = %config.db.display(),
        fallback = ?config.fallback, kinds = config.kinds.identity().text, "listening on {address}"
    );
}

/// Whether join links may be shown: a link lets people in, so it is for the person who starts the coordinator, and neither for
/// all readers of a journal nor for a program that collects log lines.
pub fn may_show_links(config: &ServerConfig) -> bool {
    config.log_format == LogFormat::Text && !Output::Standard.is_journal()
}

/// Logs the join links of the first start, or how to make some; `advice` says from where the links work if the operator
/// has not set that.
pub fn show_links(links: &[(Role, JoinLink)], command: &str, advice: Option<&str>) {
    for (role, link) in links {
        info!(target: TARGET, event = "join_link", role = %role, link = %link, "{role}s join with {link}");
    }
    if links.is_empty() {
        info!(target: TARGET, event = "invite", "🔑 Join links: {command} invite gamer|worker");
    }
    if let Some(advice) = advice {
        info!(target: TARGET, event = "reach", "📍 {advice}");
    }
}

fn sentence(fields: &Fields) -> String {
    let get = |name| fields.get(name);
    match get("event") {
        "banner" => format!("☁️  P2C2R COORDINATOR {}\n============================", get("version")),
        "listening" => format!(
            "🌐 Server started, {}\n💾 Database: {} (storing all computations)\n🧩 Kinds: {}; without workers: {}",
            get("message"),
            get("db"),
            get("kinds"),
            get("fallback").to_lowercase()
        ),
        "join_link" => format!("🔑 {}s join with: {}", get("role"), get("link")),
        "joined" => {
            let icon = if get("role") == "Gamer" { "🎮" } else { "📡" };
            let (role, name) = (get("role"), get("name"));
            format!("{icon} {role} connected: {name} ({}, key {})", get("address"), get("account"))
        }
        "left" => {
            let (role, name) = (get("role"), get("name"));
            format!("👋 {role} disconnected: {name} (key {}): {}", get("account"), get("reason"))
        }
        "task" => format!("📥 Task received: {} from {} (#{})", get("kind"), get("gamer"), get("task")),
        "routed" => {
            format!("   → Routing to {} (#{}, attempt {})", get("worker"), get("task"), get("attempt"))
        }
        "result" => format!("📤 Result ready: {} ({} ms) (#{})", get("kind"), get("ms"), get("task")),
        _ => get("message").to_owned(),
    }
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The summary line.
pub fn summary(workers: usize, gamers: usize, tally: &Tally) -> String {
    format!(
        "Network: {}, {}, {} completed | Revenue: {} (coordinator fee: {})",
        count(workers as u64, "worker"),
        count(gamers as u64, "gamer"),
        count(tally.completed(), "task"),
        tally.revenue,
        tally.fee
    )
}

/// The summary line that was written last, and when.
#[derive(Default)]
pub struct Summary {
    at: Micros,
    /// The tally, workers and gamers.
    said: Option<(Tally, usize, usize)>,
}

/// Writes the summary line if something changed, at most once in `every`.
pub fn summarise(core: &Core, now: Micros, every: Duration, last: &mut Summary, next_wake: &mut NextWake) {
    let (tally, workers, gamers) = (core.tally(), core.workers(), core.gamers());
    let state = (*tally, workers.len(), gamers.len());
    if last.said == Some(state) || (last.said.is_none() && workers.is_empty() && gamers.is_empty()) {
        return;
    }
    let passed = Duration::from_micros(now.0.saturating_sub(last.at.0));
    if let Some(left) = every.checked_sub(passed).filter(|left| !left.is_zero()) {
        next_wake.within(left);
        return;
    }
    *last = Summary { at: now, said: Some(state) };
    let Tally { refused, by_workers, by_coordinator, from_cache, failed, rejected, stray, .. } = *tally;
    let Tally { checked_deeply, waited_for_checks, unchecked, undecided, .. } = *tally;
    let Tally { convicted, hedged, hedges_won, .. } = *tally;
    let queue_age_ms = core.tasks().oldest_waiting().map_or(0, |since| now.since(since) / 1_000);
    info!(
        target: TARGET, event = "summary", workers = workers.len(), gamers = gamers.len(),
        completed = tally.completed(), by_workers, by_coordinator, from_cache, refused, failed, rejected,
        stray, checked_deeply, waited_for_checks, unchecked, undecided, convicted, hedged, hedges_won,
        queue_age_ms,
        revenue_nanos = tally.revenue.0, fee_nanos = tally.fee.0,
        "{}", summary(workers.len(), gamers.len(), tally)
    );
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::Nanos;

    use super::*;

    #[test]
    fn the_summary_counts_in_plain_english() {
        let tally =
            Tally { by_workers: 47, revenue: Nanos(500_000_000), fee: Nanos(50_000_000), ..Tally::default() };
        assert_eq!(
            summary(1, 2, &tally),
            "Network: 1 worker, 2 gamers, 47 tasks completed | Revenue: $0.50 (coordinator fee: $0.05)"
        );
    }
}
