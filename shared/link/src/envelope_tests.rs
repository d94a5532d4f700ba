//! Tests of the envelope check, and of the panics in renetcode that it prevents.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;
use renetcode::{
    ClientAuthentication, ConnectToken, NetcodeClient, NetcodeServer, ServerAuthentication, ServerConfig,
    ServerResult,
};

use super::*;

const PROTOCOL: u64 = 7;

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5_000))
}

/// A netcode server with a connected client, and a valid packet of each type.
fn connected(seen: &mut Vec<Vec<u8>>) -> (NetcodeServer, NetcodeClient) {
    let mut server = NetcodeServer::new(ServerConfig {
        current_time: Duration::ZERO,
        max_clients: 4,
        protocol_id: PROTOCOL,
        public_addresses: vec![address()],
        authentication: ServerAuthentication::Unsecure,
    });
    let connect_token =
        ConnectToken::generate(Duration::ZERO, PROTOCOL, 60, 1, 10, vec![address()], None, &[0; 32]).unwrap();
    let mut client =
        NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token }).unwrap();
    for _ in 0..2 {
        let (packet, _) = client.update(Duration::from_millis(300)).unwrap();
        seen.push(packet.to_vec());
        let reply = match server.process_packet(address(), packet) {
            ServerResult::PacketToSend { payload, .. } | ServerResult::ClientConnected { payload, .. } => {
                payload
            }
            other => panic!("{other:?}"),
        };
        seen.push(reply.to_vec());
        client.process_packet(reply);
    }
    assert!(client.is_connected());
    seen.push(client.generate_payload_packet(b"hello").unwrap().1.to_vec());
    (server, client)
}

#[test]
fn legal_packets_of_every_type_pass() {
    let mut seen = Vec::new();
    let (_, mut client) = connected(&mut seen);
    seen.push(client.disconnect().unwrap().1.to_vec());
    let opened: Vec<_> = seen.iter().map(|packet| open(packet).unwrap()).collect();
    let seal = *seen[0].last_chunk().unwrap();
    assert_eq!(opened[0], Envelope::Request(ConnectionRequest { protocol_id: PROTOCOL, seal }));
    assert!(matches!(
        opened[1..],
        [
            Envelope::Challenge,
            Envelope::Response,
            Envelope::KeepAlive { .. },
            Envelope::Payload { .. },
            Envelope::Disconnect
        ]
    ));
}

/// The reason for the envelope check: these packets from a connected address, which anyone can spoof, stop a
/// process that passes packets straight to renetcode.
#[test]
fn raw_renetcode_panics_where_the_envelope_refuses() {
    let (mut server, _) = connected(&mut Vec::new());
    let mut long_prefix = vec![0x95];
    long_prefix.resize(40, 1);
    let mut no_tag = vec![0x85];
    no_tag.resize(18, 1);
    for packet in [long_prefix, no_tag] {
        assert!(open(&packet).is_err());
        let mut raw = packet.clone();
        let result = catch_unwind(AssertUnwindSafe(|| drop(server.process_packet(address(), &mut raw))));
        assert!(
            result.is_err(),
            "renetcode got better: look whether the envelope is still needed: {packet:?}"
        );
    }
}

#[test]
fn nothing_that_passes_makes_renetcode_panic() {
    let mut seen = Vec::new();
    let (mut server, mut client) = connected(&mut seen);
    let mut random = Pcg32::seed_from_u64(3);
    let mut passed = 0;
    for _ in 0..20_000 {
        let mut packet = seen[random.random_range(0..seen.len())].clone();
        packet.truncate(random.random_range(packet.len().saturating_sub(12)..=packet.len()));
        if packet.is_empty() {
            continue;
        }
        for _ in 0..random.random_range(0..4) {
            let at = random.random_range(0..packet.len().min(12));
            packet[at] = random.random();
        }
        if open(&packet).is_err() {
            continue;
        }
        passed += 1;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut copy = packet.clone();
            client.process_packet(&mut copy);
            drop(server.process_packet(address(), &mut packet));
        }));
        assert!(result.is_ok());
    }
    assert!(passed > 1_000, "the test must reach renetcode: {passed}");
}
