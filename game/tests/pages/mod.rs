//! The pages without a window: the same menus, gone through by nudges, keys and a pad.

mod bound;

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
use p2c2r_game::settings::{Row, Settings};

use super::*;

/// Frames after which everything that was under way behind a page has come back.
const UNTIL_CALM: u32 = 60;

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

fn submitted(app: &App) -> u64 {
    app.world().resource::<OffloadTotals>().kinds.values().map(|kind| kind.submitted).sum()
}

fn tick(app: &App) -> u64 {
    app.world().resource::<Battlefield>().arena.tick()
}

/// Goes down to every item of every page that leads on, as deep as they go, and comes back.
fn visit(app: &mut App, seen: &mut Vec<Page>) {
    let from = page(app);
    for place in 0..menu(app).items.len() {
        let MenuAction::Go(to) = menu(app).items[place].verb else { continue };
        for _ in 0..menu(app).items.len() {
            if menu(app).chosen != place {
                press(app, KeyCode::ArrowDown);
            }
        }
        assert_eq!(menu(app).chosen, place, "on {from:?}");
        press(app, KeyCode::Enter);
        assert_eq!(page(app), to, "from {from:?}");
        assert!(!menu(app).title.is_empty() && !menu(app).items.is_empty(), "{to:?} is empty");
        if !seen.contains(&to) {
            seen.push(to);
            visit(app, seen);
        }
        press(app, KeyCode::Escape);
        assert_eq!(page(app), from, "back from {to:?}");
        assert_eq!(menu(app).chosen, place, "what was chosen is still chosen");
    }
}

#[test]
fn every_page_is_reached_from_the_title_and_left_again_by_the_keyboard_alone() {
    let mut app = on_title();
    let mut seen = vec![Page::Title];
    visit(&mut app, &mut seen);
    for wanted in [
        Page::HowToPlay,
        Page::Scores,
        Page::Settings,
        Page::Video,
        Page::Sound,
        Page::Display,
        Page::Borrowing,
        Page::Comparison,
        Page::Keys,
        Page::Credits,
        Page::Leave,
    ] {
        assert!(seen.contains(&wanted), "{wanted:?} is not reached");
    }
}

#[test]
fn each_of_two_strokes_in_one_slow_frame_counts() {
    let mut app = on_title();
    for state in [ButtonState::Pressed, ButtonState::Released, ButtonState::Pressed, ButtonState::Released] {
        app.world_mut().write_message(stroke(KeyCode::ArrowDown, state));
    }
    play(&mut app, 2);
    assert_eq!(menu(&app).chosen, 2);
}

#[test]
fn leaving_says_that_a_round_is_lost_only_where_one_goes_on() {
    let mut app = on_title();
    press(&mut app, KeyCode::Escape);
    assert_eq!((page(&app), menu(&app).lines.len()), (Page::Leave, 0));
    press(&mut app, KeyCode::Escape);
    choose(&mut app, MenuAction::Begin);
    press(&mut app, KeyCode::Escape);
    choose(&mut app, MenuAction::Go(Page::Leave));
    assert!(menu(&app).lines[0].contains("lost"));
}

#[test]
fn nothing_runs_and_nothing_is_asked_for_behind_the_title() {
    let mut app = on_title();
    play(&mut app, 120);
    assert_eq!((tick(&app), submitted(&app)), (0, 0));
}

#[test]
fn pausing_stops_the_arena_and_everything_it_asks_for() {
    let mut app = on_title();
    choose(&mut app, MenuAction::Begin);
    assert_eq!(page(&app), Page::Play);
    play(&mut app, 400);
    assert!(submitted(&app) > 10);
    press(&mut app, KeyCode::Escape);
    assert_eq!(page(&app), Page::Paused);
    let stopped = (tick(&app), submitted(&app), app.world().resource::<Battlefield>().arena.digest());
    play(&mut app, UNTIL_CALM);
    for kind in app.world().resource::<OffloadTotals>().kinds.values() {
        assert_eq!(kind.open, 0, "{kind:?}");
    }
    choose(&mut app, MenuAction::Go(Page::Settings));
    play(&mut app, 120);
    let still = (tick(&app), submitted(&app), app.world().resource::<Battlefield>().arena.digest());
    assert_eq!(stopped, still);
    nudge(&mut app, Nudge::Back);
    choose(&mut app, MenuAction::Resume);
    play(&mut app, 60);
    assert_eq!(page(&app), Page::Play);
    assert!(tick(&app) > stopped.0 && submitted(&app) > stopped.1, "and it goes on");
}

