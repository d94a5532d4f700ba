//! What becomes of the messages of panics that are caught.

use p2c2r_protocol::catch_panic::is_catching;

/// Sends the messages of panics that [`catch_panic`](p2c2r_protocol::catch_panic::catch_panic) catches to the log at
/// debug, so that a hostile peer cannot flood it; others are reported as before. To be called once, by the program.
pub fn quiet_caught_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if is_catching() {
            tracing::debug!(%info, "a panic was caught");
        } else {
            before(info);
        }
    }));
}
