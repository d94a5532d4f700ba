//! Which keys, pad buttons and mouse buttons belong to which action.

use std::collections::BTreeMap;

use bevy::prelude::*;
use serde::{Deserialize, Serialize};

use super::names::Bound;
use crate::figures::UNKNOWN;

/// Keys that one action may have: one for each hand.
const KEYS_MAX: usize = 2;
/// Keys that cannot be bound: Escape opens the pause menu in play, so that it would act twice; Enter is for pages alone.
const RESERVED: [KeyCode; 2] = [KeyCode::Escape, KeyCode::Enter];

/// Declares the actions with their names and default bindings.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident, $label:literal, [$($key:ident),+], $button:expr $(, $click:ident)?;)*) => {
        /// An action of the player in the game.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// All actions, in the order of lists.
            pub const ALL: &'static [Self] = &[$(Self::$action),*];

            /// The name that the player sees.
            pub fn label(self) -> &'static str {
                match self { $(Self::$action => $label,)* }
            }

            fn first_keys(self) -> Vec<Bound<KeyCode>> {
                match self { $(Self::$action => vec![$(Bound(KeyCode::$key)),+],)* }
            }

            fn first_button(self) -> Option<Bound<GamepadButton>> {
                let button: Option<GamepadButton> = match self { $(Self::$action => $button,)* };
                button.map(Bound)
            }

            fn first_click(self) -> Option<Bound<MouseButton>> {
                match self {
                    $($(Self::$action => Some(Bound(MouseButton::$click)),)?)*
                    _ => None,
                }
            }
        }
    };
}

actions! {
    /// Turns counter-clockwise.
    Left, "turn left", [KeyA, ArrowLeft], Some(GamepadButton::DPadLeft);
    /// Turns clockwise.
    Right, "turn right", [KeyD, ArrowRight], Some(GamepadButton::DPadRight);
    /// Burns forward.
    Thrust, "thrust", [KeyW, ArrowUp], Some(GamepadButton::RightTrigger2), Right;
    /// Brakes and backs off.
    Brake, "brake", [KeyS, ArrowDown], Some(GamepadButton::LeftTrigger2);
    /// Fires bolts.
    Fire, "fire bolts", [Space], Some(GamepadButton::South), Left;
    /// Launches a homing missile.
    Missile, "launch a missile", [KeyE, ControlLeft], Some(GamepadButton::West), Middle;
    /// Burns harder while there is charge.
    Boost, "boost", [ShiftLeft, ShiftRight], Some(GamepadButton::RightTrigger);
    /// Switches borrowing.
    Offload, "borrowing on or off", [KeyT], Some(GamepadButton::DPadUp);
    /// Switches light and mirrors.
    Reflections, "light and mirrors", [KeyR], Some(GamepadButton::DPadDown);
    /// Pauses.
    Pause, "pause", [KeyP], Some(GamepadButton::Start);
    /// Shows more or less of the display.
    Display, "more or less display", [F3], Some(GamepadButton::Select);
    /// Moves the display.
    Corner, "move the display", [F4], None;
    /// Begins or ends a file of the display's figures.
    Record, "write figures to a file", [F10], None;
    /// Lets the game steer itself.
    Autopilot, "autopilot", [F5], None;
    /// Goes on to the next preset.
    Preset, "next preset", [F6], None;
}

/// A key, a pad button or a mouse button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(KeyCode),
    /// A button of the pad.
    Button(GamepadButton),
    /// A button of the mouse.
    Click(MouseButton),
}

impl Input {
    /// The name that the player sees.
    pub fn label(self) -> String {
        match self {
            Self::Key(key) => super::input_label(key),
            Self::Button(button) => super::input_label(button),
            Self::Click(button) => format!("Mouse {}", super::input_label(button)),
        }
    }
}

/// Why an input cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingRefusal {
    /// Menus need it.
    Reserved,
    /// It has no name that a settings file could keep.
    Nameless,
    /// It is bound to another action.
    Taken(Action),
}

/// The bindings in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bindings {
    keys: BTreeMap<Action, Vec<Bound<KeyCode>>>,
    pad: BTreeMap<Action, Bound<GamepadButton>>,
    mouse: BTreeMap<Action, Bound<MouseButton>>,
}