#[test]
fn a_round_is_as_hard_as_was_chosen_and_its_end_has_a_page() {
    let mut app = on_title();
    for _ in 0..2 {
        let place =
            menu(&app).items.iter().position(|item| item.verb == MenuAction::Turn(Row::Difficulty)).unwrap();
        nudge(&mut app, Nudge::Point(place));
        nudge(&mut app, Nudge::Right);
    }
    choose(&mut app, MenuAction::Begin);
    let lives = app.world().resource::<Battlefield>().arena.lives();
    assert_eq!(lives, ArenaConfig::of(Difficulty::Ace).ship.lives);
    for _ in 0..60 * 600 {
        app.update();
        if page(&app) == Page::RoundOver {
            break;
        }
    }
    assert_eq!(page(&app), Page::RoundOver);
    assert!(app.world().resource::<Battlefield>().arena.is_over());
    let asked = submitted(&app);
    play(&mut app, 30);
    assert_eq!(submitted(&app), asked, "nothing is asked for after the end");
    assert!(
        app.world().resource::<Scores>().table(Difficulty::Ace).is_empty(),
        "the autopilot has no scores"
    );
}

#[test]
fn whoever_still_fires_when_a_round_ends_sees_its_page() {
    let mut app = on_title();
    app.world_mut().resource_mut::<Settings>().difficulty = Difficulty::Ace;
    choose(&mut app, MenuAction::Begin);
    take_over(&mut app);
    let arena = &mut app.world_mut().resource_mut::<Battlefield>().arena;
    while !arena.is_over() {
        arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
        assert!(arena.tick() < 60 * 600, "no round ended");
    }
    play(&mut app, 4);
    assert_eq!(page(&app), Page::RoundOver);
    press(&mut app, KeyCode::Space);
    assert_eq!(page(&app), Page::RoundOver);
    play(&mut app, 60);
    press(&mut app, KeyCode::Space);
    assert_eq!(page(&app), Page::Play, "and then it plays again");
}

/// The autopilot lets go.
fn take_over(app: &mut App) {
    assert_eq!(page(app), Page::Play);
    press(app, KeyCode::F5);
    assert!(!ship(app).thrusting);
}

/// A round that a player flies, not the autopilot.
fn in_a_round() -> App {
    let mut app = on_title();
    choose(&mut app, MenuAction::Begin);
    take_over(&mut app);
    app
}

fn connect_pad(app: &mut App) -> Entity {
    let pad = app.world_mut().spawn_empty().id();
    let connection = GamepadConnection::Connected { name: "test".into(), vendor_id: None, product_id: None };
    app.world_mut().write_message(GamepadConnectionEvent { gamepad: pad, connection });
    play(app, 2);
    pad
}

fn disconnect_pad(app: &mut App, gamepad: Entity) {
    let connection = GamepadConnection::Disconnected;
    app.world_mut().write_message(GamepadConnectionEvent { gamepad, connection });
    play(app, 2);
}

fn hold(app: &mut App, gamepad: Entity, button: GamepadButton, value: f32) {
    let change = RawGamepadButtonChangedEvent { gamepad, button, value };
    app.world_mut().write_message(RawGamepadEvent::Button(change));
    play(app, 2);
}

fn lean(app: &mut App, gamepad: Entity, axis: GamepadAxis, value: f32) {
    let change = RawGamepadAxisChangedEvent { gamepad, axis, value };
    app.world_mut().write_message(RawGamepadEvent::Axis(change));
    play(app, 2);
}

