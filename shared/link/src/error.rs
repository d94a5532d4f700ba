//! What can go wrong when a link is set up.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why a link could not be set up; a sentence a person can act on.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The operating system refused the address.
    #[error("cannot listen on {address}: {source}; is another coordinator running there?")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused a socket option.
    #[error("cannot set up the network socket: {0}")]
    Socket(#[from] io::Error),
    /// A connect token that netcode cannot read.
    #[error("the coordinator's connect token cannot be read: {0}; is it another version?")]
    Token(String),
}
