//! A coordinator that lies, sends nonsense or forgets on purpose.

use super::*;
use p2c2r_protocol::TaskFailure;

#[test]
fn a_malformed_outcome_is_computed_locally_and_counted() {
    for outcome in [vec![255], vec![255; 3], vec![1, 2, 3]] {
        let mut game = Game::new();
        game.ask_for(21);
        let task = game.submit().task;
        let receipt = receipt(ComputedBy::Coordinator);
        game.say(ServerToGame::Done(Done { task, outcome: outcome.into(), receipt }));
        game.frames(3);
        assert_eq!((*game.outcome().outcome, game.outcome().place.clone()), (42, Place::Local));
        assert_eq!((game.totals().malformed, game.totals().rejected), (1, 1));
    }
}

#[test]
fn a_lie_that_a_task_is_out_of_fuel_fails_no_task_that_can_be_computed_here() {
    let mut game = Game::new();
    for number in 1..=3 {
        game.ask_for(number);
        let task = game.submit().task;
        game.say(out_of_fuel(task));
        game.frames(3);
    }
    let outcomes: Vec<u64> = game.got().done.iter().map(|done| *done.outcome).collect();
    assert_eq!((outcomes, game.got().failed.len()), (vec![2, 4, 6], 0));
    assert_eq!((game.totals().local, game.totals().rejected, game.totals().malformed), (3, 3, 0));
}

#[test]
fn words_about_unknown_tasks_are_counted_and_ignored() {
    let mut game = Game::new();
    let task = TaskId(u64::from(SESSION) << 32 | 0x4D);
    game.say(done(task, 1));
    game.refuse(task, Refusal::NoWorker);
    game.refuse(task, Refusal::BlobsMissing { missing: vec![Digest([1; 32])] });
    game.say(ServerToGame::Failed { task, failure: TaskFailure::Late });
    game.frame();
    assert_eq!(game.stray(), 4);
    game.ask_for(1);
    assert_eq!(game.submits().len(), 1, "a refusal of nothing closes nothing");
}

#[test]
fn words_about_a_task_that_never_left_are_counted_and_ignored() {
    let mut game = Game::new();
    game.switch().enabled = false;
    let entity = game.ask_for(21);
    let task = game.app.world().get::<Offloading<Twice>>(entity).unwrap().task().unwrap();
    let task = TaskId(u64::from(SESSION) << 32 | task.0);
    game.say(done(task, 1_000));
    game.say(ServerToGame::Failed { task, failure: TaskFailure::Late });
    game.frames(3);
    assert_eq!((*game.outcome().outcome, game.stray()), (42, 2));
}

#[test]
fn absurd_prices_neither_overflow_nor_refund() {
    let mut game = Game::new();
    for price in [Nanos(i64::MAX), Nanos(i64::MAX), Nanos(i64::MIN), Nanos(-5)] {
        game.ask_for(1);
        let task = game.submit().task;
        let receipt = Receipt { price, ..receipt(ComputedBy::Coordinator) };
        game.say(ServerToGame::Done(Done { task, outcome: Twice::encode_outcome(&2).into(), receipt }));
        game.frame();
    }
    assert_eq!(game.totals().cost_nanos, Nanos(i64::MAX));
    assert_eq!(game.totals().coordinator, 4);
}

#[test]
fn absurd_times_leave_stages_that_tile_the_latency() {
    let mut game = Game::new();
    for (received_at, sent_at) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        game.ask_for(1);
        let task = game.submit().task;
        game.frame();
        let stages = Stages { kernel_us: u32::MAX, judge_us: u32::MAX, ..Stages::default() };
        let receipt = Receipt {
            received_at: Micros(received_at),
            sent_at: Micros(sent_at),
            stages,
            ..receipt(ComputedBy::Coordinator)
        };
        game.say(ServerToGame::Done(Done { task, outcome: Twice::encode_outcome(&2).into(), receipt }));
        game.frame();
        let done = game.got().done.last().unwrap();
        let total = done.receipt.as_ref().unwrap().stages.total_us();
        assert_eq!(Duration::from_micros(total), done.latency);
    }
}

#[test]
fn a_coordinator_that_asks_for_blobs_forever_is_given_up() {
    let mut game = Game::new();
    let blob = Blob::new(vec![9; 500]);
    let task = TwiceSpec { blob: Some(blob.digest().0), ..spec(21) };
    game.ask(Offloading::new(task, Blobs::new(vec![blob.clone()])));
    let task = game.submit().task;
    let mut sent = 1;
    for _ in 0..10 {
        game.refuse(task, Refusal::BlobsMissing { missing: vec![blob.digest()] });
        game.frame();
        sent += game.submits().len();
    }
    assert_eq!((sent, game.outcome().place.clone()), (3, Place::Local));
    assert_eq!((game.totals().rejected, game.stray()), (1, 7));
}

#[test]
fn a_coordinator_that_never_answers_is_forgotten_in_the_end() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.frames(300);
    let reserved = game.app.world().resource::<OffloadAccount>().reserved;
    assert_eq!((game.outcome().place.clone(), reserved), (Place::Local, Nanos::ZERO));
    game.say(done(task, 42));
    game.frame();
    assert_eq!(game.stray(), 1);
}
