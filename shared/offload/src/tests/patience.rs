//! Patient tasks that an earlier run of the game asked for.

use std::path::Path;
use std::sync::Arc;

use super::*;

fn config_in(folder: &Path) -> OffloadConfig {
    OffloadConfig { patient_folder: Some(folder.to_owned()), ..config() }
}

/// A game that remembers its patient tasks in `folder`; the coordinator has not said anything yet.
fn started(folder: &Path) -> Game {
    Game::unconnected(settings(), config_in(folder))
}

fn connected(folder: &Path) -> Game {
    Game::with(settings(), config_in(folder))
}

fn patient(number: u64) -> Offloading<Twice> {
    Offloading::new(spec(number), Blobs::default()).patient()
}

/// Has a game ask for twice this number, and be killed; returns the task's id at the coordinator.
fn ask_and_kill(folder: &Path, number: u64) -> TaskId {
    let mut game = connected(folder);
    game.ask(patient(number));
    game.submit().task
}

fn resumed(game: &mut Game) -> Vec<(Entity, u64)> {
    let world = game.app.world_mut();
    let mut query = world.query::<(Entity, &Resumed<Twice>)>();
    query.iter(world).map(|(entity, resumed)| (entity, resumed.spec().number)).collect()
}

#[test]
fn a_killed_game_asks_again_by_the_same_id_and_is_given_the_outcome_once() {
    let folder = tempfile::tempdir().unwrap();
    let task = ask_and_kill(folder.path(), 21);
    let mut game = started(folder.path());
    assert_eq!(resumed(&mut game)[0].1, 21);
    game.frames(20);
    assert_eq!((game.totals().open, game.totals().local, game.submits().len()), (1, 0, 0), "it waits");
    game.say(welcome_under(SESSION + 1));
    game.frame();
    assert_eq!(game.submit().task, task);
    game.say(done(task, 42));
    game.frame();
    assert_eq!(
        (*game.outcome().outcome, game.outcome().place.clone()),
        (42, Place::Worker { name: "w1".into() })
    );
    assert!(resumed(&mut game).is_empty(), "its entity is gone with it");
    drop(game);
    assert!(resumed(&mut started(folder.path())).is_empty(), "what has ended is forgotten");
}

#[test]
fn an_outcome_that_comes_with_the_welcome_is_not_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let task = ask_and_kill(folder.path(), 21);
    let mut game = started(folder.path());
    game.say(welcome_under(SESSION + 1));
    game.say(done(task, 42));
    game.frame();
    assert_eq!((*game.outcome().outcome, game.submits().len(), game.stray()), (42, 0, 0));
    assert_eq!(game.app.world().resource::<OffloadAccount>().session_estimate, PRICE);
}

#[test]
fn what_the_coordinator_does_not_know_is_asked_for_anew_in_every_life() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = ask_and_kill(folder.path(), 21);
    for life in 1..4 {
        let mut game = started(folder.path());
        game.say(welcome_under(SESSION + life));
        game.frame();
        assert_eq!(game.submit().task, before);
        game.refuse(before, Refusal::IdReused);
        game.frame();
        before = game.submit().task;
        assert_eq!(before.0 >> 32, u64::from(SESSION + life));
    }
}

#[test]
fn a_task_that_was_never_sent_is_sent_in_the_next_life() {
    let folder = tempfile::tempdir().unwrap();
    let mut game = started(folder.path());
    game.ask(patient(21));
    assert!(game.sent.is_empty(), "there is no connection");
    drop(game);
    let mut game = started(folder.path());
    game.say(welcome_under(SESSION + 1));
    game.frame();
    assert_eq!(game.submit().task.0 >> 32, u64::from(SESSION + 1));
}

#[test]
fn a_game_that_asks_for_the_same_again_gets_the_former_tasks_outcome() {
    let folder = tempfile::tempdir().unwrap();
    for asks_before_the_welcome in [true, false] {
        let task = ask_and_kill(folder.path(), 21);
        let mut game = started(folder.path());
        let mut asker = None;
        if asks_before_the_welcome {
            asker = Some(game.ask(patient(21)));
        }
        game.say(welcome_under(SESSION + 1));
        game.frame();
        assert_eq!(game.submit().task, task);
        if asker.is_none() {
            asker = Some(game.ask(patient(21)));
            assert!(game.sent.is_empty(), "it is out already");
        }
        game.frame();
        assert!(resumed(&mut game).is_empty());
        game.say(done(task, 42));
        game.frame();
        assert_eq!((game.outcome().entity, *game.outcome().outcome), (asker.unwrap(), 42));
        assert_eq!((game.stray(), game.totals().cancelled, game.totals().open), (0, 1, 0));
        drop(game);
        assert!(resumed(&mut started(folder.path())).is_empty());
    }
}

