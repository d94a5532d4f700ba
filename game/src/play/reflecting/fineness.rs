//! How fine and how often the light around ships is traced, by preset and quality.

use std::fmt;
use std::time::Duration;

use crate::graphics::Quality;
use crate::presets::Preset;

/// How fine and how often the light around ships is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fineness {
    /// Texels along the edge of a face, as a power of two.
    pub(super) face_log2: u8,
    /// Levels, from sharp to rough.
    pub(super) levels: u8,
    /// Paths per texel.
    pub(super) samples: u8,
    /// Surfaces a path may meet.
    pub(super) bounces: u8,
    /// From one task to the next.
    pub(super) interval: Duration,
    /// Most rocks that are mirrored: the nearest.
    pub(super) rocks_max: usize,
    /// Most other ships with a cube of their own, and the paths per texel of those.
    pub(super) ships_max: usize,
    pub(super) ship_samples: u8,
}

/// Texels along the edge of a face of another ship's cube, as a power of two: few, since the ship is small in
/// the picture; a dearer preset buys paths instead.
pub(super) const SHIP_FACE_LOG2: u8 = 4;
/// Texels along the edge of such a face.
pub(crate) const SHIP_FACE: u32 = 1 << SHIP_FACE_LOG2;
/// Most other ships with a cube of their own: with the finest faces of the player's, as many as a spec may
/// ask for.
pub(crate) const SHIPS_MAX: usize = 6;

impl Fineness {
    /// Texels along the edge of a face, and levels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (1 << self.face_log2, u32::from(self.levels.clamp(1, self.face_log2 + 1)))
    }

    /// The fineness of a quality with the default preset.
    pub(crate) fn of(quality: Quality) -> Self {
        Self::bought(Preset::Default, quality)
    }

    /// The fineness of a preset. Faces follow the quality alone, because their texture is made once; paths
    /// cost no bytes on the wire, so a dearer preset buys those.
    pub(crate) fn bought(preset: Preset, quality: Quality) -> Self {
        let (samples, bounces, interval_ms, rocks_max, ships_max, ship_samples) = match (preset, quality) {
            (Preset::Saver, Quality::Low) => (1, 2, 500, 24, 0, 1),
            (Preset::Saver, Quality::High) => (1, 2, 640, 48, 0, 1),
            // As often as light must come to be less than 800 ms old where round trips take 400.
            (Preset::Default | Preset::Stress, Quality::Low) => (1, 2, 215, 48, 2, 1),
            // Four times the texels, which show a bolt sharply, so less than half as often.
            (Preset::Default | Preset::Stress, Quality::High) => (1, 2, 760, 48, 2, 2),
            (Preset::Rich, Quality::Low) => (12, 4, 220, 96, 4, 4),
            (Preset::Rich, Quality::High) => (4, 4, 290, 96, 4, 4),
            (Preset::Max, Quality::Low) => (32, 4, 120, 96, 6, 8),
            (Preset::Max, Quality::High) => (16, 4, 160, 96, 6, 8),
        };
        let (face_log2, levels) = match quality {
            Quality::Low => (5, 5),
            Quality::High => (6, 7),
        };
        let interval = Duration::from_millis(interval_ms);
        Self { face_log2, levels, samples, bounces, interval, rocks_max, ships_max, ship_samples }
    }
}

/// Cells of a table: texels of an edge, paths, bounces, milliseconds, rocks, other ships, their paths.
impl fmt::Display for Fineness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, bounces, interval, rocks_max, ships_max, ship_samples, .. } = self;
        let (texels, every_ms) = (self.size().0, interval.as_millis());
        write!(
            f,
            "{texels:>7} {samples:>6} {bounces:>8} {every_ms:>9} {rocks_max:>6} {ships_max:>6} {ship_samples:>6}"
        )
    }
}
