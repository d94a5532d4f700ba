//! The blobs that a program keeps, bounded by their bytes in memory, prepared forms included.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use p2c2r_protocol::Digest;

use super::{Blob, Blobs};

/// Bytes a blob takes beside its content: its own fields and its entries in the store. Without it, millions
/// of blobs of one byte would count as almost nothing.
pub(super) const BLOB_OVERHEAD_BYTES: usize = 512;

/// Blobs a program keeps; the least recently used is evicted first.
///
/// Blobs are weighed by the memory they take: their bytes, their prepared forms once made, and their entries in the
/// store. The sum never stays above the bound, whichever thread prepares a form: a form that does not fit evicts
/// other blobs. An evicted blob that a task still refers to can be used, but is prepared anew for each use.
#[derive(Debug)]
pub struct BlobStore {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug)]
struct Contents {
    blobs: HashMap<Digest, Kept>,
    /// Digests ordered by last use.
    by_use: BTreeMap<u64, Digest>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
}

#[derive(Debug)]
struct Kept {
    blob: Arc<Blob>,
    used: u64,
    /// The bytes it is counted as.
    bytes: usize,
}

/// The store that keeps a blob.
pub(super) struct OwningStore(Weak<Mutex<Contents>>);

impl OwningStore {
    /// Counts a blob again after its form has been made, and evicts others to make room for it.
    pub(super) fn weigh_again(&self, digest: Digest) {
        let Some(contents) = self.0.upgrade() else { return };
        let gone = locked(&contents).weigh_again(digest);
        for blob in &gone {
            blob.let_go();
        }
    }
}

fn locked(contents: &Mutex<Contents>) -> MutexGuard<'_, Contents> {
    // Nothing panics under the lock; after a panic the store would at worst hold one blob too many or too
    // few.
    contents.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BlobStore {
    /// An empty store whose blobs may weigh `bytes_max` together. One blob is kept even if it alone weighs more.
    pub fn new(bytes_max: usize) -> Self {
        let contents =
            Contents { blobs: HashMap::new(), by_use: BTreeMap::new(), bytes: 0, bytes_max, clock: 0 };
        Self { contents: Arc::new(Mutex::new(contents)) }
    }

    /// Keeps `bytes` under their digest and returns the blob, the one already there if there is one.
    pub fn insert(&mut self, bytes: Vec<u8>) -> Arc<Blob> {
        self.insert_blob(Blob::new(bytes))
    }

    /// Keeps a blob and returns it, the one already there if there is one. A blob has one store, the first that keeps
    /// it; only there are its forms kept, again if it was evicted before.
    pub fn insert_blob(&mut self, blob: Arc<Blob>) -> Arc<Blob> {
        let owner = blob.owner.get_or_init(|| OwningStore(Arc::downgrade(&self.contents)));
        let is_owner = std::ptr::eq(owner.0.as_ptr(), Arc::as_ptr(&self.contents));
        let (blob, gone) = locked(&self.contents).insert(blob, is_owner);
        // Outside the lock: a thread that prepares one of these blobs holds that blob's lock and may want that
        // of the contents.
        for blob in &gone {
            blob.let_go();
        }
        blob
    }

    /// The blob named `digest`, if it is kept.
    pub fn get(&mut self, digest: Digest) -> Option<Arc<Blob>> {
        locked(&self.contents).get(digest)
    }

    /// Bytes of all blobs in memory.
    pub fn bytes(&self) -> usize {
        locked(&self.contents).bytes
    }

    /// How many blobs are kept.
    pub fn len(&self) -> usize {
        locked(&self.contents).blobs.len()
    }

    /// Whether no blob is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All blobs named in `digests`, or the digests that are not kept.
    pub fn resolve(&mut self, digests: &[Digest]) -> Result<Blobs, Vec<Digest>> {
        let mut contents = locked(&self.contents);
        let found: Vec<_> = digests.iter().map(|digest| (*digest, contents.get(*digest))).collect();
        let missing: Vec<Digest> =
            found.iter().filter(|(_, blob)| blob.is_none()).map(|(digest, _)| *digest).collect();
        if missing.is_empty() {
            Ok(Blobs::new(found.into_iter().filter_map(|(_, blob)| blob).collect()))
        } else {
            Err(missing)
        }
    }
}

impl Drop for BlobStore {
    /// Blobs that outlive the store are counted by no store, so they keep no prepared form.
    fn drop(&mut self) {
        let kept = std::mem::take(&mut locked(&self.contents).blobs);
        for kept in kept.into_values() {
            kept.blob.set_evicted(true);
            kept.blob.let_go();
        }
    }
}

impl Contents {
    fn insert(&mut self, blob: Arc<Blob>, is_owner: bool) -> (Arc<Blob>, Vec<Arc<Blob>>) {
        if let Some(kept) = self.get(blob.digest()) {
            return (kept, Vec::new());
        }
        if is_owner {
            blob.set_evicted(false);
        }
        let bytes = blob.weight();
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_use.insert(self.clock, blob.digest());
        self.blobs.insert(blob.digest(), Kept { blob: Arc::clone(&blob), used: self.clock, bytes });
        (blob, self.make_room())
    }

    /// Finds a blob and notes that it was used.
    fn get(&mut self, digest: Digest) -> Option<Arc<Blob>> {
        self.clock += 1;
        let kept = self.blobs.get_mut(&digest)?;
        self.by_use.remove(&kept.used);
        kept.used = self.clock;
        self.by_use.insert(self.clock, digest);
        Some(Arc::clone(&kept.blob))
    }

