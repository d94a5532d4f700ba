//! What can go wrong with the coordinator as a whole, in sentences an operator can act on.

use std::net::SocketAddr;
use std::path::PathBuf;

use p2c2r_link::LinkError;
use p2c2r_program::LogError;
use p2c2r_program::settings::{OutOfRange, SettingError};
use thiserror::Error;

use crate::join::JoinError;
use crate::ledger::LedgerError;
use crate::recording::RecordingError;

/// Why the coordinator does not start, or stopped.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The socket could not be opened.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The ledger could not be opened, or failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Joining could not be set up.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A setting is wrong, or two contradict each other.
    #[error("{0}")]
    Config(String),
    /// A setting is outside its range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// Logging could not be set up as the settings ask.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The run cannot be recorded, or a recording not be replayed.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The settings were not taken.
    #[error(transparent)]
    Settings(#[from] SettingError),
    /// The ready file could not be written.
    #[error("cannot write the ready file {}: {error}", path.display())]
    ReadyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The folder that a backup should go to, or be restored into, is not empty.
    #[error("{} is not empty: a backup goes to a new folder, and is restored into an empty one", path.display())]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder that a backup should go to is a mount point, which no folder can be renamed to.
    #[error(
        "{} is a mount point, and a backup cannot take its place: name a new folder below it, such as {}", path.display(), path.join("backup").display()
    )]
    MountPoint {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is no backup.
    #[error("{} is no backup of a coordinator: it has no {missing}", path.display())]
    NoBackup {
        /// The folder.
        path: PathBuf,
        /// A file that every backup has.
        missing: &'static str,
    },
    /// The coordinator on this machine takes no tasks.
    #[error("{0}")]
    NotReady(String),
    /// The signal handler could not be installed.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// A compute thread could not be started.
    #[error("cannot start compute threads: {0}")]
    Threads(std::io::Error),
    /// The real address could not be found out.
    #[error("cannot tell which address {asked} became: {error}")]
    Address {
        /// What was asked for.
        asked: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
}

impl ServerError {
    /// The exit status of the program: 2 where the command line, the environment or the configuration must be
    /// changed, 3 where the ledger is not where it belongs, so that starting again cannot help, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::OutOfRange(_)
            | Self::Log(_)
            | Self::Settings(_)
            | Self::Join(JoinError::Settings(_)) => 2,
            Self::Ledger(error) if error.needs_a_person() => 3,
            _ => 1,
        }
    }
}
