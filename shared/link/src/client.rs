//! The client's side of the link: games and workers.

mod attempt;
mod dialer;
mod link;
mod retries;
mod spare;
mod systems;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bevy_app::{App, Plugin};
use bevy_ecs::message::Message;
use p2c2r_protocol::wire::{Bounded, Decode, Encode};
use p2c2r_protocol::{
    GameToServer, Micros, ProtocolIdentity, Role, Routed, ServerToGame, ServerToWorker, SpareToken,
    WorkerToServer,
};

pub(crate) use attempt::read_token;
pub use link::{ClientLink, LinkStatus};

use crate::{Impairment, LinkProblem, MemoryHub, RateLimit, TokenSource};

/// Which side of the coordinator a client is on, and so which messages it sends and receives.
pub trait Side: Send + Sync + 'static {
    /// The messages it sends.
    type Sends: Routed + Encode + Send + Sync + 'static;
    /// The messages it receives.
    type Receives: Routed + Decode<()> + Bounded + Send + Sync + 'static;
    /// The role it announces to the coordinator.
    const ROLE: Role;

    /// The reason, if this message announces that the coordinator will end the connection.
    fn goodbye(message: &Self::Receives) -> Option<&str>;

    /// The connect token for the next connection, if this message brings one. The link keeps it and does not pass it on.
    fn spare(message: &Self::Receives) -> Option<&SpareToken>;
}

/// A game's side.
#[derive(Clone, Copy, Debug)]
pub struct GameSide;

impl Side for GameSide {
    type Sends = GameToServer;
    type Receives = ServerToGame;
    const ROLE: Role = Role::Gamer;

    fn goodbye(message: &ServerToGame) -> Option<&str> {
        if let ServerToGame::Closing { reason } = message { Some(reason) } else { None }
    }

    fn spare(message: &ServerToGame) -> Option<&SpareToken> {
        if let ServerToGame::Spare(token) = message { Some(token) } else { None }
    }
}

/// A worker's side.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSide;

impl Side for WorkerSide {
    type Sends = WorkerToServer;
    type Receives = ServerToWorker;
    const ROLE: Role = Role::Worker;

    fn goodbye(message: &ServerToWorker) -> Option<&str> {
        if let ServerToWorker::Closing { reason } = message { Some(reason) } else { None }
    }

    fn spare(message: &ServerToWorker) -> Option<&SpareToken> {
        if let ServerToWorker::Spare(token) = message { Some(token) } else { None }
    }
}

/// The configuration of a client's link.
#[derive(Clone, Debug)]
pub struct ClientLinkConfig {
    /// The transport.
    pub transport: ClientTransport,
    /// The protocol it speaks; a coordinator with another one refuses it.
    pub identity: ProtocolIdentity,
    /// Its name on a network in memory.
    pub name: String,
    /// Sending rate; `None` is [`RateLimit::internet`], and no bound to a coordinator on this machine whose
    /// network is not impaired.
    pub rate_limit: Option<RateLimit>,
    /// Simulated network impairment, for tests and demos.
    pub impair: Option<Impairment>,
    /// When to try again.
    pub reconnect: Reconnect,
}

/// What a client's link runs over.
#[derive(Clone, Debug)]
pub enum ClientTransport {
    /// UDP, to the coordinator that this source's connect tokens are for.
    Udp(Arc<dyn TokenSource>),
    /// UDP, to a coordinator that [`ClientLink::connect_to`] names later; until then there is no try.
    Later,
    /// A network in memory.
    Memory(MemoryHub),
}

/// When a client reconnects after its link went down or a try failed. Each pause is lengthened or shortened at random by
/// up to a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// Pause after the first failure; doubles with every further one. A connection that had lasted is retried
    /// within 100 ms of its loss.
    pub first_pause: Duration,
    /// The longest pause, and the pause after a refusal.
    pub longest_pause: Duration,
    /// Time-out of one try.
    pub give_up_after: Duration,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
            give_up_after: Duration::from_millis(2_500),
        }
    }
}

/// Connects a game or a worker to the coordinator and keeps it connected.
///
/// Adds Bevy's `TimePlugin` if it is absent, so plugin groups that bring it come first.
#[derive(Debug)]
pub struct ClientLinkPlugin<S: Side> {
    config: ClientLinkConfig,
    side: PhantomData<fn() -> S>,
}

impl<S: Side> ClientLinkPlugin<S> {
    /// A link with this configuration.
    pub fn new(config: ClientLinkConfig) -> Self {
        Self { config, side: PhantomData }
    }
}

impl<S: Side> Plugin for ClientLinkPlugin<S> {
    fn build(&self, app: &mut App) {
        systems::set_up::<S>(app, &self.config);
    }
}

/// The link to the coordinator has come up.
#[derive(Message, Clone, Copy, Debug)]
pub struct LinkUp;

/// The link to the coordinator has gone down.
#[derive(Message, Clone, Debug)]
pub struct LinkDown {
    /// Why.
    pub reason: LinkProblem,
}

/// A message from the coordinator.
#[derive(Message, Clone, Debug)]
pub struct FromServer<M: Send + Sync + 'static> {
    /// When it arrived, on our clock.
    pub received_at: Micros,
    /// What it says.
    pub message: M,
}

/// A message for the coordinator; dropped while the link is down.
#[derive(Message, Clone, Debug)]
pub struct ToServer<M: Send + Sync + 'static>(pub M);
