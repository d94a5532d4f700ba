//! The coordinator's socket, its netcode server and its handshakes.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::PeerId;
use p2c2r_protocol::catch_panic::catch_panic;
use renetcode::{NetcodeServer, ServerConfig, ServerResult};

use super::handshake::{Handshake, Handshaker, PacketAction};
use super::mint::{Grant, Mint};
use super::peers::{HiddenKey, PeerEntry, Peers};
use super::refusal::PacketRefusal;
use super::spares::PeerSpare;
use super::{PeerJoined, PeerLeft, ServerLinkConfig, ServerTransport};
use crate::channels::new_connection;
use crate::clock::UpdateTime;
use crate::connection::ConnectionEnd;
use crate::envelope::{self, Envelope};
use crate::limits::{NETCODE_TICK, NETCODE_TICK_SLACK, NETCODE_TICK_UNCONFIRMED, PLAGUED_CHECKS_PER_SECOND};
use crate::peer::{Offence, PeerSession};
use crate::rate_limit::TokenBucket;
use crate::seal::{self, SealKey};
use crate::socket::{Ends, Medium, Wire};
use crate::{Impairment, RateLimit};

/// netcode's packet type of a response.
const RESPONSE: u8 = 3;

/// The state of the coordinator's link that only the link's own systems may touch.
#[derive(Resource)]
pub(super) struct Listener {
    pub(super) wire: Wire,
    pub(super) timers: BTreeSet<(Duration, PeerId)>,
    pub(super) ack_delay: Duration,
    pub(super) news: ListenerEvents,
    netcode: Box<NetcodeServer>,
    pub(super) handshaker: Handshaker,
    pub(super) mint: Mint,
    /// Limits the packets opened with the addresses of peers under a flood of forged ones.
    plagued: TokenBucket,
    rate_limit: Option<RateLimit>,
    is_impaired: bool,
    protocol_id: u64,
    numbered: u64,
}

/// What the update's receiving has found, to be written as messages.
#[derive(Default)]
pub(super) struct ListenerEvents {
    pub(super) joined: Vec<PeerJoined>,
    pub(super) left: Vec<PeerLeft>,
    pub(super) with_mail: Vec<PeerId>,
    /// Peers that closed their connection; they leave once their last messages have been read.
    pub(super) parting: Vec<PeerId>,
}

