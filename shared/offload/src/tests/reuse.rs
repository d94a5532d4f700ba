//! The last rung: the game uses the last outcome, knows its age, and never replaces it by an older one.

use bevy_diagnostic::DiagnosticsStore;
use p2c2r_protocol::TaskFailure;

use super::*;
use crate::diagnostics::KindPaths;

fn reusing() -> KindSettings {
    KindSettings { late: OnLate::Reuse, ..settings() }
}

/// A computer on which a task of [`spec`] takes half a second, for a deadline of 200 ms.
fn weak() -> OffloadConfig {
    OffloadConfig { local: LocalCompute::Simulated { takes: Duration::from_millis(500) }, ..config() }
}

/// The last outcome, where it came from, and how old it is.
fn last(game: &Game) -> Option<(u64, Place, Duration)> {
    let last = game.app.world().resource::<LastOutcome<Twice>>();
    let age = last.age(game.now().into())?;
    Some((**last.outcome()?, last.place()?.clone(), age))
}

fn worker() -> Place {
    Place::Worker { name: "w1".into() }
}

/// Asks for `number` and answers it as a worker after `frames` frames.
fn answered(game: &mut Game, number: u64, frames: usize) {
    game.ask_for(number);
    let task = game.submit().task;
    game.frames(frames - 1);
    game.say(done(task, 2 * number));
    game.frame();
}

#[test]
fn at_the_deadline_the_last_outcome_steps_in_and_nothing_is_computed_here() {
    let mut game = Game::with(reusing(), config());
    assert_eq!(last(&game), None);
    answered(&mut game, 1, 3);
    assert_eq!(last(&game), Some((2, worker(), 3 * FRAME)));
    game.ask_for(2);
    let task = game.submit().task;
    game.frames(20);
    assert!(game.got().failed.is_empty(), "the coordinator has its time");
    game.frame();
    let failure = game.failure();
    // Asked 3 frames before it came, then a frame to ask again and 21 to give up.
    assert_eq!((&failure.reason, failure.reused), (&FailReason::Late, Some(25 * FRAME)));
    assert_eq!(game.cancels(), [task]);
    assert_eq!(last(&game), Some((2, worker(), 25 * FRAME)));
    game.frames(100);
    let totals = game.totals();
    assert_eq!((totals.reused, totals.failed, totals.late, totals.local), (1, 0, 1, 0));
}

#[test]
fn without_an_outcome_to_reuse_a_missing_one_is_a_failure() {
    let mut game = Game::with(reusing(), config());
    game.ask_for(1);
    game.frames(21);
    assert_eq!((&game.failure().reason, game.failure().reused), (&FailReason::Late, None));
    assert_eq!((game.totals().reused, game.totals().failed), (0, 1));
}

#[test]
fn a_spec_that_nobody_can_compute_is_a_failure_whatever_there_is_to_reuse() {
    let mut game = Game::with(reusing(), config());
    answered(&mut game, 1, 3);
    game.ask_for(u64::MAX);
    game.frame();
    assert!(matches!(game.failure(), OffloadFailed { reason: FailReason::BadSpec(_), reused: None, .. }));
    game.switch().enabled = false;
    game.ask(Offloading::new(TwiceSpec { panics: true, ..spec(1) }, Blobs::default()));
    game.frames(3);
    assert!(matches!(
        game.got().failed[1],
        OffloadFailed { reason: FailReason::Kernel(_), reused: None, .. }
    ));
    assert_eq!((game.totals().failed, game.totals().reused), (2, 0));
}

#[test]
fn the_last_outcome_is_used_for_a_task_that_is_out_of_fuel_here() {
    let mut game = Game::with(reusing(), config());
    answered(&mut game, 1, 3);
    game.switch().enabled = false;
    game.ask_for(OUT_OF_FUEL_NUMBER);
    game.frames(3);
    assert_eq!(game.failure().reason, FailReason::OutOfFuel);
    assert!(game.failure().reused.is_some());
    assert_eq!((game.totals().reused, game.totals().failed), (1, 0));
}

