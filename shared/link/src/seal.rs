//! Opens and makes netcode's sealed tokens and packets (netcode 1.02, sections "Connect Token" and
//! "Packets").
//!
//! renetcode offers neither. The coordinator needs both, because a stranger's handshake must not reach
//! renetcode before the stranger has proven its address: see `server/handshake.rs`.

use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, Key, KeyInit, Nonce, Tag, XChaCha20Poly1305, XNonce};

use crate::envelope::{REQUEST_BYTES, TAG_BYTES, VERSION};
use crate::limits::PACKET_BYTES_MAX;

/// A key of netcode's.
pub(crate) type SealKey = [u8; renetcode::NETCODE_KEY_BYTES];

/// Bytes of the content of a challenge and its response: a number and the challenge itself.
pub(crate) const CHALLENGE_BYTES: usize = 8 + 300;
/// Bytes of a token's private part, the last of a connection request.
const PRIVATE_BYTES: usize = 1_024;
const PRIVATE_AT: usize = REQUEST_BYTES - PRIVATE_BYTES;
/// Most addresses in a token: netcode's constant.
const TOKEN_ADDRESSES_MAX: u32 = 32;

/// The fields of a connect token's private part that a handshake needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Seals what the client sends.
    pub(crate) from_client: SealKey,
    /// Seals what the client is sent.
    pub(crate) to_client: SealKey,
}

/// Opens the connect token in a connection request; `None` if this key has not sealed it for exactly the
/// request's plain fields: netcode's version, the protocol and the expiry.
pub(crate) fn open_token(packet: &[u8; REQUEST_BYTES], key: &SealKey) -> Option<Token> {
    let (clear, nonce) = packet[1..PRIVATE_AT].split_at_checked(13 + 8 + 8)?;
    let (private, tag) = packet[PRIVATE_AT..].split_last_chunk::<TAG_BYTES>()?;
    let mut private: [u8; PRIVATE_BYTES - TAG_BYTES] = private.try_into().ok()?;
    XChaCha20Poly1305::new(Key::from_slice(key))
        .decrypt_in_place_detached(XNonce::from_slice(nonce), clear, &mut private, Tag::from_slice(tag))
        .ok()?;
    read_token(&private)
}

/// Parses the private part of a token.
pub(crate) fn read_token(private: &[u8]) -> Option<Token> {
    // Client id and timeout are for renetcode to read; the addresses determine where the keys begin.
    let (_, rest) = private.split_first_chunk::<{ 8 + 4 }>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count);
    if count > TOKEN_ADDRESSES_MAX {
        return None;
    }
    for _ in 0..count {
        let (kind, after) = rest.split_first()?;
        let address_bytes = match kind {
            0 => 0,
            1 => 4 + 2,
            2 => 16 + 2,
            _ => return None,
        };
        rest = after.get(address_bytes..)?;
    }
    let (from_client, rest) = rest.split_first_chunk()?;
    let (to_client, _) = rest.split_first_chunk()?;
    Some(Token { from_client: *from_client, to_client: *to_client })
}

/// Writes a sealed packet of this type and number. A key must never seal two packets of one number.
pub(crate) fn seal_packet(
    out: &mut Vec<u8>,
    kind: u8,
    sequence: u64,
    protocol_id: u64,
    key: &SealKey,
    body: &[u8],
) {
    let sequence_bytes = (8 - sequence.leading_zeros() / 8) as usize;
    let prefix = kind | (sequence_bytes as u8) << 4;
    out.clear();
    out.push(prefix);
    out.extend_from_slice(&sequence.to_le_bytes()[..sequence_bytes]);
    let start = out.len();
    out.extend_from_slice(body);
    let sealed = ChaCha20Poly1305::new(Key::from_slice(key)).encrypt_in_place_detached(
        &nonce(sequence),
        &known(prefix, protocol_id),
        &mut out[start..],
    );
    match sealed {
        Ok(tag) => out.extend_from_slice(&tag),
        // Only a body of 256 GiB is too long for the cipher.
        Err(_) => out.clear(),
    }
}

/// Opens a sealed packet that [`envelope::open`](crate::envelope::open) has accepted; `None` if this key has
/// not sealed it.
pub(crate) fn open_packet<const BODY: usize>(
    packet: &[u8],
    protocol_id: u64,
    key: &SealKey,
) -> Option<[u8; BODY]> {
    let mut body = [0; BODY];
    (open_into(&mut body, packet, protocol_id, key)? == BODY).then_some(body)
}

