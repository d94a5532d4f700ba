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
use crate::input::InputSystems;
use crate::play::Reflecting;
use crate::presets::Chosen;

pub(super) fn plugin(app: &mut App) {
    // After the keys, which are to take effect in the frame in which they are pressed.
    app.add_systems(PreUpdate, apply_borrowing.after(InputSystems::Act).run_if(resource_changed::<Settings>))
        .add_systems(Last, save_settings.run_if(resource_changed::<Settings>));
}

/// For a game with a window.
pub(crate) fn window_plugin(app: &mut App) {
    app.add_systems(PreUpdate, apply_video.run_if(resource_changed::<Settings>))
        .add_systems(Last, bound_frame_rate);
}

/// The one place that writes these resources: keys, menus and recorded runs change the settings alone.
fn apply_borrowing(
    settings: Res<Settings>,
    mut switch: ResMut<OffloadSwitch>,
    mut caps: ResMut<OffloadCaps>,
    mut chosen: ResMut<Chosen>,
    mut reflecting: ResMut<Reflecting>,
) {
    // Written only if it differs: a write counts as a change, which is told on the screen.
    let wanted = &settings.borrowing;
    switch.set_if_neq(wanted.switch());
    caps.set_if_neq(OffloadCaps { hour: wanted.hour_cap(), ..*caps });
    chosen.set_if_neq(Chosen { preset: wanted.preset, ..*chosen });
    if reflecting.enabled != wanted.mirrors {
        reflecting.enabled = wanted.mirrors;
    }
}

impl Borrowing {
    /// What may leave this computer.
    pub(crate) fn switch(&self) -> OffloadSwitch {
        let mut switch = OffloadSwitch::default();
        switch.enabled = self.enabled;
        switch.set_kind::<Path>(self.paths);
        switch.set_kind::<Physics>(self.physics);
        switch.set_kind::<Reflection>(self.reflections);
        switch.set_kind::<Lightfield>(self.reflections);
        switch.set_kind::<Tactics>(self.plans);
        switch
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
