//! Which blobs a worker is taken to have, so that it is not sent them again.

use std::collections::HashMap;

use p2c2r_protocol::Digest;
use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;

/// Blobs a worker is taken to have. Fewer than its store holds, so that the mirror forgets first: forgetting
/// costs bytes, remembering wrongly costs a round trip.
const KNOWN_BLOBS_MAX: usize = 128;
/// What a worker is taken to have in its blob store, the least recently used going first as it does there.
#[derive(Default)]
pub struct KnownBlobs {
    used: HashMap<Digest, (usize, u64)>,
    bytes: usize,
    clock: u64,
}

impl KnownBlobs {
    /// Whether the blob was known; it is from now on.
    pub fn touch(&mut self, digest: Digest, bytes: usize) -> bool {
        self.clock += 1;
        if let Some((_, used)) = self.used.get_mut(&digest) {
            *used = self.clock;
            return true;
        }
        self.bytes += bytes;
        self.used.insert(digest, (bytes, self.clock));
        while self.used.len() > KNOWN_BLOBS_MAX || self.bytes > BLOB_STORE_BYTES_MAX / 2 {
            let oldest = self.used.iter().min_by_key(|(_, (_, used))| *used).map(|(digest, _)| *digest);
            let Some(oldest) = oldest else { break };
            self.forget(oldest);
        }
        false
    }

    /// It does not have the blob after all.
    pub fn forget(&mut self, digest: Digest) {
        if let Some((bytes, _)) = self.used.remove(&digest) {
            self.bytes -= bytes;
        }
    }
}
