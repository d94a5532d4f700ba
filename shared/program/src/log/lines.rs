//! How an event becomes a line of text.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Which events a person reads as sentences, and how.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// The events are those whose target starts with this.
    pub target: &'static str,
    /// The sentence, which may have several lines.
    pub sentence: fn(&Fields) -> String,
}

impl Story {
    /// The messages of a crate or module, without their fields.
    pub const fn messages_of(target: &'static str) -> Self {
        Self { target, sentence: |fields| fields.get("message").to_owned() }
    }

    fn tells(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(self.target)
    }
}

/// The fields of an event, as text without control characters: names and reasons come from peers, and must not move the
/// cursor, colour the terminal or start a new line.
#[derive(Debug, Default)]
pub struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// The value of a field; empty if the event has none of this name.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    fn push(&mut self, field: &Field, value: String) {
        let clean = if value.contains(char::is_control) {
            value.replace(char::is_control, "\u{fffd}")
        } else {
            value
        };
        self.0.push((field.name(), clean));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}"));
    }
}

/// Formats events as lines of text.
#[derive(Clone, Copy, Debug)]
pub struct LineFormatter {
    story: Story,
    timed: bool,
}

impl LineFormatter {
    /// Lines that tell `story`, and start with the time (UTC, RFC 3339) if they are `timed`.
    pub fn new(story: Story, timed: bool) -> Self {
        Self { story, timed }
    }
}

impl<S, N> FormatEvent<S, N> for LineFormatter
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
        let text = if self.story.tells(event.metadata()) {
            (self.story.sentence)(&fields)
        } else {
            plain(event.metadata(), &fields)
        };
        let (on, off) = colours(*event.metadata().level(), writer.has_ansi_escapes());
        // Every line of a multi-line sentence has the time, so that lines can be sorted or searched one by one.
        for line in text.lines() {
            if self.timed {
                SystemTime.format_time(&mut writer)?;
                writer.write_char(' ')?;
            }
            writeln!(writer, "{on}{line}{off}")?;
        }
        Ok(())
    }
}

fn plain(metadata: &Metadata<'_>, fields: &Fields) -> String {
    // Events from the `log` crate name their origin in a field.
    let target = Some(fields.get("log.target")).filter(|target| !target.is_empty());
    let target = target.unwrap_or(metadata.target());
    let mut text = format!("{:5} {target}: {}", metadata.level(), fields.get("message"));
    for (name, value) in fields.0.iter().filter(|(name, _)| *name != "message" && !name.starts_with("log.")) {
        // Writing into a string does not fail.
        let _ = write!(text, " {name}={value}");
    }
    text
}

fn colours(level: Level, wanted: bool) -> (&'static str, &'static str) {
    match level {
        _ if !wanted => ("", ""),
        Level::ERROR => ("\u{1b}[31m", "\u{1b}[0m"),
        Level::WARN => ("\u{1b}[33m", "\u{1b}[0m"),
        Level::INFO => ("", ""),
        _ => ("\u{1b}[2m", "\u{1b}[0m"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
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

    fn written_by(lines: LineFormatter, colour: bool, say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(colour)
            .event_format(lines)
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn written(say: impl FnOnce()) -> String {
        written_by(LineFormatter::new(Story::messages_of(env!("CARGO_CRATE_NAME")), false), false, say)
    }

    #[test]
    fn the_story_is_sentences_and_others_name_their_source() {
        assert_eq!(written(|| tracing::info!(event = "x", "Connected!")), "Connected!\n");
        assert_eq!(written(|| tracing::warn!(target: "other", size = 3, "odd")), "WARN  other: odd size=3\n");
    }

    #[test]
    fn a_peer_cannot_write_escapes_to_the_terminal_or_lines_of_its_own() {
        let reason = "\u{1b}]0;owned\u{7}\r\nConnected!";
        for line in [
            written(|| tracing::info!("Lost: {reason}")),
            written(|| tracing::info!(target: "other", reason, ?reason, "Lost")),
        ] {
            assert!(!line.trim_end().contains(char::is_control), "{line:?}");
            assert_eq!(line.lines().count(), 1);
        }
    }

    #[test]
    fn every_line_has_the_time_where_it_is_wanted() {
        let story =
            Story { target: "", sentence: |fields| format!("{}\n{}", fields.get("a"), fields.get("b")) };
        let text =
            written_by(LineFormatter::new(story, true), false, || tracing::info!(a = "one", b = "two", "x"));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for (line, said) in lines.iter().zip(["one", "two"]) {
            let (time, rest) = line.split_once(' ').unwrap();
            assert_eq!(rest, said);
            assert_eq!(time.len(), "2026-11-28T19:11:47.123456Z".len(), "{time}");
            assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
        }
    }

    #[test]
    fn colours_are_written_only_where_they_are_wanted() {
        let lines = LineFormatter::new(Story::messages_of("told"), false);
        let say = || tracing::warn!(target: "told", "Careful");
        assert_eq!(written_by(lines, true, say), "\u{1b}[33mCareful\u{1b}[0m\n");
        assert_eq!(written_by(lines, false, say), "Careful\n");
    }
}
