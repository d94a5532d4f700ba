//! The coordinator: it decides who works, checks every answer before a game may use it, keeps the money, and
//! does the work itself when nobody else can.
//!
//! A headless Bevy app without a tick: it sleeps until a packet, a compute thread, the ledger or a timer wakes
//! it, and each update does work in proportion to the messages at hand, never to the tasks in flight.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`], [`config`] | settings: flags, environment, file, defaults |
//! | [`app`] | the app: plugins, systems and their order |
//! | [`desk`] | what the systems that move tasks along have in common |
//! | [`join`] | who may connect: HTTPS, invites, accounts, connect tokens |
//! | [`joins`] | peers coming and going |
//! | [`sessions`] | gamers: who is connected, what they may spend, which task ids are spent |
//! | [`registry`], [`speed`], [`trust`] | workers: offers and room, how long they take, who may work |
//! | [`admission`] | games' messages: which tasks are let in |
//! | [`budgets`] | what open tasks may take, per account and in sum |
//! | [`cache`], [`reuse`] | outcomes to reuse, and answering from them |
//! | [`table`] | tasks in flight and their phases |
//! | [`matcher`], [`matching`] | who gets which task, and handing it out |
//! | [`leases`] | when an attempt or a wait is over, and what then |
//! | [`fallback`] | the coordinator's own kernel |
//! | [`judge`] | workers' messages and the verdict on every outcome |
//! | [`compute`] | threads for kernels and checks |
//! | [`settle`], [`receipts`] | the end of a task: money, receipt, delivery |
//! | [`statements`] | what was recorded, told to those it concerns |
//! | [`books`], [`ledger`] | the app's end of the ledger, and the durable books |
//! | [`ledger_commands`] | what the operator does with the ledger |
//! | [`restart`] | what is taken over from the coordinator before |
//! | [`busy`], [`waking`] | which workers the link must watch closely, and waking the app |
//! | [`drain`] | the orderly end |
//! | [`console`] | what the operator sees |

pub mod admission;
pub mod app;
pub mod books;
pub mod budgets;
pub mod busy;
pub mod cache;
pub mod cli;
pub mod compute;
pub mod config;
pub mod console;
pub mod desk;
pub mod drain;
pub mod error;
pub mod fallback;
pub mod join;
pub mod joins;
pub mod judge;
mod known_blobs;
pub mod leases;
pub mod ledger;
pub mod ledger_commands;
pub mod matcher;
pub mod matching;
pub mod receipts;
pub mod registry;
pub mod restart;
pub mod reuse;
pub mod sessions;
pub mod settle;
pub mod speed;
pub mod statements;
pub mod table;
pub mod trust;
pub mod waking;

pub use app::{CoordinatorPlugins, build_app};
pub use config::{Compute, Fallback, ServerConfig};
pub use drain::Shutdown;
pub use error::ServerError;
