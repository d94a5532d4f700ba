//! Tests of a session: which peer a panic is blamed on, and whose rate packets with a peer's address count
//! against.

use renet::{Bytes, DisconnectReason};

use super::*;

/// A connection whose library panics at every packet.
struct Panics;

impl Connection for Panics {
    fn advance(&mut self, _: Duration) {}
    fn process(&mut self, packet: &[u8]) {
        panic!("cannot take {} bytes", packet.len());
    }
    fn packets(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }
    fn receive(&mut self, _: Channel) -> Option<Bytes> {
        None
    }
    fn can_send(&self, _: Channel, _: usize) -> bool {
        true
    }
    fn send(&mut self, _: Channel, _: Vec<u8>) {}
    fn free_bytes(&self, _: Channel) -> usize {
        CHANNEL_MEMORY_BYTES_MAX
    }
    fn failure(&self) -> Option<DisconnectReason> {
        None
    }
}

fn session() -> PeerSession {
    PeerSession::new(Duration::ZERO, ConnectionEnd::Server, false, None, Duration::ZERO)
}

#[test]
fn a_panic_at_a_peers_packet_is_the_peers_offence() {
    let mut honest_packet = Vec::new();
    guard::empty_packet(0, &mut honest_packet);
    let offence = session().receive(Duration::ZERO, &honest_packet, &mut Panics).unwrap_err();
    assert!(offence.0.contains("panicked"), "{}", offence.0);
}

#[test]
fn only_what_is_a_peers_own_uses_up_what_it_may_send() {
    let mut session = session();
    let (packets_per_second, _) = INTAKE_REMOTE;
    for _ in 0..100_000 {
        assert!(session.admits(Duration::ZERO), "forged packets cost it nothing");
        session.forged(Duration::ZERO);
    }
    assert!(session.is_plagued(Duration::ZERO) && !session.is_plagued(Duration::from_secs(1)));
    let mut own = 0;
    while session.admits(Duration::ZERO) {
        session.heard(Duration::ZERO, own, 100);
        own += 1;
    }
    assert_eq!(own as f64, packets_per_second / 2.0, "its own burst");
}

#[test]
fn numbers_that_cannot_be_the_next_are_not_opened() {
    let mut session = session();
    session.heard(Duration::ZERO, 1_000, 50);
    let (oldest, newest) = (1_001 - PACKETS_LATE_MAX, 1_000 + PACKETS_EARLY_MAX);
    assert!(session.may_be_new(oldest) && session.may_be_new(newest));
    assert!(!session.may_be_new(oldest - 1) && !session.may_be_new(newest + 1));
}
