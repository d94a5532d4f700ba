//! How long a frame may take, by the player's choice or the screen's refresh rate. The display marks slower frames, and
//! borrowed work is computed here a second time only while frames are fast enough.

use std::time::Duration;

use bevy::prelude::*;
use bevy::window::{Monitor, PrimaryMonitor};
use p2c2r_offload::OffloadFrameBudget;

use crate::settings::{FrameRate, Settings};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, follow);
}

/// The frame budget for the player's choice and the screen's refresh rate in thousandths of a hertz. Where neither is
/// known, it is that of 60 frames a second.
fn budget(chosen: FrameRate, refresh: Option<u32>) -> OffloadFrameBudget {
    let thousandths = match chosen {
        FrameRate::Thirty => 30_000,
        FrameRate::Sixty => 60_000,
        FrameRate::Screen | FrameRate::Unbounded => refresh.filter(|rate| *rate > 0).unwrap_or(60_000),
    };
    OffloadFrameBudget(Duration::from_secs(1_000) / thousandths)
}

fn follow(
    settings: Res<Settings>,
    monitors: Query<(&Monitor, Has<PrimaryMonitor>)>,
    mut frames: ResMut<OffloadFrameBudget>,
) {
    let monitor = monitors.iter().max_by_key(|(_, is_primary)| *is_primary);
    let refresh = monitor.and_then(|(monitor, _)| monitor.refresh_rate_millihertz);
    frames.set_if_neq(budget(settings.video.frames, refresh));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_as_long_as_the_player_or_the_screen_gives_it() {
        let ms = |chosen, refresh| budget(chosen, refresh).0.as_secs_f64() * 1e3;
        let is = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-3, "{found}, not {wanted}");
        is(ms(FrameRate::Screen, Some(144_000)), 1_000.0 / 144.0);
        is(ms(FrameRate::Unbounded, Some(59_940)), 1_000.0 / 59.94);
        is(ms(FrameRate::Thirty, Some(144_000)), 1_000.0 / 30.0);
        is(ms(FrameRate::Sixty, Some(144_000)), 1_000.0 / 60.0);
        for nothing_known in [None, Some(0)] {
            is(ms(FrameRate::Screen, nothing_known), 1_000.0 / 60.0);
        }
    }
}
