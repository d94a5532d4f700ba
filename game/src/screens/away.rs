//! Pauses when the player cannot fly any more: the window has lost the focus, or the pad in hand is gone.

use bevy::input::gamepad::{GamepadConnection, GamepadConnectionEvent};
use bevy::prelude::*;
use bevy::window::WindowFocused;

use super::Page;
use crate::input::{InputSystems, PadInHand, note_pad};
use crate::play::Pilot;

pub(super) fn plugin(app: &mut App) {
    app.add_message::<WindowFocused>()
        .add_systems(PreUpdate, pause_when_away.before(note_pad).in_set(InputSystems::Act));
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
    // The autopilot needs no player, so its flight goes on.
    if (unfocused || pad_gone) && *page.get() == Page::Play && matches!(*pilot, Pilot::Gamer) {
        next.set(Page::Paused);
    }
}
