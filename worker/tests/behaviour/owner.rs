//! What a worker's owner sets and says: it rests when it should, and works again.

use std::os::unix::net::UnixListener;

use p2c2r_link::{NextWake, Waker};
use p2c2r_worker::availability::{Availability, KeptPause, Rest};
use p2c2r_worker::control::{self, Control, ControlRequest};

use super::*;

fn pause(pair: &mut Pair, time_off: Option<Duration>) {
    let now = now(pair);
    pair.worker.world_mut().resource_mut::<Availability>().pause(now, time_off);
}

fn now(pair: &Pair) -> Duration {
    pair.worker.world().resource::<bevy_time::Time<bevy_time::Real>>().elapsed()
}

#[test]
fn a_paused_worker_hands_back_what_waits_takes_nothing_and_works_again() {
    let mut pair = Pair::joined(|_| ());
    (1..=100).for_each(|task| pair.assign(task, &script(DOUBLE, 1)));
    pair.until("the first answer", |pair| !pair.heard.is_empty());
    pause(&mut pair, None);
    pair.assign(101, &script(DOUBLE, 1));
    pair.until("everything is answered", |pair| answers_of(&pair.heard).len() == 101);
    assert_eq!(pair.heard.iter().filter(|message| **message == WorkerToServer::Draining).count(), 1);
    let overloaded = Err(AttemptFailure::Overloaded);
    assert_eq!(outcome(&answers_of(&pair.heard)[100]), overloaded, "what comes after is turned away");
    pair.heard.clear();
    pair.settle();
    assert_eq!(pair.heard, vec![], "and nothing more is said");
    pair.worker.world_mut().resource_mut::<Availability>().resume();
    pair.until("it announces itself", |pair| !pair.heard.is_empty());
    assert!(matches!(pair.heard.remove(0), WorkerToServer::Ready(_)));
    pair.assign(102, &script(DOUBLE, 3));
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![6]));
}

#[test]
fn a_pause_for_a_time_ends_by_itself_and_asks_to_be_woken_for_it() {
    let mut pair = Pair::joined(|_| ());
    let until = now(&pair) + Duration::from_millis(400);
    pause(&mut pair, Some(Duration::from_millis(400)));
    pair.until("it says so", |pair| pair.heard == [WorkerToServer::Draining]);
    pair.heard.clear();
    let wanted = pair.worker.world().resource::<NextWake>().wanted_at();
    assert!(wanted.is_some_and(|at| at <= until), "{wanted:?} and {until:?}");
    pair.until("it announces itself", |pair| !pair.heard.is_empty());
    assert!(matches!(pair.heard[0], WorkerToServer::Ready(_)));
    assert!(now(&pair) >= until);
}

#[test]
fn a_worker_that_leaves_sleeps_when_its_pause_is_over_too() {
    let mut pair = Pair::joined(|config| config.execution = Execution::Threads);
    pair.assign(1, &script(UNTIL_STOPPED, 0));
    pair.settle();
    pause(&mut pair, Some(Duration::from_millis(50)));
    pair.step();
    pair.worker.world().resource::<Drain>().ask();
    // From the end of the pause on; the link wakes it for its own reasons now and then.
    (0..60).for_each(|_| pair.step());
    let mut wakes_at_once = 0;
    for _ in 0..100 {
        pair.step();
        wakes_at_once += usize::from(pair.worker.world().resource::<NextWake>().is_due());
    }
    assert!(wakes_at_once < 50, "it would spin until its task has ended: {wakes_at_once} of 100");
    pair.say(ServerToWorker::Revoke { task: TaskNo(1), attempt: Attempt(1) });
    pair.until("the worker leaves", |pair| pair.worker.should_exit() == Some(AppExit::Success));
}

#[test]
fn a_worker_that_starts_paused_says_nothing_until_it_may_work() {
    let mut pair = Pair::new(|config| config.times.paused = true);
    pair.settle();
    assert!(pair.peer.is_some() && pair.heard.is_empty(), "{:?}", pair.heard);
    pair.worker.world_mut().resource_mut::<Availability>().resume();
    pair.until("it announces itself", |pair| !pair.heard.is_empty());
    assert!(matches!(pair.heard[0], WorkerToServer::Ready(_)));
}

#[test]
fn a_pause_outlives_the_worker_and_ends_when_its_owner_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let started_again = || {
        let mut pair = Pair::new(|_| ());
        let kept = KeptPause::in_folder(folder.path(), "ada");
        pair.worker.world_mut().resource_mut::<Availability>().keep_pause(kept, Duration::ZERO);
        pair
    };
    let mut pair = started_again();
    pair.until("it announces itself", |pair| !pair.heard.is_empty());
    pause(&mut pair, None);
    let mut pair = started_again();
    pair.settle();
    assert!(pair.peer.is_some() && pair.heard.is_empty(), "{:?}", pair.heard);
    pair.worker.world_mut().resource_mut::<Availability>().resume();
    pair.until("it announces itself", |pair| !pair.heard.is_empty());
    let mut pair = started_again();
    pair.until("it announces itself at once", |pair| !pair.heard.is_empty());
}

#[test]
fn a_computer_that_is_used_lends_as_many_slots_as_its_owner_left_it() {
    let mut pair = Pair::new(|config| {
        config.slots = 3;
        config.times.slots_in_use = 1;
        // It counts as used when it is first looked at, and stays so for as long as a day.
        config.times.idle_for = Some(Duration::from_hours(24));
    });
    pair.until("it announces itself", |pair| !pair.heard.is_empty());
    let WorkerToServer::Ready(WorkerOffer { slots, .. }) = &pair.heard[0] else { panic!("{:?}", pair.heard) };
    assert_eq!(*slots, 1);
    pair.assign(1, &script(DOUBLE, 3));
    pair.heard.clear();
    assert_eq!(outcome(&pair.answers(1)[0]), Ok(vec![6]));
}

#[test]
fn a_worker_that_does_not_answer_keeps_no_other_from_hearing_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    // Its name sorts first, so it is asked first; it takes the request and does not answer.
    let silent = UnixListener::bind(folder.path().join("control-00000000.sock")).unwrap();
    let silent = std::thread::spawn(move || drop(silent.accept().unwrap()));
    let mut pair = Pair::joined(|_| ());
    let world = pair.worker.world_mut();
    let (drain, waker) = (world.resource::<Drain>().clone(), world.resource::<Waker>().clone());
    let (control, line) = Control::open(waker);
    world.insert_resource(control);
    let _file = control::listen(folder.path(), "w", line, drain).unwrap();
    let path = folder.path().to_owned();
    let asking =
        std::thread::spawn(move || control::ask(&path, None, ControlRequest::Pause { seconds: None }));
    while !asking.is_finished() {
        pair.step();
        std::thread::yield_now();
    }
    silent.join().unwrap();
    let answers = asking.join().unwrap().unwrap();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].as_ref().unwrap_err().to_string().contains("control-00000000.sock"), "{answers:?}");
    assert!(answers[1].as_ref().unwrap().resting.is_some(), "{answers:?}");
    assert_eq!(pair.worker.world().resource::<Availability>().rest(), Some(Rest::Paused(None)));
}
