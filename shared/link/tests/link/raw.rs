//! Bare netcode clients on a memory port, for tests that decide about every packet.

use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_link::MemoryHub;
use p2c2r_link::memory::MemoryPort;
use p2c2r_protocol::Role;
use renetcode::{ClientAuthentication, ConnectToken, NetcodeClient};

use crate::harness::{World, peers};

/// A fresh connect token for a game of this name.
pub fn token(hub: &MemoryHub, name: &str) -> ConnectToken {
    let access =
        p2c2r_link::fetch(&hub.tokens(Role::Gamer, name, &crate::harness::identity()), Duration::ZERO)
            .unwrap();
    ConnectToken::read(&mut access.token.as_slice()).unwrap()
}

/// The connection request that goes with a token.
pub fn request(connect_token: ConnectToken) -> Vec<u8> {
    let mut netcode =
        NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token }).unwrap();
    netcode.update(Duration::ZERO).expect("a client begins with its request").0.to_vec()
}

/// A connection request sealed with an unknown key.
pub fn forged_request(hub: &MemoryHub) -> Vec<u8> {
    let mut packet = request(token(hub, "forger"));
    packet[54..].fill(0);
    packet
}

/// One netcode client at an address of its own.
pub struct RawClient {
    pub port: MemoryPort,
    pub netcode: NetcodeClient,
    server: SocketAddr,
}

impl RawClient {
    /// A client at this address, which is not connected yet.
    pub fn new(hub: &MemoryHub, address: SocketAddr, connect_token: ConnectToken) -> Self {
        Self::at(hub.port_at(address, "raw"), hub, connect_token)
    }

    /// The same at this port.
    pub fn at(port: MemoryPort, hub: &MemoryHub, connect_token: ConnectToken) -> Self {
        let netcode =
            NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token }).unwrap();
        Self { port, netcode, server: hub.server_address() }
    }

    /// A game of this name, connected.
    pub fn joined(world: &mut World, name: &str) -> Self {
        let (port, token) = (world.hub.client_port(name), token(&world.hub, name));
        let mut client = Self::at(port, &world.hub, token);
        assert!(client.joins(world, Duration::from_millis(500)), "{name} is not let in");
        client
    }

    /// Lets `passed` go by and returns the packet that netcode has to send, if any.
    pub fn next_packet(&mut self, passed: Duration) -> Option<Vec<u8>> {
        self.netcode.update(passed).map(|(packet, _)| packet.to_vec())
    }

    /// Reads what has arrived; returns the number of bytes.
    pub fn read(&mut self) -> usize {
        let mut bytes = 0;
        while let Some((_, mut packet)) = self.port.receive() {
            bytes += packet.len();
            self.netcode.process_packet(&mut packet);
        }
        bytes
    }

    pub fn send(&self, packet: &[u8]) {
        self.port.send_to(packet, self.server);
    }

    pub fn send_payload(&mut self, payload: &[u8]) {
        if let Ok((_, packet)) = self.netcode.generate_payload_packet(payload) {
            self.port.send_to(packet, self.server);
        }
    }

    /// Everything a client does in one step.
    pub fn turn(&mut self, passed: Duration) {
        self.read();
        if let Some(packet) = self.next_packet(passed) {
            self.send(&packet);
        }
    }

    /// Steps the world until this client is connected and counted among the peers; false if `at_most` passes.
    pub fn joins(&mut self, world: &mut World, at_most: Duration) -> bool {
        let before = peers(&world.server).len();
        let step = world.settings.step;
        (0..at_most.as_nanos() / step.as_nanos()).any(|_| {
            self.turn(step);
            world.step();
            self.netcode.is_connected() && peers(&world.server).len() > before
        })
    }
}
