//! What a service manager is told: that the program is ready, that it is alive, and that it ends.
//!
//! The protocol is systemd's `sd_notify`. Without a service manager that asks for it, and on other systems, nothing is
//! sent.

use std::time::Duration;

/// When the next watchdog notification is due. Times are those of the program's own clock, with any origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    every: Duration,
    at: Duration,
}

impl Watchdog {
    /// The watchdog that the service manager has set for this program; `None` if none is set.
    pub fn of_service_manager() -> Option<Self> {
        enabled().map(Self::within)
    }

    /// A watchdog with this time-out.
    fn within(silence: Duration) -> Self {
        // Half of what the service manager waits, as its documentation advises.
        Self { every: silence / 2, at: Duration::ZERO }
    }

    /// Whether a notification is due now, and the time until the next one.
    pub fn due(&mut self, now: Duration) -> (bool, Duration) {
        let is_due = now >= self.at;
        if is_due {
            self.at = now.saturating_add(self.every);
        }
        (is_due, self.at.saturating_sub(now))
    }
}

#[cfg(target_os = "linux")]
fn enabled() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// There is no such service manager here.
#[cfg(not(target_os = "linux"))]
fn enabled() -> Option<Duration> {
    None
}

/// Notifies that the program is ready; `status` is shown to people who look at the service.
pub fn say_ready(status: &str) {
    say("READY=1", Some(status));
}

/// Notifies that the program is alive. To be called from the code that would hang with the program, not from a separate
/// thread.
pub fn say_alive(status: &str) {
    say("WATCHDOG=1", Some(status));
}

/// Says that the program ends.
pub fn say_stopping() {
    say("STOPPING=1", None);
}

#[cfg(target_os = "linux")]
fn say(what: &str, status: Option<&str>) {
    use sd_notify::NotifyState;

    let states: Vec<_> =
        std::iter::once(NotifyState::Custom(what)).chain(status.map(NotifyState::Status)).collect();
    if let Err(error) = sd_notify::notify(&states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// There is no such service manager here.
#[cfg(not(target_os = "linux"))]
fn say(_: &str, _: Option<&str>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fed_twice_within_the_silence_that_ends_a_program() {
        let mut watchdog = Watchdog::within(Duration::from_secs(30));
        let seconds = Duration::from_secs;
        assert_eq!(watchdog.due(seconds(100)), (true, seconds(15)));
        assert_eq!(watchdog.due(seconds(104)), (false, seconds(11)));
        assert_eq!(watchdog.due(seconds(116)), (true, seconds(15)));
    }
}
