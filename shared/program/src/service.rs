//! What a service manager is told: that the program is ready, that it is alive, and that it ends.
//!
//! The protocol is systemd's `sd_notify`. Without a service manager that asks for it, and on other systems, nothing is
//! sent.

use std::time::Duration;

/// When to say the next time that the program is alive. Times are those of the program's own clock, from any beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    every: Duration,
    at: Duration,
}

impl Watchdog {
    /// The one of a service manager that ends this program after a silence; `None` if none does.
    pub fn of_service_manager() -> Option<Self> {
        enabled().map(Self::within)
    }

    /// One that waits so long.
    fn within(silence: Duration) -> Self {
        // Half of what the service manager waits, as its documentation advises.
        Self { every: silence / 2, at: Duration::ZERO }
    }

    /// How long to wait for the next word, if none is due now; after one that is due, how long until the next.
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

/// Says that the program does what it is for; `status` is for whoever looks at the service.
pub fn say_ready(status: &str) {
    say("READY=1", Some(status));
}

/// Says that the program is alive. To be said by what would hang if the program did, not by a thread of its own.
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
