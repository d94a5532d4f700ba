//! Random draws. Each purpose has its own generator, so that an extra draw for one does not shift those of the other.

use rand::rngs::{SmallRng, StdRng};
use rand::{Rng, SeedableRng};

/// Draws the candidates for a task; the same seed and the same events give the same choices.
pub struct Matcher {
    rng: SmallRng,
}

impl Matcher {
    /// A matcher that draws from `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { rng: SmallRng::seed_from_u64(u64::from_le_bytes(first_bytes(seed))) }
    }

    /// A number below `below`, which is not zero.
    pub fn draw(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }
}

/// Draws which answers are checked deeply, and where. The generator is a cryptographic one, so that a worker that sees
/// which of its answers were checked learns nothing of the next draw. Neither whether nor where depends on the answer.
pub struct CheckDraws {
    rng: StdRng,
}

impl CheckDraws {
    /// Draws from `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        // A different stream from the matcher's: which worker was asked must reveal nothing about what is checked.
        let mut seed = seed;
        seed.rotate_left(8);
        Self { rng: StdRng::from_seed(seed) }
    }

    /// Draws whether to check an answer deeply, with probability `share` (0 to 1), and if so the seed of the check.
    pub fn draw(&mut self, share: f64) -> Option<u64> {
        // Always draws both: how often one worker is checked must not shift the draws for another.
        let (lot, place): (f64, u64) = (self.rng.random(), self.rng.random());
        (lot < share).then_some(place)
    }
}

fn first_bytes(seed: [u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&seed[..8]);
    first
}
