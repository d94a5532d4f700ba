//! How much is sent, when, and what a bad network does to it.

use std::time::Duration;

use bevy_time::{Real, Time};
use p2c2r_link::{Impairment, NextWake, Peers, RateLimit, ToServer};
use p2c2r_protocol::{GameToServer, KindId, Micros, Nanos, Role, ServerToGame, Submit, TaskId};

use crate::harness::*;

fn submit(number: u64, bytes: usize) -> ToServer<GameToServer> {
    ToServer(GameToServer::Submit(Submit {
        task: TaskId(number),
        kind: KindId(1),
        kernel_version: 1,
        budget_us: None,
        price_cap: Nanos(1),
        client_queue_us: 0,
        sent_at: Micros(0),
        spec: vec![7; bytes].into(),
        blobs: Vec::new(),
    }))
}

#[test]
fn idle_programs_exchange_only_beats_and_keep_alives() {
    let mut world = World::connected(Settings::default());
    say(&mut world.games[0], cancel(1));
    world.run(Duration::from_secs(2));
    let before = world.hub.counters();
    world.run(Duration::from_secs(10));
    let packets = world.hub.counters().packets - before.packets;
    // Two links: a client's beat per second, the coordinator's four, and a client's keep-alive every five.
    assert!((98..=108).contains(&packets), "{packets} packets in 10 s");
}

/// So that many clients do not each wake the coordinator at a moment of their own.
#[test]
fn an_idle_clients_beat_leaves_when_the_coordinators_arrives() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(3));
    let counts = |world: &World| {
        let stats = link(&world.games[0]).stats();
        (stats.received_packets, stats.sent_packets)
    };
    let (mut sent, mut updates_that_sent) = (0, 0);
    for _ in 0..20_000 {
        let before = counts(&world);
        world.step();
        let after = counts(&world);
        if after.1 > before.1 {
            assert!(after.0 > before.0, "nothing had arrived");
            updates_that_sent += 1;
            sent += after.1 - before.1;
        }
    }
    assert!(updates_that_sent >= 8, "{sent} packets in {updates_that_sent} updates");
}

#[test]
fn busy_links_beat_ten_times_a_second_and_calm_down_again() {
    let mut world = World::connected(Settings::default());
    let worker = world.peer(Role::Worker);
    world.server.world_mut().resource_mut::<Peers>().mark_busy(worker, true);
    world.run(Duration::from_secs(1));
    let sent = |world: &World| peers(&world.server).get(worker).unwrap().received_packets;
    let before = sent(&world);
    world.run(Duration::from_secs(2));
    let busy = sent(&world) - before;
    assert!((18..=24).contains(&busy), "{busy} packets from the worker in 2 s");
    world.server.world_mut().resource_mut::<Peers>().mark_busy(worker, false);
    world.run(Duration::from_secs(2));
    let before = sent(&world);
    world.run(Duration::from_secs(2));
    let idle = sent(&world) - before;
    assert!(idle <= 5, "{idle} packets from the worker in 2 s");
}

/// This holds however long a connection was idle before.
#[test]
fn the_coordinator_sends_again_what_was_lost_neither_too_soon_nor_twice() {
    for idle in [Duration::from_millis(10), Duration::from_secs(10)] {
        let mut world = World::connected(Settings::default());
        world.run(idle);
        let gamer = world.peer(Role::Gamer);
        let sent = |world: &World| peers(&world.server).get(gamer).unwrap().sent_bytes;
        let say_something = |world: &mut World| {
            let before = sent(world);
            to_game(&mut world.server, gamer, ServerToGame::Closing { reason: "soon".repeat(50) });
            world.step();
            sent(world) - before
        };
        world.hub.cut("ann");
        let first = say_something(&mut world);
        world.run(Duration::from_millis(40));
        let second = say_something(&mut world);
        assert!(
            second < first * 3 / 2,
            "the first again, too soon: {first} and {second} bytes, after {idle:?}"
        );
        world.hub.heal("ann");
        world.run(Duration::from_millis(30));
        assert_eq!(at_game(&mut world.games[0]).len(), 0, "80 ms have not passed");
        world.run(Duration::from_millis(100));
        assert_eq!(at_game(&mut world.games[0]).len(), 2, "after {idle:?}");
        let arrived = sent(&world);
        world.run(Duration::from_millis(200));
        assert!(sent(&world) - arrived < first, "nothing is sent again that has arrived");
    }
}

