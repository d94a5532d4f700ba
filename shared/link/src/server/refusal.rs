//! Why a packet was refused: texts and counters.

use std::fmt;

/// Packets refused since the start, by cause. Refused messages inside genuine packets are not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Of no valid shape, or not valid from this sender at this moment.
    pub shape: u64,
    /// Connection requests of programs of another protocol version.
    pub other_version: u64,
    /// Connection requests, and answers to challenges, with a token that is not outstanding: forged, used before, or
    /// voided.
    pub unknown_token: u64,
    /// The same with a token that has expired.
    pub out_of_date: u64,
    /// Connection requests with a token that came from another address before, or is for another IP version.
    pub misused_token: u64,
    /// Handshakes of an address, a prefix or a coordinator without a free place.
    pub no_place: u64,
    /// Responses that do not answer their challenge.
    pub forged_response: u64,
    /// Connection requests repeated too early.
    pub too_soon: u64,
    /// Handshakes evicted by a newer one. Not packets.
    pub evicted: u64,
    /// Packets with a peer's address that the peer has not sealed, or had sent before.
    pub forged_packet: u64,
    /// Packets with the address of a peer under such a flood of forged ones that not even all of its own are
    /// opened.
    pub unopened: u64,
    /// Genuine packets of a peer above its rate limit.
    pub over_rate: u64,
}

/// Why one packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketRefusal {
    Shape(&'static str),
    OtherVersion,
    UnknownToken,
    OutOfDate,
    MisusedToken,
    NoPlace,
    ForgedResponse,
    TooSoon,
    ForgedPacket,
    Unopened,
    OverRate,
}

impl Refusals {
    pub(super) fn count(&mut self, refusal: PacketRefusal) {
        let counter = match refusal {
            PacketRefusal::Shape(_) => &mut self.shape,
            PacketRefusal::OtherVersion => &mut self.other_version,
            PacketRefusal::UnknownToken => &mut self.unknown_token,
            PacketRefusal::OutOfDate => &mut self.out_of_date,
            PacketRefusal::MisusedToken => &mut self.misused_token,
            PacketRefusal::NoPlace => &mut self.no_place,
            PacketRefusal::ForgedResponse => &mut self.forged_response,
            PacketRefusal::TooSoon => &mut self.too_soon,
            PacketRefusal::ForgedPacket => &mut self.forged_packet,
            PacketRefusal::Unopened => &mut self.unopened,
            PacketRefusal::OverRate => &mut self.over_rate,
        };
        *counter += 1;
    }
}

impl From<&'static str> for PacketRefusal {
    fn from(what_is_wrong: &'static str) -> Self {
        Self::Shape(what_is_wrong)
    }
}

impl fmt::Display for PacketRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape(what_is_wrong) => what_is_wrong,
            Self::OtherVersion => "another protocol version",
            Self::UnknownToken => "connect token that is not outstanding",
            Self::OutOfDate => "connect token out of date",
            Self::MisusedToken => "connect token of another address",
            Self::NoPlace => "no place left for this address",
            Self::ForgedResponse => "not the answer to the challenge",
            Self::TooSoon => "repeated too soon",
            Self::ForgedPacket => "not sealed by this peer, or a copy",
            Self::Unopened => "too many forged packets in this peer's name",
            Self::OverRate => "more than a peer may send",
        })
    }
}
