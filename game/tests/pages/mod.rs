//! The pages without a window: the same menus, gone through by nudges, keys and a pad.

mod bound;
mod coordinator;
mod flying;
mod joined;
mod kept;
mod reaching;
mod refused;
mod refusing;
mod rounds;
mod spending;
mod switching;

use bevy::input::ButtonState;
use bevy::input::gamepad::{
    GamepadConnection, GamepadConnectionEvent, RawGamepadAxisChangedEvent, RawGamepadButtonChangedEvent,
    RawGamepadEvent,
};
use bevy::input::keyboard::{Key, KeyboardInput, NativeKey};
use bevy::input::mouse::MouseButtonInput;
use p2c2r_arena::{Controls, Difficulty};
use p2c2r_game::input::{Action, Aim, Bindings, Input};
use p2c2r_game::screens::{LastRound, Menu, MenuAction, Nudge, Page, Scores};
use p2c2r_game::settings::{Corner, Palette, Row};

use super::*;

fn on_title() -> App {
    let (mut app, _, _) = local_game(&["--page", "title"]);
    play(&mut app, 3);
    assert_eq!(page(&app), Page::Title);
    app
}

fn page(app: &App) -> Page {
    *app.world().resource::<State<Page>>().get()
}

fn menu(app: &App) -> &Menu {
    app.world().resource::<Menu>()
}

fn settings(app: &App) -> &Settings {
    app.world().resource::<Settings>()
}

fn nudge(app: &mut App, nudge: Nudge) {
    app.world_mut().write_message(nudge);
    // One frame in which it is obeyed, one in which the page is filled.
    play(app, 2);
}

/// Chooses the item that does this, and has it done.
fn choose(app: &mut App, verb: MenuAction) {
    let place = menu(app).items.iter().position(|item| item.verb == verb);
    let place = place.unwrap_or_else(|| panic!("{verb:?} is not on {:?}", page(app)));
    for _ in 0..menu(app).items.len() {
        if menu(app).chosen != place {
            nudge(app, Nudge::Down);
        }
    }
    assert_eq!(menu(app).chosen, place);
    nudge(app, Nudge::Accept);
}

fn stroke(key_code: KeyCode, state: ButtonState) -> KeyboardInput {
    let logical_key = Key::Unidentified(NativeKey::Unidentified);
    KeyboardInput { key_code, logical_key, state, text: None, repeat: false, window: Entity::PLACEHOLDER }
}

fn press(app: &mut App, key: KeyCode) {
    for state in [ButtonState::Pressed, ButtonState::Released] {
        app.world_mut().write_message(stroke(key, state));
        play(app, 2);
    }
}

/// A round that a player flies, not the autopilot.
fn in_a_round() -> App {
    let mut app = on_title();
    choose(&mut app, MenuAction::Begin);
    assert_eq!(page(&app), Page::Play);
    app
}

/// The same where ships are soon lost.
fn in_a_hard_round() -> App {
    let mut app = on_title();
    app.world_mut().resource_mut::<Settings>().difficulty = Difficulty::Ace;
    choose(&mut app, MenuAction::Begin);
    app
}

/// Flies straight on into whatever comes until the last ship is lost; the game sees only the outcome.
fn lose(app: &mut App) {
    let arena = &mut app.world_mut().resource_mut::<Battlefield>().arena;
    while !arena.is_over() {
        arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
        assert!(arena.tick() < 60 * 600, "no round ended");
    }
}

/// Scores, loses all ships, and goes to the page for the end of a round.
fn score_and_lose(app: &mut App) {
    let arena = &mut app.world_mut().resource_mut::<Battlefield>().arena;
    let mut autopilot = p2c2r_arena::Autopilot::default();
    while arena.score() == 0 {
        let controls = autopilot.controls(arena);
        arena.step(controls, &[]);
    }
    lose(app);
    play(app, 90);
    assert_eq!(page(app), Page::RoundOver);
}

fn connect_pad(app: &mut App) -> Entity {
    let pad = app.world_mut().spawn_empty().id();
    let connection = GamepadConnection::Connected { name: "test".into(), vendor_id: None, product_id: None };
    app.world_mut().write_message(GamepadConnectionEvent { gamepad: pad, connection });
    play(app, 2);
    pad
}

fn hold(app: &mut App, gamepad: Entity, button: GamepadButton, value: f32) {
    let change = RawGamepadButtonChangedEvent { gamepad, button, value };
    app.world_mut().write_message(RawGamepadEvent::Button(change));
    play(app, 2);
}

fn tap(app: &mut App, pad: Entity, button: GamepadButton) {
    hold(app, pad, button, 1.0);
    hold(app, pad, button, 0.0);
}

fn ship(app: &App) -> p2c2r_arena::Ship {
    *app.world().resource::<Battlefield>().arena.ship()
}

fn click(app: &mut App, button: MouseButton, state: ButtonState) {
    app.world_mut().write_message(MouseButtonInput { button, state, window: Entity::PLACEHOLDER });
    play(app, 2);
}
