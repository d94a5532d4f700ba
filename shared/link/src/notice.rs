//! The one packet outside netcode: what a coordinator answers a program of another protocol version.
//!
//! netcode is silent to a request with a foreign protocol id, so the person before the screen would wait for a
//! coordinator that is right there. The notice is unauthenticated, so it is only ever shown, and it is smaller
//! than the request it answers, so it cannot be used to amplify a flood.

use crate::envelope::is_printable;
use crate::limits::NOTICE_TEXT_BYTES_MAX;

/// The low half of the first byte is a packet type netcode does not have.
const MAGIC: &[u8; 8] = b"\xFFP2C2R?\x01";

/// The notice that carries `identity`.
pub(crate) fn write(identity: &str) -> Vec<u8> {
    let text = sanitise(identity);
    let mut packet = MAGIC.to_vec();
    packet.push(text.len() as u8);
    packet.extend_from_slice(text.as_bytes());
    packet
}

/// The identity in a notice, if the packet is one.
pub(crate) fn read(packet: &[u8]) -> Option<String> {
    let (length, text) = packet.strip_prefix(MAGIC)?.split_first()?;
    if usize::from(*length) != text.len() || text.len() > NOTICE_TEXT_BYTES_MAX {
        return None;
    }
    Some(sanitise(std::str::from_utf8(text).ok()?))
}

fn sanitise(text: &str) -> String {
    let mut fit = String::new();
    for character in text.chars().filter(|character| is_printable(*character)) {
        if fit.len() + character.len_utf8() > NOTICE_TEXT_BYTES_MAX {
            break;
        }
        fit.push(character);
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_and_netcode_would_refuse_it() {
        let packet = write("p2c2r/0.1.0 r1 path.v1");
        assert_eq!(read(&packet).as_deref(), Some("p2c2r/0.1.0 r1 path.v1"));
        assert!(crate::envelope::open(&packet).is_err());
    }

    #[test]
    fn cannot_carry_escapes_or_more_than_its_limit() {
        let packet = write(&format!("\u{1b}[31m{}", "x".repeat(1_000)));
        assert!(packet.len() < 256);
        let text = read(&packet).unwrap();
        assert!(text.len() <= NOTICE_TEXT_BYTES_MAX && !text.contains('\u{1b}'));
        let mut forged = MAGIC.to_vec();
        forged.extend_from_slice(b"\x05\x1b[2Jx");
        assert_eq!(read(&forged).as_deref(), Some("[2Jx"));
        forged.push(0);
        assert_eq!(read(&forged), None, "trailing bytes");
    }
}
