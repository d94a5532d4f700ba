//! Random draws. Each sort has its own generator, so that one more draw of one sort moves none of the other.

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
/// which of its answers were checked learns nothing of the next draw.
pub struct CheckDraws {
    rng: StdRng,
    deep_share: f64,
}

impl CheckDraws {
    /// Draws by which this many per cent of the answers are checked deeply.
    pub fn new(seed: [u8; 32], deep_check_percent: f64) -> Self {
        // Another stream than the matcher's: which worker was asked must say nothing of what is checked.
        let mut seed = seed;
        seed.rotate_left(8);
        Self { rng: StdRng::from_seed(seed), deep_share: deep_check_percent / 100.0 }
    }

    /// The seed of a deep check, if the next answer gets one.
    pub fn draw(&mut self) -> Option<u64> {
        (self.deep_share > 0.0 && self.rng.random_bool(self.deep_share.min(1.0))).then(|| self.rng.random())
    }
}

fn first_bytes(seed: [u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&seed[..8]);
    first
}
