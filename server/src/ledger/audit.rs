//! `check`: derives everything in the books again from the transfers and compares.
//!
//! It shares no code with the writer: a task's transfers are derived here from the task's row and its attempts, so a
//! bug in the writer shows up as a difference.

mod check_report;
mod look_ahead;

use std::collections::HashMap;
use std::path::Path;

use p2c2r_protocol::Nanos;
use rusqlite::{Connection, Result};

use super::account_log::{self, AccountLogEntry};
use super::chain::{
    ALL_TRANSFERS, GRANTS, GroupHasher, OPENING_CREDITS, RELEASES, REVERSALS, Transfer, checksum,
};
use super::charges;
use super::entry::{kind, reason};
use super::error::LedgerError;
use super::file;
use super::folding::{self, Checkpoint, FoldedSums};
use super::heads::{self, SignedHead};
use super::payouts::PayoutsBooked;
use super::reading::Reading;
use super::task_audit::{self, TaskTally};

pub use check_report::{CheckReport, PROBLEMS_NAMED_MAX};
pub(super) use look_ahead::LookAhead;

/// One account as the file has it.
pub(super) struct Booked {
    pub kind: u8,
    pub balance: i64,
    pub turnover: i64,
    pub accepted: i64,
    pub rejected: i64,
}

pub(super) fn check(path: &Path, heads: &[SignedHead]) -> std::result::Result<CheckReport, LedgerError> {
    let reading = Reading::open(path)?;
    let mut report = audit(&reading.connection, heads).map_err(|error| file::explain(path, &error))?;
    reading.is_whole()?;
    report.notes = reading.notes;
    Ok(report)
}

fn audit(connection: &Connection, heads: &[SignedHead]) -> Result<CheckReport> {
    // One snapshot for everything: a coordinator may be writing.
    let snapshot = connection.unchecked_transaction()?;
    let mut report = CheckReport::default();
    integrity(&snapshot, &mut report)?;
    let accounts = read_accounts(&snapshot)?;
    report.accounts = accounts.len() as u64;
    let checkpoint = Checkpoint::read(&snapshot)?;
    (report.folded_groups, report.folded_tasks) = (checkpoint.group as u64, checkpoint.tasks as u64);
    let folded = folding::read_sums(&snapshot)?;
    let derived = chain(&snapshot, &checkpoint, &folded, &mut report)?;
    let mut tally = TaskTally::of_folded(&folded);
    task_audit::check(&snapshot, &accounts, checkpoint.group, &mut tally, &mut report)?;
    other_transfers(&snapshot, &accounts, checkpoint.grants, &mut tally, &mut report)?;
    balances(&accounts, &derived, &tally, &mut report);
    recorded(&snapshot, &mut report)?;
    pending(&snapshot, &accounts, &mut report)?;
    kept(&snapshot, &mut report)?;
    charges::check(&snapshot, &checkpoint, &mut report)?;
    account_log::check(&snapshot, &checkpoint, &mut report)?;
    heads::compare(&snapshot, heads, &mut report)?;
    report.ok = report.problems_total == 0;
    Ok(report)
}

/// What SQLite itself can tell: damaged pages, broken constraints and references.
fn integrity(connection: &Connection, report: &mut CheckReport) -> Result<()> {
    let mut select = connection.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let found: String = row.get(0)?;
        if found != "ok" {
            report.problem(|| format!("the file is damaged: {found}"));
        }
    }
    let mut select = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (table, id): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
        report.problem(|| format!("row {} of {table} refers to a row that is not there", id.unwrap_or(0)));
    }
    Ok(())
}

fn read_accounts(connection: &Connection) -> Result<HashMap<i64, Booked>> {
    let mut select =
        connection.prepare("SELECT id, kind, balance, turnover, accepted, rejected FROM accounts")?;
    select
        .query_map([], |row| {
            let booked = Booked {
                kind: row.get(1)?,
                balance: row.get(2)?,
                turnover: row.get(3)?,
                accepted: row.get(4)?,
                rejected: row.get(5)?,
            };
            Ok((row.get(0)?, booked))
        })?
        .collect()
}

