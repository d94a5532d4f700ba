//! Signed heads of the hash chain: kept elsewhere, they show later whether the books were rewritten. Someone who can
//! write the file can recompute its chain, but cannot change a head that others keep.
//!
//! A head names the newest group and its hash, which covers everything before it. Folding deletes groups after a day
//! and keeps the hash of each hour's first group, a landmark; a head names its own landmark too. So a head whose group
//! has been folded is still compared exactly as of the beginning of its hour, and its counts show that nothing later
//! was dropped.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use p2c2r_join::AccountSecret;
use p2c2r_join::key::is_signed_by;
use p2c2r_protocol::{AccountKey, Digest, Nanos};
use rusqlite::{Connection, OptionalExtension as _, Result, Row, params};
use thiserror::Error;

use super::audit::CheckReport;
use super::entry::kind;
use super::error::LedgerError;
use super::file;
use super::folding::Checkpoint;
use super::reading::Reading;

/// First line of a head: names the format and its version.
const TITLE: &str = "p2c2r ledger head 1";

/// An hour of the ledger's time.
const HOUR_MS: i64 = 60 * 60 * 1_000;

/// A group and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub group: i64,
    /// Its hash, which covers every group before it.
    pub hash: [u8; 32],
}

/// What a ledger looked like at its newest group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest group.
    pub newest: Link,
    /// When it was written, in milliseconds since 1970 on the ledger's clock.
    pub at_ms: i64,
    /// The first group of the same hour.
    pub landmark: Link,
    /// The largest number of an account.
    pub accounts: i64,
    /// The largest number of a task.
    pub tasks: i64,
    /// What the bank had given out; it only grows.
    pub given: Nanos,
}

/// A head with the signature of the coordinator whose ledger it is: text that can be posted, pasted and read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// The head.
    pub head: Head,
    /// The public key it was signed with.
    pub key: AccountKey,
    signature: [u8; 64],
}

/// A text that is no head, or whose signature does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadHead {
    /// It is no head.
    #[error("it is not a head as `ledger head` prints them")]
    Form,
    /// It has the form of a head, but was changed, or signed by another key than it names.
    #[error("its signature does not fit: it was changed after it was signed")]
    Signature,
}

impl Head {
    /// The newest state of the books, to be read in one snapshot; `None` if nothing was ever recorded.
    fn read(connection: &Connection) -> Result<Option<Self>> {
        let newest = connection
            .query_row("SELECT id, hash, at_ms FROM groups ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((link(row)?, row.get::<_, i64>(2)?))
            })
            .optional()?;
        let Some((newest, at_ms)) = newest else { return Ok(None) };
        let hour = at_ms.div_euclid(HOUR_MS);
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(Some(Self {
            newest,
            at_ms,
            landmark: landmark_of(connection, hour)?.unwrap_or(newest),
            accounts: number("SELECT max(id) FROM accounts")?,
            tasks: number("SELECT max(ifnull((SELECT max(no) FROM tasks), 0), task) FROM checkpoint")?,
            given: Nanos(-connection.query_row(
                "SELECT balance FROM accounts WHERE id = ?1",
                [kind::BANK_ACCOUNT],
                |row| row.get::<_, i64>(0),
            )?),
        }))
    }

    /// Signs it.
    pub fn sign(self, secret: &AccountSecret) -> SignedHead {
        let key = secret.public();
        let signature = secret.sign(text_of(&self, key).as_bytes());
        SignedHead { head: self, key, signature }
    }
}

fn link(row: &Row<'_>) -> Result<Link> {
    Ok(Link { group: row.get(0)?, hash: row.get(1)? })
}

/// The first group of an hour, whether it is folded or still has its row.
fn landmark_of(connection: &Connection, hour: i64) -> Result<Option<Link>> {
    let (first_ms, end_ms) = (hour * HOUR_MS, (hour + 1) * HOUR_MS);
    let folded = connection
        .query_row(
            "SELECT grp, hash FROM landmarks WHERE at_ms >= ?1 AND at_ms < ?2 ORDER BY grp LIMIT 1",
            [first_ms, end_ms],
            link,
        )
        .optional()?;
    if folded.is_some() {
        return Ok(folded);
    }
    // Groups are in time order, so the hour's first group is found by searching backwards from the newest.
    let before: Option<i64> = connection
        .query_row("SELECT id FROM groups WHERE at_ms < ?1 ORDER BY id DESC LIMIT 1", [first_ms], |row| {
            row.get(0)
        })
        .optional()?;
    connection
        .query_row(
            "SELECT id, hash FROM groups WHERE id > ?1 AND at_ms < ?2 ORDER BY id LIMIT 1",
            [before.unwrap_or(0), end_ms],
            link,
        )
        .optional()
}

