//! The arena's only source of randomness.

use rand::RngCore as _;
use rand_pcg::Pcg32;

use crate::record::{Record, Recorded};
use crate::vec2::Vec2;

/// A seeded stream of random numbers. Shares and ranges are made here, from whole words, so that a new
/// release of `rand` cannot change a recorded game.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Pcg32);

impl Dice {
    /// The stream that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // Pcg32's default stream number; another constant would change every recorded game.
        Self(Pcg32::new(seed, 0x0a02_bdbf_7bb3_c0a7))
    }

    /// At least 0, below 1.
    pub(crate) fn share(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// At least `low`, at most `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.share()
    }

    /// Below `count`, which must not be 0.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(count)) >> 32) as u32
    }

    /// One of the two signs.
    pub(crate) fn sign(&mut self) -> f32 {
        if self.below(2) == 0 { 1.0 } else { -1.0 }
    }

    /// A point of the square from minus to plus `half` on both axes.
    pub(crate) fn point(&mut self, half: f32) -> Vec2 {
        let x = self.between(-half, half);
        Vec2::new(x, self.between(-half, half))
    }

    /// A unit vector, all directions equally likely.
    pub(crate) fn direction(&mut self) -> Vec2 {
        // Each draw lands in the ring with probability 0.78; the bound only rules out an endless loop.
        for _ in 0..64 {
            let point = self.point(1.0);
            let length_squared = point.length_squared();
            if (0.01..=1.0).contains(&length_squared) {
                return point.unit_or(Vec2::FORWARD);
            }
        }
        Vec2::FORWARD
    }
}

impl Recorded for Dice {
    fn record(&self, record: &mut Record) {
        // The generator hides its state; its next 64 bits stand for it.
        record.add(&self.0.clone().next_u64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_fixed_and_in_range() {
        let mut dice = Dice::new(7);
        let mut mean = 0.0;
        for _ in 0..4_000 {
            let share = dice.share();
            assert!((0.0..1.0).contains(&share));
            mean += share / 4_000.0;
            assert!(dice.below(3) < 3);
            assert!((dice.direction().length() - 1.0).abs() < 1e-5);
        }
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(Dice::new(7).0.next_u32(), Dice::new(7).0.next_u32());
        assert_ne!(Dice::new(7).0.next_u32(), Dice::new(8).0.next_u32());
    }
}
