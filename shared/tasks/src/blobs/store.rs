//! The blobs that a program keeps, bounded by their bytes in memory, prepared forms included.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use p2c2r_protocol::Digest;

use super::{Blob, Blobs};

/// Bytes a blob takes beside its content: its own fields and its entries in the store. Without it, millions
/// of blobs of one byte would count as almost nothing.
pub(super) const BLOB_OVERHEAD_BYTES: usize = 512;

/// One in so many of a store's bytes is for prepared forms alone.
const FORMS_SHARE: usize = 4;

/// Blobs a program keeps; the least recently used is evicted first.
///
/// Which blobs are kept depends on their contents and the order of their use alone. They may take three quarters of the
/// bound, their entries in the store included, and prepared forms what contents leave of it: where forms do not fit, those
/// of the least recently used blobs are dropped, and made again when they are needed. So it makes no difference to what is
/// kept which thread prepares a blob, or when. The newest blob is kept even if it alone weighs more than contents may, and
/// so is the newest form. An evicted blob that a task still refers to can be used, but is prepared anew for each use.
#[derive(Debug)]
pub struct BlobStore {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug)]
struct Contents {
    blobs: HashMap<Digest, Kept>,
    /// Digests ordered by last use.
    by_use: BTreeMap<u64, Digest>,
    /// Those of blobs with prepared forms, ordered by the last use of these.
    prepared_by_use: BTreeMap<u64, Digest>,
    /// Bytes of contents and entries.
    bytes: usize,
    /// Bytes of prepared forms.
    prepared_bytes: usize,
    bytes_max: usize,
    clock: u64,
}

#[derive(Debug)]
struct Kept {
    blob: Arc<Blob>,
    used: u64,
    forms: Option<Forms>,
}

/// The prepared forms of a kept blob.
#[derive(Clone, Copy, Debug)]
struct Forms {
    /// When one was last made, or the blob last used.
    used: u64,
    /// What they are counted as.
    bytes: usize,
}

/// The store that keeps a blob.
pub(super) struct OwningStore(Weak<Mutex<Contents>>);

impl OwningStore {
    /// Counts a blob's forms again after one has been made, and drops those of others to make room for it.
    pub(super) fn weigh_again(&self, digest: Digest) {
        if let Some(contents) = self.0.upgrade() {
            let crowded = locked(&contents).weigh(digest);
            drop_forms(&contents, crowded);
        }
    }
}

/// Drops the forms of these blobs. Outside the lock of the contents: a thread that prepares one of the blobs holds that
/// blob's lock meanwhile.
fn drop_forms(contents: &Mutex<Contents>, mut crowded: Vec<Arc<Blob>>) {
    while let Some(blob) = crowded.pop() {
        blob.drop_forms();
        // A thread may have made another form meanwhile, so what is there is counted.
        crowded.extend(locked(contents).weigh(blob.digest()));
    }
}

fn locked(contents: &Mutex<Contents>) -> MutexGuard<'_, Contents> {
    // Nothing panics under the lock; after a panic the store would at worst hold one blob too many or too
    // few.
    contents.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BlobStore {
    /// An empty store whose blobs may weigh `bytes_max` together, prepared forms included.
    pub fn new(bytes_max: usize) -> Self {
        let contents = Contents {
            blobs: HashMap::new(),
            by_use: BTreeMap::new(),
            prepared_by_use: BTreeMap::new(),
            bytes: 0,
            prepared_bytes: 0,
            bytes_max,
            clock: 0,
        };
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
        let (blob, crowded) = locked(&self.contents).insert(blob, is_owner);
        drop_forms(&self.contents, crowded);
        blob
    }

    /// The blob named `digest`, if it is kept.
    pub fn get(&mut self, digest: Digest) -> Option<Arc<Blob>> {
        locked(&self.contents).get(digest)
    }

    /// Whether this very blob is kept, not another one with the same content. Does not count as a use.
    pub fn keeps(&self, blob: &Arc<Blob>) -> bool {
        locked(&self.contents).blobs.get(&blob.digest()).is_some_and(|kept| Arc::ptr_eq(&kept.blob, blob))
    }

    /// Bytes of all blobs in memory, prepared forms included.
    pub fn bytes(&self) -> usize {
        let contents = locked(&self.contents);
        contents.bytes.saturating_add(contents.prepared_bytes)
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
        if digests.is_empty() {
            return Ok(Blobs::default());
        }
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
            kept.blob.drop_forms();
        }
    }
}

