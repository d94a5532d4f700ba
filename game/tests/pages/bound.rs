//! Keys, pad buttons and mouse buttons: what the pages say about them, and how others are bound.

use super::*;

#[test]
fn how_to_play_tells_of_keys_pad_and_mouse_as_they_are_bound() {
    let mut app = on_title();
    app.world_mut().resource_mut::<Settings>().keys.bind(Action::Boost, Input::Click(MouseButton::Back));
    choose(&mut app, MenuAction::Go(Page::HowToPlay));
    let lines = &menu(&app).lines;
    for (action, inputs) in [
        (Action::Thrust, ["W or Up", "Right Trigger", "Right "]),
        (Action::Fire, ["Space", "South", "Left "]),
        (Action::Boost, ["Left Shift or Right Shift", "Right Shoulder", "Back "]),
    ] {
        let line = lines.iter().find(|line| line.starts_with(action.label())).expect("a line for it");
        let told = inputs.map(|input| line.rfind(input));
        assert!(told[0].is_some() && told.is_sorted_by(|a, b| a < b), "{line:?}");
    }
}

#[test]
fn how_to_play_names_the_switch_in_hand_and_none_that_does_nothing() {
    let mut app = on_title();
    let keys =
        |app: &mut App, input| app.world_mut().resource_mut::<Settings>().keys.bind(Action::Fire, input);
    choose(&mut app, MenuAction::Go(Page::HowToPlay));
    let told = |app: &App| menu(app).lines.last().unwrap().clone();
    assert!(told(&app).starts_with("T switches"), "{}", told(&app));
    let pad = connect_pad(&mut app);
    tap(&mut app, pad, GamepadButton::North);
    assert!(told(&app).starts_with("D-pad up switches"), "{}", told(&app));
    keys(&mut app, Input::Button(GamepadButton::DPadUp));
    play(&mut app, 2);
    assert!(told(&app).starts_with("T switches"), "{}", told(&app));
    keys(&mut app, Input::Key(KeyCode::KeyT));
    play(&mut app, 2);
    assert!(!told(&app).contains("switches"), "{}", told(&app));
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
fn of_two_keys_in_one_frame_the_first_is_bound_and_the_page_says_so() {
    let mut app = on_title();
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Keys));
    choose(&mut app, MenuAction::Bind(Action::Fire));
    for key in [KeyCode::KeyX, KeyCode::KeyZ] {
        app.world_mut().write_message(stroke(key, ButtonState::Pressed));
    }
    play(&mut app, 2);
    let owners = [KeyCode::KeyX, KeyCode::KeyZ].map(|key| settings(&app).keys.owner(Input::Key(key)));
    assert_eq!(owners, [Some(Action::Fire), None]);
    assert!(menu(&app).note.contains(Action::Fire.label()), "`{}`", menu(&app).note);
}

#[test]
fn a_pads_button_is_bound_and_one_that_is_taken_asks_first() {
    let mut app = on_title();
    let pad = connect_pad(&mut app);
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Keys));
    choose(&mut app, MenuAction::Bind(Action::Boost));
    tap(&mut app, pad, GamepadButton::West);
    assert!(menu(&app).note.contains(Action::Missile.label()), "{}", menu(&app).note);
    assert_eq!(settings(&app).keys.button_of(Action::Missile), Some(GamepadButton::West), "not yet moved");
    tap(&mut app, pad, GamepadButton::West);
    assert_eq!(settings(&app).keys.button_of(Action::Boost), Some(GamepadButton::West));
    assert_eq!(settings(&app).keys.button_of(Action::Missile), None);
    assert!(menu(&app).note.contains("no button"), "{}", menu(&app).note);
    tap(&mut app, pad, GamepadButton::DPadDown);
    assert_eq!(menu(&app).note, "", "what was said of one row is not said of the next");
}

#[test]
fn a_mouse_button_is_bound_and_one_that_is_taken_asks_first() {
    let mut app = on_title();
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Keys));
    choose(&mut app, MenuAction::Bind(Action::Boost));
    click(&mut app, MouseButton::Right, ButtonState::Pressed);
    assert!(menu(&app).note.contains(Action::Thrust.label()), "{}", menu(&app).note);
    click(&mut app, MouseButton::Right, ButtonState::Released);
    click(&mut app, MouseButton::Right, ButtonState::Pressed);
    assert_eq!(settings(&app).keys.click_of(Action::Boost), Some(MouseButton::Right));
    assert_eq!(settings(&app).keys.click_of(Action::Thrust), None);
}

#[test]
fn a_pad_alone_leaves_an_action_as_it_is_by_waiting() {
    let mut app = on_title();
    let pad = connect_pad(&mut app);
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Keys));
    choose(&mut app, MenuAction::Bind(Action::Autopilot));
    play(&mut app, 240);
    tap(&mut app, pad, GamepadButton::West);
    assert!(menu(&app).note.contains(Action::Missile.label()), "{}", menu(&app).note);
    play(&mut app, 240);
    assert!(!menu(&app).note.contains("Nothing was pressed"), "it waits anew after each button");
    play(&mut app, 90);
    assert!(menu(&app).note.contains("Nothing was pressed"), "{}", menu(&app).note);
    let before = menu(&app).chosen;
    tap(&mut app, pad, GamepadButton::DPadDown);
    assert_eq!((menu(&app).chosen, &settings(&app).keys), (before + 1, &Bindings::default()));
}
