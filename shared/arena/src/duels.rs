//! How much plans help a wingman, as measured in duels, for displays.

use crate::arena::Arena;
use crate::planning::LEAD_TICKS_MAX;

/// How many of a hundred duels a wingman alone won against nine rammers and nine gunners: by rollouts per plan,
/// and for plans made [`NEAR_TICKS`] and [`FAR_TICKS`] ahead. The test
/// `of_a_hundred_duels_more_are_won_the_deeper_is_planned` prints these and fails if they are no longer true.
pub(crate) const WON: [(u32, [u8; 2]); 5] =
    [(0, [23, 23]), (16, [72, 49]), (64, [82, 63]), (128, [90, 69]), (512, [92, 77])];
/// How far ahead those plans were made, ticks.
pub(crate) const NEAR_TICKS: u16 = 18;
pub(crate) const FAR_TICKS: u16 = 42;
const _: () = assert!(FAR_TICKS <= LEAD_TICKS_MAX);

/// How many of a hundred duels are won with `rollouts` rollouts and plans made `ahead_ticks` ahead: the measured
/// value for the next fewer rollouts and the next longer time. `None` if plans are made farther ahead than
/// was measured.
fn duels_won(rollouts: u32, ahead_ticks: u16) -> Option<u8> {
    let (_, won) = WON.iter().rev().find(|(measured, _)| *measured <= rollouts)?;
    let column = [NEAR_TICKS, FAR_TICKS].iter().position(|measured| ahead_ticks <= *measured)?;
    won.get(column).copied()
}

impl Arena {
    /// How many of a hundred duels a wingman wins with plans like the present ones, or by rule if there are none.
    /// `None` if plans are made farther ahead than was measured.
    pub fn duels_won(&self) -> Option<u8> {
        match self.planned_rollouts() {
            Some(rollouts) => duels_won(rollouts, self.plans_ahead_ticks()),
            None => duels_won(0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_no_better_than_what_was() {
        assert_eq!(duels_won(0, 0), Some(WON[0].1[0]));
        assert_eq!(duels_won(24, 10), Some(WON[1].1[0]));
        assert_eq!(duels_won(24, 30), Some(WON[1].1[1]));
        assert_eq!(duels_won(10_000, 18), Some(WON[4].1[0]));
        assert_eq!(duels_won(32, 43), None);
    }

    #[test]
    fn deeper_plans_were_never_measured_to_be_worse() {
        assert!(WON.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1[0] <= pair[1].1[0]));
        assert!(WON.iter().all(|(_, [near, far])| far <= near && *near <= 100));
    }
}
