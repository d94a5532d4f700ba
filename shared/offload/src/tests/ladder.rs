//! The rungs: coordinator, local compute in time, late.

use super::*;
use p2c2r_protocol::TaskFailure;

#[test]
fn a_remote_outcome_arrives_with_a_receipt_that_tiles_its_latency() {
    let mut game = Game::new();
    let entity = game.ask_for(21);
    let submit = game.submit();
    assert_eq!(submit.sent_at, game.now(), "what Update asks for leaves in the same frame");
    assert_eq!((submit.client_queue_us, submit.budget_us), (0, Some(200_000)));
    assert_eq!((submit.kind, submit.kernel_version, submit.price_cap), (Twice::ID, 3, Nanos(1_000)));
    assert_eq!(Twice::decode_spec(&submit.spec).unwrap(), spec(21));
    game.frames(2);
    game.say(done(submit.task, 42));
    game.frame();
    let done = game.outcome();
    assert_eq!((done.entity, *done.outcome, done.late), (entity, 42, false));
    assert_eq!(done.place, Place::Worker { name: "w1".into() });
    assert_eq!(done.latency, 3 * FRAME);
    let receipt = done.receipt.as_ref().unwrap();
    assert_eq!(receipt.stages.total_us(), 30_000);
    assert_eq!((receipt.stages.kernel_us, receipt.stages.judge_us), (8_000, 500));
    assert!(game.app.world().get::<Offloading<Twice>>(entity).is_none(), "the component goes with the task");
    let totals = game.totals();
    assert_eq!((totals.submitted, totals.remote, totals.local, totals.late), (1, 1, 0, 0));
    assert!(game.cancels().is_empty());
}

#[test]
fn places_are_told_apart() {
    let mut game = Game::new();
    for (by, place) in [
        (ComputedBy::Coordinator, Place::Coordinator),
        (ComputedBy::Cache(Some("w2".into())), Place::Cache),
        (ComputedBy::Cache(None), Place::Cache),
    ] {
        game.ask_for(1);
        let task = game.submit().task;
        game.say(done_by(task, 2, by));
        game.frame();
        assert_eq!(game.got().done.last().unwrap().place, place);
    }
    let totals = game.totals();
    assert_eq!((totals.coordinator, totals.cache, totals.remote), (1, 2, 0));
}

#[test]
fn a_refused_task_is_computed_locally_at_once() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.refuse(task, Refusal::TooLate { predicted_us: 9 });
    // Refused in this frame, computed in the next 20 ms, seen at the frame after.
    game.frames(3);
    let done = game.outcome();
    assert_eq!((*done.outcome, done.place.clone(), done.late), (42, Place::Local, false));
    assert_eq!(done.latency, 3 * FRAME);
    assert!(done.receipt.is_none());
    assert_eq!((game.totals().rejected, game.totals().local), (1, 1));
}

#[test]
fn a_failed_task_is_computed_locally_at_once() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.say(ServerToGame::Failed { task, failure: TaskFailure::NoWorker });
    game.frames(3);
    assert_eq!((game.outcome().place.clone(), game.outcome().latency), (Place::Local, 3 * FRAME));
    assert_eq!(game.totals().rejected, 1);
}

#[test]
fn silence_starts_local_compute_just_in_time_and_takes_the_task_back() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    let mut frames = 0;
    while game.got().done.is_empty() {
        assert!(game.cancels().is_empty(), "the coordinator has its time");
        game.frame();
        frames += 1;
    }
    let done = game.outcome();
    assert_eq!((done.place.clone(), done.late), (Place::Local, false));
    // 200 ms less 20 ms of compute, less a frame to see the outcome and a frame of margin.
    assert!((18..=20).contains(&frames), "after {frames} frames");
    assert_eq!(game.cancels(), [task]);
    assert_eq!((game.totals().late, game.totals().local), (0, 1));
}

#[test]
fn the_remote_outcome_after_the_local_one_is_counted_and_ignored() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    while game.got().done.is_empty() {
        game.frame();
    }
    game.say(done(task, 42));
    game.say(done(task, 42));
    game.frames(3);
    assert_eq!(game.outcome().place, Place::Local);
    let totals = game.totals();
    assert_eq!((totals.wasted, totals.remote, game.stray()), (1, 0, 1));
    // It was charged all the same, and the totals show that.
    assert_eq!(totals.cost_nanos, PRICE);
}