fn tap(app: &mut App, pad: Entity, button: GamepadButton) {
    hold(app, pad, button, 1.0);
    hold(app, pad, button, 0.0);
}

fn ship(app: &App) -> p2c2r_arena::Ship {
    *app.world().resource::<Battlefield>().arena.ship()
}

#[test]
fn a_pad_goes_through_menus_and_flies() {
    let mut app = on_title();
    let pad = connect_pad(&mut app);
    let before = menu(&app).chosen;
    tap(&mut app, pad, GamepadButton::DPadDown);
    assert_eq!(menu(&app).chosen, before + 1);
    tap(&mut app, pad, GamepadButton::DPadUp);
    tap(&mut app, pad, GamepadButton::South);
    take_over(&mut app);
    let heading = ship(&app).heading;
    hold(&mut app, pad, GamepadButton::RightTrigger2, 1.0);
    lean(&mut app, pad, GamepadAxis::LeftStickX, 0.9);
    hold(&mut app, pad, GamepadButton::South, 1.0);
    play(&mut app, 20);
    let flown = ship(&app);
    assert!(flown.thrusting && flown.heading != heading, "it thrusts and turns");
    assert!(!app.world().resource::<Battlefield>().arena.bullets().is_empty(), "and fires");
    lean(&mut app, pad, GamepadAxis::LeftStickX, 0.0);
    hold(&mut app, pad, GamepadButton::RightTrigger2, 0.0);
    hold(&mut app, pad, GamepadButton::South, 0.0);
    play(&mut app, 2);
    assert!(!ship(&app).thrusting);
    tap(&mut app, pad, GamepadButton::Start);
    assert_eq!(page(&app), Page::Paused);
    tap(&mut app, pad, GamepadButton::East);
    assert_eq!(page(&app), Page::Play);
}

#[test]
fn the_button_that_paused_goes_on_wherever_it_is_bound_and_whatever_is_chosen() {
    let mut app = in_a_round();
    let pad = connect_pad(&mut app);
    app.world_mut().resource_mut::<Settings>().keys.bind(Action::Pause, Input::Button(GamepadButton::North));
    tap(&mut app, pad, GamepadButton::North);
    assert_eq!(page(&app), Page::Paused);
    tap(&mut app, pad, GamepadButton::DPadDown);
    tap(&mut app, pad, GamepadButton::North);
    assert_eq!(page(&app), Page::Play);
}

#[test]
fn a_pad_that_goes_in_mid_flight_lets_go_and_pauses_and_another_goes_on() {
    let mut app = in_a_round();
    let (first, second) = (connect_pad(&mut app), connect_pad(&mut app));
    hold(&mut app, first, GamepadButton::RightTrigger2, 1.0);
    play(&mut app, 5);
    assert!(ship(&app).thrusting);
    disconnect_pad(&mut app, second);
    assert_eq!(page(&app), Page::Play, "nobody held that one");
    disconnect_pad(&mut app, first);
    assert_eq!(page(&app), Page::Paused);
    let third = connect_pad(&mut app);
    tap(&mut app, third, GamepadButton::South);
    assert_eq!(page(&app), Page::Play);
    play(&mut app, 5);
    assert!(!ship(&app).thrusting, "what was held on a pad that is gone is held no more");
}

#[test]
fn two_pads_fly_the_same_ship_and_neither_undoes_what_the_other_holds() {
    let mut app = in_a_round();
    let (one, other) = (connect_pad(&mut app), connect_pad(&mut app));
    hold(&mut app, one, GamepadButton::RightTrigger2, 1.0);
    hold(&mut app, other, GamepadButton::RightTrigger2, 1.0);
    hold(&mut app, other, GamepadButton::RightTrigger2, 0.0);
    play(&mut app, 5);
    assert!(ship(&app).thrusting);
    hold(&mut app, one, GamepadButton::RightTrigger2, 0.0);
    play(&mut app, 2);
    assert!(!ship(&app).thrusting);
}

