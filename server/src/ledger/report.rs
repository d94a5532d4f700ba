//! What the books say, for people and for scripts: balances, revenue, fees, and what each kind brought in.

use std::fmt;
use std::path::Path;

use p2c2r_protocol::{AccountKey, KindId, Nanos, mark_unprintable};
use rusqlite::{Connection, Result, Row};
use serde::Serialize;

use super::account::Totals;
use super::entry::{kind, verdict};
use super::error::LedgerError;
use super::file;
use super::reading::Reading;

/// Accounts printed in a table.
const LINES_MAX: usize = 50;

/// `p2c2r-server ledger report`: printable as a table, serialisable as JSON (amounts in nano-dollars).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerReport {
    /// How the ledger was read, unless in place beside its writer, and what may be missing; a sentence each.
    pub notes: Vec<String>,
    /// The whole ledger.
    pub totals: Totals,
    /// Balance of the bank: minus what it has given as credit.
    pub bank: Nanos,
    /// Balance of the coordinator's share.
    pub fee: Nanos,
    /// Gamers by what they were charged, highest first.
    pub gamers: Vec<AccountLine>,
    /// Workers by what they earned, highest first.
    pub workers: Vec<AccountLine>,
    /// Kinds by number.
    pub kinds: Vec<KindLine>,
    /// Attempts by verdict.
    pub attempts: AttemptCounts,
}

/// One gamer's or worker's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccountLine {
    /// Public name: a label, which other accounts may have as well.
    pub name: String,
    /// Its owner's public key in hexadecimal digits, which tells it from others; `None` for an account of an older ledger
    /// that nobody has claimed.
    pub key: Option<String>,
    /// What a gamer can spend, or a worker can be paid.
    pub available: Nanos,
    /// Held or pending.
    pub set_aside: Nanos,
    /// Charged or earned since it was opened.
    pub turnover: Nanos,
    /// A gamer's tasks settled, or a worker's attempts accepted.
    pub accepted: u64,
    /// A gamer's tasks voided, or a worker's attempts rejected.
    pub rejected: u64,
}

/// What one kind of work brought in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindLine {
    /// Its number.
    pub kind: u8,
    /// Its name, where [`LedgerReport::name_kinds`] found one.
    pub name: Option<String>,
    /// Tasks admitted.
    pub tasks: u64,
    /// Settled by a worker's outcome.
    pub by_worker: u64,
    /// Settled by the coordinator's own kernel.
    pub by_coordinator: u64,
    /// Settled from the cache.
    pub by_cache: u64,
    /// Voided.
    pub void: u64,
    /// Charged to gamers.
    pub charged: Nanos,
    /// Earned by workers.
    pub earned: Nanos,
    /// Kept by the coordinator.
    pub fee: Nanos,
}

/// Attempts by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttemptCounts {
    /// Not ended.
    pub running: u64,
    /// Passed their checks.
    pub accepted: u64,
    /// Failed a check.
    pub rejected: u64,
    /// Their worker went away.
    pub lost: u64,
    /// Their lease ran out.
    pub expired: u64,
    /// Their worker said it could not.
    pub failed: u64,
    /// The task was over without them.
    pub unneeded: u64,
}

impl LedgerReport {
    /// Fills in the kinds' names; the ledger itself knows only their numbers.
    pub fn name_kinds(&mut self, name: impl Fn(KindId) -> Option<String>) {
        for line in &mut self.kinds {
            line.name = name(KindId(line.kind));
        }
    }
}

pub(super) fn report(path: &Path) -> std::result::Result<LedgerReport, LedgerError> {
    let reading = Reading::open(path)?;
    let mut report = read(&reading.connection).map_err(|error| file::explain(path, &error))?;
    reading.is_whole()?;
    report.notes = reading.notes;
    Ok(report)
}

fn read(connection: &Connection) -> Result<LedgerReport> {
    // One snapshot for everything: a coordinator may be writing.
    let snapshot = connection.unchecked_transaction()?;
    let balance =
        |id| snapshot.query_row("SELECT balance FROM accounts WHERE id = ?1", [id], |row| row.get(0));
    let mut report = LedgerReport {
        bank: Nanos(balance(kind::BANK_ACCOUNT)?),
        fee: Nanos(balance(kind::FEE_ACCOUNT)?),
        gamers: read_accounts(&snapshot, kind::GAMER)?,
        workers: read_accounts(&snapshot, kind::WORKER)?,
        kinds: read_kinds(&snapshot)?,
        attempts: read_attempts(&snapshot)?,
        ..LedgerReport::default()
    };
    report.totals = Totals {
        tasks_done: report.gamers.iter().map(|line| line.accepted).sum(),
        tasks_void: report.gamers.iter().map(|line| line.rejected).sum(),
        revenue: report.gamers.iter().map(|line| line.turnover).sum(),
        fee: report.fee,
        earned: report.workers.iter().map(|line| line.turnover).sum(),
        pending: report.workers.iter().map(|line| line.set_aside).sum(),
        paid_out: Nanos(balance(kind::PAYOUT_ACCOUNT)?),
    };
    Ok(report)
}

fn read_accounts(connection: &Connection, kind: u8) -> Result<Vec<AccountLine>> {
    let mut select = connection.prepare(
        "SELECT own.name, own.balance, beside.balance, own.turnover, own.accepted, own.rejected, own.key
         FROM accounts own JOIN accounts beside ON beside.id = own.id + 1
         WHERE own.kind = ?1 ORDER BY own.turnover DESC, own.name, own.id",
    )?;
    select
        .query_map([kind], |row| {
            Ok(AccountLine {
                name: row.get(0)?,
                available: Nanos(row.get(1)?),
                set_aside: Nanos(row.get(2)?),
                turnover: Nanos(row.get(3)?),
                accepted: row.get::<_, i64>(4)? as u64,
                rejected: row.get::<_, i64>(5)? as u64,
                key: row.get::<_, Option<[u8; 32]>>(6)?.map(|key| AccountKey(key).to_string()),
            })
        })?
        .collect()
}

