//! Says why the game borrows from nobody: in one line with what the player can do, and in full.

use p2c2r_link::problem::{BRIEF_CHARS_MAX, fit};
use p2c2r_offload::LocalReason;

/// What is wrong and what to do, in at most [`BRIEF_CHARS_MAX`] characters.
pub(crate) fn brief(reason: &LocalReason) -> String {
    let said = match reason {
        LocalReason::NoCoordinator => {
            "Nobody to borrow from: type a join link in Settings, Borrowing".to_owned()
        }
        LocalReason::SwitchedOff => "Borrowing is switched off: this computer does it all".to_owned(),
        LocalReason::NotConnected { reason } => reason.brief().to_owned(),
        LocalReason::Closing { .. } => "The coordinator is closing: tries go on".to_owned(),
        LocalReason::SessionCap { cap } => format!("This session has spent its {cap}: you play alone now"),
        LocalReason::HourCap { cap } => format!("This hour's {cap} is spent: wait, or raise the cap"),
        LocalReason::BalanceTooLow { available } => {
            format!("Your account has only {available} left: ask the operator")
        }
    };
    fit(&said, BRIEF_CHARS_MAX)
}

/// The full reason, where more is known than [`brief`] says; for a page that has room for it.
pub(crate) fn detail(reason: &LocalReason) -> Option<String> {
    match reason {
        LocalReason::NotConnected { reason } if reason.detail.contains(' ') => Some(reason.detail.clone()),
        LocalReason::Closing { reason } => Some(reason.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_offload::LinkProblem;
    use p2c2r_protocol::Nanos;

    use super::*;

    #[test]
    fn every_reason_is_whole_on_one_line() {
        let dear = Nanos(1_234_567_890_123);
        for reason in [
            LocalReason::NoCoordinator,
            LocalReason::SwitchedOff,
            LocalReason::NotConnected { reason: LinkProblem::new("x".repeat(90), "all of it") },
            LocalReason::Closing { reason: "so it goes ".repeat(30) },
            LocalReason::SessionCap { cap: dear },
            LocalReason::HourCap { cap: dear },
            LocalReason::BalanceTooLow { available: dear },
        ] {
            let said = brief(&reason);
            assert!(said.len() <= BRIEF_CHARS_MAX && !said.contains('\n'), "{said}");
            let is_cut = said.ends_with("..");
            assert_eq!(is_cut, matches!(reason, LocalReason::NotConnected { .. }), "{said}");
        }
    }
}
