//! The balance files under `assets/`: built into the program, so that all players of one build play by the same rules,
//! and read once.

use std::sync::LazyLock;

use serde::Deserialize;
use toml::{Table, Value};

use crate::config::ArenaConfig;
use crate::plans::WavePlan;
use crate::sectors::SectorPlan;

/// The text of the file that has every number; the other files only change some.
const ARENA: &str = include_str!("../../../assets/arena.toml");

/// The numbers and designs of the game.
pub(crate) struct Balance {
    pub pilot: ArenaConfig,
    pub cadet: ArenaConfig,
    pub ace: ArenaConfig,
    pub stress: ArenaConfig,
    /// The designed waves, in order.
    pub waves: Vec<WavePlan>,
    /// The sectors, in order; at least one.
    pub sectors: Vec<SectorPlan>,
}

/// # Panics
/// At its first use, if a balance file of this build is wrong; a test reads them all.
pub(crate) static BALANCE: LazyLock<Balance> =
    LazyLock::new(|| Balance::read().unwrap_or_else(|error| panic!("a balance file is wrong: {error}")));

impl Balance {
    fn read() -> Result<Self, toml::de::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Waves {
            wave: Vec<WavePlan>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sectors {
            sector: Vec<SectorPlan>,
        }
        let waves: Waves = toml::from_str(include_str!("../../../assets/waves.toml"))?;
        let sectors: Sectors = toml::from_str(include_str!("../../../assets/sectors.toml"))?;
        Ok(Self {
            pilot: numbers("")?,
            cadet: numbers(include_str!("../../../assets/arena-cadet.toml"))?,
            ace: numbers(include_str!("../../../assets/arena-ace.toml"))?,
            stress: numbers(include_str!("../../../assets/arena-stress.toml"))?,
            waves: waves.wave,
            sectors: sectors.sector,
        })
    }
}

/// The numbers of `assets/arena.toml`, some of them replaced by those of `changes`. An unknown or missing number is an
/// error.
pub(crate) fn numbers(changes: &str) -> Result<ArenaConfig, toml::de::Error> {
    let mut numbers: Table = toml::from_str(ARENA)?;
    for (name, change) in toml::from_str::<Table>(changes)? {
        match (numbers.get_mut(&name), change) {
            (Some(Value::Table(part)), Value::Table(changes)) => part.extend(changes),
            (_, change) => {
                numbers.insert(name, change);
            }
        }
    }
    numbers.try_into()
}