/// Hashes every group after the newest folded one again, and returns the balances that folded sums and transfers add up to.
fn chain(
    connection: &Connection,
    checkpoint: &Checkpoint,
    folded: &HashMap<i64, FoldedSums>,
    report: &mut CheckReport,
) -> Result<HashMap<i64, i128>> {
    let mut groups =
        connection.prepare("SELECT id, at_ms, transfers, hash, folded FROM groups ORDER BY id")?;
    let mut groups = groups.query([])?;
    let mut transfers = connection.prepare(&format!(
        "SELECT id, debit, credit, amount, reason, attempt, grp FROM {ALL_TRANSFERS} ORDER BY grp, id"
    ))?;
    let mut transfers =
        LookAhead::new(transfers.query([])?, |row| Ok((read_transfer(row)?, row.get::<_, i64>(6)?)))?;
    let mut changes = connection
        .prepare("SELECT grp, account, what, number, bytes, text FROM account_log ORDER BY grp, id")?;
    let mut changes = LookAhead::new(changes.query([])?, |row| {
        Ok((row.get::<_, i64>(0)?, AccountLogEntry::read(row, 1)?))
    })?;
    let mut derived: HashMap<i64, i128> =
        folded.iter().map(|(account, sums)| (*account, i128::from(sums.balance))).collect();
    let (mut previous, mut expected) = (checkpoint.hash, checkpoint.group + 1);
    let mut digest: Option<[u8; 32]> = None;
    while let Some(row) = groups.next()? {
        let (group, at_ms, count): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let hash: [u8; 32] = row.get(3)?;
        if group != expected {
            report.problem(|| format!("groups {expected} to {} are missing", group - 1));
        }
        let mut hasher = GroupHasher::new(&previous, group, at_ms);
        let mut found = 0;
        while let Some((transfer, of)) = transfers.take_if(|(_, of)| *of <= group)? {
            if of == group {
                hasher.add(&transfer);
                found += 1;
            } else {
                report.problem(|| format!("transfer {} names group {of}, which is not there", transfer.id));
            }
            count_in(&mut derived, &transfer, report);
        }
        let mut done = Vec::new();
        while let Some((_, change)) = changes.take_if(|(of, _)| *of <= group)? {
            done.push(change);
        }
        if let Some(digest) = account_log::digest(&done) {
            hasher.add_accounts(&digest);
        }
        if let Some(folded) = row.get::<_, Option<[u8; 32]>>(4)? {
            hasher.add_folded(&folded);
            digest = Some(folded);
        }
        if found != count {
            report.problem(|| format!("group {group} has {found} transfers where it recorded {count}"));
        }
        if hasher.finish() != hash {
            report.problem(|| {
                format!(
                    "group {group} does not match its hash: a transfer, or the log of accounts, was changed"
                )
            });
        }
        previous = hash;
        expected = group + 1;
        report.groups += 1;
    }
    while let Some((transfer, of)) = transfers.step()? {
        report.problem(|| format!("transfer {} names group {of}, which is not there", transfer.id));
        count_in(&mut derived, &transfer, report);
    }
    if let Some((group, _)) = changes.step()? {
        report.problem(|| format!("the log of accounts names group {group}, which is not there"));
    }
    let has_folded = digest.is_some() || checkpoint.group > 0 || !folded.is_empty();
    if has_folded && digest != Some(folding::digest_of_file(connection)?) {
        report.problem(|| "the folded sums do not match the digest of the group that folded last".to_owned());
    }
    report.head = p2c2r_protocol::Digest(previous).to_string();
    Ok(derived)
}

