//! Identifiers: small newtypes, so that a task's number can never be passed where an attempt's is meant.

use std::fmt;
use std::time::Duration;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// One connection, as the link numbers it; a peer that reconnects gets a new one.
    PeerId(u64),
    "peer-"
);
number!(
    /// A task, as the game that asked for it numbers it: unique among the tasks of one gamer, and the
    /// idempotency key under which the coordinator charges at most once.
    ///
    /// The upper 32 bits are the session number that the coordinator gave the game's connection in its welcome
    /// ([`GamerWelcome::session`](crate::GamerWelcome::session)); the game counts in the lower 32.
    TaskId(u64),
    "task-"
);
number!(
    /// A task, as the coordinator numbers it: unique in one ledger. Workers see only this number, so they
    /// learn nothing of whose task they compute.
    TaskNo(u64),
    "#"
);
number!(
    /// The number of one worker's try at a task, counted from 1. It is the fencing number: an answer under
    /// any number but those of the task's live attempts is evidence, not an answer.
    Attempt(u32),
    "attempt-"
);
number!(
    /// What sort of work a task is; the names and kernels behind the numbers live in `p2c2r_tasks`.
    KindId(u8),
    "kind-"
);

/// Microseconds on one program's own monotonic clock, counted from that program's start. Two programs'
/// values compare only after the link's clock offset is applied.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Micros(pub u64);

impl Micros {
    /// Microseconds from `earlier` to `self`; zero if `earlier` is later, and capped at `u32::MAX` (71 minutes).
    pub fn since(self, earlier: Self) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(u32::MAX)
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub fn time_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The moment `time` after this one; the largest there is if that is too large.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(Self::from(time).0))
    }

    /// The moment `time` before this one; zero if the clock had not started then.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(Self::from(time).0))
    }
}

impl From<Duration> for Micros {
    fn from(value: Duration) -> Self {
        Self(u64::try_from(value.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Micros> for Duration {
    fn from(value: Micros) -> Self {
        Self::from_micros(value.0)
    }
}

/// Which side of the coordinator a peer is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A connected game. Pays.
    Gamer,
    /// A connected helper program. Earns.
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gamer => "gamer",
            Self::Worker => "worker",
        })
    }
}

/// A BLAKE3 digest: the name of a content-addressed blob, of a spec, or of an outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Digest(pub [u8; 32]);

/// The longest parts together, in bytes, that [`Digest::of_parts`] joins: the specs of small tasks are shorter.
const JOINED_BYTES_MAX: usize = 512;

impl Digest {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Digest of several parts. Each part's length is hashed before it, so that moving a byte from one part
    /// to the next changes the digest.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        // Short parts are joined first, because each update of a hasher costs something besides the bytes.
        let length: usize = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
        let mut joined = [0; JOINED_BYTES_MAX];
        if let Some(mut left) = joined.get_mut(..length) {
            for part in parts {
                for bytes in [&(part.len() as u64).to_le_bytes(), *part] {
                    let (place, rest) = left.split_at_mut(bytes.len());
                    place.copy_from_slice(bytes);
                    left = rest;
                }
            }
            return Self::of(&joined[..length]);
        }
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first 8 bytes as a little-endian number, for tables to which the whole digest would be a waste of memory.
    pub fn first_u64(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// An account: the ed25519 public key whose private half only the account's owner has. Names are labels beside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct AccountKey(pub [u8; 32]);

impl AccountKey {
    /// Reads a key from 64 hexadecimal digits; `None` if the text is anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(key))
    }

    /// The first eight hexadecimal digits: enough for a person to tell two accounts of one name apart.
    pub fn short(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(8);
        digits
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.short())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_key_reads_back_what_it_shows_and_nothing_else() {
        let key = AccountKey(std::array::from_fn(|at| at as u8 * 7));
        assert_eq!(AccountKey::from_hex(&key.to_string()), Some(key));
        assert_eq!(AccountKey::from_hex(&key.to_string().to_uppercase()), Some(key));
        for wrong in ["", "ab", &"0".repeat(63), &"0".repeat(65), &"+1".repeat(32), &"é".repeat(32)] {
            assert_eq!(AccountKey::from_hex(wrong), None, "{wrong}");
        }
        assert!(key.to_string().starts_with(&key.short()));
    }

    #[test]
    fn a_digest_of_parts_is_that_of_each_part_behind_its_length() {
        for length in [0, 1, JOINED_BYTES_MAX - 17, JOINED_BYTES_MAX - 16, JOINED_BYTES_MAX, 5_000] {
            let part: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let bytes = [&1_u64.to_le_bytes(), &b"x"[..], &(length as u64).to_le_bytes(), &part].concat();
            assert_eq!(Digest::of_parts(&[b"x", &part]), Digest::of(&bytes), "{length}");
        }
    }

    #[test]
    fn the_first_bytes_of_a_digest_are_its_number() {
        let digest = Digest(std::array::from_fn(|at| at as u8 + 1));
        assert_eq!(digest.first_u64(), 0x0807_0605_0403_0201);
    }
}
