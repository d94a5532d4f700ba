//! The coordinator's socket, its netcode server and its handshakes.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::PeerId;
use renet::RenetServer;
use renetcode::{NetcodeServer, ServerConfig, ServerResult};

use super::door::Door;
use super::mint::{Grant, Mint, Redeemed, Seal};
use super::peers::{Entry, Peers};
use super::{PeerJoined, PeerLeft, ServerLinkConfig, ServerTransport};
use crate::connection::AtServer;
use crate::envelope::{self, Envelope};
use crate::limits::{NETCODE_TICK, NETCODE_TICK_UNCONFIRMED};
use crate::peer::{Offence, Session, survive};
use crate::socket::{Medium, Wire};
use crate::{Impairment, Pace};

/// Everything of the coordinator's link that no other system may touch.
#[derive(Resource)]
pub(super) struct Listener {
    pub(super) wire: Wire,
    pub(super) timers: BTreeSet<(Duration, PeerId)>,
    pub(super) ack_delay: Duration,
    pub(super) news: News,
    netcode: Box<NetcodeServer>,
    /// Packets that netcode has sent to strangers; it numbers them so.
    answers: u64,
    door: Door,
    mint: Mint,
    pace: Option<Pace>,
    numbered: u64,
}

/// What the update's receiving has found, to be written as messages.
#[derive(Default)]
pub(super) struct News {
    pub(super) joined: Vec<PeerJoined>,
    pub(super) left: Vec<PeerLeft>,
    pub(super) with_mail: Vec<PeerId>,
    /// Peers that closed their connection; they leave once their last words have been read.
    pub(super) parting: Vec<PeerId>,
}

impl News {
    /// Has a peer's mail read when mail is next read.
    pub(super) fn has_mail(&mut self, peer: PeerId, entry: &mut Entry) {
        if !std::mem::replace(&mut entry.is_in_mail, true) {
            self.with_mail.push(peer);
        }
    }
}

/// What [`Listener::admit`] has read on the outside of a packet.
#[derive(Default)]
struct Outside {
    /// The packet's number, if it is a peer's.
    sequence: Option<u64>,
    /// The seal of the connect token in it, if it is a connection request.
    seal: Option<Seal>,
}

impl Listener {
    pub(super) fn new(config: &ServerLinkConfig) -> io::Result<Self> {
        let wire = open(&config.transport, config.impair)?;
        let mint = config.mint.clone();
        if let Medium::Memory(port) = wire.medium() {
            mint.set_time(mint.now());
            port.hub().set_mint(mint.clone());
        }
        let peers_max = config.peers_max.clamp(1, p2c2r_protocol::limits::PEERS_MAX);
        let mut netcode = NetcodeServer::new(ServerConfig {
            current_time: mint.now(),
            max_clients: peers_max,
            protocol_id: config.identity.id,
            public_addresses: Mint::addresses(),
            authentication: mint.authentication(),
        });
        spend_first_number(&mut netcode, &mint);
        Ok(Self {
            wire,
            timers: BTreeSet::new(),
            ack_delay: Duration::ZERO,
            news: News::default(),
            netcode: Box::new(netcode),
            answers: 1,
            door: Door::new(config.identity.clone(), mint.clone()),
            mint,
            pace: config.pace,
            numbered: 0,
        })
    }

    /// Moves netcode's clock to the mint's, which dates tokens; a network in memory moves the mint's first.
    pub(super) fn advance(&mut self, now: Duration, delta: Duration) {
        if let Medium::Memory(_) = self.wire.medium() {
            self.mint.set_time(self.netcode.current_time() + delta);
        }
        self.netcode.update(self.mint.now().saturating_sub(self.netcode.current_time()));
        self.door.forget_old(now);
    }

