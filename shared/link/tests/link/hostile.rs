//! A connected peer that sends what no honest one would, in both directions: it is dropped or ignored and
//! counted, and all others go on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_link::memory::MemoryPort;
use p2c2r_link::{Access, TokenAnswer, TokenSource};
use p2c2r_protocol::{GameToServer, KindId, Role, wire};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use renetcode::{ConnectToken, NetcodeServer, ServerAuthentication, ServerConfig, ServerResult};

use crate::harness::*;
use crate::raw::{RawClient, token};

/// How far a step of the world advances its clock.
const STEP: Duration = Duration::from_millis(1);

/// The hostile coordinator's time and key.
const TIME: Duration = Duration::from_secs(1_000_000_000);
const KEY: [u8; 32] = [7; 32];

fn varint(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&(value | 0xC000_0000_0000_0000).to_be_bytes());
}

fn slice(sequence: u64, id: u64, index: u64, count: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![2];
    varint(&mut out, sequence);
    out.push(1);
    for value in [id, index, count, bytes as u64] {
        varint(&mut out, value);
    }
    out.resize(out.len() + bytes, 7);
    out
}

fn small(sequence: u64, channel: u8, messages: &[(u64, &[u8])]) -> Vec<u8> {
    let mut out = vec![0];
    varint(&mut out, sequence);
    out.push(channel);
    out.extend_from_slice(&(messages.len() as u16).to_be_bytes());
    for (id, message) in messages {
        varint(&mut out, *id);
        varint(&mut out, message.len() as u64);
        out.extend_from_slice(message);
    }
    out
}

/// Payloads for which their sender is dropped at once.
fn poisons() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut trailing = small(0, 1, &[(0, &[1])]);
    trailing.push(0);
    let mut never_sent = vec![4];
    for value in [0, 1 << 50, 0, 0] {
        varint(&mut never_sent, value);
    }
    vec![
        ("slice index out of range", vec![slice(0, 0, 5, 2, 1_200)]),
        ("inconsistent slice counts", vec![slice(0, 0, 0, 2, 1_200), slice(1, 0, 1, 3, 1_200)]),
        ("zero-length reliable message", vec![small(0, 1, &[(0, &[])])]),
        ("huge slice count", vec![slice(0, 0, 0, 1_000_000, 1_200)]),
        ("slice count of one", vec![slice(0, 0, 0, 1, 600)]),
        ("short slice in the middle", vec![slice(0, 0, 0, 3, 600)]),
        ("message id out of reach", vec![small(0, 1, &[(1 << 40, &[1])])]),
        ("unknown channel", vec![small(0, 9, &[(0, &[1])])]),
        ("unreliable data on a reliable channel", vec![vec![1, 0, 1, 0, 1, 1, 7]]),
        ("unreliable slices", vec![vec![3, 0, 2, 0, 0, 2, 1, 7]]),
        ("acknowledges what was never sent", vec![never_sent]),
        ("unknown packet type", vec![vec![200, 1, 2, 3]]),
        ("trailing bytes", vec![trailing]),
        ("truncated", vec![slice(0, 0, 0, 2, 1_200)[..900].to_vec()]),
        ("one byte", vec![vec![0]]),
        ("beats that are none", vec![vec![1, 0, 2, 0, 1, 1, 255]; 3]),
        ("messages that are none", (0..3).map(|id| small(id, 1, &[(id, &[255; 9])])).collect()),
    ]
}

/// Connect tokens without a real coordinator.
#[derive(Debug)]
struct Forged(SocketAddr);

impl TokenSource for Forged {
    fn ask(&self, answer: TokenAnswer) {
        let (id, address) = (u64::from_le_bytes(renetcode::generate_random_bytes()), vec![self.0]);
        let token = ConnectToken::generate(TIME, identity().id, 60, id, 10, address, None, &KEY).unwrap();
        let mut bytes = Vec::new();
        token.write(&mut bytes).unwrap();
        answer.give(Ok(Access { token: bytes, server: self.0 }));
    }
}

