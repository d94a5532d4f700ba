//! The coordinator: it decides who works, checks every answer before a game may use it, keeps the money, and
//! does the work itself when nobody else can.
//!
//! A headless Bevy app without a tick: it sleeps until a packet, a compute thread, the ledger or a timer wakes
//! it, and each update does work in proportion to the messages at hand, never to the tasks in flight.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | settings: flags, environment, file, defaults |
//! | [`app`] | the app: plugins, systems and their order |
//! | [`sessions`] | gamers: who is connected, what they may spend, which task ids are spent |
//! | [`registry`], [`speed`] | workers: offers, room, how long they take |
//! | [`table`] | tasks in flight and their phases |
//! | [`ledger`] | the durable books |

pub mod app;
pub mod cache;
pub mod compute;
pub mod config;
pub mod error;
pub mod guard;
mod hashing;
pub mod ledger;
pub mod matcher;
pub mod receipts;
pub mod registry;
pub mod sessions;
pub mod speed;
pub mod table;

pub use app::{CoordinatorPlugins, build_app};
pub use config::{Compute, Fallback, LogFormat, ServerConfig};
pub use error::ServerError;