#[test]
fn a_former_task_can_be_taken_back_before_and_after_the_coordinator_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for before_the_welcome in [true, false] {
        let task = ask_and_kill(folder.path(), 21);
        let mut game = started(folder.path());
        let (entity, _) = resumed(&mut game)[0];
        if !before_the_welcome {
            game.say(welcome_under(SESSION + 1));
            game.frame();
        }
        game.during_update(move |world| assert!(world.despawn(entity)));
        if before_the_welcome {
            assert!(game.cancels().is_empty(), "nobody is there to be told");
            game.say(welcome_under(SESSION + 1));
            game.frame();
        }
        assert_eq!((game.cancels(), game.submits().len()), (vec![task], 0));
        drop(game);
        assert!(resumed(&mut started(folder.path())).is_empty());
    }
}

#[test]
fn a_former_task_is_computed_here_if_its_connection_is_lost_or_it_may_not_go_out() {
    let folder = tempfile::tempdir().unwrap();
    let task = ask_and_kill(folder.path(), 21);
    let mut game = started(folder.path());
    game.say(welcome_under(SESSION + 1));
    game.frame();
    game.lose_link();
    game.frames(4);
    assert_eq!((*game.outcome().outcome, game.outcome().place.clone()), (42, Place::Local));
    game.say(welcome_under(SESSION + 2));
    game.frame();
    assert_eq!(game.cancels(), [task]);

    drop(game);
    let task = ask_and_kill(folder.path(), 4);
    let mut game = started(folder.path());
    game.switch().enabled = false;
    game.frames(4);
    assert_eq!((*game.outcome().outcome, game.outcome().place.clone()), (8, Place::Local));
    game.say(welcome_under(SESSION + 1));
    game.frame();
    assert_eq!((game.cancels(), game.submits().len()), (vec![task], 0));
}

/// Has a game ask for twice each of these numbers, and be killed; returns the tasks' ids at the coordinator.
fn ask_for_all_and_kill(folder: &Path, numbers: &[u64]) -> Vec<TaskId> {
    let mut game = connected(folder);
    numbers
        .iter()
        .map(|number| {
            game.ask(patient(*number));
            game.submit().task
        })
        .collect()
}

/// One of two former tasks has been sent, the other waits for its turn.
fn one_sent_one_waiting(folder: &Path) -> (Game, Vec<TaskId>) {
    let tasks = ask_for_all_and_kill(folder, &[21, 4]);
    let config = OffloadConfig { in_flight_max: 2, ..config_in(folder) };
    let mut game = Game::unconnected(settings(), config);
    game.say(welcome_under(SESSION + 1));
    game.frame();
    assert_eq!(game.submit().task, tasks[0]);
    (game, tasks)
}

#[test]
fn a_former_task_whose_turn_has_not_come_is_taken_back_if_the_connection_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut game, tasks) = one_sent_one_waiting(folder.path());
    game.lose_link();
    game.say(welcome_under(SESSION + 2));
    game.frame();
    assert_eq!(game.cancels(), [tasks[1], tasks[0]]);
    game.frames(6);
    assert_eq!((game.totals().local, game.submits().len()), (2, 0));
}

#[test]
fn a_former_task_whose_turn_has_not_come_is_taken_back_if_it_may_not_go_out() {
    let folder = tempfile::tempdir().unwrap();
    let (mut game, tasks) = one_sent_one_waiting(folder.path());
    game.switch().enabled = false;
    game.frame();
    let mut cancelled = game.cancels();
    cancelled.sort_unstable();
    assert_eq!(cancelled, tasks);
    game.frames(6);
    assert_eq!(game.totals().local, 2);
}

#[test]
fn a_former_task_whose_turn_has_not_come_is_taken_back_if_the_coordinator_closes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut game, tasks) = one_sent_one_waiting(folder.path());
    game.say(ServerToGame::Closing { reason: "update".into() });
    game.say(done(tasks[0], 42));
    game.frame();
    assert_eq!(game.cancels(), [tasks[1]]);
}

#[test]
fn a_former_task_whose_turn_has_not_come_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut game, tasks) = one_sent_one_waiting(folder.path());
    let (entity, _) = resumed(&mut game).into_iter().find(|(_, number)| *number == 4).unwrap();
    game.during_update(move |world| assert!(world.despawn(entity)));
    assert_eq!(game.cancels(), [tasks[1]]);
}

