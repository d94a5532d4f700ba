//! The coordinator: it decides who works, checks every answer before a game may use it, keeps the money, and
//! does the work itself when nobody else can.
//!
//! A headless Bevy app without a tick: it sleeps until a packet, a compute thread, the ledger or a timer wakes it, and
//! each update's work is proportional to the messages at hand, not to the tasks in flight.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`], [`config`] | settings: flags, environment, file, defaults |
//! | [`app`] | the app: plugins and resources |
//! | [`core`] | the scheduler: a state machine that is told events and says what is to be done |
//! | [`peers`] | between app and core: messages become events, effects become messages, jobs and entries; the order of an update |
//! | [`compute`] | threads for kernels and checks |
//! | [`ledger_client`], [`ledger`] | the app's end of the ledger, and the durable books |
//! | [`backup`] | copying everything that brings a coordinator back into one folder, and restoring it |
//! | [`ledger_commands`] | the operator's commands about the ledger |
//! | [`worker_commands`] | the operator's commands about workers |
//! | [`join`] | who may connect: HTTPS, invites, accounts, connect tokens |
//! | [`recording`] | recording a run of the scheduler, and replaying it |
//! | [`status`] | what the coordinator shows of itself: health, figures, the status page |
//! | [`restart`] | what a start takes over from the run before it |
//! | [`waking`] | waking the app |
//! | [`drain`] | the orderly end |
//! | [`console`] | what the operator sees |

pub mod app;
pub mod backup;
pub mod cli;
pub mod compute;
pub mod config;
pub mod console;
pub mod core;
pub mod drain;
pub mod error;
pub mod join;
pub mod ledger;
pub mod ledger_client;
pub mod ledger_commands;
pub mod peers;
mod private_file;
pub mod recording;
pub mod restart;
#[cfg(test)]
mod simulation;
pub mod status;
pub mod waking;
pub mod worker_commands;

pub use app::{CoordinatorPlugins, build_app};
pub use config::{ComputeMode, Fallback, PatientFallback, ServerConfig};
pub use drain::Shutdown;
pub use error::ServerError;
