//! Records one line per frame, for benches and plots.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bevy::diagnostic::{DiagnosticPath, DiagnosticsStore};
use bevy::prelude::*;
use p2c2r_offload::diagnostics::{RECEIVED_BYTES_PER_SECOND, SENT_BYTES_PER_SECOND};
use p2c2r_offload::{LastOutcome, OffloadSwitch, Place};
use p2c2r_tasks::reflection::Reflection;

use crate::GameError;
use crate::play::{Battlefield, LightAround, SECTOR_PARTS};
use crate::report::write_error;

/// Names of the columns. The offload plugin renews the two rates twice a second.
const COLUMNS: &str = "seconds,frame_ms,ticks,offloading,light_asked_s,light_here,sent_bytes_per_s,\
    received_bytes_per_s,sector,sector_baked";

/// One frame.
#[derive(Clone, Copy)]
struct Frame {
    /// Real time since the first frame.
    at: Duration,
    /// Time since the previous frame.
    took: Duration,
    /// Steps of the arena so far.
    ticks: u64,
    offloading: bool,
    /// When the light shown was asked for, on the clock of `at`.
    light_asked_at: Option<Duration>,
    /// Whether this computer has traced it.
    light_here: Option<bool>,
    sent_bytes_per_second: Option<f64>,
    received_bytes_per_second: Option<f64>,
    /// Number of the sector in its round, from 1.
    sector: u32,
    /// Share of its light that is baked, 0 to 1; `None` before any was wanted.
    sector_baked: Option<f32>,
}

/// All frames of a run. Shared with the app, because the engine does not give an app with a window back when it ends.
#[derive(Resource, Clone, Default)]
pub(crate) struct Frames(Arc<Mutex<Vec<Frame>>>);

impl Frames {
    /// Lets the app record every frame.
    pub(crate) fn keep(app: &mut App) -> Self {
        let frames = Self::default();
        app.insert_resource(frames.clone()).add_systems(Last, note);
        frames
    }

    /// Writes them as comma-separated values; unknown values are empty.
    pub(crate) fn write(&self, path: &Path) -> Result<(), GameError> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(path, text(&frames)).map_err(|error| write_error(path, error))
    }
}

fn text(frames: &[Frame]) -> String {
    let mut text = format!("{COLUMNS}\n");
    let or_empty = |value: Option<String>| value.unwrap_or_default();
    for frame in frames {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:.6},{:.3},{},{},{},{},{},{},{},{}",
            frame.at.as_secs_f64(),
            frame.took.as_secs_f64() * 1e3,
            frame.ticks,
            u8::from(frame.offloading),
            or_empty(frame.light_asked_at.map(|at| format!("{:.6}", at.as_secs_f64()))),
            or_empty(frame.light_here.map(|here| u8::from(here).to_string())),
            or_empty(frame.sent_bytes_per_second.map(|rate| format!("{rate:.0}"))),
            or_empty(frame.received_bytes_per_second.map(|rate| format!("{rate:.0}"))),
            frame.sector,
            or_empty(frame.sector_baked.map(|share| share.to_string())),
        );
    }
    text
}

fn note(
    frames: Res<Frames>,
    time: Res<Time<Real>>,
    battlefield: Res<Battlefield>,
    switch: Res<OffloadSwitch>,
    light: Res<LastOutcome<Reflection>>,
    around: Res<LightAround>,
    diagnostics: Res<DiagnosticsStore>,
) {
    let rate = |path: &DiagnosticPath| diagnostics.get(path)?.value().filter(|value| value.is_finite());
    frames.0.lock().unwrap_or_else(PoisonError::into_inner).push(Frame {
        at: time.elapsed(),
        took: time.delta(),
        ticks: battlefield.arena.tick(),
        offloading: switch.enabled,
        light_asked_at: light.asked_at(),
        light_here: light.place().map(|place| *place == Place::Local),
        sent_bytes_per_second: rate(&SENT_BYTES_PER_SECOND),
        received_bytes_per_second: rate(&RECEIVED_BYTES_PER_SECOND),
        sector: battlefield.arena.sector().number,
        sector_baked: around.sector_parts_done().map(|parts| parts as f32 / SECTOR_PARTS as f32),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_value_or_nothing_in_every_column() {
        let frame = Frame {
            at: Duration::from_millis(1_500),
            took: Duration::from_micros(16_667),
            ticks: 90,
            offloading: true,
            light_asked_at: None,
            light_here: Some(false),
            sent_bytes_per_second: Some(1_234.4),
            received_bytes_per_second: None,
            sector: 2,
            sector_baked: Some(0.25),
        };
        let text = text(&[frame]);
        let (columns, line) = text.trim_end().split_once('\n').expect("names and a frame");
        assert_eq!(line, "1.500000,16.667,90,1,,0,1234,,2,0.25");
        assert_eq!(line.split(',').count(), columns.split(',').count());
    }
}
