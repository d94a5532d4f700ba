//! Joining, talking, leaving, losing the connection and reconnecting.

use std::sync::Arc;
use std::time::Duration;

use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{Grant, Impairment, LinkStatus, Mint, Peers, ToServer};
use p2c2r_protocol::{
    Attempt, Done, GameToServer, KindId, Nanos, Receipt, Role, ServerToGame, ServerToWorker, Submit, TaskId,
    TaskNo, WorkerToServer,
};

use crate::harness::*;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn submit(number: u64, spec: Vec<u8>) -> ToServer<GameToServer> {
    ToServer(GameToServer::Submit(Submit {
        task: TaskId(number),
        kind: KindId(1),
        kernel_version: 1,
        budget_us: None,
        price_cap: Nanos(1),
        client_queue_us: 0,
        sent_at: p2c2r_protocol::Micros(0),
        spec: spec.into(),
        blobs: Vec::new(),
    }))
}

#[test]
fn both_sides_learn_of_one_another_and_talk() {
    let mut world = World::connected(Settings::default());
    let mut names: Vec<_> =
        joined(&mut world.server).into_iter().map(|peer| (peer.role, peer.name)).collect();
    names.sort_by_key(|(_, name)| name.clone());
    assert_eq!(names, [(Role::Gamer, "ann".to_owned()), (Role::Worker, "wes".to_owned())]);
    assert_eq!((ups(&mut world.games[0]), ups(&mut world.workers[0])), (1, 1));

    say(&mut world.games[0], cancel(7));
    say(&mut world.workers[0], ToServer(WorkerToServer::Draining));
    world.run(ms(5));
    let heard = from_games(&mut world.server);
    assert_eq!(heard.len(), 1);
    assert_eq!((number(&heard[0].message), heard[0].peer), (7, world.peer(Role::Gamer)));
    assert_eq!(from_workers(&mut world.server).len(), 1);

    let (gamer, worker) = (world.peer(Role::Gamer), world.peer(Role::Worker));
    to_game(&mut world.server, gamer, ServerToGame::Closing { reason: "tired".into() });
    to_worker(&mut world.server, worker, ServerToWorker::Revoke { task: TaskNo(1), attempt: Attempt(1) });
    world.run(ms(5));
    assert!(
        matches!(&at_game(&mut world.games[0])[..], [one] if matches!(one.message, ServerToGame::Closing { .. }))
    );
    assert_eq!(at_worker(&mut world.workers[0]).len(), 1);
}

#[test]
fn large_messages_travel_in_slices_and_arrive_whole() {
    let mut world = World::connected(Settings::default());
    let spec: Vec<u8> = (0..32 * 1024).map(|i| (i % 251) as u8).collect();
    for task in 0..8 {
        say(&mut world.games[0], submit(task, spec.clone()));
    }
    let mut arrived = 0;
    world.run_until("eight specs of 32 KiB have arrived", Duration::from_secs(2), |world| {
        for heard in from_games(&mut world.server) {
            assert!(matches!(&heard.message, GameToServer::Submit(submit) if submit.spec == spec));
            arrived += 1;
        }
        arrived == 8
    });
    let gamer = world.peer(Role::Gamer);
    let outcome: Vec<u8> = (0..60 * 1024).map(|i| (i % 241) as u8).collect();
    let receipt = sample_receipt();
    to_game(
        &mut world.server,
        gamer,
        ServerToGame::Done(Done { task: TaskId(1), outcome: outcome.clone().into(), receipt }),
    );
    world.run_until("the outcome has arrived", Duration::from_secs(2), |world| {
        at_game(&mut world.games[0])
            .iter()
            .any(|heard| matches!(&heard.message, ServerToGame::Done(done) if done.outcome == outcome))
    });
}

fn sample_receipt() -> Receipt {
    p2c2r_protocol::identity::samples_of_server_to_game()
        .into_iter()
        .find_map(|message| match message {
            ServerToGame::Done(done) => Some(done.receipt),
            _ => None,
        })
        .expect("there is a sample of every message")
}

