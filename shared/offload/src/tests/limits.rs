//! Bounds: how many tasks may be out, how many may wait, how big a task may be.

use super::*;

#[test]
fn no_more_than_the_bound_is_out_and_nearer_deadlines_go_first() {
    let mut game = Game::with(settings(), OffloadConfig { in_flight_max: 2, ..config() });
    game.during_update(|world| {
        for number in 0..6 {
            let deadline = Duration::from_millis(200 - 10 * number);
            world.spawn(Offloading::<Twice>::new(spec(number), Blobs::default()).deadline(deadline));
        }
    });
    let number = |submit: &Submit| Twice::decode_spec(&submit.spec).unwrap().number;
    let mut order = Vec::new();
    while order.len() < 6 {
        let out: Vec<_> = game.submits().into_iter().cloned().collect();
        assert!(!out.is_empty() && out.len() <= 2, "{}", out.len());
        for submit in out {
            order.push(number(&submit));
            game.say(done(submit.task, 2 * number(&submit)));
        }
        game.frame();
    }
    assert_eq!(order, [5, 4, 3, 2, 1, 0]);
    assert_eq!(game.totals().remote, 6);
}

#[test]
fn what_finds_no_room_is_computed_locally_in_time() {
    let mut game = Game::with(settings(), OffloadConfig { in_flight_max: 1, ..config() });
    game.during_update(|world| {
        for number in 0..4 {
            world.spawn(Offloading::<Twice>::new(spec(number), Blobs::default()));
        }
    });
    assert_eq!(game.submits().len(), 1);
    game.frames(21);
    assert_eq!((game.totals().local, game.totals().open), (4, 0));
}

#[test]
fn patient_tasks_leave_half_of_the_room_to_others() {
    let mut game = Game::with(settings(), OffloadConfig { in_flight_max: 4, ..config() });
    game.during_update(|world| {
        for number in 0..4 {
            world.spawn(Offloading::<Twice>::new(spec(number), Blobs::default()).patient());
        }
    });
    assert_eq!(game.submits().len(), 2);
    game.during_update(|world| {
        for number in 0..4 {
            world.spawn(Offloading::<Twice>::new(spec(number), Blobs::default()));
        }
    });
    assert_eq!(game.submits().len(), 2);
}

#[test]
fn beyond_the_local_queue_a_task_fails_at_once() {
    let mut game = Game::with(settings(), OffloadConfig { local_queue_max: 3, ..config() });
    game.switch().enabled = false;
    game.during_update(|world| {
        for number in 0..5 {
            world.spawn(Offloading::<Twice>::new(spec(number), Blobs::default()));
        }
    });
    game.frames(12);
    assert_eq!((game.totals().local, game.totals().failed), (3, 2));
    assert!(game.got().failed.iter().all(|failed| failed.reason == FailReason::Overloaded));
}

#[test]
fn bounds_and_the_frame_budget_may_be_as_large_as_their_types_allow() {
    let config = OffloadConfig { in_flight_max: usize::MAX, local_queue_max: usize::MAX, ..config() };
    let mut game = Game::with(settings(), config);
    game.app.insert_resource(OffloadFrameBudget(Duration::MAX));
    game.frame();
    game.ask(Offloading::new(spec(21), Blobs::default()).deadline(Duration::MAX));
    let task = game.submit().task;
    game.say(done(task, 42));
    game.frame();
    assert_eq!(game.outcome().place, Place::Worker { name: "w1".into() });
}

#[test]
fn a_slow_computer_drops_what_waits_past_its_deadline_if_told_so() {
    let mut game = Game::with(KindSettings { late: OnLate::Drop, ..settings() }, config());
    game.switch().enabled = false;
    game.during_update(|world| {
        for number in 0..30 {
            world.spawn(Offloading::<Twice>::new(spec(number), Blobs::default()));
        }
    });
    game.frames(40);
    // 200 ms at 20 ms each; the rest is dropped, not computed afterwards.
    assert_eq!((game.totals().local, game.totals().failed), (10, 20));
}

#[test]
fn a_task_too_big_to_travel_is_computed_locally() {
    let mut game = Game::new();
    let blob = Blob::new(vec![0; p2c2r_protocol::limits::BLOB_BYTES_MAX + 1]);
    let task = TwiceSpec { blob: Some(blob.digest().0), ..spec(21) };
    game.ask(Offloading::new(task, Blobs::new(vec![blob])));
    assert!(game.sent.is_empty());
    game.frames(3);
    assert_eq!(game.outcome().place, Place::Local);
}

#[test]
fn a_bad_spec_fails_without_leaving() {
    let mut game = Game::new();
    game.ask_for(u64::MAX);
    assert!(game.sent.is_empty());
    game.frame();
    assert!(matches!(&game.failure().reason, FailReason::BadSpec(reason) if reason.contains("number")));
    game.ask(Offloading::new(TwiceSpec { blob: Some([7; 32]), ..spec(1) }, Blobs::default()));
    game.frame();
    assert!(matches!(&game.got().failed[1].reason, FailReason::BadSpec(reason) if reason.contains("blob")));
}

#[test]
#[should_panic(expected = "add_plugins(OffloadPlugin")]
fn asking_without_the_plugin_names_the_line_to_add() {
    World::new().spawn(Offloading::<Twice>::new(spec(1), Blobs::default()));
}

#[test]
#[should_panic(expected = "add_offload_kind::<")]
fn asking_for_an_unregistered_kind_names_the_line_to_add() {
    let mut app = App::new();
    app.add_plugins(OffloadPlugin::default());
    app.world_mut().spawn(Offloading::<Twice>::new(spec(1), Blobs::default()));
}

#[test]
#[should_panic(expected = "add it to KindRegistry::builtin()")]
fn offloading_a_kind_the_coordinator_does_not_share_is_refused_at_start() {
    let mut app = App::new();
    let link = Some(ClientTransport::Memory(MemoryHub::new()));
    app.add_plugins(OffloadPlugin { config: OffloadConfig { link, ..config() } })
        .add_offload_kind::<Twice>(settings());
    app.finish();
}
