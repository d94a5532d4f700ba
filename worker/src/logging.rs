//! How log lines look: sentences for a person, or one JSON object per line for a collector.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::error::WorkerError;

/// The link counts what the first two complain of, and a hostile peer could fill the log through them; the others
/// tell what a graphics driver lacks, which we do not use.
const QUIET: &str = "renet=off,renetcode=off,wgpu_core=error,wgpu_hal=error,naga=error";

/// Sends every log line of this process to standard output.
pub fn init(filter: &str, format: LogFormat) -> Result<(), WorkerError> {
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{filter}"))
        .map_err(|error| WorkerError::LogFilter(error.to_string()))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stdout);
    let done = match format {
        LogFormat::Json => subscriber.json().flatten_event(true).with_ansi(false).try_init(),
        LogFormat::Text => {
            let colour =
                io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
            subscriber.with_ansi(colour).event_format(Sentences).try_init()
        }
    };
    // A second initialisation keeps the first, which is what a program that embeds two workers wants.
    let _ = done;
    Ok(())
}

/// Our own lines as sentences, without their fields; what libraries say with level, target and fields.
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
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let ours = target.starts_with(env!("CARGO_CRATE_NAME"));
        let mut line = Line { text: String::new(), fields: !ours };
        event.record(&mut line);
        let colour = match level {
            _ if !writer.has_ansi_escapes() => "",
            Level::ERROR => "\u{1b}[31m",
            Level::WARN => "\u{1b}[33m",
            Level::INFO => "",
            _ => "\u{1b}[2m",
        };
        let plain = if colour.is_empty() { "" } else { "\u{1b}[0m" };
        if ours {
            writeln!(writer, "{colour}{}{plain}", line.text)
        } else {
            writeln!(writer, "{colour}{level} {target}: {}{plain}", line.text)
        }
    }
}

struct Line {
    text: String,
    fields: bool,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let start = self.text.len();
        // Writing into a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name if self.fields => write!(self.text, " {name}={value:?}"),
            _ => Ok(()),
        };
        // Reasons and names come from peers: none of them may move the cursor or recolour the terminal.
        if self.text[start..].contains(char::is_control) {
            let clean = self.text[start..].replace(char::is_control, "\u{fffd}");
            self.text.replace_range(start.., &clean);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Sentences)
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn our_lines_are_sentences_and_others_name_their_source() {
        assert_eq!(written(|| tracing::info!(event = "x", "Connected!")), "Connected!\n");
        assert_eq!(written(|| tracing::warn!(target: "other", size = 3, "odd")), "WARN other: odd size=3\n");
    }

    #[test]
    fn a_peer_cannot_write_escapes_to_the_terminal() {
        let reason = "\u{1b}]0;owned\u{7}\r\nConnected!";
        let line = written(|| tracing::info!("Lost: {reason}"));
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
        assert_eq!(line.lines().count(), 1);
    }
}
