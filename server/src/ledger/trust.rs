//! Workers' trust records: kept for the next start, read when a worker joins, listed for the operator.
//!
//! The newest record replaces earlier ones. It does not touch the quarantine: only a conviction sets it, in the same group
//! that reverses pay and revokes outcomes, and only forgiving lifts it, so a crash leaves all of either or nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::{AccountKey, KindId, Nanos, mark_unprintable};
use rusqlite::{Connection, OptionalExtension as _, Result, params};
use serde::Serialize;

use super::entry::{AccountId, kind};
use super::error::LedgerError;
use super::file;
use super::posting::Posting;
use super::reading::Reading;

/// A worker's trust record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct WorkerTrust {
    /// Per kind and kernel version.
    pub kinds: Vec<KindTrust>,
    /// Failed checks that are not forgotten.
    pub failures: u32,
    /// Deep checks passed since the last failure.
    pub clean_checks: u64,
    /// Whether it gets no work. Read when it joins; in [`Entry::TrustChanged`](super::Entry::TrustChanged) it changes nothing.
    pub quarantined: bool,
}

/// The part of a trust record that is about one kind and kernel version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KindTrust {
    /// What sort of work.
    pub kind: KindId,
    /// Version of the kernel.
    pub kernel_version: u16,
    /// Answers accepted since it began, or began again after a failed check.
    pub answers: u64,
    /// Answers that passed a deep check, of all time.
    pub checked: u64,
    /// How long it has been known for this kind, by the ledger's time.
    pub known_for: Duration,
}

impl Posting<'_, '_> {
    /// Writes the group's trust records.
    pub fn trust(&mut self) -> Result<()> {
        for (worker, trust) in std::mem::take(&mut self.book.trust) {
            self.write_trust(worker, &trust)?;
        }
        Ok(())
    }

    fn write_trust(&mut self, worker: AccountId, trust: &WorkerTrust) -> Result<()> {
        let connection = self.sql.connection;
        let mut keep = connection.prepare_cached(
            "INSERT INTO trust (worker, kind, kernel_version, since_ms, answers, checked)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET since_ms = excluded.since_ms, answers = excluded.answers,
                 checked = excluded.checked",
        )?;
        for of in &trust.kinds {
            let known_ms = i64::try_from(of.known_for.as_millis()).unwrap_or(i64::MAX);
            let since_ms = self.now_ms.saturating_sub(known_ms);
            keep.execute(params![
                worker.0,
                of.kind.0,
                of.kernel_version,
                since_ms,
                of.answers as i64,
                of.checked as i64
            ])?;
        }
        let sql = if trust.failures > 0 {
            "INSERT INTO standings (worker, failures, clean_checks) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET failures = ?2, clean_checks = ?3"
        } else {
            // Most workers never fail and have no row here.
            "UPDATE standings SET failures = ?2, clean_checks = ?3 WHERE worker = ?1"
        };
        let clean_checks = trust.clean_checks as i64;
        connection.prepare_cached(sql)?.execute(params![worker.0, trust.failures, clean_checks])?;
        self.wrote = true;
        Ok(())
    }

    /// Convicts and forgives workers, in the order of the group's entries.
    pub fn judgements(&mut self) -> Result<()> {
        for (worker, quarantined) in std::mem::take(&mut self.book.judged) {
            self.convict_or_forgive(worker, quarantined)?;
        }
        Ok(())
    }

    /// Convicts a worker or, if it is not to be `quarantined`, forgives it.
    pub fn convict_or_forgive(&mut self, worker: AccountId, quarantined: bool) -> Result<()> {
        self.wrote = true;
        if quarantined { self.convict(worker) } else { self.forgive(worker) }
    }

    /// Records that a worker is quarantined.
    pub fn quarantine(&mut self, worker: AccountId) -> Result<()> {
        let sql =
            "INSERT INTO standings (worker, failures, clean_checks, quarantined_ms) VALUES (?1, 0, 0, ?2)
                   ON CONFLICT DO UPDATE SET quarantined_ms = ifnull(quarantined_ms, ?2)";
        self.sql.connection.prepare_cached(sql)?.execute([worker.0, self.now_ms]).map(|_| ())
    }

    /// Lets a worker work again, as a newcomer.
    fn forgive(&mut self, worker: AccountId) -> Result<()> {
        let connection = self.sql.connection;
        let sql =
            "UPDATE standings SET failures = 0, clean_checks = 0, quarantined_ms = NULL WHERE worker = ?1";
        connection.execute(sql, [worker.0])?;
        connection.execute(
            "UPDATE trust SET answers = 0, since_ms = ?2 WHERE worker = ?1",
            [worker.0, self.now_ms],
        )?;
        Ok(())
    }
}

