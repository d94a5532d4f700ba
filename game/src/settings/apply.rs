//! Applies the settings when they change, and saves them.

use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy::window::{MonitorSelection, PresentMode, PrimaryWindow, WindowMode};
use p2c2r_offload::{OffloadCaps, OffloadSwitch};
use p2c2r_tasks::lightfield::Lightfield;
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::tactics::Tactics;

use super::{Borrowing, FrameRate, Settings, UserFiles, Video};
use crate::play::Reflecting;
use crate::presets::Chosen;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, apply_borrowing.run_if(resource_changed::<Settings>))
        .add_systems(Last, save_settings.run_if(resource_changed::<Settings>));
}

/// For a game with a window.
pub(crate) fn window_plugin(app: &mut App) {
    app.add_systems(PreUpdate, apply_video.run_if(resource_changed::<Settings>))
        .add_systems(Last, bound_frame_rate);
}

fn apply_borrowing(
    settings: Res<Settings>,
    mut last: Local<Option<Borrowing>>,
    mut switch: ResMut<OffloadSwitch>,
    mut caps: ResMut<OffloadCaps>,
    mut chosen: ResMut<Chosen>,
    mut reflecting: ResMut<Reflecting>,
) {
    let wanted = &settings.borrowing;
    // A switch may have been changed elsewhere since; only what the player has changed in the settings is
    // applied.
    let last = last.replace(wanted.clone());
    let Some(last) = last.filter(|last| last != wanted) else { return };
    if last.enabled != wanted.enabled {
        switch.enabled = wanted.enabled;
    }
    set_kinds(&mut switch, wanted);
    if last.cap_millidollars_per_hour != wanted.cap_millidollars_per_hour {
        caps.hour = wanted.hour_cap();
    }
    if last.preset != wanted.preset {
        chosen.preset = wanted.preset;
    }
    if last.mirrors != wanted.mirrors {
        reflecting.enabled = wanted.mirrors;
    }
}

/// Which kinds may leave this computer.
pub(crate) fn set_kinds(switch: &mut OffloadSwitch, wanted: &Borrowing) {
    let before = switch.clone();
    let mut after = before.clone();
    after.set_kind::<Path>(wanted.paths);
    after.set_kind::<Physics>(wanted.physics);
    after.set_kind::<Reflection>(wanted.reflections);
    after.set_kind::<Lightfield>(wanted.reflections);
    after.set_kind::<Tactics>(wanted.plans);
    // Written only if it differs: a write counts as a change of the switch.
    if after != before {
        *switch = after;
    }
}

fn apply_video(
    settings: Res<Settings>,
    mut last: Local<Option<Video>>,
    window: Single<&mut Window, With<PrimaryWindow>>,
) {
    let wanted = &settings.video;
    if last.replace(wanted.clone()).as_ref() == Some(wanted) {
        return;
    }
    let mut window = window.into_inner();
    let mode = if wanted.fullscreen {
        WindowMode::BorderlessFullscreen(MonitorSelection::Current)
    } else {
        WindowMode::Windowed
    };
    if window.mode != mode {
        window.mode = mode;
    }
    let present = match wanted.frames {
        FrameRate::Screen => PresentMode::AutoVsync,
        _ => PresentMode::AutoNoVsync,
    };
    if window.present_mode != present {
        window.present_mode = present;
    }
}

/// Waits at the end of a frame that was too short. An oversleep is not compensated: the frame rate errs on
/// the slow side.
fn bound_frame_rate(settings: Res<Settings>, mut frame_began: Local<Option<Instant>>) {
    let frame = match settings.video.frames {
        FrameRate::Screen | FrameRate::Unbounded => None,
        FrameRate::Thirty => Some(Duration::from_secs(1) / 30),
        FrameRate::Sixty => Some(Duration::from_secs(1) / 60),
    };
    if let (Some(frame), Some(began)) = (frame, *frame_began) {
        std::thread::sleep(frame.saturating_sub(began.elapsed()));
    }
    *frame_began = Some(Instant::now());
}

/// The player's preferences with and without flags and variables, which hold for one run.
#[derive(Resource, Default)]
pub(crate) struct SettingsAtStart {
    /// As in the file.
    pub(crate) kept: Settings,
    /// As at the start of the run.
    pub(crate) started: Settings,
}

fn save_settings(
    settings: Res<Settings>,
    at_start: Res<SettingsAtStart>,
    mut files: ResMut<UserFiles>,
    mut saved: Local<Option<Settings>>,
) {
    // Settings read at the start need not be saved.
    let before = saved.replace(settings.clone());
    if before.is_some_and(|before| before != *settings) {
        files.save(&p2c2r_program::settings::to_keep(&at_start.kept, &at_start.started, &*settings));
    }
}
