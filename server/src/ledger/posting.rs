//! Writing a group: every task the group touched, in its newest state, and the transfers that follow from it.
//!
//! Rows are written in order of their numbers, so that SQLite appends to its B-trees instead of splitting pages.

use p2c2r_protocol::{Nanos, PassedCheck, TaskNo};
use rusqlite::{OptionalExtension as _, Result};

use super::account_log::AccountLogEntry;
use super::accounts::load_account;
use super::book::{Book, LateVerdict, OpenTask, TaskEnd, Try, reason_of};
use super::chain::{RELEASES, Transfer, hold_id};
use super::charges::Charges;
use super::earnings::Earnings;
use super::entry::{AccountId, ComputedFrom, Settlement, kind, reason, state, verdict};
use super::outcomes::KeptOutcomes;
use super::reversals::Reversals;
use super::rows::ROWS_MAX;
use super::sql::{Closing, Statements};

/// What a group is written with.
pub(super) struct Posting<'a, 'c> {
    pub sql: &'a mut Statements<'c>,
    pub book: &'a mut Book,
    pub earnings: &'a mut Earnings,
    pub charges: &'a mut Charges,
    pub outcomes: &'a mut KeptOutcomes,
    pub reversals: &'a mut Reversals,
    pub group: i64,
    pub now_ms: i64,
    /// Reversals made in this group.
    pub reversed: i64,
    /// Whether anything was written.
    pub wrote: bool,
    /// Whether someone waits for this group, or for what comes after it.
    pub is_waited_for: &'a dyn Fn() -> bool,
}

impl Posting<'_, '_> {
    /// Writes every task the group touched, and late verdicts.
    pub fn tasks(&mut self) -> Result<()> {
        let mut touched = std::mem::take(&mut self.book.touched);
        touched.sort_unstable();
        let mut together = Vec::with_capacity(ROWS_MAX);
        for number in touched.drain(..) {
            let Some(mut task) = self.book.open.remove(&number) else { continue };
            task.touched = false;
            if !task.recorded {
                let closing = closing_of(task.end.as_ref());
                let worker = task.in_one_row().map(|worker| worker.0);
                self.sql.add_task(self.group, &task.admission, &closing, worker)?;
            }
            together.push(task);
            if together.len() == ROWS_MAX {
                self.some_tasks(&mut together)?;
                // Yields between batches: a busy group takes milliseconds, and with every processor busy the app's
                // thread may be waiting for this one. Not while someone waits for the group, because yielding may delay
                // it by as much again.
                if !(self.is_waited_for)() {
                    std::thread::yield_now();
                }
            }
        }
        self.some_tasks(&mut together)?;
        // Returns the vector, so that the next group reuses its memory.
        self.book.touched = touched;
        self.sql.write_rows()?;
        for late in std::mem::take(&mut self.book.late) {
            self.late_verdict(&late)?;
        }
        Ok(())
    }

    /// Writes some tasks, whose new rows have been added, and their transfers and attempts.
    fn some_tasks(&mut self, tasks: &mut Vec<OpenTask>) -> Result<()> {
        self.wrote |= !tasks.is_empty();
        let new = tasks.iter().filter(|task| !task.recorded).count();
        // Almost always false; then no task has to be looked up.
        let any_used_before = self.sql.write_tasks()? < new;
        for mut task in tasks.drain(..) {
            let number = task.admission.task.0;
            if any_used_before && !task.recorded && !self.sql.recorded(self.group, number)? {
                self.book.drop_conflict(&task);
                continue;
            }
            self.task(&mut task)?;
            if task.end.is_none() {
                self.book.open.insert(number, task);
            }
        }
        Ok(())
    }

