//! What was earned and how quickly it can be: the coordinator's statements, followed over a session that may
//! span many connections. Nothing here is believed by anyone else; it is for the helper's eyes.

use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{Nanos, PriceList, WorkUnits, WorkerStatement, WorkerWelcome};
use tracing::{debug, info, warn};

use crate::attempts::Offer;

/// Work units of one core used fully for an hour.
const CORE_HOUR: WorkUnits = WorkUnits(3_600_000_000);
/// Response times kept for the median; enough for a steady figure, few enough to sort at leisure.
const RECENT_MAX: usize = 512;

/// The part of a statement that is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    earned: i64,
    accepted: u64,
    rejected: u64,
}

/// What this program has done and earned since it was started.
#[derive(Resource, Debug, Default)]
pub struct Session {
    account: Option<Account>,
    earned: i64,
    accepted: u64,
    rejected: u64,
    computed: u64,
    failed: u64,
    recent: Vec<Duration>,
    recent_next: usize,
}

impl Session {
    /// Takes over the account at joining and says what can be earned.
    pub fn welcome(&mut self, welcome: WorkerWelcome, offer: &Offer) {
        let account = Account::of(&welcome.statement);
        match self.account {
            // After a lost connection the account has what was judged meanwhile. A smaller one is another
            // ledger's: following starts again from there.
            Some(before) if account.earned >= before.earned && account.accepted >= before.accepted => {
                self.follow(account);
            }
            _ => self.account = Some(account),
        }
        let hourly = hourly_max(&welcome.prices, offer).as_dollars();
        info!(event = "welcome", name = %welcome.name, slots = offer.slots, dollars_per_hour_max = hourly,
            "💰 Earning rate: up to ${hourly:.2}/hour ({} slot(s) fully used)", offer.slots);
    }

    /// Follows the account and says what became of attempts.
    pub fn record(&mut self, statement: &WorkerStatement) {
        self.follow(Account::of(statement));
        for notice in statement.verdicts.iter().filter(|notice| notice.rejected.is_none()) {
            debug!(task = %notice.task, attempt = %notice.attempt, nanos = notice.earned.0,
                "💰 {}: earned {}", notice.task, notice.earned);
        }
        let mut rejected = statement.verdicts.iter().filter_map(|notice| notice.rejected.as_ref());
        if let Some(first) = rejected.next() {
            let count = 1 + rejected.count();
            warn!(event = "rejected", count, "❌ {count} answer(s) not accepted, the first because: {first}");
        }
    }

    fn follow(&mut self, account: Account) {
        let before = self.account.replace(account).unwrap_or(account);
        // Signed: a coordinator may take pending pay back. Saturating: its numbers are not to be trusted.
        self.earned = self.earned.saturating_add(account.earned.saturating_sub(before.earned));
        self.accepted = self.accepted.saturating_add(account.accepted.saturating_sub(before.accepted));
        self.rejected = self.rejected.saturating_add(account.rejected.saturating_sub(before.rejected));
    }

    /// Counts an attempt that gave an outcome `took` after it arrived.
    pub fn computed(&mut self, took: Duration) {
        self.computed += 1;
        if self.recent.len() < RECENT_MAX {
            self.recent.push(took);
        } else {
            self.recent[self.recent_next] = took;
        }
        self.recent_next = (self.recent_next + 1) % RECENT_MAX;
    }

    /// Counts an attempt that gave none.
    pub fn failed(&mut self) {
        self.failed += 1;
    }

    /// Attempts that gave an outcome.
    pub fn computed_count(&self) -> u64 {
        self.computed
    }

    /// Attempts that gave none, because the kernel refused or panicked.
    pub fn failed_count(&self) -> u64 {
        self.failed
    }

    /// Earned since this program was started, as durably recorded.
    pub fn earned(&self) -> Nanos {
        Nanos(self.earned)
    }

    /// Earned since the account was opened; `None` before the first statement.
    pub fn account_earned(&self) -> Option<Nanos> {
        self.account.map(|account| Nanos(account.earned))
    }

