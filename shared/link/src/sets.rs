//! The link's system sets within an update.

use bevy_ecs::schedule::SystemSet;

/// The link's two sets in an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub enum LinkSystems {
    /// Packets are read and become messages: in `PreUpdate`, inside bevy_renet's `RenetReceive`.
    Receive,
    /// Messages become packets: in `PostUpdate`, inside bevy_renet's `RenetSend`.
    Send,
}
