//! What a cheat answers to a task.

use p2c2r_server::config::TrustRules;
use rand::Rng;
use rand_pcg::Pcg32;

use super::Trick;
use super::samples::Sample;

/// A worker that plays a trick, or an honest one.
pub(crate) struct Cheat {
    trick: Trick,
    answers: u64,
    /// Answers that it had given before its first lie.
    first_lie: Option<u64>,
    first: Option<Vec<u8>>,
}

impl Cheat {
    pub fn new(trick: Trick) -> Self {
        Self { trick, answers: 0, first_lie: None, first: None }
    }

    pub fn trick(&self) -> Trick {
        self.trick
    }

    pub fn has_lied(&self) -> bool {
        self.first_lie.is_some()
    }

    pub fn answers_since_first_lie(&self) -> Option<u64> {
        Some(self.answers - self.first_lie?)
    }

    /// Its outcome of task `number`; `None` if it does not answer. All cheats know the numbers, so that they can lie
    /// about the same tasks.
    pub fn answer(&mut self, sample: &Sample, number: u64, random: &mut Pcg32) -> Option<Vec<u8>> {
        let probation = TrustRules::default().probation_answers;
        let lie = match self.trick {
            Trick::Honest => None,
            Trick::Lazy => Some(sample.unreachable.clone()),
            Trick::Liar(share) => random.random_bool(share).then(|| sample.wrong.clone()),
            Trick::Sleeper(honest) => (self.answers >= honest).then(|| sample.wrong.clone()),
            // Both choose the same tasks, without communication.
            Trick::Colluding => {
                number.wrapping_mul(0x9e37_79b9).is_multiple_of(10).then(|| sample.wrong.clone())
            }
            Trick::Sixteenth => Some(sample.nearly_right.clone()),
            Trick::SlowLoris => return None,
            Trick::Replayer => self.first.clone().filter(|first| *first != sample.right),
            Trick::Flipping(share) => random.random_bool(share).then(|| flipped(&sample.right, random)),
            Trick::Farm => (self.answers >= probation).then(|| sample.wrong.clone()),
        };
        self.first.get_or_insert_with(|| sample.right.clone());
        if lie.is_some() {
            self.first_lie.get_or_insert(self.answers);
        }
        self.answers += 1;
        Some(lie.unwrap_or_else(|| sample.right.clone()))
    }
}

fn flipped(outcome: &[u8], random: &mut Pcg32) -> Vec<u8> {
    let mut flipped = outcome.to_vec();
    let bit = random.random_range(0..8 * flipped.len());
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}
