//! How keys, pad buttons and mouse buttons are written, in the settings file as on the screen.

use std::fmt;

use bevy::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Inputs that can be bound: each sort has its own names.
pub(crate) trait Named: Copy + PartialEq + fmt::Debug + 'static {
    /// All inputs that a file can hold.
    const NAMES: &'static [(&'static str, Self)];
}

impl Named for KeyCode {
    const NAMES: &'static [(&'static str, Self)] = KEYS;
}

impl Named for GamepadButton {
    const NAMES: &'static [(&'static str, Self)] = BUTTONS;
}

impl Named for MouseButton {
    const NAMES: &'static [(&'static str, Self)] = CLICKS;
}

/// An input that a file holds by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound<T>(pub(super) T);

/// Keys by name. Names are of positions on a US keyboard, as the engine's are.
const KEYS: &[(&str, KeyCode)] = &[
    ("A", KeyCode::KeyA),
    ("B", KeyCode::KeyB),
    ("C", KeyCode::KeyC),
    ("D", KeyCode::KeyD),
    ("E", KeyCode::KeyE),
    ("F", KeyCode::KeyF),
    ("G", KeyCode::KeyG),
    ("H", KeyCode::KeyH),
    ("I", KeyCode::KeyI),
    ("J", KeyCode::KeyJ),
    ("K", KeyCode::KeyK),
    ("L", KeyCode::KeyL),
    ("M", KeyCode::KeyM),
    ("N", KeyCode::KeyN),
    ("O", KeyCode::KeyO),
    ("P", KeyCode::KeyP),
    ("Q", KeyCode::KeyQ),
    ("R", KeyCode::KeyR),
    ("S", KeyCode::KeyS),
    ("T", KeyCode::KeyT),
    ("U", KeyCode::KeyU),
    ("V", KeyCode::KeyV),
    ("W", KeyCode::KeyW),
    ("X", KeyCode::KeyX),
    ("Y", KeyCode::KeyY),
    ("Z", KeyCode::KeyZ),
    ("0", KeyCode::Digit0),
    ("1", KeyCode::Digit1),
    ("2", KeyCode::Digit2),
    ("3", KeyCode::Digit3),
    ("4", KeyCode::Digit4),
    ("5", KeyCode::Digit5),
    ("6", KeyCode::Digit6),
    ("7", KeyCode::Digit7),
    ("8", KeyCode::Digit8),
    ("9", KeyCode::Digit9),
    ("F1", KeyCode::F1),
    ("F2", KeyCode::F2),
    ("F3", KeyCode::F3),
    ("F4", KeyCode::F4),
    ("F5", KeyCode::F5),
    ("F6", KeyCode::F6),
    ("F7", KeyCode::F7),
    ("F8", KeyCode::F8),
    ("F9", KeyCode::F9),
    ("F10", KeyCode::F10),
    ("F11", KeyCode::F11),
    ("F12", KeyCode::F12),
    ("Left", KeyCode::ArrowLeft),
    ("Right", KeyCode::ArrowRight),
    ("Up", KeyCode::ArrowUp),
    ("Down", KeyCode::ArrowDown),
    ("Space", KeyCode::Space),
    ("Enter", KeyCode::Enter),
    ("Escape", KeyCode::Escape),
    ("Tab", KeyCode::Tab),
    ("Backspace", KeyCode::Backspace),
    ("Left Shift", KeyCode::ShiftLeft),
    ("Right Shift", KeyCode::ShiftRight),
    ("Left Ctrl", KeyCode::ControlLeft),
    ("Right Ctrl", KeyCode::ControlRight),
    ("Left Alt", KeyCode::AltLeft),
    ("Right Alt", KeyCode::AltRight),
    ("Insert", KeyCode::Insert),
    ("Delete", KeyCode::Delete),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("Page Up", KeyCode::PageUp),
    ("Page Down", KeyCode::PageDown),
    ("Comma", KeyCode::Comma),
    ("Period", KeyCode::Period),
    ("Slash", KeyCode::Slash),
    ("Minus", KeyCode::Minus),
    ("Equal", KeyCode::Equal),
    ("Semicolon", KeyCode::Semicolon),
    ("Quote", KeyCode::Quote),
    ("Left Bracket", KeyCode::BracketLeft),
    ("Right Bracket", KeyCode::BracketRight),
    ("Backslash", KeyCode::Backslash),
    ("Backquote", KeyCode::Backquote),
    ("Numpad 0", KeyCode::Numpad0),
    ("Numpad 1", KeyCode::Numpad1),
    ("Numpad 2", KeyCode::Numpad2),
    ("Numpad 3", KeyCode::Numpad3),
    ("Numpad 4", KeyCode::Numpad4),
    ("Numpad 5", KeyCode::Numpad5),
    ("Numpad 6", KeyCode::Numpad6),
    ("Numpad 7", KeyCode::Numpad7),
    ("Numpad 8", KeyCode::Numpad8),
    ("Numpad 9", KeyCode::Numpad9),
    ("Numpad +", KeyCode::NumpadAdd),
    ("Numpad -", KeyCode::NumpadSubtract),
];

/// Pad buttons by position, since makers print different signs on them.
const BUTTONS: &[(&str, GamepadButton)] = &[
    ("South", GamepadButton::South),
    ("East", GamepadButton::East),
    ("North", GamepadButton::North),
    ("West", GamepadButton::West),
    ("Left Shoulder", GamepadButton::LeftTrigger),
    ("Right Shoulder", GamepadButton::RightTrigger),
    ("Left Trigger", GamepadButton::LeftTrigger2),
    ("Right Trigger", GamepadButton::RightTrigger2),
    ("Select", GamepadButton::Select),
    ("Start", GamepadButton::Start),
    ("Left Stick", GamepadButton::LeftThumb),
    ("Right Stick", GamepadButton::RightThumb),
    ("D-pad up", GamepadButton::DPadUp),
    ("D-pad down", GamepadButton::DPadDown),
    ("D-pad left", GamepadButton::DPadLeft),
    ("D-pad right", GamepadButton::DPadRight),
];

/// Mouse buttons.
const CLICKS: &[(&str, MouseButton)] = &[
    ("Left", MouseButton::Left),
    ("Right", MouseButton::Right),
    ("Middle", MouseButton::Middle),
    ("Back", MouseButton::Back),
    ("Forward", MouseButton::Forward),
];

impl<T: Named> Bound<T> {
    pub(super) fn name(self) -> Option<&'static str> {
        T::NAMES.iter().find(|(_, thing)| *thing == self.0).map(|(name, _)| *name)
    }
}

/// The name of an input that the player sees.
pub(crate) fn input_label<T: Named>(thing: T) -> String {
    Bound(thing).name().map_or_else(|| format!("{thing:?}"), ToOwned::to_owned)
}

impl<T: Named> Serialize for Bound<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&input_label(self.0))
    }
}

impl<'de, T: Named> Deserialize<'de> for Bound<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = String::deserialize(deserializer)?;
        let found = T::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&wanted));
        let unknown = || serde::de::Error::custom(format!("there is no `{wanted}` to bind"));
        found.map(|(_, thing)| Self(*thing)).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_differ<T: Named>() {
        for (index, (name, thing)) in T::NAMES.iter().enumerate() {
            assert!(T::NAMES[..index].iter().all(|(other, same)| other != name && same != thing), "{name}");
        }
    }

    #[test]
    fn no_name_means_two_things() {
        all_differ::<KeyCode>();
        all_differ::<GamepadButton>();
        all_differ::<MouseButton>();
    }
}
