//! Which strangers may speak to netcode at all.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_protocol::ProtocolIdentity;

use super::mint::{Mint, Seal};
use crate::envelope::{self, Envelope, Request};
use crate::limits::{HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, REQUESTS_PER_SECOND};
use crate::pace::Bucket;

/// The handshakes under way, and the limits on new ones.
pub(super) struct Door {
    identity: ProtocolIdentity,
    mint: Mint,
    handshakes: HashMap<SocketAddr, Duration>,
    requests: Bucket,
}

impl Door {
    pub(super) fn new(identity: ProtocolIdentity, mint: Mint) -> Self {
        Self {
            identity,
            mint,
            handshakes: HashMap::new(),
            requests: Bucket::new(REQUESTS_PER_SECOND, REQUESTS_PER_SECOND),
        }
    }

    /// Whether a stranger's packet may go to netcode; if it is a connection request, its token's seal.
    pub(super) fn admit(
        &mut self,
        now: Duration,
        from: SocketAddr,
        packet: &[u8],
    ) -> Result<Option<Seal>, &'static str> {
        // Shape first: what netcode would not look at must not use up what those who join need.
        let envelope = match envelope::open(packet)? {
            envelope @ Envelope::Request(_) => envelope,
            envelope @ Envelope::Response if self.handshakes.contains_key(&from) => envelope,
            _ => return Err("not a stranger's packet"),
        };
        if !self.requests.take(now, 1) {
            return Err("too many packets from strangers");
        }
        match envelope {
            Envelope::Request(request) => self.admit_request(from, request).map(Some),
            _ => Ok(None),
        }
    }

    fn admit_request(&self, from: SocketAddr, request: Request) -> Result<Seal, &'static str> {
        // Programs of another version are told so over HTTPS, and get no token to come here with.
        if request.protocol_id != self.identity.id {
            return Err("another protocol version");
        }
        if self.handshakes.len() >= HANDSHAKES_MAX && !self.handshakes.contains_key(&from) {
            return Err("too many handshakes");
        }
        self.mint.admits(&request.seal, from).map(|()| request.seal)
    }

    /// netcode has answered a stranger.
    pub(super) fn answered(&mut self, now: Duration, stranger: SocketAddr) {
        self.handshakes.entry(stranger).or_insert(now);
    }

    /// A stranger has become a peer.
    pub(super) fn came_in(&mut self, stranger: SocketAddr) {
        self.handshakes.remove(&stranger);
    }

    /// Forgets handshakes that were never finished.
    pub(super) fn forget_old(&mut self, now: Duration) {
        if !self.handshakes.is_empty() {
            self.handshakes.retain(|_, since| now < *since + HANDSHAKE_TIME_MAX);
        }
    }
}
