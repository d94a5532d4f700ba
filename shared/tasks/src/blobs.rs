//! Content-addressed inputs that many specs share, such as an occupancy grid.
//!
//! A spec names a blob by digest, so a program that has the blob is not sent it again. A blob can carry a
//! prepared form (a decoded, indexed grid) that the first kernel to need it attaches and later ones reuse.
//! The form can be far larger than the bytes it is made from, so a [`BlobStore`] counts both and evicts the
//! least recently used blob.

mod known;
mod store;

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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

/// State of a blob's prepared form.
#[derive(Default)]
struct Slot {
    form: Option<Form>,
    /// Set once no store keeps the blob: from then on a form is prepared for one use and not kept.
    let_go: bool,
}

/// One content-addressed input.
pub struct Blob {
    digest: Digest,
    bytes: Box<[u8]>,
    survey: OnceLock<Result<Box<dyn Any + Send + Sync>, Arc<str>>>,
    slot: Mutex<Slot>,
    /// Bytes of the kept form; outside the slot's lock so that it can be read while a thread prepares.
    prepared_bytes: AtomicUsize,
    /// The store that keeps the blob.
    owner: OnceLock<OwningStore>,
}

impl Blob {
    /// Names `bytes` by their digest.
    pub fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            digest: Digest::of(&bytes),
            bytes: bytes.into(),
            survey: OnceLock::new(),
            slot: Mutex::default(),
            prepared_bytes: AtomicUsize::new(0),
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

    /// Bytes of the prepared form that is kept with the blob; 0 while there is none.
    pub fn prepared_bytes(&self) -> usize {
        self.prepared_bytes.load(Ordering::Acquire)
    }

    /// Whether a prepared form is kept.
    pub fn is_prepared(&self) -> bool {
        self.prepared_bytes() > 0
    }

    /// A few facts about the bytes, made by `survey` on first use and kept: what admission needs to know, for less
    /// time and memory than the prepared form takes. `survey` must be pure; a refusal is kept as well. A blob is
    /// surveyed for one kind only.
    pub fn surveyed<T: Any + Send + Sync + Copy>(
        &self,
        survey: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, SpecError> {
        let slot = self.survey.get_or_init(|| match survey(&self.bytes) {
            Ok(facts) => Ok(Box::new(facts)),
            Err(reason) => Err(reason.into()),
        });
        let facts = slot.as_ref().map_err(|reason| self.bad(reason))?;
        facts.downcast_ref::<T>().copied().ok_or_else(|| self.bad("surveyed for another kind"))
    }

    /// The form a kernel works on, made from the bytes by `prepare` on first use and kept as long as the store keeps
    /// the blob. `prepare` must be pure: a refusal is kept as well. A blob is prepared for one kind only; asking for a
    /// second type is an error. While one thread prepares, others that want the form wait for it.
    pub fn prepared<T: Prepared>(
        &self,
        prepare: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<Arc<T>, SpecError> {
        let mut slot = self.slot();
        let (form, is_new) = if let Some(form) = &slot.form {
            (form.clone(), false)
        } else {
            let form: Form = match prepare(&self.bytes) {
                // At least one byte, since 0 means that there is no form.
                Ok(made) => {
                    let bytes = made.bytes().max(1);
                    Ok((Arc::new(made), bytes))
                }
                Err(reason) => Err(reason.into()),
            };
            if !slot.let_go {
                slot.form = Some(form.clone());
                self.prepared_bytes.store(form.as_ref().map_or(0, |(_, bytes)| *bytes), Ordering::Release);
            }
            (form, !slot.let_go)
        };
        drop(slot);
        if is_new && let Some(owner) = self.owner.get() {
            owner.weigh_again(self.digest);
        }
        let (made, _) = form.map_err(|reason| self.bad(&reason))?;
        made.downcast::<T>().map_err(|_| self.bad("prepared for another kind"))
    }

    /// Bytes the blob takes in memory now.
    fn weight(&self) -> usize {
        store::BLOB_OVERHEAD_BYTES + self.bytes.len() + self.prepared_bytes()
    }

    /// Drops the prepared form for good; a kernel that is using it keeps it until it ends.
    fn let_go(&self) {
        let mut slot = self.slot();
        slot.let_go = true;
        slot.form = None;
        self.prepared_bytes.store(0, Ordering::Release);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        // A panic in `prepare` leaves the slot as it was: without a form.
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

    /// Whether every blob has its prepared form, so that a kernel or a check begins at once.
    pub fn are_prepared(&self) -> bool {
        self.0.iter().all(|blob| blob.is_prepared())
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
        assert!(!blob.is_prepared());
        let first = blob.prepared(|bytes| Ok(Weighty(bytes[0].into()))).unwrap();
        let second = blob.prepared::<Weighty>(|_| panic!("made twice")).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(blob.prepared_bytes(), 7);
        assert!(matches!(blob.prepared(|_| Ok(Other)), Err(SpecError::BadBlob { .. })));
        let bad = Blob::new(vec![8]);
        assert!(bad.prepared::<Weighty>(|_| Err("no".into())).is_err());
        assert!(bad.prepared(|_| Ok(Weighty(1))).is_err());
    }

    #[test]
    fn a_survey_is_made_once_and_refusals_are_kept() {
        let blob = Blob::new(vec![7]);
        assert_eq!(blob.surveyed(|bytes| Ok(bytes.len())), Ok(1));
        assert_eq!(blob.surveyed::<usize>(|_| panic!("made twice")), Ok(1));
        assert!(matches!(blob.surveyed(|_| Ok(1u8)), Err(SpecError::BadBlob { .. })));
        let bad = Blob::new(vec![8]);
        assert!(bad.surveyed::<usize>(|_| Err("no".into())).is_err());
        assert!(bad.surveyed(|_| Ok(1usize)).is_err());
    }

    #[test]
    fn a_panic_while_preparing_leaves_the_blob_usable() {
        let blob = Blob::new(vec![7]);
        let panicking = || blob.prepared::<Weighty>(|_| panic!("once"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
        assert_eq!(*blob.prepared(|_| Ok(Weighty(3))).unwrap(), Weighty(3));
    }
}
