//! What was spent in the last sixty minutes.

use p2c2r_protocol::Nanos;

/// Amounts by minute, of which those of the last sixty minutes count. The caller numbers the minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollingHour {
    minutes: Vec<(u64, Nanos)>,
}

impl RollingHour {
    /// Whole minutes that count: the current, partial one and sixty before it, so that any sixty minutes are covered. Errs
    /// towards counting an amount too long.
    pub const MINUTES: u64 = 61;

    /// The amounts of these minutes.
    pub fn of(minutes: impl IntoIterator<Item = (u64, Nanos)>) -> Self {
        Self { minutes: minutes.into_iter().collect() }
    }

    /// Adds an amount to the minute `now`, and forgets minutes that no longer count.
    pub fn add(&mut self, now: u64, amount: Nanos) {
        self.minutes.retain(|(minute, _)| counts(*minute, now));
        match self.minutes.iter_mut().find(|(minute, _)| *minute == now) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None => self.minutes.push((now, amount)),
        }
    }

    /// The sum at the minute `now`, at most the largest amount there is. Minutes that lie ahead, because a clock was set
    /// back, count: no amount is taken for older than it is.
    pub fn sum(&self, now: u64) -> Nanos {
        let counting = self.minutes.iter().filter(|(minute, _)| counts(*minute, now));
        counting.fold(Nanos::ZERO, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// Every minute for which there is an amount, and the amount.
    pub fn minutes(&self) -> &[(u64, Nanos)] {
        &self.minutes
    }
}

fn counts(minute: u64, now: u64) -> bool {
    minute.saturating_add(RollingHour::MINUTES) > now
}
