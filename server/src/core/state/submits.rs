//! What admission keeps from submit to submit.

use p2c2r_protocol::limits::BLOB_STORE_BYTES_MAX;
use p2c2r_tasks::BlobStore;

pub use super::rations::{AccountRations, Rations};

/// What admission keeps from submit to submit.
pub struct Submits {
    /// What looking at them may take.
    pub rations: Rations,
    /// Blobs that specs have asked for.
    pub blobs: BlobStore,
    /// How many were predicted to be late.
    pub predicted_late: u32,
}

impl Default for Submits {
    fn default() -> Self {
        Self { rations: Rations::default(), blobs: BlobStore::new(BLOB_STORE_BYTES_MAX), predicted_late: 0 }
    }
}
