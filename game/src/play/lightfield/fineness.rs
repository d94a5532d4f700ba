//! How well the field is traced, by preset.

use std::fmt;
use std::time::Duration;

use crate::graphics::Quality;
use crate::presets::Preset;

/// Time from one field to the next: often enough for moving light. Frames in between are blended.
const INTERVAL: Duration = Duration::from_millis(200);

/// How well the field around the ship is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldFineness {
    /// Paths of a probe.
    pub(super) paths: u16,
    /// Surfaces a path may meet.
    pub(super) bounces: u8,
    /// From one task to the next.
    pub(super) interval: Duration,
    /// Most rocks in the spec: the nearest.
    pub(super) rocks_max: usize,
}

impl FieldFineness {
    /// What is traced for a preset; `None` for the cheapest.
    pub(crate) fn bought(preset: Preset, quality: Quality) -> Option<Self> {
        let (paths, bounces, rocks_max) = match (preset, quality) {
            (Preset::Saver, _) => return None,
            (Preset::Default | Preset::Stress, Quality::Low) => (27, 2, 48),
            // Fewer paths, to pay for the finer reflections: the preset stays within a cent an hour.
            (Preset::Default | Preset::Stress, Quality::High) => (24, 2, 48),
            (Preset::Rich, _) => (72, 3, 96),
            (Preset::Max, _) => (256, 4, 96),
        };
        Some(Self { paths, bounces, interval: INTERVAL, rocks_max })
    }
}

/// Cells of a table: paths of a probe, bounces, milliseconds, rocks.
impl fmt::Display for FieldFineness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, bounces, interval, rocks_max } = self;
        write!(f, "{paths:>6} {bounces:>8} {:>9} {rocks_max:>6}", interval.as_millis())
    }
}
