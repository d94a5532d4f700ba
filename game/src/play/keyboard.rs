//! What actions do while playing: fly, switch, pause; and the window's close button ends the game.

use bevy::prelude::*;
use bevy::window::WindowCloseRequested;
use p2c2r_arena::Controls;

use super::{Battlefield, Ending, Intent, Pilot};
use crate::input::{Action, Actions, Aim, InputSystems};
use crate::screens::Page;
use crate::settings::Settings;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PreUpdate, (fly, switch_things).in_set(InputSystems::Act));
}

pub(crate) fn window_plugin(app: &mut App) {
    app.add_systems(PreUpdate, end_when_closed);
}

fn fly(actions: Res<Actions>, aim: Res<Aim>, battlefield: Res<Battlefield>, mut intent: ResMut<Intent>) {
    let held = |action| i8::from(actions.held(action));
    let turn = match held(Action::Left) - held(Action::Right) {
        0 if actions.by_mouse() => aim.turn(&battlefield.arena),
        turn => turn,
    };
    intent.0 = Controls {
        turn,
        thrust: held(Action::Thrust) - held(Action::Brake),
        fire: actions.held(Action::Fire),
        missile: actions.held(Action::Missile),
        boost: actions.held(Action::Boost),
        ..Controls::default()
    };
}

fn switch_things(
    actions: Res<Actions>,
    mut pilot: ResMut<Pilot>,
    mut settings: ResMut<Settings>,
    mut next: ResMut<NextState<Page>>,
) {
    if actions.just(Action::Offload) {
        settings.borrowing.enabled ^= true;
    }
    if actions.just(Action::Reflections) {
        settings.borrowing.mirrors ^= true;
    }
    if actions.just(Action::Pause) {
        next.set(Page::Paused);
    }
    if actions.just(Action::Autopilot) {
        *pilot = match *pilot {
            Pilot::Gamer => Pilot::Itself(default()),
            Pilot::Itself(_) | Pilot::Recorded(_) => Pilot::Gamer,
        };
    }
    if actions.just(Action::Preset) {
        settings.borrowing.preset = settings.borrowing.preset.next();
    }
}

/// Ends the game on the close event: the engine would close the window only after the last packets have been
/// sent.
fn end_when_closed(mut closes: MessageReader<WindowCloseRequested>, mut ending: ResMut<Ending>) {
    if closes.read().next().is_some() {
        ending.end_now();
    }
}
