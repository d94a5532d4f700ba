//! The log: lines for people or JSON objects for programs, written where a lost reader does no harm.
//!
//! Everything goes through `tracing`. A program's own reports print as sentences, everything else as
//! `LEVEL module: message field=value`. A line starts with the time only where nothing else records it: a terminal's reader sees it
//! arrive and a service manager's journal stamps it, while a file or a pipe does neither.

mod lines;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

pub use lines::{Fields, LineFormatter, Story};

use crate::output::Output;

/// Longest filter in bytes: some hundred directives. Every log statement is matched against all of them.
pub const FILTER_BYTES_MAX: usize = 4_096;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the settings of a log are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The filter is not valid.
    #[error(
        "the log filter `{filter}` is not valid: {reason}; good ones are `info` and `info,p2c2r_link=debug`"
    )]
    Filter {
        /// What was asked for.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The filter is too long.
    #[error("the log filter has {bytes} bytes, not 0 to {FILTER_BYTES_MAX}")]
    FilterTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// What is logged, how, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    /// What the person asked for: a level or a `tracing` filter; see [`check_filter`].
    pub filter: &'a str,
    /// Directives that hold unless `filter` says otherwise, such as the silence of a noisy library.
    pub defaults: &'static str,
    /// How lines look.
    pub format: LogFormat,
    /// Where they go.
    pub to: Output,
    /// Which events print as sentences.
    pub story: Story,
}

impl Log<'_> {
    /// Starts logging in this process. If there is a subscriber already, it stays: a program that embeds this one has
    /// chosen it.
    pub fn start(&self) -> Result<(), LogError> {
        check_filter(self.filter)?;
        let filter = parse(&self.directives())?;
        let to = self.to;
        // An event that cannot be formatted is dropped; the library would print that, and panic if it could not.
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(move || to)
            .log_internal_errors(false);
        let _earlier = match self.format {
            LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).try_init(),
            LogFormat::Text => {
                let lines = LineFormatter::new(self.story, !to.is_terminal() && !to.is_journal());
                builder.with_ansi(to.takes_colour()).event_format(lines).try_init()
            }
        };
        Ok(())
    }

    /// The defaults and what the person asked for, which wins where both name the same target. `off` is everything off.
    fn directives(&self) -> String {
        if self.filter.trim().eq_ignore_ascii_case("off") {
            return "off".to_owned();
        }
        format!("{},{}", self.defaults, self.filter)
    }
}

/// Whether `filter` can be a log's, without starting one.
pub fn check_filter(filter: &str) -> Result<(), LogError> {
    if filter.len() > FILTER_BYTES_MAX {
        return Err(LogError::FilterTooLong { bytes: filter.len() });
    }
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    // Trims each directive first: the library computes offsets without the leading blanks but applies them to the text
    // with blanks, which shifts each part and panics on a cut inside a character.
    let directives: Vec<&str> = filter.split(',').map(str::trim).collect();
    // Field values are compared as text, not as patterns: a pattern of a few bytes can need gigabytes.
    EnvFilter::builder()
        .with_regex(false)
        .parse(directives.join(","))
        .map_err(|error| LogError::Filter { filter: filter.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_are_levels_or_directives() {
        for good in ["", "off", "info", "debug,p2c2r_link=trace", "[span{field=value}]=warn"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        let said = check_filter("p2c2r_link=loud").unwrap_err().to_string();
        assert!(said.contains("p2c2r_link=loud"), "{said}");
        assert!(check_filter(&"a,".repeat(FILTER_BYTES_MAX)).is_err());
    }

    #[test]
    fn off_silences_what_the_defaults_leave_on_too() {
        let with = |filter| {
            let story = Story::messages_of("p2c2r");
            Log { filter, defaults: "noisy=error", format: LogFormat::Text, to: Output::Standard, story }
                .directives()
        };
        assert_eq!(with(" off"), "off");
        assert_eq!(with("debug,other=off"), "noisy=error,debug,other=off");
    }

    #[test]
    fn blanks_around_directives_are_no_part_of_them() {
        for (blanks, without) in
            [(" warn , p2c2r_link=debug ", "warn,p2c2r_link=debug"), ("\ta=info", "a=info")]
        {
            assert_eq!(parse(blanks).unwrap().to_string(), parse(without).unwrap().to_string(), "{blanks}");
        }
        assert!(check_filter(" ²=").is_ok(), "a name and no level");
    }

    proptest! {
        #[test]
        fn no_filter_panics(filter in r"[\[\]{}=,a-z/\\(*+?0-9|^$. ]{0,60}|\PC{0,60}|[ \t]{1,3}\PC{0,6}[=\[,{]\PC{0,6}") {
            let _ = check_filter(&filter);
        }
    }
}