#[test]
fn a_former_task_that_is_refused_for_lack_of_room_is_taken_back_and_computed_here() {
    let folder = tempfile::tempdir().unwrap();
    let task = ask_and_kill(folder.path(), 21);
    let mut game = started(folder.path());
    game.say(welcome_under(SESSION + 1));
    game.frame();
    game.refuse(task, Refusal::Full);
    game.frame();
    assert_eq!(game.cancels(), [task], "it may be there from before");
    game.frames(3);
    assert_eq!(game.outcome().place, Place::Local);
}

#[test]
fn an_outcome_that_comes_before_a_former_tasks_turn_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (mut game, tasks) = one_sent_one_waiting(folder.path());
    game.say(done(tasks[1], 8));
    game.frame();
    assert_eq!((*game.outcome().outcome, game.stray()), (8, 0));
    game.say(done(tasks[0], 42));
    game.frames(2);
    assert_eq!((game.totals().remote, game.submits().len(), game.cancels()), (2, 0, vec![]));
}

/// Has the game borrow from another coordinator.
fn leave(game: &mut Game) {
    game.app.insert_resource(p2c2r_link::ClientLink::default());
    game.app.world_mut().write_message(BorrowFrom(Arc::new(NoTokens)));
    game.frame();
    game.app.world_mut().remove_resource::<p2c2r_link::ClientLink>();
}

#[test]
fn a_coordinator_that_is_left_is_told_to_stop_and_the_next_one_is_told_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut game, tasks) = one_sent_one_waiting(folder.path());
    game.ask(patient(5));
    leave(&mut game);
    let mut cancelled = game.cancels();
    cancelled.sort_unstable();
    assert_eq!(cancelled, tasks, "while the link still sends");
    game.ask(patient(6));
    assert!(game.sent.is_empty(), "nothing more for the one that is left");
    game.lose_link();
    game.frame();
    game.say(welcome());
    game.frame();
    assert_eq!(game.sent, []);
    game.frames(10);
    assert_eq!((game.totals().local, game.totals().open), (4, 0));
}

#[test]
fn a_coordinator_that_never_came_can_be_left_for_one_that_is_told_nothing_of_its_tasks() {
    let folder = tempfile::tempdir().unwrap();
    ask_for_all_and_kill(folder.path(), &[21, 4]);
    let mut game = started(folder.path());
    leave(&mut game);
    game.say(welcome());
    game.frame();
    assert_eq!(game.sent, []);
    game.frames(6);
    assert_eq!((game.totals().local, game.totals().open), (2, 0));
}

#[test]
fn money_that_has_run_out_does_not_keep_a_former_task_here() {
    let folder = tempfile::tempdir().unwrap();
    let task = ask_and_kill(folder.path(), 21);
    let config = OffloadConfig { session_cap: Some(Nanos(0)), ..config_in(folder.path()) };
    let mut game = Game::unconnected(settings(), config);
    game.say(welcome_under(SESSION + 1));
    game.frame();
    assert_eq!(game.submit().task, task, "it is charged already, or held");
}

#[test]
fn only_one_program_at_a_time_remembers_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = connected(folder.path());
    first.ask(patient(1));
    let mut second = connected(folder.path());
    second.ask(patient(2));
    assert!(resumed(&mut second).is_empty());
    drop((first, second));
    let numbers: Vec<u64> =
        resumed(&mut started(folder.path())).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [1]);
}

#[test]
fn what_is_no_task_of_this_build_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    ask_and_kill(folder.path(), 21);
    std::fs::write(folder.path().join("77.task"), [0; 9]).unwrap();
    let (mut store, former) = crate::patient_store::PatientStore::open(folder.path()).unwrap();
    assert_eq!(former.len(), 1);
    let other = Submit { kernel_version: Twice::KERNEL_VERSION + 1, ..former[0].submit.clone() };
    store.remember(other).unwrap();
    drop(store);
    assert_eq!(resumed(&mut started(folder.path())).len(), 1);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "the task and the lock");
}

#[test]
fn a_timely_task_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    connected(folder.path()).ask_for(21);
    assert!(resumed(&mut started(folder.path())).is_empty());
}

/// A pipe without a reader stands for a disk that does not answer: opening it for writing blocks until there is a reader.
#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_hangs_does_not_hold_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("new");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut game = connected(folder.path());
    game.ask(patient(21));
    let task = game.submit().task;
    game.say(done(task, 42));
    game.frame();
    assert_eq!(*game.outcome().outcome, 42);
    let _answering = std::fs::File::options().read(true).write(true).open(pipe).unwrap();
    drop(game);
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    assert!(files.into_iter().all(|file| file.extension().is_none()), "it has ended and is forgotten");
}
