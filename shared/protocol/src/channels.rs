//! Which channel each message travels on, and with what guarantee.
//!
//! | channel | guarantee | carries | resend |
//! |---|---|---|---|
//! | `Beat` | unreliable | heartbeats with clock readings | never |
//! | `Control` | reliable, ordered | welcome, statements, farewells | 80 ms |
//! | `Tasks` | reliable, unordered | submits, assignments, outcomes, refusals | 70 ms |
//! | `Spare` | reliable, unordered | connect tokens for the next connection | 250 ms |
//!
//! renet serves channels in this order. Its default resend of 300 ms is longer than a task's whole budget; with 70 ms
//! one lost packet is recovered within 200 ms on a 40 ms round trip. On slower lines the link slows the clock by which
//! renet resends, so that nothing travels twice without need. Task messages are reliable even though late ones are
//! worthless, because a message over 1,200 bytes travels in slices and an unreliable one is lost whole with any slice:
//! at 3 % loss a 6 KB outcome would vanish 17 % of the time. A connect token fills a whole packet, which a path with a
//! small packet limit never delivers. On its own channel such a token holds back no other message, and the coordinator
//! can tell whether it has arrived.

use std::time::Duration;

/// Bytes one channel may hold unacknowledged before renet disconnects the peer.
///
/// At 1 Mbit/s this is eight seconds of backlog: a peer that far behind is of no use to a game.
pub const CHANNEL_MEMORY_BYTES_MAX: usize = 1024 * 1024;

/// A renet channel; the number is its id on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Channel {
    /// Welcome, statements, farewells: reliable and ordered.
    Control = 0,
    /// Task traffic: reliable, unordered, so one lost slice does not hold back the tasks behind it.
    Tasks = 1,
    /// Heartbeats: unreliable, because the next one says it better.
    Beat = 2,
    /// Connect tokens for the next connection, from the coordinator: reliable, with a long pause before a resend.
    Spare = 3,
}

impl Channel {
    /// Every channel; their ids count from zero.
    pub const ALL: [Self; 4] = [Self::Control, Self::Tasks, Self::Beat, Self::Spare];
    /// The reliable channels, in the order in which renet serves them.
    pub const RELIABLE: [Self; 3] = [Self::Control, Self::Tasks, Self::Spare];

    /// After how long an unacknowledged message is sent again; `None` for the unreliable channel.
    pub const fn resend_after(self) -> Option<Duration> {
        match self {
            Self::Control => Some(Duration::from_millis(80)),
            Self::Tasks => Some(Duration::from_millis(70)),
            Self::Beat => None,
            Self::Spare => Some(Duration::from_millis(250)),
        }
    }
}
