//! The blobs that another program is believed to keep, so that they are not sent to it again.

use hashlink::LruCache;
use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;
use p2c2r_protocol::{Digest, SeededHash};

/// Bytes of blobs that are believed to be there: half of what a [`BlobStore`](super::BlobStore) may hold,
/// because the store also counts prepared forms and its own entries and may be shared, and this record should forget a blob
/// before the store evicts it. Forgetting too early costs bytes; too late costs a round trip.
const BYTES_MAX: usize = BLOB_STORE_BYTES_MAX / 2;

/// A mirror of another program's blob store, with the same least-recently-used eviction.
///
/// It can be wrong: the other program may have evicted a blob earlier. It then asks for the blob, which is
/// sent again.
pub struct KnownBlobs {
    /// The bytes of each blob.
    bytes_of: LruCache<Digest, usize, SeededHash>,
    bytes: usize,
    blobs_max: usize,
}

impl KnownBlobs {
    /// An empty record of at most `blobs_max` blobs.
    pub fn new(blobs_max: usize) -> Self {
        Self { bytes_of: LruCache::with_hasher(usize::MAX, SeededHash::default()), bytes: 0, blobs_max }
    }

    /// Notes that a task which refers to a blob of `bytes` bytes is sent; returns whether the blob must go
    /// with it.
    pub fn needs_sending(&mut self, digest: Digest, bytes: usize) -> bool {
        if self.bytes_of.get(&digest).is_some() {
            return false;
        }
        self.bytes += bytes;
        self.bytes_of.insert(digest, bytes);
        while self.bytes_of.len() > 1 && (self.bytes_of.len() > self.blobs_max || self.bytes > BYTES_MAX) {
            let Some((_, bytes)) = self.bytes_of.remove_lru() else { break };
            self.bytes -= bytes;
        }
        true
    }

    /// The other program does not have the blob after all.
    pub fn forget(&mut self, digest: Digest) {
        if let Some(bytes) = self.bytes_of.remove(&digest) {
            self.bytes -= bytes;
        }
    }

    /// Forgets all blobs, as after a new connection, whose program may have been restarted.
    pub fn clear(&mut self) {
        self.bytes_of.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u32) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    #[test]
    fn a_blob_travels_once_until_it_is_forgotten() {
        let mut known = KnownBlobs::new(10);
        assert!(known.needs_sending(digest(1), 100));
        assert!(!known.needs_sending(digest(1), 100));
        known.forget(digest(1));
        known.forget(digest(1));
        assert_eq!(known.bytes, 0);
        assert!(known.needs_sending(digest(1), 100));
        known.clear();
        assert!(known.needs_sending(digest(1), 100));
    }

    #[test]
    fn the_table_is_bounded_and_the_least_recently_used_goes_first() {
        let mut known = KnownBlobs::new(100);
        (0..100).for_each(|number| assert!(known.needs_sending(digest(number), 1)));
        assert!(!known.needs_sending(digest(0), 1));
        assert!(known.needs_sending(digest(100), 1));
        assert_eq!((known.bytes_of.len(), known.bytes), (100, 100));
        assert!(!known.needs_sending(digest(0), 1), "used lately");
        assert!(known.needs_sending(digest(1), 1), "used longest ago");
    }

    #[test]
    fn bytes_are_bounded_too_and_the_newest_stays() {
        let mut known = KnownBlobs::new(100);
        let third = BYTES_MAX / 3;
        (0..4).for_each(|number| assert!(known.needs_sending(digest(number), third)));
        assert_eq!((known.bytes_of.len(), known.bytes), (3, 3 * third));
        assert!(known.needs_sending(digest(4), 2 * BYTES_MAX));
        assert!(!known.needs_sending(digest(4), 2 * BYTES_MAX));
        assert_eq!(known.bytes_of.len(), 1);
    }
}
