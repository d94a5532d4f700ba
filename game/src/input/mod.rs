//! What the player's devices say: keys and pad buttons become [`Action`]s by the bindings in the settings.
//!
//! | file | owns |
//! |---|---|
//! | `bindings` | which key and button does what, and what must not be bound |
//! | `names` | how keys and buttons are written in files and on the screen |
//! | `pad` | reading a pad where the system offers it as a file |

mod bindings;
mod names;
mod pad;

use std::collections::BTreeSet;

use bevy::prelude::*;

pub use bindings::{Action, BindingRefusal, Bindings, Input};
pub(crate) use names::{button_label, key_label};

use crate::screens::Page;
use crate::settings::Settings;

/// How far a stick must be moved to count as held.
const STICK_HELD: f32 = 0.5;

/// The order in which devices are read, in `PreUpdate` after the engine has read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub(crate) enum InputSystems {
    /// Keys and buttons become actions.
    Read,
    /// Actions do what they are for.
    Act,
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Actions>()
        .configure_sets(
            PreUpdate,
            (InputSystems::Read, InputSystems::Act).chain().after(bevy::input::InputSystems),
        )
        .add_systems(PreUpdate, read_actions.in_set(InputSystems::Read));
}

/// Reads pads; only for a game that somebody plays.
pub(super) fn pad_plugin(app: &mut App) {
    pad::plugin(app);
}

/// What is being done just now. Empty while a menu has the keys.
#[derive(Resource, Default)]
pub(crate) struct Actions {
    held: BTreeSet<Action>,
    just: BTreeSet<Action>,
}

impl Actions {
    /// Whether its key or button is down.
    pub(crate) fn held(&self, action: Action) -> bool {
        self.held.contains(&action)
    }

    /// Whether its key or button went down in this frame.
    pub(crate) fn just(&self, action: Action) -> bool {
        self.just.contains(&action)
    }
}

fn read_actions(
    page: Res<State<Page>>,
    settings: Res<Settings>,
    keys: Res<ButtonInput<KeyCode>>,
    pads: Query<&Gamepad>,
    mut actions: ResMut<Actions>,
) {
    let Actions { held, just } = &mut *actions;
    held.clear();
    just.clear();
    if *page.get() != Page::Play {
        return;
    }
    for &action in Action::ALL {
        let bound = settings.keys.keys_of(action);
        let button = settings.keys.button_of(action);
        let on_pad = |pressed: fn(&Gamepad, GamepadButton) -> bool| {
            button.is_some_and(|button| pads.iter().any(|pad| pressed(pad, button)))
        };
        let leaned = pads.iter().any(|pad| leans(pad.left_stick(), action));
        if keys.any_pressed(bound.iter().copied()) || on_pad(Gamepad::pressed) || leaned {
            held.insert(action);
        }
        if keys.any_just_pressed(bound.iter().copied()) || on_pad(Gamepad::just_pressed) {
            just.insert(action);
        }
    }
}

/// Whether the left stick asks for this action.
fn leans(stick: Vec2, action: Action) -> bool {
    match action {
        Action::Left => stick.x < -STICK_HELD,
        Action::Right => stick.x > STICK_HELD,
        Action::Thrust => stick.y > STICK_HELD,
        Action::Brake => stick.y < -STICK_HELD,
        _ => false,
    }
}