/// The other peers still exchange messages.
fn goes_on(world: &mut World) {
    take::<p2c2r_link::FromPeer<GameToServer>>(&mut world.server);
    say(&mut world.games[0], cancel(99));
    world.run(Duration::from_millis(10));
    let heard = from_games(&mut world.server);
    assert_eq!(heard.iter().map(|one| number(&one.message)).collect::<Vec<_>>(), [99]);
    assert!(link(&world.workers[0]).is_connected());
}

#[test]
fn a_client_that_breaks_the_protocol_is_dropped_and_the_others_go_on() {
    let mut world = World::connected(Settings::default());
    for (count, (what, payloads)) in poisons().into_iter().enumerate() {
        left(&mut world.server);
        let mut mallory = RawClient::joined(&mut world, "mallory");
        for payload in &payloads {
            mallory.send_payload(payload);
        }
        world.run(Duration::from_millis(20));
        assert_eq!(peers(&world.server).len(), 2, "{what}");
        assert_eq!(peers(&world.server).totals().offenders, count as u64 + 1, "{what}");
        let left = left(&mut world.server);
        assert_eq!(left.len(), 1, "{what}");
        assert!(!left[0].reason.contains("panicked"), "caught by the guard, not by the net below: {what}");
        mallory.turn(STEP);
        assert!(mallory.netcode.is_disconnected(), "it is told: {what}");
    }
    goes_on(&mut world);
}

#[test]
fn random_payloads_stop_nobody() {
    let mut world = World::connected(Settings::default());
    let mut random = Pcg32::seed_from_u64(5);
    for number in 0..100 {
        // Each with an account of its own, since one account may not connect so often.
        let mut mallory = RawClient::joined(&mut world, &format!("mallory-{number}"));
        for _ in 0..20 {
            let mut payload: Vec<u8> = (0..random.random_range(1..1_250)).map(|_| random.random()).collect();
            payload[0] = random.random_range(0..6);
            mallory.send_payload(&payload);
        }
        world.run(Duration::from_millis(5));
        assert_eq!(peers(&world.server).len(), 2);
    }
    goes_on(&mut world);
}

#[test]
fn garbage_outside_of_netcode_is_ignored_and_counted() {
    let mut world = World::connected(Settings::default());
    let (ann, server) = (world.hub.client_address("ann").unwrap(), world.hub.server_address());
    let stranger = SocketAddr::from(([127, 9, 9, 9], 9));
    let mut random = Pcg32::seed_from_u64(6);
    for _ in 0..2_000 {
        let mut packet: Vec<u8> = (0..random.random_range(0..1_500)).map(|_| random.random()).collect();
        if let Some(first) = packet.first_mut().filter(|_| random.random()) {
            *first = random.random_range(0..=0x9F);
        }
        // With ann's address, who must not be blamed for it.
        let from = if random.random() { ann } else { stranger };
        world.hub.inject(from, server, &packet);
        world.hub.inject(server, ann, &packet);
        if random.random_ratio(1, 50) {
            world.step();
        }
    }
    world.run(Duration::from_millis(500));
    assert!(peers(&world.server).totals().garbage >= 2_000);
    assert_eq!(peers(&world.server).len(), 2);
    assert!(link(&world.games[0]).is_connected());
    goes_on(&mut world);
}

#[test]
fn junk_from_strangers_does_not_keep_others_from_joining() {
    let mut world = World::connected(Settings::default());
    let (stranger, server) = (SocketAddr::from(([127, 9, 9, 9], 9)), world.hub.server_address());
    let junk = |world: &mut World| {
        for _ in 0..900 {
            world.hub.inject(stranger, server, &[5]);
        }
    };
    for _ in 0..10 {
        junk(&mut world);
        world.step();
    }
    world.add_game("bob");
    world.run_until("bob is connected", Duration::from_millis(200), |world| {
        junk(world);
        link(&world.games[1]).is_connected()
    });
}

