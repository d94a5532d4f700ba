//! What can go wrong when a link is set up.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why a link could not be set up; a sentence a person can act on.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The coordinator was asked to listen where strangers can reach it.
    #[error(
        "cannot listen on {address}: connections are not authenticated yet, so only this machine may reach the \
         coordinator; secure joining is not there yet, listen on 127.0.0.1"
    )]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
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
    /// netcode refused to make a connect token.
    #[error("cannot make a connect token: {0}")]
    Token(String),
}
