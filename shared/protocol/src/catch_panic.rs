//! Runs code on a stranger's data so that a panic in it becomes a value: kernels, checks, renet and netcode,
//! drivers.
//!
//! None of that code should panic; this module limits the damage if it does. A program that calls
//! `p2c2r_program::quiet_caught_panics` logs the message of such a panic at debug only, because a hostile
//! peer that finds the right bytes must not be able to flood the log.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// The code panicked. Displayed without its message, which is not for peers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("panicked")]
pub struct Panicked {
    /// The panic's message, for the log of the machine it happened on.
    pub message: String,
}

/// Runs `work`; a panic inside comes out as [`Panicked`]. What `work` leaves half done must not be used
/// again: callers pass owned data, or discard what they lent.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(outer);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let message = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Panicked { message: message.unwrap_or("no message").to_owned() }
    })
}

/// Whether this thread is inside of [`catch_panic`], for panic hooks.
pub fn is_catching() -> bool {
    CATCHING.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value() {
        let panicked = |message: &str| Panicked { message: message.to_owned() };
        assert_eq!(catch_panic(|| 1), Ok(1));
        assert_eq!(catch_panic(|| -> u8 { std::panic::panic_any(7) }), Err(panicked("no message")));
        assert_eq!(
            catch_panic(|| (catch_panic(|| -> u8 { panic!("inner") }), is_catching())),
            Ok((Err(panicked("inner")), true)),
        );
        assert_eq!(catch_panic(|| -> u8 { panic!("{} formatted", 1) }), Err(panicked("1 formatted")));
        assert!(!is_catching());
    }
}