/// Stores the first group of every hour among those that are being folded; returns whether there was one.
pub(super) fn keep_landmarks<'a>(
    connection: &Connection,
    groups: impl Iterator<Item = (i64, i64, &'a [u8; 32])>,
) -> Result<bool> {
    let newest: Option<i64> =
        connection.query_row("SELECT max(at_ms) FROM landmarks", [], |row| row.get(0))?;
    let mut hour = newest.map(|at_ms| at_ms.div_euclid(HOUR_MS));
    let mut kept = false;
    for (group, at_ms, hash) in groups {
        if hour.is_none_or(|hour| at_ms.div_euclid(HOUR_MS) > hour) {
            connection
                .prepare_cached("INSERT INTO landmarks (grp, at_ms, hash) VALUES (?1, ?2, ?3)")?
                .execute(params![group, at_ms, hash])?;
            hour = Some(at_ms.div_euclid(HOUR_MS));
            kept = true;
        }
    }
    Ok(kept)
}

/// What is signed: every line but that of the signature.
fn text_of(head: &Head, key: AccountKey) -> String {
    let Head { newest, at_ms, landmark, accounts, tasks, given } = head;
    let mut text = String::new();
    let _ = write!(
        text,
        "{TITLE}\nkey {key}\ngroup {} {}\nat {at_ms} {}\nlandmark {} {}\naccounts {accounts}\ntasks {tasks}\ngiven {}\n",
        newest.group,
        Digest(newest.hash),
        date(*at_ms),
        landmark.group,
        Digest(landmark.hash),
        given.0,
    );
    text
}

/// A ledger's time for people, in UTC to the second.
pub(super) fn date(at_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(at_ms).unwrap_or(0));
    UNIX_EPOCH.checked_add(since).map_or_else(
        || "later than any date".to_owned(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}

impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text_of(&self.head, self.key))?;
        f.write_str("signature ")?;
        self.signature.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SignedHead {
    type Err = BadHead;

    /// Reads one head back; white space around lines does not matter. Fails unless its signature fits.
    fn from_str(text: &str) -> std::result::Result<Self, BadHead> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines.next() != Some(TITLE) {
            return Err(BadHead::Form);
        }
        let mut line = |name: &str| {
            let words = lines.next().and_then(|line| line.strip_prefix(name)).ok_or(BadHead::Form)?;
            Ok(words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let key = line("key ")?;
        let (group, at, landmark) = (line("group ")?, line("at ")?, line("landmark ")?);
        let (accounts, tasks, given) = (line("accounts ")?, line("tasks ")?, line("given ")?);
        let signature = line("signature ")?;
        let key = AccountKey::from_hex(word(&key, 0)?).ok_or(BadHead::Form)?;
        let head = Head {
            newest: read_link(&group)?,
            at_ms: number(&at)?,
            landmark: read_link(&landmark)?,
            accounts: number(&accounts)?,
            tasks: number(&tasks)?,
            given: Nanos(number(&given)?),
        };
        let signature = bytes(word(&signature, 0)?).ok_or(BadHead::Form)?;
        if lines.next().is_some() {
            return Err(BadHead::Form);
        }
        if !is_signed_by(key, text_of(&head, key).as_bytes(), &signature) {
            return Err(BadHead::Signature);
        }
        Ok(Self { head, key, signature })
    }
}

fn word(words: &[String], at: usize) -> std::result::Result<&str, BadHead> {
    words.get(at).map(String::as_str).ok_or(BadHead::Form)
}

fn number(words: &[String]) -> std::result::Result<i64, BadHead> {
    word(words, 0)?.parse().map_err(|_| BadHead::Form)
}

fn read_link(words: &[String]) -> std::result::Result<Link, BadHead> {
    let hash = bytes(word(words, 1)?).ok_or(BadHead::Form)?;
    Ok(Link { group: number(words)?, hash })
}

/// Hexadecimal digits as bytes.
fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut found = [0; N];
    if digits.len() != 2 * N || !digits.is_ascii() {
        return None;
    }
    for (at, byte) in found.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(found)
}

/// The heads in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadsRead {
    /// At least one, in the order of the text.
    pub heads: Vec<SignedHead>,
    /// The line, counted from 1, in which a last head begins of which only the beginning was written.
    pub incomplete_line: Option<usize>,
}

/// The head in a text that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("head {number}, which begins in line {line}, cannot be read: {why}")]
pub struct UnreadableHead {
    /// Which of the text's heads, counted from 1.
    pub number: usize,
    /// The line in which it begins, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: BadHead,
}

/// Reads the heads in a text, one after the other; at least one. A last one of which only the beginning was written, as after
/// a power cut, is skipped.
pub fn read_heads(text: &str) -> std::result::Result<HeadsRead, UnreadableHead> {
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let incomplete = incomplete_at(text);
    let whole = &text[..incomplete.unwrap_or(text.len())];
    let mut starts: Vec<usize> = whole.match_indices(TITLE).map(|(at, _)| at).collect();
    // Text before the first head counts as a head, and as one that cannot be read.
    if starts.first().is_none_or(|&first| !whole[..first].trim().is_empty()) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([whole.len()]);
    let read = starts.iter().zip(ends).zip(1..).map(|((&start, end), number)| {
        let head = whole[start..end].parse();
        head.map_err(|why| UnreadableHead { number, line: line(start), why })
    });
    Ok(HeadsRead {
        heads: read.collect::<std::result::Result<_, _>>()?,
        incomplete_line: incomplete.map(line),
    })
}

