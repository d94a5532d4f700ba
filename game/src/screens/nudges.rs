//! Turns keys and pad buttons into nudges: the same few on every page.

use bevy::input::keyboard::{Key, KeyboardInput};
use bevy::prelude::*;

use super::Page;
use super::obey::Capture;
use crate::clipboard::Clipboard;
use crate::input::{Action, Input};
use crate::joining::JoinDialog;
use crate::settings::Settings;

/// An input to a page.
#[derive(Message, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// The item above.
    Up,
    /// The item below.
    Down,
    /// The choice before.
    Left,
    /// The next choice.
    Right,
    /// Do it.
    Accept,
    /// Back to where one came from.
    Back,
    /// Choose the item of this number, as the mouse does.
    Point(usize),
    /// A key or button that is to be bound.
    Bind(Input),
}

/// A stick pushed this far is a nudge; it must return this far before it can be another.
const STICK_PUSHED: f32 = 0.6;
const STICK_BACK: f32 = 0.3;

const KEYS: &[(KeyCode, Nudge)] = &[
    (KeyCode::ArrowUp, Nudge::Up),
    (KeyCode::KeyW, Nudge::Up),
    (KeyCode::ArrowDown, Nudge::Down),
    (KeyCode::KeyS, Nudge::Down),
    (KeyCode::Tab, Nudge::Down),
    (KeyCode::ArrowLeft, Nudge::Left),
    (KeyCode::KeyA, Nudge::Left),
    (KeyCode::ArrowRight, Nudge::Right),
    (KeyCode::KeyD, Nudge::Right),
    (KeyCode::Enter, Nudge::Accept),
    (KeyCode::NumpadEnter, Nudge::Accept),
    (KeyCode::Space, Nudge::Accept),
    (KeyCode::Escape, Nudge::Back),
    (KeyCode::Backspace, Nudge::Back),
];

/// Keys that keep their meaning where a text is typed; all others type.
const NOT_TYPED: [KeyCode; 6] = [
    KeyCode::ArrowUp,
    KeyCode::ArrowDown,
    KeyCode::Tab,
    KeyCode::Enter,
    KeyCode::NumpadEnter,
    KeyCode::Escape,
];

const BUTTONS: &[(GamepadButton, Nudge)] = &[
    (GamepadButton::DPadUp, Nudge::Up),
    (GamepadButton::DPadDown, Nudge::Down),
    (GamepadButton::DPadLeft, Nudge::Left),
    (GamepadButton::DPadRight, Nudge::Right),
    (GamepadButton::South, Nudge::Accept),
    (GamepadButton::Start, Nudge::Accept),
    (GamepadButton::East, Nudge::Back),
];

pub(super) fn listen(
    page: Res<State<Page>>,
    capture: Res<Capture>,
    settings: Res<Settings>,
    mut strokes: MessageReader<KeyboardInput>,
    (held, clipboard, mut joining): (Res<ButtonInput<KeyCode>>, Res<Clipboard>, ResMut<JoinDialog>),
    clicks: Res<ButtonInput<MouseButton>>,
    pads: Query<&Gamepad>,
    mut leaning: Local<bool>,
    mut nudges: MessageWriter<Nudge>,
) {
    // Each stroke on its own: in a slow frame a key may go down twice.
    let strokes: Vec<&KeyboardInput> = strokes.read().filter(|stroke| stroke.state.is_pressed()).collect();
    let mut keys: Vec<KeyCode> =
        strokes.iter().filter(|stroke| !stroke.repeat).map(|stroke| stroke.key_code).collect();
    if *page.get() == Page::Join {
        keys.retain(|key| NOT_TYPED.contains(key));
        for stroke in strokes {
            type_in(stroke, &held, &clipboard, &mut joining);
        }
    }
    if *page.get() == Page::Play {
        // All other keys during play are actions, which can be bound.
        if keys.contains(&KeyCode::Escape) {
            nudges.write(Nudge::Back);
        }
        return;
    }
    if capture.is_waiting() {
        nudges.write_batch(keys.iter().map(|key| Nudge::Bind(Input::Key(*key))));
        for pad in &pads {
            nudges.write_batch(pad.get_just_pressed().map(|button| Nudge::Bind(Input::Button(*button))));
        }
        nudges.write_batch(clicks.get_just_pressed().map(|button| Nudge::Bind(Input::Click(*button))));
        return;
    }
    // The key or button that pauses also resumes.
    let on_pad = settings.keys.button_of(Action::Pause);
    let goes_on = settings.keys.keys_of(Action::Pause).any(|key| keys.contains(&key))
        || on_pad.is_some_and(|button| pads.iter().any(|pad| pad.just_pressed(button)));
    if *page.get() == Page::Paused && goes_on {
        nudges.write(Nudge::Back);
        return;
    }
    let nudge_of = |key: &KeyCode| KEYS.iter().find(|(of, _)| of == key).map(|(_, nudge)| *nudge);
    nudges.write_batch(keys.iter().filter_map(nudge_of));
    for pad in &pads {
        nudges.write_batch(
            BUTTONS.iter().filter(|(button, _)| pad.just_pressed(*button)).map(|(_, nudge)| *nudge),
        );
    }
    nudges.write_batch(lean(&mut leaning, pads.iter().map(Gamepad::left_stick)));
}