#[test]
fn a_flood_is_cut_off_and_the_others_go_on() {
    let mut world = World::connected(Settings::default());
    let mut mallory = RawClient::joined(&mut world, "mallory");
    let message = wire::encode(&GameToServer::Cancel { task: p2c2r_protocol::TaskId(1) });
    for id in 0..30_000 {
        mallory.send_payload(&small(id, 1, &[(id, &message)]));
        if id % 3_000 == 0 {
            world.server.update();
            let heard = from_games(&mut world.server).len();
            assert!((1..=64).contains(&heard), "work in one update is bounded, not {heard}");
        }
    }
    world.run(Duration::from_millis(50));
    goes_on(&mut world);
}

#[test]
fn a_name_is_made_fit_to_be_shown() {
    let mut world = World::connected(Settings::default());
    joined(&mut world.server);
    RawClient::joined(&mut world, "\u{1b}[2Jmallory\n");
    assert_eq!(joined(&mut world.server)[0].name, "[2Jmallory");
}

#[test]
fn a_token_is_good_once_and_where_it_was_first_used() {
    let mut world = World::connected(Settings::default());
    let token = token(&world.hub, "mallory");
    let [mut first, mut thief] =
        ["first", "thief"].map(|name| RawClient::at(world.hub.client_port(name), &world.hub, token.clone()));
    for _ in 0..600 {
        first.turn(STEP);
        world.step();
        thief.turn(STEP);
    }
    assert!(first.netcode.is_connected() && !thief.netcode.is_connected());
    let goodbye = first.netcode.disconnect().unwrap().1.to_vec();
    first.send(&goodbye);
    world.run(Duration::from_millis(10));
    let mut again = RawClient::at(first.port, &world.hub, token);
    for _ in 0..600 {
        again.turn(STEP);
        thief.turn(STEP);
        world.step();
    }
    assert!(!again.netcode.is_connected() && !thief.netcode.is_connected());
    assert_eq!(peers(&world.server).len(), 2);
}

/// A netcode server that sends whatever the test says.
struct HostileServer {
    port: MemoryPort,
    netcode: NetcodeServer,
    client: Option<u64>,
}

impl HostileServer {
    fn turn(&mut self) {
        self.netcode.update(Duration::from_millis(1));
        while let Some((from, mut packet)) = self.port.receive() {
            match self.netcode.process_packet(from, &mut packet) {
                ServerResult::PacketToSend { addr, payload } => self.port.send_to(payload, addr),
                ServerResult::ClientConnected { client_id, addr, payload, .. } => {
                    self.port.send_to(payload, addr);
                    self.client = Some(client_id);
                }
                ServerResult::ClientDisconnected { .. } => self.client = None,
                _ => {}
            }
        }
    }
}

#[test]
fn a_coordinator_that_breaks_the_protocol_stops_no_game() {
    for (what, payloads) in poisons() {
        let hub = p2c2r_link::MemoryHub::new();
        let mut server = HostileServer {
            port: hub.server_port(),
            netcode: NetcodeServer::new(ServerConfig {
                current_time: TIME,
                max_clients: 4,
                protocol_id: identity().id,
                public_addresses: vec![hub.server_address()],
                authentication: ServerAuthentication::Secure { private_key: KEY },
            }),
            client: None,
        };
        hub.set_tokens(Arc::new(Forged(hub.server_address())));
        let transport = p2c2r_link::ClientTransport::Memory(hub);
        let mut game = client::<p2c2r_link::GameSide>(transport, "ann", &Settings::default());
        for _ in 0..600 {
            game.update();
            server.turn();
        }
        assert!(link(&game).is_connected(), "{what}");
        let client = server.client.expect("connected");
        for payload in &payloads {
            let (to, packet) = server.netcode.generate_payload_packet(client, payload).unwrap();
            server.port.send_to(packet, to);
        }
        for _ in 0..5 {
            game.update();
            server.turn();
        }
        assert!(!link(&game).is_connected(), "{what}");
        let reasons = downs(&mut game);
        assert_eq!(reasons.len(), 1, "{what}");
        assert!(!reasons[0].contains("panicked"), "{what}: {reasons:?}");
        assert!(link(&game).stats().garbage > 0, "{what}");
        for _ in 0..1_500 {
            game.update();
            server.turn();
        }
        assert!(link(&game).is_connected(), "it comes back: {what}");
    }
}