#[test]
fn acknowledgements_come_back_and_are_not_acknowledged() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    let before = world.hub.counters().packets;
    for number in 0..50 {
        say(&mut world.games[0], cancel(number));
        world.run(Duration::from_millis(20));
    }
    let packets = world.hub.counters().packets - before;
    assert!((100..=120).contains(&packets), "{packets} packets for 50 messages");
    assert_eq!(link(&world.games[0]).stats().backlog_bytes, 0, "all acknowledged");
    assert_eq!(from_games(&mut world.server).len(), 50);
}

#[test]
fn acknowledgements_ride_along_with_answers() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    let gamer = world.peer(Role::Gamer);
    let before = world.hub.counters().packets;
    for number in 0..50 {
        say(&mut world.games[0], cancel(number));
        to_game(&mut world.server, gamer, ServerToGame::Closing { reason: "soon".into() });
        world.step();
    }
    let packets = world.hub.counters().packets - before;
    assert!((100..=110).contains(&packets), "{packets} packets for 50 messages and 50 answers");
    world.run(Duration::from_millis(20));
    assert_eq!(link(&world.games[0]).stats().backlog_bytes, 0, "all acknowledged");
    assert_eq!(at_game(&mut world.games[0]).len(), 50);
}

/// Nothing but heartbeats and keep-alives may wake a program all of whose messages have been acknowledged.
#[test]
fn an_acknowledged_message_leaves_no_timer_behind() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    // The coordinator's heartbeats leave together; until the next there is a quarter of a second.
    let beaten = link(&world.games[0]).stats().received_packets;
    world.run_until("a beat has come", Duration::from_secs(2), |world| {
        link(&world.games[0]).stats().received_packets > beaten
    });
    let resends = |world: &World| {
        let wakes = [&world.games[0], &world.server].map(|app| {
            let now = app.world().resource::<Time<Real>>().elapsed();
            app.world().resource::<NextWake>().wanted_at().map(|at| at.saturating_sub(now))
        });
        wakes.into_iter().flatten().filter(|wake| *wake <= Duration::from_millis(80)).count()
    };
    let gamer = world.peer(Role::Gamer);
    say(&mut world.games[0], cancel(1));
    to_game(&mut world.server, gamer, ServerToGame::Closing { reason: "soon".into() });
    world.step();
    assert_eq!(resends(&world), 2, "both wait for an acknowledgement");
    world.run(Duration::from_millis(8));
    assert_eq!(link(&world.games[0]).stats().backlog_bytes, 0);
    assert_eq!(resends(&world), 0);
}

#[test]
fn messages_of_any_sizes_arrive_whole_whatever_travels_with_them() {
    let mut world = World::connected(Settings::default());
    // Around what a parcel holds (1,190 bytes, of which a submit's other fields take some 14), and far beyond.
    let sizes =
        [0, 1, 500, 300, 1_150, 1_174, 1_175, 1_176, 1_177, 1_178, 1_185, 1_186, 1_187, 2_400, 20_000];
    let size = |number: u64| sizes[(number * number + number / 15) as usize % sizes.len()];
    for number in 0..200 {
        say(&mut world.games[0], submit(number, size(number)));
    }
    world.run(Duration::from_millis(200));
    let mut heard: Vec<(u64, usize)> = from_games(&mut world.server)
        .into_iter()
        .map(|heard| match heard.message {
            GameToServer::Submit(submit) => (submit.task.0, submit.spec.len()),
            other => panic!("{other:?} was not said"),
        })
        .collect();
    heard.sort_unstable();
    assert_eq!(heard, (0..200).map(|number| (number, size(number))).collect::<Vec<_>>());
    assert_eq!(peers(&world.server).totals().garbage, 0);
}

#[test]
fn small_messages_of_one_update_share_a_packet() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    let before = world.hub.counters().packets;
    for number in 0..300 {
        say(&mut world.games[0], cancel(number));
    }
    world.step();
    let packets = world.hub.counters().packets - before;
    assert!(packets <= 3, "{packets} packets for 300 messages of three bytes");
    world.run(Duration::from_millis(20));
    let heard: Vec<u64> = from_games(&mut world.server).iter().map(|one| number(&one.message)).collect();
    assert_eq!(heard, (0..300).collect::<Vec<_>>(), "within a parcel, in order");
}

#[test]
fn a_burst_is_acknowledged_whole_and_not_sent_again() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    let before = link(&world.games[0]).stats().sent_bytes;
    for number in 0..30 {
        say(&mut world.games[0], submit(number, 30_000));
    }
    world.run(Duration::from_millis(300));
    assert_eq!(from_games(&mut world.server).len(), 30);
    let stats = link(&world.games[0]).stats();
    let bytes = stats.sent_bytes - before;
    assert_eq!(stats.backlog_bytes, 0);
    assert!(bytes < 960_000, "{bytes} bytes on the wire for 900,000");
}

