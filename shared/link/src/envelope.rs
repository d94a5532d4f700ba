//! Checks on the outside of a packet, before netcode sees it, and the plain part of a connection request.
//!
//! renetcode 2.0.0 panics on packets that any stranger who knows a connected address can send: a prefix that
//! claims more than eight bytes of sequence number, a body shorter than its authentication tag, and (where
//! overflow is checked) a sequence number near 2^64. It also logs every undecodable packet as an error. So
//! only packets of the right shape are passed on.

use crate::limits::PACKET_BYTES_MAX;
use crate::server::Seal;

pub(crate) const VERSION: &[u8; 13] = b"NETCODE 1.02\0";
pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const REQUEST_BYTES: usize = 1 + 13 + 8 + 8 + 24 + 1_024;
/// Sequence numbers from here on are invalid: at a million packets a second they are 146,000 years away.
const SEQUENCE_MAX: u64 = 1 << 62;

/// netcode's packet types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    Request(ConnectionRequest),
    Denied,
    Challenge,
    Response,
    KeepAlive { sequence: u64 },
    Payload { sequence: u64 },
    Disconnect,
}

/// The plain part of a connection request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionRequest {
    pub(crate) protocol_id: u64,
    /// The end of the sealed part, by which the coordinator identifies its tokens.
    pub(crate) seal: Seal,
}

/// Parses a packet's outside; an error says what is wrong with it.
pub(crate) fn open(packet: &[u8]) -> Result<Envelope, &'static str> {
    let first = *packet.first().ok_or("empty packet")?;
    if packet.len() > PACKET_BYTES_MAX {
        return Err("packet too long");
    }
    let (kind, sequence_bytes) = (first & 0x0F, usize::from(first >> 4));
    if kind == 0 {
        return open_request(packet).map(Envelope::Request);
    }
    if sequence_bytes > 8 {
        return Err("sequence number too long");
    }
    let body = packet
        .len()
        .checked_sub(1 + sequence_bytes + TAG_BYTES)
        .ok_or("packet shorter than its authentication tag")?;
    let sequence =
        packet[1..=sequence_bytes].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if sequence >= SEQUENCE_MAX {
        return Err("impossible sequence number");
    }
    match (kind, body) {
        (1, 0) => Ok(Envelope::Denied),
        (2, 308) => Ok(Envelope::Challenge),
        (3, 308) => Ok(Envelope::Response),
        (4, 8) => Ok(Envelope::KeepAlive { sequence }),
        (5, 1..=renetcode::NETCODE_MAX_PAYLOAD_BYTES) => Ok(Envelope::Payload { sequence }),
        (6, 0) => Ok(Envelope::Disconnect),
        (1..=6, _) => Err("wrong length for its type"),
        _ => Err("unknown packet type"),
    }
}

fn open_request(packet: &[u8]) -> Result<ConnectionRequest, &'static str> {
    if packet.len() != REQUEST_BYTES || packet[0] != 0 || packet[1..14] != VERSION[..] {
        return Err("not a connection request of this netcode version");
    }
    let protocol_id = u64::from_le_bytes(packet[14..22].try_into().unwrap_or_default());
    let seal = *packet.last_chunk().ok_or("no seal")?;
    Ok(ConnectionRequest { protocol_id, seal })
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
