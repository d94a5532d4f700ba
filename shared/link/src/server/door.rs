//! Which strangers may speak to netcode at all.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_protocol::ProtocolIdentity;

use super::LinkTotals;
use crate::envelope::{self, Envelope, Request};
use crate::limits::{
    HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, NOTICES_PER_SECOND, REQUESTS_PER_SECOND, TOKEN_SECONDS_MAX,
};
use crate::notice;
use crate::pace::Bucket;
use crate::socket::Wire;

/// The handshakes under way, and the limits on new ones.
pub(super) struct Door {
    identity: ProtocolIdentity,
    handshakes: HashMap<SocketAddr, Duration>,
    requests: Bucket,
    notices: Bucket,
}

impl Door {
    pub(super) fn new(identity: ProtocolIdentity) -> Self {
        Self {
            identity,
            handshakes: HashMap::new(),
            requests: Bucket::new(REQUESTS_PER_SECOND, REQUESTS_PER_SECOND),
            notices: Bucket::new(NOTICES_PER_SECOND, NOTICES_PER_SECOND),
        }
    }

    /// Whether a stranger's packet may go to netcode. `seconds` is netcode's time, by which tokens are dated.
    pub(super) fn admit(
        &mut self,
        now: Duration,
        seconds: u64,
        from: SocketAddr,
        packet: &[u8],
        wire: &mut Wire,
        totals: &mut LinkTotals,
    ) -> Result<(), &'static str> {
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
            Envelope::Request(request) if request.protocol_id != self.identity.id => {
                totals.mismatched += 1;
                if self.notices.take(now, 1) {
                    tracing::info!(%from, "a program of another version asked to join; told it ours");
                    wire.send(now, from, &notice::write(&self.identity.text));
                }
                Err("another protocol version")
            }
            Envelope::Request(request) => self.admit_request(seconds, from, request),
            _ => Ok(()),
        }
    }

    fn admit_request(&self, seconds: u64, from: SocketAddr, request: Request) -> Result<(), &'static str> {
        if request.expires_at_seconds <= seconds || request.expires_at_seconds > seconds + TOKEN_SECONDS_MAX {
            return Err("connect token out of date");
        }
        if self.handshakes.len() >= HANDSHAKES_MAX && !self.handshakes.contains_key(&from) {
            return Err("too many handshakes");
        }
        Ok(())
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
