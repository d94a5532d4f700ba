//! What an account has spent in the last hour, and its hourly spending cap.

use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::{Micros, Nanos};

use crate::ledger::RecentCharge;

/// The hourly spending cap of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum HourCap {
    /// The cap of the coordinator's settings, which holds for all accounts without their own.
    #[default]
    AsEverybody,
    /// No cap: only the balance limits what it spends.
    Unlimited,
    /// This cap.
    At(Nanos),
}

impl HourCap {
    /// The cap in force, where `everybody` is that of the settings; `None` for no cap.
    pub fn or(self, everybody: Option<Nanos>) -> Option<Nanos> {
        match self {
            Self::AsEverybody => everybody,
            Self::Unlimited => None,
            Self::At(cap) => Some(cap),
        }
    }
}

/// Whole minutes that count: the current, partial one and sixty before it, so that any sixty minutes are covered.
const MINUTES: usize = 61;
const MINUTE_US: u64 = 60_000_000;

/// What an account has spent in each of the last minutes.
#[derive(Clone)]
pub struct LastHour {
    /// By minute, in a ring.
    spent: [Nanos; MINUTES],
    /// The current minute.
    minute: u64,
    sum: Nanos,
}

impl Default for LastHour {
    fn default() -> Self {
        Self { spent: [Nanos::ZERO; MINUTES], minute: 0, sum: Nanos::ZERO }
    }
}

impl LastHour {
    /// Takes over earlier charges, also from before the coordinator's start. A charge may be up to a minute older than
    /// recorded, so it counts up to a minute too long, never too short.
    pub fn spent_before(&mut self, charges: &[RecentCharge], now: Micros) {
        self.go_on(now);
        for charge in charges {
            let minute = minute_of(now, charge.ago);
            if minute + MINUTES as u64 > self.minute {
                self.spent[place(minute)] += charge.amount;
                self.sum += charge.amount;
            }
        }
    }

    /// Adds an amount that is spent now.
    pub fn spend(&mut self, nanos: Nanos, now: Micros) {
        self.go_on(now);
        self.spent[place(self.minute)] += nanos;
        self.sum += nanos;
    }

    /// What was spent in the last hour.
    pub fn spent(&mut self, now: Micros) -> Nanos {
        self.go_on(now);
        self.sum
    }

    /// Clears the minutes that are older than an hour; amortised constant time.
    fn go_on(&mut self, now: Micros) {
        let minute = minute_of(now, Duration::ZERO);
        let passed = minute.saturating_sub(self.minute).min(MINUTES as u64);
        for ago in 0..passed {
            let oldest = &mut self.spent[place(minute - ago)];
            self.sum -= std::mem::take(oldest);
        }
        self.minute = self.minute.max(minute);
    }
}

/// The number of the minute `ago` before `now`. The clock starts in minute [`MINUTES`], so that minutes before its
/// start have numbers too.
fn minute_of(now: Micros, ago: Duration) -> u64 {
    let now_us = now.0.saturating_add(MINUTES as u64 * MINUTE_US);
    now_us.saturating_sub(Micros::from(ago).0) / MINUTE_US
}

fn place(minute: u64) -> usize {
    (minute % MINUTES as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn minute(minute: u64) -> Micros {
        Micros(minute * MINUTE_US)
    }

    #[test]
    fn any_sixty_minutes_are_covered_and_older_ones_are_not() {
        let mut hour = LastHour::default();
        hour.spend(Nanos(70), minute(0));
        hour.spend(Nanos(30), minute(30));
        assert_eq!(hour.spent(minute(60)), Nanos(100));
        assert_eq!(hour.spent(minute(61)), Nanos(30));
        hour.spend(Nanos(5), minute(61));
        assert_eq!(hour.spent(minute(91)), Nanos(5));
        assert_eq!(hour.spent(minute(10_000)), Nanos::ZERO);
        hour.spend(Nanos(1), minute(9_000));
        assert_eq!(hour.spent(minute(10_060)), Nanos(1), "a clock that goes back spends now");
        assert_eq!(hour.spent(minute(10_061)), Nanos::ZERO);
    }

    #[test]
    fn what_was_spent_before_the_clock_began_counts_until_it_is_an_hour_old() {
        let charge =
            |amount, minutes| RecentCharge { amount: Nanos(amount), ago: Duration::from_mins(minutes) };
        let mut hour = LastHour::default();
        hour.spent_before(
            &[charge(1, 200), charge(2, 61), charge(10, 59), charge(100, 20), charge(1_000, 0)],
            minute(0),
        );
        assert_eq!(hour.spent(minute(0)), Nanos(1_110));
        assert_eq!(hour.spent(minute(1)), Nanos(1_110), "sixty minutes ago");
        assert_eq!(hour.spent(minute(2)), Nanos(1_100));
        hour.spend(Nanos(5), minute(30));
        assert_eq!(hour.spent(minute(40)), Nanos(1_105));
        assert_eq!(hour.spent(minute(41)), Nanos(1_005));
        assert_eq!(hour.spent(minute(61)), Nanos(5));
        assert_eq!(hour.spent(minute(91)), Nanos::ZERO);
    }
}
