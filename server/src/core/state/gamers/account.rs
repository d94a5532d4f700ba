//! One account's mirror: money, which ids are used up, and what is remembered of it.

use std::collections::HashSet;

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
    /// What the account may spend, holds not yet taken off.
    balance: Nanos,
    /// Held for tasks in flight.
    held: Nanos,
    /// Charged since this process opened the account, durable or not.
    charged: Nanos,
    /// Charged as the ledger has durably recorded it.
    charged_durable: Nanos,
    /// Charged before this process opened the account.
    charged_before: Nanos,
    /// What an hour may cost it.
    pub hour_cap: HourCap,
    last_hour: LastHour,
    /// What it has used up of what looking at its submits may take.
    pub rates: AccountSubmitRates,
    /// Units begun in vain for its tasks that were late, less its share of those it paid for.
    late_units: u64,
    /// Tasks in flight.
    pub tasks: HashSet<TaskNo, NumberHash>,
    spent: SpentIds,
    pub(super) remembered: Remembered,
    pub(super) sessions: Vec<PeerId>,
    /// Its place among those whose gamers are away.
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
            charged_before: account.turnover,
            charged_durable: account.turnover,
            last_hour,
            spent: SpentIds::after(account.largest_task),
            ..Self::default()
        }
    }

    /// What may still be spent.
    pub fn available(&self) -> Nanos {
        self.balance - self.held
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
        assert!(self.held >= price, "a hold is given back once");
        self.held -= price;
    }

    /// Charges `price`, which the caller has released if it was held.
    pub fn charge(&mut self, price: Nanos, now: Micros) {
        self.balance -= price;
        self.charged += price;
        self.last_hour.spend(price, now);
    }

    /// A task in flight is over: what was held for it is given back, and so much is charged.
    pub fn task_ended(&mut self, no: TaskNo, held: Nanos, charged: Nanos, now: Micros) {
        self.release(held);
        self.charge(charged, now);
        self.tasks.remove(&no);
    }

    /// The cap that a task of this price would break beside all that was charged in the last hour and all that is held, if
    /// there is one; `everybody` have that cap unless the operator said otherwise.
    pub fn breaks_hour_cap(&mut self, price: Nanos, everybody: Option<Nanos>, now: Micros) -> Option<Nanos> {
        let cap = self.hour_cap.or(everybody)?;
        (self.last_hour.spent(now) + self.held + price > cap).then_some(cap)
    }

    /// So many units begun for a task of it were in vain, because it is late. Whether that may be misfortune; if so, it is
    /// counted.
    pub fn may_be_late(&mut self, units: u64) -> bool {
        let may = self.late_units.saturating_add(units) <= LATE_UNITS_AT_ONCE;
        self.late_units += if may { units } else { 0 };
        may
    }

    /// It paid for so many units that arrived in time.
    pub fn was_in_time(&mut self, units: u64) {
        self.late_units = self.late_units.saturating_sub(units / LATE_SHARE);
    }

    /// The ledger has durably recorded `charged` in all.
    pub fn recorded(&mut self, charged: Nanos) {
        self.charged_durable = charged;
    }

    /// The ledger has recorded everything there is, with this much left to spend and this much charged in
    /// all: what the mirror took for charged and the ledger dropped (an id used before a restart) is put
    /// right.
    pub fn rebase(&mut self, available: Nanos, charged: Nanos) {
        self.balance = available + self.held;
        self.charged_before = charged;
        self.charged = Nanos::ZERO;
        self.charged_durable = charged;
    }

    /// Whether `id` was admitted before, or is of no session that was given to this account of late.
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

    /// What its gamer is told of it.
    pub(super) fn statement(&self) -> GamerStatement {
        let not_recorded = self.charged_before + self.charged - self.charged_durable;
        let is_told_too_soon = fault::is_made(Fault::TellsTooSoon);
        GamerStatement {
            charged: if is_told_too_soon { self.charged_before + self.charged } else { self.charged_durable },
            held: self.held + not_recorded.max(Nanos::ZERO),
            available: self.available(),
            workers: 0,
            nearest_worker_ms: None,
            gamers: 0,
        }
    }
}
