//! What strangers can do before they are admitted: nothing that keeps a genuine newcomer out or costs a peer.

use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_protocol::{Channel, GameToServer, TaskId, wire};

use renetcode::DisconnectReason;

use crate::harness::*;
use crate::raw::{RawClient, forged_request, request, token};

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// Address number `n` of some 16 million: eight to a /24 prefix.
fn spoofed(n: u32) -> SocketAddr {
    let [_, b, c, d] = (n * 32).to_be_bytes();
    SocketAddr::from(([198, b, c, d], 4_000))
}

fn far(last: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, last], 4_000))
}

fn coarse() -> Settings {
    Settings { step: ms(10), ..Settings::default() }
}

/// Runs the world for two seconds under `attack`, which is called once a step; a newcomer must be connected by then.
fn newcomer_joins_during(world: &mut World, mut attack: impl FnMut(&mut World)) {
    let count = world.games.len();
    world.add_game("newcomer");
    world.run_until("the newcomer is connected", Duration::from_secs(2), |world| {
        attack(world);
        link(&world.games[count]).is_connected()
    });
}

#[test]
fn handshakes_that_one_address_leaves_open_keep_nobody_out() {
    let mut world = World::new(coarse());
    let server = world.hub.server_address();
    for number in 0..4_200_u16 {
        let from = SocketAddr::from(([203, 0, 113, 1], 1_000 + number));
        world.hub.inject(from, server, &request(token(&world.hub, &format!("idler-{number}"))));
        if number % 20 == 0 {
            world.step();
        }
    }
    newcomer_joins_during(&mut world, |_| {});
    assert!(peers(&world.server).totals().refused.evicted > 4_000, "one address holds few handshakes");
}

#[test]
fn handshakes_left_open_by_many_addresses_are_bounded_and_keep_nobody_out() {
    let mut world = World::new(coarse());
    let server = world.hub.server_address();
    for number in 0..5_000 {
        let from = spoofed(number * 8);
        world.hub.inject(from, server, &request(token(&world.hub, &format!("idler-{number}"))));
        if number % 50 == 0 {
            world.step();
        }
    }
    assert!(peers(&world.server).totals().handshakes <= 4_096);
    newcomer_joins_during(&mut world, |_| {});
    world.run(Duration::from_secs(6));
    assert_eq!(peers(&world.server).totals().handshakes, 0, "they live for seconds");
}

#[test]
fn requests_nobody_sealed_keep_nobody_out() {
    let mut world = World::new(coarse());
    let (server, packet) = (world.hub.server_address(), forged_request(&world.hub));
    let mut number = 0;
    let mut flood = |world: &mut World| {
        // 20,000 a second, each from another sender.
        for _ in 0..200 {
            number += 1;
            world.hub.inject(spoofed(number), server, &packet);
        }
    };
    for _ in 0..100 {
        flood(&mut world);
        world.step();
    }
    newcomer_joins_during(&mut world, flood);
    let totals = peers(&world.server).totals();
    assert!(totals.refused.unknown_token > 10_000, "{totals:?}");
}

#[test]
fn forged_requests_of_one_address_do_not_lock_out_who_shares_it() {
    let mut world = World::new(coarse());
    let (server, packet) = (world.hub.server_address(), forged_request(&world.hub));
    let flood = |world: &mut World| {
        for _ in 0..100 {
            world.hub.inject(far(1), server, &packet);
        }
    };
    for _ in 0..100 {
        flood(&mut world);
        world.step();
    }
    let neighbour = SocketAddr::from(([203, 0, 113, 1], 5_000));
    let mut client = RawClient::new(&world.hub, neighbour, token(&world.hub, "neighbour"));
    let joined = (0..200).any(|_| {
        flood(&mut world);
        client.turn(ms(10));
        world.step();
        client.netcode.is_connected()
    });
    assert!(joined, "{:?}", peers(&world.server).totals());
}

#[test]
fn idle_connections_of_one_address_leave_places_for_others() {
    let mut world = World::new(Settings { peers_max: 64, ..coarse() });
    let mut idlers = Vec::new();
    let mut inside = 0;
    for port in 0..64 {
        let from = SocketAddr::from(([203, 0, 113, 1], 4_000 + port));
        let mut idler = RawClient::new(&world.hub, from, token(&world.hub, &format!("idler-{port}")));
        inside += usize::from(idler.joins(&mut world, ms(50)));
        idlers.push(idler);
    }
    assert_eq!(inside, 16, "what one address may hold");
    let told = idlers.iter().map(|idler| idler.netcode.disconnect_reason());
    let told = told.filter(|reason| *reason == Some(DisconnectReason::ConnectionDenied)).count();
    assert_eq!(told, 48, "the others were told");
    assert!(peers(&world.server).totals().refused.no_place >= 48);
    newcomer_joins_during(&mut world, |_| {});
}

