//! Runs a recording again.

use std::fmt;
use std::path::Path;

use p2c2r_program::settings;
use p2c2r_protocol::{Micros, TaskNo};
use p2c2r_tasks::KindRegistry;

use super::file::{Header, Reader, RecordedFrame, RecordingError};
use crate::config::ServerConfig;
use crate::core::transcript::{Mark, PendingChecks, RecordedEvent, describe, fingerprints};
use crate::core::{Core, Effects};

/// Characters of an event or effect that are shown.
const SHOWN_MAX: usize = 1_000;

/// The result of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The same effects throughout.
    Same {
        /// Events.
        events: u64,
        /// Their effects.
        effects: u64,
        /// From the first event to the last.
        span: Micros,
    },
    /// An event has other effects than when it was recorded.
    Differs {
        /// The number of the event, counted from 1.
        event: u64,
        /// When it was handled.
        now: Micros,
        /// The event.
        what: String,
        /// The number of the first effect that differs, counted from 1 within the event: messages to games, messages to
        /// workers, entries for the ledger, then the others.
        effect: usize,
        /// The replay's effect; `None` if it has none at this place.
        instead: Option<String>,
    },
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same { events, effects, span } => write!(
                f,
                "Replayed {events} events of {:.1} s: the same {effects} effects.",
                span.0 as f64 / 1e6
            ),
            Self::Differs { event, now, what, effect, instead } => {
                writeln!(f, "Event {event} at {:.6} s leads to something else.", now.0 as f64 / 1e6)?;
                writeln!(f, "  event: {what}")?;
                let instead = instead.as_deref().unwrap_or("nothing");
                write!(f, "  effect {effect} differs from the recorded one; now it is: {instead}")
            }
        }
    }
}

/// Runs the recording at `path` on a core with these kinds, up to the first difference.
pub fn replay(path: &Path, kinds: &KindRegistry) -> Result<Replayed, RecordingError> {
    let (mut reader, header) = Reader::open(path, &kinds.identity())?;
    let mut core = core(&header, kinds)?;
    let (mut effects, mut asked) = (Effects::default(), PendingChecks::default());
    let (mut events, mut count, mut first, mut last) = (0, 0, None, Micros(0));
    while let Some(RecordedFrame { now, event, effects: recorded }) = reader.next::<RecordedFrame>()? {
        events += 1;
        first.get_or_insert(now);
        last = now;
        let what = shown(&event);
        let differs =
            |effect: usize, instead| Replayed::Differs { event: events, now, what, effect, instead };
        let Some(event) = event.into_event(&mut asked) else {
            return Ok(differs(0, Some("no check that this verdict is on".to_owned())));
        };
        core.handle(now, event, &mut effects);
        let replayed = fingerprints(&effects, Mark::default());
        if replayed != recorded {
            let same = replayed.iter().zip(&recorded).take_while(|(now, then)| now == then).count();
            let instead = describe(&effects, Mark::default(), same);
            return Ok(differs(same + 1, instead.map(|instead| cut(&instead))));
        }
        count += recorded.len() as u64;
        asked.take(std::mem::take(&mut effects));
    }
    Ok(Replayed::Same { events, effects: count, span: span(first, last) })
}

/// From the first event to the last; zero where a recording that was tampered with goes back in time.
fn span(first: Option<Micros>, last: Micros) -> Micros {
    Micros(last.0.saturating_sub(first.unwrap_or(last).0))
}

fn core(header: &Header, kinds: &KindRegistry) -> Result<Core, RecordingError> {
    let wrong = |error: &dyn fmt::Display| RecordingError::Settings(error.to_string());
    let mut config = ServerConfig { kinds: kinds.clone(), ..ServerConfig::default() };
    settings::apply_text(&mut config, &header.settings).map_err(|error| wrong(&error))?;
    let mut policy = config.policy();
    policy.prices = header.prices.clone();
    // Read from the header, because a settings file cannot express inline computing, which only tests use: it counts as
    // unlimited threads.
    policy.compute_threads = usize::try_from(header.compute.0).unwrap_or(usize::MAX);
    policy.compute_waiting_max = usize::try_from(header.compute.1).unwrap_or(usize::MAX);
    Ok(Core::new(policy, TaskNo(header.next_task), header.seed))
}

fn shown(event: &RecordedEvent) -> String {
    cut(&format!("{event:?}"))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(SHOWN_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_goes_back_in_time_has_a_span_of_zero() {
        assert_eq!(span(Some(Micros(5)), Micros(3)), Micros(0));
        assert_eq!(span(Some(Micros(3)), Micros(5)), Micros(2));
        assert_eq!(span(None, Micros(7)), Micros(0));
    }
}
