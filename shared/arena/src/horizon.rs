//! How far ahead the arena asks: an input, because it is measured outside and changes what is asked.

use crate::arena::Arena;
use crate::record::{Record, Recorded};

/// The farthest that anything is asked for ahead of its use, in ticks: two seconds. Predictions farther ahead
/// do not hold, so a slower answer is of no use to a game.
pub const HORIZON_TICKS_MAX: u16 = 120;

/// How long answers take, in ticks of 1/60 s, 0 to [`HORIZON_TICKS_MAX`]; more is clamped. The arena asks at
/// least as far ahead as its configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Answers to [`WantedSpec::Path`](crate::WantedSpec::Path).
    pub paths: u16,
    /// Answers to [`WantedSpec::Physics`](crate::WantedSpec::Physics).
    pub motions: u16,
    /// Answers to [`WantedSpec::Tactics`](crate::WantedSpec::Tactics).
    pub plans: u16,
}

impl Arena {
    /// Sets how far ahead later steps ask. It is an input as the controls are: a replay needs it before the
    /// step of the same tick. Pending requests are not affected.
    pub fn look_ahead(&mut self, horizon: Horizon) {
        let Horizon { paths, motions, plans } = horizon;
        let [paths, motions, plans] = [paths, motions, plans].map(|ticks| ticks.min(HORIZON_TICKS_MAX));
        self.horizon = Horizon { paths, motions, plans };
    }

    /// How far ahead it asks.
    pub fn horizon(&self) -> Horizon {
        self.horizon
    }
}

impl Recorded for Horizon {
    fn record(&self, record: &mut Record) {
        // The arena records the horizon of plans itself, and only if there are plans.
        let Self { paths, motions, plans: _ } = self;
        record.add(paths);
        record.add(motions);
    }
}
