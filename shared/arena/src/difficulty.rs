//! How hard the fight is: three sets of numbers, in `assets/arena.toml`, `arena-cadet.toml` and `arena-ace.toml`.

use serde::{Deserialize, Serialize};

use crate::balance::BALANCE;
use crate::config::ArenaConfig;

/// How hard the fight is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difficulty {
    /// For newcomers: a player who only watches survives for a while.
    #[default]
    Cadet,
    /// For experienced players; [`ArenaConfig::default`].
    Pilot,
    /// For experts.
    Ace,
}

impl Difficulty {
    /// All, from the easiest to the hardest.
    pub const ALL: [Self; 3] = [Self::Cadet, Self::Pilot, Self::Ace];

    /// The name that the player sees.
    pub fn label(self) -> &'static str {
        match self {
            Self::Cadet => "cadet",
            Self::Pilot => "pilot",
            Self::Ace => "ace",
        }
    }
}

impl ArenaConfig {
    /// The numbers of a difficulty.
    pub fn of(difficulty: Difficulty) -> Self {
        let numbers = match difficulty {
            Difficulty::Cadet => &BALANCE.cadet,
            Difficulty::Pilot => &BALANCE.pilot,
            Difficulty::Ace => &BALANCE.ace,
        };
        numbers.clone()
    }
}
