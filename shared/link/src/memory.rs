//! A packet switch in memory, so that tests run many programs in one process on manual time.
//!
//! It carries the same packets as UDP, between made-up addresses, so netcode, the guards and the impairment
//! layer run unchanged. Delivery is instant; delay comes from [`Impairment`](crate::Impairment).

use p2c2r_protocol::{Nanos, ProtocolIdentity, Role};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::PORT_PACKETS_MAX;
use crate::problem;
use crate::runner::Waker;
use crate::server::{Grant, Mint};
use crate::tokens::{NoToken, TokenAnswer, TokenSource};

/// Where the coordinator of every memory hub listens.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8_765);

/// What a tap decides about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is delivered.
    Deliver,
    /// It is lost.
    Drop,
}

/// Packets carried so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubCounters {
    /// Packets delivered to a port.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Packets lost to a cut, a tap, a full port or an unused address.
    pub lost: u64,
}

/// An in-memory network of one coordinator and any number of clients; clones share it.
#[derive(Clone, Default)]
pub struct MemoryHub {
    switch: Arc<Mutex<Switch>>,
}

#[derive(Default)]
struct Switch {
    ports: HashMap<SocketAddr, Port>,
    opened: u16,
    cut: HashSet<String>,
    cut_ports: HashSet<SocketAddr>,
    tap: Option<Tap>,
    counters: HubCounters,
    mint: Option<Mint>,
    tokens: Option<Arc<dyn TokenSource>>,
    credit: Nanos,
    programs: u64,
}

type Tap = Box<dyn FnMut(SocketAddr, SocketAddr, &mut Vec<u8>) -> Fate + Send>;

#[derive(Default)]
struct Port {
    name: String,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    waker: Option<Waker>,
}

impl fmt::Debug for MemoryHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHub").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl MemoryHub {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the coordinator's port. A restarted coordinator takes over the address; packets for the old one
    /// are lost.
    pub fn server_port(&self) -> MemoryPort {
        self.open(SERVER, "coordinator")
    }

    /// Opens a client's port under the client's name. Every connection attempt opens a new one.
    pub fn client_port(&self, name: &str) -> MemoryPort {
        let number = {
            let mut switch = self.lock();
            switch.opened = switch.opened.wrapping_add(1);
            switch.opened
        };
        let address = SocketAddr::from(([127, 1, (number >> 8) as u8, number as u8], 40_000));
        self.open(address, name)
    }

    /// Opens a port at a chosen address, in place of any that was there: for tests that send as if from far
    /// away, or from many ports of one address.
    pub fn port_at(&self, address: SocketAddr, name: &str) -> MemoryPort {
        self.open(address, name)
    }

    fn open(&self, address: SocketAddr, name: &str) -> MemoryPort {
        let port = Port { name: name.to_owned(), ..Port::default() };
        self.lock().ports.insert(address, port);
        MemoryPort { hub: self.clone(), address }
    }

    /// Drops every packet to and from the client of this name until [`heal`](Self::heal).
    pub fn cut(&self, name: &str) {
        self.lock().cut.insert(name.to_owned());
    }

    /// Drops every packet to and from the ports that the client of this name has now, for good. Ports that it opens later
    /// work, as after a change of its address.
    pub fn cut_ports(&self, name: &str) {
        let mut switch = self.lock();
        let ports: Vec<SocketAddr> =
            switch.ports.iter().filter(|(_, port)| port.name == name).map(|(address, _)| *address).collect();
        switch.cut_ports.extend(ports);
    }

    /// Lets packets of the client of this name through again.
    pub fn heal(&self, name: &str) {
        self.lock().cut.remove(name);
    }

    /// Shows every packet (from, to, bytes) to `tap`, which may change it and decides its fate.
    pub fn tap(&self, tap: impl FnMut(SocketAddr, SocketAddr, &mut Vec<u8>) -> Fate + Send + 'static) {
        self.lock().tap = Some(Box::new(tap));
    }

    /// Removes the tap.
    pub fn untap(&self) {
        self.lock().tap = None;
    }

    /// Delivers raw bytes as if `from` had sent them to `to`; cuts and taps do not apply.
    pub fn inject(&self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        self.lock().deliver(from, to, packet.to_vec());
    }

    /// Where the coordinator listens.
    pub fn server_address(&self) -> SocketAddr {
        SERVER
    }

    /// Where the client of this name is, if it has a port.
    pub fn client_address(&self, name: &str) -> Option<SocketAddr> {
        self.lock().ports.iter().find(|(_, port)| port.name == name).map(|(address, _)| *address)
    }

    /// Packets carried so far.
    pub fn counters(&self) -> HubCounters {
        self.lock().counters
    }

    /// Sets the credit of every account that is enrolled from now on; zero at first.
    pub fn set_credit(&self, credit: Nanos) {
        self.lock().credit = credit;
    }

    /// Tokens for the client of this role and name, from the coordinator that has the hub's port.
    pub fn tokens(&self, role: Role, name: &str, identity: &ProtocolIdentity) -> MemoryTokens {
        let mut switch = self.lock();
        switch.programs += 1;
        MemoryTokens {
            hub: self.clone(),
            role,
            name: name.to_owned(),
            identity: identity.clone(),
            instance: switch.programs,
        }
    }

    /// Sets the source of all clients' tokens: for tests without a real coordinator.
    pub fn set_tokens(&self, tokens: Arc<dyn TokenSource>) {
        self.lock().tokens = Some(tokens);
    }

    pub(crate) fn set_mint(&self, mint: Mint) {
        self.lock().mint = Some(mint);
    }

    fn lock(&self) -> MutexGuard<'_, Switch> {
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switch {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        let mut packet = packet.to_vec();
        let is_cut = [from, to].iter().any(|address| {
            let name = self.ports.get(address).map(|port| &port.name);
            self.cut_ports.contains(address) || name.is_some_and(|name| self.cut.contains(name))
        });
        let is_dropped =
            is_cut || self.tap.as_mut().is_some_and(|tap| tap(from, to, &mut packet) == Fate::Drop);
        if is_dropped {
            self.counters.lost += 1;
        } else {
            self.deliver(from, to, packet);
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, packet: Vec<u8>) {
        match self.ports.get_mut(&to) {
            Some(port) if port.waiting.len() < PORT_PACKETS_MAX => {
                self.counters.packets += 1;
                self.counters.bytes += packet.len() as u64;
                port.waiting.push_back((from, packet));
                if let Some(waker) = &port.waker {
                    waker.wake();
                }
            }
            _ => self.counters.lost += 1,
        }
    }
}

