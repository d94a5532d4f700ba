//! Pauses when the player cannot fly any more: the window has lost the focus, or the pad in hand is gone.

use bevy::input::gamepad::{GamepadConnection, GamepadConnectionEvent};
use bevy::prelude::*;
use bevy::window::WindowFocused;

use super::Page;
use crate::input::InputSystems;
use crate::play::Pilot;

/// How far a stick is moved by a hand that holds it.
const IN_HAND: f32 = 0.3;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<PadInHand>()
        .add_message::<WindowFocused>()
        .add_systems(PreUpdate, (pause_when_away, note_pad).chain().in_set(InputSystems::Act));
}

/// The pad that was used last, unless a key was since.
#[derive(Resource, Default)]
struct PadInHand(Option<Entity>);

fn note_pad(
    keys: Res<ButtonInput<KeyCode>>,
    pads: Query<(Entity, &Gamepad)>,
    mut in_hand: ResMut<PadInHand>,
) {
    let is_used = |pad: &Gamepad| {
        pad.get_pressed().next().is_some() || pad.left_stick().length_squared() > IN_HAND * IN_HAND
    };
    if keys.get_just_pressed().next().is_some() {
        in_hand.0 = None;
    } else if let Some((pad, _)) = pads.iter().find(|(_, pad)| is_used(pad)) {
        in_hand.0 = Some(pad);
    }
}

fn pause_when_away(
    page: Res<State<Page>>,
    pilot: Res<Pilot>,
    in_hand: Res<PadInHand>,
    mut focus: MessageReader<WindowFocused>,
    mut connections: MessageReader<GamepadConnectionEvent>,
    mut next: ResMut<NextState<Page>>,
) {
    let unfocused = focus.read().last().is_some_and(|focus| !focus.focused);
    let pad_gone = connections
        .read()
        .filter(|event| matches!(event.connection, GamepadConnection::Disconnected))
        .any(|event| in_hand.0 == Some(event.gamepad));
    // What flies by itself needs nobody.
    if (unfocused || pad_gone) && *page.get() == Page::Play && matches!(*pilot, Pilot::Gamer) {
        next.set(Page::Paused);
    }
}