    /// Attempts accepted and rejected since this program was started.
    pub fn verdicts(&self) -> (u64, u64) {
        (self.accepted, self.rejected)
    }

    /// Median time from arrival to outcome over the latest attempts.
    pub fn median(&self) -> Option<Duration> {
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

impl Account {
    fn of(statement: &WorkerStatement) -> Self {
        Self { earned: statement.earned.0, accepted: statement.accepted, rejected: statement.rejected }
    }
}

/// The most that `offer` can earn in an hour: every slot a core, fully used, with the best-paid kind.
pub fn hourly_max(prices: &PriceList, offer: &Offer) -> Nanos {
    let best = offer
        .kinds
        .iter()
        .filter_map(|kind| prices.price(kind.id(), CORE_HOUR))
        .map(|price| price.0 - prices.fee(price).0)
        .max()
        .unwrap_or(0);
    Nanos(best.saturating_mul(i64::from(offer.slots)))
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::KindId;
    use p2c2r_tasks::KindRegistry;

    use super::*;

    fn offer() -> Offer {
        Offer { kinds: KindRegistry::builtin(), slots: 2 }
    }

    fn statement(earned: i64, accepted: u64, rejected: u64) -> WorkerStatement {
        WorkerStatement { earned: Nanos(earned), accepted, rejected, ..WorkerStatement::default() }
    }

    fn welcome(earned: i64, accepted: u64) -> WorkerWelcome {
        let prices =
            PriceList { version: 1, nanos_per_mega_unit: vec![(KindId(1), 46_296)], fee_basis_points: 1_000 };
        WorkerWelcome { name: "w".into(), prices, statement: statement(earned, accepted, 0) }
    }

    #[test]
    fn session_counts_from_joining_and_over_reconnects() {
        let mut session = Session::default();
        session.welcome(welcome(1_000, 10), &offer());
        assert_eq!(session.earned(), Nanos(0));
        session.record(&statement(1_500, 12, 1));
        assert_eq!((session.earned(), session.verdicts()), (Nanos(500), (2, 1)));
        session.welcome(welcome(1_600, 13), &offer());
        assert_eq!((session.earned(), session.account_earned()), (Nanos(600), Some(Nanos(1_600))));
    }

    #[test]
    fn pay_taken_back_lowers_the_session_and_another_ledger_does_not() {
        let mut session = Session::default();
        session.welcome(welcome(0, 0), &offer());
        session.record(&statement(900, 3, 0));
        session.record(&statement(300, 3, 1));
        assert_eq!(session.earned(), Nanos(300));
        session.welcome(welcome(0, 0), &offer());
        session.record(&statement(50, 1, 0));
        assert_eq!(session.earned(), Nanos(350));
    }

    #[test]
    fn absurd_statements_do_not_overflow() {
        let mut session = Session::default();
        session.welcome(welcome(i64::MIN, 0), &offer());
        session.record(&statement(i64::MAX, u64::MAX, u64::MAX));
        session.record(&statement(i64::MIN, 0, 0));
        let mut dear = welcome(0, 0);
        dear.prices.nanos_per_mega_unit[0].1 = u64::MAX;
        session.welcome(dear, &offer());
        dear = welcome(0, 0);
        dear.prices.nanos_per_mega_unit[0].1 = 2_000_000_000_000_000;
        assert_eq!(hourly_max(&dear.prices, &offer()), Nanos(i64::MAX));
    }

    #[test]
    fn two_slots_earn_up_to_thirty_cents_an_hour() {
        let hourly = hourly_max(&welcome(0, 0).prices, &offer()).as_dollars();
        assert!((hourly - 0.30).abs() < 1e-4, "{hourly}");
    }

    #[test]
    fn median_is_of_the_latest_attempts() {
        let mut session = Session::default();
        assert_eq!(session.median(), None);
        for ms in 0..2_000 {
            session.computed(Duration::from_millis(ms));
        }
        assert_eq!(session.median(), Some(Duration::from_millis(2_000 - RECENT_MAX as u64 / 2)));
    }
}
