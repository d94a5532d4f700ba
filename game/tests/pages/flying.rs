//! Flying by keys, pad and mouse, and pausing when the player cannot.

use super::*;

fn disconnect_pad(app: &mut App, gamepad: Entity) {
    let connection = GamepadConnection::Disconnected;
    app.world_mut().write_message(GamepadConnectionEvent { gamepad, connection });
    play(app, 2);
}

fn lean(app: &mut App, gamepad: Entity, axis: GamepadAxis, value: f32) {
    let change = RawGamepadAxisChangedEvent { gamepad, axis, value };
    app.world_mut().write_message(RawGamepadEvent::Axis(change));
    play(app, 2);
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
fn a_window_that_loses_the_focus_pauses_a_players_round_and_not_one_that_flies_itself() {
    let leave = |app: &mut App| {
        let window = Entity::PLACEHOLDER;
        app.world_mut().write_message(bevy::window::WindowFocused { window, focused: false });
        play(app, 2);
    };
    let mut app = in_a_round();
    leave(&mut app);
    assert_eq!(page(&app), Page::Paused);
    let (mut app, _, _) = local_game(&["--page", "title", "--autopilot"]);
    play(&mut app, 3);
    choose(&mut app, MenuAction::Begin);
    leave(&mut app);
    assert_eq!(page(&app), Page::Play);
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
    let before = ship(&app).heading;
    for key in [KeyCode::ArrowUp, KeyCode::ArrowLeft, KeyCode::Space] {
        app.world_mut().write_message(stroke(key, ButtonState::Pressed));
    }
    play(&mut app, 20);
    let flown = ship(&app);
    assert!(flown.thrusting && flown.heading != before);
    assert!(!app.world().resource::<Battlefield>().arena.bullets().is_empty());
}