impl Default for Bindings {
    fn default() -> Self {
        Self {
            keys: Action::ALL.iter().map(|action| (*action, action.first_keys())).collect(),
            pad: Action::ALL
                .iter()
                .filter_map(|action| action.first_button().map(|button| (*action, button)))
                .collect(),
            mouse: Action::ALL
                .iter()
                .filter_map(|action| action.first_click().map(|click| (*action, click)))
                .collect(),
        }
    }
}

impl Bindings {
    /// The keys of an action, the first one first.
    pub fn keys_of(&self, action: Action) -> impl Iterator<Item = KeyCode> {
        self.keys.get(&action).into_iter().flatten().map(|Bound(key)| *key)
    }

    /// The pad button of an action.
    pub fn button_of(&self, action: Action) -> Option<GamepadButton> {
        self.pad.get(&action).map(|Bound(button)| *button)
    }

    /// The mouse button of an action.
    pub fn click_of(&self, action: Action) -> Option<MouseButton> {
        self.mouse.get(&action).map(|Bound(button)| *button)
    }

    /// The name of the input for an action: the pad's button for a player with a pad, otherwise the first key. Where that
    /// one is missing, it is the other; `None` where both are.
    pub fn in_hand(&self, action: Action, has_pad: bool) -> Option<String> {
        let button = self.button_of(action).map(super::input_label);
        let key = self.keys_of(action).next().map(super::input_label);
        if has_pad { button.or(key) } else { key.or(button) }
    }

    /// `A or Left`.
    pub fn keys_label(&self, action: Action) -> String {
        let keys: Vec<String> = self.keys_of(action).map(super::input_label).collect();
        if keys.is_empty() { UNKNOWN.to_owned() } else { keys.join(" or ") }
    }

    /// `A or Left                      pad: D-pad left      mouse: -     `, in columns as wide for every action.
    pub fn label(&self, action: Action) -> String {
        let button = self.button_of(action).map_or(UNKNOWN.to_owned(), super::input_label);
        let click = self.click_of(action).map_or(UNKNOWN.to_owned(), super::input_label);
        format!("{:<29}  pad: {button:<14}  mouse: {click:<7}", self.keys_label(action))
    }

    /// The action that an input is bound to.
    pub fn owner(&self, input: Input) -> Option<Action> {
        Action::ALL.iter().copied().find(|action| match input {
            Input::Key(key) => self.keys_of(*action).any(|bound| bound == key),
            Input::Button(button) => self.button_of(*action) == Some(button),
            Input::Click(button) => self.click_of(*action) == Some(button),
        })
    }

    /// Whether `input` may be bound to `action` without taking it from another action.
    pub fn check(&self, action: Action, input: Input) -> Result<(), BindingRefusal> {
        match input {
            Input::Key(key) if RESERVED.contains(&key) => return Err(BindingRefusal::Reserved),
            Input::Key(key) if Bound(key).name().is_none() => return Err(BindingRefusal::Nameless),
            Input::Button(button) if Bound(button).name().is_none() => return Err(BindingRefusal::Nameless),
            Input::Click(button) if Bound(button).name().is_none() => return Err(BindingRefusal::Nameless),
            _ => {}
        }
        match self.owner(input) {
            Some(owner) if owner != action => Err(BindingRefusal::Taken(owner)),
            _ => Ok(()),
        }
    }

    /// Binds `input` to `action`, and removes it from any other. A key becomes the first of the action's
    /// keys.
    pub fn bind(&mut self, action: Action, input: Input) {
        match input {
            Input::Key(key) => {
                self.keys.values_mut().for_each(|keys| keys.retain(|Bound(old)| *old != key));
                let keys = self.keys.entry(action).or_default();
                keys.insert(0, Bound(key));
                keys.truncate(KEYS_MAX);
            }
            Input::Button(button) => {
                self.pad.retain(|_, Bound(old)| *old != button);
                self.pad.insert(action, Bound(button));
            }
            Input::Click(button) => {
                self.mouse.retain(|_, Bound(old)| *old != button);
                self.mouse.insert(action, Bound(button));
            }
        }
    }

