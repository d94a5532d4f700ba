//! What the session may spend, has spent, and has reserved for tasks in flight.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{Micros, Nanos};

use crate::switch::{LocalReason, OffloadCaps};

const MINUTE: Duration = Duration::from_mins(1);
/// Whole minutes that count for the hourly cap: the current, partial one and sixty before it, so that any
/// sixty minutes are covered. Errs towards counting spending too long.
const MINUTES: u64 = 61;

/// Keeps spending under its caps: a task is sent only if its price fits besides everything spent and
/// everything reserved for tasks whose receipts are still to come.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    spent: Nanos,
    reserved: Nanos,
    /// The most the ledger has charged beyond all receipts; `minutes` includes it too.
    unseen: Nanos,
    /// Minute, counted from [`MINUTES`] before the start, and what was spent in it; oldest first.
    minutes: VecDeque<(u64, Nanos)>,
}

fn minute_of(now: Micros) -> u64 {
    MINUTES + now.0 / Micros::from(MINUTE).0
}

fn plus(a: Nanos, b: Nanos) -> Nanos {
    // A hostile coordinator's prices must not overflow.
    Nanos(a.0.saturating_add(b.0))
}

impl Spending {
    /// Nothing is spent in this session; `before` is how long before it what was spent, which counts for the hour's cap.
    pub fn new(before: &[(Duration, Nanos)]) -> Self {
        let minute = |ago: Duration| MINUTES.checked_sub(ago.as_secs() / MINUTE.as_secs());
        let counts = before.iter().filter_map(|(ago, spent)| Some((minute(*ago)?, *spent)));
        let mut minutes: VecDeque<(u64, Nanos)> = counts.collect();
        minutes.make_contiguous().sort_unstable_by_key(|(then, _)| *then);
        Self { minutes, ..Self::default() }
    }

    /// Refuses a price that does not fit under the caps. `charged` is what the ledger says this session has
    /// been charged, which is more than the receipts' sum if receipts were lost with a connection.
    pub fn check(
        &mut self,
        caps: OffloadCaps,
        price: Nanos,
        charged: Nanos,
        now: Micros,
    ) -> Result<(), LocalReason> {
        self.note_unseen(charged, now);
        let planned = plus(self.reserved, price);
        if let Some(cap) = caps.session
            && plus(self.spent.max(charged), planned) > cap
        {
            return Err(LocalReason::SessionCap { cap });
        }
        if let Some(cap) = caps.hour
            && plus(self.last_hour(now), planned) > cap
        {
            return Err(LocalReason::HourCap { cap });
        }
        Ok(())
    }

    /// Reserves a price.
    pub fn reserve(&mut self, price: Nanos) {
        self.reserved = plus(self.reserved, price);
    }

    /// Releases a reserved price.
    pub fn release(&mut self, price: Nanos) {
        self.reserved = Nanos(self.reserved.0.saturating_sub(price.0).max(0));
    }

    /// Counts a receipt.
    pub fn spend(&mut self, price: Nanos, now: Micros) {
        self.spent = plus(self.spent, price);
        self.count(price, now);
    }

    /// Counts what the ledger has charged beyond all receipts, in the minute in which it is noticed. It is
    /// never reduced: the ledger's sum lags behind the receipts, so a smaller difference means nothing.
    fn note_unseen(&mut self, charged: Nanos, now: Micros) {
        let unseen = Nanos(charged.0.saturating_sub(self.spent.0));
        if unseen > self.unseen {
            self.count(unseen - self.unseen, now);
            self.unseen = unseen;
        }
    }

    fn count(&mut self, price: Nanos, now: Micros) {
        let minute = minute_of(now);
        while self.minutes.front().is_some_and(|(then, _)| then + MINUTES <= minute) {
            self.minutes.pop_front();
        }
        match self.minutes.back_mut() {
            Some((last, spent)) if *last == minute => *spent = plus(*spent, price),
            _ => self.minutes.push_back((minute, price)),
        }
    }

    /// The sum reserved.
    pub fn reserved(&self) -> Nanos {
        self.reserved
    }

    /// Sum of all receipts.
    pub fn spent(&self) -> Nanos {
        self.spent
    }

    /// What the last sixty minutes cost.
    pub fn last_hour(&self, now: Micros) -> Nanos {
        let minute = minute_of(now);
        let counts = |(then, _): &&(u64, Nanos)| then + MINUTES > minute;
        self.minutes.iter().filter(counts).fold(Nanos::ZERO, |sum, (_, spent)| plus(sum, *spent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: OffloadCaps = OffloadCaps { session: Some(Nanos(100)), hour: None };
    const HOUR: OffloadCaps = OffloadCaps { session: None, hour: Some(Nanos(100)) };

    const fn minute(minute: u64) -> Micros {
        Micros(minute * 60_000_000)
    }

    #[test]
    fn never_a_nano_over_the_session_cap() {
        let mut spending = Spending::default();
        spending.reserve(Nanos(60));
        assert!(spending.check(SESSION, Nanos(40), Nanos::ZERO, minute(0)).is_ok());
        assert!(spending.check(SESSION, Nanos(41), Nanos::ZERO, minute(0)).is_err());
        spending.release(Nanos(60));
        spending.spend(Nanos(50), minute(0));
        assert!(spending.check(SESSION, Nanos(50), Nanos::ZERO, minute(0)).is_ok());
        assert!(spending.check(SESSION, Nanos(51), Nanos::ZERO, minute(0)).is_err());
        // The ledger has charged 30 more.
        assert!(spending.check(SESSION, Nanos(21), Nanos(80), minute(0)).is_err());
        spending.spend(Nanos(i64::MAX), minute(0));
        assert!(spending.check(SESSION, Nanos(1), Nanos::ZERO, minute(0)).is_err());
    }

    #[test]
    fn an_hour_moves_on() {
        let mut spending = Spending::default();
        spending.spend(Nanos(70), minute(0));
        spending.spend(Nanos(30), minute(30));
        let cap = LocalReason::HourCap { cap: Nanos(100) };
        assert_eq!(spending.check(HOUR, Nanos(1), Nanos::ZERO, minute(60)), Err(cap));
        assert!(spending.check(HOUR, Nanos(70), Nanos::ZERO, minute(61)).is_ok());
        assert!(spending.check(HOUR, Nanos(71), Nanos::ZERO, minute(61)).is_err());
        assert!(spending.check(HOUR, Nanos(100), Nanos::ZERO, minute(91)).is_ok());
    }

    #[test]
    fn an_hour_counts_charges_without_a_receipt_once_and_for_an_hour() {
        let mut spending = Spending::default();
        assert!(spending.check(HOUR, Nanos(31), Nanos(70), minute(0)).is_err());
        assert!(spending.check(HOUR, Nanos(30), Nanos(70), minute(1)).is_ok());
        // A receipt that the ledger has not charged yet says nothing about lost ones.
        spending.spend(Nanos(20), minute(2));
        for charged in [Nanos(70), Nanos(90)] {
            assert!(spending.check(HOUR, Nanos(10), charged, minute(2)).is_ok());
            assert!(spending.check(HOUR, Nanos(11), charged, minute(2)).is_err());
        }
        assert!(spending.check(HOUR, Nanos(80), Nanos(90), minute(61)).is_ok());
        assert!(spending.check(HOUR, Nanos(100), Nanos(90), minute(63)).is_ok());
    }
}
