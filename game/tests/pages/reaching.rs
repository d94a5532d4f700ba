//! Every page, reached and left by keys and by a pad.

use p2c2r_game::Silence;

use super::*;

/// Goes to every page that can be reached from this one, as deep as they lead, and comes back.
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
    assert_eq!(in_order(&seen), in_order(&from_the_title()));
}

/// The pages that menus lead to while no round goes on.
fn from_the_title() -> Vec<Page> {
    Page::MENUS.into_iter().filter(|page| *page != Page::Paused).collect()
}

/// Their names, sorted.
fn in_order(pages: &[Page]) -> Vec<String> {
    let mut names: Vec<String> = pages.iter().map(|page| format!("{page:?}")).collect();
    names.sort();
    names
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
fn a_pad_reaches_every_page_and_turns_every_row() {
    let mut app = on_title();
    let pad = connect_pad(&mut app);
    let mut seen = vec![Page::Title];
    visit_by_pad(&mut app, pad, &mut seen);
    assert_eq!(in_order(&seen), in_order(&from_the_title()));
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
fn the_page_of_volumes_says_when_nothing_can_be_heard() {
    let mut app = on_title();
    let silence = Silence::default();
    app.insert_resource(silence.clone());
    choose(&mut app, MenuAction::Go(Page::Settings));
    choose(&mut app, MenuAction::Go(Page::Sound));
    assert_eq!(menu(&app).note, "");
    silence.note();
    play(&mut app, 2);
    assert_eq!(menu(&app).note, Silence::WORDS);
    silence.lift();
    play(&mut app, 2);
    assert_eq!(menu(&app).note, "", "a player program plays again");
    silence.note();
    play(&mut app, 2);
    nudge(&mut app, Nudge::Back);
    assert_eq!(menu(&app).note, "", "it is said on that page alone");
}

#[test]
fn two_presses_in_one_slow_frame_go_to_a_page_once() {
    let mut app = on_title();
    let verb = MenuAction::Go(Page::Settings);
    let place = menu(&app).items.iter().position(|item| item.verb == verb).unwrap();
    nudge(&mut app, Nudge::Point(place));
    app.world_mut().write_message(Nudge::Accept);
    nudge(&mut app, Nudge::Accept);
    assert_eq!(page(&app), Page::Settings);
    nudge(&mut app, Nudge::Back);
    assert_eq!(page(&app), Page::Title);
    nudge(&mut app, Nudge::Back);
    assert_eq!(page(&app), Page::Leave, "the title is not on the trail a second time");
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
fn a_run_that_steers_itself_goes_straight_into_the_fight() {
    let (mut app, _, _) = local_game(&[]);
    app.update();
    assert_eq!(page(&app), Page::Play);
}
