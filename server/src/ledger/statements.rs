//! The writer's SQL, prepared once.

use rusqlite::{Connection, Result, Statement, params};

use super::account::Account;
use super::chain::Transfer;
use super::entry::{Admission, PatientPayload, state};

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
    /// Not yet.
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
    insert_task: Statement<'c>,
    close_task: Statement<'c>,
    insert_attempt: Statement<'c>,
    end_attempt: Statement<'c>,
    insert_transfer: Statement<'c>,
    insert_group: Statement<'c>,
    update_account: Statement<'c>,
    update_balance: Statement<'c>,
    insert_outcome: Statement<'c>,
    insert_patient: Statement<'c>,
    delete_patient: Statement<'c>,
    add_earning: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub fn prepare(connection: &'c Connection) -> Result<Self> {
        Ok(Self {
            connection,
            insert_task: connection.prepare(
                "INSERT INTO tasks (no, gamer, game_task, kind, kernel_version, key, units, price, price_list,
                     state, opened_grp, closed_grp, pay, fee, source, attempt, passed, void_reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
                 ON CONFLICT DO NOTHING",
            )?,
            close_task: connection.prepare(
                "UPDATE tasks SET state = ?2, closed_grp = ?3, pay = ?4, fee = ?5, source = ?6, attempt = ?7,
                     passed = ?8, void_reason = ?9
                 WHERE no = ?1 AND state = 1",
            )?,
            insert_attempt: connection
                .prepare("INSERT INTO attempts (id, grp, worker, verdict, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?,
            end_attempt: connection
                .prepare("UPDATE attempts SET grp = ?2, verdict = ?3, reason = ?4 WHERE id = ?1")?,
            insert_transfer: connection.prepare(
                "INSERT INTO transfers (id, grp, debit, credit, amount, reason, attempt)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            insert_group: connection
                .prepare("INSERT INTO groups (id, at_ms, transfers, hash) VALUES (?1, ?2, ?3, ?4)")?,
            update_account: connection.prepare(
                "UPDATE accounts SET balance = ?2, turnover = ?3, accepted = ?4, rejected = ?5 WHERE id = ?1",
            )?,
            update_balance: connection.prepare("UPDATE accounts SET balance = ?2 WHERE id = ?1")?,
            insert_outcome: connection.prepare(
                "INSERT INTO outcomes (id, task, worker, expires_ms, checksum, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            insert_patient: connection
                .prepare("INSERT INTO patient (task, spec, blobs) VALUES (?1, ?2, ?3)")?,
            delete_patient: connection.prepare("DELETE FROM patient WHERE task = ?1")?,
            add_earning: connection.prepare(
                "INSERT INTO earnings (due_ms, worker, amount) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
            )?,
        })
    }

    /// Records a task; false if its number or the gamer's number for it was used before.
    pub fn insert_task(&mut self, group: i64, task: &Admission, closing: &Closing) -> Result<bool> {
        let closed = (closing.state != state::OPEN).then_some(group);
        let changed = self.insert_task.execute(params![
            task.task.0 as i64,
            task.gamer.0,
            task.game_task.0 as i64,
            task.kind.0,
            task.kernel_version,
            task.key.0.as_slice(),
            task.units.0 as i64,
            task.price.0,
            task.price_list,
            closing.state,
            group,
            closed,
            closing.pay,
            closing.fee,
            closing.source,
            closing.attempt,
            closing.passed,
            closing.void_reason,
        ])?;
        Ok(changed == 1)
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

    pub fn insert_attempt(
        &mut self,
        group: i64,
        id: i64,
        worker: Option<i64>,
        verdict: u8,
        reason: Option<&str>,
    ) -> Result<()> {
        self.insert_attempt.execute(params![id, group, worker, verdict, reason]).map(|_| ())
    }

    pub fn end_attempt(&mut self, group: i64, id: i64, verdict: u8, reason: Option<&str>) -> Result<()> {
        self.end_attempt.execute(params![id, group, verdict, reason]).map(|_| ())
    }

    pub fn insert_transfer(&mut self, group: i64, transfer: &Transfer) -> Result<()> {
        self.insert_transfer
            .execute(params![
                transfer.id,
                group,
                transfer.debit,
                transfer.credit,
                transfer.amount,
                transfer.reason,
                transfer.attempt,
            ])
            .map(|_| ())
    }

    pub fn insert_group(&mut self, group: i64, at_ms: i64, transfers: usize, hash: &[u8; 32]) -> Result<()> {
        self.insert_group.execute(params![group, at_ms, transfers as i64, hash.as_slice()]).map(|_| ())
    }

    /// Writes both of a peer's accounts.
    pub fn update_account(&mut self, account: &Account) -> Result<()> {
        self.update_account.execute(params![
            account.id.0,
            account.available.0,
            account.turnover.0,
            account.accepted as i64,
            account.rejected as i64,
        ])?;
        self.update_balance(account.id.set_aside(), account.set_aside.0)
    }

    pub fn update_balance(&mut self, account: i64, balance: i64) -> Result<()> {
        self.update_balance.execute(params![account, balance]).map(|_| ())
    }

    pub fn insert_outcome(
        &mut self,
        id: i64,
        task: u64,
        worker: Option<i64>,
        expires_ms: i64,
        checksum: i64,
        bytes: &[u8],
    ) -> Result<()> {
        self.insert_outcome.execute(params![id, task as i64, worker, expires_ms, checksum, bytes]).map(|_| ())
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

    pub fn add_earning(&mut self, due_ms: i64, worker: i64, amount: i64) -> Result<()> {
        self.add_earning.execute(params![due_ms, worker, amount]).map(|_| ())
    }
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