#[test]
fn a_client_that_exits_is_gone_at_once() {
    let mut world = World::connected(Settings::default());
    say(&mut world.games[0], cancel(1));
    say(&mut world.games[0], bevy_app::AppExit::Success);
    world.step();
    world.step();
    let left = left(&mut world.server);
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].role, left[0].name.as_str()), (Role::Gamer, "ann"));
    assert_eq!(from_games(&mut world.server).len(), 1, "its last words have arrived");
}

#[test]
fn a_coordinator_that_exits_is_noticed_at_once() {
    let mut world = World::connected(Settings::default());
    say(&mut world.server, bevy_app::AppExit::Success);
    world.server.update();
    world.games[0].update();
    assert_eq!(downs(&mut world.games[0]), ["the coordinator closed the connection"]);
    assert_eq!(status(&world.games[0]), LinkStatus::Offline);
}

#[test]
fn a_disconnected_peer_hears_what_was_queued_for_it() {
    let mut world = World::connected(Settings::default());
    let gamer = world.peer(Role::Gamer);
    to_game(&mut world.server, gamer, ServerToGame::Closing { reason: "enough".into() });
    world.server.world_mut().resource_mut::<Peers>().disconnect(gamer, "enough");
    world.server.update();
    world.games[0].update();
    assert_eq!(at_game(&mut world.games[0]).len(), 1);
    assert_eq!(downs(&mut world.games[0]), ["enough"], "it says what the coordinator said");
    let left = left(&mut world.server);
    assert_eq!((left.len(), left[0].reason.as_str()), (1, "enough"));
}

#[test]
fn a_lost_coordinator_is_found_again_under_a_new_number() {
    let mut world = World::connected(Settings::default());
    let before = world.peer(Role::Gamer);
    world.hub.cut("ann");
    world.run_until("the game has noticed", Duration::from_secs(6), |world| {
        !link(&world.games[0]).is_connected() && peers(&world.server).len() == 1
    });
    assert_eq!(downs(&mut world.games[0]).len(), 1);
    world.hub.heal("ann");
    world.run_until("the game is back", Duration::from_secs(8), |world| {
        link(&world.games[0]).is_connected() && peers(&world.server).len() == 2
    });
    assert_ne!(world.peer(Role::Gamer), before);
    assert_eq!(ups(&mut world.games[0]), 2);
}

#[test]
fn tries_come_ever_less_often() {
    let settings = Settings { step: ms(10), ..Settings::default() };
    let mut world = World::new(settings);
    world.add_game("ann");
    world.hub.cut("ann");
    let mut tries = 0;
    let mut was_trying = false;
    for _ in 0..6_000 {
        world.step();
        let is_trying = status(&world.games[0]) == LinkStatus::Connecting;
        tries += usize::from(is_trying && !was_trying);
        was_trying = is_trying;
    }
    assert!((6..=9).contains(&tries), "{tries} tries in a minute");
    world.hub.heal("ann");
    world.run_until("the game is connected", Duration::from_secs(16), |world| {
        link(&world.games[0]).is_connected()
    });
}

#[test]
fn a_busy_link_dies_within_350_ms_and_an_idle_one_within_5_s() {
    for (busy, least, most) in [(true, 240, 360), (false, 3_900, 5_010)] {
        let mut world = World::connected(Settings::default());
        let worker = world.peer(Role::Worker);
        world.server.world_mut().resource_mut::<Peers>().mark_busy(worker, busy);
        world.run(ms(2_500));
        assert_eq!(peers(&world.server).len(), 2, "alive while heard");
        world.hub.cut("wes");
        let mut time = 0;
        world.run_until("the worker is dead", ms(most), |world| {
            time += 1;
            peers(&world.server).len() == 1
        });
        assert!(time >= least, "dead after {time} ms");
        assert!(left(&mut world.server).iter().any(|left| left.reason.contains("no sign of life")));
    }
}

