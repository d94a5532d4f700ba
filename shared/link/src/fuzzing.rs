//! One entry for each decoder of the link, for the fuzz targets: strangers' packets, connect tokens and
//! decrypted payloads. Each takes any bytes, returns whether an honest program could have sent them, and
//! panics if what the decoder promises does not hold.

use std::time::Duration;

use p2c2r_protocol::Channel;
use renet::RenetClient;

use crate::channels::new_connection;
use crate::connection::ConnectionEnd;
use crate::envelope::{self, Envelope, REQUEST_BYTES};
use crate::guard::{self, Guard, Pass};
use crate::limits::{BYTES_PER_CALL, SLICE_BYTES};
use crate::parity::{Protector, Restorer};
use crate::seal;

/// Packets of one run of [`payloads`]: more would only make a run slower.
const PAYLOADS_MAX: usize = 64;

/// A packet from the socket, through every step before renetcode.
pub fn packet(bytes: &[u8]) -> bool {
    let key = [0; renetcode::NETCODE_KEY_BYTES];
    match envelope::open(bytes) {
        Ok(Envelope::Request(_)) => {
            let request = bytes.first_chunk::<REQUEST_BYTES>().expect("a request has one length");
            let _ = seal::open_token(request, &key);
            true
        }
        Ok(_) => {
            let _ = seal::open_packet::<{ seal::CHALLENGE_BYTES }>(bytes, 7, &key);
            true
        }
        Err(_) => false,
    }
}

/// The private part of a connect token, as decrypted.
pub fn token(bytes: &[u8]) -> bool {
    seal::read_token(bytes).is_some()
}

/// A connect token as a client accepts it over HTTPS.
pub fn connect_token(bytes: &[u8]) -> bool {
    let Ok(connect_token) = crate::client::read_token(bytes) else { return false };
    let authentication = renetcode::ClientAuthentication::Secure { connect_token };
    let Ok(mut netcode) = renetcode::NetcodeClient::new(Duration::ZERO, authentication) else { return false };
    let (request, _) = netcode.update(Duration::from_millis(1)).expect("a new client asks to be let in");
    assert!(matches!(envelope::open(request), Ok(Envelope::Request(_))), "what it asks is a request");
    true
}