#[test]
fn beats_that_cannot_be_true_are_ignored_and_counted() {
    let mut world = World::connected(Settings::default());
    let mut mallory = RawClient::joined(&mut world, "mallory");
    for sequence in 1..20_u64 {
        let far = p2c2r_protocol::Micros(u64::MAX);
        let echo =
            Some(p2c2r_protocol::BeatEcho { sent_at: far, received_at: p2c2r_protocol::Micros(sequence) });
        let beat = wire::encode(&p2c2r_protocol::Beat {
            sequence: sequence as u32,
            sent_at: far,
            busy: false,
            echo,
        });
        let mut payload = vec![1];
        varint(&mut payload, sequence);
        payload.extend_from_slice(&[2, 0, 1]);
        varint(&mut payload, beat.len() as u64);
        payload.extend_from_slice(&beat);
        mallory.send_payload(&payload);
    }
    world.run(Duration::from_millis(20));
    assert_eq!(peers(&world.server).len(), 3);
    assert_eq!(peers(&world.server).totals().offenders, 0);
    let counted = peers(&world.server).iter().find(|(_, stats)| stats.garbage > 0).expect("counted");
    assert_eq!((counted.1.garbage, counted.1.rtt), (19, None));
    goes_on(&mut world);
}

#[test]
fn of_a_spoilt_parcel_what_comes_first_is_heard_and_the_rest_counted() {
    let mut world = World::connected(Settings::default());
    let mut mallory = RawClient::joined(&mut world, "mallory");
    let cancel = |task| wire::encode(&GameToServer::Cancel { task: p2c2r_protocol::TaskId(task) });
    // Two messages; one and junk; a truncated message.
    let parcels = [[cancel(1), cancel(2)].concat(), [cancel(3), vec![0xEE; 9]].concat(), vec![cancel(4)[0]]];
    for (id, parcel) in (0..).zip(&parcels) {
        mallory.send_payload(&small(id, 1, &[(id, parcel)]));
    }
    world.run(Duration::from_millis(10));
    let heard: Vec<u64> = from_games(&mut world.server).iter().map(|one| number(&one.message)).collect();
    assert_eq!(heard, [1, 2, 3]);
    let counted: Vec<u64> = peers(&world.server).iter().map(|(_, stats)| stats.garbage).collect();
    assert_eq!(counted.iter().sum::<u64>(), 2);
    goes_on(&mut world);
}

#[test]
fn a_long_parcel_holds_one_message() {
    let mut world = World::connected(Settings::default());
    let mut mallory = RawClient::joined(&mut world, "mallory");
    let leaving = wire::encode(&GameToServer::Leaving);
    // As many messages as one of renet's can hold: they would take a hundred times their size in memory.
    for (id, bytes) in [(0, 1_190), (1, 1_191), (2, 1_200)] {
        mallory.send_payload(&small(id, 0, &[(id, &leaving.repeat(bytes))]));
    }
    world.run(Duration::from_millis(10));
    assert_eq!(from_games(&mut world.server).len(), 1_190, "the first parcel's");
    let garbage: u64 = peers(&world.server).iter().map(|(_, stats)| stats.garbage).sum();
    assert_eq!(garbage, 2);
}