/// A worker's trust record, as the file has it.
pub(super) fn load(connection: &Connection, worker: AccountId, now_ms: i64) -> Result<WorkerTrust> {
    let standing = connection
        .prepare_cached(
            "SELECT failures, clean_checks, quarantined_ms IS NOT NULL FROM standings WHERE worker = ?1",
        )?
        .query_row([worker.0], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?)))
        .optional()?;
    let (failures, clean_checks, quarantined) = standing.unwrap_or_default();
    let mut select = connection.prepare_cached(
        "SELECT kind, kernel_version, since_ms, answers, checked FROM trust WHERE worker = ?1",
    )?;
    let kinds = select.query_map([worker.0], |row| {
        let known_ms = now_ms.saturating_sub(row.get(2)?);
        Ok(KindTrust {
            kind: KindId(row.get(0)?),
            kernel_version: row.get(1)?,
            answers: row.get::<_, i64>(3)? as u64,
            checked: row.get::<_, i64>(4)? as u64,
            known_for: Duration::from_millis(u64::try_from(known_ms).unwrap_or(0)),
        })
    })?;
    Ok(WorkerTrust {
        kinds: kinds.collect::<Result<_>>()?,
        failures,
        clean_checks: clean_checks as u64,
        quarantined,
    })
}

/// A worker's account as `workers list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerLine {
    /// Its number in the ledger.
    pub account: AccountId,
    /// Its name, which other accounts may have as well.
    pub name: String,
    /// Its owner's public key, if it has an owner.
    pub key: Option<String>,
    /// Whether it gets no work.
    pub quarantined: bool,
    /// Failed checks that are not forgotten.
    pub failures: u32,
    /// Deep checks that its answers passed, all kinds together.
    pub checked: u64,
    /// Its answers that were accepted, of all time.
    pub accepted: u64,
    /// Its answers that were rejected, of all time.
    pub rejected: u64,
    /// Its pending pay.
    pub pending: Nanos,
    /// Answers accepted since it began, or began again after a failed check, by kind.
    pub answers: BTreeMap<String, u64>,
}

/// All workers, as the ledger knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WorkerLines {
    /// How the ledger was read, unless in place beside its writer, and what may be missing; a sentence each.
    pub notes: Vec<String>,
    /// Those in quarantine first, then those with failures, then by answers.
    pub workers: Vec<WorkerLine>,
}

/// Reads all workers' records; `name_of` gives a kind's name. Read-only, and works beside a running coordinator.
pub fn workers(
    path: &Path,
    name_of: impl Fn(KindId) -> Option<String>,
) -> std::result::Result<WorkerLines, LedgerError> {
    let reading = Reading::open(path)?;
    let workers = read(&reading.connection, name_of).map_err(|error| file::explain(path, &error))?;
    reading.is_whole()?;
    Ok(WorkerLines { notes: reading.notes, workers })
}

fn read(connection: &Connection, name_of: impl Fn(KindId) -> Option<String>) -> Result<Vec<WorkerLine>> {
    let mut by_kind = connection.prepare("SELECT kind, answers FROM trust WHERE worker = ?1")?;
    let mut select = connection.prepare(
        "SELECT own.id, own.name, own.key, own.accepted, own.rejected, beside.balance,
             s.quarantined_ms IS NOT NULL, ifnull(s.failures, 0),
             (SELECT ifnull(sum(checked), 0) FROM trust WHERE worker = own.id)
         FROM accounts own JOIN accounts beside ON beside.id = own.id + 1
             LEFT JOIN standings s ON s.worker = own.id
         WHERE own.kind = ?1 ORDER BY 7 DESC, 8 DESC, own.accepted DESC, own.id",
    )?;
    let mut rows = select.query([kind::WORKER])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let account: i64 = row.get(0)?;
        let mut answers = BTreeMap::new();
        let mut of_kinds = by_kind.query([account])?;
        while let Some(of) = of_kinds.next()? {
            let kind = KindId(of.get(0)?);
            let name = name_of(kind).unwrap_or_else(|| format!("kind {}", kind.0));
            *answers.entry(name).or_default() += of.get::<_, i64>(1)? as u64;
        }
        lines.push(WorkerLine {
            account: AccountId(account),
            name: row.get(1)?,
            key: row.get::<_, Option<[u8; 32]>>(2)?.map(|key| AccountKey(key).to_string()),
            accepted: row.get::<_, i64>(3)? as u64,
            rejected: row.get::<_, i64>(4)? as u64,
            pending: Nanos(row.get(5)?),
            quarantined: row.get(6)?,
            failures: row.get(7)?,
            checked: row.get::<_, i64>(8)? as u64,
            answers,
        });
    }
    Ok(lines)
}

impl fmt::Display for WorkerLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        write!(
            f,
            "{:<24} {:<10}{:<12}{:>8}{:>10}{:>10}{:>10}{:>16}  trusted answers",
            "worker", "key", "state", "failures", "accepted", "rejected", "checked", "pending"
        )?;
        for worker in &self.workers {
            let kinds: Vec<String> =
                worker.answers.iter().map(|(kind, answers)| format!("{kind} {answers}")).collect();
            write!(
                f,
                "\n{:<24} {:<10}{:<12}{:>8}{:>10}{:>10}{:>10}{:>16}  {}",
                mark_unprintable(&worker.name),
                worker.key.as_deref().and_then(|key| key.get(..8)).unwrap_or("unclaimed"),
                if worker.quarantined { "quarantine" } else { "works" },
                worker.failures,
                worker.accepted,
                worker.rejected,
                worker.checked,
                worker.pending,
                kinds.join(", ")
            )?;
        }
        Ok(())
    }
}
