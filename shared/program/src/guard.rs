//! Runs a stranger's data through a kernel or a check so that a panic becomes a value.
//!
//! Kernels and checks promise not to panic; this is for the day one does. Its message then goes to the log at
//! debug, because a hostile peer that finds such a spec must not be able to flood the log.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// The guarded code panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("panicked")]
pub struct Panicked;

/// Runs `work`; a panic inside comes out as [`Panicked`]. What `work` could have left half done is dropped
/// with it: callers hand in owned data only.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    result.map_err(|_| Panicked)
}

/// Sends the messages of guarded panics to the log at debug; others are reported as before. To be called once,
/// by the program.
pub fn quieten_guarded_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if GUARDED.get() {
            tracing::debug!(%info, "a kernel or a check panicked");
        } else {
            before(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value() {
        assert_eq!(guarded(|| 1), Ok(1));
        assert_eq!(guarded(|| -> u8 { std::panic::panic_any(7) }), Err(Panicked));
        assert_eq!(
            guarded(|| (guarded(|| -> u8 { panic!("inner") }), GUARDED.get())),
            Ok((Err(Panicked), true))
        );
        assert!(!GUARDED.get());
    }
}