#[test]
fn a_place_that_is_left_is_free_again() {
    let mut world = World::new(Settings { peers_max: 64, ..coarse() });
    for _ in 0..40 {
        let mut client = RawClient::new(&world.hub, far(1), token(&world.hub, "guest"));
        assert!(client.joins(&mut world, ms(500)), "{:?}", peers(&world.server).totals());
        let goodbye = client.netcode.disconnect().unwrap().1.to_vec();
        client.send(&goodbye);
        world.run(ms(20));
        assert!(peers(&world.server).is_empty());
    }
}

#[test]
fn forged_packets_in_a_peers_name_cost_it_none_of_its_own() {
    let mut world = World::new(coarse());
    let server = world.hub.server_address();
    let mut ann = RawClient::new(&world.hub, far(7), token(&world.hub, "ann"));
    assert!(ann.joins(&mut world, ms(500)));
    from_games(&mut world.server);
    let mut heard = 0;
    for number in 0..100_u64 {
        let message = wire::encode(&GameToServer::Cancel { task: TaskId(number) });
        let mut payload = vec![0, number as u8 & 0x3F, Channel::Tasks as u8, 0, 1, number as u8 & 0x3F];
        if number > 63 {
            let [high, low] = (number as u16 | 0x4000).to_be_bytes();
            payload = vec![0, high, low, Channel::Tasks as u8, 0, 1, high, low];
        }
        payload.push(message.len() as u8);
        payload.extend_from_slice(&message);
        // 12,500 a second, 18 bytes each, with sequence numbers that she will use next.
        for forged in 0..125_u8 {
            let mut packet = vec![0x15, (number as u8).wrapping_add(forged % 3)];
            packet.resize(20, forged);
            world.hub.inject(far(7), server, &packet);
        }
        ann.send_payload(&payload);
        ann.read();
        world.step();
        heard += from_games(&mut world.server).len();
    }
    assert_eq!(heard, 100, "{:?}", peers(&world.server).totals());
    assert!(peers(&world.server).totals().refused.forged_packet > 10_000);
}

#[test]
fn a_strangers_handshake_does_not_poison_an_address_and_port() {
    let mut world = World::new(coarse());
    let server = world.hub.server_address();
    for _ in 0..3 {
        world.hub.inject(far(9), server, &request(token(&world.hub, "poisoner")));
    }
    world.run(ms(50));
    let mut ann = RawClient::new(&world.hub, far(9), token(&world.hub, "ann"));
    assert!(ann.joins(&mut world, Duration::from_secs(2)), "{:?}", peers(&world.server).totals());
    assert_eq!(peers(&world.server).iter().count(), 1);
}

#[test]
fn handshake_packets_twice_and_in_the_wrong_order_join_once() {
    let mut world = World::new(coarse());
    let mut ann = RawClient::new(&world.hub, far(3), token(&world.hub, "ann"));
    let mut sent = Vec::new();
    for _ in 0..100 {
        ann.read();
        if let Some(packet) = ann.next_packet(ms(10)) {
            ann.send(&packet);
            sent.push(packet);
            // All packets so far again, the newest first.
            for packet in sent.iter().rev() {
                ann.send(packet);
            }
        }
        world.step();
    }
    assert!(ann.netcode.is_connected());
    assert_eq!(peers(&world.server).len(), 1);
    assert_eq!((joined(&mut world.server).len(), left(&mut world.server).len()), (1, 0));
}

#[test]
fn who_cannot_read_the_challenge_does_not_get_in() {
    let mut world = World::new(coarse());
    let server = world.hub.server_address();
    let mut mallory = RawClient::new(&world.hub, far(1), token(&world.hub, "mallory"));
    let asks = mallory.next_packet(ms(10)).unwrap();
    mallory.send(&asks);
    world.run(ms(20));
    mallory.read();
    let answers = mallory.next_packet(ms(250)).unwrap();
    assert_ne!(asks, answers);
    // The same from an address that is not hers.
    for packet in [&asks, &answers] {
        world.hub.inject(far(2), server, packet);
    }
    world.run(ms(50));
    assert!(peers(&world.server).is_empty());
    mallory.send(&answers);
    world.run(ms(50));
    assert_eq!(peers(&world.server).len(), 1, "it is good from where it was asked for");
}

