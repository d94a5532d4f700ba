//! Tests of the guard: honest renet packets pass, and nothing that passes makes renet panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::*;
use crate::channels::new_connection;

fn guard() -> Guard {
    Guard::new(ConnectionEnd::Server)
}

fn packet(kind: u8, sequence: u64, rest: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![kind];
    put_varint(&mut out, sequence);
    rest(&mut out);
    out
}

fn slice(id: u64, index: u64, count: u64, bytes: usize) -> Vec<u8> {
    packet(packet_type::RELIABLE_SLICE, id, |out| {
        out.push(Channel::Tasks as u8);
        for value in [id, index, count, bytes as u64] {
            put_varint(out, value);
        }
        out.extend(std::iter::repeat_n(7, bytes));
    })
}

fn small(sequence: u64, channel: u8, messages: &[(u64, usize)]) -> Vec<u8> {
    packet(packet_type::SMALL_RELIABLE, sequence, |out| {
        out.push(channel);
        out.extend_from_slice(&(messages.len() as u16).to_be_bytes());
        for (id, bytes) in messages {
            put_varint(out, *id);
            put_varint(out, *bytes as u64);
            out.extend(std::iter::repeat_n(7, *bytes));
        }
    })
}

fn ack(end: u64, size: u64, further: &[(u64, u64)]) -> Vec<u8> {
    packet(packet_type::ACK, 0, |out| {
        for value in [end, size, further.len() as u64] {
            put_varint(out, value);
        }
        for (gap, size) in further {
            put_varint(out, *gap);
            put_varint(out, *size);
        }
    })
}

fn beats(count: u16, bytes: u64, channel: u8) -> Vec<u8> {
    packet(packet_type::SMALL_UNRELIABLE, 0, |out| {
        out.push(channel);
        out.extend_from_slice(&count.to_be_bytes());
        for _ in 0..count {
            put_varint(out, bytes);
            out.extend(std::iter::repeat_n(7, bytes as usize));
        }
    })
}

fn refused(packets: &[Vec<u8>]) -> &'static str {
    let mut guard = guard();
    let (last, first) = packets.split_last().unwrap();
    for packet in first {
        guard.check(packet, Some(100)).unwrap();
    }
    guard.check(last, Some(100)).expect_err("the last packet must be refused").0
}

/// The reason for the guard: each of these packets alone stops a process that passes packets straight to
/// renet.
#[test]
fn raw_renet_panics_where_the_guard_refuses() {
    let mut server = new_connection(ConnectionEnd::Server);
    server.set_connected();
    let poison = slice(0, 5, 2, SLICE_BYTES);
    assert!(poison.len() < 1_300, "one packet does it");
    let result = catch_unwind(AssertUnwindSafe(|| server.process_packet(&poison)));
    assert!(result.is_err(), "renet got better: look whether the guard is still needed");
    assert_eq!(refused(&[poison]), "slice index out of range");
}

#[test]
fn slices_that_contradict_one_another_are_refused() {
    assert_eq!(
        refused(&[slice(0, 0, 2, 1_200), slice(0, 1, 3, 1_200)]),
        "number of slices differs within one message"
    );
    assert_eq!(refused(&[slice(0, 0, 1_000_000, 1_200)]), "impossible number of slices");
    assert_eq!(refused(&[slice(0, 0, 1, 1_200)]), "impossible number of slices");
    assert_eq!(refused(&[slice(0, 0, 0, 1_200)]), "impossible number of slices");
    assert_eq!(refused(&[slice(0, 0, 2, 1_199)]), "slice of an impossible length");
    assert_eq!(refused(&[slice(0, 1, 2, 0)]), "slice of an impossible length");
    assert_eq!(
        refused(&[slice(3, 0, 2, 1_200), small(4, Channel::Tasks as u8, &[(3, 1)])]),
        "small message under the id of a sliced one"
    );
}

#[test]
fn empty_misplaced_and_far_away_messages_are_refused() {
    assert_eq!(refused(&[small(0, 1, &[(0, 0)])]), "small message of an impossible length");
    assert_eq!(refused(&[small(0, 2, &[(0, 1)])]), "reliable data on a channel that is not reliable");
    assert_eq!(refused(&[small(0, 9, &[(0, 1)])]), "reliable data on a channel that is not reliable");
    assert_eq!(refused(&[small(0, 1, &[(1 << 40, 1)])]), "message id jumps ahead");
    assert_eq!(refused(&[small(1 << 40, 1, &[(0, 1)])]), "packet number jumps ahead");
    let mut long = small(0, 1, &[(0, 1)]);
    long.push(0);
    assert_eq!(refused(&[long]), "bytes after the end of the packet");
    assert_eq!(refused(&[vec![9, 0, 0]]), "unknown packet type");
    assert_eq!(refused(&[packet(3, 0, |out| out.push(2))]), "unreliable slice on a link that has none");
    assert_eq!(refused(&[vec![]]), "packet ends early");
}

