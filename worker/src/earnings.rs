//! Earnings and their rate: follows the coordinator's statements over a session that may span many connections. For
//! display only.
//!
//! Two figures, because several workers can share an account: what this program earned, and what the account holds.

use std::fmt;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{Nanos, PriceList, WorkUnits, WorkerSession, WorkerStatement, WorkerWelcome};
use tracing::{debug, info, warn};

use crate::attempts::Offer;

/// Work units of one core used fully for an hour.
const CORE_HOUR: WorkUnits = WorkUnits(3_600_000_000);
/// Response times kept for the median: enough for a steady figure, few enough to sort.
const RECENT_MAX: usize = 512;

/// What computing costs its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Electricity {
    /// Watts that the computer draws more while all slots compute.
    pub watts: u16,
    /// Hundredths of a dollar for a kilowatt hour.
    pub cents_per_kwh: u16,
}

impl Electricity {
    /// Cost of `computing`, the time of all `slots` slots together. An estimate: each slot draws an equal share of the
    /// watts.
    pub fn cost(self, computing: Duration, slots: u16) -> Nanos {
        /// A cent in nano-dollars, and a kilowatt hour in watts times microseconds.
        const NANOS_PER_CENT: i128 = 10_000_000;
        const WATT_MICROS_PER_KWH: i128 = 3_600 * 1_000 * 1_000_000;
        let micros = i128::from(u64::try_from(computing.as_micros()).unwrap_or(u64::MAX));
        let cent_watt_micros = micros * i128::from(self.watts) * i128::from(self.cents_per_kwh);
        let nanos = cent_watt_micros * NANOS_PER_CENT / WATT_MICROS_PER_KWH / i128::from(slots.max(1));
        Nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

/// What the account of this worker holds, together with what other workers of the same account earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountEarnings {
    /// Earned since the account was opened.
    pub earned: Nanos,
    /// Of it, pending until the fraud window is over.
    pub pending: Nanos,
    /// Of it, paid out.
    pub paid: Nanos,
}

impl AccountEarnings {
    /// Earnings that are confirmed and not yet paid out.
    pub fn confirmed(self) -> Nanos {
        // Saturating, because the coordinator's numbers are not trusted.
        Nanos(self.earned.0.saturating_sub(self.pending.0).saturating_sub(self.paid.0))
    }
}

impl fmt::Display for AccountEarnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} confirmed, {} pending, {} paid", self.confirmed(), self.pending, self.paid)
    }
}

/// What this program has done and earned since it was started.
#[derive(Resource, Debug, Default)]
pub struct SessionEarnings {
    account: Option<AccountEarnings>,
    /// Of all connections together.
    whole: WorkerSession,
    /// Of the present connection, as last heard.
    connection: WorkerSession,
    computed: u64,
    failed: u64,
    /// Time that kernels took, of all slots together.
    computing: Duration,
    recent: Vec<Duration>,
    recent_next: usize,
}

impl SessionEarnings {
    /// Takes over the account at joining, and logs what can be earned.
    pub fn welcome(&mut self, welcome: WorkerWelcome, offer: &Offer) {
        // A new connection counts from zero. What was judged after the last one broke is in the account alone.
        self.connection = WorkerSession::default();
        self.follow(&welcome.statement);
        let hourly = hourly_max(&welcome.prices, offer).as_dollars();
        info!(event = "welcome", name = %welcome.name, slots = offer.offered.slots, dollars_per_hour_max = hourly,
            "💰 Earning rate: up to ${hourly:.2}/hour ({} slot(s) fully used)", offer.offered.slots);
    }

