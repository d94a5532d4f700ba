//! What can go wrong before a worker runs.

use std::io;
use std::path::PathBuf;

use p2c2r_link::LinkError;
use thiserror::Error;

/// Why the worker cannot start; each one a sentence the helper can act on.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(String),
    /// The account at the coordinator cannot be used.
    #[error(transparent)]
    Membership(#[from] p2c2r_join::MembershipError),
    /// This user has no account at any coordinator, or none of this name.
    #[error(
        "this computer has joined no coordinator yet: start once with --join LINK; the link comes from the \
         coordinator's operator"
    )]
    NotJoined,
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    ConfigFile {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration file is not valid.
    #[error("the configuration file {path} is not valid: {reason}")]
    ConfigSyntax {
        /// Which file.
        path: PathBuf,
        /// What and where.
        reason: String,
    },
    /// The log filter does not parse.
    #[error("the log filter is not valid: {0}; for example `info` or `p2c2r_worker=debug`")]
    LogFilter(String),
    /// A thread for kernels could not be started.
    #[error("cannot start a thread for slot {slot}: {source}; ask for fewer with --slots")]
    Thread {
        /// Which slot, from 1.
        slot: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The graphics processor that was asked for cannot be had.
    #[error("{0}; leave --gpu out to use the fastest there is, or say --gpu off")]
    Gpu(String),
    /// The signal handler could not be installed.
    #[error("cannot watch for Ctrl-C: {0}")]
    Signals(String),
    /// The link could not be set up.
    #[error(transparent)]
    Link(#[from] LinkError),
}
