//! The clock by which renet resends unacknowledged messages.
//!
//! renet waits a fixed 70 ms. Over a longer round trip everything would travel several times: the gamer, the helper and the
//! operator pay for that, and at 1 Mbit/s there is no room for it. So a connection's clock is slowed until those 70 ms take
//! as long as an acknowledgement. A lost packet then arrives a whole round trip late, which `parity.rs` avoids. What both
//! cost and save is in `docs/PERFORMANCE.md`, "Sending again".

use std::time::Duration;

use p2c2r_protocol::Channel;

/// The longest time-out; a longer measurement must have been disturbed.
const TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// One connection's clock.
#[derive(Debug)]
pub(crate) struct ResendClock {
    /// When it was last advanced, by the program's clock.
    advanced_at: Duration,
    shows: Duration,
    /// How long one second of it takes, at least 1.
    slowness: f64,
}

impl ResendClock {
    /// Shows zero at `now`.
    pub(crate) fn new(now: Duration) -> Self {
        Self { advanced_at: now, shows: Duration::ZERO, slowness: 1.0 }
    }

    /// Advances it to `now`; returns by how much, which is for renet's clock.
    pub(crate) fn advance(&mut self, now: Duration) -> Duration {
        let mut passed = now.saturating_sub(self.advanced_at);
        if self.slowness > 1.0 {
            passed = passed.div_f64(self.slowness);
        }
        self.advanced_at = now.max(self.advanced_at);
        self.shows += passed;
        passed
    }

    /// What it showed when it was last advanced.
    pub(crate) fn shows(&self) -> Duration {
        self.shows
    }

    /// When it will show `shows`, by the program's clock. Errs late, by a microsecond.
    pub(crate) fn time_of(&self, shows: Duration) -> Duration {
        let left = shows.saturating_sub(self.shows);
        if self.slowness > 1.0 && !left.is_zero() {
            return self.advanced_at + left.mul_f64(self.slowness) + Duration::from_micros(1);
        }
        self.advanced_at + left
    }

    /// Sets its pace from the time that an acknowledgement takes.
    pub(crate) fn set_pace(&mut self, acknowledged_after: Duration) {
        let timeout = acknowledged_after.min(TIMEOUT_MAX);
        let renets = Channel::Tasks.resend_after().expect("tasks are sent reliably");
        self.slowness = timeout.div_duration_f64(renets).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How long renet's 70 ms take.
    fn timeout(acknowledged_after: Duration) -> Duration {
        let mut clock = ResendClock::new(9 * MS);
        clock.advance(10 * MS);
        clock.set_pace(acknowledged_after);
        let due = clock.time_of(clock.shows() + 70 * MS);
        assert!(clock.advance(due) >= 70 * MS, "when it is woken it is time");
        due.saturating_sub(10 * MS)
    }

    #[test]
    fn nothing_is_sent_again_before_it_can_be_acknowledged() {
        for round_trip in [0, 5, 69, 70] {
            assert_eq!(timeout(round_trip * MS), 70 * MS, "as renet does, {round_trip} ms away");
        }
        let is_about = |timeout: Duration, expected: Duration| timeout.abs_diff(expected) < MS;
        assert!(is_about(timeout(400 * MS), 400 * MS));
        assert!(is_about(timeout(3_600_000 * MS), TIMEOUT_MAX));
    }

    #[test]
    fn it_never_goes_back() {
        let mut clock = ResendClock::new(10 * MS);
        clock.set_pace(140 * MS);
        assert_eq!(clock.advance(30 * MS), 10 * MS);
        assert_eq!(clock.advance(20 * MS), Duration::ZERO);
        assert_eq!(clock.advance(30 * MS), Duration::ZERO, "no time counts twice");
        assert_eq!(clock.time_of(5 * MS), 30 * MS, "what is past is due");
    }
}