    /// Takes over a statement's account, and logs its verdicts.
    pub fn record(&mut self, statement: &WorkerStatement) {
        self.follow(statement);
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

    fn follow(&mut self, statement: &WorkerStatement) {
        let WorkerStatement { earned, pending, paid, .. } = *statement;
        self.account = Some(AccountEarnings { earned, pending, paid });
        let before = std::mem::replace(&mut self.connection, statement.session);
        let now = self.connection;
        // Saturating, because the coordinator's numbers are not trusted; signed, because it may take pay back.
        let earned = now.earned.0.saturating_sub(before.earned.0);
        self.whole.earned = Nanos(self.whole.earned.0.saturating_add(earned));
        let add = |whole: u64, now: u64, before: u64| whole.saturating_add(now.saturating_sub(before));
        self.whole.accepted = add(self.whole.accepted, now.accepted, before.accepted);
        self.whole.rejected = add(self.whole.rejected, now.rejected, before.rejected);
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

    /// Counts the time of a kernel.
    pub fn took(&mut self, kernel: Duration) {
        self.computing = self.computing.saturating_add(kernel);
    }

    /// Time that kernels took, of all slots together.
    pub fn computing(&self) -> Duration {
        self.computing
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

    /// Earned by this program since it was started.
    pub fn earned(&self) -> Nanos {
        self.whole.earned
    }

    /// Earnings per hour; `None` in the first minute, when no rate is known.
    pub fn earned_per_hour(&self, uptime: Duration) -> Option<Nanos> {
        const HOUR: i128 = 3_600_000;
        let millis = i128::try_from(uptime.as_millis()).ok().filter(|millis| *millis >= HOUR / 60)?;
        // Rounded to a hundredth of a cent, because smaller digits change with every task.
        let per_hour = i128::from(self.whole.earned.0) * HOUR / millis / 100_000 * 100_000;
        Some(Nanos(i64::try_from(per_hour).unwrap_or(i64::MAX)))
    }

    /// The account, which may have other workers too; `None` before the first statement.
    pub fn account(&self) -> Option<AccountEarnings> {
        self.account
    }

    /// This program's attempts that were accepted and rejected since it was started.
    pub fn verdicts(&self) -> (u64, u64) {
        (self.whole.accepted, self.whole.rejected)
    }

    /// Median time from arrival to outcome over the latest attempts.
    pub fn median(&self) -> Option<Duration> {
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
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
    Nanos(best.saturating_mul(i64::from(offer.offered.slots)))
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::{KindId, WorkerOffer};
    use p2c2r_tasks::KindRegistry;

    use super::*;

    fn offer() -> Offer {
        let kinds = KindRegistry::builtin();
        let offered = WorkerOffer { slots: 2, kernels: kinds.offers(), region: None };
        Offer::new(kinds, offered)
    }

    /// A statement of an account that has earned `account`, of which this connection earned `own` with these verdicts.
    fn statement(account: i64, own: i64, accepted: u64, rejected: u64) -> WorkerStatement {
        WorkerStatement {
            earned: Nanos(account),
            session: WorkerSession { earned: Nanos(own), accepted, rejected },
            ..WorkerStatement::default()
        }
    }

    fn welcome(account: i64) -> WorkerWelcome {
        let prices = PriceList {
            version: 1,
            nanos_per_mega_unit: vec![(KindId(1), 46_296)],
            graphics_nanos_per_mega_unit: Vec::new(),
            fee_basis_points: 1_000,
        };
        WorkerWelcome { name: "w".into(), prices, statement: statement(account, 0, 0, 0) }
    }

    fn account_earned(session: &SessionEarnings) -> Option<Nanos> {
        session.account().map(|account| account.earned)
    }

    #[test]
    fn the_session_counts_its_own_over_reconnects_and_the_account_everyones() {
        let mut session = SessionEarnings::default();
        assert_eq!(account_earned(&session), None);
        session.welcome(welcome(1_000), &offer());
        assert_eq!((session.earned(), account_earned(&session)), (Nanos(0), Some(Nanos(1_000))));
        // 500 of its own; another worker of the account earned 300 meanwhile.
        session.record(&statement(1_800, 500, 2, 1));
        assert_eq!((session.earned(), session.verdicts()), (Nanos(500), (2, 1)));
        assert_eq!(account_earned(&session), Some(Nanos(1_800)));
        // The other worker earns while this one is disconnected.
        session.welcome(welcome(2_500), &offer());
        assert_eq!((session.earned(), account_earned(&session)), (Nanos(500), Some(Nanos(2_500))));
        session.record(&statement(2_600, 100, 1, 0));
        assert_eq!((session.earned(), session.verdicts()), (Nanos(600), (3, 1)));
    }

    #[test]
    fn pay_taken_back_lowers_the_session_and_another_ledger_does_not() {
        let mut session = SessionEarnings::default();
        session.welcome(welcome(0), &offer());
        session.record(&statement(900, 900, 3, 0));
        session.record(&statement(300, 300, 3, 1));
        assert_eq!(session.earned(), Nanos(300));
        session.welcome(welcome(0), &offer());
        session.record(&statement(50, 50, 1, 0));
        assert_eq!(session.earned(), Nanos(350));
    }

    #[test]
    fn absurd_statements_do_not_overflow() {
        let mut session = SessionEarnings::default();
        session.welcome(welcome(i64::MIN), &offer());
        session.record(&statement(i64::MAX, i64::MAX, u64::MAX, u64::MAX));
        session.record(&statement(i64::MIN, i64::MIN, 0, 0));
        session.record(&statement(i64::MAX, i64::MAX, u64::MAX, u64::MAX));
        let mut dear = welcome(0);
        dear.prices.nanos_per_mega_unit[0].1 = u64::MAX;
        session.welcome(dear, &offer());
        dear = welcome(0);
        dear.prices.nanos_per_mega_unit[0].1 = 2_000_000_000_000_000;
        assert_eq!(hourly_max(&dear.prices, &offer()), Nanos(i64::MAX));
    }

    #[test]
    fn what_computing_costs_is_power_times_time_times_price() {
        let electricity = Electricity { watts: 100, cents_per_kwh: 30 };
        // Two slots for five hours each: the computer took 100 W for as long, half a kilowatt hour.
        assert_eq!(electricity.cost(Duration::from_hours(10), 2), Nanos(150_000_000));
        assert_eq!(electricity.cost(Duration::ZERO, 2), Nanos(0));
        let dearest = Electricity { watts: u16::MAX, cents_per_kwh: u16::MAX };
        assert!(dearest.cost(Duration::MAX, 1).0 > 0);
    }

    #[test]
    fn two_slots_earn_up_to_thirty_cents_an_hour() {
        let hourly = hourly_max(&welcome(0).prices, &offer()).as_dollars();
        assert!((hourly - 0.30).abs() < 1e-4, "{hourly}");
    }

    #[test]
    fn median_is_of_the_latest_attempts() {
        let mut session = SessionEarnings::default();
        assert_eq!(session.median(), None);
        for ms in 0..2_000 {
            session.computed(Duration::from_millis(ms));
        }
        assert_eq!(session.median(), Some(Duration::from_millis(2_000 - RECENT_MAX as u64 / 2)));
    }
}
