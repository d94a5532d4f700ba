//! Why there is no connection, in words for a person: on one line of a screen, and in full.
//!
//! The line names what is wrong and what its reader can do. Where nothing can be done but wait, it says that tries go on.

use std::fmt;
use std::net::SocketAddr;

use p2c2r_protocol::limits::REASON_BYTES_MAX;
use p2c2r_protocol::{ProtocolIdentity, printable};

use crate::LinkError;

/// Characters of [`LinkProblem::brief`] at most: a game's banner has room for so many on one line beside its display.
pub const BRIEF_CHARS_MAX: usize = 63;

/// The line about a coordinator that lets nobody in at the moment.
pub const BUSY: &str = "The coordinator is full or busy: wait, tries go on";

/// Why there is no connection: in brief and in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkProblem {
    brief: String,
    /// Everything that is known about it, and what to check; for logs, and for pages with room for it.
    pub detail: String,
}

impl LinkProblem {
    /// A problem with both its sentences. A brief one that is too long is cut.
    pub fn new(brief: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { brief: fit(&brief.into(), BRIEF_CHARS_MAX), detail: detail.into() }
    }

    /// What is wrong and what to do, on one line of at most [`BRIEF_CHARS_MAX`] characters.
    pub fn brief(&self) -> &str {
        &self.brief
    }
}

impl fmt::Display for LinkProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl From<LinkError> for LinkProblem {
    fn from(error: LinkError) -> Self {
        let brief = match &error {
            LinkError::Token(_) => "The coordinator's answer cannot be read: another version?",
            LinkError::Bind { .. } | LinkError::Socket(_) => {
                "This computer's network does not work: tries go on"
            }
        };
        Self::new(brief, error.to_string())
    }
}

/// The text, or as much of it as fits before two dots.
pub fn fit(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(2)).collect();
    kept + ".."
}

/// Nobody answers.
pub fn no_answer(detail: impl Into<String>) -> LinkProblem {
    LinkProblem::new("No answer from the coordinator: tries go on; ask its operator", detail)
}

/// The coordinator lets nobody in just now.
pub fn busy(detail: impl Into<String>) -> LinkProblem {
    LinkProblem::new(BUSY, detail)
}

/// The coordinator, whose identity reads `coordinators`, speaks another protocol than the program of identity `own`.
pub fn other_version(own: &ProtocolIdentity, coordinators: &str, detail: impl Into<String>) -> LinkProblem {
    let (own, theirs) = own.versions_beside(coordinators);
    LinkProblem::new(format!("Coordinator has {theirs}, you {own}: install its version"), detail)
}

pub(crate) fn too_slow(detail: &str) -> LinkProblem {
    LinkProblem::new("The coordinator takes too long to answer: tries go on", detail)
}

pub(crate) fn not_asked() -> LinkProblem {
    LinkProblem::new(
        "This program could not ask for its way in: tries go on",
        "the program's own search for a connect token broke off",
    )
}

pub(crate) fn not_over_udp(server: SocketAddr) -> LinkProblem {
    let port = server.port();
    LinkProblem::new(
        format!("No answer over UDP {port}: a firewall? Try another network"),
        format!(
            "the coordinator answers over TCP at {server}, but not over UDP; does every firewall on the way let UDP \
             port {port} through?"
        ),
    )
}

/// netcode's refusal, which gives no other reason.
pub(crate) fn full() -> LinkProblem {
    busy("the coordinator is full, or no longer takes the connect token that it gave")
}

/// The coordinator ended the connection, and may have said why.
pub(crate) fn goodbye(said: Option<String>) -> LinkProblem {
    let detail = match said {
        Some(said) => printable(&said, REASON_BYTES_MAX),
        None => "the coordinator closed the connection".to_owned(),
    };
    LinkProblem::new("The coordinator ended the connection: tries go on", detail)
}

pub(crate) fn lost(detail: String) -> LinkProblem {
    LinkProblem::new("The connection is lost: it is being made again", detail)
}

pub(crate) fn overfull(detail: String) -> LinkProblem {
    LinkProblem::new("The line is too full: the connection is being made again", detail)
}

pub(crate) fn nonsense(detail: String) -> LinkProblem {
    LinkProblem::new("The coordinator sends nonsense: ask its operator", detail)
}

pub(crate) fn closed(detail: &str) -> LinkProblem {
    LinkProblem::new("This program has closed the connection", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_sentence_is_cut_where_it_is_too_long_and_the_other_is_not() {
        let long = "ö".repeat(BRIEF_CHARS_MAX + 1);
        let problem = LinkProblem::new(long.clone(), long.clone());
        assert!(problem.brief().chars().count() == BRIEF_CHARS_MAX && problem.brief().ends_with(".."));
        assert_eq!(problem.to_string(), long);
    }

    #[test]
    fn no_problem_of_a_connection_is_too_long_for_its_line() {
        let server = SocketAddr::from(([203, 0, 113, 7], u16::MAX));
        let socket = LinkError::Socket(std::io::ErrorKind::Other.into());
        for problem in [
            no_answer(""),
            busy(""),
            too_slow(""),
            not_asked(),
            not_over_udp(server),
            full(),
            goodbye(None),
            lost(String::new()),
            overfull(String::new()),
            nonsense(String::new()),
            closed(""),
            LinkError::Token(String::new()).into(),
            socket.into(),
        ] {
            assert!(!problem.brief().is_empty() && !problem.brief().ends_with(".."), "{problem:?}");
        }
    }

    #[test]
    fn what_a_coordinator_says_at_the_end_has_nothing_that_a_terminal_would_obey() {
        let problem = goodbye(Some("an update\u{1b}[2J\u{202e}\nis due".to_owned()));
        assert_eq!(problem.to_string(), "an update[2Jis due");
    }

    #[test]
    fn another_version_is_named_beside_ones_own_however_long_they_are() {
        let of = |version: &str, id: u64| ProtocolIdentity {
            id,
            text: format!("p2c2r/{version} r4 path.v7 physics.v7 ({id:016x})"),
        };
        for (own, theirs, named) in [
            ("0.1.0", "0.2.0", ["0.1.0:", "0.2.0,"]),
            ("0.1.0", "0.1.0", ["0.1.0-0000:", "0.1.0-9f3a,"]),
            ("0.10.12-beta", "0.10.13-beta", ["you 0.10.12", "has 0.10.13"]),
        ] {
            let theirs = of(theirs, 0x9f3a << 48);
            let problem = other_version(&of(own, 1), &theirs.text, "all of it");
            let brief = problem.brief();
            assert!(named.iter().all(|named| brief.contains(named)), "{brief}");
            assert!(brief.ends_with("install its version"), "{brief}");
        }
    }
}