/// Measured in the client's own time, so that a slow machine does not fail it.
#[test]
fn an_idle_client_that_is_cut_off_is_back_within_a_second_also_from_a_new_address() {
    for latency in [0, 50] {
        let impair = Some(Impairment { latency: ms(latency), ..Impairment::NONE });
        let mut world = World::connected(Settings { impair, ..Settings::default() });
        world.run(ms(5_000));
        assert_eq!(downs(&mut world.workers[0]), Vec::<String>::new(), "nothing is missing");
        let (before, address) = (world.peer(Role::Worker), joined(&mut world.server)[1].address.clone());
        // The old address is cut: a client in memory reconnects from a new one each time.
        world.hub.cut("wes");
        let mut time = 0;
        world.run_until("the worker has noticed", ms(1_000), |world| {
            time += 1;
            !link(&world.workers[0]).is_connected()
        });
        world.hub.heal("wes");
        world.run_until("the worker is back", ms(1_000 - time), |world| {
            link(&world.workers[0]).is_connected() && peers(&world.server).len() == 2
        });
        assert_ne!(world.peer(Role::Worker), before);
        let came_back = joined(&mut world.server);
        assert!(came_back.len() == 1 && came_back[0].address != address, "{came_back:?}");
        assert!(left(&mut world.server).iter().any(|left| left.reason.contains("came back")));
    }
}

#[test]
fn another_protocol_version_is_not_let_in_even_with_a_token() {
    let mut world = World::new(Settings::default());
    let older =
        p2c2r_protocol::ProtocolIdentity::new(&[(KindId(1), "path", 2)], p2c2r_protocol::Digest([0; 32]));
    // The token of a coordinator with another protocol.
    let address = world.hub.server_address();
    let tokens = Mint::new(&older).source(Grant::of_name(Role::Gamer, "ann"), &older, address);
    world.hub.set_tokens(Arc::new(tokens));
    world.add_game("ann");
    world.run(ms(3_000));
    let game = link(&world.games[0]);
    assert!(
        !game.is_connected() && game.problem().is_some_and(|problem| problem.detail.contains("not over UDP"))
    );
    assert!(peers(&world.server).is_empty());
}

#[test]
fn a_full_coordinator_says_so() {
    let mut world = World::connected(Settings { peers_max: 2, ..Settings::default() });
    world.add_game("bob");
    world.run_until(
        "bob knows",
        Duration::from_secs(3),
        |world| matches!(status(&world.games[1]), LinkStatus::Refused { reason } if reason.detail.contains("full")),
    );
    assert!(link(&world.games[0]).is_connected());
}

#[test]
fn nobody_is_taken_for_dead_whose_sign_of_life_is_still_unread() {
    // A short pause of the coordinator with the worker's heartbeat behind many packets, and one so long that
    // the heartbeats were lost: then the worker gets a moment to be heard, however much is unread.
    for (pause, beats) in [(140, true), (200, false)] {
        let mut world = World::connected(Settings::default());
        let worker = world.peer(Role::Worker);
        world.server.world_mut().resource_mut::<Peers>().mark_busy(worker, true);
        world.run(ms(1_000));
        for _ in 0..230 {
            world.games[0].update();
            world.server.update();
        }
        for number in 0..pause {
            say(&mut world.games[0], submit(number, vec![7; 1_000]));
            world.games[0].update();
        }
        if beats {
            world.workers[0].update();
        }
        world.server.insert_resource(TimeUpdateStrategy::ManualDuration(ms(pause)));
        world.server.update();
        world.run(ms(300));
        assert_eq!(left(&mut world.server).len(), 0, "after {pause} ms");
        assert_eq!(from_games(&mut world.server).len() as u64, pause);
        assert_eq!(peers(&world.server).len(), 2);
    }
}