#[test]
fn a_pad_reaches_every_page_and_turns_every_row() {
    let mut app = on_title();
    let pad = connect_pad(&mut app);
    let mut seen = vec![Page::Title];
    visit_by_pad(&mut app, pad, &mut seen);
    assert_eq!(seen.len(), 12, "{seen:?}");
}

/// Goes to every page by a pad alone, as deep as they lead, turns every row there and turns it back.
fn visit_by_pad(app: &mut App, pad: Entity, seen: &mut Vec<Page>) {
    let from = page(app);
    for place in 0..menu(app).items.len() {
        assert_eq!(menu(app).chosen, place, "on {from:?}");
        match menu(app).items[place].verb {
            MenuAction::Go(to) if !seen.contains(&to) => {
                tap(app, pad, GamepadButton::South);
                assert_eq!(page(app), to, "from {from:?}");
                seen.push(to);
                visit_by_pad(app, pad, seen);
                tap(app, pad, GamepadButton::East);
                assert_eq!((page(app), menu(app).chosen), (from, place), "back from {to:?}");
            }
            MenuAction::Turn(row) => {
                let before = row.value(settings(app));
                tap(app, pad, GamepadButton::DPadLeft);
                assert_ne!(row.value(settings(app)), before, "{row:?}");
                tap(app, pad, GamepadButton::DPadRight);
                assert_eq!(row.value(settings(app)), before, "{row:?}");
            }
            _ => {}
        }
        tap(app, pad, GamepadButton::DPadDown);
    }
}

#[test]
fn a_window_that_loses_the_focus_pauses_a_players_round_and_not_one_that_flies_itself() {
    let leave = |app: &mut App| {
        let window = Entity::PLACEHOLDER;
        app.world_mut().write_message(bevy::window::WindowFocused { window, focused: false });
        play(app, 2);
    };
    let mut app = in_a_round();
    leave(&mut app);
    assert_eq!(page(&app), Page::Paused);
    let mut app = on_title();
    choose(&mut app, MenuAction::Begin);
    leave(&mut app);
    assert_eq!(page(&app), Page::Play);
}

fn click(app: &mut App, button: MouseButton, state: ButtonState) {
    app.world_mut().write_message(MouseButtonInput { button, state, window: Entity::PLACEHOLDER });
    play(app, 2);
}

#[test]
fn the_mouse_alone_flies_to_where_it_points_and_fires() {
    let mut app = in_a_round();
    let behind = |ship: &p2c2r_arena::Ship| {
        let (at, ahead) = (ship.position, ship.heading);
        p2c2r_arena::Vec2::new(at.x - 30.0 * ahead.x - 5.0 * ahead.y, at.y - 30.0 * ahead.y + 5.0 * ahead.x)
    };
    let before = ship(&app);
    let point = behind(&before);
    app.insert_resource(Aim(Some(point)));
    play(&mut app, 30);
    assert_eq!(ship(&app).heading, before.heading, "a mouse that only points turns nothing");
    click(&mut app, MouseButton::Left, ButtonState::Pressed);
    play(&mut app, 90);
    let turned = ship(&app);
    let off =
        (point.x - turned.position.x) * turned.heading.y - (point.y - turned.position.y) * turned.heading.x;
    assert!(off.abs() < 3.0, "it points there: {turned:?}");
    assert!(!turned.thrusting && !app.world().resource::<Battlefield>().arena.bullets().is_empty());
    click(&mut app, MouseButton::Left, ButtonState::Released);
    click(&mut app, MouseButton::Right, ButtonState::Pressed);
    play(&mut app, 3);
    assert!(ship(&app).thrusting);
}