#[test]
fn an_outcome_that_was_overtaken_is_delivered_and_paid_but_is_not_the_last() {
    let mut game = Game::with(reusing(), config());
    game.ask_for(1);
    let first = game.submit().task;
    game.ask_for(2);
    let second = game.submit().task;
    game.say(done(second, 4));
    game.frame();
    assert_eq!(last(&game), Some((4, worker(), FRAME)));
    game.say(done(first, 2));
    game.frame();
    assert_eq!(last(&game), Some((4, worker(), 2 * FRAME)), "never back in time");
    assert_eq!(*game.got().done[1].outcome, 2);
    assert_eq!((game.totals().remote, game.totals().cost_nanos), (2, Nanos(2 * PRICE.0)));
}

#[test]
fn an_outcome_that_comes_after_its_task_gave_way_is_news_unless_a_newer_one_was_there() {
    let mut game = Game::with(reusing(), config());
    answered(&mut game, 1, 3);
    let ask_in_vain = |game: &mut Game, number| {
        game.ask_for(number);
        let task = game.submit().task;
        game.frames(21);
        task
    };
    let second = ask_in_vain(&mut game, 2);
    let third = ask_in_vain(&mut game, 3);
    game.say(done(third, 6));
    game.frame();
    assert_eq!(last(&game), Some((6, worker(), 22 * FRAME)));
    assert_eq!((game.totals().reused, game.totals().wasted), (2, 0));
    // The older one arrives last, and twice; a task that has ended does not end again.
    game.say(done(second, 4));
    game.say(done(third, 7));
    game.frame();
    assert_eq!(last(&game), Some((6, worker(), 23 * FRAME)));
    assert_eq!((game.totals().wasted, game.stray(), game.totals().remote), (1, 1, 1));
    assert_eq!((game.got().done.len(), game.got().failed.len()), (1, 2));
    assert_eq!(game.totals().cost_nanos, Nanos(3 * PRICE.0), "all three are paid for");
}

#[test]
fn a_task_taken_back_does_not_become_the_last_outcome() {
    let mut game = Game::with(reusing(), config());
    let entity = game.ask_for(1);
    let task = game.submit().task;
    game.during_update(move |world| {
        world.despawn(entity);
    });
    game.say(done(task, 2));
    game.frame();
    assert_eq!((last(&game), game.totals().wasted), (None, 1));
}

#[test]
fn a_refused_task_is_computed_here_one_at_a_time() {
    let mut game = Game::with(reusing(), config());
    answered(&mut game, 1, 1);
    let ask_in_vain = |game: &mut Game, number| {
        game.ask_for(number);
        let task = game.submit().task;
        let failure = TaskFailure::NoWorker;
        game.say(ServerToGame::Failed { task, failure });
    };
    // The first is computed in two frames, the second finds it running, the third comes after it.
    ask_in_vain(&mut game, 2);
    ask_in_vain(&mut game, 3);
    game.frames(3);
    assert_eq!(last(&game), Some((4, Place::Local, 4 * FRAME)));
    ask_in_vain(&mut game, 4);
    game.frames(3);
    assert_eq!(last(&game), Some((8, Place::Local, 3 * FRAME)));
    let totals = game.totals();
    assert_eq!((totals.local, totals.reused, totals.rejected, totals.failed), (2, 1, 3, 0));
    assert_eq!(game.failure().reason, FailReason::Busy);
}

