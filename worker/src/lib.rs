//! The program a helper runs to lend compute to P2C2R games: it takes one small typed task at a time from the
//! coordinator, computes it and is paid for it.
//!
//! It is a Bevy app without a window: [`build_app`] makes it, `main.rs` only reads the command line, and tests
//! run the very same app in memory on manual time.
//!
//! | module | owns |
//! |---|---|
//! | [`options`] | every setting, with its default and its range |
//! | [`config`] | what the app is built from |
//! | [`cli`] | the command line and environment |
//! | [`app`] | the app: its resources and its system |
//! | [`attempts`] | the attempts this worker holds: taken, revoked, answered |
//! | [`executor`] | the bounded pool that runs kernels |
//! | [`kernels`] | the processes that kernels run in |
//! | [`cancel`] | cancelling a run whose answer is not needed |
//! | [`earnings`] | what was earned, and the rate it can be earned at |
//! | [`availability`] | when the worker takes work |
//! | [`control`] | how its owner asks and controls it while it runs |
//! | [`page`] | the page that shows its owner how it stands |
//! | [`drain`] | leaving without dropping what runs |
//! | [`gpu`] | what a graphics processor computes |
//! | [`consent`] | the first start, to which its owner has to agree |
//! | [`console`] | what the helper reads |
//! | [`share`] | limiting a device to a share of its time |
//! | [`service`] | saying to a service manager that the worker is alive |
//! | `update` | the steps of one update, in order |

pub mod app;
pub mod attempts;
pub mod availability;
pub mod cancel;
pub mod cli;
pub mod config;
pub mod consent;
pub mod console;
pub mod control;
pub mod drain;
pub mod earnings;
mod error;
pub mod executor;
pub mod gpu;
pub mod kernels;
pub mod options;
pub mod page;
pub mod service;
pub mod share;
mod update;

pub use app::{WorkerSystems, build_app};
pub use config::{Execution, WorkerConfig};
pub use drain::Drain;
pub use error::{KernelsError, WorkerError};
pub use share::Share;
