//! The pages without a window: the same menus, gone through by nudges, keys and a pad.

use bevy::input::ButtonState;
use bevy::input::gamepad::{
    GamepadConnection, GamepadConnectionEvent, RawGamepadButtonChangedEvent, RawGamepadEvent,
};
use bevy::input::keyboard::{Key, KeyboardInput, NativeKey};
use p2c2r_arena::{Controls, Difficulty};
use p2c2r_game::input::{Action, Bindings, Input};
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
fn a_pad_goes_through_menus_and_flies() {
    let mut app = on_title();
    let pad = app.world_mut().spawn_empty().id();
    let connection = GamepadConnection::Connected { name: "test".into(), vendor_id: None, product_id: None };
    app.world_mut().write_message(GamepadConnectionEvent { gamepad: pad, connection });
    play(&mut app, 2);
    let tap = |app: &mut App, button| {
        for value in [1.0, 0.0] {
            app.world_mut().write_message(RawGamepadEvent::Button(RawGamepadButtonChangedEvent {
                gamepad: pad,
                button,
                value,
            }));
            play(app, 2);
        }
    };
    let before = menu(&app).chosen;
    tap(&mut app, GamepadButton::DPadDown);
    assert_eq!(menu(&app).chosen, before + 1);
    tap(&mut app, GamepadButton::DPadUp);
    tap(&mut app, GamepadButton::South);
    assert_eq!(page(&app), Page::Play);
    tap(&mut app, GamepadButton::Start);
    assert_eq!(page(&app), Page::Paused);
    tap(&mut app, GamepadButton::East);
    assert_eq!(page(&app), Page::Play);
}

#[test]
fn a_key_is_bound_and_one_that_is_taken_asks_first() {
    let mut app = on_title();
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Keys));
    choose(&mut app, MenuAction::Bind(Action::Fire));
    press(&mut app, KeyCode::KeyX);
    assert_eq!(settings(&app).keys.owner(Input::Key(KeyCode::KeyX)), Some(Action::Fire));
    choose(&mut app, MenuAction::Bind(Action::Fire));
    press(&mut app, KeyCode::KeyT);
    assert!(menu(&app).note.contains(Action::Offload.label()), "{}", menu(&app).note);
    assert_eq!(settings(&app).keys.owner(Input::Key(KeyCode::KeyT)), Some(Action::Offload), "not yet moved");
    press(&mut app, KeyCode::KeyT);
    assert_eq!(settings(&app).keys.owner(Input::Key(KeyCode::KeyT)), Some(Action::Fire));
    choose(&mut app, MenuAction::Bind(Action::Fire));
    press(&mut app, KeyCode::Escape);
    assert_eq!(page(&app), Page::Keys, "Escape leaves the binding, not the page");
    choose(&mut app, MenuAction::ResetKeys);
    assert_eq!(settings(&app).keys, Bindings::default());
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
fn a_damaged_settings_file_is_told_of_on_the_title() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("settings.toml"), "sound = [").unwrap();
    let (mut app, _, _) = local_game(&["--page", "title", "--settings", folder.path().to_str().unwrap()]);
    play(&mut app, 3);
    assert!(menu(&app).note.contains("settings.toml.damaged-1"), "{}", menu(&app).note);
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