fn read_kinds(connection: &Connection) -> Result<Vec<KindLine>> {
    // Tasks that have rows, and the sums of folded ones.
    let mut select = connection.prepare(
        "SELECT kind, sum(tasks), sum(by_worker), sum(by_coordinator), sum(by_cache), sum(void), sum(earned), sum(fee)
         FROM (
             SELECT kind, 1 AS tasks, source IS 1 AS by_worker, source IS 2 AS by_coordinator, source IS 3 AS by_cache,
                 state = 3 AS void, pay AS earned, fee FROM tasks
             UNION ALL
             SELECT kind, tasks, by_worker, by_coordinator, by_cache, void, earned, fee FROM folded_kinds
         ) GROUP BY kind ORDER BY kind",
    )?;
    let count = |row: &Row<'_>, at| row.get::<_, i64>(at).map(|count| count as u64);
    select
        .query_map([], |row| {
            let (earned, fee) = (Nanos(row.get(6)?), Nanos(row.get(7)?));
            Ok(KindLine {
                kind: row.get(0)?,
                name: None,
                tasks: count(row, 1)?,
                by_worker: count(row, 2)?,
                by_coordinator: count(row, 3)?,
                by_cache: count(row, 4)?,
                void: count(row, 5)?,
                charged: earned + fee,
                earned,
                fee,
            })
        })?
        .collect()
}

fn read_attempts(connection: &Connection) -> Result<AttemptCounts> {
    let mut select = connection.prepare(
        "SELECT verdict, sum(attempts) FROM (
             SELECT verdict, 1 AS attempts FROM attempts
             UNION ALL SELECT 1, count(*) FROM tasks WHERE worker IS NOT NULL
             UNION ALL SELECT verdict, attempts FROM folded_attempts
         ) GROUP BY verdict",
    )?;
    let mut rows = select.query([])?;
    let mut counts = AttemptCounts::default();
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(1)? as u64;
        match row.get::<_, u8>(0)? {
            verdict::RUNNING => counts.running = count,
            verdict::ACCEPTED => counts.accepted = count,
            verdict::REJECTED => counts.rejected = count,
            verdict::LOST => counts.lost = count,
            verdict::EXPIRED => counts.expired = count,
            verdict::FAILED => counts.failed = count,
            _ => counts.unneeded = count,
        }
    }
    Ok(counts)
}

impl fmt::Display for LedgerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        let totals = &self.totals;
        writeln!(f, "tasks done {}, void {}", totals.tasks_done, totals.tasks_void)?;
        writeln!(f, "revenue    {}", totals.revenue)?;
        writeln!(f, "  workers  {}", totals.earned)?;
        writeln!(f, "  fee      {}", totals.fee)?;
        writeln!(f, "pending    {}", totals.pending)?;
        writeln!(f, "can be paid {}", totals.available())?;
        writeln!(f, "paid out   {}", totals.paid_out)?;
        writeln!(f, "given as credit {}", -self.bank)?;
        let attempts = &self.attempts;
        writeln!(
            f,
            "attempts   {} accepted, {} rejected, {} lost, {} expired, {} failed, {} unneeded, {} running",
            attempts.accepted,
            attempts.rejected,
            attempts.lost,
            attempts.expired,
            attempts.failed,
            attempts.unneeded,
            attempts.running
        )?;
        lines(f, ["gamer", "available", "held", "charged", "tasks", "void"], &self.gamers)?;
        lines(f, ["worker", "available", "pending", "earned", "accepted", "rejected"], &self.workers)?;
        write!(
            f,
            "\n{:<24}{:>10}{:>10}{:>13}{:>10}{:>10}{:>16}{:>16}{:>16}",
            "kind", "tasks", "worker", "coordinator", "cache", "void", "charged", "earned", "fee"
        )?;
        for line in &self.kinds {
            write!(
                f,
                "\n{:<24}{:>10}{:>10}{:>13}{:>10}{:>10}{:>16}{:>16}{:>16}",
                line.name.clone().unwrap_or_else(|| KindId(line.kind).to_string()),
                line.tasks,
                line.by_worker,
                line.by_coordinator,
                line.by_cache,
                line.void,
                line.charged,
                line.earned,
                line.fee
            )?;
        }
        Ok(())
    }
}

fn lines(f: &mut fmt::Formatter<'_>, head: [&str; 6], accounts: &[AccountLine]) -> fmt::Result {
    let [name, available, set_aside, turnover, accepted, rejected] = head;
    writeln!(
        f,
        "\n{name:<24} {:<10}{available:>16}{set_aside:>16}{turnover:>16}{accepted:>12}{rejected:>10}",
        "key"
    )?;
    for line in accounts.iter().take(LINES_MAX) {
        writeln!(
            f,
            "{:<24} {:<10}{:>16}{:>16}{:>16}{:>12}{:>10}",
            mark_unprintable(&line.name),
            line.key.as_deref().and_then(|key| key.get(..8)).unwrap_or("unclaimed"),
            line.available,
            line.set_aside,
            line.turnover,
            line.accepted,
            line.rejected
        )?;
    }
    if accounts.len() > LINES_MAX {
        writeln!(f, "and {} more (all of them with --format json)", accounts.len() - LINES_MAX)?;
    }
    Ok(())
}