    fn weigh_again(&mut self, digest: Digest) -> Vec<Arc<Blob>> {
        // A blob evicted meanwhile is no longer counted, and keeps no form.
        let Some(kept) = self.blobs.get_mut(&digest) else { return Vec::new() };
        let bytes = kept.blob.weight();
        self.bytes = self.bytes.saturating_sub(kept.bytes).saturating_add(bytes);
        kept.bytes = bytes;
        // The blob is in use right now, so it becomes the newest, whatever was inserted while it was
        // prepared.
        self.get(digest);
        self.make_room()
    }

    /// Evicts the least recently used blobs until the rest fits; the newest stays.
    fn make_room(&mut self) -> Vec<Arc<Blob>> {
        let mut gone = Vec::new();
        while self.bytes > self.bytes_max
            && self.blobs.len() > 1
            && let Some((_, oldest)) = self.by_use.pop_first()
            && let Some(kept) = self.blobs.remove(&oldest)
        {
            self.bytes = self.bytes.saturating_sub(kept.bytes);
            kept.blob.set_evicted(true);
            gone.push(kept.blob);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Weighty;
    use super::*;

    const LIGHT: usize = BLOB_OVERHEAD_BYTES + 10;

    fn prepare(blob: &Blob, bytes: usize) {
        blob.prepared(|_| Ok(Weighty(bytes))).unwrap();
    }

    #[test]
    fn least_recently_used_goes_first() {
        let mut store = BlobStore::new(2 * LIGHT);
        let (a, b) = (store.insert(vec![1; 10]).digest(), store.insert(vec![2; 10]).digest());
        assert!(store.get(a).is_some());
        let c = store.insert(vec![3; 10]).digest();
        assert!(store.get(a).is_some() && store.get(b).is_none() && store.get(c).is_some());
        assert_eq!(store.resolve(&[a, b]).unwrap_err(), vec![b]);
        assert_eq!(store.bytes(), 2 * LIGHT);
    }

    #[test]
    fn prepared_forms_are_counted_when_they_are_made_and_send_others_away() {
        let mut store = BlobStore::new(3 * LIGHT + 1_000);
        let blobs: Vec<_> = (0..3).map(|number| store.insert(vec![number; 10])).collect();
        prepare(&blobs[0], 900);
        assert_eq!((store.len(), store.bytes()), (3, 3 * LIGHT + 900));
        // The second is evicted first, as the least recently used; the third's form does not fit beside the
        // first's either.
        prepare(&blobs[2], 1_600);
        assert!(store.get(blobs[1].digest()).is_none() && store.get(blobs[2].digest()).is_some());
        assert!(store.bytes() <= 3 * LIGHT + 1_000);
        assert_eq!(blobs[0].prepared_bytes(), 0, "what was sent away keeps no form");
    }

    #[test]
    fn a_blob_that_was_sent_away_is_prepared_for_each_use() {
        let mut store = BlobStore::new(LIGHT);
        let first = store.insert(vec![1; 10]);
        store.insert(vec![2; 10]);
        for bytes in [5, 6] {
            assert_eq!(*first.prepared(|_| Ok(Weighty(bytes))).unwrap(), Weighty(bytes));
        }
        assert!(!first.is_prepared::<Weighty>());
        assert_eq!(store.bytes(), LIGHT);
    }

    #[test]
    fn a_blob_that_its_store_takes_back_keeps_its_form_again() {
        let mut store = BlobStore::new(LIGHT);
        let (first, second) = (store.insert(vec![1; 10]), store.insert(vec![2; 10]));
        prepare(&first, 100);
        assert!(!first.is_prepared::<Weighty>());
        assert!(Arc::ptr_eq(&store.insert_blob(first.clone()), &first));
        prepare(&first, 100);
        assert!(first.is_prepared::<Weighty>());
        assert_eq!((store.len(), store.bytes()), (1, LIGHT + 100));
        // Another store does not hear of the form, and so would not count it.
        let mut other = BlobStore::new(usize::MAX);
        other.insert_blob(second.clone());
        prepare(&second, 100);
        assert!(!second.is_prepared::<Weighty>());
        assert_eq!(other.bytes(), LIGHT);
    }

    #[test]
    fn blobs_that_outlive_their_store_keep_no_form() {
        let mut store = BlobStore::new(usize::MAX);
        let blob = store.insert(vec![1; 10]);
        prepare(&blob, 100);
        drop(store);
        assert!(!blob.is_prepared::<Weighty>());
        prepare(&blob, 100);
        assert!(!blob.is_prepared::<Weighty>());
    }

    #[test]
    fn the_bound_holds_whichever_threads_prepare() {
        const BYTES_MAX: usize = 100_000;
        let store = Mutex::new(BlobStore::new(BYTES_MAX));
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..100u8 {
                        let blob = store.lock().unwrap().insert(vec![thread % 2, number % 50]);
                        prepare(&blob, 3_000 + usize::from(number));
                        assert!(store.lock().unwrap().bytes() <= BYTES_MAX);
                    }
                });
            }
        });
        let store = store.into_inner().unwrap();
        let kept: usize = locked(&store.contents).blobs.values().map(|kept| kept.blob.weight()).sum();
        assert_eq!(store.bytes(), kept);
        assert!(kept <= BYTES_MAX && store.len() > 10);
    }
}
