//! What the session may spend, has spent, and has reserved for tasks in flight.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::{Micros, Nanos};

use crate::switch::{LocalReason, OffloadCaps};

const MINUTE: Duration = Duration::from_mins(1);
/// Whole minutes that count for the hourly cap: the current, partial one and sixty before it, so that any
/// sixty minutes are covered. Errs towards counting spending too long.
const MINUTES: u64 = 61;
/// How long the ledger's sum may lag behind the end of a task: statements come once a second, and travel. Shorter, and a
/// ledger that is late would be believed too soon; longer only keeps money back for longer.
const LAG: Duration = Duration::from_secs(3);

/// Keeps spending under its caps: a task is sent only if its price fits besides everything spent, everything reserved
/// for tasks whose receipts are still to come, and everything that may have been charged without one.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    /// Sum of all receipts.
    receipts: Nanos,
    reserved: Nanos,
    /// Prices of tasks that ended without a receipt and may have been charged, by the time at which the ledger's sum has
    /// that: one sum for each frame.
    doubted: VecDeque<(Micros, Nanos)>,
    /// What the ledger has charged without a receipt.
    unseen: Nanos,
    /// What coordinators that were left may have charged since their last statement.
    left_behind: Nanos,
    /// Minute, counted from [`MINUTES`] before the start, and what was spent in it, with a receipt or without; oldest
    /// first.
    minutes: VecDeque<(u64, Nanos)>,
}

fn minute_of(now: Micros) -> u64 {
    MINUTES + now.0 / Micros::from(MINUTE).0
}

fn plus(a: Nanos, b: Nanos) -> Nanos {
    // A hostile coordinator's prices must not overflow.
    Nanos(a.0.saturating_add(b.0))
}

