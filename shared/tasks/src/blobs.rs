//! Content-addressed inputs that many specs share, such as an occupancy grid.
//!
//! A spec names a blob by digest, so a program that has the blob is not sent it again. A blob can carry a
//! prepared form (a decoded, indexed grid) that the first kernel to need it attaches and later ones reuse.
//! The form can be far larger than the bytes it is made from, so a [`BlobStore`] bounds both: it evicts the least recently
//! used blobs, and drops forms sooner.

mod known;
mod store;

use std::any::{Any, TypeId};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use p2c2r_protocol::Digest;

use crate::kind::SpecError;
pub use known::KnownBlobs;
pub use store::BlobStore;
use store::OwningStore;

/// A form of a blob that kernels work on.
pub trait Prepared: Any + Send + Sync {
    /// Bytes of the form in memory, what it owns on the heap included.
    fn bytes(&self) -> usize;
}

/// A prepared form and its bytes in memory, or why the bytes have no such form.
type Form = Result<(Arc<dyn Any + Send + Sync>, usize), Arc<str>>;

/// Facts about the bytes, or why they have none.
type Survey = Result<Arc<dyn Any + Send + Sync>, Arc<str>>;

/// Values of a blob by the type that a kind asks for. Any game may name any blob in specs of any kind, so a refusal by
/// one kind must not count for another.
type ByType<V> = Vec<(TypeId, V)>;

/// The value of a [`ByType`] for `T`.
fn of_type<T: Any, V: Clone>(values: &[(TypeId, V)]) -> Option<V> {
    values.iter().find(|(of, _)| *of == TypeId::of::<T>()).map(|(_, value)| value.clone())
}

/// The prepared forms of a blob.
#[derive(Default)]
struct Slot {
    forms: ByType<Form>,
}

impl Slot {
    /// Bytes of all forms in memory.
    fn bytes(&self) -> usize {
        self.forms.iter().filter_map(|(_, form)| form.as_ref().ok()).map(|(_, bytes)| bytes).sum()
    }
}

/// One content-addressed input.
pub struct Blob {
    digest: Digest,
    bytes: Box<[u8]>,
    surveys: Mutex<ByType<Survey>>,
    slot: Mutex<Slot>,
    /// Bytes of the kept forms; outside the slot's lock so that they can be read while a thread prepares.
    prepared_bytes: AtomicUsize,
    /// Set while the store has evicted the blob: forms are then prepared for one use and not kept. Outside the slot's
    /// lock so that the store can set it without waiting for a thread that prepares.
    evicted: AtomicBool,
    /// The store that keeps the blob.
    owner: OnceLock<OwningStore>,
}