/// Connect tokens on a [`MemoryHub`].
#[derive(Clone, Debug)]
pub struct MemoryTokens {
    hub: MemoryHub,
    role: Role,
    name: String,
    identity: ProtocolIdentity,
    instance: u64,
}

impl TokenSource for MemoryTokens {
    fn ask(&self, answer: TokenAnswer) {
        let (mint, tokens, credit) = {
            let switch = self.hub.lock();
            (switch.mint.clone(), switch.tokens.clone(), switch.credit)
        };
        if let Some(tokens) = tokens {
            return tokens.ask(answer);
        }
        let Some(mint) = mint else {
            let reason = problem::no_answer("there is no coordinator on this network");
            return answer.give(Err(NoToken::Unreachable { reason }));
        };
        let grant = Grant { instance: self.instance, credit, ..Grant::of_name(self.role, &self.name) };
        mint.source(grant, &self.identity, SERVER).ask(answer);
    }
}

/// One end of a [`MemoryHub`], closed when dropped. Programs open theirs themselves; tests open one to
/// exchange single packets with a program.
#[derive(Debug)]
pub struct MemoryPort {
    hub: MemoryHub,
    address: SocketAddr,
}

impl MemoryPort {
    /// This end's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends one packet.
    pub fn send_to(&self, packet: &[u8], to: SocketAddr) {
        self.hub.lock().send(self.address, to, packet);
    }

    /// Takes the oldest packet waiting here.
    pub fn receive(&self) -> Option<(SocketAddr, Vec<u8>)> {
        self.hub.lock().ports.get_mut(&self.address)?.waiting.pop_front()
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        if let Some(port) = self.hub.lock().ports.get_mut(&self.address) {
            port.waker = Some(waker);
        }
    }

    pub(crate) fn hub(&self) -> &MemoryHub {
        &self.hub
    }
}

impl Drop for MemoryPort {
    fn drop(&mut self) {
        // The coordinator's port may have been taken over by its successor, which must keep it.
        if self.address != SERVER {
            self.hub.lock().ports.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_packets_until_cut() {
        let hub = MemoryHub::new();
        let (server, client) = (hub.server_port(), hub.client_port("ann"));
        client.send_to(b"one", server.address());
        assert_eq!(server.receive(), Some((client.address(), b"one".to_vec())));
        hub.cut("ann");
        client.send_to(b"two", server.address());
        server.send_to(b"three", client.address());
        assert_eq!((server.receive(), client.receive()), (None, None));
        hub.heal("ann");
        server.send_to(b"four", client.address());
        assert_eq!(client.receive(), Some((server.address(), b"four".to_vec())));
        assert_eq!(hub.counters(), HubCounters { packets: 2, bytes: 7, lost: 2 });
    }

    #[test]
    fn a_restarted_coordinator_keeps_its_address() {
        let hub = MemoryHub::new();
        let old = hub.server_port();
        let new = hub.server_port();
        drop(old);
        let client = hub.client_port("ann");
        client.send_to(b"x", new.address());
        assert!(new.receive().is_some());
    }

    #[test]
    fn taps_see_change_and_drop_packets() {
        let hub = MemoryHub::new();
        let (server, client) = (hub.server_port(), hub.client_port("ann"));
        hub.tap(|_, _, packet| {
            packet.push(b'!');
            if packet.starts_with(b"no") { Fate::Drop } else { Fate::Deliver }
        });
        client.send_to(b"yes", server.address());
        client.send_to(b"no", server.address());
        assert_eq!(server.receive().map(|(_, packet)| packet), Some(b"yes!".to_vec()));
        assert_eq!(server.receive(), None);
    }
}
