//! What happens to accounts, as the hash chain covers it: opened, renamed, claimed, credited, paid out.
//!
//! Every group's hash covers a digest of its rows. Folding applies rows to `folded_accounts` and deletes them; a digest of
//! all folded accounts, grants and payouts is then part of what the chain covers, so that none can be changed unnoticed.

use std::collections::HashMap;

use p2c2r_protocol::Role;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, params};

use super::audit::CheckReport;
use super::chain::GroupHasher;
use super::entry::kind;
use super::folding::Checkpoint;

/// Codes of what happened; the migration's comments say the same.
mod what {
    pub const GAMER_OPENED: u8 = 1;
    pub const WORKER_OPENED: u8 = 2;
    pub const RENAMED: u8 = 3;
    pub const CLAIMED: u8 = 4;
    pub const GRANTED: u8 = 5;
    pub const PAID_OUT: u8 = 6;
    pub const TAKEN_BACK: u8 = 7;
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountLogEntry {
    account: i64,
    what: u8,
    number: i64,
    bytes: Option<Vec<u8>>,
    text: Option<String>,
}

impl AccountLogEntry {
    /// An account was opened.
    pub fn opened(role: Role, account: i64, key: Option<[u8; 32]>, name: &str, opened_ms: i64) -> Self {
        let what = if role == Role::Gamer { what::GAMER_OPENED } else { what::WORKER_OPENED };
        let (bytes, text) = (key.map(Vec::from), Some(name.to_owned()));
        Self { account, what, number: opened_ms, bytes, text }
    }

    /// An account's label was changed.
    pub fn renamed(account: i64, name: &str) -> Self {
        Self { account, what: what::RENAMED, number: 0, bytes: None, text: Some(name.to_owned()) }
    }

    /// An account of an older ledger was given an owner.
    pub fn claimed(account: i64, key: [u8; 32]) -> Self {
        Self { account, what: what::CLAIMED, number: 0, bytes: Some(key.to_vec()), text: None }
    }

    /// The operator credited an account.
    pub fn granted(account: i64, amount: i64, reference: [u8; 16]) -> Self {
        Self { account, what: what::GRANTED, number: amount, bytes: Some(reference.to_vec()), text: None }
    }

    /// A worker was paid outside the ledger, or such a payout was taken back.
    pub fn paid_out(account: i64, amount: i64, reference: &str, taken_back: bool) -> Self {
        let what = if taken_back { what::TAKEN_BACK } else { what::PAID_OUT };
        Self { account, what, number: amount, bytes: None, text: Some(reference.to_owned()) }
    }

    /// Reads five columns from the `at`-th on.
    pub fn read(row: &Row<'_>, at: usize) -> Result<Self> {
        Ok(Self {
            account: row.get(at)?,
            what: row.get(at + 1)?,
            number: row.get(at + 2)?,
            bytes: row.get(at + 3)?,
            text: row.get(at + 4)?,
        })
    }

    fn hash_into(&self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.account.to_le_bytes());
        hasher.update(&[self.what]);
        hasher.update(&self.number.to_le_bytes());
        for part in [self.bytes.as_deref(), self.text.as_ref().map(String::as_bytes)] {
            // One more than the length, so that nothing and an empty part differ.
            hasher.update(&part.map_or(0, |part| part.len() as u64 + 1).to_le_bytes());
            hasher.update(part.unwrap_or_default());
        }
    }
}

/// What a group is hashed with; `None` for a group without such rows.
pub(super) fn digest<'a>(changes: impl IntoIterator<Item = &'a AccountLogEntry>) -> Option<[u8; 32]> {
    let mut changes = changes.into_iter().peekable();
    changes.peek()?;
    let mut hasher = blake3::Hasher::new();
    changes.for_each(|change| change.hash_into(&mut hasher));
    Some(*hasher.finalize().as_bytes())
}

