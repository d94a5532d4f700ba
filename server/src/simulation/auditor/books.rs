//! The auditor's own books: it applies one entry after the other to a map of accounts and a map of open tasks.

use std::collections::{BTreeMap, HashMap};

use p2c2r_protocol::{Nanos, Role, TaskNo};

use super::{Audit, found, rule};
use crate::ledger::{Account, AccountId, ComputedFrom, Entry};

/// What an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// To spend, or to be paid out or pending.
    pub available: i64,
    /// Held for open tasks.
    pub held: i64,
    /// Charged or earned.
    pub turnover: i64,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    gamer: AccountId,
    price: i64,
    is_patient: bool,
}

/// The books.
#[derive(Clone, Debug, Default)]
pub struct Books {
    accounts: BTreeMap<AccountId, (Role, Sums)>,
    open: HashMap<TaskNo, Hold>,
    /// What each worker was paid by each gamer.
    paid: BTreeMap<(AccountId, AccountId), i64>,
    fee: i64,
    /// What gamers were charged, and when.
    charged: HashMap<AccountId, Vec<(u64, i64)>>,
    /// What came into the books from outside.
    given: i64,
}

impl Books {
    /// An account with this much in it.
    pub fn open(&mut self, account: AccountId, role: Role, available: Nanos) {
        if self.accounts.contains_key(&account) {
            return;
        }
        self.accounts.insert(account, (role, Sums { available: available.0, ..Sums::default() }));
        self.given += available.0;
    }

    /// An account is given so much.
    pub fn grant(&mut self, account: AccountId, amount: Nanos) {
        self.change(account).available += amount.0;
        self.given += amount.0;
    }

    /// What an account has.
    pub fn sums(&self, account: AccountId) -> Sums {
        self.accounts.get(&account).map(|(_, sums)| *sums).unwrap_or_default()
    }

    /// What an account was charged after the moment `since`, in microseconds, and what is held of it.
    pub fn spent_since(&self, account: AccountId, since: u64) -> i64 {
        let charged = self.charged.get(&account).into_iter().flatten().rev();
        let spent: i64 = charged.take_while(|(at, _)| *at > since).map(|(_, nanos)| nanos).sum();
        spent + self.sums(account).held
    }

    fn change(&mut self, account: AccountId) -> &mut Sums {
        &mut self.accounts.entry(account).or_insert((Role::Gamer, Sums::default())).1
    }

    /// Tasks whose price is held.
    pub fn open_tasks(&self) -> impl Iterator<Item = TaskNo> {
        self.open.keys().copied()
    }

    /// Whether this open task would outlive its coordinator.
    pub fn is_patient(&self, task: TaskNo) -> bool {
        self.open.get(&task).is_some_and(|hold| hold.is_patient)
    }

    /// Applies an entry, at `now` in microseconds.
    pub fn enter(&mut self, entry: &Entry, now: u64) -> Audit {
        match entry {
            Entry::TaskAdmitted(admission) => {
                let (gamer, price) = (admission.gamer, admission.price.0);
                rule(
                    (0..=self.sums(gamer).available).contains(&price),
                    "nobody spends what he does not have",
                    || format!("{gamer} has {:?} and holds {price} more", self.sums(gamer)),
                )?;
                let hold = Hold { gamer, price, is_patient: admission.patient.is_some() };
                let before = self.open.insert(admission.task, hold);
                let sums = self.change(gamer);
                sums.available -= price;
                sums.held += price;
                rule(before.is_none(), "a number is given to one task", || admission.task.to_string())?;
            }
            Entry::TaskSettled(settlement) => {
                let (pay, fee) = (settlement.pay.0, settlement.fee.0);
                let hold = self.release(settlement.task)?;
                rule(
                    pay >= 0 && fee >= 0 && pay + fee <= hold.price,
                    "at most what is held is charged",
                    || format!("{settlement:?} of {hold:?}"),
                )?;
                let sums = self.change(hold.gamer);
                sums.available -= pay + fee;
                sums.turnover += pay + fee;
                self.fee += fee;
                self.charged.entry(hold.gamer).or_default().push((now, pay + fee));
                if let ComputedFrom::Worker { worker, .. } = settlement.source {
                    let sums = self.change(worker);
                    sums.available += pay;
                    sums.turnover += pay;
                    *self.paid.entry((worker, hold.gamer)).or_default() += pay;
                } else {
                    rule(pay == 0, "only workers are paid", || format!("{settlement:?}"))?;
                }
            }
            Entry::TaskVoided { task, .. } => drop(self.release(*task)?),
            Entry::WorkerConvicted { worker } => self.take_back(*worker),
            Entry::AttemptStarted { .. }
            | Entry::AttemptEnded { .. }
            | Entry::OutcomeDisputed { .. }
            | Entry::TrustChanged { .. }
            | Entry::WorkerForgiven { .. } => {}
        }
        self.balance()
    }

    /// Releases the hold of an open task.
    fn release(&mut self, task: TaskNo) -> Result<Hold, super::BrokenPromise> {
        let hold = found(self.open.remove(&task), "a task ends once", || task.to_string())?;
        let sums = self.change(hold.gamer);
        sums.held -= hold.price;
        sums.available += hold.price;
        Ok(hold)
    }

    /// Returns all that a worker has earned to the payers; in the simulation nothing is ever paid out.
    pub fn take_back(&mut self, worker: AccountId) {
        let all = (worker, AccountId(i64::MIN))..=(worker, AccountId(i64::MAX));
        for ((_, gamer), amount) in self.paid.extract_if(all, |_, _| true).collect::<Vec<_>>() {
            let sums = self.change(gamer);
            sums.available += amount;
            sums.turnover -= amount;
            let sums = self.change(worker);
            sums.available -= amount;
            sums.turnover -= amount;
        }
    }

    /// Holds of timely tasks do not outlive their coordinator.
    pub fn void_timely(&mut self) {
        let timely: Vec<TaskNo> =
            self.open.iter().filter(|(_, hold)| !hold.is_patient).map(|(no, _)| *no).collect();
        for no in timely {
            let Ok(_) = self.release(no) else { unreachable!("it is open") };
        }
    }

    /// Money is conserved: what accounts hold equals what came in from outside.
    fn balance(&self) -> Audit {
        let sum: i64 = self.accounts.values().map(|(_, sums)| sums.available + sums.held).sum();
        rule(sum + self.fee == self.given, "the books balance", || {
            format!("{sum} and {} of fees, of {} given", self.fee, self.given)
        })
    }

    /// Whether the ledger says the same of an account. A worker's pay counts as one, pending or not.
    pub fn agree(&self, account: &Account) -> Audit {
        let Some((role, own)) = self.accounts.get(&account.id) else { return Ok(()) };
        let (available, held) = (account.available.0, account.set_aside.0);
        let found = match role {
            Role::Gamer => Sums { available, held, turnover: account.turnover.0 },
            Role::Worker => Sums { available: available + held, held: 0, turnover: account.turnover.0 },
        };
        rule(found == *own, "the ledger agrees", || format!("{}: {found:?}, and here {own:?}", account.id))
    }

    /// Whether the ledger says the same of fees.
    pub fn agree_on_fee(&self, fee: Nanos) -> Audit {
        rule(fee.0 == self.fee, "the ledger agrees", || format!("fees of {fee:?}, and here {}", self.fee))
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.accounts.keys().copied()
    }
}
