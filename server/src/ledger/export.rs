//! `export`: the transfers as comma-separated values, for spreadsheets and accountants. Rows are written as they are read,
//! so that memory does not grow with the book.

use std::io::{self, Write};
use std::path::Path;

use p2c2r_protocol::{Nanos, mark_unprintable};
use rusqlite::Connection;

use super::chain::{ALL_TRANSFERS, RELEASES};
use super::entry::reason;
use super::error::LedgerError;
use super::file;
use super::heads::date;
use super::reading::Reading;

/// The first line.
const HEADINGS: &str =
    "row,group,time,transfer,reason,from,from_name,to,to_name,dollars,task,attempt,reference";

/// Writes what the ledger at `path` says to `out`; returns how many rows below the headings.
pub(super) fn export(path: &Path, out: &mut impl Write) -> Result<u64, LedgerError> {
    let reading = Reading::open(path)?;
    let rows = write(&reading.connection, out).map_err(|error| match error {
        Failed::Ledger(error) => file::explain(path, &error),
        Failed::Output(error) => LedgerError::Output(error.to_string()),
    })?;
    reading.is_whole()?;
    Ok(rows)
}

enum Failed {
    Ledger(rusqlite::Error),
    Output(io::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Ledger(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn write(connection: &Connection, out: &mut impl Write) -> Result<u64, Failed> {
    // One snapshot for everything: a coordinator may be writing.
    let snapshot = connection.unchecked_transaction()?;
    writeln!(out, "{HEADINGS}")?;
    Ok(write_folded(&snapshot, out)? + write_transfers(&snapshot, out)?)
}

/// What was folded: for each account what its transfers up to a group add up to.
fn write_folded(connection: &Connection, out: &mut impl Write) -> Result<u64, Failed> {
    let mut select = connection.prepare(
        "SELECT c.grp, f.account, a.name, f.balance
         FROM folded f JOIN accounts a ON a.id = f.account, checkpoint c ORDER BY f.account",
    )?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (group, account): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (name, balance) = (row.get::<_, String>(2)?, Nanos(row.get(3)?));
        writeln!(out, "folded,{group},,,sum,,,{account},{},{},,,", quoted(&name), dollars(balance))?;
        count += 1;
    }
    Ok(count)
}

fn write_transfers(connection: &Connection, out: &mut impl Write) -> Result<u64, Failed> {
    let mut select = connection.prepare(&format!(
        "SELECT t.grp, g.at_ms, t.id, t.reason, t.debit, d.name, t.credit, c.name, t.amount, t.attempt, p.reference
         FROM {ALL_TRANSFERS} t JOIN groups g ON g.id = t.grp
             JOIN accounts d ON d.id = t.debit JOIN accounts c ON c.id = t.credit
             LEFT JOIN payouts p ON p.id = t.id
         ORDER BY t.grp, t.id",
    ))?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (group, at_ms, id): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (from, to): (i64, i64) = (row.get(4)?, row.get(6)?);
        let (from_name, to_name): (String, String) = (row.get(5)?, row.get(7)?);
        let reference: Option<String> = if id < RELEASES { row.get(10)? } else { None };
        let task = if id > 0 { (id >> 2).to_string() } else { String::new() };
        let attempt: i64 = row.get(9)?;
        let attempt = if attempt > 0 { attempt.to_string() } else { String::new() };
        writeln!(
            out,
            "transfer,{group},{},{id},{},{from},{},{to},{},{},{task},{attempt},{}",
            date(at_ms),
            name_of(row.get(3)?),
            quoted(&from_name),
            quoted(&to_name),
            dollars(Nanos(row.get(8)?)),
            quoted(&reference.unwrap_or_default())
        )?;
        count += 1;
    }
    Ok(count)
}

/// Why money moved, for people.
fn name_of(code: u8) -> &'static str {
    match code {
        reason::OPENING_CREDIT => "opening credit",
        reason::HOLD => "hold",
        reason::PAY => "pay",
        reason::FEE => "fee",
        reason::RETURN => "return",
        reason::RELEASE => "release",
        reason::GRANT => "grant",
        reason::REVERSAL => "reversal",
        reason::PAYOUT => "payout",
        reason::PAYOUT_TAKEN_BACK => "payout taken back",
        _ => "unknown",
    }
}

/// Exact dollars with all nine decimals and no currency sign, as spreadsheets read them.
fn dollars(amount: Nanos) -> String {
    let magnitude = amount.0.unsigned_abs();
    let sign = if amount.0 < 0 { "-" } else { "" };
    format!("{sign}{}.{:09}", magnitude / 1_000_000_000, magnitude % 1_000_000_000)
}

/// A text as one quoted field. Names come from peers, and spreadsheets run what begins like a formula; such a text gets
/// a leading apostrophe, which marks it as text.
fn quoted(text: &str) -> String {
    let text = mark_unprintable(text);
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (nanos, expected) in [
            (0, "0.000000000"),
            (1, "0.000000001"),
            (-1, "-0.000000001"),
            (1_234_567_890_123, "1234.567890123"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(dollars(Nanos(nanos)), expected);
        }
    }

    #[test]
    fn a_name_is_one_field_and_no_formula() {
        for (name, expected) in [
            ("ada", "ada"),
            ("a, \"b\"", "\"a, \"\"b\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("two\nlines", "two\u{fffd}lines"),
            ("", ""),
        ] {
            assert_eq!(quoted(name), expected);
        }
    }
}