    /// Removes keys that menus need and second bindings of one input, which an edited file may hold.
    pub fn mend(&mut self) {
        let mut seen: Vec<KeyCode> = RESERVED.to_vec();
        for keys in self.keys.values_mut() {
            keys.retain(|Bound(key)| {
                let is_new = !seen.contains(key);
                seen.push(*key);
                is_new
            });
            keys.truncate(KEYS_MAX);
        }
        drop_second(&mut self.pad);
        drop_second(&mut self.mouse);
        // Actions that an older file does not know get their default keys, where those are free. Buttons do not: an
        // action without one may have lost it to another action.
        for action in Action::ALL {
            if !self.keys.contains_key(action) {
                let free: Vec<Bound<KeyCode>> = action
                    .first_keys()
                    .into_iter()
                    .filter(|Bound(key)| self.owner(Input::Key(*key)).is_none())
                    .collect();
                self.keys.insert(*action, free);
            }
        }
    }
}

/// Of two actions with the same button, only the first keeps it.
fn drop_second<B: Copy + PartialEq>(buttons: &mut BTreeMap<Action, B>) {
    let mut seen = Vec::new();
    buttons.retain(|_, button| {
        let is_new = !seen.contains(button);
        seen.push(*button);
        is_new
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_first_no_two_actions_share_a_key_or_a_button() {
        let mut bindings = Bindings::default();
        let first = bindings.clone();
        bindings.mend();
        assert_eq!(bindings, first);
        for action in Action::ALL {
            assert!(bindings.keys_of(*action).next().is_some(), "{action:?}");
        }
    }

    #[test]
    fn a_key_that_does_something_else_is_refused_and_can_be_moved() {
        let mut bindings = Bindings::default();
        let space = Input::Key(KeyCode::Space);
        assert_eq!(bindings.check(Action::Thrust, space), Err(BindingRefusal::Taken(Action::Fire)));
        assert_eq!(bindings.check(Action::Fire, space), Ok(()));
        bindings.bind(Action::Thrust, space);
        assert_eq!(bindings.owner(space), Some(Action::Thrust));
        assert_eq!(bindings.keys_of(Action::Fire).next(), None);
        assert!(bindings.keys_of(Action::Thrust).eq([KeyCode::Space, KeyCode::KeyW]));
    }

    #[test]
    fn what_is_in_hand_is_named_and_where_it_does_nothing_the_other() {
        let mut bindings = Bindings::default();
        let named = |bindings: &Bindings| [false, true].map(|pad| bindings.in_hand(Action::Boost, pad));
        let some = |key: &str, button: &str| [Some(key.to_owned()), Some(button.to_owned())];
        assert_eq!(named(&bindings), some("Left Shift", "Right Shoulder"));
        bindings.bind(Action::Fire, Input::Button(GamepadButton::RightTrigger));
        assert_eq!(named(&bindings), some("Left Shift", "Left Shift"));
        bindings.bind(Action::Fire, Input::Key(KeyCode::ShiftLeft));
        bindings.bind(Action::Fire, Input::Key(KeyCode::ShiftRight));
        assert_eq!(named(&bindings), [None, None]);
    }

    #[test]
    fn keys_that_menus_need_are_refused() {
        let bindings = Bindings::default();
        for key in RESERVED {
            assert_eq!(bindings.check(Action::Fire, Input::Key(key)), Err(BindingRefusal::Reserved));
        }
    }

    #[test]
    fn a_file_keeps_bindings_and_a_wrong_one_is_mended() {
        let mut bindings = Bindings::default();
        bindings.bind(Action::Fire, Input::Key(KeyCode::KeyX));
        bindings.bind(Action::Fire, Input::Button(GamepadButton::North));
        bindings.bind(Action::Boost, Input::Click(MouseButton::Left));
        assert_eq!(bindings.click_of(Action::Fire), None, "it was moved");
        let text = toml::to_string(&bindings).unwrap();
        assert_eq!(toml::from_str::<Bindings>(&text).unwrap(), bindings, "{text}");
        let mut wrong: Bindings =
            toml::from_str("[keys]\nfire = [\"Escape\", \"X\"]\nbrake = [\"X\"]\n").unwrap();
        wrong.mend();
        assert_eq!(
            wrong.owner(Input::Key(KeyCode::KeyX)),
            Some(Action::Brake),
            "the first in the list has it"
        );
        assert!(wrong.keys_of(Action::Left).eq([KeyCode::KeyA, KeyCode::ArrowLeft]), "not in the file");
    }
}
