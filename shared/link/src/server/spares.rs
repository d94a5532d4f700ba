//! Gives connected peers spare connect tokens, with which they are back sooner when they are cut off.

use std::time::Duration;

use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;
use p2c2r_protocol::{Channel, PeerId, Role, ServerToGame, ServerToWorker};

use super::listener::Listener;
use super::mint::{Grant, Mint, Seal};
use super::peers::{PeerEntry, Peers};
use crate::connection::Connection as _;
use crate::limits::SPARE_LOOK;
use crate::peer::Offence;

/// Number of moments over which the checks of the connections' spare tokens are spread.
const MOMENTS: u32 = 16;

/// The spare token of one peer.
#[derive(Debug)]
pub(super) struct PeerSpare {
    /// The seal of the latest one.
    seal: Option<Seal>,
    look_at: Duration,
}

impl PeerSpare {
    /// No token yet. A peer gets its first one within [`SPARE_LOOK`], at a moment that follows from its number, so that
    /// peers that connected together do not get theirs together for ever.
    pub(super) fn new(now: Duration, peer: PeerId) -> Self {
        let moment = 1 + (peer.0 % u64::from(MOMENTS)) as u32;
        Self { seal: None, look_at: now + SPARE_LOOK * moment / MOMENTS }
    }
}

impl PeerEntry {
    /// Gives the peer a new spare token if it is time for one. Only a peer that has just been heard gets one, because it
    /// voids the former one and would not reach a peer that is cut off. Nor does a peer get one before it has received the
    /// former one: that is sent again and again, for ever on a path that carries no packets of its length, and more of
    /// them would fill the line.
    pub(super) fn renew_spare(&mut self, mint: &Mint, now: Duration) -> Result<(), Offence> {
        if now < self.spare.look_at
            || self.session.heartbeat.heard_at() != now
            || !self.session.is_confirmed()
        {
            return Ok(());
        }
        self.spare.look_at = now + SPARE_LOOK;
        let is_under_way = self.renet.free_bytes(Channel::Spare) < CHANNEL_MEMORY_BYTES_MAX;
        if is_under_way {
            return Ok(());
        }
        let grant = Grant { asked_from: Some(self.ends.theirs.ip()), ..self.who.clone() };
        let Some((seal, token)) = mint.spare(self.spare.seal, grant) else { return Ok(()) };
        self.spare.seal = Some(seal);
        match self.who.role {
            Role::Gamer => self.session.queue(&ServerToGame::Spare(token), &mut self.renet),
            Role::Worker => self.session.queue(&ServerToWorker::Spare(token), &mut self.renet),
        }
    }
}

impl Listener {
    /// Voids the spare token of a peer that must go.
    pub(super) fn withdraw_spare(&self, peer: PeerId, peers: &Peers) {
        if let Some(seal) = peers.entries.get(&peer).and_then(|entry| entry.spare.seal) {
            self.mint.withdraw(&seal);
        }
    }
}
