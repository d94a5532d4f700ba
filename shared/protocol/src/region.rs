//! Where a worker is, as its owner states it: a short label that strangers read.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use crate::limits::REGION_BYTES_MAX;

/// A label such as `eu-west`: 1 to [`REGION_BYTES_MAX`] small or capital letters A to Z, digits and `-`, and nothing
/// that could change a terminal or a page. The owner chooses it, and nobody checks whether it is true.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Region([u8; REGION_BYTES_MAX]);

impl Region {
    /// The label; empty if the bytes that came over the wire are not one.
    pub fn as_str(&self) -> &str {
        let text = std::str::from_utf8(&self.0).unwrap_or_default().trim_end_matches('\0');
        if is_label(text) { text } else { "" }
    }

    /// Whether the bytes are a label; those that come over the wire need not be.
    pub(crate) fn is_valid(&self) -> bool {
        !self.as_str().is_empty()
    }
}

fn is_label(text: &str) -> bool {
    let fits = (1..=REGION_BYTES_MAX).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The text is not a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region has 1 to {max} letters A to Z, digits and -, such as eu-west", max = REGION_BYTES_MAX)]
pub struct NoRegion;

impl FromStr for Region {
    type Err = NoRegion;

    fn from_str(text: &str) -> Result<Self, NoRegion> {
        if !is_label(text) {
            return Err(NoRegion);
        }
        let mut bytes = [0; REGION_BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{ServerToGame, WorkerOffer, WorkerToServer};
    use crate::{GamerStatement, wire};

    #[test]
    fn a_label_is_short_and_has_nothing_that_a_terminal_or_a_page_would_obey() {
        for good in ["eu", "EU-west-3", "a", "123456789012"] {
            assert_eq!(good.parse::<Region>().map(|region| region.to_string()), Ok(good.to_owned()));
        }
        for wrong in ["", "1234567890123", "eu west", "eu\u{1b}[2J", "<b>", "zürich", "a\0b", "a\n"] {
            assert_eq!(wrong.parse::<Region>(), Err(NoRegion), "{wrong:?}");
        }
    }

    #[test]
    fn a_message_with_a_region_that_is_none_does_not_decode() {
        let forged = |text: &[u8]| {
            let mut bytes = [0; REGION_BYTES_MAX];
            bytes[..text.len()].copy_from_slice(text);
            Some(Region(bytes))
        };
        for (text, passes) in [
            (&b"eu-west"[..], true),
            (b"eu\x1b[2J", false),
            (b"", false),
            (b"a\0b", false),
            (b"\xc3\xbc", false),
        ] {
            let region = forged(text);
            let offer = WorkerToServer::Ready(WorkerOffer { slots: 1, kernels: Vec::new(), region });
            let statement = ServerToGame::Statement(GamerStatement {
                nearest_worker_region: region,
                ..Default::default()
            });
            let read = (
                wire::decode_message::<WorkerToServer>(&wire::encode(&offer)).is_ok(),
                wire::decode_message::<ServerToGame>(&wire::encode(&statement)).is_ok(),
            );
            assert_eq!(read, (passes, passes), "{text:?}");
        }
    }
}
