//! The player's switch between offloading and local compute, per program and per kind, and the mode in force.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_link::LinkProblem;
use p2c2r_protocol::{KindId, Nanos};
use p2c2r_tasks::TaskKind;

/// Whether tasks may leave this computer. Takes effect in the frame in which it changes: switching off
/// cancels tasks that are out and computes them locally on other threads; switching on sends new tasks out
/// again.
#[derive(Resource, Clone, Debug, PartialEq, Eq)]
pub struct OffloadSwitch {
    /// The switch for everything.
    pub enabled: bool,
    kinds_off: BTreeSet<KindId>,
}

impl Default for OffloadSwitch {
    fn default() -> Self {
        Self { enabled: true, kinds_off: BTreeSet::new() }
    }
}

impl OffloadSwitch {
    /// Flips the switch for everything.
    pub fn toggle(&mut self) {
        self.enabled = !self.enabled;
    }

    /// Sets the switch of one kind; it matters only while [`OffloadSwitch::enabled`] is true.
    pub fn set_kind<K: TaskKind>(&mut self, enabled: bool) {
        if enabled {
            self.kinds_off.remove(&K::ID);
        } else {
            self.kinds_off.insert(K::ID);
        }
    }

    /// Whether tasks of this kind may leave this computer.
    pub fn allows(&self, kind: KindId) -> bool {
        self.enabled && !self.kinds_off.contains(&kind)
    }
}

/// How long a frame of the game may take, at first 1/60 s. Tasks at the coordinator are computed here as well only while
/// frames keep to it. A game whose player or screen wants another frame rate sets it.
#[derive(Resource, Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffloadFrameBudget(pub Duration);

impl Default for OffloadFrameBudget {
    fn default() -> Self {
        Self(Duration::from_secs(1) / 60)
    }
}

/// What may be spent. Takes effect in the frame in which it is changed; set at first from
/// [`OffloadConfig`](crate::OffloadConfig).
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadCaps {
    /// The most this session may spend.
    pub session: Option<Nanos>,
    /// The most any sixty minutes may spend.
    pub hour: Option<Nanos>,
}

/// What counts for [`OffloadCaps::hour`] besides this session; zero at first. A game whose cap is to hold over several
/// sessions writes it: what others have spent in the last sixty minutes, and what others that run at the same time may still
/// spend. Takes effect in the frame in which it is written.
#[derive(Resource, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadElsewhere(pub Nanos);

impl OffloadCaps {
    /// Whether there is any cap.
    pub(crate) fn is_any(self) -> bool {
        self.session.is_some() || self.hour.is_some()
    }
}

/// Where new tasks go, and why; for people to read.
#[derive(Resource, Clone, Debug, PartialEq, Eq)]
pub struct OffloadState {
    /// What is in force.
    pub mode: OffloadMode,
}

impl OffloadState {
    /// Whether new tasks leave this computer without restriction. Under a money limit cheap ones may leave it although this
    /// is false.
    pub fn is_remote(&self) -> bool {
        self.mode == OffloadMode::Remote
    }
}

/// Where new tasks go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffloadMode {
    /// To the coordinator.
    Remote,
    /// Nowhere: they are computed on this computer. Where money is the reason, cheap tasks may still go out.
    Local(LocalReason),
}

/// Why tasks are computed on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalReason {
    /// The plugin was set up without a coordinator.
    NoCoordinator,
    /// The player switched offloading off.
    SwitchedOff,
    /// The connection is being made, or is broken and being made again.
    NotConnected {
        /// What the link says about it.
        reason: LinkProblem,
    },
    /// The coordinator stops taking tasks.
    Closing {
        /// What it says.
        reason: String,
    },
    /// This session has spent its cap.
    SessionCap {
        /// The cap.
        cap: Nanos,
    },
    /// The last hour has spent its cap; lifts as that hour moves on.
    HourCap {
        /// The cap.
        cap: Nanos,
    },
    /// The account cannot cover a task.
    BalanceTooLow {
        /// What it has left.
        available: Nanos,
    },
}

impl fmt::Display for LocalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCoordinator => f.write_str("no coordinator is set"),
            Self::SwitchedOff => f.write_str("switched off"),
            Self::NotConnected { reason } => write!(f, "not connected: {reason}"),
            Self::Closing { reason } => write!(f, "the coordinator says goodbye: {reason}"),
            Self::SessionCap { cap } => write!(f, "the session's cap of {cap} is reached"),
            Self::HourCap { cap } => write!(f, "the cap of {cap} an hour is reached"),
            Self::BalanceTooLow { available } => write!(f, "the account has only {available} left"),
        }
    }
}

impl fmt::Display for OffloadMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote => f.write_str("remote"),
            Self::Local(reason) => write!(f, "local ({reason})"),
        }
    }
}
