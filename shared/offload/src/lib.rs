//! The Bevy plugin with which a game offloads heavy work through P2C2R.

mod account;
mod config;
mod desk;
pub mod diagnostics;
mod estimate;
mod histogram;
mod inbox;
mod kind;
mod known_blobs;
mod ladder;
mod offloading;
mod outcome;
mod plugin;
mod pool;
mod publish;
mod receipt;
mod spending;
mod switch;
mod totals;
mod window;
mod work;

pub use account::OffloadAccount;
pub use config::{LocalCompute, OffloadConfig};
pub use histogram::{Histogram, Percentiles};
pub use kind::{KindSettings, OffloadAppExt, OnLate};
pub use offloading::{OffloadCommandsExt, Offloading};
pub use outcome::{FailReason, OffloadDone, OffloadFailed, Offloaded, Place};
pub use plugin::{OffloadPlugin, OffloadSystems};
pub use switch::{LocalReason, OffloadMode, OffloadState, OffloadSwitch};
pub use totals::{KindTotals, OffloadTotals};

/// Everything a game usually needs.
pub mod prelude {
    pub use crate::account::OffloadAccount;
    pub use crate::config::{LocalCompute, OffloadConfig};
    pub use crate::kind::{KindSettings, OffloadAppExt, OnLate};
    pub use crate::offloading::{OffloadCommandsExt, Offloading};
    pub use crate::outcome::{FailReason, OffloadDone, OffloadFailed, Offloaded, Place};
    pub use crate::plugin::{OffloadPlugin, OffloadSystems};
    pub use crate::switch::{LocalReason, OffloadMode, OffloadState, OffloadSwitch};
    pub use crate::totals::OffloadTotals;
    pub use p2c2r_tasks::{Blob, Blobs, TaskKind};
}

#[cfg(test)]
mod tests;