fn in_doubt_until(now: Micros) -> Micros {
    Micros(now.0.saturating_add(Micros::from(LAG).0))
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

    /// Refuses a price that does not fit under the caps.
    pub fn check(&self, caps: OffloadCaps, price: Nanos, now: Micros) -> Result<(), LocalReason> {
        let doubted = self.doubted.iter().filter(|(until, _)| *until > now);
        let planned = doubted.fold(plus(self.reserved, price), |sum, (_, price)| plus(sum, *price));
        if let Some(cap) = caps.session
            && plus(self.total(), planned) > cap
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

    /// Releases a reserved price: a receipt says what was charged, or nothing was.
    pub fn release(&mut self, price: Nanos) {
        self.reserved = Nanos(self.reserved.0.saturating_sub(price.0).max(0));
    }

    /// Releases a reserved price once the ledger's sum has what was charged of it, for there will be no receipt.
    pub fn doubt(&mut self, price: Nanos, now: Micros) {
        self.release(price);
        self.doubted.retain(|(until, _)| *until > now);
        match self.doubted.back_mut() {
            Some((until, sum)) if *until == in_doubt_until(now) => *sum = plus(*sum, price),
            _ => self.doubted.push_back((in_doubt_until(now), price)),
        }
    }

    /// The coordinator is there again, and says only from now on what it has charged.
    pub fn doubt_again(&mut self, now: Micros) {
        for (until, _) in &mut self.doubted {
            *until = in_doubt_until(now);
        }
    }

    /// Another coordinator takes over: nobody will say what was charged for what is in doubt.
    pub fn leave_coordinator(&mut self, now: Micros) {
        let lost = self.doubted.drain(..).fold(Nanos::ZERO, |sum, (_, price)| plus(sum, price));
        self.left_behind = plus(self.left_behind, lost);
        self.count(lost, now);
    }

    /// Counts a receipt.
    pub fn spend(&mut self, price: Nanos, now: Micros) {
        self.receipts = plus(self.receipts, price);
        self.count(price, now);
    }

    /// Notes what the ledger says this session has been charged. What is more than the receipts' sum was charged without
    /// one: for work that was cancelled or late, or whose receipt was lost with a connection. It counts in the minute in
    /// which it is noticed, and is never reduced: the ledger's sum lags behind the receipts, so a smaller difference means
    /// nothing. To be told of every statement, since receipts that come before the next one hide the difference.
    pub fn note_charged(&mut self, charged: Nanos, now: Micros) {
        let unseen = Nanos(charged.0.saturating_sub(self.receipts.0));
        self.doubted.retain(|(until, _)| *until > now);
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
    pub fn receipts(&self) -> Nanos {
        self.receipts
    }

    /// What the session has cost so far, with receipts and without.
    fn total(&self) -> Nanos {
        plus(plus(self.receipts, self.unseen), self.left_behind)
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
        assert!(spending.check(SESSION, Nanos(40), minute(0)).is_ok());
        assert!(spending.check(SESSION, Nanos(41), minute(0)).is_err());
        spending.release(Nanos(60));
        spending.spend(Nanos(50), minute(0));
        assert!(spending.check(SESSION, Nanos(50), minute(0)).is_ok());
        assert!(spending.check(SESSION, Nanos(51), minute(0)).is_err());
        // The ledger has charged 30 more.
        spending.note_charged(Nanos(80), minute(0));
        assert!(spending.check(SESSION, Nanos(20), minute(0)).is_ok());
        assert!(spending.check(SESSION, Nanos(21), minute(0)).is_err());
        spending.spend(Nanos(i64::MAX), minute(0));
        assert!(spending.check(SESSION, Nanos(1), minute(0)).is_err());
    }

    #[test]
    fn receipts_do_not_hide_what_was_charged_without_one() {
        for caps in [SESSION, HOUR] {
            let mut spending = Spending::default();
            spending.spend(Nanos(30), minute(0));
            spending.note_charged(Nanos(70), minute(0));
            // The ledger lags behind this receipt.
            spending.spend(Nanos(20), minute(0));
            spending.note_charged(Nanos(70), minute(0));
            assert!(spending.check(caps, Nanos(10), minute(0)).is_ok());
            assert!(spending.check(caps, Nanos(11), minute(0)).is_err());
        }
    }

    #[test]
    fn what_may_have_been_charged_counts_until_the_ledger_has_told() {
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        for caps in [SESSION, HOUR] {
            let mut spending = Spending::default();
            let room = |spending: &Spending, room: i64, now: Micros| {
                assert!(spending.check(caps, Nanos(room), now).is_ok());
                assert!(spending.check(caps, Nanos(room + 1), now).is_err());
            };
            spending.reserve(Nanos(60));
            spending.doubt(Nanos(60), at(1));
            spending.note_charged(Nanos::ZERO, at(2));
            room(&spending, 40, at(2));
            spending.note_charged(Nanos(10), at(3));
            room(&spending, 90, at(4));
            // The connection is lost: what was out then is told of only once there is another.
            spending.reserve(Nanos(20));
            spending.doubt(Nanos(20), at(5));
            spending.doubt_again(at(50));
            spending.note_charged(Nanos(10), at(50));
            room(&spending, 70, at(50));
            // Nobody will ever tell.
            spending.leave_coordinator(at(51));
            room(&spending, 70, at(99));
        }
    }

    #[test]
    fn an_hour_moves_on() {
        let mut spending = Spending::default();
        spending.spend(Nanos(70), minute(0));
        spending.spend(Nanos(30), minute(30));
        let cap = LocalReason::HourCap { cap: Nanos(100) };
        assert_eq!(spending.check(HOUR, Nanos(1), minute(60)), Err(cap));
        assert!(spending.check(HOUR, Nanos(70), minute(61)).is_ok());
        assert!(spending.check(HOUR, Nanos(71), minute(61)).is_err());
        assert!(spending.check(HOUR, Nanos(100), minute(91)).is_ok());
    }

    #[test]
    fn an_hour_counts_charges_without_a_receipt_once_and_for_an_hour() {
        let mut spending = Spending::default();
        spending.note_charged(Nanos(70), minute(0));
        assert!(spending.check(HOUR, Nanos(31), minute(0)).is_err());
        assert!(spending.check(HOUR, Nanos(30), minute(1)).is_ok());
        // A receipt that the ledger has not charged yet says nothing about lost ones.
        spending.spend(Nanos(20), minute(2));
        for charged in [Nanos(70), Nanos(90)] {
            spending.note_charged(charged, minute(2));
            assert!(spending.check(HOUR, Nanos(10), minute(2)).is_ok());
            assert!(spending.check(HOUR, Nanos(11), minute(2)).is_err());
        }
        assert!(spending.check(HOUR, Nanos(80), minute(61)).is_ok());
        assert!(spending.check(HOUR, Nanos(100), minute(63)).is_ok());
    }
}
