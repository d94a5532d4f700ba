//! The link: how P2C2R's programs reach one another when the other side may be hostile.
//!
//! Both sides run over UDP (or, in tests, a [`MemoryHub`]) through netcode's encryption and renet's channels,
//! but nothing reaches those two before this crate has checked it. Everyone outside sees typed messages only.
//!
//! | module | owns |
//! |---|---|
//! | [`server`] | the coordinator's side: [`ServerLinkPlugin`], [`Peers`] |
//! | [`client`] | the side of games and workers: [`ClientLinkPlugin`], [`ClientLink`] |
//! | [`headless()`], [`on_one_thread`] | what programs without a window leave out of Bevy's update, and all programs its threads for systems |
//! | [`runner`] | the event-driven runner: [`EventDrivenPlugin`], [`Waker`], [`NextWake`] |
//! | [`memory`] | the packet switch in memory for tests |
//! | [`impair`] | worse networks for tests and demos |
//! | [`problem`] | why there is no connection, on one line and in full |
//! | [`rate_limit`] | how fast a peer is sent to, and how much is accepted from one |

mod channels;
pub mod client;
mod clock;
mod connection;
mod envelope;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod headless;
mod heartbeat;
pub mod impair;
mod lean_update;
mod limits;
mod loss;
pub mod memory;
mod parity;
mod peer;
pub mod problem;
pub mod rate_limit;
mod resend_clock;
pub mod runner;
mod seal;
mod send_queue;
pub mod server;
mod sets;
mod socket;
mod tokens;

pub use client::{
    ClientLink, ClientLinkConfig, ClientLinkPlugin, ClientTransport, FromServer, GameSide, LinkDown,
    LinkStatus, LinkUp, Reconnect, Side, ToServer, WorkerSide,
};
pub use clock::LinkClock;
pub use error::LinkError;
pub use headless::{headless, on_one_thread};
pub use impair::Impairment;
pub use limits::BUSY_POLL_MAX;
pub use memory::MemoryHub;
pub use peer::PeerStats;
pub use problem::LinkProblem;
pub use rate_limit::RateLimit;
pub use runner::{EventDrivenPlugin, NextWake, RunningApp, Waker};
pub use server::{
    FromPeer, Grant, LinkTotals, Mint, MintRefusal, MintSource, PeerJoined, PeerLeft, Peers, Refusals,
    ServerLinkConfig, ServerLinkPlugin, ServerTransport, ToPeer, bind_server,
};
pub use sets::LinkSystems;
pub use tokens::{Access, NoToken, TokenAnswer, TokenSource, fetch};
