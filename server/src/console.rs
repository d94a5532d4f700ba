//! What the operator sees: lines for people, or one JSON object a line.
//!
//! Everything goes through `tracing`. Events with the target [`TARGET`] are the coordinator's own story and
//! print as sentences; JSON has the same events with their fields. One line per task appears only at debug, so
//! that ten thousand tasks a second stay readable.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::time::Duration;

use bevy_ecs::system::{Local, Res, ResMut};
use p2c2r_link::{LinkClock, NextWake};
use p2c2r_protocol::Micros;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, info};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, ServerConfig};
use crate::desk::{Settings, Tally};
use crate::error::ServerError;
use crate::registry::Workers;
use crate::sessions::Gamers;

/// Target of the events that print as sentences.
pub const TARGET: &str = "p2c2r_server::console";

/// renet and renetcode log peers' garbage as errors; the link counts it and logs it at debug itself. Bevy's
/// clock reports every pause between two updates, which is how this program lives.
const QUIET: &str = "renet=off,renetcode=off,bevy_app=info,bevy_time=info";

/// Starts logging to standard output.
pub fn start_logging(config: &ServerConfig) -> Result<(), ServerError> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log))
        .map_err(|error| ServerError::Config(format!("log is `{}`: {error}", config.log)))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stdout);
    let started = match config.log_format {
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
        LogFormat::Text => builder.with_ansi(use_colour()).event_format(Sentences).try_init(),
    };
    started.map_err(|error| ServerError::Config(format!("logging did not start: {error}")))
}

/// Whether escapes may be written: to a terminal, unless the person asked for none (no-color.org).
fn use_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Says that the coordinator listens.
pub fn greet(address: std::net::SocketAddr, config: &ServerConfig) {
    info!(target: TARGET, event = "banner", version = env!("CARGO_PKG_VERSION"), "P2C2R coordinator");
    info!(
        target: TARGET, event = "listening", address = %address, db = %config.db.display(),
        fallback = ?config.fallback, kinds = config.kinds.identity().text, "listening on {address}"
    );
}

/// The fields of an event, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

/// Prints the coordinator's story as sentences and everything else as `LEVEL module: message field=value`.
/// Control characters from peers never reach the terminal.
struct Sentences;

impl<S, N> FormatEvent<S, N> for Sentences
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = String::new();
        if event.metadata().target() == TARGET {
            sentence(&fields, &mut line)?;
        } else {
            plain(event, &fields, writer.has_ansi_escapes(), &mut line)?;
            return writeln!(writer, "{line}");
        }
        line.retain(|c| c == '\n' || !c.is_control());
        writeln!(writer, "{line}")
    }
}

fn sentence(fields: &Fields, line: &mut String) -> fmt::Result {
    let get = |name| fields.get(name);
    match get("event") {
        "banner" => write!(line, "☁️  P2C2R COORDINATOR {}\n============================", get("version")),
        "listening" => {
            writeln!(line, "🌐 Server started, {}", get("message"))?;
            writeln!(line, "💾 Database: {} (storing all computations)", get("db"))?;
            write!(line, "🧩 Kinds: {}; without workers: {}", get("kinds"), get("fallback").to_lowercase())
        }
        "joined" => {
            let icon = if get("role") == "Gamer" { "🎮" } else { "📡" };
            write!(line, "{icon} {} connected: {} ({})", get("role"), get("name"), get("address"))
        }
        "left" => write!(line, "👋 {} disconnected: {} ({})", get("role"), get("name"), get("reason")),
        "task" => write!(line, "📥 Task received: {} from {} (#{})", get("kind"), get("gamer"), get("task")),
        "routed" => {
            write!(line, "   → Routing to {} (#{}, attempt {})", get("worker"), get("task"), get("attempt"))
        }
        "result" => write!(line, "📤 Result ready: {} ({} ms) (#{})", get("kind"), get("ms"), get("task")),
        _ => line.write_str(get("message")),
    }
}

fn plain(event: &Event<'_>, fields: &Fields, colour: bool, line: &mut String) -> fmt::Result {
    let level = *event.metadata().level();
    let (on, off) = match level {
        _ if !colour => ("", ""),
        Level::ERROR => ("\x1b[31m", "\x1b[0m"),
        Level::WARN => ("\x1b[33m", "\x1b[0m"),
        _ => ("\x1b[2m", "\x1b[0m"),
    };
    let mut text = String::new();
    // What comes through the `log` crate names its origin in a field.
    let target = Some(fields.get("log.target")).filter(|target| !target.is_empty());
    write!(text, "{}: {}", target.unwrap_or(event.metadata().target()), fields.get("message"))?;
    for (name, value) in fields.0.iter().filter(|(name, _)| *name != "message" && !name.starts_with("log.")) {
        write!(text, " {name}={value}")?;
    }
    text.retain(|c| !c.is_control());
    write!(line, "{on}{level:5}{off} {text}")
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

/// Writes the summary line now and then, if something changed.
pub fn summarise(
    tally: Res<'_, Tally>,
    workers: Res<'_, Workers>,
    gamers: Res<'_, Gamers>,
    settings: Res<'_, Settings>,
    clock: Res<'_, LinkClock>,
    mut next_wake: ResMut<'_, NextWake>,
    mut last: Local<'_, (Micros, Option<(Tally, usize, usize)>)>,
) {
    let now = clock.now();
    let state = (*tally, workers.len(), gamers.len());
    if last.1 == Some(state) || (last.1.is_none() && workers.is_empty() && gamers.is_empty()) {
        return;
    }
    let passed = Duration::from_micros(now.0.saturating_sub(last.0.0));
    if let Some(left) = settings.0.summary_every.checked_sub(passed).filter(|left| !left.is_zero()) {
        next_wake.within(left);
        return;
    }
    *last = (now, Some(state));
    let Tally { refused, by_workers, by_coordinator, from_cache, failed, rejected, stray, .. } = *tally;
    info!(
        target: TARGET, event = "summary", workers = workers.len(), gamers = gamers.len(),
        completed = tally.completed(), by_workers, by_coordinator, from_cache, refused, failed, rejected,
        stray, revenue_nanos = tally.revenue.0, fee_nanos = tally.fee.0,
        "{}", summary(workers.len(), gamers.len(), &tally)
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

    #[test]
    fn peers_cannot_write_escapes_to_the_terminal() {
        let mut line = String::new();
        let fields = Fields(vec![
            ("event", "joined".into()),
            ("role", "Worker".into()),
            ("name", "evil\x1b[2J\u{7}".into()),
            ("address", "127.0.0.1:1".into()),
        ]);
        sentence(&fields, &mut line).unwrap();
        line.retain(|c| c == '\n' || !c.is_control());
        assert_eq!(line, "📡 Worker connected: evil[2J (127.0.0.1:1)");
    }
}
