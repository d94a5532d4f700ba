//! Checks on the outside of a packet, before netcode sees it, and what a connection request says.
//!
//! renetcode 2.0.0 panics on packets any stranger who knows a connected address can send: a prefix that claims
//! more than eight bytes of sequence number, a body shorter than its authentication tag, and (where overflow is
//! checked) a sequence number near 2^64. It also logs every undecodable packet as an error. So only packets of
//! the right shape get there.

use p2c2r_protocol::Role;
use p2c2r_protocol::limits::NAME_BYTES_MAX;
use renetcode::NETCODE_USER_DATA_BYTES;

use crate::limits::PACKET_BYTES_MAX;

const VERSION: &[u8; 13] = b"NETCODE 1.02\0";
const TAG_BYTES: usize = 16;
const REQUEST_BYTES: usize = 1 + 13 + 8 + 8 + 24 + 1_024;
/// Sequence numbers from here on are nobody's: at a million packets a second they are 290,000 years away.
const SEQUENCE_MAX: u64 = 1 << 62;

/// netcode's packet types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    Request(Request),
    Denied,
    Challenge,
    Response,
    KeepAlive { sequence: u64 },
    Payload { sequence: u64 },
    Disconnect,
}

/// What a connection request says in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) protocol_id: u64,
    pub(crate) expires_at_seconds: u64,
}

/// Reads a packet's outside; an error says what is wrong with it.
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

fn open_request(packet: &[u8]) -> Result<Request, &'static str> {
    if packet.len() != REQUEST_BYTES || packet[0] != 0 || packet[1..14] != VERSION[..] {
        return Err("not a connection request of this netcode version");
    }
    let number = |at: usize| {
        let bytes: [u8; 8] = packet[at..at + 8].try_into().unwrap_or_default();
        u64::from_le_bytes(bytes)
    };
    Ok(Request { protocol_id: number(14), expires_at_seconds: number(22) })
}

/// Form of the user data below; raised when it changes.
const USER_DATA_FORM: u8 = 1;

/// Who a peer says it is, as it travels in the connect token's user data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) role: Role,
    pub(crate) name: String,
}

impl Introduction {
    /// An introduction whose name is fit to travel: unprintable characters and what is too long are left out.
    pub(crate) fn new(role: Role, name: &str) -> Self {
        let mut fit = String::new();
        for character in name.trim().chars().filter(|character| is_printable(*character)) {
            if fit.len() + character.len_utf8() > NAME_BYTES_MAX {
                break;
            }
            fit.push(character);
        }
        let fit = fit.trim();
        Self { role, name: if fit.is_empty() { "anonymous".to_owned() } else { fit.to_owned() } }
    }

    pub(crate) fn to_user_data(&self) -> [u8; NETCODE_USER_DATA_BYTES] {
        let mut data = [0; NETCODE_USER_DATA_BYTES];
        let role = match self.role {
            Role::Gamer => 1,
            Role::Worker => 2,
        };
        data[..3].copy_from_slice(&[USER_DATA_FORM, role, self.name.len() as u8]);
        data[3..3 + self.name.len()].copy_from_slice(self.name.as_bytes());
        data
    }

    pub(crate) fn from_user_data(data: &[u8; NETCODE_USER_DATA_BYTES]) -> Result<Self, &'static str> {
        let [form, role, length, rest @ ..] = data;
        if *form != USER_DATA_FORM {
            return Err("introduces itself in an unknown form");
        }
        let role = match role {
            1 => Role::Gamer,
            2 => Role::Worker,
            _ => return Err("unknown role"),
        };
        let (name, rest) = rest.split_at_checked(usize::from(*length)).ok_or("name too long")?;
        if name.len() > NAME_BYTES_MAX || rest.iter().any(|byte| *byte != 0) {
            return Err("name too long");
        }
        let name = std::str::from_utf8(name).map_err(|_| "name is not UTF-8")?;
        if name.trim() != name || name.is_empty() || !name.chars().all(is_printable) {
            return Err("name is empty or not printable");
        }
        Ok(Self { role, name: name.to_owned() })
    }
}

/// Whether a character may stand in a name or a reason: no control characters, and none of the invisible ones
/// that reorder or hide text on a console.
pub(crate) fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
