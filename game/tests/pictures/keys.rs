//! Whether everything on the screen that names a key names it as it is bound: every action is bound to other keys, and
//! then every text on every page and at the display's fullest level is read.

use bevy::input::ButtonState;
use bevy::input::gamepad::{
    GamepadConnection, GamepadConnectionEvent, RawGamepadButtonChangedEvent, RawGamepadEvent,
};
use bevy::input::keyboard::{Key, KeyboardInput, NativeKey};
use bevy::prelude::*;
use p2c2r_arena::ArenaEvent;
use p2c2r_game::Happened;
use p2c2r_game::input::{Action, Input};
use p2c2r_game::screens::Page;
use p2c2r_game::settings::{BorrowingDetail, Settings};

use super::stage::Stage;

/// Names of keys that are bound at first and not after [`rebind`], as far as no text uses them as ordinary words.
const STALE: [&str; 15] =
    ["T", "R", "P", "E", "WASD", "arrows", "Space", "F3", "F4", "F5", "F6", "F10", "Shift", "Ctrl", "Up"];

/// Two keys for each action, none of which any action has at first.
const KEYS: [[KeyCode; 2]; 15] = [
    [KeyCode::Numpad4, KeyCode::KeyB],
    [KeyCode::Numpad6, KeyCode::KeyC],
    [KeyCode::Numpad8, KeyCode::KeyF],
    [KeyCode::Numpad2, KeyCode::KeyG],
    [KeyCode::Numpad5, KeyCode::KeyH],
    [KeyCode::Numpad0, KeyCode::KeyI],
    [KeyCode::Numpad1, KeyCode::KeyJ],
    [KeyCode::Home, KeyCode::KeyK],
    [KeyCode::End, KeyCode::KeyL],
    [KeyCode::Insert, KeyCode::KeyM],
    [KeyCode::Delete, KeyCode::KeyN],
    [KeyCode::F7, KeyCode::KeyO],
    [KeyCode::F8, KeyCode::KeyQ],
    [KeyCode::F9, KeyCode::KeyU],
    [KeyCode::F11, KeyCode::KeyV],
];

/// Everything that can be read.
fn texts(world: &mut World) -> Vec<String> {
    let mut texts = world.query::<(&Text, &InheritedVisibility, &ComputedNode)>();
    texts
        .iter(world)
        .filter(|(_, visible, node)| visible.get() && node.size().min_element() > 0.5)
        .map(|(text, ..)| text.0.clone())
        .collect()
}

/// The texts that name a key that is not bound after [`rebind`].
fn stale(world: &mut World) -> Vec<String> {
    let is_stale = |text: &String| {
        text.split(|letter: char| !letter.is_alphanumeric()).any(|word| STALE.contains(&word))
    };
    texts(world).into_iter().filter(is_stale).collect()
}

fn begin_first_wave(stage: &mut Stage) {
    stage.app().world_mut().write_message(Happened(ArenaEvent::WaveStarted { wave: 1, enemies: 12 }));
    stage.play(4);
}

/// The texts that name another input than the bound one, first of keys, then of a pad; `Err` says why nothing can be
/// drawn here.
pub fn check() -> Result<Vec<String>, String> {
    let mut stage = Stage::open(1_280, 720, &["--difficulty=pilot"])?;
    stage.choose(|settings| settings.display.level = BorrowingDetail::Developer);
    begin_first_wave(&mut stage);
    assert!(!stale(stage.app().world_mut()).is_empty(), "what is looked for would be found");
    stage.choose(rebind);
    let mut wrong = Vec::new();
    begin_first_wave(&mut stage);
    wrong.extend(stale(stage.app().world_mut()));
    let shown = texts(stage.app().world_mut()).join("\n");
    for named in ["Numpad 5 fires", "Home borrowing", "Insert pauses", "F11 preset"] {
        if !shown.contains(named) {
            wrong.push(format!("`{named}` is not shown"));
        }
    }
    for said in ["Autopilot OFF", "F9 gives you the ship back"] {
        press(&mut stage, KeyCode::F9);
        if !texts(stage.app().world_mut()).iter().any(|text| text.contains(said)) {
            wrong.push(format!("`{said}` is not said"));
        }
    }
    for page in Page::MENUS {
        stage.go_to(page);
        wrong.extend(stale(stage.app().world_mut()).into_iter().map(|text| format!("{page:?}: {text}")));
    }
    stage.go_to(Page::Play);
    take_pad(&mut stage);
    begin_first_wave(&mut stage);
    let shown = texts(stage.app().world_mut()).join("\n");
    for named in ["Left stick flies", "North fires", "Start pauses", "D-pad up borrowing"] {
        if !shown.contains(named) {
            wrong.push(format!("`{named}` is not shown to whoever has a pad"));
        }
    }
    Ok(wrong)
}

fn press(stage: &mut Stage, key_code: KeyCode) {
    for state in [ButtonState::Pressed, ButtonState::Released] {
        let logical_key = Key::Unidentified(NativeKey::Unidentified);
        let window = Entity::PLACEHOLDER;
        let stroke = KeyboardInput { key_code, logical_key, state, text: None, repeat: false, window };
        stage.app().world_mut().write_message(stroke);
        stage.play(2);
    }
}

fn rebind(settings: &mut Settings) {
    for (action, keys) in Action::ALL.iter().zip(KEYS) {
        for key in [keys[1], keys[0]] {
            settings.keys.bind(*action, Input::Key(key));
        }
    }
    settings.keys.bind(Action::Fire, Input::Button(GamepadButton::North));
}

/// Presses a button that does nothing, of a pad that is plugged in.
fn take_pad(stage: &mut Stage) {
    let world = stage.app().world_mut();
    let gamepad = world.spawn_empty().id();
    let connection = GamepadConnection::Connected { name: "test".into(), vendor_id: None, product_id: None };
    world.write_message(GamepadConnectionEvent { gamepad, connection });
    stage.play(2);
    let change = RawGamepadButtonChangedEvent { gamepad, button: GamepadButton::East, value: 1.0 };
    stage.app().world_mut().write_message(RawGamepadEvent::Button(change));
    stage.play(2);
}
