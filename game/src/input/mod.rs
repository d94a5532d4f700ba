//! Input devices: keys and pad buttons become [`Action`]s by the bindings in the settings.
//!
//! | file | owns |
//! |---|---|
//! | `aim` | where the mouse points, for a ship that the mouse steers |
//! | `in_hand` | whether the player has a pad in hand or keys and mouse |
//! | `bindings` | which key and button does what, and what must not be bound |
//! | `names` | how keys and buttons are written in files and on the screen |
//! | `pad` | reading a pad where the system offers it as a file |

mod aim;
mod bindings;
mod in_hand;
mod names;
mod pad;

use std::collections::BTreeSet;

use bevy::prelude::*;

pub use aim::Aim;
pub use bindings::{Action, BindingRefusal, Bindings, Input};
pub(crate) use in_hand::{PadInHand, note_pad};
pub(crate) use names::input_label;

use crate::screens::Page;
use crate::settings::Settings;

/// Deflection of a stick that counts as held.
const STICK_HELD: f32 = 0.5;

/// The order in which devices are read, in `PreUpdate` after the engine has read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub(crate) enum InputSystems {
    /// Keys and buttons become actions.
    Read,
    /// Actions take effect.
    Act,
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Actions>()
        .init_resource::<Aim>()
        .init_resource::<PadInHand>()
        .configure_sets(
            PreUpdate,
            (InputSystems::Read, InputSystems::Act).chain().after(bevy::input::InputSystems),
        )
        .add_systems(
            PreUpdate,
            (read_actions.in_set(InputSystems::Read), note_pad.in_set(InputSystems::Act)),
        );
}

/// Reads pads and the mouse; only for a game that a player steers.
pub(super) fn window_plugin(app: &mut App) {
    app.add_plugins((pad::plugin, aim::plugin));
}

/// The actions of this frame. Empty while a menu has the keys.
#[derive(Resource, Default)]
pub(crate) struct Actions {
    held: BTreeSet<Action>,
    just: BTreeSet<Action>,
    by_mouse: bool,
}

impl Actions {
    /// Whether a bound mouse button is held, so that the ship turns to where the mouse points.
    pub(crate) fn by_mouse(&self) -> bool {
        self.by_mouse
    }

    /// Whether the action's input is down.
    pub(crate) fn held(&self, action: Action) -> bool {
        self.held.contains(&action)
    }

    /// Whether the action's input went down in this frame.
    pub(crate) fn just(&self, action: Action) -> bool {
        self.just.contains(&action)
    }
}

fn read_actions(
    page: Res<State<Page>>,
    settings: Res<Settings>,
    keys: Res<ButtonInput<KeyCode>>,
    clicks: Res<ButtonInput<MouseButton>>,
    pads: Query<&Gamepad>,
    mut actions: ResMut<Actions>,
) {
    let Actions { held, just, by_mouse } = &mut *actions;
    held.clear();
    just.clear();
    *by_mouse = false;
    if *page.get() != Page::Play {
        return;
    }
    for &action in Action::ALL {
        let button = settings.keys.button_of(action);
        let on_pad = |pressed: fn(&Gamepad, GamepadButton) -> bool| {
            button.is_some_and(|button| pads.iter().any(|pad| pressed(pad, button)))
        };
        let click = settings.keys.click_of(action);
        let went_down = keys.any_just_pressed(settings.keys.keys_of(action))
            || on_pad(Gamepad::just_pressed)
            || click.is_some_and(|click| clicks.just_pressed(click));
        // In a slow frame an input may go down and up again: that counts as held for the frame.
        let clicked = click.is_some_and(|click| clicks.pressed(click) || clicks.just_pressed(click));
        let leaned = pads.iter().any(|pad| leans(pad.left_stick(), action));
        *by_mouse |= clicked;
        if keys.any_pressed(settings.keys.keys_of(action))
            || on_pad(Gamepad::pressed)
            || clicked
            || leaned
            || went_down
        {
            held.insert(action);
        }
        if went_down {
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