/// Whether this key has sealed a packet, whatever its content.
pub(crate) fn is_sealed(packet: &[u8], protocol_id: u64, key: &SealKey) -> bool {
    open_into(&mut [0; PACKET_BYTES_MAX], packet, protocol_id, key).is_some()
}

/// Opens a packet into the beginning of `body`; returns its length.
fn open_into(body: &mut [u8], packet: &[u8], protocol_id: u64, key: &SealKey) -> Option<usize> {
    let (prefix, rest) = packet.split_first()?;
    let (number, rest) = rest.split_at_checked(usize::from(prefix >> 4))?;
    let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let sequence = number.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let body = body.get_mut(..sealed.len())?;
    body.copy_from_slice(sealed);
    ChaCha20Poly1305::new(Key::from_slice(key))
        .decrypt_in_place_detached(&nonce(sequence), &known(*prefix, protocol_id), body, Tag::from_slice(tag))
        .ok()?;
    Some(sealed.len())
}

fn nonce(sequence: u64) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&sequence.to_le_bytes());
    nonce
}

fn known(prefix: u8, protocol_id: u64) -> [u8; 13 + 8 + 1] {
    let mut known = [0; 13 + 8 + 1];
    known[..13].copy_from_slice(VERSION);
    known[13..21].copy_from_slice(&protocol_id.to_le_bytes());
    known[21] = prefix;
    known
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use renetcode::{ClientAuthentication, ConnectToken, NetcodeClient};

    use super::*;
    use crate::envelope::{self, Envelope};

    const PROTOCOL: u64 = 7;

    fn token(addresses: &[&str]) -> ConnectToken {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        ConnectToken::generate(Duration::ZERO, PROTOCOL, 60, 1, 10, addresses, None, &[5; 32]).unwrap()
    }

    fn client(connect_token: ConnectToken) -> NetcodeClient {
        NetcodeClient::new(Duration::ZERO, ClientAuthentication::Secure { connect_token }).unwrap()
    }

    #[test]
    fn a_token_of_renetcodes_opens_with_its_key_and_no_other() {
        for addresses in [&["127.0.0.1:1"][..], &["[2001:db8::1]:2", "192.0.2.1:3"]] {
            let token = token(addresses);
            let (to_client, from_client) = (token.server_to_client_key, token.client_to_server_key);
            let mut packet = [0; REQUEST_BYTES];
            packet.copy_from_slice(client(token).update(Duration::ZERO).unwrap().0);
            assert!(matches!(envelope::open(&packet), Ok(Envelope::Request(_))));
            assert_eq!(open_token(&packet, &[5; 32]), Some(Token { from_client, to_client }));
            assert_eq!(open_token(&packet, &[6; 32]), None);
            for at in [14, 22, 40, 500, REQUEST_BYTES - 1] {
                packet[at] ^= 1;
                assert_eq!(open_token(&packet, &[5; 32]), None, "byte {at} is sealed too");
                packet[at] ^= 1;
            }
        }
    }

    #[test]
    fn a_challenge_sealed_here_is_answered_by_renetcode_and_its_answer_opens() {
        let token = token(&["127.0.0.1:1"]);
        let (to_client, from_client) = (token.server_to_client_key, token.client_to_server_key);
        let mut client = client(token);
        client.update(Duration::ZERO).unwrap();
        let mut packet = Vec::new();
        seal_packet(&mut packet, 2, 1 << 61, PROTOCOL, &to_client, &[9; CHALLENGE_BYTES]);
        assert_eq!(envelope::open(&packet), Ok(Envelope::Challenge));
        client.process_packet(&mut packet);
        let answer = client.update(Duration::from_secs(1)).unwrap().0.to_vec();
        assert_eq!(envelope::open(&answer), Ok(Envelope::Response));
        assert_eq!(open_packet(&answer, PROTOCOL, &from_client), Some([9; CHALLENGE_BYTES]));
        assert_eq!(open_packet::<CHALLENGE_BYTES>(&answer, PROTOCOL, &to_client), None);
        assert_eq!(open_packet::<CHALLENGE_BYTES>(&answer, PROTOCOL + 1, &from_client), None);
        assert_eq!(open_packet::<8>(&answer, PROTOCOL, &from_client), None);
        assert_eq!(open_packet::<8>(&[0xF3, 1, 2], PROTOCOL, &from_client), None);
        assert!(is_sealed(&answer, PROTOCOL, &from_client));
        assert!(
            !is_sealed(&answer, PROTOCOL, &to_client) && !is_sealed(&answer[..99], PROTOCOL, &from_client)
        );
        assert!(!is_sealed(&[0x15; 3_000], PROTOCOL, &from_client));
    }
}