impl Contents {
    /// Keeps a blob. Returns it, or the one that is kept already, and the blobs whose forms must go.
    fn insert(&mut self, blob: Arc<Blob>, is_owner: bool) -> (Arc<Blob>, Vec<Arc<Blob>>) {
        if let Some(kept) = self.get(blob.digest()) {
            return (kept, Vec::new());
        }
        if is_owner {
            blob.set_evicted(false);
        }
        self.bytes = self.bytes.saturating_add(blob.weight());
        self.by_use.insert(self.clock, blob.digest());
        let kept = Kept { blob: Arc::clone(&blob), used: self.clock, forms: None };
        self.blobs.insert(blob.digest(), kept);
        let mut crowded = self.evict();
        if is_owner {
            // It may have been prepared before.
            crowded.extend(self.weigh(blob.digest()));
        }
        (blob, crowded)
    }

    /// Finds a blob and notes that it was used.
    fn get(&mut self, digest: Digest) -> Option<Arc<Blob>> {
        self.clock += 1;
        let kept = self.blobs.get_mut(&digest)?;
        self.by_use.remove(&kept.used);
        if let Some(forms) = &mut kept.forms {
            self.prepared_by_use.remove(&forms.used);
            forms.used = self.clock;
            self.prepared_by_use.insert(self.clock, digest);
        }
        kept.used = self.clock;
        self.by_use.insert(self.clock, digest);
        Some(Arc::clone(&kept.blob))
    }

    /// Counts the forms of a blob as they are now; they are the newest. Returns the blobs whose forms must go to make room.
    fn weigh(&mut self, digest: Digest) -> Vec<Arc<Blob>> {
        self.clock += 1;
        // A blob evicted meanwhile is no longer counted, and keeps no form.
        let Some(kept) = self.blobs.get_mut(&digest) else { return Vec::new() };
        if let Some(before) = kept.forms.take() {
            self.prepared_by_use.remove(&before.used);
            self.prepared_bytes = self.prepared_bytes.saturating_sub(before.bytes);
        }
        let bytes = kept.blob.prepared_bytes();
        if bytes > 0 {
            kept.forms = Some(Forms { used: self.clock, bytes });
            self.prepared_by_use.insert(self.clock, digest);
            self.prepared_bytes = self.prepared_bytes.saturating_add(bytes);
        }
        self.crowded()
    }

    /// Evicts the least recently used blobs until the contents of the rest fit; the newest stays. Returns them, and those
    /// whose forms must go.
    fn evict(&mut self) -> Vec<Arc<Blob>> {
        let contents_max = self.bytes_max - self.bytes_max / FORMS_SHARE;
        let mut gone = Vec::new();
        while self.bytes > contents_max
            && self.blobs.len() > 1
            && let Some((_, oldest)) = self.by_use.pop_first()
            && let Some(kept) = self.blobs.remove(&oldest)
        {
            self.bytes = self.bytes.saturating_sub(kept.blob.weight());
            if let Some(forms) = kept.forms {
                self.prepared_by_use.remove(&forms.used);
                self.prepared_bytes = self.prepared_bytes.saturating_sub(forms.bytes);
            }
            kept.blob.set_evicted(true);
            gone.push(kept.blob);
        }
        gone.extend(self.crowded());
        gone
    }

