//! Why the ledger cannot be opened or written, in sentences an operator can act on.

use std::path::PathBuf;

use p2c2r_protocol::{AccountKey, Nanos, Role};
use thiserror::Error;

/// Why a ledger cannot be opened, read or written. In every case the file is left as it was found.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The folder the ledger should be in does not exist.
    #[error("the folder of the ledger {path} does not exist: create it, or name another path with --db")]
    DirectoryMissing {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// The file does not exist (only when checking or reporting: opening creates it).
    #[error("there is no ledger at {path}: check the path given with --db")]
    Missing {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// The path names a folder or another thing that is not a file.
    #[error("{path} is not a file: name the ledger's file with --db")]
    NotAFile {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// The file or its folder cannot be written.
    #[error("the ledger {path} cannot be written: make the file and its folder writable for this user")]
    ReadOnly {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// The file or its folder cannot be read.
    #[error("the ledger {path} cannot be opened ({reason}): check that this user may read and write it")]
    NoAccess {
        /// Path of the ledger.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file that keeps a second coordinator out cannot be used.
    #[error(
        "the lock file {path} cannot be used ({reason}): make it readable and writable for this user, or remove it if no coordinator runs"
    )]
    LockFile {
        /// Path of the lock file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file, or its write-ahead log, was deleted or replaced under a running coordinator.
    #[error(
        "{path} was deleted or replaced while the coordinator ran, so that what it records would be lost: put the file back or restore a backup, then start again"
    )]
    Gone {
        /// Path of the file.
        path: PathBuf,
    },
    /// There is no file, and the coordinator's accounts belong to a ledger that was made before.
    #[error(
        "the ledger {path} is not there, and this coordinator had one: mount its disk, put the file back, or restore a backup of it; `ledger replace` lets the next start begin with an empty one"
    )]
    Lost {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// The file is a ledger, and not the one that the coordinator's accounts belong to.
    #[error(
        "{path} is not the ledger that this coordinator had before: name that one with --db; `ledger replace` lets the next start go on with this one"
    )]
    Another {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// There is a write-ahead log, and no ledger that it belongs to.
    #[error(
        "the ledger {path} is not there or empty, and its write-ahead log {log} has something in it that is nowhere else: put the ledger back beside it, or move the log away and keep it"
    )]
    LogAlone {
        /// Path of the ledger.
        path: PathBuf,
        /// Path of its log.
        log: PathBuf,
    },
    /// The file is a copy that has taken the place of a ledger whose write-ahead log is still there.
    #[error(
        "{path} is a copy made by a backup, and the write-ahead log {log} beside it is that of the ledger which the copy replaces: the two do not fit together, so move the log away (keep it with that ledger) and start again"
    )]
    LogOfAnother {
        /// Path of the copy.
        path: PathBuf,
        /// Path of the log.
        log: PathBuf,
    },
    /// The file could only be read as one that nobody writes, and it was written meanwhile.
    #[error(
        "the ledger {path} was written while it was read: try again, or as a user who may write to its folder"
    )]
    Changing {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// There is something where a copy should go.
    #[error("{path} exists: nothing is replaced, name another path")]
    Exists {
        /// Path of the copy.
        path: PathBuf,
    },
    /// A copy was made, but the books in it do not balance.
    #[error("the books in {path} do not balance, so that no copy was kept:\n{check}")]
    Unsound {
        /// Path of the ledger.
        path: PathBuf,
        /// What was found.
        check: Box<super::CheckReport>,
    },
    /// Another coordinator has the ledger open.
    #[error("another coordinator{} has the ledger {path} open: stop it first, or give this one its own --db", holder.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Locked {
        /// Path of the ledger.
        path: PathBuf,
        /// The process that holds it, if known.
        holder: Option<u32>,
    },
    /// The file is a database of another program, or no database at all.
    #[error("{path} is not a P2C2R ledger ({found}): it was left untouched, name another file with --db")]
    NotALedger {
        /// Path of the file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The ledger was written by a newer version of this program.
    #[error("the ledger {path} has schema {found} and this program knows {known}: use a newer P2C2R with it")]
    NewerSchema {
        /// Path of the ledger.
        path: PathBuf,
        /// Schema of the file.
        found: i64,
        /// Newest schema this program knows.
        known: i64,
    },
    /// The file is damaged.
    #[error(
        "the ledger {path} is damaged ({reason}): keep a copy of it, restore a backup, and start from that"
    )]
    Corrupt {
        /// Path of the ledger.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The books do not balance.
    #[error("the books in {path} do not balance ({reason}): keep a copy and run `ledger check --db {path}`")]
    Unbalanced {
        /// Path of the ledger.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The disk is full.
    #[error("the disk of the ledger {path} is full: free some space; what was recorded is safe")]
    DiskFull {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// Writing failed while the coordinator ran; nothing after the failure was recorded.
    #[error("the ledger stopped recording ({0}): mend the cause and restart the coordinator")]
    Broken(Breakdown),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// A credit that is negative or too large.
    #[error("{0} cannot be credited: a credit is more than zero and at most {max}", max = super::CREDIT_MAX)]
    BadCredit(Nanos),
    /// The bank would have given out more than the books can hold.
    #[error("the coordinator has given out all the money that its books can hold ({max})", max = super::MONEY_MAX)]
    TooMuchMoney,
    /// No such account.
    #[error("there is no {role} account {account}: `ledger report` lists them")]
    NoAccount {
        /// Whether a gamer's or a worker's account was looked for.
        role: Role,
        /// The key, name or number it was looked for by.
        account: String,
    },
    /// The account to be claimed has an owner.
    #[error("the {role} account {name} has been claimed before: an account has one key for ever")]
    AlreadyClaimed {
        /// Whether it is a gamer's or a worker's.
        role: Role,
        /// Its label.
        name: String,
    },
    /// The key to claim an account with has an account.
    #[error(
        "the key {key} has a {role} account already: claim with the key of somebody who has not joined yet"
    )]
    KeyHasAccount {
        /// Whether it is a gamer's or a worker's.
        role: Role,
        /// The key.
        key: AccountKey,
    },
    /// A grant's reference stands for another grant.
    #[error("this reference was used for another account or amount: a reference stands for one grant")]
    ReferenceUsed,
    /// The command line's account stands for more than one.
    #[error(
        "{account} fits more than one account: give the first digits of its key, as many as tell them apart"
    )]
    SeveralAccounts {
        /// What was given.
        account: String,
    },
    /// A payout of nothing, or below.
    #[error("{0} cannot be paid out: a payout is more than zero")]
    BadPayout(Nanos),
    /// The reference of a payout cannot be one.
    #[error("the reference of a payout has 1 to {max} printable characters", max = super::PAYOUT_REFERENCE_CHARS_MAX)]
    BadReference,
    /// A payout's reference stands for another payout.
    #[error(
        "the reference {reference} was used for another payout, or for one that was taken back: give each payout its own"
    )]
    PayoutReferenceUsed {
        /// The reference.
        reference: String,
    },
    /// More was to be paid than the worker has available.
    #[error("{amount} is more than the worker has available, which is {available}")]
    NotAvailable {
        /// What was to be paid.
        amount: Nanos,
        /// What could be.
        available: Nanos,
    },
    /// No payout has this reference.
    #[error("there is no payout with the reference {reference}")]
    NoPayout {
        /// The reference.
        reference: String,
    },
    /// There is nothing to sign.
    #[error("nothing was ever recorded in the ledger {path}, so that it has no head")]
    NothingRecorded {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// The key that heads are signed with cannot be used.
    #[error(
        "the key {path} that the ledger's heads are signed with cannot be used ({reason}): restore it from a copy, or move it away to get a new one"
    )]
    HeadKey {
        /// Path of the key.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What was to be exported could not be written.
    #[error("the rows cannot be written ({0}): name another file with --to")]
    Output(String),
    /// A file of heads cannot be used.
    #[error("the file {path} has no heads that can be compared: {reason}")]
    BadHeads {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The name cannot be an account's.
    #[error("an account's name has 1 to {max} bytes", max = p2c2r_protocol::limits::NAME_BYTES_MAX)]
    BadName,
    /// SQLite failed otherwise.
    #[error("the ledger {path} failed ({reason}): check the disk it is on")]
    Database {
        /// Path of the ledger.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The writer thread could not be started.
    #[error("the ledger's thread did not start ({0}): raise this user's limit of threads")]
    Thread(String),
}

impl LedgerError {
    /// Whether starting again cannot help, and might do harm: a person has to put a file where it belongs.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::Another { .. } | Self::LogAlone { .. } | Self::LogOfAnother { .. }
        )
    }
}

/// Why recording has failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Breakdown {
    /// For the operator.
    pub reason: String,
    /// For peers, which must learn neither paths nor messages of the system.
    pub for_peers: &'static str,
}

impl Breakdown {
    /// The ledger's thread panicked.
    pub(super) fn panicked() -> Self {
        Self { reason: "its thread failed".to_owned(), for_peers: "its ledger has failed" }
    }
}

impl From<&LedgerError> for Breakdown {
    fn from(error: &LedgerError) -> Self {
        let for_peers = match error {
            LedgerError::DiskFull { .. } => "the disk that its ledger is on is full",
            LedgerError::Gone { .. } => "the file of its ledger was deleted or replaced",
            LedgerError::ReadOnly { .. } => "its ledger can no longer be written",
            _ => "its ledger has failed",
        };
        Self { reason: error.to_string(), for_peers }
    }
}

/// Why entries were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LedgerStopped {
    /// Recording has failed: nothing more can be charged.
    #[error("the ledger has stopped recording")]
    Broken,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}
