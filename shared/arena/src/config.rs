//! The arena's numbers: sizes, speeds, counts and cadences, with their ranges.

use serde::Deserialize;

/// Everything that makes one arena differ from another.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArenaConfig {
    /// Where the randomness starts.
    pub seed: u64,
    /// Edge of the square arena, metres.
    pub size: f32,
    /// Cells along each edge of the occupancy grid that paths are found on, 32 to 256.
    pub grid_cells: u16,
}

impl Default for ArenaConfig {
    fn default() -> Self {
        Self { seed: 1, size: 64.0, grid_cells: 64 }
    }
}

impl ArenaConfig {
    /// Many enemies on a fine grid: paths cost enough here that a weak machine feels them.
    pub fn stress() -> Self {
        Self { grid_cells: 256, size: 128.0, ..Self::default() }
    }
}