impl Blob {
    /// Names `bytes` by their digest.
    pub fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            digest: Digest::of(&bytes),
            bytes: bytes.into(),
            surveys: Mutex::default(),
            slot: Mutex::default(),
            prepared_bytes: AtomicUsize::new(0),
            evicted: AtomicBool::new(false),
            owner: OnceLock::new(),
        })
    }

    /// The blob's name.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The blob's content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the prepared forms that are kept with the blob; 0 while there is none.
    pub fn prepared_bytes(&self) -> usize {
        self.prepared_bytes.load(Ordering::Acquire)
    }

    /// Whether the form `T` is kept. Does not wait: false also while a thread prepares a form.
    pub fn is_prepared<T: Prepared>(&self) -> bool {
        let slot = match self.slot.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        slot.forms.iter().any(|(of, form)| *of == TypeId::of::<T>() && form.is_ok())
    }

    /// A few facts about the bytes, made by `survey` on first use and kept: what admission needs to know, for less
    /// time and memory than the prepared form takes. `survey` must be pure, and the same for each `T`: a refusal is
    /// kept as well.
    pub fn surveyed<T: Any + Send + Sync + Copy>(
        &self,
        survey: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, SpecError> {
        // A panic in `survey` leaves the list as it was.
        let mut surveys = self.surveys.lock().unwrap_or_else(PoisonError::into_inner);
        let found = of_type::<T, _>(&surveys).unwrap_or_else(|| {
            let made: Survey = match survey(&self.bytes) {
                Ok(facts) => Ok(Arc::new(facts)),
                Err(reason) => Err(reason.into()),
            };
            surveys.push((TypeId::of::<T>(), made.clone()));
            made
        });
        let facts = found.map_err(|reason| self.bad(&reason))?;
        Ok(*facts.downcast_ref::<T>().unwrap_or_else(|| unreachable!("surveys are kept by their type")))
    }

    /// The form a kernel works on, made from the bytes by `prepare` on first use and kept as long as the store keeps
    /// the blob and has room for its forms. `prepare` must be pure, and the same for each `T`: a refusal is kept as well. While one thread
    /// prepares, others that want a form wait for it.
    pub fn prepared<T: Prepared>(
        &self,
        prepare: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<Arc<T>, SpecError> {
        let mut slot = self.slot();
        let (form, is_new) = if let Some(form) = of_type::<T, _>(&slot.forms) {
            (form, false)
        } else {
            let form: Form = match prepare(&self.bytes) {
                // At least one byte, since 0 means that there is no form.
                Ok(made) => {
                    let bytes = made.bytes().max(1);
                    Ok((Arc::new(made), bytes))
                }
                Err(reason) => Err(reason.into()),
            };
            let is_kept = !self.evicted.load(Ordering::Acquire);
            if is_kept {
                slot.forms.push((TypeId::of::<T>(), form.clone()));
                self.prepared_bytes.store(slot.bytes(), Ordering::Release);
            }
            (form, is_kept)
        };
        drop(slot);
        if is_new && let Some(owner) = self.owner.get() {
            owner.weigh_again(self.digest);
        }
        let (made, _) = form.map_err(|reason| self.bad(&reason))?;
        Ok(made.downcast::<T>().unwrap_or_else(|_| unreachable!("forms are kept by their type")))
    }

    /// Bytes the blob takes in memory, without prepared forms.
    fn weight(&self) -> usize {
        store::BLOB_OVERHEAD_BYTES + self.bytes.len()
    }

    /// Says whether the store has evicted the blob. The store calls it under its own lock.
    fn set_evicted(&self, evicted: bool) {
        self.evicted.store(evicted, Ordering::Release);
    }

    /// Drops the prepared forms; a kernel that is using one keeps it until it ends. Waits for a thread that prepares one.
    fn drop_forms(&self) {
        let mut slot = self.slot();
        slot.forms.clear();
        self.prepared_bytes.store(0, Ordering::Release);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // A panic in `prepare` leaves the slot as it was: without that form.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bad(&self, reason: &str) -> SpecError {
        SpecError::BadBlob { digest: self.digest, reason: reason.to_owned() }
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

    /// All blobs.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Blob>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    pub(super) struct Weighty(pub usize);

    impl Prepared for Weighty {
        fn bytes(&self) -> usize {
            self.0
        }
    }

    struct Other;

    impl Prepared for Other {
        fn bytes(&self) -> usize {
            1
        }
    }

    #[test]
    fn prepared_form_is_made_once_and_refusals_are_kept() {
        let blob = Blob::new(vec![7]);
        assert!(!blob.is_prepared::<Weighty>());
        let first = blob.prepared(|bytes| Ok(Weighty(bytes[0].into()))).unwrap();
        let second = blob.prepared::<Weighty>(|_| panic!("made twice")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(blob.is_prepared::<Weighty>());
        assert_eq!(blob.prepared_bytes(), 7);
        let bad = Blob::new(vec![8]);
        assert!(bad.prepared::<Weighty>(|_| Err("no".into())).is_err());
        assert!(matches!(bad.prepared(|_| Ok(Weighty(1))), Err(SpecError::BadBlob { .. })));
    }

    #[test]
    fn what_one_kind_finds_in_a_blob_does_not_count_for_another() {
        let mut store = BlobStore::new(usize::MAX);
        let blob = store.insert(vec![7]);
        let empty = store.bytes();
        assert!(blob.prepared::<Other>(|_| Err("no".into())).is_err());
        assert!(!blob.is_prepared::<Other>());
        assert_eq!(*blob.prepared(|_| Ok(Weighty(3))).unwrap(), Weighty(3));
        assert!(blob.prepared::<Other>(|_| panic!("made twice")).is_err());
        let both = store.insert(vec![8]);
        both.prepared(|_| Ok(Other)).unwrap();
        assert!(both.is_prepared::<Other>() && !both.is_prepared::<Weighty>());
        assert_eq!(*both.prepared(|_| Ok(Weighty(4))).unwrap(), Weighty(4));
        assert_eq!((both.prepared_bytes(), store.bytes()), (5, 2 * empty + 3 + 5));
        assert!(blob.surveyed::<u8>(|_| Err("no".into())).is_err());
        assert_eq!(blob.surveyed(|_| Ok(9u16)), Ok(9));
    }

    #[test]
    fn a_survey_is_made_once_and_refusals_are_kept() {
        let blob = Blob::new(vec![7]);
        assert_eq!(blob.surveyed(|bytes| Ok(bytes.len())), Ok(1));
        assert_eq!(blob.surveyed::<usize>(|_| panic!("made twice")), Ok(1));
        let bad = Blob::new(vec![8]);
        assert!(bad.surveyed::<usize>(|_| Err("no".into())).is_err());
        assert!(matches!(bad.surveyed(|_| Ok(1usize)), Err(SpecError::BadBlob { .. })));
    }

    #[test]
    fn a_panic_while_preparing_leaves_the_blob_usable() {
        let blob = Blob::new(vec![7]);
        let panicking = || blob.prepared::<Weighty>(|_| panic!("once"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
        assert_eq!(*blob.prepared(|_| Ok(Weighty(3))).unwrap(), Weighty(3));
    }
}
