//! What coordinator, worker and game share as programs of an operating system, so that all three treat terminal, log,
//! signals, environment variables and settings alike.
//!
//! | module | owns |
//! |---|---|
//! | [`output`] | standard output and error, whose loss ends nothing |
//! | [`log`] | what a log line looks like, and where it goes |
//! | [`signals`] | being asked to stop |
//! | [`command_line`] | flags and environment variables |
//! | [`settings`] | the table of a program's settings, from which file, flags, variables and reference come |
//! | `panic_hook` | where the messages of caught panics go |
//! | [`service`] | what a service manager is told |
//! | `web_page` | what pages for browsers have in common (feature `pages`) |

pub mod command_line;
pub mod log;
pub mod output;
mod panic_hook;
pub mod service;
pub mod settings;
pub mod signals;
#[cfg(feature = "pages")]
pub mod web_page;

pub use log::{Log, LogError, LogFormat};
pub use output::{Output, complain, say};
pub use panic_hook::quiet_caught_panics;
