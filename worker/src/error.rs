//! What can go wrong before a worker runs.

use std::io;
use std::net::SocketAddr;

use p2c2r_join::MembershipError;
use p2c2r_link::LinkError;
use p2c2r_program::LogError;
use p2c2r_program::settings::{OutOfRange, SettingError};
use thiserror::Error;

use crate::control::ControlError;

/// Why the worker cannot start; each one a sentence the helper can act on.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// A setting is wrong.
    #[error("{0}")]
    Setting(String),
    /// A setting is outside its range.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The account at the coordinator cannot be used.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// This user has no account at any coordinator, or none of this name.
    #[error(
        "this computer has joined no coordinator yet: start once with --join LINK; the link comes from the \
         coordinator's operator"
    )]
    NotJoined,
    /// The settings are not valid.
    #[error(transparent)]
    Settings(#[from] SettingError),
    /// The log's settings are not valid.
    #[error(transparent)]
    Log(#[from] LogError),
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
    /// Kernels cannot run in processes of their own.
    #[error(transparent)]
    Kernels(#[from] KernelsError),
    /// No running worker could be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The page cannot be served.
    #[error("cannot serve a page at {at}: {source}; choose another place with --page")]
    Page {
        /// Where.
        at: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The signal handler could not be installed.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// The link could not be set up.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl WorkerError {
    /// The exit status of the program: 2 where the command line, the environment or the configuration must be
    /// changed, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setting(_)
            | Self::OutOfRange(_)
            // Other errors of a membership are the disk's fault, and may pass.
            | Self::Membership(
                MembershipError::Link(_)
                | MembershipError::LinkSource { .. }
                | MembershipError::NoHome
                | MembershipError::Damaged { .. },
            )
            | Self::NotJoined
            | Self::Settings(_)
            | Self::Log(_)
            | Self::Gpu(_)
            | Self::Kernels(KernelsError::Unsupported(_) | KernelsError::Device(_)) => 2,
            _ => 1,
        }
    }
}

/// Why a kernel process gets no work.
#[derive(Debug, Error)]
pub enum KernelsError {
    /// The system lacks the means to restrict it.
    #[error(
        "kernels cannot be kept from this computer's files and network: {0}; to run them without that protection, start \
         with --unsandboxed"
    )]
    Unsupported(String),
    /// It tried something that it should not be able to do, and was not denied it.
    #[error(
        "a kernel process tried to {what}, and that {came_of_it} where it should have been denied; the worker takes no work \
         like this: please report it, and start with --unsandboxed if you accept the risk"
    )]
    NotRestricted {
        /// What it tried, in words that follow "tried to".
        what: String,
        /// The result of the try.
        came_of_it: String,
    },
    /// It is another build than the worker.
    #[error(
        "a kernel process is another build ({theirs}) than this worker ({ours}); both must be the same program"
    )]
    OtherBuild {
        /// Its protocol identity.
        theirs: String,
        /// The worker's.
        ours: String,
    },
    /// It has not shown that it is restricted.
    #[error("a kernel process {0} before it had shown that it is kept from files and network")]
    NoReceipt(String),
    /// It could not be started.
    #[error("cannot start a kernel process: {0}; ask for fewer with --slots")]
    Start(io::Error),
    /// The graphics processor that was asked for cannot be had.
    #[error("{0}; leave --gpu out to use the fastest there is, or say --gpu off")]
    Device(String),
}
