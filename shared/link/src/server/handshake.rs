//! Admission of strangers: everything between a packet of an unknown address and a proven newcomer.
//!
//! The coordinator runs netcode's handshake itself, and renetcode sees a stranger only after its answer, because of
//! three faults of renetcode 2.0.0: it keeps a half-open handshake under its address for as long as the token lives, even
//! if that address was spoofed; it takes the user data from a challenge that never expires and is bound to nothing; and it
//! seals the challenge under numbers that the session uses again. Here a challenge is bound to its token, its address and
//! a time, and has numbers of its own.
//!
//! Strangers share no resource that can be exhausted, so packets cannot lock anyone out. A request of an
//! outstanding token is recognised by its seal, which cannot be guessed, with one look-up in the mint's
//! table; that is cheaper than a rate limit per address, which would lock out those whose addresses others
//! spoof. Only requests with such a token take room: handshakes and places, of which each address and each
//! prefix has its share. A program that comes back needs no place beside that of its own older connection,
//! which it replaces.

mod packet_source;
mod pending;
mod places;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::mint::{Grant, Mint, ProgramKey};
use super::peers::LinkTotals;
use super::refusal::PacketRefusal;
use crate::envelope::{self, ConnectionRequest, Envelope, REQUEST_BYTES};
use crate::limits::{CHALLENGE_PAUSE, STRANGERS_PER_UPDATE_MAX};
use crate::seal::{self, SealKey};

pub(super) use packet_source::PacketSource;
pub(super) use pending::Handshake;
use pending::PendingHandshakes;
use places::Places;

/// Netcode packet types that the handshake sends.
const DENIED: u8 = 1;
const CHALLENGE: u8 = 2;
/// The first sequence number of challenges and denials: a session, which begins at zero under the same key,
/// does not live to reach it, so no number seals two packets.
const FIRST_NUMBER: u64 = 1 << 61;

/// What to do about a stranger's packet.
pub(super) enum PacketAction {
    /// Send the stranger [`Handshaker::answer`].
    Answer,
    /// The stranger has proven its address and used up its token: admit it as the token's holder.
    Admit(Box<(Handshake, Grant)>),
}

/// Holds the handshakes with strangers, and decides which are admitted.
pub(super) struct Handshaker {
    protocol_id: u64,
    mint: Mint,
    handshakes: PendingHandshakes,
    places: Places,
    /// Strangers' packets that may still be handled in this update.
    left: usize,
    number: u64,
    /// The packet to answer with.
    answer: Vec<u8>,
    candidates: Vec<u64>,
}

