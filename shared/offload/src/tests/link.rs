//! The connection: established, lost, re-established; and the blobs the coordinator is believed to have.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use bevy_app::PreUpdate;
use bevy_ecs::schedule::SingleThreadedExecutor;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::*;

#[test]
fn before_the_welcome_everything_is_local() {
    let mut game = Game::unconnected(settings(), config());
    assert!(matches!(game.mode(), OffloadMode::Local(LocalReason::NotConnected { .. })));
    game.ask_for(21);
    assert!(game.sent.is_empty());
    game.frames(2);
    assert_eq!((game.outcome().place.clone(), game.outcome().latency), (Place::Local, TAKES));
    game.say(welcome());
    game.frame();
    assert_eq!(game.mode(), OffloadMode::Remote);
}

#[test]
fn a_lost_connection_sends_what_is_out_to_local_compute_in_the_same_frame() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.lose_link();
    game.frames(3);
    assert_eq!((game.outcome().place.clone(), game.outcome().latency), (Place::Local, 3 * FRAME));
    assert!(game.cancels().is_empty(), "nobody is there to be told");
    let account = *game.app.world().resource::<OffloadAccount>();
    assert_eq!(account.reserved, Nanos::ZERO);
    // After the reconnect the old task is unknown, and new ones are sent.
    game.say(welcome());
    game.frame();
    game.say(done(task, 42));
    game.ask_for(1);
    assert_eq!((game.submits().len(), game.stray(), game.totals().delivered()), (1, 1, 1));
}

#[test]
fn a_patient_task_lost_with_the_connection_is_taken_back_once_it_is_made_again() {
    let mut game = Game::new();
    game.ask(Offloading::new(spec(21), Blobs::default()).patient());
    let task = game.submit().task;
    game.ask_for(1);
    game.lose_link();
    game.frames(6);
    assert_eq!((game.totals().local, game.cancels()), (2, vec![]), "nobody is there to be told");
    game.say(welcome());
    game.frame();
    assert_eq!(game.cancels(), [task], "the coordinator takes back by itself what has a deadline");
    game.lose_link();
    game.say(welcome());
    game.frame();
    assert!(game.cancels().is_empty());
}

#[test]
fn each_connection_asks_under_the_number_it_was_given_and_an_older_ones_answers_are_nobodys() {
    let mut game = Game::new();
    game.ask(Offloading::new(spec(21), Blobs::default()).patient());
    let before = game.submit().task;
    assert_eq!(before.0 >> 32, u64::from(SESSION));
    game.lose_link();
    game.frames(6);
    game.say(welcome_under(SESSION + 4));
    game.frame();
    assert_eq!(game.cancels(), [before], "by the id it had there");
    game.ask_for(1);
    let after = game.submit().task;
    assert_eq!(after.0 >> 32, u64::from(SESSION + 4));
    let of_the_older_one = TaskId(u64::from(SESSION) << 32 | after.0 & u64::from(u32::MAX));
    game.say(done(of_the_older_one, 2));
    game.frame();
    assert_eq!((game.stray(), game.totals().delivered()), (1, 1), "only what was computed here");
    game.say(done(after, 2));
    game.frame();
    assert_eq!((game.stray(), game.totals().delivered()), (1, 2));
}

#[test]
fn what_arrived_with_the_loss_still_counts() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.say(done(task, 42));
    game.lose_link();
    game.frame();
    assert_eq!(game.outcome().place, Place::Worker { name: "w1".into() });
}

#[test]
fn a_loss_drops_what_is_out_and_set_to_be_dropped() {
    let mut game = Game::with(KindSettings { late: OnLate::Drop, ..settings() }, config());
    game.ask_for(21);
    game.lose_link();
    game.frame();
    assert_eq!(game.failure().reason, FailReason::Disconnected);
    game.ask_for(21);
    game.frames(2);
    assert_eq!(game.outcome().place, Place::Local, "without a connection such tasks are computed here");
}