    /// The least recently used blobs with forms, so many that without their forms the rest fits; the newest form stays.
    fn crowded(&mut self) -> Vec<Arc<Blob>> {
        let mut crowded = Vec::new();
        while self.bytes.saturating_add(self.prepared_bytes) > self.bytes_max
            && self.prepared_by_use.len() > 1
            && let Some((_, oldest)) = self.prepared_by_use.pop_first()
            && let Some(kept) = self.blobs.get_mut(&oldest)
        {
            let bytes = kept.forms.take().map_or(0, |forms| forms.bytes);
            self.prepared_bytes = self.prepared_bytes.saturating_sub(bytes);
            crowded.push(Arc::clone(&kept.blob));
        }
        crowded
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Weighty;
    use super::*;

    const LIGHT: usize = BLOB_OVERHEAD_BYTES + 10;

    /// A store for so many light blobs, and a third of their weight in forms beside them.
    fn store_for(light: usize) -> BlobStore {
        BlobStore::new((light * LIGHT * FORMS_SHARE).div_ceil(FORMS_SHARE - 1))
    }

    fn prepare(blob: &Blob, bytes: usize) {
        blob.prepared(|_| Ok(Weighty(bytes))).unwrap();
    }

    #[test]
    fn least_recently_used_goes_first() {
        let mut store = store_for(2);
        let (a, b) = (store.insert(vec![1; 10]).digest(), store.insert(vec![2; 10]).digest());
        assert!(store.get(a).is_some());
        let c = store.insert(vec![3; 10]).digest();
        assert!(store.get(a).is_some() && store.get(b).is_none() && store.get(c).is_some());
        assert_eq!(store.resolve(&[a, b]).unwrap_err(), vec![b]);
        assert_eq!(store.bytes(), 2 * LIGHT);
    }

    #[test]
    fn a_form_that_does_not_fit_sends_the_forms_longest_unused_away_and_no_blob() {
        let bytes_max = 3 * LIGHT + 1_000;
        let mut store = BlobStore::new(bytes_max);
        let blobs: Vec<_> = (0..3).map(|number| store.insert(vec![number; 10])).collect();
        let prepared =
            |blobs: &[Arc<Blob>]| blobs.iter().map(|blob| blob.prepared_bytes()).collect::<Vec<_>>();
        prepare(&blobs[0], 500);
        prepare(&blobs[1], 400);
        assert_eq!((store.len(), store.bytes()), (3, 3 * LIGHT + 900));
        assert!(store.get(blobs[0].digest()).is_some());
        prepare(&blobs[2], 300);
        assert_eq!(prepared(&blobs), [500, 0, 300], "the second was used before the first");
        // As the newest it stays, although it does not fit even alone.
        prepare(&blobs[1], 1_600);
        assert_eq!(prepared(&blobs), [0, 1_600, 0]);
        prepare(&blobs[0], 700);
        assert_eq!((prepared(&blobs), store.len()), (vec![700, 0, 0], 3));
        assert_eq!(store.bytes(), 3 * LIGHT + 700);
    }

    /// What a coordinator's store evicts decides what it asks for, which a replay of its recording has to repeat.
    #[test]
    fn which_blobs_are_kept_does_not_depend_on_what_is_prepared() {
        let (mut prepared, mut plain) = (store_for(4), store_for(4));
        for number in 0..20u8 {
            let blob = prepared.insert(vec![number; 10]);
            plain.insert(vec![number; 10]);
            prepare(&blob, 10 * LIGHT);
            let used = Digest::of(&[number.saturating_sub(2); 10]);
            assert_eq!(prepared.get(used).is_some(), plain.get(used).is_some());
            let oldest = prepared.get(Digest::of(&[number.saturating_sub(3); 10]));
            // A form made late, of a blob that others wait behind.
            if let Some(blob) = &oldest {
                prepare(blob, 20 * LIGHT);
            }
            plain.get(Digest::of(&[number.saturating_sub(3); 10]));
            for of in 0..20u8 {
                let digest = Digest::of(&[of; 10]);
                let kept = |store: &BlobStore| locked(&store.contents).blobs.contains_key(&digest);
                assert_eq!(kept(&prepared), kept(&plain), "{of} after {number}");
            }
        }
    }

    #[test]
    fn a_copy_is_not_the_blob_that_is_kept() {
        let mut store = store_for(1);
        let first = store.insert(vec![1; 10]);
        assert!(store.keeps(&first) && !store.keeps(&Blob::new(vec![1; 10])));
        store.insert(vec![2; 10]);
        assert!(!store.keeps(&first));
    }

    #[test]
    fn a_blob_that_was_sent_away_is_prepared_for_each_use() {
        let mut store = store_for(1);
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
        let mut store = store_for(1);
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
        let weight = |kept: &Kept| kept.blob.weight() + kept.blob.prepared_bytes();
        let kept: usize = locked(&store.contents).blobs.values().map(weight).sum();
        assert_eq!(store.bytes(), kept);
        assert!(kept <= BYTES_MAX && store.len() > 10);
    }
}
