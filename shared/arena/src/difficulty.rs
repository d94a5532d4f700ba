//! How hard the fight is: three sets of numbers, which `assets/arena*.toml` hold too.

use serde::{Deserialize, Serialize};

use crate::config::{ArenaConfig, EnemyRules, PickupRules, ShipRules, WaveRules};

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
    /// From the easiest on.
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
        match difficulty {
            Difficulty::Cadet => Self::cadet(),
            Difficulty::Pilot => Self::default(),
            Difficulty::Ace => Self::ace(),
        }
    }

    fn cadet() -> Self {
        Self {
            ship: ShipRules {
                crash_damage: 0,
                ram_damage: 1,
                shield: 4,
                hull: 4,
                shield_delay_ticks: 150,
                shield_ticks: 60,
                mercy_ticks: 75,
                missiles: 6,
                ..ShipRules::default()
            },
            enemies: EnemyRules {
                rammer_speed: 3.6,
                gunner_speed: 3.0,
                speed_per_wave: 0.02,
                cooldown_ticks: 150,
                bullet_speed: 9.0,
                spread: 0.16,
                carrier_hits: 8,
                launch_ticks: 480,
                launch_below: 10,
                boss_hits: 10,
                boss_turn_rate: 0.5,
                boss_cooldown_ticks: 170,
                ..EnemyRules::default()
            },
            pickups: PickupRules { chance: 0.35, ..PickupRules::default() },
            waves: WaveRules {
                scale: 0.6,
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
            ship: ShipRules { shield: 1, hull: 1, ram_damage: 2, mercy_ticks: 25, ..ShipRules::default() },
            enemies: EnemyRules {
                rammer_speed: 8.0,
                gunner_speed: 6.0,
                speed_per_wave: 0.04,
                cooldown_ticks: 55,
                bullet_speed: 20.0,
                spread: 0.04,
                launch_ticks: 220,
                launch_below: 40,
                boss_hits: 30,
                boss_turn_rate: 1.1,
                boss_cooldown_ticks: 80,
                ..EnemyRules::default()
            },
            pickups: PickupRules { chance: 0.15, ..PickupRules::default() },
            waves: WaveRules {
                scale: 1.4,
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