impl Handshaker {
    /// Admits holders of this mint's tokens, at most `peers_max` peers.
    pub(super) fn new(protocol_id: u64, mint: Mint, peers_max: usize) -> Self {
        Self {
            protocol_id,
            mint,
            handshakes: PendingHandshakes::default(),
            places: Places::new(peers_max),
            left: STRANGERS_PER_UPDATE_MAX,
            number: FIRST_NUMBER,
            answer: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Begins an update.
    pub(super) fn begin(&mut self) {
        self.left = STRANGERS_PER_UPDATE_MAX;
    }

    /// Whether this update has handled enough strangers: peers come first.
    pub(super) fn has_had_enough(&self) -> bool {
        self.left == 0
    }

    /// The packet that goes with [`PacketAction::Answer`].
    pub(super) fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Handles a stranger's packet.
    pub(super) fn look_at(
        &mut self,
        now: Duration,
        from: SocketAddr,
        packet: &[u8],
        totals: &mut LinkTotals,
    ) -> Result<PacketAction, PacketRefusal> {
        self.left = self.left.saturating_sub(1);
        match (envelope::open(packet)?, packet.first_chunk()) {
            (Envelope::Request(says), Some(request)) => self.request(now, from, says, request, totals),
            (Envelope::Response, _) => self.response(from, packet, totals),
            _ => Err(PacketRefusal::Shape("not a stranger's packet")),
        }
    }

    fn request(
        &mut self,
        now: Duration,
        from: SocketAddr,
        says: ConnectionRequest,
        packet: &[u8; REQUEST_BYTES],
        totals: &mut LinkTotals,
    ) -> Result<PacketAction, PacketRefusal> {
        // Programs of another version are told so over HTTPS, and get no token.
        if says.protocol_id != self.protocol_id {
            return Err(PacketRefusal::OtherVersion);
        }
        let program = self.mint.admits(&says.seal, from)?;
        if let Some(handshake) = self.handshakes.of_token(&says.seal) {
            if now < handshake.answered_at + CHALLENGE_PAUSE {
                return Err(PacketRefusal::TooSoon);
            }
            handshake.answered_at = now;
            let (key, challenge) = (handshake.token.to_client, handshake.challenge);
            return Ok(self.seal(CHALLENGE, &key, &challenge));
        }
        // Somebody may have seen the seal on its way and sent it with other content.
        let token = seal::open_token(packet, self.mint.key()).ok_or(PacketRefusal::UnknownToken)?;
        let key = token.to_client;
        if !self.places.has_one_for(PacketSource::of(from.ip()), program) {
            return Ok(self.deny(PacketRefusal::NoPlace, &key, totals));
        }
        let handshake = Handshake::new(now, from, token, (says.seal, program), packet);
        let challenge = handshake.challenge;
        totals.refused.evicted += u64::from(self.handshakes.begin(handshake));
        Ok(self.seal(CHALLENGE, &key, &challenge))
    }

    fn response(
        &mut self,
        from: SocketAddr,
        packet: &[u8],
        totals: &mut LinkTotals,
    ) -> Result<PacketAction, PacketRefusal> {
        self.handshakes.with(from, &mut self.candidates);
        if self.candidates.is_empty() {
            return Err(PacketRefusal::Shape("a response without a request"));
        }
        let answers = |number: &&u64| {
            self.handshakes.get(**number).is_some_and(|handshake| {
                let answer = seal::open_packet(packet, self.protocol_id, &handshake.token.from_client);
                answer == Some(handshake.challenge)
            })
        };
        let number = self.candidates.iter().find(answers).copied();
        let handshake = number.and_then(|number| self.handshakes.end(number));
        let handshake = handshake.ok_or(PacketRefusal::ForgedResponse)?;
        let key = handshake.token.to_client;
        if !self.places.has_one_for(PacketSource::of(from.ip()), handshake.program) {
            return Ok(self.deny(PacketRefusal::NoPlace, &key, totals));
        }
        // The token may have been voided, or run out, since it was shown.
        match self.mint.redeem(&handshake.seal, from) {
            Ok(grant) => Ok(PacketAction::Admit(Box::new((handshake, grant)))),
            Err(refusal) => Ok(self.deny(refusal, &key, totals)),
        }
    }

    fn deny(&mut self, refusal: PacketRefusal, key: &SealKey, totals: &mut LinkTotals) -> PacketAction {
        totals.refused.count(refusal);
        self.seal(DENIED, key, &[])
    }

    fn seal(&mut self, kind: u8, key: &SealKey, body: &[u8]) -> PacketAction {
        self.number += 1;
        seal::seal_packet(&mut self.answer, kind, self.number, self.protocol_id, key, body);
        PacketAction::Answer
    }

    /// Pending handshakes.
    pub(super) fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// Records that a program at this address takes a place.
    pub(super) fn came_in(&mut self, address: IpAddr, program: ProgramKey) {
        self.places.take(PacketSource::of(address), program);
    }

    /// Records that a program has left its place.
    pub(super) fn went_out(&mut self, program: ProgramKey) {
        self.places.give_back(program);
    }

    /// Drops handshakes that took too long.
    pub(super) fn forget_old(&mut self, now: Duration) {
        self.handshakes.forget_old(now);
    }
}