#[test]
fn a_closing_coordinator_finishes_what_it_has_and_gets_nothing_more() {
    let mut game = Game::new();
    game.ask_for(21);
    let task = game.submit().task;
    game.say(ServerToGame::Closing { reason: "update".into() });
    game.ask_for(1);
    assert!(game.sent.is_empty());
    assert_eq!(game.mode(), OffloadMode::Local(LocalReason::Closing { reason: "update".into() }));
    game.say(done(task, 42));
    game.frames(3);
    assert_eq!((game.totals().remote, game.totals().local), (1, 1));
}

#[test]
fn a_blob_travels_once_per_connection_and_again_when_asked_for() {
    let mut game = Game::new();
    let blob = Blob::new(vec![9; 500]);
    let task = TwiceSpec { blob: Some(blob.digest().0), ..spec(21) };
    let ask = |game: &mut Game| {
        game.ask(Offloading::new(task.clone(), Blobs::new(vec![blob.clone()])));
        game.submit()
    };
    assert_eq!(ask(&mut game).blobs, [vec![9; 500]]);
    let second = ask(&mut game);
    assert!(second.blobs.is_empty());
    assert_eq!(game.totals().bytes_up as usize, 2 * second.spec.len() + 500);
    game.refuse(second.task, Refusal::BlobsMissing { missing: vec![blob.digest()] });
    game.frame();
    let again = game.submit();
    assert_eq!((again.task, again.blobs, again.client_queue_us), (second.task, vec![vec![9; 500]], 10_000));
    assert!(ask(&mut game).blobs.is_empty());
    game.lose_link();
    game.say(welcome());
    game.frame();
    assert_eq!(ask(&mut game).blobs.len(), 1);
    assert_eq!(game.totals().rejected, 0, "asking for a blob is not a refusal");
}

#[test]
fn a_kind_the_coordinator_does_not_have_stays_local_for_this_connection() {
    let mut game = Game::new();
    game.ask_for(1);
    let task = game.submit().task;
    game.refuse(task, Refusal::KernelVersion { ours: 4 });
    game.frame();
    game.ask_for(2);
    assert!(game.sent.is_empty());
    game.lose_link();
    game.say(welcome());
    game.frame();
    game.ask_for(3);
    assert_eq!(game.submits().len(), 1);
}

/// Keeps the warnings of the thread that it is the default of.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push(format!("{field}: {value:?}"));
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_kind_without_a_price_stays_local_and_that_is_said_once() {
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        let mut game = Game::unconnected(settings(), config());
        // Its systems run on this thread, of which warnings are kept.
        game.app.edit_schedule(PreUpdate, |schedule| {
            schedule.set_executor(SingleThreadedExecutor::new());
        });
        for _ in 0..2 {
            let ServerToGame::Welcome(mut welcome) = welcome() else { panic!() };
            welcome.prices.nanos_per_mega_unit.clear();
            game.say(ServerToGame::Welcome(welcome));
            game.frame();
            for number in 0..3 {
                game.ask_for(number);
                assert!(game.sent.is_empty());
            }
            game.lose_link();
            game.frame();
        }
        game.say(welcome());
        game.frame();
        game.ask_for(1);
        assert_eq!(game.submits().len(), 1, "another coordinator sells it");
    });
    let warnings = warnings.0.lock().unwrap();
    let about_it = warnings.iter().filter(|line| line.contains("twice")).count();
    assert_eq!(about_it, 1, "{warnings:?}");
}

#[test]
fn without_workers_a_kind_pauses_until_there_are_more() {
    let mut game = Game::new();
    game.ask_for(1);
    let task = game.submit().task;
    game.refuse(task, Refusal::NoWorker);
    game.frame();
    game.ask_for(2);
    assert!(game.sent.is_empty());
    game.say(ServerToGame::Statement(GamerStatement { workers: 4, ..statement() }));
    game.frame();
    game.ask_for(3);
    let task = game.submit().task;
    game.refuse(task, Refusal::NoWorker);
    game.frames(52);
    game.ask_for(4);
    assert_eq!(game.submits().len(), 1, "and asks again by itself after a while");
}

#[test]
fn quitting_takes_leave() {
    let mut game = Game::new();
    game.during_update(|world| {
        world.write_message(bevy_app::AppExit::Success);
    });
    assert_eq!(game.sent, [GameToServer::Leaving]);
}
