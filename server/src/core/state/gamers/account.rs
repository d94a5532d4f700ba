//! One account's mirror: money, spent ids and remembered tasks.

use std::collections::{HashSet, VecDeque};

use p2c2r_protocol::{GamerStatement, Micros, Nanos, NumberHash, PeerId, TaskId, TaskNo};

use super::FinishedTask;
use super::hour::{HourCap, LastHour};
use super::remembered::Remembered;
use super::spent::SpentIds;
use crate::core::fault::{self, Fault};
use crate::core::state::submits::AccountSubmitRates;
use crate::core::steps::charge::{LATE_SHARE, LATE_UNITS_AT_ONCE};
use crate::ledger;

/// One account's mirror.
#[derive(Default)]
pub struct AccountMirror {
    /// Balance as the ledger has durably recorded it, including what the ledger holds for open tasks.
    balance: Nanos,
    /// Held for tasks in flight.
    held: Nanos,
    /// Charged as the ledger has durably recorded it.
    charged: Nanos,
    /// Charges that the ledger has not reported as recorded yet, each with the number of its entry, the oldest first.
    unrecorded: VecDeque<(u64, Nanos)>,
    /// Their sum.
    unrecorded_sum: Nanos,
    /// Number of its tasks that still have rows in the ledger; older ones are folded into sums.
    tasks_recorded: u64,
    /// Its hourly spending cap.
    pub hour_cap: HourCap,
    last_hour: LastHour,
    /// Its used share of the rate limits on examining submits.
    pub rates: AccountSubmitRates,
    /// Units wasted on its late tasks, less its allowance for the units it paid for.
    late_units: u64,
    /// Tasks in flight.
    pub tasks: HashSet<TaskNo, NumberHash>,
    spent: SpentIds,
    pub(super) remembered: Remembered,
    pub(super) sessions: Vec<PeerId>,
    /// Its number in the queue of disconnected accounts; `None` while connected.
    pub(super) away: Option<u64>,
}

impl AccountMirror {
    /// The mirror of an account as the ledger knows it.
    pub(super) fn new(account: &ledger::Account, now: Micros) -> Self {
        let mut last_hour = LastHour::default();
        if !fault::is_made(Fault::ForgetsTheHour) {
            last_hour.spent_before(&account.charged_lately, now);
        }
        Self {
            balance: account.available + account.set_aside,
            charged: account.turnover,
            tasks_recorded: account.tasks_recorded,
            last_hour,
            spent: SpentIds::after(account.largest_task),
            ..Self::default()
        }
    }

    /// What may still be spent.
    pub fn available(&self) -> Nanos {
        self.balance - self.unrecorded_sum - self.held
    }

    /// Held for tasks in flight.
    pub fn held(&self) -> Nanos {
        self.held
    }

    /// Holds `price` for a task.
    pub fn hold(&mut self, price: Nanos) {
        self.held += price;
    }

    /// Gives a hold back.
    pub fn release(&mut self, price: Nanos) {
        assert!(self.held >= price || fault::is_any_made(), "a hold is given back once");
        self.held -= price;
    }

    /// Charges `price` by the ledger entry with the number `entry`. The caller has released the hold, if there was one.
    pub fn charge(&mut self, price: Nanos, entry: u64, now: Micros) {
        if price > Nanos::ZERO {
            self.unrecorded.push_back((entry, price));
            self.unrecorded_sum += price;
            self.last_hour.spend(price, now);
        }
    }

    /// A task in flight is over: what was held for it is given back.
    pub fn task_ended(&mut self, no: TaskNo, held: Nanos) {
        self.release(held);
        self.tasks.remove(&no);
    }

    /// The hourly cap that a task of this price would exceed, together with the last hour's charges and all holds;
    /// `None` if it fits. `everybody` is the default cap.
    pub fn breaks_hour_cap(&mut self, price: Nanos, everybody: Option<Nanos>, now: Micros) -> Option<Nanos> {
        let cap = self.hour_cap.or(everybody)?;
        (self.last_hour.spent(now) + self.held + price > cap).then_some(cap)
    }

    /// `units` were wasted on a late task of this account. Returns whether that is within its allowance for bad luck;
    /// if so, the units are counted.
    pub fn may_be_late(&mut self, units: u64) -> bool {
        let may = self.late_units.saturating_add(units) <= LATE_UNITS_AT_ONCE;
        self.late_units += if may { units } else { 0 };
        may
    }

    /// Counts `units` of outcomes that arrived in time and were paid.
    pub fn was_in_time(&mut self, units: u64) {
        self.late_units = self.late_units.saturating_sub(units / LATE_SHARE);
    }

    /// Takes over the ledger's record of the account after its first `entries` entries. That record includes what the
    /// scheduler did not decide: grants, returned pay, and tasks that the ledger dropped (an id used before a restart).
    pub fn recorded(&mut self, account: &ledger::Account, entries: u64) {
        self.balance = account.available + account.set_aside;
        self.charged = account.turnover;
        self.tasks_recorded = account.tasks_recorded;
        while let Some((_, charged)) = self.unrecorded.pop_front_if(|(entry, _)| *entry <= entries) {
            self.unrecorded_sum -= charged;
        }
    }

    /// Number of its tasks that still have rows in the ledger, as of the ledger's last report.
    pub fn tasks_recorded(&self) -> u64 {
        self.tasks_recorded
    }

    /// Whether `id` was admitted before, or its session was not recently given to this account.
    pub fn is_spent(&self, id: TaskId) -> bool {
        self.spent.contains(id)
    }

    /// Gives a connection the session number for the ids of its tasks: at least `at_least`, and larger than all that
    /// were given before.
    pub fn give_session(&mut self, at_least: u32) -> u32 {
        self.spent.give_session(at_least)
    }

    /// `id` has been admitted.
    pub fn spend(&mut self, id: TaskId) {
        self.spent.insert(id);
    }

    /// The finished task called `id`, if it is still remembered.
    pub fn finished(&self, id: TaskId) -> Option<&FinishedTask> {
        self.remembered.get(id)
    }

    /// Finished tasks that no one has been sent yet.
    pub fn undelivered(&self) -> usize {
        self.remembered.undelivered().count
    }

    /// A connection of this account, if there is one.
    pub fn any_session(&self) -> Option<PeerId> {
        self.sessions.first().copied()
    }

    /// The statement of this account for its gamer.
    pub(super) fn statement(&self) -> GamerStatement {
        let too_soon = if fault::is_made(Fault::TellsTooSoon) { self.unrecorded_sum } else { Nanos::ZERO };
        GamerStatement {
            charged: self.charged + too_soon,
            held: self.held + self.unrecorded_sum,
            available: self.available(),
            workers: 0,
            nearest_worker_ms: None,
            nearest_worker_region: None,
            gamers: 0,
        }
    }
}
