//! The state of a client's link to the coordinator.

use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::resource::Resource;

use crate::{LinkProblem, PeerStats, TokenSource};

/// The state of the link to the coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LinkStatus {
    /// Not connected and between tries.
    #[default]
    Offline,
    /// Trying.
    Connecting,
    /// Connected.
    Connected,
    /// The coordinator answers and refuses this client; retries go on slowly.
    Refused {
        /// Why.
        reason: LinkProblem,
    },
}

/// The link to the coordinator.
#[derive(Resource, Debug, Default)]
pub struct ClientLink {
    pub(super) status: LinkStatus,
    pub(super) stats: PeerStats,
    pub(super) is_busy: bool,
    pub(super) is_closed: bool,
    pub(super) next_try: Option<Duration>,
    pub(super) problem: Option<LinkProblem>,
    pub(super) connect_to: Option<Arc<dyn TokenSource>>,
}

impl ClientLink {
    /// The state of the link.
    pub fn status(&self) -> &LinkStatus {
        &self.status
    }

    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        self.status == LinkStatus::Connected
    }

    /// Why the last try failed, and what to check; `None` while connected and before the first failure.
    pub fn problem(&self) -> Option<&LinkProblem> {
        self.problem.as_ref()
    }

    /// Measurements of this connection, or of the last one.
    pub fn stats(&self) -> &PeerStats {
        &self.stats
    }

    /// When the next try begins, counted like `Time<Real>::elapsed()`; `None` while connected or trying.
    pub fn next_try(&self) -> Option<Duration> {
        self.next_try
    }

    /// Sets whether tasks are out: then heartbeats go every 100 ms, and 350 ms of silence end the connection.
    pub fn mark_busy(&mut self, busy: bool) {
        self.is_busy = busy;
    }

    /// In the next update, leaves the coordinator, if there is one, and connects over UDP to the one that this source's
    /// tokens are for. A link that was [disconnected](Self::disconnect) stays disconnected.
    pub fn connect_to(&mut self, tokens: Arc<dyn TokenSource>) {
        self.connect_to = Some(tokens);
    }

    /// Closes the link at the end of this update, after what is queued has been sent once, and does not
    /// connect again.
    pub fn disconnect(&mut self) {
        self.is_closed = true;
    }
}
