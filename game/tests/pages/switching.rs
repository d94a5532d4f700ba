//! What T, R and F6 change while playing, and the rows of the menu for the same settings.

use super::*;

/// What the row says.
fn value(app: &App, row: Row) -> &str {
    let item = menu(app).items.iter().find(|item| item.verb == MenuAction::Turn(row));
    item.and_then(|item| item.value.as_deref()).expect("a row with a value")
}

/// From play to the page of borrowing.
fn to_borrowing(app: &mut App) {
    press(app, KeyCode::KeyP);
    choose(app, MenuAction::Go(Page::Settings));
    choose(app, MenuAction::Go(Page::Borrowing));
}

/// From the page of borrowing back to play.
fn back_to_play(app: &mut App) {
    for _ in 0..3 {
        nudge(app, Nudge::Back);
    }
    assert_eq!(page(app), Page::Play);
}

fn is_on(app: &App) -> bool {
    app.world().resource::<OffloadSwitch>().enabled
}

#[test]
fn what_t_has_switched_the_menu_says_and_switches_back() {
    let mut app = in_a_round();
    press(&mut app, KeyCode::KeyT);
    assert!(!is_on(&app));
    to_borrowing(&mut app);
    assert!(value(&app, Row::Offload).starts_with("no"), "{}", value(&app, Row::Offload));
    choose(&mut app, MenuAction::Turn(Row::Offload));
    assert_eq!((is_on(&app), value(&app, Row::Offload)), (true, "yes"));
    choose(&mut app, MenuAction::Turn(Row::Offload));
    back_to_play(&mut app);
    assert!(!is_on(&app));
    press(&mut app, KeyCode::KeyT);
    assert!(is_on(&app), "and T switches back what the menu has switched");
}

#[test]
fn what_r_has_switched_the_menu_says_and_switches_back() {
    /// Whether light is asked for.
    fn is_lit(app: &mut App) -> bool {
        let asked = |app: &App| app.world().resource::<OffloadTotals>().kinds["reflection"].submitted;
        let before = asked(app);
        play(app, 60);
        asked(app) > before
    }
    let mut app = in_a_round();
    assert!(is_lit(&mut app));
    press(&mut app, KeyCode::KeyR);
    assert!(!is_lit(&mut app));
    to_borrowing(&mut app);
    let off = value(&app, Row::Mirrors).to_owned();
    choose(&mut app, MenuAction::Turn(Row::Mirrors));
    assert_ne!(value(&app, Row::Mirrors), off);
    back_to_play(&mut app);
    assert!(is_lit(&mut app), "after one press");
}

#[test]
fn what_keys_change_in_play_is_there_in_the_next_run_and_what_the_clock_changes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let start = |arguments: &[&str]| {
        let (mut app, _, _) =
            local_game(&[&["--page", "title", "--settings", path.as_str()], arguments].concat());
        play(&mut app, 3);
        app
    };
    let mut app = start(&["--flip-every", "1"]);
    play(&mut app, 80);
    assert!(!is_on(&app), "T was pressed by the clock");
    app.world_mut().resource_mut::<Settings>().sound.music = 10;
    play(&mut app, 2);
    drop(app);
    let mut app = start(&[]);
    assert!(is_on(&app) && settings(&app).sound.music == 10);
    choose(&mut app, MenuAction::Begin);
    for key in [KeyCode::KeyT, KeyCode::KeyR, KeyCode::F6] {
        press(&mut app, key);
    }
    let preset = settings(&app).borrowing.preset;
    drop(app);
    let app = start(&[]);
    assert!(!is_on(&app) && !settings(&app).borrowing.mirrors);
    assert_eq!(
        (settings(&app).borrowing.preset, preset),
        (preset, Settings::default().borrowing.preset.next())
    );
}