/// The words that the lines of a head begin with.
const LINES: [&str; 9] =
    [TITLE, "key ", "group ", "at ", "landmark ", "accounts ", "tasks ", "given ", "signature "];

/// Hexadecimal digits of a signature.
const SIGNATURE_DIGITS: usize = 128;

/// Where the last head of a text begins, if only its beginning was written. Some file systems fill what a power cut kept from
/// being written with zeros.
pub(super) fn incomplete_at(text: &str) -> Option<usize> {
    let written = text.trim_end_matches(|c: char| c == '\0' || c.is_whitespace());
    let zeros = text[written.len()..].find('\0').map(|at| written.len() + at);
    cut_short_at(written).or(zeros)
}

fn cut_short_at(text: &str) -> Option<usize> {
    let line = text.rfind('\n').map_or(0, |end| end + 1);
    let last = text[line..].trim_start();
    if !last.is_empty() && last.len() < TITLE.len() && TITLE.starts_with(last) {
        return Some(line);
    }
    let start = text.rfind(TITLE)?;
    let lines: Vec<&str> = text[start..].lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (last, before) = lines.split_last()?;
    let expected = LINES.get(before.len())?;
    let is_cut = match last.strip_prefix(expected) {
        Some(digits) => before.len() + 1 < LINES.len() || digits.len() < SIGNATURE_DIGITS,
        None => expected.starts_with(last),
    };
    (is_cut && before.iter().zip(LINES).all(|(line, word)| line.starts_with(word))).then_some(start)
}

/// The newest head of the ledger at `path`, signed.
pub(super) fn head(path: &Path, secret: &AccountSecret) -> std::result::Result<SignedHead, LedgerError> {
    let reading = Reading::open(path)?;
    // One snapshot for everything: a coordinator may be writing.
    let read = || {
        let snapshot = reading.connection.unchecked_transaction()?;
        Head::read(&snapshot)
    };
    let head = read().map_err(|error| file::explain(path, &error))?;
    reading.is_whole()?;
    head.map(|head| head.sign(secret)).ok_or_else(|| LedgerError::NothingRecorded { path: path.to_owned() })
}

/// For `check`: says of each head whether the books still contain it.
pub(super) fn compare(connection: &Connection, heads: &[SignedHead], report: &mut CheckReport) -> Result<()> {
    let checkpoint = Checkpoint::read(connection)?;
    let newest: i64 =
        connection
            .query_row("SELECT ifnull(max(id), ?1) FROM groups", [checkpoint.group], |row| row.get(0))?;
    let now = Head::read(connection)?;
    for SignedHead { head, .. } in heads {
        let (group, when) = (head.newest.group, date(head.at_ms));
        if group > newest {
            report.problem(|| {
                format!(
                    "the book ends at group {newest}, and a head was signed at group {group} ({when}): what came last was \
                     dropped, or this is an older copy"
                )
            });
            continue;
        }
        let folded = group <= checkpoint.group;
        let exact = hash_of(connection, group)?;
        let (compared, expected, found) = match exact {
            Some(_) => (group, head.newest.hash, exact),
            None if !folded => (group, head.newest.hash, None),
            None => (head.landmark.group, head.landmark.hash, hash_of(connection, head.landmark.group)?),
        };
        let grown = now.as_ref().is_some_and(|now| {
            now.accounts >= head.accounts && now.tasks >= head.tasks && now.given >= head.given
        });
        if found != Some(expected) {
            report.problem(|| {
                format!(
                    "the book was rewritten: group {compared} is not the one whose head was signed on {when}, so nothing \
                     that it says of the time before is what it said then"
                )
            });
        } else if !grown {
            report.problem(|| {
                format!(
                    "the book was rewritten: it has fewer accounts, tasks or credits than when a head was signed on {when}"
                )
            });
        } else if exact.is_none() {
            report.heads.push(format!(
                "group {group} of {when}: folded since; the book still contains group {compared}, the first of that hour"
            ));
        } else {
            report.heads.push(format!("group {group} of {when}: the book still contains it"));
        }
    }
    Ok(())
}

/// A group's hash, if it is still known.
fn hash_of(connection: &Connection, group: i64) -> Result<Option<[u8; 32]>> {
    connection
        .query_row(
            "SELECT hash FROM groups WHERE id = ?1 UNION ALL SELECT hash FROM landmarks WHERE grp = ?1
             UNION ALL SELECT hash FROM checkpoint WHERE grp = ?1",
            [group],
            |row| row.get(0),
        )
        .optional()
}