/// Types a letter, takes one back, or pastes. A key pressed together with Control or Super types nothing.
fn type_in(
    stroke: &KeyboardInput,
    held: &ButtonInput<KeyCode>,
    clipboard: &Clipboard,
    joining: &mut JoinDialog,
) {
    let (control, command) =
        ([KeyCode::ControlLeft, KeyCode::ControlRight], [KeyCode::SuperLeft, KeyCode::SuperRight]);
    // On some keyboards the right Alt key, with which letters such as @ are typed, counts as both Alt and Control.
    let is_command =
        held.any_pressed(command) || held.any_pressed(control) && !held.pressed(KeyCode::AltRight);
    let is_v = match &stroke.logical_key {
        Key::Character(letter) if letter.is_ascii() => letter.eq_ignore_ascii_case("v"),
        // On a keyboard of other letters it is the key in the place of V.
        _ => stroke.key_code == KeyCode::KeyV,
    };
    let shifted = held.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    let pastes = is_command && is_v || shifted && stroke.key_code == KeyCode::Insert;
    match (stroke.key_code, &stroke.text) {
        _ if pastes && !stroke.repeat => joining.paste(clipboard),
        (KeyCode::Backspace, _) => joining.erase(),
        (key, Some(letters)) if !is_command && !NOT_TYPED.contains(&key) => joining.type_in(letters),
        _ => {}
    }
}

/// One nudge for each time that a stick is pushed.
fn lean(leaning: &mut bool, sticks: impl Iterator<Item = Vec2>) -> Option<Nudge> {
    let stick = sticks.max_by(|a, b| a.length_squared().total_cmp(&b.length_squared()))?;
    let far = stick.abs().max_element();
    if *leaning || far < STICK_PUSHED {
        *leaning &= far > STICK_BACK;
        return None;
    }
    *leaning = true;
    Some(match (stick.x.abs() > stick.y.abs(), stick.x > 0.0, stick.y > 0.0) {
        (true, true, _) => Nudge::Right,
        (true, false, _) => Nudge::Left,
        (false, _, true) => Nudge::Up,
        (false, _, false) => Nudge::Down,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stick_that_is_held_nudges_once() {
        let mut leaning = false;
        let mut push = |x: f32, y: f32| lean(&mut leaning, [Vec2::new(x, y)].into_iter());
        assert_eq!(push(0.2, 0.1), None);
        assert_eq!(push(0.1, 0.9), Some(Nudge::Up));
        assert_eq!(push(0.1, 1.0), None);
        assert_eq!(push(0.0, 0.4), None, "not back far enough");
        assert_eq!(push(0.0, 0.0), None);
        assert_eq!(push(-0.8, 0.1), Some(Nudge::Left));
    }
}
