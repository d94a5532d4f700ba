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
    /// `round` is that of the worker; without one the draw is independent of all others.
    pub fn draw(&mut self, share: f64, round: Option<&mut CheckRound>) -> Option<u64> {
        // Always draws all: how often one worker is checked must not shift the draws for another.
        let (lot, place, seed): (f64, f64, u64) = (self.rng.random(), self.rng.random(), self.rng.random());
        let is_checked = match round.filter(|_| share > 0.0 && share < 1.0) {
            Some(round) => round.next(share, lot, place),
            None => lot < share,
        };
        is_checked.then_some(seed)
    }
}

/// A run of one worker's answers in a kind, of which one is checked, at a place drawn when the run begins.
///
/// Half of the checks come by rounds, so that a worker that always lies is found within two of them. Where five per cent
/// are checked that is 79 answers, and with independent draws alone one such worker in a hundred gives more than 90. The
/// other half is drawn independently: whoever knows which answers were checked cannot tell that the next one is not.
#[derive(Default)]
pub struct CheckRound {
    length: u32,
    place: u32,
    gone: u32,
}

impl CheckRound {
    /// Whether the next answer is checked, which has the probability `share`, above 0 and below 1. `lot` and `place` are
    /// drawn from 0 to 1.
    fn next(&mut self, share: f64, lot: f64, place: f64) -> bool {
        if self.gone == self.length {
            let of_rounds = 1.0 - (1.0 - share).sqrt();
            self.length = (1.0 / of_rounds).ceil() as u32;
            self.place = (place * f64::from(self.length)) as u32;
            self.gone = 0;
        }
        let is_due = self.gone == self.place;
        self.gone += 1;
        let independent = 1.0 - (1.0 - share) / (1.0 - 1.0 / f64::from(self.length));
        is_due || lot < independent
    }
}

fn first_bytes(seed: [u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&seed[..8]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of so many answers is checked.
    fn drawn(share: f64, answers: usize) -> Vec<bool> {
        let mut draws = CheckDraws::new([7; 32]);
        let mut round = CheckRound::default();
        (0..answers).map(|_| draws.draw(share, Some(&mut round)).is_some()).collect()
    }

    #[test]
    fn as_many_answers_are_checked_as_the_share_says_and_none_can_be_known_to_be_left_out() {
        const ANSWERS: usize = 400_000;
        for share in [0.02, 0.05, 0.2, 0.73] {
            let drawn = drawn(share, ANSWERS);
            let share_of = |answers: &mut dyn Iterator<Item = bool>| {
                let (all, checked) =
                    answers.fold((0_u32, 0_u32), |(all, checked), it| (all + 1, checked + u32::from(it)));
                f64::from(checked) / f64::from(all)
            };
            let found = share_of(&mut drawn.iter().copied());
            let error = (share * (1.0 - share) / ANSWERS as f64).sqrt();
            assert!((found - share).abs() < 5.0 * error, "{found} of {share}");
            let after_a_check = share_of(&mut drawn.windows(2).filter(|two| two[0]).map(|two| two[1]));
            assert!(after_a_check > share / 3.0, "{after_a_check} after a check, of {share}");
        }
        assert!(drawn(0.0, 1_000).iter().all(|it| !it) && drawn(1.0, 1_000).iter().all(|it| *it));
    }

    #[test]
    fn no_eighty_answers_in_a_row_go_unchecked_where_five_per_cent_are() {
        let unchecked = |drawn: Vec<bool>| drawn.split(|it| *it).map(<[bool]>::len).max();
        assert!(unchecked(drawn(0.05, 400_000)) < Some(79));
        let mut draws = CheckDraws::new([7; 32]);
        let independent = (0..400_000).map(|_| draws.draw(0.05, None).is_some()).collect();
        assert!(unchecked(independent) > Some(150), "which independent draws do not give");
    }
}