#[test]
fn the_remote_outcome_calls_local_compute_off() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.frames(17);
    game.say(done(task, 42));
    game.frames(10);
    assert_eq!(game.outcome().place, Place::Worker { name: "w1".into() });
    assert_eq!(game.totals().delivered(), 1);
}

#[test]
fn a_duplicate_of_a_remote_outcome_is_counted_and_ignored() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.say(done(task, 42));
    game.say(done(task, 43));
    game.frame();
    game.say(done(task, 44));
    game.frame();
    assert_eq!(*game.outcome().outcome, 42);
    assert_eq!((game.stray(), game.totals().cost_nanos), (2, PRICE));
}

#[test]
fn a_task_too_slow_for_local_compute_waits_for_the_coordinator_until_its_deadline() {
    let mut game = Game::new();
    let slow = TwiceSpec { units: 300_000, ..spec(21) };
    game.ask(Offloading::new(slow.clone(), Blobs::default()).price_cap(Nanos(10_000)));
    let task = game.submit().task;
    game.frames(19);
    game.say(done(task, 42));
    game.frame();
    assert!(!game.outcome().late, "exactly at the deadline is in time");
    assert_eq!(game.totals().wasted, 0);
    // A silent coordinator: local compute starts at the deadline, so the outcome is late.
    game.ask(Offloading::new(slow, Blobs::default()).price_cap(Nanos(10_000)));
    game.frames(23);
    let done = game.got().done.last().unwrap();
    assert_eq!((done.place.clone(), done.late, game.totals().late), (Place::Local, true, 1));
}

#[test]
fn a_late_remote_outcome_is_taken_while_there_is_no_local_one() {
    let mut game = Game::with(
        settings(),
        OffloadConfig { local: LocalCompute::Simulated { takes: Duration::from_millis(500) }, ..config() },
    );
    game.ask(Offloading::new(spec(21), Blobs::default()));
    let task = game.submit().task;
    game.frames(24);
    game.say(done(task, 42));
    game.frame();
    assert_eq!(
        (game.outcome().place.clone(), game.outcome().late),
        (Place::Worker { name: "w1".into() }, true)
    );
    assert_eq!(game.totals().late, 1);
    game.frames(60);
    assert_eq!(game.totals().delivered(), 1);
}

#[test]
fn a_task_to_be_dropped_fails_at_its_deadline_and_when_refused() {
    let mut game = Game::with(KindSettings { late: OnLate::Drop, ..settings() }, config());
    game.ask_for(1);
    let task = game.submit().task;
    game.frames(20);
    assert!(game.got().failed.is_empty());
    game.frame();
    assert_eq!(game.failure().reason, FailReason::Late);
    assert_eq!(game.cancels(), [task]);
    game.say(done(task, 2));
    game.ask_for(2);
    let task = game.submit().task;
    game.refuse(task, Refusal::NoWorker);
    game.frames(5);
    assert!(matches!(game.got().failed[1].reason, FailReason::Refused(_)));
    assert_eq!((game.totals().failed, game.totals().wasted, game.totals().delivered()), (2, 1, 0));
}

#[test]
fn a_patient_task_waits_as_long_as_it_takes() {
    let mut game = Game::new();
    game.ask(Offloading::new(spec(21), Blobs::default()).patient());
    let submit = game.submit();
    assert_eq!(submit.budget_us, None);
    game.frames(10_000);
    game.say(done(submit.task, 42));
    game.frame();
    assert!(!game.outcome().late);
    assert_eq!(game.totals().local, 0);
}

#[test]
fn the_ladder_learns_how_fast_this_computer_is() {
    // A unit takes a tenth of its calibrated time: local compute can start 18 ms later.
    let mut game = Game::with(
        settings(),
        OffloadConfig { local: LocalCompute::Simulated { takes: FRAME / 5 }, ..config() },
    );
    for number in 0..60 {
        game.switch().enabled = number >= 50;
        game.ask_for(number);
        game.frames(30);
    }
    let latency = game.got().done.last().unwrap().latency;
    assert!(latency >= 19 * FRAME, "{latency:?}");
    assert_eq!(game.totals().late, 0);
}
