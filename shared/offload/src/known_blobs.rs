//! Which blobs the coordinator is believed to have.

use std::collections::HashMap;

use p2c2r_protocol::Digest;
use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;

/// A blob counts at least this much, so that many tiny ones cannot grow the table without bound.
const ENTRY_BYTES_MIN: usize = 4 * 1024;

/// A mirror of the coordinator's store, least recently used first out. It is a belief: the coordinator
/// shares its store among gamers and may have dropped a blob; then it asks for it and it is sent again.
#[derive(Default)]
pub(crate) struct KnownBlobs {
    /// Digest to bytes and time of last use.
    known: HashMap<Digest, (usize, u64)>,
    bytes: usize,
    clock: u64,
}

impl KnownBlobs {
    /// Notes that a task refers to this blob and says whether it must travel along.
    pub fn needs_sending(&mut self, digest: Digest, bytes: usize) -> bool {
        self.clock += 1;
        if let Some((_, used)) = self.known.get_mut(&digest) {
            *used = self.clock;
            return false;
        }
        let bytes = bytes.max(ENTRY_BYTES_MIN);
        self.known.insert(digest, (bytes, self.clock));
        self.bytes += bytes;
        // Half of what the coordinator keeps: other gamers' blobs share its store.
        while self.bytes > BLOB_STORE_BYTES_MAX / 2 && self.known.len() > 1 {
            let oldest = self.known.iter().min_by_key(|(_, (_, used))| *used).map(|(digest, _)| *digest);
            let Some(oldest) = oldest else { break };
            self.forget(oldest);
        }
        true
    }

    /// The coordinator says it does not have this one.
    pub fn forget(&mut self, digest: Digest) {
        if let Some((bytes, _)) = self.known.remove(&digest) {
            self.bytes -= bytes;
        }
    }

    /// A new connection, perhaps to a coordinator that was restarted.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_travels_once_until_it_is_forgotten() {
        let mut known = KnownBlobs::default();
        let digest = Digest([1; 32]);
        assert!(known.needs_sending(digest, 100));
        assert!(!known.needs_sending(digest, 100));
        known.forget(digest);
        assert!(known.needs_sending(digest, 100));
        known.clear();
        assert!(known.needs_sending(digest, 100));
    }

    #[test]
    fn the_table_is_bounded_and_the_least_recently_used_goes_first() {
        let mut known = KnownBlobs::default();
        let digest = |number: u32| Digest::of(&number.to_le_bytes());
        let fits = (BLOB_STORE_BYTES_MAX / 2 / ENTRY_BYTES_MIN) as u32;
        (0..fits).for_each(|number| assert!(known.needs_sending(digest(number), 1)));
        assert!(!known.needs_sending(digest(0), 1));
        assert!(known.needs_sending(digest(fits), 1));
        assert_eq!(known.known.len(), fits as usize);
        assert!(!known.needs_sending(digest(0), 1), "used lately");
        assert!(known.needs_sending(digest(1), 1), "used longest ago");
    }
}
