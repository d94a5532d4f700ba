//! One renet connection, at either end.

use std::time::Duration;

use p2c2r_protocol::Channel;
use renet::{Bytes, DisconnectReason, RenetClient};

/// The ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConnectionEnd {
    Server,
    Client,
}

/// The session's operations on renet. Callers check that a message fits before they send it: renet panics on
/// an unknown channel and disconnects on a full one.
pub(crate) trait Connection {
    /// Advances renet's clock, by which it resends unacknowledged messages and forgets packets sent three seconds ago.
    fn advance(&mut self, passed: Duration);
    fn process(&mut self, packet: &[u8]);
    fn packets(&mut self) -> Vec<Vec<u8>>;
    fn receive(&mut self, channel: Channel) -> Option<Bytes>;
    fn can_send(&self, channel: Channel, bytes: usize) -> bool;
    fn send(&mut self, channel: Channel, message: Vec<u8>);
    fn free_bytes(&self, channel: Channel) -> usize;
    fn failure(&self) -> Option<DisconnectReason>;
}

impl Connection for RenetClient {
    fn advance(&mut self, passed: Duration) {
        if !passed.is_zero() {
            self.update(passed);
        }
    }

    fn process(&mut self, packet: &[u8]) {
        self.process_packet(packet);
    }

    fn packets(&mut self) -> Vec<Vec<u8>> {
        self.get_packets_to_send()
    }

    fn receive(&mut self, channel: Channel) -> Option<Bytes> {
        self.receive_message(channel as u8)
    }

    fn can_send(&self, channel: Channel, bytes: usize) -> bool {
        self.can_send_message(channel as u8, bytes)
    }

    fn send(&mut self, channel: Channel, message: Vec<u8>) {
        self.send_message(channel as u8, message);
    }

    fn free_bytes(&self, channel: Channel) -> usize {
        self.channel_available_memory(channel as u8)
    }

    fn failure(&self) -> Option<DisconnectReason> {
        self.disconnect_reason()
    }
}