impl ListenerEvents {
    /// Marks a peer's messages to be read.
    pub(super) fn has_mail(&mut self, peer: PeerId, entry: &mut PeerEntry) {
        if !std::mem::replace(&mut entry.is_in_mail, true) {
            self.with_mail.push(peer);
        }
    }
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
        let netcode = NetcodeServer::new(ServerConfig {
            current_time: mint.now(),
            max_clients: peers_max,
            protocol_id: config.identity.id,
            public_addresses: Mint::addresses(),
            authentication: mint.authentication(),
        });
        Ok(Self {
            wire,
            timers: BTreeSet::new(),
            ack_delay: Duration::ZERO,
            news: ListenerEvents::default(),
            netcode: Box::new(netcode),
            handshaker: Handshaker::new(config.identity.id, mint.clone(), peers_max),
            mint,
            plagued: TokenBucket::new(PLAGUED_CHECKS_PER_SECOND, PLAGUED_CHECKS_PER_SECOND / 20.0),
            rate_limit: config.rate_limit,
            is_impaired: config.impair.is_some(),
            protocol_id: config.identity.id,
            numbered: 0,
        })
    }

    /// Advances netcode's clock to the mint's, which dates tokens. On a network in memory it first advances the mint's.
    pub(super) fn advance(&mut self, now: Duration, delta: Duration) {
        if let Medium::Memory(_) = self.wire.medium() {
            self.mint.set_time(self.netcode.current_time() + delta);
        }
        self.netcode.update(self.mint.now().saturating_sub(self.netcode.current_time()));
        self.handshaker.forget_old(now);
    }

    /// Handles one packet from the socket; returns whether it completed messages.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        ends: Ends,
        packet: &mut [u8],
        peers: &mut Peers,
    ) -> bool {
        peers.totals.packets += 1;
        let from = ends.theirs;
        let Some(peer) = peers.by_address.get(&from).copied() else {
            self.receive_from_stranger(now, ends, packet, peers);
            return false;
        };
        let envelope = match self.admit(now, packet, peer, peers) {
            Ok(envelope) => envelope,
            Err(refusal) => {
                // Not the peer's offence: anyone can spoof its address.
                refuse(from, refusal, peers);
                if let Some(entry) = peers.entries.get_mut(&peer) {
                    entry.session.stats.garbage += 1;
                }
                return false;
            }
        };
        if self.is_forged(envelope, packet, peer, peers) {
            note_forged(now, peer, peers);
            return false;
        }
        let bytes = packet.len();
        let netcode = &mut *self.netcode;
        // The envelope check prevents every known panic in renetcode; this catches unknown ones.
        let result = catch_panic(move || netcode.process_packet(from, packet));
        match (result, envelope) {
            (Err(_), _) => {
                peers.totals.garbage += 1;
                self.offend(peer, &Offence::new("decrypting its packet panicked"), now, peers);
            }
            (Ok(ServerResult::Payload { payload, .. }), Envelope::Payload { sequence }) => {
                let Some(entry) = peers.entries.get_mut(&peer) else { return false };
                entry.session.heard(now, sequence, bytes);
                return self.payload(peer, now, payload, peers);
            }
            (Ok(ServerResult::ClientDisconnected { .. }), _) => self.news.parting.push(peer),
            (Ok(_), envelope) => self.unheard(now, peer, envelope, bytes, peers),
        }
        false
    }

    /// Handles a packet of an address that is no peer's.
    fn receive_from_stranger(&mut self, now: Duration, ends: Ends, packet: &[u8], peers: &mut Peers) {
        match self.handshaker.look_at(now, ends.theirs, packet, &mut peers.totals) {
            Ok(PacketAction::Answer) => self.wire.send(now, ends, self.handshaker.answer()),
            Ok(PacketAction::Admit(admitted)) => {
                let (handshake, grant) = *admitted;
                self.let_in(now, ends, handshake, grant, peers);
            }
            Err(refusal) => refuse(ends.theirs, refusal, peers),
        }
    }

    /// Takes renetcode through the handshake that a newcomer has completed with the [`Handshaker`]: requests
    /// a challenge and answers it at once, with the keys of the newcomer's token.
    fn let_in(&mut self, now: Duration, ends: Ends, handshake: Handshake, who: Grant, peers: &mut Peers) {
        // A program that reconnects, perhaps from another address, replaces its old connection at once: it need not wait
        // until that times out, and gets its place, which may be the only one.
        let is_older = |entry: &PeerEntry| entry.who.program() == who.program();
        let older: Vec<PeerId> =
            peers.entries.iter().filter(|(_, entry)| is_older(entry)).map(|(peer, _)| *peer).collect();
        for older in older {
            self.drop_peer(older, "it came back over another connection", now, peers);
        }
        let Handshake { address, token, mut request, .. } = handshake;
        let key = token.from_client;
        let protocol_id = self.protocol_id;
        let netcode = &mut *self.netcode;
        let result = catch_panic(move || {
            let ServerResult::PacketToSend { payload, .. } = netcode.process_packet(address, &mut *request)
            else {
                return None;
            };
            let challenge: [u8; seal::CHALLENGE_BYTES] =
                seal::open_packet(payload, protocol_id, &token.to_client)?;
            let mut response = Vec::new();
            seal::seal_packet(&mut response, RESPONSE, 0, protocol_id, &token.from_client, &challenge);
            match netcode.process_packet(address, &mut response) {
                ServerResult::ClientConnected { client_id, payload, .. } => {
                    Some((client_id, payload.to_vec()))
                }
                _ => None,
            }
        });
        let Some((client_id, answer)) = result.ok().flatten() else {
            refuse(address, PacketRefusal::Shape("a token that netcode does not take"), peers);
            return;
        };
        self.wire.send(now, ends, &answer);
        self.join(now, client_id, (ends.settled(), key), who, peers);
    }

    /// Handles what netcode has decrypted.
    fn payload(&mut self, peer: PeerId, now: Duration, payload: &[u8], peers: &mut Peers) -> bool {
        let Some(entry) = peers.entries.get_mut(&peer) else { return false };
        let received = entry.session.receive(now, payload, &mut entry.renet);
        let owes_acks = entry.session.send_queue.owes_acks();
        self.news.has_mail(peer, entry);
        let is_laden = match received {
            Ok(is_laden) => is_laden,
            Err(offence) => {
                self.offend(peer, &offence, now, peers);
                return false;
            }
        };
        if owes_acks {
            self.send(peer, UpdateTime::at(now), false, peers);
        }
        peers.mark_dirty(peer);
        is_laden
    }

    /// Whether a packet with a peer's address may go to netcode.
    fn admit(
        &mut self,
        now: Duration,
        packet: &[u8],
        peer: PeerId,
        peers: &mut Peers,
    ) -> Result<Envelope, PacketRefusal> {
        let Some(entry) = peers.entries.get_mut(&peer) else { return Err("a peer that has left".into()) };
        let envelope = envelope::open(packet)?;
        match envelope {
            Envelope::Payload { sequence } | Envelope::KeepAlive { sequence } => {
                if !entry.session.may_be_new(sequence) {
                    return Err(PacketRefusal::ForgedPacket);
                }
            }
            Envelope::Disconnect => {}
            // A late packet of the finished handshake. If its answer was lost, it is repeated later.
            _ => return Err("not a connected peer's packet".into()),
        }
        if !entry.session.admits(now) {
            return Err(PacketRefusal::OverRate);
        }
        if entry.session.is_plagued(now) && !self.plagued.take(now, 1) {
            return Err(PacketRefusal::Unopened);
        }
        Ok(envelope)
    }

    /// Whether a packet with a peer's address is forged. Keep-alives are always checked, because netcode does not report
    /// whether it has accepted one. Other packets are checked only during a flood of forged ones: renetcode searches all
    /// its places before it rejects a packet, and meanwhile serves no peer.
    fn is_forged(&self, envelope: Envelope, packet: &[u8], peer: PeerId, peers: &Peers) -> bool {
        let is_keep_alive = matches!(envelope, Envelope::KeepAlive { .. });
        peers.entries.get(&peer).is_some_and(|entry| {
            (is_keep_alive || entry.session.is_suspect())
                && !seal::is_sealed(packet, self.protocol_id, &entry.key.0)
        })
    }

    /// Handles a packet for which netcode delivered nothing: a keep-alive, a forged packet or a copy.
    fn unheard(&mut self, now: Duration, peer: PeerId, envelope: Envelope, bytes: usize, peers: &mut Peers) {
        let Some(entry) = peers.entries.get_mut(&peer) else { return };
        let heard = self.netcode.time_since_last_received_packet(entry.client) == Some(Duration::ZERO);
        match envelope {
            Envelope::KeepAlive { sequence } if heard => entry.session.may_have_kept_alive(sequence, bytes),
            _ => note_forged(now, peer, peers),
        }
    }

    fn join(
        &mut self,
        now: Duration,
        client: u64,
        (ends, key): (Ends, SealKey),
        who: Grant,
        peers: &mut Peers,
    ) {
        let address = ends.theirs;
        self.numbered += 1;
        let peer = PeerId(self.numbered);
        let bucket = RateLimit::bucket(self.rate_limit, address.ip().to_canonical(), self.is_impaired);
        let is_local = address.ip().to_canonical().is_loopback();
        let session = PeerSession::new(now, ConnectionEnd::Server, is_local, bucket, self.ack_delay);
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
        self.handshaker.came_in(address.ip(), who.program());
        let mut renet = new_connection(ConnectionEnd::Server);
        renet.set_connected();
        let entry = PeerEntry {
            client,
            renet,
            ends,
            key: HiddenKey(key),
            who,
            session,
            is_dirty: false,
            is_in_mail: false,
            is_measured: false,
            is_full: false,
            spare: PeerSpare::new(now, peer),
            timer: now,
            netcode_due: now + NETCODE_TICK_UNCONFIRMED,
        };
        self.timers.insert((now, peer));
        peers.entries.insert(peer, entry);
        peers.by_address.insert(address, peer);
        peers.mark_dirty(peer);
    }

    /// Drops a peer that broke a rule.
    pub(super) fn offend(&mut self, peer: PeerId, offence: &Offence, now: Duration, peers: &mut Peers) {
        peers.totals.offenders += 1;
        peers.totals.garbage += 1;
        tracing::debug!(%peer, reason = offence.0, "peer dropped");
        self.drop_peer(peer, &offence.0, now, peers);
    }

    /// Disconnects a peer that must go, and voids its spare token.
    pub(super) fn drop_peer(&mut self, peer: PeerId, reason: &str, now: Duration, peers: &mut Peers) {
        self.withdraw_spare(peer, peers);
        self.give_up(peer, reason, now, peers);
    }

    /// Disconnects a peer that has fallen silent. It may come back by its spare token.
    pub(super) fn give_up(&mut self, peer: PeerId, reason: &str, now: Duration, peers: &mut Peers) {
        let Some(entry) = peers.entries.get(&peer) else { return };
        if let ServerResult::ClientDisconnected { payload: Some(payload), .. } =
            self.netcode.disconnect(entry.client)
        {
            // Three times, because it is not acknowledged.
            for _ in 0..3 {
                self.wire.send(now, entry.ends, payload);
            }
        }
        self.leave(peer, reason, peers);
    }

    /// Removes a peer whose connection is over.
    pub(super) fn leave(&mut self, peer: PeerId, reason: &str, peers: &mut Peers) {
        let Some(entry) = peers.remove(peer) else { return };
        self.handshaker.went_out(entry.who.program());
        self.timers.remove(&(entry.timer, peer));
        let reason = reason.to_owned();
        let Grant { role, account, name, .. } = entry.who;
        self.news.left.push(PeerLeft { peer, role, account, name, reason });
    }

    /// Sends what may leave for one peer, and sets its next timer.
    pub(super) fn send(&mut self, peer: PeerId, time: UpdateTime, everything: bool, peers: &mut Peers) {
        let now = time.now;
        let Some(entry) = peers.entries.get_mut(&peer) else { return };
        entry.is_dirty = false;
        let renewed = entry.renew_spare(&self.mint, now);
        let (netcode, wire) = (&mut self.netcode, &mut self.wire);
        let (client, ends) = (entry.client, entry.ends);
        let sent_before = entry.session.stats.sent_packets;
        let sent = entry.session.send(time, &mut entry.renet, everything, |payload| {
            match netcode.generate_payload_packet(client, payload) {
                Ok((_, packet)) => {
                    wire.send(now, ends, packet);
                    packet.len()
                }
                Err(error) => {
                    tracing::debug!(%error, "payload not encrypted");
                    0
                }
            }
        });
        if entry.session.is_confirmed() && entry.session.stats.sent_packets > sent_before {
            // netcode sends no keep-alive right after another packet.
            self.tick_netcode(peer, now, now + NETCODE_TICK_SLACK, peers);
        }
        let Some(entry) = peers.entries.get_mut(&peer) else { return };
        let due = entry.session.next_due(now).min(entry.netcode_due);
        if due != entry.timer {
            self.timers.remove(&(entry.timer, peer));
            self.timers.insert((due, peer));
            entry.timer = due;
        }
        if let Err(offence) = renewed.and(sent) {
            peers.closing.push((peer, offence.0));
        }
    }

    /// The next peer whose timer has expired. [`send`](Self::send) sets its next timer.
    pub(super) fn next_due(&mut self, now: Duration, peers: &mut Peers) -> Option<PeerId> {
        let (due, peer) = self.timers.first().copied().filter(|(due, _)| *due <= now)?;
        self.timers.remove(&(due, peer));
        if let Some(entry) = peers.entries.get_mut(&peer) {
            entry.timer = Duration::MAX;
        }
        Some(peer)
    }

    /// Runs netcode's own clockwork for one peer, if that is due by `by`.
    pub(super) fn tick_netcode(&mut self, peer: PeerId, now: Duration, by: Duration, peers: &mut Peers) {
        let Some(entry) = peers.entries.get_mut(&peer) else { return };
        if by < entry.netcode_due {
            return;
        }
        entry.netcode_due =
            now + if entry.session.is_confirmed() { NETCODE_TICK } else { NETCODE_TICK_UNCONFIRMED };
        match self.netcode.update_client(entry.client) {
            ServerResult::PacketToSend { payload, .. } => self.wire.send(now, entry.ends, payload),
            ServerResult::ClientDisconnected { payload, .. } => {
                if let Some(payload) = payload {
                    self.wire.send(now, entry.ends, payload);
                }
                self.leave(peer, "it timed out", peers);
            }
            _ => {}
        }
    }
}

/// Counts a packet with a peer's address that was forged, or a copy.
fn note_forged(now: Duration, peer: PeerId, peers: &mut Peers) {
    if let Some(entry) = peers.entries.get_mut(&peer) {
        entry.session.forged(now);
        entry.session.stats.garbage += 1;
    }
    peers.totals.garbage += 1;
    peers.totals.refused.count(PacketRefusal::ForgedPacket);
}

/// Counts a refused packet.
fn refuse(from: SocketAddr, refusal: PacketRefusal, peers: &mut Peers) {
    peers.totals.garbage += 1;
    peers.totals.refused.count(refusal);
    tracing::debug!(%from, reason = %refusal, "packet refused");
}

fn open(transport: &ServerTransport, impair: Option<Impairment>) -> io::Result<Wire> {
    match transport {
        ServerTransport::Udp(socket) => Wire::listen(socket.try_clone()?, impair),
        ServerTransport::Memory(hub) => Ok(Wire::new(Medium::Memory(hub.server_port()), impair)),
    }
}