#[test]
fn what_waited_for_one_lost_packet_is_handed_on_in_bounded_steps() {
    let mut world = World::connected(Settings::default());
    let mut mallory = RawClient::joined(&mut world, "mallory");
    let leaving = wire::encode(&GameToServer::Leaving).repeat(1_190);
    for id in (0..20).rev() {
        mallory.send_payload(&small(19 - id, 0, &[(id, &leaving)]));
    }
    let (mut total, mut updates) = (0, 0);
    while total < 20 * 1_190 && updates < 100 {
        world.server.update();
        let heard = from_games(&mut world.server).len();
        assert!(heard <= 4_096 + 1_190, "{heard} messages in one update");
        (total, updates) = (total + heard, updates + 1);
    }
    assert_eq!(total, 20 * 1_190, "nothing is lost");
    goes_on(&mut world);
}

#[test]
fn little_waits_for_the_first_message_of_who_never_sends_it() {
    let mut world = World::connected(Settings::default());
    let mut mallory = RawClient::joined(&mut world, "mallory");
    let leaving = wire::encode(&GameToServer::Leaving).repeat(1_190);
    for id in 1..=1_700 {
        mallory.send_payload(&small(id, 0, &[(id, &leaving)]));
    }
    world.run(Duration::from_millis(10));
    assert!(from_games(&mut world.server).is_empty());
    mallory.send_payload(&small(1_701, 0, &[(0, &leaving)]));
    world.run(Duration::from_millis(10));
    let (waited, each) = (from_games(&mut world.server).len(), leaving.len());
    assert!((1..=64 * 1_024).contains(&waited), "{waited} bytes waited, in messages of {each}");
    goes_on(&mut world);
}

/// Both ends get packets with the numbers that come next: some with data, some that only keep a connection alive.
#[test]
fn forged_packets_are_garbage_and_not_received() {
    let mut world = World::connected(Settings::default());
    world.run(Duration::from_secs(1));
    let (ann, server) = (world.hub.client_address("ann").unwrap(), world.hub.server_address());
    let gamer = world.peer(Role::Gamer);
    let both = |world: &World| {
        [link(&world.games[0]).stats(), peers(&world.server).get(gamer).unwrap()].map(Clone::clone)
    };
    for (kind, body) in [(5, 60), (4, 8)] {
        let before = both(&world);
        for number in 0..100 {
            let mut packet = vec![0x10 | kind, 60 + number];
            packet.resize(2 + body + 16, number);
            world.hub.inject(server, ann, &packet);
            world.hub.inject(ann, server, &packet);
        }
        world.run(Duration::from_millis(5));
        for (before, after) in before.into_iter().zip(both(&world)) {
            assert_eq!(after.garbage - before.garbage, 100, "of type {kind}");
            let received = after.received_packets - before.received_packets;
            assert!(received <= 4, "{received} packets of type {kind} were taken for received");
        }
    }
    assert!(link(&world.games[0]).is_connected() && left(&mut world.server).is_empty());
}

#[test]
fn the_other_roles_messages_are_refused() {
    let mut world = World::connected(Settings::default());
    let mut mallory = RawClient::joined(&mut world, "mallory");
    // A worker's message from a gamer.
    let message = wire::encode(&p2c2r_protocol::WorkerToServer::Ready(p2c2r_protocol::WorkerOffer {
        slots: 1,
        kernels: vec![p2c2r_protocol::KernelOffer {
            kind: KindId(1),
            version: 1,
            device: p2c2r_protocol::Device::Cores,
        }],
        region: None,
    }));
    mallory.send_payload(&small(0, 0, &[(0, &message)]));
    world.run(Duration::from_millis(10));
    assert!(from_games(&mut world.server).is_empty() && from_workers(&mut world.server).is_empty());
    let gamers = peers(&world.server).iter().filter(|(_, stats)| stats.garbage > 0).count();
    assert_eq!(gamers, 1, "counted against the one who said it");
    goes_on(&mut world);
}
