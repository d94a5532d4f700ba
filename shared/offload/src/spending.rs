//! What the session may spend, has spent, and has reserved for tasks in flight.

use std::time::Duration;

use p2c2r_protocol::{Micros, Nanos};

use crate::rolling_hour::RollingHour;
use crate::switch::{LocalReason, OffloadCaps, OffloadElsewhere};

const MINUTE: Duration = Duration::from_mins(1);
/// How long the ledger's sum may lag behind events: statements come once a second, and take time to travel. A shorter time
/// would trust a late ledger too soon; a longer one only keeps money back for longer.
const LAG: Duration = Duration::from_secs(3);

/// Keeps spending under its caps: a task is sent only if its price fits besides everything spent, everything reserved
/// for tasks whose receipts are still to come, and everything that may have been charged without one.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    /// Sum of all receipts.
    receipts: Nanos,
    /// The part of it that the present coordinator has sent.
    receipts_here: Nanos,
    reserved: Nanos,
    /// Prices of tasks that ended without a receipt and may have been charged. The ledger's sum shows what was charged
    /// without a receipt only once it includes all receipts, so these prices count in full until nothing has happened for
    /// [`LAG`].
    doubted: Nanos,
    /// When a task was last sent, or ended.
    stirred_at: Micros,
    /// What the present coordinator's ledger has charged without a receipt.
    unseen: Nanos,
    /// What coordinators that were left have charged without a receipt, or may have charged since their last statement.
    left_behind: Nanos,
    /// What was spent in each minute since the start, with a receipt or without.
    hour: RollingHour,
}

fn minute_of(now: Micros) -> u64 {
    now.0 / Micros::from(MINUTE).0
}

impl Spending {
    /// Refuses a price that does not fit under the caps, of which the hour's is also for what was spent `elsewhere`.
    pub fn check(
        &self,
        (caps, elsewhere): (OffloadCaps, OffloadElsewhere),
        price: Nanos,
        now: Micros,
    ) -> Result<(), LocalReason> {
        let planned = self.reserved.saturating_add(self.in_doubt(now)).saturating_add(price);
        if let Some(cap) = caps.session
            && self.total().saturating_add(planned) > cap
        {
            return Err(LocalReason::SessionCap { cap });
        }
        if let Some(cap) = caps.hour
            && elsewhere.0.saturating_add(self.last_hour(now)).saturating_add(planned) > cap
        {
            return Err(LocalReason::HourCap { cap });
        }
        Ok(())
    }

    /// Reserves a price.
    pub fn reserve(&mut self, price: Nanos, now: Micros) {
        self.stir(now);
        self.reserved = self.reserved.saturating_add(price);
    }

    /// Releases a reserved price: a receipt says what was charged, or nothing was.
    pub fn release(&mut self, price: Nanos) {
        self.reserved = Nanos(self.reserved.0.saturating_sub(price.0).max(0));
    }

    /// Releases a reserved price for which there will be no receipt, though it may have been charged.
    pub fn doubt(&mut self, price: Nanos, now: Micros) {
        self.stir(now);
        self.release(price);
        self.doubted = self.doubted.saturating_add(price);
    }

    /// Prices of tasks that ended without a receipt and may have been charged, as far as the ledger has not told yet.
    pub fn in_doubt(&self, now: Micros) -> Nanos {
        if self.is_settled(now) { Nanos::ZERO } else { self.doubted }
    }

    /// Prices in doubt as of the last event, however long ago that was.
    pub fn doubted(&self) -> Nanos {
        self.doubted
    }

    /// Whether nothing has happened for so long that the ledger's sum has everything.
    fn is_settled(&self, now: Micros) -> bool {
        Duration::from(now).saturating_sub(self.stirred_at.into()) >= LAG
    }

    /// Notes that a task was sent or ended, or that the connection was lost. If nothing had happened for [`LAG`], the
    /// ledger has told everything, and earlier doubts are over.
    pub fn stir(&mut self, now: Micros) {
        if self.is_settled(now) {
            self.doubted = Nanos::ZERO;
        }
        self.stirred_at = now;
    }

    /// The coordinator is connected again. Doubts last for another [`LAG`], since only now does it say what it has charged.
    pub fn doubt_again(&mut self, now: Micros) {
        self.stirred_at = now;
    }

    /// Another coordinator takes over. Doubted prices count as spent, since nobody will say what was charged of them.
    pub fn leave_coordinator(&mut self, now: Micros) {
        let lost = std::mem::take(&mut self.doubted);
        let unseen = std::mem::take(&mut self.unseen);
        self.left_behind = self.left_behind.saturating_add(unseen).saturating_add(lost);
        self.count(lost, now);
        // The next coordinator's charges are compared with its own receipts alone: the last ones of this coordinator may
        // not have been in its ledger's sum yet, and would hide as much of what the next one charges without a receipt.
        self.receipts_here = Nanos::ZERO;
    }

    /// Counts a receipt.
    pub fn spend(&mut self, price: Nanos, now: Micros) {
        self.stir(now);
        self.receipts = self.receipts.saturating_add(price);
        self.receipts_here = self.receipts_here.saturating_add(price);
        self.count(price, now);
    }

