//! One renet connection, at either end.

use p2c2r_protocol::Channel;
use renet::{Bytes, ClientId, DisconnectReason, RenetClient, RenetServer};

/// The session's operations on renet. Callers check that a message fits before they send it: renet panics on
/// an unknown channel and disconnects on a full one.
pub(crate) trait Connection {
    fn process(&mut self, packet: &[u8]);
    fn packets(&mut self) -> Vec<Vec<u8>>;
    fn receive(&mut self, channel: Channel) -> Option<Bytes>;
    fn can_send(&self, channel: Channel, bytes: usize) -> bool;
    fn send(&mut self, channel: Channel, message: Vec<u8>);
    fn free_bytes(&self, channel: Channel) -> usize;
    fn failure(&self) -> Option<DisconnectReason>;
}

impl Connection for RenetClient {
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

/// One client's connection at the server.
pub(crate) struct AtServer<'a> {
    pub(crate) server: &'a mut RenetServer,
    pub(crate) client: ClientId,
}

impl Connection for AtServer<'_> {
    fn process(&mut self, packet: &[u8]) {
        // The only error is that the client is unknown, and then nothing is to be processed.
        let _ = self.server.process_packet_from(packet, self.client);
    }

    fn packets(&mut self) -> Vec<Vec<u8>> {
        self.server.get_packets_to_send(self.client).unwrap_or_default()
    }

    fn receive(&mut self, channel: Channel) -> Option<Bytes> {
        self.server.receive_message(self.client, channel as u8)
    }

    fn can_send(&self, channel: Channel, bytes: usize) -> bool {
        self.server.can_send_message(self.client, channel as u8, bytes)
    }

    fn send(&mut self, channel: Channel, message: Vec<u8>) {
        self.server.send_message(self.client, channel as u8, message);
    }

    fn free_bytes(&self, channel: Channel) -> usize {
        self.server.channel_available_memory(self.client, channel as u8)
    }

    fn failure(&self) -> Option<DisconnectReason> {
        self.server.disconnect_reason(self.client)
    }
}
