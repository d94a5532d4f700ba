//! The writer's SQL, prepared once.
//!
//! Rows that every task adds wait in [`Rows`], and are in the file after [`Statements::write_tasks`] or
//! [`Statements::write_rows`]; everything else is in the file at once.

use rusqlite::types::ValueRef::{self, Blob, Integer, Null};
use rusqlite::{Connection, Result, Statement, params};

use super::account::Account;
use super::chain::Transfer;
use super::entry::{Admission, PatientPayload, state};
use super::rows::Rows;

/// How a task's row ends.
pub(super) struct Closing {
    pub state: u8,
    pub pay: i64,
    pub fee: i64,
    pub source: Option<u8>,
    pub attempt: Option<u8>,
    pub passed: Option<u8>,
    pub void_reason: Option<u8>,
}

impl Closing {
    /// The columns of a task that has not ended.
    pub const OPEN: Self = Self {
        state: state::OPEN,
        pay: 0,
        fee: 0,
        source: None,
        attempt: None,
        passed: None,
        void_reason: None,
    };
}

/// Every statement of the hot path.
pub(super) struct Statements<'c> {
    pub connection: &'c Connection,
    tasks: Rows<'c, 19>,
    attempts: Rows<'c, 5>,
    transfers: Rows<'c, 7>,
    outcomes: Rows<'c, 7>,
    find_task: Statement<'c>,
    close_task: Statement<'c>,
    end_attempt: Statement<'c>,
    insert_group: Statement<'c>,
    update_account: Statement<'c>,
    update_balance: Statement<'c>,
    insert_patient: Statement<'c>,
    delete_patient: Statement<'c>,
    add_earning: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub fn prepare(connection: &'c Connection) -> Result<Self> {
        Ok(Self {
            connection,
            tasks: Rows::prepare(
                connection,
                "tasks",
                [
                    "no",
                    "gamer",
                    "game_task",
                    "kind",
                    "kernel_version",
                    "key",
                    "units",
                    "price",
                    "price_list",
                    "state",
                    "opened_grp",
                    "closed_grp",
                    "pay",
                    "fee",
                    "source",
                    "attempt",
                    "passed",
                    "void_reason",
                    "worker",
                ],
                "ON CONFLICT DO NOTHING",
            )?,
            attempts: Rows::prepare(
                connection,
                "attempts",
                ["id", "grp", "worker", "verdict", "reason"],
                "",
            )?,
            transfers: Rows::prepare(
                connection,
                "transfers",
                ["id", "grp", "debit", "credit", "amount", "reason", "attempt"],
                "",
            )?,
            outcomes: Rows::prepare(
                connection,
                "outcomes",
                ["id", "task", "worker", "expires_ms", "checksum", "bytes", "patient"],
                "",
            )?,
            find_task: connection.prepare("SELECT 1 FROM tasks WHERE no = ?1 AND opened_grp = ?2")?,
            close_task: connection.prepare(
                "UPDATE tasks SET state = ?2, closed_grp = ?3, pay = ?4, fee = ?5, source = ?6, attempt = ?7,
                     passed = ?8, void_reason = ?9
                 WHERE no = ?1 AND state = 1",
            )?,
            end_attempt: connection
                .prepare("UPDATE attempts SET grp = ?2, verdict = ?3, reason = ?4 WHERE id = ?1")?,
            insert_group: connection.prepare(
                "INSERT INTO groups (id, at_ms, transfers, hash, folded) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            update_account: connection.prepare(
                "UPDATE accounts SET balance = ?2, turnover = ?3, accepted = ?4, rejected = ?5, tasks = ?6
                 WHERE id = ?1",
            )?,
            update_balance: connection.prepare("UPDATE accounts SET balance = ?2 WHERE id = ?1")?,
            insert_patient: connection
                .prepare("INSERT INTO patient (task, spec, blobs) VALUES (?1, ?2, ?3)")?,
            delete_patient: connection.prepare("DELETE FROM patient WHERE task = ?1")?,
            add_earning: connection.prepare(
                "INSERT INTO earnings (due_ms, worker, amount, first_grp) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
            )?,
        })
    }

    /// Adds a task; with `worker`, its row stands for its attempt and its transfers too.
    pub fn add_task(
        &mut self,
        group: i64,
        task: &Admission,
        closing: &Closing,
        worker: Option<i64>,
    ) -> Result<()> {
        let closed = (closing.state != state::OPEN).then_some(group);
        self.tasks.push(&[
            Integer(task.task.0 as i64),
            Integer(task.gamer.0),
            Integer(task.game_task.0 as i64),
            Integer(task.kind.0.into()),
            Integer(task.kernel_version.into()),
            Blob(&task.key.0),
            Integer(task.units.0 as i64),
            Integer(task.price.0),
            Integer(task.price_list.into()),
            Integer(closing.state.into()),
            Integer(group),
            optional(closed),
            Integer(closing.pay),
            Integer(closing.fee),
            optional(closing.source),
            optional(closing.attempt),
            optional(closing.passed),
            optional(closing.void_reason),
            optional(worker),
        ])
    }

    /// Writes the tasks added since the last call; returns how many were inserted. The rest have a number, or a gamer's
    /// number, that was used before.
    pub fn write_tasks(&mut self) -> Result<usize> {
        self.tasks.write()
    }

    /// Whether `group`, which is being written, recorded this task.
    pub fn recorded(&mut self, group: i64, task: u64) -> Result<bool> {
        self.find_task.exists([task as i64, group])
    }

    /// Writes the attempts, transfers and outcomes that were added and are not in the file yet.
    pub fn write_rows(&mut self) -> Result<()> {
        self.attempts.write()?;
        self.transfers.write()?;
        self.outcomes.write()?;
        Ok(())
    }

    /// Closes a recorded open task; false if it is not open.
    pub fn close_task(&mut self, group: i64, task: u64, closing: &Closing) -> Result<bool> {
        let changed = self.close_task.execute(params![
            task as i64,
            closing.state,
            group,
            closing.pay,
            closing.fee,
            closing.source,
            closing.attempt,
            closing.passed,
            closing.void_reason,
        ])?;
        Ok(changed == 1)
    }

    pub fn add_attempt(
        &mut self,
        group: i64,
        id: i64,
        worker: Option<i64>,
        verdict: u8,
        reason: Option<&str>,
    ) -> Result<()> {
        let reason = reason.map_or(Null, ValueRef::from);
        self.attempts.push(&[Integer(id), Integer(group), optional(worker), Integer(verdict.into()), reason])
    }

    pub fn end_attempt(&mut self, group: i64, id: i64, verdict: u8, reason: Option<&str>) -> Result<()> {
        self.end_attempt.execute(params![id, group, verdict, reason]).map(|_| ())
    }

    pub fn add_transfer(&mut self, group: i64, transfer: &Transfer) -> Result<()> {
        self.transfers.push(&[
            Integer(transfer.id),
            Integer(group),
            Integer(transfer.debit),
            Integer(transfer.credit),
            Integer(transfer.amount),
            Integer(transfer.reason.into()),
            Integer(transfer.attempt.into()),
        ])
    }

    pub fn insert_group(
        &mut self,
        group: i64,
        at_ms: i64,
        transfers: usize,
        hash: &[u8; 32],
        folded: Option<[u8; 32]>,
    ) -> Result<()> {
        self.insert_group
            .execute(params![group, at_ms, transfers as i64, hash.as_slice(), folded])
            .map(|_| ())
    }

    /// Writes both of a peer's accounts; fails if one is not there.
    pub fn update_account(&mut self, account: &Account) -> Result<()> {
        let changed = self.update_account.execute(params![
            account.id.0,
            account.available.0,
            account.turnover.0,
            account.accepted as i64,
            account.rejected as i64,
            account.tasks_recorded as i64,
        ])?;
        is_one(changed)?;
        self.update_balance(account.id.set_aside(), account.set_aside.0)
    }

    /// Writes one balance; fails if the account is not there.
    pub fn update_balance(&mut self, account: i64, balance: i64) -> Result<()> {
        is_one(self.update_balance.execute(params![account, balance])?)
    }

    /// Adds an outcome; ids must follow one another.
    pub fn add_outcome(
        &mut self,
        id: i64,
        task: u64,
        worker: Option<i64>,
        expires_ms: i64,
        checksum: i64,
        bytes: &[u8],
        patient: bool,
    ) -> Result<()> {
        // Without an id SQLite takes the next one itself, which is quicker, because it need not search for the row's place.
        let id = if self.outcomes.begins() { Integer(id) } else { Null };
        self.outcomes.push(&[
            id,
            Integer(task as i64),
            optional(worker),
            Integer(expires_ms),
            Integer(checksum),
            Blob(bytes),
            Integer(patient.into()),
        ])
    }

    pub fn insert_patient(&mut self, task: u64, payload: &PatientPayload) -> Result<()> {
        let mut blobs = Vec::new();
        for blob in &payload.blobs {
            blobs.extend_from_slice(&(blob.len() as u32).to_le_bytes());
            blobs.extend_from_slice(blob);
        }
        self.insert_patient.execute(params![task as i64, &payload.spec[..], blobs]).map(|_| ())
    }

    pub fn delete_patient(&mut self, task: u64) -> Result<()> {
        self.delete_patient.execute([task as i64]).map(|_| ())
    }

    pub fn add_earning(&mut self, group: i64, due_ms: i64, worker: i64, amount: i64) -> Result<()> {
        self.add_earning.execute(params![due_ms, worker, amount, group]).map(|_| ())
    }
}

/// Fails unless one account's row was changed: memory and file disagree then, and the ledger must stop.
fn is_one(changed: usize) -> Result<()> {
    if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
}

/// The value of a column that may be null.
fn optional(value: Option<impl Into<i64>>) -> ValueRef<'static> {
    value.map_or(Null, |value| Integer(value.into()))
}

/// Takes apart what [`Statements::insert_patient`] wrote; `None` if it is damaged.
pub(super) fn split_blobs(mut bytes: &[u8]) -> Option<Vec<std::sync::Arc<[u8]>>> {
    let mut blobs = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (blob, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        blobs.push(blob.into());
        bytes = rest;
    }
    bytes.is_empty().then_some(blobs)
}
