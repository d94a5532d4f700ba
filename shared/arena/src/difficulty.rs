//! How hard the fight is: three sets of numbers, which `assets/arena*.toml` hold too.

use serde::{Deserialize, Serialize};

use crate::config::{ArenaConfig, EnemyRules, ShipRules, WaveRules};

/// How hard the fight is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difficulty {
    /// For newcomers: who only looks on for a while survives it.
    #[default]
    Cadet,
    /// For those who have played; [`ArenaConfig::default`].
    Pilot,
    /// For those who want to lose.
    Ace,
}

impl Difficulty {
    /// From the easiest on.
    pub const ALL: [Self; 3] = [Self::Cadet, Self::Pilot, Self::Ace];

    /// As the player reads it.
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
        match difficulty {
            Difficulty::Cadet => Self::cadet(),
            Difficulty::Pilot => Self::default(),
            Difficulty::Ace => Self::ace(),
        }
    }

    fn cadet() -> Self {
        Self {
            ship: ShipRules { lives: 5, crash_speed: 30.0, ..ShipRules::default() },
            enemies: EnemyRules {
                rammer_speed: 3.6,
                gunner_speed: 3.0,
                speed_per_wave: 0.02,
                cooldown_ticks: 150,
                bullet_speed: 9.0,
                spread: 0.16,
                ..EnemyRules::default()
            },
            waves: WaveRules {
                enemies_first: 3,
                enemies_step: 1,
                enemies_max: 14,
                pause_ticks: 240,
                ..WaveRules::default()
            },
            ..Self::default()
        }
    }

    fn ace() -> Self {
        Self {
            enemies: EnemyRules {
                rammer_speed: 8.0,
                gunner_speed: 6.0,
                speed_per_wave: 0.04,
                cooldown_ticks: 55,
                bullet_speed: 20.0,
                spread: 0.04,
                ..EnemyRules::default()
            },
            waves: WaveRules {
                enemies_first: 8,
                enemies_step: 3,
                enemies_max: 45,
                pause_ticks: 120,
                ..WaveRules::default()
            },
            ..Self::default()
        }
    }
}