/// Each message is a full slice and one of a few bytes: were a burst put in order as a whole, the short slices would come
/// so long after packets with higher numbers that the other end took them for replayed ones.
#[test]
fn a_burst_of_long_and_short_packets_is_read_whole_at_once() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    let gamer = world.peer(Role::Gamer);
    for number in 0..150 {
        say(&mut world.games[0], submit(number, 1_195));
    }
    // Less than it takes until anything is sent again.
    world.run(Duration::from_millis(40));
    assert_eq!(from_games(&mut world.server).len(), 150);
    assert_eq!(peers(&world.server).get(gamer).unwrap().garbage, 0);
}

/// Many small packets in one update of the receiver, each of them a range of its own to acknowledge.
#[test]
fn a_receiver_that_was_away_acknowledges_all_it_finds() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    for number in 0..65 {
        say(&mut world.games[0], cancel(number));
        world.games[0].update();
    }
    let before = link(&world.games[0]).stats().sent_packets;
    world.run(Duration::from_millis(200));
    assert_eq!(from_games(&mut world.server).len(), 65);
    assert_eq!(link(&world.games[0]).stats().backlog_bytes, 0);
    let again = link(&world.games[0]).stats().sent_packets - before;
    assert!(again <= 2, "{again} packets more, where a beat and an acknowledgement are due");
}

#[test]
fn the_pace_is_kept_and_what_waits_can_be_seen() {
    let mut world =
        World::connected(Settings { rate_limit: Some(RateLimit::internet()), ..Settings::default() });
    world.run(Duration::from_secs(1));
    let before = world.hub.counters().bytes;
    for number in 0..16 {
        say(&mut world.games[0], submit(number, 30_000));
    }
    world.run(Duration::from_secs(1));
    let bytes = world.hub.counters().bytes - before;
    assert!((100_000..=140_000).contains(&bytes), "{bytes} bytes in the first second");
    assert!(link(&world.games[0]).stats().backlog_bytes > 300_000);
    let mut heard = 0;
    world.run_until("all have arrived", Duration::from_secs(8), |world| {
        heard += from_games(&mut world.server).len();
        heard == 16
    });
    assert_eq!(peers(&world.server).totals().offenders, 0);
}

/// A coordinator and one game, connected by a line like this at the internet's rate.
fn on_the_internet(fate: Impairment) -> World {
    let mut world = World::new(Settings {
        rate_limit: Some(RateLimit::internet()),
        impair: Some(fate),
        ..Settings::default()
    });
    world.add_game("ann");
    world.run_until("connected", Duration::from_secs(10), |world| link(&world.games[0]).is_connected());
    world
}

#[test]
fn a_long_paced_line_carries_data_and_not_copies_of_it() {
    let fate = Impairment { latency: Duration::from_millis(60), loss: 0.005, seed: 4, ..Impairment::NONE };
    let mut world = on_the_internet(fate);
    world.run(Duration::from_secs(2));
    for number in 0..10 {
        say(&mut world.games[0], submit(number, 30_000));
    }
    let (before, mut heard, mut time) = (world.hub.counters().bytes, 0, 0);
    world.run_until("all have arrived", Duration::from_secs(10), |world| {
        time += 1;
        heard += from_games(&mut world.server).len();
        heard == 10
    });
    let bytes = world.hub.counters().bytes - before;
    assert!(bytes < 360_000, "{bytes} bytes in {time} ms for 300,000");
}

/// Sends 100 small messages, one every 50 ms, to a coordinator 200 ms away. Returns how many packets each took, and how
/// long each was under way, sorted.
fn over_a_far_link(loss: f32) -> (f64, Vec<Duration>) {
    let fate = Impairment { latency: Duration::from_millis(200), loss, seed: 5, ..Impairment::NONE };
    let mut world = on_the_internet(fate);
    // Until the round trip and the loss are known.
    for number in 0..100 {
        say(&mut world.games[0], cancel(number));
        world.run(Duration::from_millis(50));
    }
    world.run(Duration::from_secs(2));
    from_games(&mut world.server);
    let beats = |world: &mut World| {
        let before = link(&world.games[0]).stats().sent_packets;
        world.run(Duration::from_secs(7));
        link(&world.games[0]).stats().sent_packets - before
    };
    let idle = beats(&mut world);
    let before = link(&world.games[0]).stats().sent_packets;
    let mut took = Vec::new();
    for ms in 0..7_000 {
        if ms % 50 == 0 && ms < 5_000 {
            say(&mut world.games[0], cancel(ms / 50));
        }
        world.step();
        for one in from_games(&mut world.server) {
            took.push(Duration::from_millis(ms - 50 * number(&one.message)));
        }
    }
    assert_eq!(took.len(), 100);
    took.sort_unstable();
    let packets = link(&world.games[0]).stats().sent_packets - before - idle;
    (packets as f64 / 100.0, took)
}

