//! What a program knows of the other end of one connection.

use std::time::Duration;

use p2c2r_protocol::Micros;

/// Measurements of one connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerStats {
    /// Smoothed round trip, once a heartbeat has come back.
    pub rtt: Option<Duration>,
    /// How much round trips vary, smoothed.
    pub jitter: Duration,
    /// Share of the other end's packets that were lost on the way here, 0 to 1, over the last seconds.
    pub loss: f32,
    /// Bytes sent, as UDP payload.
    pub sent_bytes: u64,
    /// Bytes received, as UDP payload.
    pub received_bytes: u64,
    /// Our clock minus theirs in microseconds: ours = theirs + offset.
    pub clock_offset_us: Option<i64>,
    /// Bytes waiting here: not yet sent, or sent and not yet acknowledged.
    pub backlog_bytes: usize,
    /// Packets and messages from this peer that were refused.
    pub garbage: u64,
    /// When anything was last heard, on our clock.
    pub last_heard: Micros,
}
