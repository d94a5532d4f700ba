//! How fast a peer is sent to.

/// A peer's sending rate: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes per second, headers included.
    pub bytes_per_second: u32,
    /// Bytes that may leave at once after a pause.
    pub burst_bytes: u32,
}

impl Pace {
    /// 1 Mbit/s, the slowest uplink the project promises to work on.
    pub const fn internet() -> Self {
        Self { bytes_per_second: 125_000, burst_bytes: 6_000 }
    }

    /// As fast as the socket takes it.
    pub const fn unlimited() -> Self {
        Self { bytes_per_second: u32::MAX, burst_bytes: u32::MAX }
    }
}
