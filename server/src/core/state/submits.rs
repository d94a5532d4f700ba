//! What admission keeps from submit to submit.

use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;
use p2c2r_tasks::BlobStore;

pub use super::rate_limits::{AccountSubmitRates, SubmitRates};
use crate::ledger::AdmissionRoom;

/// What admission keeps from submit to submit.
pub struct Submits {
    /// What looking at them may take.
    pub rates: SubmitRates,
    /// Blobs that specs have asked for.
    pub blobs: BlobStore,
    /// How many were predicted to be late.
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
