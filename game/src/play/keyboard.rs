//! Turns keys into intent: WASD or arrows, Space, T, R, P, F5, F6, Enter, Esc; and the window's close button into an end.

use bevy::prelude::*;
use bevy::window::WindowCloseRequested;
use p2c2r_arena::Controls;
use p2c2r_offload::OffloadSwitch;

use super::{Battlefield, Ending, Intent, Pilot, Reflecting};
use crate::presets::Chosen;

pub(crate) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, (read_flight_keys, read_program_keys).after(bevy::input::InputSystems))
        .add_systems(PreUpdate, end_when_closed);
}

fn read_flight_keys(
    keys: Res<ButtonInput<KeyCode>>,
    battlefield: Res<Battlefield>,
    mut intent: ResMut<Intent>,
) {
    let held = |first, second| i8::from(keys.any_pressed([first, second]));
    intent.0 = Controls {
        turn: held(KeyCode::KeyA, KeyCode::ArrowLeft) - held(KeyCode::KeyD, KeyCode::ArrowRight),
        thrust: held(KeyCode::KeyW, KeyCode::ArrowUp) - held(KeyCode::KeyS, KeyCode::ArrowDown),
        fire: keys.pressed(KeyCode::Space),
        restart: battlefield.arena.is_over() && keys.any_pressed([KeyCode::Enter, KeyCode::NumpadEnter]),
    };
}

fn read_program_keys(
    keys: Res<ButtonInput<KeyCode>>,
    mut switch: ResMut<OffloadSwitch>,
    mut reflecting: ResMut<Reflecting>,
    mut time: ResMut<Time<Virtual>>,
    mut ending: ResMut<Ending>,
    mut pilot: ResMut<Pilot>,
    mut chosen: ResMut<Chosen>,
) {
    if keys.just_pressed(KeyCode::KeyT) {
        switch.toggle();
    }
    if keys.just_pressed(KeyCode::KeyR) {
        reflecting.enabled = !reflecting.enabled;
    }
    if keys.just_pressed(KeyCode::KeyP) {
        if time.is_paused() { time.unpause() } else { time.pause() }
    }
    if keys.just_pressed(KeyCode::F5) {
        *pilot = match *pilot {
            Pilot::Gamer => Pilot::Itself(default()),
            Pilot::Itself(_) | Pilot::Recorded(_) => Pilot::Gamer,
        };
    }
    if keys.just_pressed(KeyCode::F6) {
        chosen.preset = chosen.preset.next();
    }
    if keys.just_pressed(KeyCode::Escape) {
        ending.end_now();
    }
}

/// The engine would close the window only after everything has been sent for the last time.
fn end_when_closed(mut closes: MessageReader<WindowCloseRequested>, mut ending: ResMut<Ending>) {
    if closes.read().next().is_some() {
        ending.end_now();
    }
}
