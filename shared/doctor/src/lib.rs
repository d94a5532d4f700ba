//! Finds out whether a coordinator can be reached from this machine, how well, and what to do where it cannot: its name,
//! TCP, TLS and the key in the join link, versions, UDP both ways, another port as after a router has rebound one, round
//! trip, loss, bandwidth, clock.
//!
//! It joins as the game or the worker would, under the same account, so a link's invite is used for what it is meant for. It
//! asks for no task and offers nothing, so nothing is charged and nobody is given work.

pub mod account;
pub mod checks;
pub mod cli;
pub mod report;
pub mod udp;

pub use checks::examine;
pub use report::{DoctorReport, Finding, Grade};
