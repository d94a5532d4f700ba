//! Content-addressed inputs that many specs share, such as an occupancy grid.
//!
//! A spec names a blob by digest; whoever has it already is not sent it again. A blob can carry a prepared
//! form (a decoded, indexed grid) that the first kernel to need it attaches and later ones reuse.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use p2c2r_protocol::Digest;

use crate::kind::SpecError;

/// One content-addressed input.
pub struct Blob {
    digest: Digest,
    bytes: Box<[u8]>,
    prepared: OnceLock<Result<Arc<dyn Any + Send + Sync>, String>>,
}

impl Blob {
    /// Names `bytes` by their digest.
    pub fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { digest: Digest::of(&bytes), bytes: bytes.into(), prepared: OnceLock::new() })
    }

    /// The blob's name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The blob's content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The form a kernel works on, made from the bytes by `prepare` on first use and kept. `prepare` must be
    /// pure: a refusal is kept as well. A blob is prepared for one kind only; asking for a second type is an
    /// error.
    pub fn prepared<T: Any + Send + Sync>(
        &self,
        prepare: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<Arc<T>, SpecError> {
        let bad = |reason: String| SpecError::BadBlob { digest: self.digest, reason };
        let slot = self
            .prepared
            .get_or_init(|| prepare(&self.bytes).map(|made| Arc::new(made) as Arc<dyn Any + Send + Sync>));
        let made = slot.as_ref().map_err(|reason| bad(reason.clone()))?;
        Arc::clone(made).downcast::<T>().map_err(|_| bad("prepared for another kind".into()))
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({:?}, {} bytes)", self.digest, self.bytes.len())
    }
}

/// The blobs of one task.
#[derive(Clone, Debug, Default)]
pub struct Blobs(Vec<Arc<Blob>>);

impl Blobs {
    /// The given blobs.
    pub fn new(blobs: Vec<Arc<Blob>>) -> Self {
        Self(blobs)
    }

    /// The blob named `digest`.
    pub fn get(&self, digest: Digest) -> Result<&Arc<Blob>, SpecError> {
        self.0.iter().find(|blob| blob.digest == digest).ok_or(SpecError::BlobMissing(digest))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Blob>> {
        self.0.iter()
    }
}

/// What one kept blob counts as at least, in bytes: a small blob can have a large prepared form (a grid of one
/// run is eight bytes, and a megabyte once indexed), so the bound on bytes also bounds how many are kept.
const BLOB_BYTES_COUNTED_MIN: usize = 64 * 1024;

/// Blobs a program keeps, bounded by bytes; the least recently used goes first.
#[derive(Debug)]
pub struct BlobStore {
    blobs: HashMap<Digest, (Arc<Blob>, u64)>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
}

impl BlobStore {
    /// An empty store that keeps at most `bytes_max` bytes, each blob counted as 64 KiB or more.
    pub fn new(bytes_max: usize) -> Self {
        Self { blobs: HashMap::new(), bytes: 0, bytes_max, clock: 0 }
    }

    /// Keeps `bytes` under their digest and returns the blob, the one already there if there is one.
    pub fn insert(&mut self, bytes: Vec<u8>) -> Arc<Blob> {
        self.insert_blob(Blob::new(bytes))
    }

    /// Keeps a blob and returns it, the one already there if there is one.
    pub fn insert_blob(&mut self, blob: Arc<Blob>) -> Arc<Blob> {
        self.clock += 1;
        if let Some((kept, used)) = self.blobs.get_mut(&blob.digest) {
            *used = self.clock;
            return Arc::clone(kept);
        }
        self.bytes += counted(&blob);
        self.blobs.insert(blob.digest, (Arc::clone(&blob), self.clock));
        while self.bytes > self.bytes_max && self.blobs.len() > 1 {
            let Some(oldest) =
                self.blobs.iter().min_by_key(|(_, (_, used))| *used).map(|(digest, _)| *digest)
            else {
                break;
            };
            if let Some((gone, _)) = self.blobs.remove(&oldest) {
                self.bytes -= counted(&gone);
            }
        }
        blob
    }

    /// The blob named `digest`, if it is kept.
    pub fn get(&mut self, digest: Digest) -> Option<Arc<Blob>> {
        self.clock += 1;
        let (blob, used) = self.blobs.get_mut(&digest)?;
        *used = self.clock;
        Some(Arc::clone(blob))
    }

    /// All blobs named in `digests`, or the digests that are not kept.
    pub fn resolve(&mut self, digests: &[Digest]) -> Result<Blobs, Vec<Digest>> {
        let found: Vec<_> = digests.iter().map(|digest| (*digest, self.get(*digest))).collect();
        let missing: Vec<Digest> =
            found.iter().filter(|(_, blob)| blob.is_none()).map(|(digest, _)| *digest).collect();
        if missing.is_empty() {
            Ok(Blobs(found.into_iter().filter_map(|(_, blob)| blob).collect()))
        } else {
            Err(missing)
        }
    }
}

fn counted(blob: &Blob) -> usize {
    blob.bytes.len().max(BLOB_BYTES_COUNTED_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_recently_used_goes_first() {
        let mut store = BlobStore::new(2 * BLOB_BYTES_COUNTED_MIN);
        let (a, b) = (store.insert(vec![1; 10]).digest(), store.insert(vec![2; 10]).digest());
        assert!(store.get(a).is_some());
        let c = store.insert(vec![3; 10]).digest();
        assert!(store.get(a).is_some() && store.get(b).is_none() && store.get(c).is_some());
        assert_eq!(store.resolve(&[a, b]).unwrap_err(), vec![b]);
        assert_eq!(store.bytes, 2 * BLOB_BYTES_COUNTED_MIN);
    }

    #[test]
    fn prepared_form_is_made_once_and_refusals_are_kept() {
        let blob = Blob::new(vec![7]);
        let first = blob.prepared(|bytes| Ok(bytes[0])).unwrap();
        let second = blob.prepared::<u8>(|_| panic!("made twice")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(matches!(blob.prepared::<u16>(|_| Ok(1)), Err(SpecError::BadBlob { .. })));
        let bad = Blob::new(vec![8]);
        assert!(bad.prepared::<u8>(|_| Err("no".into())).is_err());
        assert!(bad.prepared::<u8>(|_| Ok(1)).is_err());
    }
}