    /// Writes the transfers, attempts and outcome of one task, whose row is in the file.
    fn task(&mut self, task: &mut OpenTask) -> Result<()> {
        let number = task.admission.task.0;
        let in_one_row = task.in_one_row();
        let first = self.book.transfers.len();
        let held = std::mem::replace(&mut task.recorded, true);
        if !held {
            self.book.tasks_recorded += 1;
            if let Some(gamer) = self.book.change(task.admission.gamer) {
                gamer.tasks_recorded += 1;
            }
        }
        match &task.end {
            None if held => {}
            None => self.hold(task)?,
            Some(end) => {
                if held && !self.sql.close_task(self.group, number, &closing_of(Some(end)))? {
                    // Memory and file disagree: the ledger must stop.
                    return Err(rusqlite::Error::StatementChangedRows(0));
                }
                self.resolve(task, end, held)?;
            }
        }
        if in_one_row.is_some() {
            let Book { transfers, transfers_in_tasks, .. } = &mut *self.book;
            transfers_in_tasks.extend(transfers.drain(first..));
            self.judge(in_one_row, verdict::ACCEPTED);
        } else {
            for made in &mut task.tries {
                self.attempt(task.admission.task, made)?;
            }
        }
        if let Some(TaskEnd::Settled(Settlement { outcome: Some(bytes), source, check, .. })) = &task.end {
            let worker = match source {
                ComputedFrom::Worker { worker, .. } => Some(*worker),
                ComputedFrom::Coordinator | ComputedFrom::Cache | ComputedFrom::Begun => None,
            };
            let what = (number, task.patient, *check != PassedCheck::Always);
            self.outcomes.keep(self.sql, what, &task.admission.key, worker, bytes, self.now_ms)?;
        }
        Ok(())
    }

    fn hold(&mut self, task: &mut OpenTask) -> Result<()> {
        let gamer = task.admission.gamer;
        let id = hold_id(task.admission.task.0);
        self.transfer(id, gamer.0, gamer.set_aside(), task.admission.price, reason::HOLD, 0);
        // The payload is on disk from here on and is not needed in memory.
        if let Some(payload) = task.admission.patient.take() {
            self.sql.insert_patient(task.admission.task.0, &payload)?;
        }
        Ok(())
    }

    /// Distributes a task's hold; a task that began in this group has none, and its price is taken directly.
    fn resolve(&mut self, task: &OpenTask, end: &TaskEnd, held: bool) -> Result<()> {
        let admission = &task.admission;
        let gamer = admission.gamer;
        let from = if held { gamer.set_aside() } else { gamer.0 };
        let mut id = hold_id(admission.task.0);
        let mut next = || {
            id += 1;
            id
        };
        let mut rest = admission.price;
        if let TaskEnd::Settled(settlement) = end {
            rest -= settlement.pay + settlement.fee;
            if let ComputedFrom::Worker { worker, attempt } = settlement.source
                && settlement.pay > Nanos::ZERO
            {
                let to = worker.set_aside();
                self.transfer(next(), from, to, settlement.pay, reason::PAY, attempt.0 as u8);
                self.earnings.add(worker, settlement.pay.0);
                self.book.totals.pending += settlement.pay;
                if let Some(account) = self.book.change(worker) {
                    account.set_aside += settlement.pay;
                    account.turnover += settlement.pay;
                }
            }
            if settlement.fee > Nanos::ZERO {
                self.transfer(next(), from, kind::FEE_ACCOUNT, settlement.fee, reason::FEE, 0);
                self.book.fee += settlement.fee.0;
            }
        }
        if held && rest > Nanos::ZERO {
            self.transfer(next(), from, gamer.0, rest, reason::RETURN, 0);
        }
        if task.patient && held {
            self.sql.delete_patient(admission.task.0)?;
        }
        self.book.patient_closed += usize::from(task.patient);
        self.count(gamer, end);
        Ok(())
    }

    fn count(&mut self, gamer: AccountId, end: &TaskEnd) {
        let totals = &mut self.book.totals;
        match end {
            TaskEnd::Settled(settlement) => {
                totals.tasks_done += 1;
                totals.revenue += settlement.pay + settlement.fee;
                totals.fee += settlement.fee;
                totals.earned += settlement.pay;
                self.charges.add(gamer, settlement.pay + settlement.fee);
            }
            TaskEnd::Void(_) => totals.tasks_void += 1,
        }
        let Some(account) = self.book.change(gamer) else { return };
        match end {
            TaskEnd::Settled(settlement) => {
                account.accepted += 1;
                account.turnover += settlement.pay + settlement.fee;
            }
            TaskEnd::Void(_) => account.rejected += 1,
        }
    }

    fn attempt(&mut self, task: TaskNo, made: &mut Try) -> Result<()> {
        let id = attempt_id(task, made.number);
        match made.recorded {
            None => {
                let worker = made.worker.map(|worker| worker.0);
                self.sql.add_attempt(self.group, id, worker, made.verdict, made.reason.as_deref())?;
            }
            Some(recorded) if recorded != made.verdict => {
                self.sql.end_attempt(self.group, id, made.verdict, made.reason.as_deref())?;
            }
            Some(_) => return Ok(()),
        }
        made.recorded = Some(made.verdict);
        self.judge(made.worker, made.verdict);
        Ok(())
    }