/// The decrypted payloads of one connected peer, each preceded by its length in two bytes, low byte first:
/// what the guard passes goes to a renet server, which must neither panic nor drop its own peer.
pub fn payloads(mut bytes: &[u8]) -> bool {
    let (mut server, under_way) = busy_server();
    let newest_sent = under_way.iter().filter_map(|packet| Some(guard::header(packet)?.1)).max();
    let (mut restorer, mut guard) = (Restorer::default(), Guard::new(ConnectionEnd::Server));
    for _ in 0..PAYLOADS_MAX {
        let Some((length, rest)) = bytes.split_first_chunk() else { break };
        let (payload, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        bytes = rest;
        let Ok(opened) = restorer.open(payload) else { return false };
        for content in opened.content.into_iter().chain(opened.restored.as_deref()) {
            let Ok((packet, acknowledgement)) = guard::split(content) else { return false };
            for packet in [Some(packet), acknowledgement].into_iter().flatten() {
                let Ok(pass) = guard.check(packet, newest_sent) else { return false };
                pass_on(&mut server, packet, pass);
            }
        }
    }
    server.get_packets_to_send();
    assert_eq!(server.disconnect_reason(), None, "what the guard lets through is within renet's limits");
    true
}

/// What a session does with a packet, and with the messages that have come by it.
fn pass_on(server: &mut RenetClient, packet: &[u8], pass: Pass) {
    match pass {
        Pass::Feed { .. } => server.process_packet(packet),
        Pass::Repeat { sequence } => {
            let mut empty = Vec::new();
            guard::empty_packet(sequence, &mut empty);
            server.process_packet(&empty);
        }
        Pass::Ignore(_) => {}
    }
    for channel in Channel::ALL {
        while server.receive_message(channel as u8).is_some() {}
    }
}

/// A server with unacknowledged packets to its client, so that there is something to acknowledge.
fn busy_server() -> (RenetClient, Vec<Vec<u8>>) {
    let mut server = new_connection(ConnectionEnd::Server);
    server.set_connected();
    let mut under_way = Vec::new();
    for number in 0..8_u8 {
        server.send_message(Channel::Tasks as u8, vec![number; 2 * SLICE_BYTES]);
        server.send_message(Channel::Control as u8, vec![number; 3]);
        server.update(Duration::from_millis(100));
        under_way.extend(server.get_packets_to_send());
    }
    (server, under_way)
}

const _: () = assert!(BYTES_PER_CALL >= SLICE_BYTES as u64, "each round above sends something");

/// Seed inputs for each entry, by its name: packets that an honest program would send.
pub fn seeds(entry: &str) -> Vec<Vec<u8>> {
    match entry {
        "packet" => sealed_packets(),
        "token" => vec![private_part(&[1; 7], &[]), private_part(&[1; 7], &[2; 19])],
        "connect_token" => vec![minted()],
        "payloads" => vec![honest_payloads(false), honest_payloads(true), protected_payloads()],
        _ => Vec::new(),
    }
}

/// A packet of each type, sealed with the key of zeros.
fn sealed_packets() -> Vec<Vec<u8>> {
    let mut request = vec![0; REQUEST_BYTES];
    request[1..14].copy_from_slice(envelope::VERSION);
    let mut packets = vec![request];
    for (kind, body) in [(1, 0), (2, 308), (3, 308), (4, 8), (5, 30), (6, 0)] {
        let mut packet = Vec::new();
        seal::seal_packet(&mut packet, kind, 300, 7, &[0; renetcode::NETCODE_KEY_BYTES], &vec![1; body]);
        packets.push(packet);
    }
    packets
}

/// A token as a mint makes it.
fn minted() -> Vec<u8> {
    let identity = p2c2r_protocol::ProtocolIdentity::new(&[], p2c2r_protocol::Digest([0; 32]));
    let grant = crate::Grant::of_name(p2c2r_protocol::Role::Gamer, "ann");
    crate::Mint::new(&identity).issue(grant).expect("an empty mint has room")
}

/// A token's private part with these two addresses, each preceded by its type: 1 for IPv4, 2 for IPv6.
fn private_part(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut private = vec![0; 8 + 4];
    private.extend_from_slice(&(1 + u32::from(!second.is_empty())).to_le_bytes());
    private.extend_from_slice(first);
    private.extend_from_slice(second);
    private.resize(1_024 - envelope::TAG_BYTES, 3);
    private
}

/// The payloads of a renet client with small messages and slices to send, and optionally packets to
/// acknowledge.
fn honest_payloads(acknowledges: bool) -> Vec<u8> {
    let mut client = new_connection(ConnectionEnd::Client);
    client.set_connected();
    if acknowledges {
        for packet in busy_server().1 {
            client.process_packet(&packet);
        }
    }
    client.send_message(Channel::Control as u8, vec![1; 40]);
    client.send_message(Channel::Tasks as u8, vec![2; 2_000]);
    client.send_message(Channel::Beat as u8, vec![3; 20]);
    with_lengths(&client.get_packets_to_send())
}

/// A burst with its parity and without its first packet.
fn protected_payloads() -> Vec<u8> {
    let mut client = new_connection(ConnectionEnd::Client);
    client.set_connected();
    client.send_message(Channel::Tasks as u8, vec![2; 2_000]);
    let mut packets = client.get_packets_to_send();
    let mut protector = Protector::default();
    for packet in &mut packets {
        protector.add(packet);
    }
    packets.extend(protector.end());
    with_lengths(&packets[1..])
}

/// Joins payloads to the form that [`payloads`] reads.
fn with_lengths(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for payload in payloads {
        all.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        all.extend_from_slice(payload);
    }
    all
}
