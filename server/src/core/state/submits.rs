//! State of admission that outlives one submit.

use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;
use p2c2r_tasks::BlobStore;

pub use super::rate_limits::{AccountSubmitRates, SubmitRates};
use crate::ledger::AdmissionRoom;

/// State of admission that outlives one submit.
pub struct Submits {
    /// Rate limits on examining submits.
    pub rates: SubmitRates,
    /// Blobs that specs refer to.
    pub blobs: BlobStore,
    /// Tasks that were predicted to be late.
    pub predicted_late: u32,
    /// Admissions that the ledger would still record in this update; `None` if it has stopped recording.
    pub room: Option<AdmissionRoom>,
}

impl Submits {
    /// Another update begins, in which the ledger has this room.
    pub fn begin_update(&mut self, room: Option<AdmissionRoom>) {
        self.rates.begin_update();
        self.room = room;
    }
}

impl Default for Submits {
    fn default() -> Self {
        Self {
            rates: SubmitRates::default(),
            blobs: BlobStore::new(BLOB_STORE_BYTES_MAX),
            predicted_late: 0,
            room: None,
        }
    }
}
