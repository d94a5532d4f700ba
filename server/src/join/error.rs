//! Why joining cannot be set up, in sentences an operator can act on.

use std::net::SocketAddr;
use std::path::PathBuf;

use p2c2r_program::settings::SettingError;
use thiserror::Error;

/// Why joining cannot be set up, or an operator's command cannot be carried out.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The coordinator's settings, which say where its data are, were not taken.
    #[error(transparent)]
    Settings(#[from] SettingError),
    /// The account is closed.
    #[error(
        "the account `{0}` is closed for good: its owner can be let in again with another invite, as a new account"
    )]
    Closed(String),
    /// The account is a gamer's.
    #[error("`{0}` is a gamer's account, and only workers are quarantined: `workers list` shows them")]
    NotAWorker(String),
    /// The account is a worker's.
    #[error("`{0}` is a worker's account, which spends nothing: `accounts list` shows whose is whose")]
    NotAGamer(String),
    /// Money for a worker, which would look like pay that it never earned.
    #[error("a worker's account spends nothing, so it is given nothing: leave --credit out")]
    CreditForWorker,
    /// The data folder could not be made or used.
    #[error("cannot use the data folder {}: {error}; name another with --data-dir", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file in the data folder could not be read or written.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A key or certificate file cannot be used. It was left as it was.
    #[error("{} cannot be used as it is ({reason}); it was left untouched: {advice}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// The account store could not be opened, read or written.
    #[error("the account store {}: {reason}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said, or what the file is instead.
        reason: String,
    },
    /// The ledger could not be read to find out which accounts are of use.
    #[error("the ledger cannot be read to find out which accounts are of use: {0}")]
    Books(crate::ledger::LedgerError),
    /// Nobody has such a key or name.
    #[error(
        "no account is called `{called}` or has a key that begins with that{}; `accounts list` shows them all",
        meant(like)
    )]
    NoSuchAccount {
        /// What was typed.
        called: String,
        /// Names that are like it.
        like: Vec<String>,
    },
    /// Several accounts fit.
    #[error("`{called}` fits {} accounts; type one of these instead: {}", keys.len(), some(keys))]
    SeveralAccounts {
        /// What was typed.
        called: String,
        /// How their keys begin.
        keys: Vec<String>,
    },
    /// No coordinator has run on this data folder yet.
    #[error(
        "no coordinator has run on the data folder {} yet, so its address and key are not known: start it once first; \
         commands to one that runs as a service begin with `sudo p2c2r-operator`",
        path.display()
    )]
    NeverStarted {
        /// The folder.
        path: PathBuf,
    },
    /// UDP and TCP could not both be bound.
    #[error(
        "cannot listen on {protocol} {address}: {error}; the coordinator needs UDP and TCP port of the same number, --listen names another"
    )]
    Listen {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// What was to be bound.
        address: SocketAddr,
        /// What the system said.
        error: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes, so no secret can be made")]
    Randomness,
    /// The thread that answers HTTPS could not be started.
    #[error("cannot start answering HTTPS: {0}")]
    Start(std::io::Error),
}

/// Most names or keys that one sentence lists.
const NAMED_MAX: usize = 4;

/// Asks whether one of these names was meant.
fn meant(like: &[String]) -> String {
    if like.is_empty() { String::new() } else { format!(" (did you mean {}?)", some(like)) }
}

fn some(names: &[String]) -> String {
    let named: Vec<_> = names.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let rest = names.len() - named.len();
    let more = if rest > 0 { format!(" and {rest} more, see `accounts list`") } else { String::new() };
    format!("{}{more}", named.join(", "))
}