/// Reads a transfer from the first six columns of a row.
pub(super) fn read_transfer(row: &rusqlite::Row<'_>) -> Result<Transfer> {
    Ok(Transfer {
        id: row.get(0)?,
        debit: row.get(1)?,
        credit: row.get(2)?,
        amount: row.get(3)?,
        reason: row.get(4)?,
        attempt: row.get(5)?,
    })
}

fn count_in(derived: &mut HashMap<i64, i128>, transfer: &Transfer, report: &mut CheckReport) {
    report.transfers += 1;
    *derived.entry(transfer.debit).or_default() -= i128::from(transfer.amount);
    *derived.entry(transfer.credit).or_default() += i128::from(transfer.amount);
}

/// Checks that credits, grants, releases, reversals and payouts have ids of their range and run between the right accounts.
fn other_transfers(
    connection: &Connection,
    accounts: &HashMap<i64, Booked>,
    folded_grants: i64,
    tally: &mut TaskTally,
    report: &mut CheckReport,
) -> Result<()> {
    let mut select = connection
        .prepare("SELECT id, debit, credit, amount, reason, attempt FROM transfers WHERE id <= 0")?;
    let mut rows = select.query([])?;
    let is = |account: i64, kind: u8| accounts.get(&account).is_some_and(|booked| booked.kind == kind);
    let mut granted = read_grants(connection)?;
    let mut payouts = PayoutsBooked::read(connection)?;
    while let Some(row) = rows.next()? {
        let transfer = read_transfer(row)?;
        let fits = match transfer.reason {
            reason::OPENING_CREDIT => {
                transfer.id > OPENING_CREDITS
                    && transfer.id == -transfer.credit
                    && transfer.debit == kind::BANK_ACCOUNT
                    && is(transfer.credit, kind::GAMER)
            }
            reason::RELEASE => {
                (RELEASES..GRANTS).contains(&transfer.id)
                    && transfer.debit == transfer.credit + 1
                    && is(transfer.credit, kind::WORKER)
            }
            reason::GRANT => {
                let booked = granted.get_mut(&(transfer.credit, transfer.amount));
                (GRANTS..REVERSALS).contains(&transfer.id)
                    && transfer.debit == kind::BANK_ACCOUNT
                    && (is(transfer.credit, kind::GAMER) || is(transfer.credit, kind::WORKER))
                    && booked.is_some_and(|count| {
                        *count -= 1;
                        *count >= 0
                    })
            }
            reason::REVERSAL => {
                let to_gamer = is(transfer.credit, kind::GAMER);
                tally.took_back(transfer.debit - 1, transfer.amount);
                if to_gamer {
                    tally.took_back(transfer.credit, transfer.amount);
                }
                (REVERSALS..OPENING_CREDITS).contains(&transfer.id)
                    && is(transfer.debit, kind::PENDING)
                    && (to_gamer || transfer.credit == kind::FEE_ACCOUNT)
            }
            reason::PAYOUT | reason::PAYOUT_TAKEN_BACK => payouts.take(&transfer, accounts),
            _ => false,
        };
        if !fits || transfer.attempt != 0 {
            report.problem(|| {
                format!(
                    "transfer {} has a number, accounts or a reason that do not fit together",
                    transfer.id
                )
            });
        }
    }
    payouts.are_all_found(report);
    let missing: i64 = granted.values().filter(|count| **count > 0).sum();
    if missing != folded_grants {
        report.problem(|| format!("{missing} grants have no transfer, and {folded_grants} were folded"));
    }
    Ok(())
}

/// How often each account was granted each amount.
fn read_grants(connection: &Connection) -> Result<HashMap<(i64, i64), i64>> {
    let mut select =
        connection.prepare("SELECT account, amount, count(*) FROM grants GROUP BY account, amount")?;
    select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?.collect()
}