#[test]
fn a_tap_within_one_slow_frame_still_launches_a_missile() {
    for tap in [
        (|app: &mut App, state| {
            app.world_mut().write_message(stroke(KeyCode::KeyE, state));
        }) as fn(&mut App, ButtonState),
        |app, state| {
            let (button, window) = (MouseButton::Middle, Entity::PLACEHOLDER);
            app.world_mut().write_message(MouseButtonInput { button, state, window });
        },
    ] {
        let mut app = in_a_round();
        let missiles = ship(&app).missiles;
        tap(&mut app, ButtonState::Pressed);
        tap(&mut app, ButtonState::Released);
        play(&mut app, 2);
        assert_eq!(ship(&app).missiles, missiles - 1);
    }
}

#[test]
fn the_arrows_and_space_alone_go_through_menus_and_fly() {
    let mut app = on_title();
    press(&mut app, KeyCode::Space);
    take_over(&mut app);
    let before = ship(&app).heading;
    for key in [KeyCode::ArrowUp, KeyCode::ArrowLeft, KeyCode::Space] {
        app.world_mut().write_message(stroke(key, ButtonState::Pressed));
    }
    play(&mut app, 20);
    let flown = ship(&app);
    assert!(flown.thrusting && flown.heading != before);
    assert!(!app.world().resource::<Battlefield>().arena.bullets().is_empty());
}

#[test]
fn settings_take_effect_at_once_and_are_there_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let start = || {
        let (mut app, _, _) = local_game(&["--page", "title", "--settings", &path]);
        play(&mut app, 3);
        app
    };
    let mut app = start();
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Borrowing));
    choose(&mut app, MenuAction::Turn(Row::Offload));
    choose(&mut app, MenuAction::Turn(Row::Physics));
    let switch = app.world().resource::<OffloadSwitch>();
    assert!(!switch.enabled);
    let before = *app.world().resource::<OffloadCaps>();
    choose(&mut app, MenuAction::Turn(Row::Cap));
    let after = *app.world().resource::<OffloadCaps>();
    assert_ne!(before.hour, after.hour);
    assert_eq!(after.hour, settings(&app).borrowing.hour_cap());
    drop(app);
    let app = start();
    assert!(!settings(&app).borrowing.enabled && !settings(&app).borrowing.physics);
    assert!(!app.world().resource::<OffloadSwitch>().enabled);
}

#[test]
fn damaged_settings_and_newer_scores_are_both_told_of_on_the_title() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("settings.toml"), "sound = [").unwrap();
    std::fs::write(folder.path().join("scores.toml"), "version = 9").unwrap();
    let (mut app, _, _) = local_game(&["--page", "title", "--settings", folder.path().to_str().unwrap()]);
    play(&mut app, 3);
    for kept in ["settings.toml.damaged-1", "scores.toml.newer-1"] {
        assert!(menu(&app).note.contains(kept), "{}", menu(&app).note);
    }
    assert_eq!(*settings(&app), Settings::default());
}

#[test]
fn leaving_asks_first() {
    let mut app = on_title();
    press(&mut app, KeyCode::Escape);
    assert_eq!(page(&app), Page::Leave);
    assert!(app.should_exit().is_none());
    choose(&mut app, MenuAction::Back);
    assert_eq!(page(&app), Page::Title);
    press(&mut app, KeyCode::Escape);
    choose(&mut app, MenuAction::Exit);
    assert!(app.should_exit().is_some());
}

#[test]
fn a_run_that_steers_itself_goes_straight_into_the_fight_and_on_after_a_round() {
    let (mut app, _, _) = local_game(&[]);
    app.update();
    assert_eq!(page(&app), Page::Play);
}

#[test]
fn a_round_that_no_menu_began_ends_with_the_difficulty_that_it_had() {
    let (mut app, _, _) = local_game(&["--difficulty", "ace"]);
    app.update();
    let arena = &mut app.world_mut().resource_mut::<Battlefield>().arena;
    while !arena.is_over() {
        arena.step(Controls { thrust: 1, ..Controls::default() }, &[]);
        assert!(arena.tick() < 60 * 600, "no round ended");
    }
    play(&mut app, 3);
    assert_eq!(app.world().resource::<LastRound>().difficulty, Difficulty::Ace);
}
