//! What a coordinator is paid while a round goes on, and while it stands still.

use p2c2r_link::MemoryHub;
use p2c2r_protocol::Nanos;

use super::coordinator::NearCoordinator;
use super::*;

/// Frames after which every task that was under way has ended.
const UNTIL_CALM: u32 = 180;
/// Frames of a long pause.
const PAUSE: u32 = 900;

#[test]
fn nothing_is_charged_during_a_pause_however_long_it_is() {
    let hub = MemoryHub::new();
    hub.set_credit(Nanos::DOLLAR);
    let mut coordinator = NearCoordinator::start(&hub, FRAME);
    let (mut app, _, _) = linked_game(&["--page", "title"], Some(ClientTransport::Memory(hub)));
    coordinator.play_with(&mut app, 120);
    assert!(app.world().resource::<OffloadState>().is_remote());
    assert_eq!(coordinator.charged(), Nanos(0), "nothing is asked for behind the title");
    choose(&mut app, MenuAction::Begin);
    coordinator.play_with(&mut app, 400);
    assert!(coordinator.charged() > Nanos(0), "play is paid for");

    press(&mut app, KeyCode::Escape);
    assert_eq!(page(&app), Page::Paused);
    coordinator.play_with(&mut app, UNTIL_CALM);
    let stopped = coordinator.charged();
    coordinator.play_with(&mut app, PAUSE);
    assert_eq!(coordinator.charged(), stopped);
    assert!(app.world().resource::<OffloadState>().is_remote(), "nobody has gone meanwhile");

    choose(&mut app, MenuAction::Resume);
    coordinator.play_with(&mut app, 120);
    assert!(coordinator.charged() > stopped, "and it goes on");
}

#[test]
fn the_cap_on_an_hour_is_reached_by_what_the_run_before_has_spent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let hub = MemoryHub::new();
    hub.set_credit(Nanos::DOLLAR);
    let mut coordinator = NearCoordinator::start(&hub, FRAME);
    let mut spend_for = |frames: u32, cap: Option<Nanos>| {
        let (mut app, _, _) = linked_game(
            &["--page", "title", "--settings", &path],
            Some(ClientTransport::Memory(hub.clone())),
        );
        coordinator.play_with(&mut app, 120);
        if let Some(cap) = cap {
            app.world_mut().resource_mut::<OffloadCaps>().hour = Some(cap);
        }
        choose(&mut app, MenuAction::Begin);
        coordinator.play_with(&mut app, frames);
        let mode = app.world().resource::<OffloadState>().mode.clone();
        app.world_mut().write_message(AppExit::Success);
        coordinator.play_with(&mut app, 2);
        (app.world().resource::<OffloadTotals>().cost_nanos, mode)
    };
    let (spent, _) = spend_for(400, None);
    assert!(spent > Nanos(0));
    let (again, mode) = spend_for(400, Some(spent));
    assert_eq!((again, mode), (Nanos(0), OffloadMode::Local(LocalReason::HourCap { cap: spent })));
    let (more, _) = spend_for(400, Some(spent + spent));
    assert!(more > Nanos(0) && more <= spent, "{more} of {spent}");
}

#[test]
fn the_cap_on_an_hour_is_for_both_of_two_games_that_run_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let hub = MemoryHub::new();
    hub.set_credit(Nanos::DOLLAR);
    let mut coordinator = NearCoordinator::start(&hub, FRAME);
    let mut games = [(); 2].map(|()| {
        let transport = Some(ClientTransport::Memory(hub.clone()));
        linked_game(&["--page", "title", "--autopilot", "--settings", &path], transport).0
    });
    let mut play_both = |games: &mut [App; 2], frames: u32| {
        for _ in 0..frames {
            games[0].update();
            coordinator.play_with(&mut games[1], 1);
        }
    };
    play_both(&mut games, 120);
    let spent = |games: &[App; 2]| -> Vec<Nanos> {
        games.iter().map(|game| game.world().resource::<OffloadTotals>().cost_nanos).collect()
    };
    // What one of them spends in some seconds.
    choose(&mut games[0], MenuAction::Begin);
    play_both(&mut games, 400);
    let cap = Nanos(spent(&games)[0].0 * 3);
    assert!(cap > Nanos(0));
    for game in &mut games {
        game.world_mut().resource_mut::<OffloadCaps>().hour = Some(cap);
    }
    choose(&mut games[1], MenuAction::Begin);
    play_both(&mut games, 3_000);
    let spent = spent(&games);
    assert!(spent[0] + spent[1] <= cap, "{spent:?} of {cap} together");
    assert!(spent[0] + spent[1] > Nanos(cap.0 * 4 / 5), "{spent:?} of {cap} together");
    assert!(spent[1] > Nanos(cap.0 / 5), "both have a part: {spent:?}");
}