#[test]
fn what_is_far_away_is_not_sent_again_before_it_can_be_acknowledged() {
    let (copies, took) = over_a_far_link(0.0);
    assert!(copies < 1.2, "each message travelled {copies} times");
    assert!(took[99] < Duration::from_millis(210), "{took:?}");
}

#[test]
fn where_packets_are_lost_a_far_link_restores_them_without_another_round_trip() {
    let (copies, took) = over_a_far_link(0.05);
    assert!((1.8..2.6).contains(&copies), "each message travelled {copies} times");
    let at_once = took.iter().filter(|took| **took < Duration::from_millis(210)).count();
    assert!(at_once >= 98, "{took:?}");
    assert!(took[99] < Duration::from_millis(1_200), "{took:?}");
}

#[test]
fn a_line_that_takes_nothing_more_is_hung_up_instead_of_growing() {
    let mut world =
        World::connected(Settings { rate_limit: Some(RateLimit::internet()), ..Settings::default() });
    for number in 0..60 {
        say(&mut world.games[0], submit(number, 30_000));
    }
    world.run(Duration::from_millis(5));
    let reasons = downs(&mut world.games[0]);
    assert!(matches!(&reasons[..], [reason] if reason.contains("backlog")), "{reasons:?}");
}

#[test]
fn everything_arrives_once_over_every_preset() {
    for name in Impairment::PRESETS {
        let impair = Impairment { seed: 3, ..Impairment::preset(name).unwrap() };
        let mut world = World::new(Settings {
            impair: Some(impair),
            step: Duration::from_millis(2),
            ..Settings::default()
        });
        world.add_game("ann");
        world.run_until(name, Duration::from_secs(20), |world| link(&world.games[0]).is_connected());
        let mut heard = Vec::new();
        for number in 0..200 {
            say(&mut world.games[0], if number % 10 == 0 { submit(number, 6_000) } else { cancel(number) });
            world.run(Duration::from_millis(16));
            heard.extend(from_games(&mut world.server));
        }
        world.run(Duration::from_secs(3));
        heard.extend(from_games(&mut world.server));
        let mut numbers: Vec<u64> = heard
            .iter()
            .map(|one| match &one.message {
                GameToServer::Submit(submit) => submit.task.0,
                other => number(other),
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>(), "{name}");
        assert_eq!(peers(&world.server).totals().offenders, 0, "{name}");
        assert!(downs(&mut world.games[0]).is_empty(), "{name}");
    }
}

#[test]
fn round_trip_offset_and_loss_are_measured() {
    let fate = Impairment { latency: Duration::from_millis(40), loss: 0.05, seed: 9, ..Impairment::NONE };
    let mut world =
        World::new(Settings { impair: Some(fate), step: Duration::from_millis(2), ..Settings::default() });
    // The coordinator's clock is ten seconds ahead of the game's.
    world.run(Duration::from_secs(10));
    world.add_game("ann");
    world.run_until("connected", Duration::from_secs(10), |world| link(&world.games[0]).is_connected());
    let game = world.peer(Role::Gamer);
    world.server.world_mut().resource_mut::<Peers>().mark_busy(game, true);
    let mut loss = [0.0; 2];
    for _ in 0..20 {
        world.run(Duration::from_secs(1));
        loss[0] += link(&world.games[0]).stats().loss / 20.0;
        loss[1] += peers(&world.server).get(game).unwrap().loss / 20.0;
    }
    assert!(loss.iter().all(|loss| (0.02..0.09).contains(loss)), "{loss:?}");
    let ours = link(&world.games[0]).stats().clone();
    let theirs = peers(&world.server).get(game).unwrap().clone();
    for stats in [&ours, &theirs] {
        let rtt = stats.rtt.unwrap();
        assert!((78..=90).contains(&rtt.as_millis()), "{rtt:?}");
    }
    let close = |offset: i64, expected: i64| (offset - expected).abs() < 4_000;
    assert!(close(ours.clock_offset_us.unwrap(), -10_000_000), "{:?}", ours.clock_offset_us);
    assert!(close(theirs.clock_offset_us.unwrap(), 10_000_000), "{:?}", theirs.clock_offset_us);
}