/// Writes a group's rows.
pub(super) fn insert(connection: &Connection, group: i64, changes: &[AccountLogEntry]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO account_log (grp, account, what, number, bytes, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for AccountLogEntry { account, what, number, bytes, text } in changes {
        insert.execute(params![group, account, what, number, bytes, text])?;
    }
    Ok(())
}

/// Adds a group with the accounts and grants of a ledger whose chain does not cover them. Part of the migration, so
/// that every ledger of this schema has all of them in its log.
pub(super) fn take_over(connection: &Connection) -> Result<()> {
    let checkpoint = Checkpoint::read(connection)?;
    let newest: Option<(i64, i64, [u8; 32])> = connection
        .query_row("SELECT id, at_ms, hash FROM groups ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (group, at_ms, head) = newest.unwrap_or((checkpoint.group, 0, checkpoint.hash));
    if checkpoint.group > 0 {
        // The time of the newest folded group is not stored; it is no later than that of the oldest remaining group.
        connection.execute(
            "INSERT INTO landmarks SELECT ?1, ifnull((SELECT min(at_ms) FROM groups), 0), ?2",
            params![checkpoint.group, checkpoint.hash],
        )?;
        let digest = landmarks_digest(connection)?;
        connection.execute("UPDATE checkpoint SET landmarks = ?1", params![digest])?;
    }
    let mut changes = Vec::new();
    let mut select = connection
        .prepare("SELECT id, kind, key, name, opened_ms FROM accounts WHERE kind IN (3, 5) ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let role = if row.get::<_, u8>(1)? == kind::GAMER { Role::Gamer } else { Role::Worker };
        let name: String = row.get(3)?;
        changes.push(AccountLogEntry::opened(role, row.get(0)?, row.get(2)?, &name, row.get(4)?));
    }
    let mut select =
        connection.prepare("SELECT account, amount, reference FROM grants ORDER BY reference")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        changes.push(AccountLogEntry::granted(row.get(0)?, row.get(1)?, row.get(2)?));
    }
    let Some(digest) = digest(&changes) else { return Ok(()) };
    insert(connection, group + 1, &changes)?;
    let mut hasher = GroupHasher::new(&head, group + 1, at_ms);
    hasher.add_accounts(&digest);
    connection
        .execute(
            "INSERT INTO groups (id, at_ms, transfers, hash) VALUES (?1, ?2, 0, ?3)",
            params![group + 1, at_ms, hasher.finish()],
        )
        .map(|_| ())
}

/// The newest group, at most `last`, up to and including which the log has no more than `rows_max` rows.
pub(super) fn in_bounds(connection: &Connection, last: i64, rows_max: i64) -> Result<i64> {
    let first_beyond: Option<i64> = connection
        .prepare_cached("SELECT grp FROM account_log ORDER BY grp LIMIT 1 OFFSET ?1")?
        .query_row([rows_max], |row| row.get(0))
        .optional()?;
    Ok(first_beyond.map_or(last, |group| last.min(group - 1)))
}

/// Applies a folded row.
pub(super) fn fold(connection: &Connection, change: &AccountLogEntry) -> Result<()> {
    let AccountLogEntry { account, what, number, bytes, text } = change;
    match *what {
        what::GAMER_OPENED | what::WORKER_OPENED => connection
            .prepare_cached(
                "INSERT INTO folded_accounts (account, kind, key, name, opened_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![account, opened_kind(*what), bytes, text, number])
            .map(|_| ()),
        what::RENAMED => connection
            .prepare_cached("UPDATE folded_accounts SET name = ?2 WHERE account = ?1")?
            .execute(params![account, text])
            .map(|_| ()),
        what::CLAIMED => connection
            .prepare_cached("UPDATE folded_accounts SET key = ?2 WHERE account = ?1")?
            .execute(params![account, bytes])
            .map(|_| ()),
        // Grants and payouts stay in tables of their own.
        _ => Ok(()),
    }
}

fn opened_kind(what: u8) -> u8 {
    if what == what::GAMER_OPENED { kind::GAMER } else { kind::WORKER }
}

/// Digest of the folded accounts, and of the grants and payouts of folded groups.
pub(super) fn folded_digest(connection: &Connection) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    for sql in [
        "SELECT account, kind, key, name, opened_ms FROM folded_accounts ORDER BY account",
        "SELECT reference, account, amount FROM grants
         WHERE reference NOT IN (SELECT bytes FROM account_log WHERE what = 5) ORDER BY reference",
        "SELECT id, grp, reference, account, amount, undoes FROM payouts
         WHERE grp <= (SELECT grp FROM checkpoint) ORDER BY id",
    ] {
        hash_rows(connection, sql, &mut hasher)?;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Digest of all landmarks.
pub(super) fn landmarks_digest(connection: &Connection) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hash_rows(connection, "SELECT grp, at_ms, hash FROM landmarks ORDER BY grp", &mut hasher)?;
    Ok(*hasher.finalize().as_bytes())
}

/// Bytes hashed at once: BLAKE3 hashes many of its blocks side by side, and rows are small.
const HASHED_AT_ONCE: usize = 64 * 1024;

fn hash_rows(connection: &Connection, sql: &str, hasher: &mut blake3::Hasher) -> Result<()> {
    let mut select = connection.prepare_cached(sql)?;
    let columns = select.column_count();
    let mut rows = select.query([])?;
    let (mut count, mut bytes) = (0_u64, Vec::new());
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Integer(number) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
                ValueRef::Text(value) | ValueRef::Blob(value) => {
                    bytes.push(2);
                    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
                    bytes.extend_from_slice(value);
                }
                ValueRef::Null | ValueRef::Real(_) => bytes.push(0),
            }
        }
        count += 1;
        if bytes.len() >= HASHED_AT_ONCE {
            hasher.update(&bytes);
            bytes.clear();
        }
    }
    // Separates the tables, so that a row of one cannot be mistaken for a row of the next.
    hasher.update(&bytes).update(&[3]).update(&count.to_le_bytes());
    Ok(())
}

/// What the log says of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    kind: u8,
    key: Option<Vec<u8>>,
    name: String,
    opened_ms: i64,
}

