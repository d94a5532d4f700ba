//! The connected peers, as the coordinator sees them.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bevy_ecs::resource::Resource;
use p2c2r_protocol::{AccountKey, NumberHash, PeerId, Role, SeededHash, fit_name};
use renet::RenetClient;

use super::mint::Grant;
use super::refusal::Refusals;
use super::spares::PeerSpare;
use crate::PeerStats;
use crate::peer::PeerSession;
use crate::seal::SealKey;
use crate::socket::Ends;

/// What the link has refused since it started, for all peers and strangers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTotals {
    /// Packets read.
    pub packets: u64,
    /// Packets and messages refused, of peers and of strangers.
    pub garbage: u64,
    /// Of those, packets refused on arrival, by cause.
    pub refused: Refusals,
    /// Pending handshakes.
    pub handshakes: usize,
    /// Peers dropped for an offence.
    pub offenders: u64,
}

/// The connected peers.
#[derive(Resource, Debug, Default)]
pub struct Peers {
    pub(super) now: Duration,
    pub(super) entries: HashMap<PeerId, PeerEntry, NumberHash>,
    pub(super) by_address: HashMap<SocketAddr, PeerId, SeededHash>,
    /// Peers with something to send, each once.
    pub(super) dirty: Vec<PeerId>,
    /// Peers with new measurements that [`take_measured`](Self::take_measured) has not returned yet, each once.
    measured: Vec<PeerId>,
    /// Peers to disconnect at the end of this update, and why.
    pub(super) closing: Vec<(PeerId, String)>,
    pub(super) totals: LinkTotals,
}

/// A key that logs do not show.
pub(super) struct HiddenKey(pub(super) SealKey);

impl fmt::Debug for HiddenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenKey")
    }
}

/// One connected peer.
#[derive(Debug)]
pub(super) struct PeerEntry {
    /// netcode's number for it.
    pub(super) client: u64,
    /// Its connection. It is not in a `RenetServer`, which looks a connection up by a hash at every step and advances the
    /// clocks of all connections together.
    pub(super) renet: RenetClient,
    pub(super) ends: Ends,
    /// Seals what the peer sends.
    pub(super) key: HiddenKey,
    pub(super) who: Grant,
    pub(super) session: PeerSession,
    pub(super) is_dirty: bool,
    /// Whether its messages are marked to be read.
    pub(super) is_in_mail: bool,
    /// Whether it is among the peers with new measurements.
    pub(super) is_measured: bool,
    /// Whether a message for it found no room. It then gets no more, and is dropped at the end of this update.
    pub(super) is_full: bool,
    pub(super) spare: PeerSpare,
    pub(super) timer: Duration,
    pub(super) netcode_due: Duration,
}

impl Peers {
    /// Measurements of one connection.
    pub fn get(&self, peer: PeerId) -> Option<&PeerStats> {
        self.entries.get(&peer).map(|entry| &entry.session.stats)
    }

    /// Whether [`Peers::take_measured`] has something.
    pub fn is_anything_measured(&self) -> bool {
        !self.measured.is_empty()
    }

    /// The connections whose round trip or clock was measured since the last call, each once. With it, callers need not
    /// look at all connections to find these few.
    pub fn take_measured(&mut self) -> impl Iterator<Item = (PeerId, &PeerStats)> {
        let measured = std::mem::take(&mut self.measured);
        for peer in &measured {
            if let Some(entry) = self.entries.get_mut(peer) {
                entry.is_measured = false;
            }
        }
        measured.into_iter().filter_map(|peer| Some((peer, self.get(peer)?)))
    }

    /// All connections, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (PeerId, &PeerStats)> {
        self.entries.iter().map(|(peer, entry)| (*peer, &entry.session.stats))
    }

    /// The connections of an account, in no particular order.
    pub fn of_account(&self, account: AccountKey) -> impl Iterator<Item = PeerId> {
        self.entries.iter().filter(move |(_, entry)| entry.who.account == account).map(|(peer, _)| *peer)
    }

    /// What a peer is, and its public name.
    pub fn introduction(&self, peer: PeerId) -> Option<(Role, &str)> {
        self.entries.get(&peer).map(|entry| (entry.who.role, entry.who.name.as_str()))
    }

    /// The account of a peer.
    pub fn account_of(&self, peer: PeerId) -> Option<AccountKey> {
        self.entries.get(&peer).map(|entry| entry.who.account)
    }

    /// Renames an account on the operator's order: its next spare tokens are for the new name.
    pub fn rename(&mut self, account: AccountKey, name: &str) {
        for entry in self.entries.values_mut().filter(|entry| entry.who.account == account) {
            entry.who.name = fit_name(name);
        }
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ends a connection at the end of this update, after what is queued for it has been sent once.
    pub fn disconnect(&mut self, peer: PeerId, reason: &str) {
        if self.entries.contains_key(&peer) {
            self.closing.push((peer, reason.to_owned()));
        }
    }

    /// Sets whether this peer has tasks out: then heartbeats go every 100 ms, and 350 ms of silence end the
    /// connection (700 ms while any packets are unread).
    ///
    /// For workers. A healthy game's frame may hang for longer than 350 ms.
    pub fn mark_busy(&mut self, peer: PeerId, busy: bool) {
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        if entry.session.heartbeat.mark_busy(busy, self.now) {
            self.mark_dirty(peer);
        }
    }

    /// What the link has refused since it started.
    pub fn totals(&self) -> LinkTotals {
        self.totals
    }

    /// Removes a peer that has left.
    pub(super) fn remove(&mut self, peer: PeerId) -> Option<PeerEntry> {
        let entry = self.entries.remove(&peer)?;
        self.by_address.remove(&entry.ends.theirs);
        if entry.is_measured {
            self.measured.retain(|other| *other != peer);
        }
        Some(entry)
    }

    /// Records that a peer has a new measurement.
    pub(super) fn note_measured(&mut self, peer: PeerId) {
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        if !std::mem::replace(&mut entry.is_measured, true) {
            self.measured.push(peer);
        }
    }

    /// Marks a peer for which there may be something to do when this update sends.
    pub(super) fn mark_dirty(&mut self, peer: PeerId) {
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        if !entry.is_dirty {
            entry.is_dirty = true;
            self.dirty.push(peer);
        }
    }
}