fn balances(
    accounts: &HashMap<i64, Booked>,
    derived: &HashMap<i64, i128>,
    tally: &TaskTally,
    report: &mut CheckReport,
) {
    let mut sum = 0;
    for (&id, booked) in accounts {
        sum += i128::from(booked.balance);
        let derived = derived.get(&id).copied().unwrap_or(0);
        if derived != i128::from(booked.balance) {
            report.problem(|| {
                format!("account {id} has {} where its transfers say {derived} nanos", Nanos(booked.balance))
            });
        }
        if booked.balance < 0 && booked.kind != kind::BANK {
            report.problem(|| format!("account {id} is below zero: {}", Nanos(booked.balance)));
        }
        let counted = tally.of(id);
        if (booked.turnover, booked.accepted, booked.rejected)
            != (counted.turnover, counted.accepted, counted.rejected)
        {
            report.problem(|| {
                format!(
                    "the turnover or counts of account {id} are not what its tasks and attempts add up to"
                )
            });
        }
        let partner = |kind| accounts.get(&(id + 1)).is_some_and(|beside| beside.kind == kind);
        if booked.kind == kind::GAMER && !partner(kind::HELD)
            || booked.kind == kind::WORKER && !partner(kind::PENDING)
        {
            report.problem(|| format!("account {id} has lost the account beside it"));
        }
    }
    for id in derived.keys().filter(|id| !accounts.contains_key(id)) {
        report.problem(|| format!("transfers name account {id}, which is not there"));
    }
    if sum != 0 {
        report.problem(|| format!("the balances add up to {sum} nanos instead of zero"));
    }
    report.sum = Nanos(i64::try_from(sum).unwrap_or(i64::MAX));
}

/// Checks that each pending account has what falls due to its worker plus what is being given back.
fn pending(connection: &Connection, accounts: &HashMap<i64, Booked>, report: &mut CheckReport) -> Result<()> {
    let mut select = connection.prepare(
        "SELECT worker, sum(amount) FROM
             (SELECT worker, amount FROM earnings UNION ALL SELECT worker, rest FROM reversals)
         GROUP BY worker",
    )?;
    let due: HashMap<i64, i64> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
    for (id, booked) in accounts.iter().filter(|(_, booked)| booked.kind == kind::PENDING) {
        let due = due.get(&(id - 1)).copied().unwrap_or(0);
        if due != booked.balance {
            report.problem(|| {
                format!("account {id} has {} pending, and {} falls due", Nanos(booked.balance), Nanos(due))
            });
        }
    }
    Ok(())
}

/// Checks each gamer's count of its tasks that have rows.
fn recorded(connection: &Connection, report: &mut CheckReport) -> Result<()> {
    let mut select = connection.prepare(
        "SELECT id, tasks FROM accounts WHERE tasks <> (SELECT count(*) FROM tasks WHERE gamer = accounts.id)",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, tasks): (i64, i64) = (row.get(0)?, row.get(1)?);
        report.problem(|| format!("account {id} counts {tasks} tasks, and has another number of them"));
    }
    Ok(())
}

/// Checks that kept outcomes match their checksums, and that patient payloads belong to open tasks.
fn kept(connection: &Connection, report: &mut CheckReport) -> Result<()> {
    let mut select = connection.prepare(
        "SELECT o.id, o.checksum, o.bytes, t.key FROM outcomes o LEFT JOIN tasks t ON t.no = o.task",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        match row.get::<_, Option<[u8; 32]>>(3)? {
            None => report.problem(|| format!("kept outcome {id} belongs to no task")),
            Some(key) if checksum(&key, row.get_ref(2)?.as_blob()?) != row.get::<_, i64>(1)? => {
                report.problem(|| format!("kept outcome {id} does not match its checksum"));
            }
            Some(_) => {}
        }
    }
    let stray: i64 = connection.query_row(
        "SELECT count(*) FROM patient p JOIN tasks t ON t.no = p.task WHERE t.state <> 1",
        [],
        |row| row.get(0),
    )?;
    if stray > 0 {
        report.problem(|| format!("{stray} patient tasks are kept though they are over"));
    }
    Ok(())
}