    /// Notes what the present coordinator says it has charged in this session. What is more than the sum of its receipts was
    /// charged without one: for work that was cancelled or late, or whose receipt was lost with a connection. It counts in
    /// the minute in which it is noticed, and is never reduced: the ledger's sum lags behind the receipts, so a smaller
    /// difference means nothing. Call it for every statement, since receipts that come before the next one hide the
    /// difference.
    pub fn note_charged(&mut self, charged: Nanos, now: Micros) {
        let unseen = Nanos(charged.0.saturating_sub(self.receipts_here.0));
        if unseen > self.unseen {
            self.count(unseen - self.unseen, now);
            self.unseen = unseen;
        }
    }

    fn count(&mut self, price: Nanos, now: Micros) {
        self.hour.add(minute_of(now), price);
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
    pub fn total(&self) -> Nanos {
        self.receipts.saturating_add(self.unseen).saturating_add(self.left_behind)
    }

    /// What the session has cost in the last sixty minutes.
    pub fn last_hour(&self, now: Micros) -> Nanos {
        self.hour.sum(minute_of(now))
    }

    /// What counts of this session for the hour's cap: what the last sixty minutes cost, and what tasks that are out may
    /// cost.
    pub fn hour_at_most(&self, now: Micros) -> Nanos {
        self.last_hour(now).saturating_add(self.reserved.saturating_add(self.in_doubt(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Caps = (OffloadCaps, OffloadElsewhere);

    const NOTHING: OffloadElsewhere = OffloadElsewhere(Nanos::ZERO);
    const SESSION: Caps = (OffloadCaps { session: Some(Nanos(100)), hour: None }, NOTHING);
    const HOUR: Caps = (OffloadCaps { session: None, hour: Some(Nanos(100)) }, NOTHING);

    const fn minute(minute: u64) -> Micros {
        Micros(minute * 60_000_000)
    }

    #[test]
    fn never_a_nano_over_the_session_cap() {
        let mut spending = Spending::default();
        spending.reserve(Nanos(60), minute(0));
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

    /// Exactly `left` may be spent.
    fn assert_left(spending: &Spending, caps: Caps, left: i64, now: Micros) {
        assert!(spending.check(caps, Nanos(left), now).is_ok());
        assert!(spending.check(caps, Nanos(left + 1), now).is_err());
    }

    const fn second(second: u64) -> Micros {
        Micros(second * 1_000_000)
    }

    #[test]
    fn what_may_have_been_charged_counts_until_the_ledger_has_told() {
        for caps in [SESSION, HOUR] {
            let mut spending = Spending::default();
            spending.reserve(Nanos(60), second(1));
            spending.doubt(Nanos(60), second(1));
            spending.note_charged(Nanos::ZERO, second(2));
            assert_left(&spending, caps, 40, second(2));
            spending.note_charged(Nanos(10), second(3));
            assert_left(&spending, caps, 90, second(4));
            // The connection is lost: only the next one tells what the tasks that were out have cost.
            spending.reserve(Nanos(20), second(5));
            spending.doubt(Nanos(20), second(5));
            spending.doubt_again(second(50));
            spending.note_charged(Nanos(10), second(50));
            assert_left(&spending, caps, 70, second(50));
            // Nobody will ever tell.
            spending.leave_coordinator(second(51));
            assert_left(&spending, caps, 70, second(99));
        }
    }

    #[test]
    fn receipts_that_the_ledger_does_not_have_yet_do_not_hide_what_was_charged_without_one() {
        for caps in [SESSION, HOUR] {
            let mut spending = Spending::default();
            spending.reserve(Nanos(40), second(1));
            spending.doubt(Nanos(40), second(1));
            // 5 were charged for it; the ledger has all receipts but the newest.
            for (number, now) in (0..4).map(|number| (number, second(2 + number as u64))) {
                spending.spend(Nanos(10), now);
                spending.note_charged(Nanos(5 + 10 * number), now);
            }
            assert_left(&spending, caps, 20, second(5));
            spending.note_charged(Nanos(45), second(6));
            assert_left(&spending, caps, 55, second(8));
        }
    }

    #[test]
    fn receipts_of_a_coordinator_that_was_left_do_not_hide_charges_of_the_next() {
        for caps in [SESSION, HOUR] {
            let mut spending = Spending::default();
            spending.spend(Nanos(30), second(1));
            // It is left before its ledger has told of that receipt.
            spending.leave_coordinator(second(2));
            spending.note_charged(Nanos(20), second(3));
            assert_left(&spending, caps, 50, second(3));
            spending.spend(Nanos(5), second(4));
            spending.note_charged(Nanos(25), second(5));
            assert_left(&spending, caps, 45, second(5));
        }
    }

    #[test]
    fn what_was_spent_elsewhere_counts_for_the_hour_and_not_for_the_session() {
        let mut spending = Spending::default();
        spending.spend(Nanos(20), second(1));
        spending.reserve(Nanos(10), second(1));
        let elsewhere = OffloadElsewhere(Nanos(60));
        assert_left(&spending, (HOUR.0, elsewhere), 10, second(1));
        assert_left(&spending, (SESSION.0, elsewhere), 70, second(1));
        assert_eq!(spending.hour_at_most(second(1)), Nanos(30));
        assert!(spending.check((HOUR.0, OffloadElsewhere(Nanos(i64::MAX))), Nanos(0), second(1)).is_err());
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
