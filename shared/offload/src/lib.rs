//! The Bevy plugin with which a game offloads heavy work through P2C2R.

pub mod account;
pub mod config;
pub mod diagnostics;
pub mod histogram;
mod inbox;
mod kind;
mod link_names;
mod offloading;
mod outcome;
mod plugin;
mod switch;
pub mod totals;
mod work;

pub use account::OffloadAccount;
pub use config::{LocalCompute, OffloadConfig};
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