    fn judge(&mut self, worker: Option<AccountId>, verdict: u8) {
        if !matches!(verdict, verdict::ACCEPTED | verdict::REJECTED) {
            return;
        }
        if let Some(account) = worker.and_then(|worker| self.book.change(worker)) {
            match verdict {
                verdict::ACCEPTED => account.accepted += 1,
                _ => account.rejected += 1,
            }
        }
    }

    /// Records a verdict on an attempt at a task that is over: only an attempt that was unneeded can still get one.
    fn late_verdict(&mut self, late: &LateVerdict) -> Result<()> {
        let id = attempt_id(late.task, late.number);
        // The task was admitted in this group, and had no such attempt when the verdict came.
        if self.sql.recorded(self.group, late.task.0)? {
            self.book.anomalies.bad_attempt += 1;
            return Ok(());
        }
        let found: Option<(Option<i64>, u8)> = self
            .sql
            .connection
            .prepare_cached(
                "SELECT worker, verdict FROM attempts WHERE id = ?1
                 UNION ALL SELECT worker, 1 FROM tasks
                     WHERE no = ?1 >> 8 AND attempt = ?1 & 255 AND worker IS NOT NULL",
            )?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((worker, verdict::UNNEEDED)) = found else {
            match found {
                Some(_) => self.book.anomalies.bad_attempt += 1,
                None => self.book.anomalies.not_open += 1,
            }
            return Ok(());
        };
        let reason = reason_of(late.verdict.clone());
        self.sql.end_attempt(self.group, id, late.verdict.code(), reason.as_deref())?;
        self.wrote = true;
        let worker = worker.map(AccountId);
        if let Some(worker) = worker {
            load_account(self.sql.connection, self.book, worker)?;
        }
        self.judge(worker, late.verdict.code());
        Ok(())
    }

    /// Deletes the kept outcomes that the group puts in doubt.
    pub fn disputed(&mut self) -> Result<()> {
        for task in std::mem::take(&mut self.book.disputed) {
            self.wrote |= self.outcomes.forget(self.sql.connection, task)?;
        }
        Ok(())
    }

    /// Makes pay available whose fraud window has passed.
    pub fn releases(&mut self, next_release: &mut i64) -> Result<()> {
        for (worker, amount) in self.earnings.take_due(self.sql.connection, self.now_ms)? {
            load_account(self.sql.connection, self.book, worker)?;
            let amount = Nanos(amount);
            self.transfer(RELEASES + *next_release, worker.set_aside(), worker.0, amount, reason::RELEASE, 0);
            *next_release += 1;
            self.book.totals.pending -= amount;
            if let Some(account) = self.book.change(worker) {
                account.set_aside -= amount;
                account.available += amount;
            }
        }
        Ok(())
    }

    /// Notes a change of an account, to be written at the end of the group.
    pub fn log(&mut self, change: AccountLogEntry) {
        self.book.account_changes.push(change);
        self.wrote = true;
    }

    /// Notes a transfer, to be written at the end of the group; one of zero is left out.
    pub fn transfer(&mut self, id: i64, debit: i64, credit: i64, amount: Nanos, reason: u8, attempt: u8) {
        if amount > Nanos::ZERO {
            self.book.transfers.push(Transfer { id, debit, credit, amount: amount.0, reason, attempt });
            self.wrote = true;
        }
    }
}

fn attempt_id(task: TaskNo, number: u8) -> i64 {
    (task.0 as i64) << 8 | i64::from(number)
}

fn closing_of(end: Option<&TaskEnd>) -> Closing {
    match end {
        None => Closing::OPEN,
        Some(TaskEnd::Settled(settlement)) => Closing {
            state: state::SETTLED,
            pay: settlement.pay.0,
            fee: settlement.fee.0,
            source: Some(settlement.source.code()),
            attempt: match settlement.source {
                ComputedFrom::Worker { attempt, .. } => Some(attempt.0 as u8),
                ComputedFrom::Coordinator | ComputedFrom::Cache | ComputedFrom::Begun => None,
            },
            passed: (settlement.source != ComputedFrom::Begun).then_some(match settlement.check {
                PassedCheck::Always => 1,
                PassedCheck::Deep => 2,
                PassedCheck::Own => 3,
            }),
            void_reason: None,
        },
        Some(TaskEnd::Void(reason)) => {
            Closing { state: state::VOID, void_reason: Some(reason.code()), ..Closing::OPEN }
        }
    }
}