#[test]
fn a_weak_computer_without_a_coordinator_computes_what_it_can_and_falls_no_further_behind() {
    let mut game = Game::with(reusing(), weak());
    game.switch().enabled = false;
    let mut oldest = Duration::ZERO;
    // Six seconds of a task every 100 ms, each of which takes half a second here.
    for number in 0..60 {
        game.ask_for(number);
        game.frames(9);
        assert!(game.totals().open <= 1, "more than one under way");
        if let Some((_, _, age)) = last(&game) {
            oldest = oldest.max(age);
        }
    }
    let totals = game.totals();
    assert!(totals.local >= 10, "{totals:?}");
    // Half a second to compute, up to that long until the next, and up to a task's interval between.
    assert!(oldest <= Duration::from_millis(1_200), "what is shown became {oldest:?} old");
    assert!(game.got().done.iter().all(|done| done.late && done.latency <= Duration::from_millis(510)));
    assert_eq!(totals.local + totals.reused + totals.failed + totals.open, 60);
    assert_eq!(totals.failed, 4, "only those before the first outcome");
}

#[test]
fn switching_off_and_losing_the_link_leave_one_local_task_and_reuse_for_the_others() {
    let leave: [fn(&mut Game); 2] = [|game| game.lose_link(), |game| game.switch().enabled = false];
    for leave in leave {
        let mut game = Game::with(reusing(), config());
        answered(&mut game, 1, 1);
        for number in 2..6 {
            game.ask_for(number);
        }
        leave(&mut game);
        game.frames(4);
        let totals = game.totals();
        assert_eq!((totals.local, totals.reused, totals.failed, totals.open), (1, 3, 0, 0));
        assert_eq!(last(&game).unwrap().0, 10, "the newest is the one that is computed");
    }
}

#[test]
fn patient_tasks_are_all_computed_when_the_link_is_lost() {
    let mut game = Game::with(reusing(), config());
    answered(&mut game, 1, 1);
    for number in 2..5 {
        game.ask(Offloading::new(spec(number), Blobs::default()).patient());
    }
    game.lose_link();
    game.frames(12);
    let totals = game.totals();
    assert_eq!((totals.local, totals.reused, totals.failed, totals.open), (3, 0, 0, 0));
}

#[test]
fn other_kinds_of_ladder_keep_the_last_outcome_too() {
    let mut game = Game::new();
    game.ask_for(21);
    game.frames(20);
    assert_eq!(game.outcome().place, Place::Local);
    let latency = game.outcome().latency;
    let (outcome, place, age) = last(&game).unwrap();
    assert_eq!((outcome, place), (42, Place::Local));
    assert!(age >= latency);
    assert_eq!(game.totals().reused, 0);
}

#[test]
fn the_age_is_published_and_grows_while_nothing_comes() {
    let value = |game: &Game| {
        let paths = KindPaths::of::<Twice>();
        let store = game.app.world().resource::<DiagnosticsStore>();
        let value = |path| store.get(path).expect("registered").value();
        (value(&paths.age_ms), value(&paths.reused_percent))
    };
    let mut game = Game::with(reusing(), config());
    assert_eq!(value(&game), (None, None));
    answered(&mut game, 1, 3);
    game.ask_for(2);
    let mut ages = Vec::new();
    for _ in 0..4 {
        game.frames(50);
        ages.push(value(&game).0.unwrap());
    }
    assert!(ages.windows(2).all(|pair| pair[1] == pair[0] + 500.0), "{ages:?}");
    let exact = last(&game).unwrap().2.as_secs_f64() * 1e3;
    assert!(ages[3] <= exact && exact < ages[3] + 500.0, "{ages:?}, really {exact}");
    assert_eq!(value(&game).1, Some(50.0));
    // After the window the shares are unknown, but the age keeps growing.
    game.frames(1_100);
    assert_eq!(value(&game).1, None);
    assert!(value(&game).0.unwrap() >= ages[3] + 10_500.0);
    answered(&mut game, 3, 2);
    game.frames(50);
    assert!(value(&game).0.unwrap() <= 520.0);
}

#[test]
fn one_task_may_reuse_where_its_kind_computes() {
    let mut game = Game::new();
    answered(&mut game, 1, 1);
    game.ask(Offloading::new(spec(2), Blobs::default()).on_late(OnLate::Reuse));
    game.ask_for(3);
    game.frames(22);
    assert_eq!((game.totals().reused, game.totals().local), (1, 1));
}