#[test]
fn a_challenge_is_good_for_seconds_and_a_token_for_one_connection() {
    let mut world = World::new(coarse());
    let slow = token(&world.hub, "slow");
    let mut client = RawClient::new(&world.hub, far(1), slow.clone());
    let asks = client.next_packet(ms(10)).unwrap();
    client.send(&asks);
    world.run(ms(20));
    client.read();
    let answers = client.next_packet(ms(250)).unwrap();
    world.run(Duration::from_secs(6));
    client.send(&answers);
    world.run(ms(50));
    assert!(peers(&world.server).is_empty(), "too late");

    let mut client = RawClient::new(&world.hub, far(1), slow.clone());
    assert!(client.joins(&mut world, ms(500)));
    let goodbye = client.netcode.disconnect().unwrap().1.to_vec();
    client.send(&goodbye);
    world.run(ms(50));
    assert!(peers(&world.server).is_empty());
    let mut again = RawClient::new(&world.hub, far(1), slow);
    assert!(!again.joins(&mut world, Duration::from_secs(1)), "a token is used up by joining");
    assert!(peers(&world.server).totals().refused.unknown_token > 0);
}

#[test]
fn who_answers_its_challenge_when_its_token_is_over_is_denied_and_never_takes_itself_for_connected() {
    let mut world = World::new(coarse());
    let mut slow = RawClient::new(&world.hub, far(1), token(&world.hub, "slow"));
    world.run(Duration::from_secs(58));
    let asks = slow.next_packet(ms(10)).unwrap();
    slow.send(&asks);
    world.run(ms(20));
    slow.read();
    let answers = slow.next_packet(ms(250)).unwrap();
    world.run(Duration::from_secs(3));
    slow.send(&answers);
    world.run(ms(50));
    slow.read();
    assert_eq!(slow.netcode.disconnect_reason(), Some(DisconnectReason::ConnectionDenied));
    assert!(peers(&world.server).is_empty());
    assert_eq!(peers(&world.server).totals().refused.out_of_date, 1);
}

#[test]
fn a_request_in_a_peers_name_changes_nothing_for_it() {
    let mut world = World::connected(Settings::default());
    let (ann, server) = (world.hub.client_address("ann").unwrap(), world.hub.server_address());
    for number in 0..50 {
        world.hub.inject(ann, server, &request(token(&world.hub, &format!("impostor-{number}"))));
        world.hub.inject(ann, server, &forged_request(&world.hub));
        for (kind, body) in [(3, 308), (4, 8), (6, 0)] {
            let mut packet = vec![0x10 | kind, 9];
            packet.resize(2 + body + 16, 1);
            world.hub.inject(ann, server, &packet);
        }
        world.step();
    }
    say(&mut world.games[0], cancel(4));
    world.run(ms(20));
    assert_eq!(from_games(&mut world.server).iter().map(|one| number(&one.message)).collect::<Vec<_>>(), [4]);
    assert_eq!((peers(&world.server).len(), left(&mut world.server).len()), (2, 0));
}

#[test]
fn nobody_is_answered_with_more_than_it_sent_and_forgers_not_at_all() {
    let mut world = World::new(coarse());
    let genuine = request(token(&world.hub, "genuine"));
    let mut of_another_version = request(token(&world.hub, "older"));
    of_another_version[14] ^= 1;
    let mut spoilt = request(token(&world.hub, "spoilt"));
    spoilt[500] ^= 1;
    let kinds = [
        ("forged", forged_request(&world.hub), false),
        ("of another version", of_another_version, false),
        ("with a genuine seal around something else", spoilt, false),
        ("genuine", genuine, true),
    ];
    for (number, (what, packet, is_answered)) in kinds.into_iter().enumerate() {
        let listener = world.hub.port_at(far(100 + number as u8), what);
        let (mut sent, mut got) = (0, 0);
        for _ in 0..200 {
            listener.send_to(&packet, world.hub.server_address());
            sent += packet.len();
            world.step();
            got += std::iter::from_fn(|| listener.receive()).map(|(_, packet)| packet.len()).sum::<usize>();
        }
        assert_eq!(got > 0, is_answered, "{what}");
        assert!(got * 3 < sent, "{what}: {got} bytes for {sent}");
    }
    assert!(peers(&world.server).is_empty());
}

#[test]
fn one_update_opens_few_requests_and_leaves_the_rest_to_the_next() {
    let mut world = World::new(coarse());
    let (server, packet) = (world.hub.server_address(), forged_request(&world.hub));
    for number in 0..1_000 {
        world.hub.inject(spoofed(number), server, &packet);
    }
    world.server.update();
    let first = peers(&world.server).totals().refused.unknown_token;
    assert!((1..=256).contains(&first), "{first} in one update");
    world.step();
    assert_eq!(peers(&world.server).totals().refused.unknown_token, 1_000, "no time passes before the rest");
}
