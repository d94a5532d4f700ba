//! Rounds as the pages begin and end them, and what stands still behind a page.

use super::*;

/// Frames behind a page after which every task that was under way has ended.
const UNTIL_CALM: u32 = 60;

fn submitted(app: &App) -> u64 {
    app.world().resource::<OffloadTotals>().kinds.values().map(|kind| kind.submitted).sum()
}

fn tick(app: &App) -> u64 {
    app.world().resource::<Battlefield>().arena.tick()
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
    let (mut app, _, _) = local_game(&["--page", "title", "--autopilot"]);
    play(&mut app, 3);
    for _ in 0..2 {
        let place =
            menu(&app).items.iter().position(|item| item.verb == MenuAction::Turn(Row::Difficulty)).unwrap();
        nudge(&mut app, Nudge::Point(place));
        nudge(&mut app, Nudge::Right);
    }
    choose(&mut app, MenuAction::Begin);
    let lives = app.world().resource::<Battlefield>().arena.lives();
    assert_eq!(lives, ArenaConfig::of(Difficulty::Ace).ship.lives);
    play(&mut app, 120);
    assert_eq!(page(&app), Page::Play);
    for _ in 0..60 * 60 {
        fly_recklessly(&mut app, 9);
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
    lose(&mut app);
    play(&mut app, 4);
    assert_eq!(page(&app), Page::Play, "the last ship's end is seen before a page covers it");
    press(&mut app, KeyCode::Space);
    play(&mut app, 80);
    assert_eq!(page(&app), Page::RoundOver);
    press(&mut app, KeyCode::Space);
    assert_eq!(page(&app), Page::RoundOver);
    play(&mut app, 60);
    press(&mut app, KeyCode::Space);
    assert_eq!(page(&app), Page::Play, "and then it plays again");
}

#[test]
fn a_round_that_no_menu_began_ends_with_the_difficulty_that_it_had() {
    let (mut app, _, _) = local_game(&["--difficulty", "ace"]);
    app.update();
    lose(&mut app);
    play(&mut app, 3);
    assert_eq!(app.world().resource::<LastRound>().difficulty, Difficulty::Ace);
}

#[test]
fn the_end_of_a_round_says_what_destroyed_the_last_ship() {
    let mut app = on_title();
    app.world_mut().resource_mut::<Settings>().difficulty = Difficulty::Ace;
    choose(&mut app, MenuAction::Begin);
    app.world_mut().write_message(Happened(ArenaEvent::ShipLost {
        at: p2c2r_arena::Vec2::ZERO,
        lives: 0,
        by: Harm::Crashed,
        from: p2c2r_arena::Vec2::FORWARD,
    }));
    lose(&mut app);
    play(&mut app, 90);
    assert_eq!(page(&app), Page::RoundOver);
    let lines = &menu(&app).lines;
    assert!(lines.iter().any(|line| line.contains("You flew into a rock too fast")), "{lines:?}");
}

#[test]
fn a_round_in_which_the_autopilot_flew_is_not_kept_although_the_player_flew_its_end() {
    let mut app = in_a_hard_round();
    for _ in 0..2 {
        press(&mut app, KeyCode::F5);
        play(&mut app, 10);
    }
    score_and_lose(&mut app);
    let difficulty = app.world().resource::<LastRound>().difficulty;
    assert_eq!(app.world().resource::<Scores>().table(difficulty), []);
    let lines = &menu(&app).lines;
    assert!(lines.iter().any(|line| line.contains("not kept")), "{lines:?}");
    // The next one is the player's.
    play(&mut app, 60);
    choose(&mut app, MenuAction::Begin);
    score_and_lose(&mut app);
    assert_eq!(app.world().resource::<Scores>().table(difficulty).len(), 1);
}

#[test]
fn the_next_round_is_the_players_although_the_autopilot_flew_when_the_last_was_ended() {
    let mut app = in_a_hard_round();
    let before = ship(&app).heading;
    press(&mut app, KeyCode::F5);
    let mut frames = 0;
    while ship(&app).heading == before {
        play(&mut app, 1);
        frames += 1;
        assert!(frames < 1_200, "the autopilot does not fly");
    }
    press(&mut app, KeyCode::Escape);
    choose(&mut app, MenuAction::GiveUp);
    choose(&mut app, MenuAction::Begin);
    let before = ship(&app);
    play(&mut app, 60);
    let after = ship(&app);
    assert!(!after.thrusting && after.heading == before.heading, "{after:?}");
}

#[test]
fn the_end_of_a_round_says_why_nobody_was_borrowed_from() {
    for (key, said) in [(None, "type a join link"), (Some(KeyCode::KeyT), "Borrowing is switched off")] {
        let mut app = in_a_hard_round();
        if let Some(key) = key {
            press(&mut app, key);
        }
        score_and_lose(&mut app);
        let lines = &menu(&app).lines;
        assert!(lines.last().is_some_and(|line| line.contains(said)), "{lines:?}");
    }
}

#[test]
fn another_table_of_best_rounds_is_looked_at_without_changing_what_is_played() {
    let mut app = on_title();
    let before = settings(&app).clone();
    let shown = |app: &App| menu(app).lines.join("\n");
    choose(&mut app, MenuAction::Go(Page::Scores));
    assert!(shown(&app).contains(before.difficulty.label()), "{}", shown(&app));
    nudge(&mut app, Nudge::Right);
    assert!(!shown(&app).contains(before.difficulty.label()), "{}", shown(&app));
    assert_eq!(*settings(&app), before);
    // After a round, its own.
    nudge(&mut app, Nudge::Back);
    app.world_mut().resource_mut::<Settings>().difficulty = Difficulty::Ace;
    choose(&mut app, MenuAction::Begin);
    score_and_lose(&mut app);
    app.world_mut().resource_mut::<Settings>().difficulty = Difficulty::Cadet;
    play(&mut app, 60);
    choose(&mut app, MenuAction::Go(Page::Scores));
    assert!(shown(&app).starts_with("As ace"), "{}", shown(&app));
}
