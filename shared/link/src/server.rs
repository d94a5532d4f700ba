//! The coordinator's side of the link.

mod handshake;
mod listener;
mod mint;
mod peers;
mod refusal;
mod spares;
mod systems;

use std::net::{SocketAddr, UdpSocket};

use bevy_app::{App, Plugin};
use bevy_ecs::message::Message;
use p2c2r_protocol::{AccountKey, Micros, Nanos, PeerId, ProtocolIdentity, Role};

pub(crate) use mint::Seal;
pub use mint::{Grant, Mint, MintRefusal, MintSource};
pub use peers::{LinkTotals, Peers};
pub use refusal::Refusals;

use crate::{Impairment, LinkError, MemoryHub, RateLimit};

/// The configuration of a coordinator's link.
#[derive(Debug)]
pub struct ServerLinkConfig {
    /// The transport.
    pub transport: ServerTransport,
    /// The protocol it speaks; programs with another one are refused.
    pub identity: ProtocolIdentity,
    /// Makes the connect tokens of its peers. In memory, clients of the same hub get theirs from it directly.
    pub mint: Mint,
    /// Most connections at one time.
    pub peers_max: usize,
    /// Sending rate per peer; `None` is [`RateLimit::internet`], and no bound for peers on this machine whose
    /// network is not impaired.
    pub rate_limit: Option<RateLimit>,
    /// Simulated network impairment, for tests and demos.
    pub impair: Option<Impairment>,
}

/// What a coordinator's link runs over.
#[derive(Debug)]
pub enum ServerTransport {
    /// A socket of [`bind_server`].
    Udp(UdpSocket),
    /// A network in memory.
    Memory(MemoryHub),
}

/// Binds the coordinator's socket.
pub fn bind_server(address: SocketAddr) -> Result<UdpSocket, LinkError> {
    let socket = UdpSocket::bind(address).map_err(|source| LinkError::Bind { address, source })?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Connects a coordinator: receives, checks, and turns packets into messages, and back.
///
/// Adds Bevy's `TimePlugin` if it is absent, so plugin groups that bring it come first.
#[derive(Debug)]
pub struct ServerLinkPlugin {
    config: ServerLinkConfig,
}

impl ServerLinkPlugin {
    /// A link with this configuration.
    pub fn new(config: ServerLinkConfig) -> Self {
        Self { config }
    }
}

impl Plugin for ServerLinkPlugin {
    fn build(&self, app: &mut App) {
        systems::set_up(app, &self.config);
    }
}

/// A peer has connected; no message of it has been read yet.
#[derive(Message, Clone, Debug)]
pub struct PeerJoined {
    /// The connection.
    pub peer: PeerId,
    /// Its role.
    pub role: Role,
    /// Its account.
    pub account: AccountKey,
    /// Which of the account's programs it is.
    pub instance: u64,
    /// The account's public name: a label, not unique.
    pub name: String,
    /// The account's credit at enrolment.
    pub credit: Nanos,
    /// Where it connects from.
    pub address: String,
}

/// A connection is over.
#[derive(Message, Clone, Debug)]
pub struct PeerLeft {
    /// The connection.
    pub peer: PeerId,
    /// Its role.
    pub role: Role,
    /// Its account.
    pub account: AccountKey,
    /// The account's public name.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// A message from a peer.
#[derive(Message, Clone, Debug)]
pub struct FromPeer<M: Send + Sync + 'static> {
    /// The peer that sent it.
    pub peer: PeerId,
    /// When it arrived, on our clock.
    pub received_at: Micros,
    /// The message.
    pub message: M,
}

/// A message for a peer; dropped if the peer has gone.
#[derive(Message, Clone, Debug)]
pub struct ToPeer<M: Send + Sync + 'static> {
    /// The peer that it is for.
    pub peer: PeerId,
    /// The message.
    pub message: M,
}
