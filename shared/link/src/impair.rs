//! Simulated network impairment, for tests and demos.

mod line;

use std::time::Duration;

pub(crate) use line::DelayLine;

/// What happens to packets in one direction.
///
/// A program with an impairment applies it to what it sends and to what it receives. So one impaired program
/// on a good network sees the whole round trip in a preset's name (`wan-100ms` is 50 ms each way), and if
/// both ends are impaired the delays add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Delay of every packet.
    pub latency: Duration,
    /// Further delay, uniform from zero to this; keeps the order.
    pub jitter: Duration,
    /// Share of packets lost, 0 to 1.
    pub loss: f32,
    /// Share of packets that arrive twice, 0 to 1.
    pub duplicate: f32,
    /// Share of packets that later ones overtake, 0 to 1.
    pub reorder: f32,
    /// Bandwidth of the line, if limited; a quarter of a second of it queues, the rest is lost.
    pub bytes_per_second: Option<u32>,
    /// Seed of the random decisions.
    pub seed: u64,
}

impl Impairment {
    /// A perfect line.
    pub const NONE: Self = Self {
        latency: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
        bytes_per_second: None,
        seed: 1,
    };

    /// Names of the presets.
    ///
    /// | name | round trip | jitter each way | loss each way | bandwidth each way |
    /// |---|---|---|---|---|
    /// | `lan` | 1 ms | 0.2 ms | none | 100 Mbit/s |
    /// | `wan-30ms` | 30 ms | 2 ms | 0.1 % | 20 Mbit/s |
    /// | `wan-60ms` | 60 ms | 3 ms | 0.2 % | 10 Mbit/s |
    /// | `wan-100ms` | 100 ms | 5 ms | 0.5 % | 10 Mbit/s |
    /// | `wan-200ms` | 200 ms | 10 ms | 1 % | 5 Mbit/s |
    /// | `wan-lossy` | 200 ms | 10 ms | 3 % | 1 Mbit/s |
    /// | `bad-wifi` | 20 ms | 30 ms | 3 %, some packets twice or out of order | 5 Mbit/s |
    /// | `mobile` | 70 ms | 25 ms | 1 % | 2 Mbit/s |
    /// | `awful` | 200 ms | 60 ms | 3 %, some packets twice or out of order | 1 Mbit/s |
    pub const PRESETS: &'static [&'static str] = &[
        "lan",
        "wan-30ms",
        "wan-60ms",
        "wan-100ms",
        "wan-200ms",
        "wan-lossy",
        "bad-wifi",
        "mobile",
        "awful",
    ];

    /// The name of the preset that this equals, apart from the seed.
    pub fn name(&self) -> Option<&'static str> {
        let is_this = |name: &&str| Self::preset(name) == Some(Self { seed: Self::NONE.seed, ..*self });
        Self::PRESETS.iter().copied().find(is_this)
    }

    /// The preset of this name.
    pub fn preset(name: &str) -> Option<Self> {
        let line = |round_trip_us: u64, jitter_us, loss_percent: f32, mbit_per_second: u32| Self {
            latency: Duration::from_micros(round_trip_us / 2),
            jitter: Duration::from_micros(jitter_us),
            loss: loss_percent / 100.0,
            bytes_per_second: Some(mbit_per_second * 125_000),
            ..Self::NONE
        };
        Some(match name {
            "lan" => line(1_000, 200, 0.0, 100),
            "wan-30ms" => line(30_000, 2_000, 0.1, 20),
            "wan-60ms" => line(60_000, 3_000, 0.2, 10),
            "wan-100ms" => line(100_000, 5_000, 0.5, 10),
            "wan-200ms" => line(200_000, 10_000, 1.0, 5),
            "wan-lossy" => line(200_000, 10_000, 3.0, 1),
            "bad-wifi" => Self { duplicate: 0.005, reorder: 0.01, ..line(20_000, 30_000, 3.0, 5) },
            "mobile" => line(70_000, 25_000, 1.0, 2),
            "awful" => Self { duplicate: 0.01, reorder: 0.02, ..line(200_000, 60_000, 3.0, 1) },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_preset_exists_and_is_lossy_within_reason() {
        for name in Impairment::PRESETS {
            let preset = Impairment::preset(name).unwrap_or_else(|| panic!("{name}"));
            assert!(preset.loss <= 0.05 && preset.latency <= Duration::from_millis(100), "{name}");
        }
        assert_eq!(Impairment::preset("perfect"), None);
    }
}