    /// Handles one packet from the socket; says whether it brought whole messages.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        from: SocketAddr,
        packet: &mut [u8],
        renet: &mut RenetServer,
        peers: &mut Peers,
    ) -> bool {
        peers.totals.packets += 1;
        let peer = peers.by_address.get(&from).copied();
        let Outside { sequence, seal } = match self.admit(now, from, packet, peer, peers) {
            Ok(outside) => outside,
            Err(reason) => {
                // Not the peer's offence: anyone can write its address on a packet.
                peers.totals.garbage += 1;
                if let Some(entry) = peer.and_then(|peer| peers.entries.get_mut(&peer)) {
                    entry.session.stats.garbage += 1;
                }
                tracing::debug!(%from, reason, "packet refused");
                return false;
            }
        };
        let bytes = packet.len();
        let netcode = &mut *self.netcode;
        // The envelope check knows every panic we know of in renetcode; this is for those we do not know.
        let result = survive(move || netcode.process_packet(from, packet));
        match result {
            None => {
                peers.totals.garbage += 1;
                if let Some(peer) = peer {
                    self.offend(peer, &Offence::new("decrypting its packet panicked"), now, renet, peers);
                }
            }
            Some(ServerResult::None) => self.kept_alive(peer, sequence, bytes, peers),
            Some(ServerResult::PacketToSend { addr, payload }) => {
                self.wire.send(now, addr, payload);
                self.door.answered(now, addr);
                if let Some(seal) = seal {
                    self.mint.note_challenge(&seal, self.answers);
                }
                self.answers += 1;
            }
            Some(ServerResult::Payload { payload, .. }) => {
                let Some(peer) = peer else { return false };
                let Some(entry) = peers.entries.get_mut(&peer) else { return false };
                entry.session.heard(now, sequence.unwrap_or_default(), bytes);
                return self.payload(peer, now, payload, renet, peers);
            }
            Some(ServerResult::ClientConnected { client_id, addr, user_data, payload }) => {
                self.door.came_in(addr);
                self.wire.send(now, addr, payload);
                match self.mint.redeem(client_id, &user_data, addr) {
                    Ok(token) => self.join(now, client_id, addr, token, renet, peers),
                    Err(reason) => {
                        peers.totals.garbage += 1;
                        tracing::debug!(%addr, reason, "refused at the end of its handshake");
                        self.hang_up(now, client_id);
                    }
                }
            }
            Some(ServerResult::ClientDisconnected { .. }) => {
                self.news.parting.extend(peer);
            }
        }
        false
    }

    /// Handles what netcode has decrypted.
    fn payload(
        &mut self,
        peer: PeerId,
        now: Duration,
        payload: &[u8],
        renet: &mut RenetServer,
        peers: &mut Peers,
    ) -> bool {
        let Some(entry) = peers.entries.get_mut(&peer) else { return false };
        let mut connection = AtServer { server: renet, client: entry.client };
        let received = entry.session.receive(now, payload, &mut connection);
        let owes_acks = entry.session.flow.owes_acks();
        self.news.has_mail(peer, entry);
        let is_laden = match received {
            Ok(is_laden) => is_laden,
            Err(offence) => {
                self.offend(peer, &offence, now, renet, peers);
                return false;
            }
        };
        if owes_acks {
            self.send(peer, now, now, false, renet, peers);
        }
        peers.mark_dirty(peer);
        is_laden
    }

    /// Whether a packet may go to netcode; its sequence number if it has one.
    fn admit(
        &mut self,
        now: Duration,
        from: SocketAddr,
        packet: &[u8],
        peer: Option<PeerId>,
        peers: &mut Peers,
    ) -> Result<Outside, &'static str> {
        if let Some(entry) = peer.and_then(|peer| peers.entries.get_mut(&peer)) {
            if !entry.session.admits(now, packet.len()) {
                return Err("more than a peer may send");
            }
            return match envelope::open(packet)? {
                Envelope::Payload { sequence } | Envelope::KeepAlive { sequence } => {
                    Ok(Outside { sequence: Some(sequence), seal: None })
                }
                // The answer to a handshake that is over may have been lost; netcode says nothing to it.
                Envelope::Disconnect | Envelope::Response => Ok(Outside::default()),
                _ => Err("not a connected peer's packet"),
            };
        }
        self.door.admit(now, from, packet).map(|seal| Outside { sequence: None, seal })
    }

    /// netcode had nothing to say: a keep-alive, or something it could not decrypt.
    fn kept_alive(&mut self, peer: Option<PeerId>, sequence: Option<u64>, bytes: usize, peers: &mut Peers) {
        let (Some(peer), Some(sequence)) = (peer, sequence) else { return };
        let Some(entry) = peers.entries.get_mut(&peer) else { return };
        let heard = self.netcode.time_since_last_received_packet(entry.client) == Some(Duration::ZERO);
        if heard {
            entry.session.may_have_kept_alive(sequence, bytes);
        } else {
            entry.session.stats.garbage += 1;
            peers.totals.garbage += 1;
        }
    }

    fn join(
        &mut self,
        now: Duration,
        client: u64,
        address: SocketAddr,
        Redeemed { grant: who, challenges }: Redeemed,
        renet: &mut RenetServer,
        peers: &mut Peers,
    ) {
        // A program that comes back, perhaps from another address, is not kept waiting until its old connection times out.
        let same = |entry: &Entry| (entry.who.account, entry.who.instance) == (who.account, who.instance);
        let older: Vec<PeerId> =
            peers.entries.iter().filter(|(_, entry)| same(entry)).map(|(peer, _)| *peer).collect();
        for older in older {
            self.drop_peer(older, "it came back over another connection", now, renet, peers);
        }
        self.numbered += 1;
        let peer = PeerId(self.numbered);
        renet.add_connection(client);
        let bucket = Pace::bucket(self.pace, address.ip().to_canonical());
        let session = Session::new(now, address.ip().to_canonical().is_loopback(), bucket, self.ack_delay);
        tracing::debug!(%peer, %address, role = %who.role, name = who.name, "peer connected");
        self.news.joined.push(PeerJoined {
            peer,
            role: who.role,
            account: who.account,
            instance: who.instance,
            name: who.name.clone(),
            credit: who.credit,
            address: SocketAddr::new(address.ip().to_canonical(), address.port()).to_string(),
        });
        let entry = Entry {
            client,
            // netcode's answer to the handshake was number 0.
            sequence: 1,
            spent_numbers: challenges,
            address,
            who,
            session,
            is_dirty: false,
            is_in_mail: false,
            is_full: false,
            timer: now,
            netcode_due: now + NETCODE_TICK_UNCONFIRMED,
        };
        self.timers.insert((now, peer));
        peers.entries.insert(peer, entry);
        peers.by_address.insert(address, peer);
        peers.mark_dirty(peer);
    }

    /// Drops a peer that broke a rule.
    pub(super) fn offend(
        &mut self,
        peer: PeerId,
        offence: &Offence,
        now: Duration,
        renet: &mut RenetServer,
        peers: &mut Peers,
    ) {
        peers.totals.offenders += 1;
        peers.totals.garbage += 1;
        tracing::debug!(%peer, reason = offence.0, "peer dropped");
        self.drop_peer(peer, &offence.0, now, renet, peers);
    }

    /// Disconnects a peer.
    pub(super) fn drop_peer(
        &mut self,
        peer: PeerId,
        reason: &str,
        now: Duration,
        renet: &mut RenetServer,
        peers: &mut Peers,
    ) {
        if let Some(entry) = peers.entries.get_mut(&peer) {
            step_over_spent(&mut self.netcode, entry);
            let client = entry.client;
            self.hang_up(now, client);
            self.leave(peer, reason, renet, peers);
        }
    }

    /// Tells a client that it is over; three times, since nobody answers.
    fn hang_up(&mut self, now: Duration, client: u64) {
        if let ServerResult::ClientDisconnected { addr, payload: Some(payload), .. } =
            self.netcode.disconnect(client)
        {
            for _ in 0..3 {
                self.wire.send(now, addr, payload);
            }
        }
    }

    /// Forgets a peer whose connection is over.
    pub(super) fn leave(&mut self, peer: PeerId, reason: &str, renet: &mut RenetServer, peers: &mut Peers) {
        let Some(entry) = peers.entries.remove(&peer) else { return };
        renet.remove_connection(entry.client);
        peers.by_address.remove(&entry.address);
        self.timers.remove(&(entry.timer, peer));
        let reason = reason.to_owned();
        let Grant { role, account, name, .. } = entry.who;
        self.news.left.push(PeerLeft { peer, role, account, name, reason });
    }

    /// Sends what may leave for one peer, and sets its next timer.
    pub(super) fn send(
        &mut self,
        peer: PeerId,
        now: Duration,
        stamp: Duration,
        everything: bool,
        renet: &mut RenetServer,
        peers: &mut Peers,
    ) {
        let Some(entry) = peers.entries.get_mut(&peer) else { return };
        entry.is_dirty = false;
        let (netcode, wire) = (&mut self.netcode, &mut self.wire);
        let client = entry.client;
        let mut connection = AtServer { server: renet, client };
        let (sequence, spent) = (&mut entry.sequence, &entry.spent_numbers);
        let sent = entry.session.send(now, stamp.into(), &mut connection, everything, |payload| {
            step_over(netcode, client, sequence, spent);
            match netcode.generate_payload_packet(client, payload) {
                Ok((address, packet)) => {
                    *sequence += 1;
                    wire.send(now, address, packet);
                    packet.len()
                }
                Err(error) => {
                    tracing::debug!(%error, "payload not encrypted");
                    0
                }
            }
        });
        let due = entry.session.next_due(now).min(entry.netcode_due);
        if due != entry.timer {
            self.timers.remove(&(entry.timer, peer));
            self.timers.insert((due, peer));
            entry.timer = due;
        }
        if let Err(offence) = sent {
            peers.closing.push((peer, offence.0));
        }
    }

    /// The next peer whose timer has run out; it has none until it is sent to again.
    pub(super) fn next_due(&mut self, now: Duration, peers: &mut Peers) -> Option<PeerId> {
        let (due, peer) = self.timers.first().copied().filter(|(due, _)| *due <= now)?;
        self.timers.remove(&(due, peer));
        if let Some(entry) = peers.entries.get_mut(&peer) {
            entry.timer = Duration::MAX;
        }
        Some(peer)
    }

    /// Runs netcode's own clockwork for one peer, if it is time.
    pub(super) fn tick_netcode(
        &mut self,
        peer: PeerId,
        now: Duration,
        renet: &mut RenetServer,
        peers: &mut Peers,
    ) {
        let Some(entry) = peers.entries.get_mut(&peer) else { return };
        if now < entry.netcode_due {
            return;
        }
        entry.netcode_due =
            now + if entry.session.is_confirmed() { NETCODE_TICK } else { NETCODE_TICK_UNCONFIRMED };
        step_over_spent(&mut self.netcode, entry);
        match self.netcode.update_client(entry.client) {
            ServerResult::PacketToSend { addr, payload } => {
                entry.sequence += 1;
                self.wire.send(now, addr, payload);
            }
            ServerResult::ClientDisconnected { addr, payload, .. } => {
                if let Some(payload) = payload {
                    self.wire.send(now, addr, payload);
                }
                self.leave(peer, "it timed out", renet, peers);
            }
            _ => {}
        }
    }
}

