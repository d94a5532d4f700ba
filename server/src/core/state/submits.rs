//! What admission keeps from submit to submit.

use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;
use p2c2r_tasks::BlobStore;

pub use super::rations::{AccountRations, Rations};
use crate::ledger::Room;

/// What admission keeps from submit to submit.
pub struct Submits {
    /// What looking at them may take.
    pub rations: Rations,
    /// Blobs that specs have asked for.
    pub blobs: BlobStore,
    /// How many were predicted to be late.
    pub predicted_late: u32,
    /// Admissions that the ledger would still record in this update; `None` if it has stopped recording.
    pub room: Option<Room>,
}

impl Submits {
    /// Another update begins, in which the ledger has this room.
    pub fn begin_update(&mut self, room: Option<Room>) {
        self.rations.begin_update();
        self.room = room;
    }
}

impl Default for Submits {
    fn default() -> Self {
        Self {
            rations: Rations::default(),
            blobs: BlobStore::new(BLOB_STORE_BYTES_MAX),
            predicted_late: 0,
            room: None,
        }
    }
}