/// For `check`: derives every account, grant and payout from the log again and compares.
pub(super) fn check(
    connection: &Connection,
    checkpoint: &Checkpoint,
    report: &mut CheckReport,
) -> Result<()> {
    let nothing = || {
        let mut hasher = blake3::Hasher::new();
        for _ in 0..3 {
            hasher.update(&[3]).update(&0_u64.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    };
    if folded_digest(connection)? != checkpoint.accounts.unwrap_or_else(nothing) {
        report.problem(|| "folded accounts, grants or payouts do not match their digest".to_owned());
    }
    let landmarks: i64 = connection.query_row("SELECT count(*) FROM landmarks", [], |row| row.get(0))?;
    let digest = (landmarks > 0).then(|| landmarks_digest(connection)).transpose()?;
    if digest != checkpoint.landmarks {
        report.problem(|| "the hashes kept of folded groups do not match their digest".to_owned());
    }
    let mut known = read_identities(
        connection,
        "SELECT account, kind, key, name, opened_ms FROM folded_accounts ORDER BY account",
    )?;
    let mut select = connection
        .prepare("SELECT id, account, what, number, bytes, text FROM account_log ORDER BY grp, id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, change) = (row.get::<_, i64>(0)?, AccountLogEntry::read(row, 1)?);
        if !apply(connection, &mut known, change)? {
            report
                .problem(|| format!("row {id} of the accounts' log does not follow from the rows before it"));
        }
    }
    let own = read_identities(
        connection,
        "SELECT id, kind, key, name, opened_ms FROM accounts WHERE kind IN (3, 5)",
    )?;
    for (id, identity) in &own {
        if known.get(id) != Some(identity) {
            report.problem(|| {
                format!("account {id} differs from how the log says that it was opened, named or claimed")
            });
        }
    }
    for id in known.keys().filter(|id| !own.contains_key(id)) {
        report.problem(|| format!("the log says that account {id} was opened, and it is not there"));
    }
    let beside = "SELECT count(*) FROM accounts own JOIN accounts beside ON beside.id = own.id + 1
         WHERE own.kind IN (3, 5) AND (beside.name, beside.opened_ms) IS NOT (own.name, own.opened_ms)";
    let strays: i64 = connection.query_row(beside, [], |row| row.get(0))?;
    if strays > 0 {
        report.problem(|| {
            format!(
                "{strays} held or pending accounts differ from the account they belong to in name or time"
            )
        });
    }
    let unlogged: i64 = connection.query_row(
        "SELECT count(*) FROM payouts p WHERE grp > (SELECT grp FROM checkpoint) AND NOT EXISTS (
             SELECT 1 FROM account_log l
             WHERE (l.grp, l.account, l.number, l.text) = (p.grp, p.account, p.amount, p.reference)
                 AND l.what = CASE WHEN p.undoes IS NULL THEN 6 ELSE 7 END)",
        [],
        |row| row.get(0),
    )?;
    if unlogged > 0 {
        report.problem(|| format!("{unlogged} payouts are not in the accounts' log"));
    }
    Ok(())
}

fn read_identities(connection: &Connection, sql: &str) -> Result<HashMap<i64, Identity>> {
    let mut select = connection.prepare(sql)?;
    let found = select.query_map([], |row| {
        let identity =
            Identity { kind: row.get(1)?, key: row.get(2)?, name: row.get(3)?, opened_ms: row.get(4)? };
        Ok((row.get(0)?, identity))
    })?;
    found.collect()
}

/// Applies the change to `known`; false if it cannot follow the changes before it.
fn apply(
    connection: &Connection,
    known: &mut HashMap<i64, Identity>,
    change: AccountLogEntry,
) -> Result<bool> {
    let AccountLogEntry { account, what, number, bytes, text } = change;
    Ok(match (what, known.get_mut(&account), text) {
        (what::GAMER_OPENED | what::WORKER_OPENED, None, Some(name)) => {
            let identity = Identity { kind: opened_kind(what), key: bytes, name, opened_ms: number };
            known.insert(account, identity).is_none()
        }
        (what::RENAMED, Some(identity), Some(name)) => {
            identity.name = name;
            true
        }
        (what::CLAIMED, Some(identity), None) => {
            identity.key.is_none() && {
                identity.key = bytes;
                true
            }
        }
        (what::GRANTED, Some(_), None) => connection
            .prepare_cached("SELECT 1 FROM grants WHERE reference = ?1 AND account = ?2 AND amount = ?3")?
            .exists(params![bytes, account, number])?,
        (what::PAID_OUT | what::TAKEN_BACK, Some(identity), Some(reference)) => {
            identity.kind == kind::WORKER
                && connection
                    .prepare_cached(
                        "SELECT 1 FROM payouts
                         WHERE reference = ?1 AND account = ?2 AND amount = ?3 AND (undoes IS NOT NULL) = ?4",
                    )?
                    .exists(params![reference, account, number, what == what::TAKEN_BACK])?
        }
        _ => false,
    })
}