fn open(transport: &ServerTransport, impair: Option<Impairment>) -> io::Result<Wire> {
    match transport {
        ServerTransport::Udp(socket) => Wire::listen(socket.try_clone()?, impair),
        ServerTransport::Memory(hub) => Ok(Wire::new(Medium::Memory(hub.server_port()), impair)),
    }
}

/// Has netcode use up the first number of what it sends to strangers: the first packet of every session has number 0, and
/// netcode sends it before anybody can have it skip a number.
fn spend_first_number(netcode: &mut NetcodeServer, mint: &Mint) {
    let Some(mut request) = mint.request_of_nobody() else { return };
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let _ = netcode.process_packet(nowhere, &mut request);
}

/// Has netcode skip the packet numbers that a peer's challenges were sealed with.
fn step_over_spent(netcode: &mut NetcodeServer, entry: &mut Entry) {
    step_over(netcode, entry.client, &mut entry.sequence, &entry.spent_numbers);
}

/// Has netcode skip packet numbers that were used under a client's key before.
///
/// renetcode 2.0.0 numbers what it sends to strangers by a counter of its own and seals it under the key of the session
/// to come, whose packets are numbered from 0: the same key and number would seal two texts, which shows either to
/// whoever knows the other. A packet that is made and thrown away takes the number.
fn step_over(netcode: &mut NetcodeServer, client: u64, sequence: &mut u64, spent: &[u64]) {
    while spent.contains(sequence) {
        // The client was connected a moment ago, and a payload of one byte is within netcode's limit.
        let _ = netcode.generate_payload_packet(client, &[0]);
        *sequence += 1;
    }
}
