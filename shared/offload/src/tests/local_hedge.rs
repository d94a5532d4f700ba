//! A task at the coordinator is hedged only while frames leave room, and within a budget; a kind whose answers
//! keep coming late is first asked for farther ahead.

use super::*;

/// Time enough for a mean over frames to settle.
const SETTLED: usize = 300;

fn horizon(game: &Game) -> Duration {
    game.app.world().resource::<OffloadHorizon>().of::<Twice>()
}

#[test]
fn while_frames_are_long_nothing_that_is_out_is_computed_here() {
    let mut game = Game::new();
    game.app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(50)));
    game.frames(SETTLED);
    game.ask_for(21);
    let task = game.submit().task;
    // 200 ms are four frames.
    game.frames(12);
    assert_eq!((game.got().done.len(), game.totals().late), (0, 1));
    game.say(done(task, 42));
    game.frame();
    assert_eq!(game.outcome().place, Place::Worker { name: "w1".into() });
    assert!(game.outcome().late);
    assert_eq!((game.totals().local, game.totals().wasted), (0, 0));
    // A task that the coordinator refuses is still computed here.
    game.ask_for(22);
    let task = game.submit().task;
    game.refuse(task, Refusal::NoWorker);
    game.frames(3);
    assert_eq!(game.got().done[1].place, Place::Local);
}

#[test]
fn room_is_what_the_frames_budget_leaves() {
    let computed_here = |frame_ms: u64, budget_ms: u64| {
        let mut game = Game::new();
        game.app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(frame_ms)));
        game.app.insert_resource(OffloadFrameBudget(Duration::from_millis(budget_ms)));
        game.frames(SETTLED);
        game.ask_for(21);
        assert_eq!(game.submits().len(), 1);
        game.frames(20);
        game.totals().local == 1
    };
    assert!(computed_here(17, 17) && computed_here(18, 17), "frames that the screen shows in time");
    assert!(!computed_here(20, 17), "a player at 60 frames a second who has 50");
    assert!(computed_here(33, 33), "a player who wants no more than 30");
    assert!(!computed_here(17, 7), "a screen with 144");
}

#[test]
fn a_silent_coordinator_is_asked_farther_ahead_and_then_left_alone() {
    let mut game = Game::new();
    let mut sent = Vec::new();
    for number in 0..120 {
        let ahead = horizon(&game).max(Duration::from_millis(200));
        game.ask(Offloading::new(spec(number % 90), Blobs::default()).deadline(ahead));
        sent.push(game.submits().len());
        game.frames(20);
    }
    game.frames(500);
    let totals = game.totals();
    assert_eq!((totals.submitted, totals.open), (120, 0), "{totals:?}");
    assert!(horizon(&game) == crate::HORIZON_MAX, "{:?}", horizon(&game));
    let stayed = sent.iter().filter(|sent| **sent == 0).count();
    assert!(stayed > 40, "{stayed} of 120 were not even sent");
    assert_eq!(totals.local, 120);
}

#[test]
fn answers_that_come_late_widen_the_horizon_until_they_come_in_time() {
    let mut game = Game::with(
        settings(),
        OffloadConfig { local: LocalCompute::Simulated { takes: Duration::from_secs(3) }, ..config() },
    );
    let mut late = Vec::new();
    let mut under_way = std::collections::VecDeque::new();
    for frame in 0..4_000_u64 {
        if frame % 20 == 0 {
            let ahead = horizon(&game).max(Duration::from_millis(200));
            game.ask(Offloading::new(spec(frame), Blobs::default()).deadline(ahead));
            under_way.extend(game.submits().iter().map(|submit| (frame + 60, submit.task)));
        } else {
            game.frame();
        }
        while under_way.front().is_some_and(|(at, _)| *at <= frame) {
            let (_, task) = under_way.pop_front().expect("one is there");
            game.say(done(task, 0));
        }
        late.push(game.totals().late);
    }
    assert!(
        late[300] > 0 && late[3_999] == late[1_000],
        "late: {} of {}",
        late[3_999],
        game.totals().submitted
    );
    assert!(game.totals().wasted * 20 <= game.totals().submitted);
    let ahead = horizon(&game);
    assert!(ahead > Duration::from_millis(600) && ahead < Duration::from_millis(900), "{ahead:?}");
}
