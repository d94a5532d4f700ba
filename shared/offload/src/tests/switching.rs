//! The player's switch.

use super::*;

#[test]
fn off_takes_everything_home_in_the_same_frame_and_on_sends_it_out_again() {
    let mut game = Game::new();
    let mut tasks = Vec::new();
    for number in 0..3 {
        game.ask_for(number);
        tasks.push(game.submit().task);
    }
    game.during_update(|world| world.resource_mut::<OffloadSwitch>().toggle());
    // Newest first: the newest is worth most.
    tasks.reverse();
    assert_eq!(game.cancels(), tasks);
    assert_eq!(game.mode(), OffloadMode::Local(LocalReason::SwitchedOff));
    game.ask_for(3);
    assert!(game.sent.is_empty());
    game.frames(8);
    assert_eq!((game.totals().local, game.totals().late), (4, 0));
    game.during_update(|world| world.resource_mut::<OffloadSwitch>().toggle());
    game.ask_for(4);
    assert_eq!((game.submits().len(), game.mode()), (1, OffloadMode::Remote));
}

#[test]
fn an_outcome_that_crosses_the_recall_ends_the_task_once() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.switch().enabled = false;
    game.frame();
    game.say(done(task, 42));
    game.frames(5);
    assert_eq!(game.outcome().place, Place::Worker { name: "w1".into() });
}

#[test]
fn the_answer_to_a_recall_is_no_rejection() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.switch().enabled = false;
    game.frame();
    game.say(ServerToGame::Failed { task, failure: p2c2r_protocol::TaskFailure::Cancelled });
    game.frames(5);
    assert_eq!((game.outcome().place.clone(), game.totals().rejected), (Place::Local, 0));
}

#[test]
fn a_recalled_task_is_computed_locally_even_if_set_to_be_dropped() {
    let mut game = Game::with(KindSettings { late: OnLate::Drop, ..settings() }, config());
    game.ask_for(21);
    game.switch().enabled = false;
    game.frames(4);
    assert_eq!(game.outcome().place, Place::Local);
}

#[test]
fn one_kind_can_be_switched_alone() {
    let mut game = Game::new();
    game.ask_for(1);
    let task = game.submit().task;
    game.switch().set_kind::<Twice>(false);
    game.ask_for(2);
    assert_eq!((game.submits().len(), game.cancels()), (0, vec![task]));
    assert_eq!(game.mode(), OffloadMode::Remote, "other kinds still go out");
    game.switch().set_kind::<Twice>(true);
    game.ask_for(3);
    assert_eq!(game.submits().len(), 1);
}