#[test]
fn beats_are_few_and_small() {
    assert!(guard().check(&beats(2, 20, 2), None).is_ok());
    assert_eq!(refused(&[beats(100, 1, 2)]), "too many heartbeats in one packet");
    assert_eq!(refused(&[beats(1, 0, 2)]), "heartbeat of an impossible length");
    assert_eq!(refused(&[beats(1, 500, 2)]), "heartbeat of an impossible length");
    assert_eq!(refused(&[beats(1, 20, 1)]), "unreliable data on a reliable channel");
}

#[test]
fn acknowledgements_stay_within_what_was_sent() {
    assert!(guard().check(&ack(100, 3, &[(5, 2), (0, 0)]), Some(100)).is_ok());
    assert_eq!(refused(&[ack(101, 0, &[])]), "acknowledges a packet that was never sent");
    assert_eq!(refused(&[ack(10, 11, &[])]), "acknowledged range below zero");
    assert_eq!(refused(&[ack(10, 5, &[(4, 0)])]), "acknowledged range below zero");
    assert_eq!(refused(&[ack(100, 0, &vec![(0, 0); 300])]), "too many acknowledged ranges");
    assert!(guard().check(&ack(0, 0, &[]), None).is_err(), "nothing was sent at all");
}

#[test]
fn truncated_packets_are_refused_at_every_length() {
    let whole = [slice(0, 1, 2, 700), small(0, 0, &[(0, 5), (1, 9)]), ack(90, 3, &[(5, 2), (1, 70)])];
    for packet in whole {
        assert!(guard().check(&packet, Some(100)).is_ok());
        for length in 0..packet.len() {
            assert!(guard().check(&packet[..length], Some(100)).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn what_is_too_much_for_now_waits_for_a_resend() {
    let mut guard = guard();
    let far = small(0, 1, &[(MESSAGES_AHEAD_MAX, 1)]);
    assert!(matches!(guard.check(&far, None), Ok(Pass::Ignore(_))));
    let per_message = SLICES_MAX * SLICE_BYTES as u64;
    let mut taken = 0;
    for id in 0..100 {
        if matches!(guard.check(&slice(id, 0, SLICES_MAX, 1_200), None), Ok(Pass::Feed { .. })) {
            taken += 1;
        }
    }
    assert_eq!(taken, REASSEMBLY_BYTES_MAX as u64 / per_message);
}

#[test]
fn a_client_has_little_wait_at_the_coordinator_and_no_connect_token_for_it() {
    let long = packet(packet_type::RELIABLE_SLICE, 0, |out| {
        out.push(Channel::Control as u8);
        for value in [1, 0, 2, SLICE_BYTES as u64] {
            put_varint(out, value);
        }
        out.extend([7; SLICE_BYTES]);
    });
    let mut guard = guard();
    let mut takes = |packet: &[u8]| matches!(guard.check(packet, None), Ok(Pass::Feed { .. }));
    assert!(!takes(&long), "a message of several packets");
    for id in 1..CONTROL_AHEAD_MAX {
        assert!(takes(&small(id, Channel::Control as u8, &[(id, SLICE_BYTES)])));
    }
    assert!(!takes(&small(99, Channel::Control as u8, &[(CONTROL_AHEAD_MAX, 1)])));
    assert!(takes(&small(100, Channel::Control as u8, &[(0, 1)])), "all but this one waited");
    assert!(takes(&small(101, Channel::Control as u8, &[(CONTROL_AHEAD_MAX, 1)])));
    let token = small(0, Channel::Spare as u8, &[(0, 1)]);
    assert_eq!(refused(std::slice::from_ref(&token)), "a connect token for the coordinator");
    assert!(Guard::new(ConnectionEnd::Client).check(&token, None).is_ok());
}

#[test]
fn copies_of_what_is_complete_are_acknowledged_and_not_read() {
    let mut guard = guard();
    for index in 0..2 {
        assert_eq!(
            guard.check(&slice(1, index, 2, 1_200), None),
            Ok(Pass::Feed { channel: Some(Channel::Tasks), completes: index == 1 })
        );
    }
    assert_eq!(guard.check(&slice(1, 0, 2, 1_200), None), Ok(Pass::Repeat { sequence: 1 }));
    let mut empty = Vec::new();
    empty_packet(77, &mut empty);
    let mut client = new_connection(ConnectionEnd::Client);
    client.set_connected();
    client.process_packet(&empty);
    assert!(client.is_connected());
    let acks = client.get_packets_to_send();
    assert_eq!(acks.len(), 1);
    assert_eq!(acks[0][0], packet_type::ACK);
}

/// renet on both ends, the guard between them, and a network that loses, repeats and reorders.
#[test]
fn honest_peers_pass_over_a_bad_network_and_everything_arrives() {
    for seed in 0..20 {
        let mut random = Pcg32::seed_from_u64(seed);
        let mut server = new_connection(ConnectionEnd::Server);
        server.set_connected();
        let mut client = new_connection(ConnectionEnd::Client);
        client.set_connected();
        let mut guards = [guard(), Guard::new(ConnectionEnd::Client)];
        let mut newest = [None, None];
        let mut under_way: Vec<(usize, u64, Vec<u8>)> = Vec::new();
        let (mut sent, mut arrived) = (0_u32, Vec::new());
        for tick in 0..4_000_u64 {
            server.update(Duration::from_millis(5));
            client.update(Duration::from_millis(5));
            while sent < 300 && random.random_ratio(1, 4) {
                let length = if random.random_ratio(1, 5) { random.random_range(1_199..9_000) } else { 40 };
                let mut message = vec![0; length];
                message[..4].copy_from_slice(&sent.to_le_bytes());
                client.send_message(Channel::Tasks as u8, message);
                sent += 1;
            }
            let outgoing = [client.get_packets_to_send(), server.get_packets_to_send()];
            for (to, packets) in outgoing.into_iter().enumerate() {
                for packet in packets {
                    newest[to] = header(&packet).map(|(_, sequence)| sequence);
                    if random.random_ratio(1, 10) {
                        continue;
                    }
                    for _ in 0..=u32::from(random.random_ratio(1, 20)) {
                        under_way.push((to, tick + random.random_range(0..8), packet.clone()));
                    }
                }
            }
            let due: Vec<_> = under_way.extract_if(.., |(_, at, _)| *at <= tick).collect();
            for (to, _, packet) in due {
                let pass =
                    guards[to].check(&packet, newest[1 - to]).unwrap_or_else(|v| panic!("{seed}: {v:?}"));
                let mut empty = Vec::new();
                let packet = match pass {
                    Pass::Feed { .. } => &packet,
                    Pass::Repeat { sequence } => {
                        empty_packet(sequence, &mut empty);
                        &empty
                    }
                    Pass::Ignore(_) => continue,
                };
                if to == 0 {
                    server.process_packet(packet);
                } else {
                    client.process_packet(packet);
                }
            }
            while let Some(message) = server.receive_message(Channel::Tasks as u8) {
                arrived.push(u32::from_le_bytes(message[..4].try_into().unwrap()));
            }
        }
        arrived.sort_unstable();
        assert_eq!(arrived, (0..300).collect::<Vec<_>>(), "seed {seed}");
        assert!(server.is_connected() && client.is_connected(), "seed {seed}");
        assert_eq!(guards[0].tasks.partial_bytes, 0, "seed {seed}");
    }
}

/// renet survives whatever the guard passes, from mutated honest packets and from noise.
#[test]
fn nothing_that_passes_makes_renet_panic() {
    let honest: Vec<Vec<u8>> = vec![
        slice(0, 0, 2, 1_200),
        slice(0, 1, 2, 300),
        slice(1, 2, 9, 1_200),
        small(3, 1, &[(2, 40), (3, 7)]),
        small(4, 0, &[(0, 1)]),
        small(5, 0, &[(2, 1)]),
        ack(3, 1, &[]),
        ack(9, 2, &[(1, 2)]),
    ];
    let mut random = Pcg32::seed_from_u64(11);
    let mut passed = 0;
    for round in 0..3_000 {
        let mut guard = guard();
        let mut server = new_connection(ConnectionEnd::Server);
        server.set_connected();
        server.send_message(Channel::Tasks as u8, vec![1; 5_000]);
        let mut newest = None;
        for packet in server.get_packets_to_send() {
            newest = header(&packet).map(|(_, sequence)| sequence);
        }
        for _ in 0..20 {
            let mut packet = honest[random.random_range(0..honest.len())].clone();
            if random.random_ratio(1, 10) {
                packet = (0..random.random_range(0..60)).map(|_| random.random()).collect();
            } else {
                for _ in 0..random.random_range(0..3) {
                    let at = random.random_range(0..packet.len().min(14));
                    packet[at] = if random.random() { random.random_range(0..12) } else { random.random() };
                }
            }
            let feed = match guard.check(&packet, newest) {
                Ok(Pass::Feed { .. }) => packet,
                Ok(Pass::Repeat { sequence }) => {
                    let mut empty = Vec::new();
                    empty_packet(sequence, &mut empty);
                    empty
                }
                Ok(Pass::Ignore(_)) => continue,
                // The peer would be dropped here; continue with a fresh one.
                Err(_) => break,
            };
            passed += 1;
            let result = catch_unwind(AssertUnwindSafe(|| {
                server.process_packet(&feed);
                server.receive_message(Channel::Control as u8);
                server.receive_message(Channel::Tasks as u8);
                server.get_packets_to_send();
            }));
            assert!(result.is_ok(), "round {round}: {feed:?}");
            assert!(server.is_connected(), "round {round}: {:?}", server.disconnect_reason());
        }
    }
    assert!(passed > 1_000, "the test must reach renet: {passed}");
}

#[test]
fn reads_integers_as_renet_writes_them() {
    for value in [0, 63, 64, 16_383, 16_384, 1_073_741_823, 1_073_741_824, (1 << 62) - 1] {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        let mut reader = Reader(&bytes);
        assert_eq!(reader.varint(), Ok(value));
        assert!(reader.end().is_ok());
    }
}

#[test]
fn one_acknowledgement_may_ride_behind_a_packet() {
    for first in [small(7, 1, &[(7, 300), (8, 1)]), beats(2, 20, 2), slice(7, 1, 2, 900)] {
        let datagram = [first.clone(), ack(100, 3, &[(5, 2)])].concat();
        let (packet, acknowledgement) = split(&datagram).unwrap();
        assert_eq!((packet, acknowledgement), (&first[..], Some(&ack(100, 3, &[(5, 2)])[..])));
        assert_eq!(split(&first).unwrap(), (&first[..], None), "and need not");
    }
    let alone = ack(100, 3, &[]);
    assert_eq!(split(&alone).unwrap(), (&alone[..], None));
}

#[test]
fn padding_behind_it_all_is_nothing() {
    let acknowledgement = ack(100, 3, &[(5, 2)]);
    for first in [small(7, 1, &[(7, 300), (8, 1)]), beats(2, 20, 2), slice(7, 1, 2, 900), ack(3, 1, &[])] {
        for length in [0, 1_000, 1_200] {
            let mut datagram = first.clone();
            pad(&mut datagram, length);
            assert_eq!(datagram.len(), first.len().max(length));
            assert_eq!(split(&datagram).unwrap(), (&first[..], None));
            let mut datagram = [first.clone(), acknowledgement.clone()].concat();
            pad(&mut datagram, length);
            assert_eq!(split(&datagram).unwrap(), (&first[..], Some(&acknowledgement[..])));
        }
    }
    let mut datagram = small(7, 1, &[(7, 300)]);
    pad(&mut datagram, 1_000);
    datagram[900] = 1;
    assert!(split(&datagram).is_err(), "padding says nothing");
}

#[test]
fn nothing_else_may_ride_behind_a_packet() {
    let first = small(7, 1, &[(7, 300)]);
    for second in [small(8, 1, &[(8, 300)]), beats(1, 20, 2), slice(8, 1, 2, 900), vec![9]] {
        assert!(split(&[first.clone(), second].concat()).is_err());
    }
    let acknowledgements = [first.clone(), ack(100, 3, &[]), ack(100, 3, &[])].concat();
    assert!(split(&acknowledgements).is_err(), "one, not two");
}

/// Any bytes are split without a panic into what the guard then reads whole, and padding.
#[test]
fn junk_is_split_without_losing_a_byte() {
    let mut random = Pcg32::seed_from_u64(11);
    let samples =
        [small(7, 1, &[(7, 30), (8, 1)]), beats(2, 20, 2), slice(7, 1, 2, 90), ack(100, 3, &[(5, 2)])];
    for _ in 0..20_000 {
        let mut datagram = samples[random.random_range(0..4)].clone();
        datagram.extend_from_slice(&samples[random.random_range(0..4)]);
        for _ in 0..random.random_range(0..4) {
            let at = random.random_range(0..datagram.len());
            datagram[at] = random.random();
        }
        datagram.truncate(random.random_range(0..=datagram.len()));
        if let Ok((packet, rest)) = split(&datagram) {
            let mut whole = [packet, rest.unwrap_or_default()].concat();
            pad(&mut whole, datagram.len());
            assert_eq!(whole, datagram);
            let mut guard = guard();
            let _ = guard.check(packet, Some(100)).and_then(|_| {
                rest.map_or(Ok(Pass::Feed { channel: None, completes: false }), |rest| {
                    guard.check(rest, Some(100))
                })
            });
        }
    }
}
