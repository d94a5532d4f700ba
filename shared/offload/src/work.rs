//! A task's spec behind a pointer, so that one table holds the tasks of all kinds.

use std::any::Any;
use std::sync::Arc;

use p2c2r_protocol::wire::WireError;
use p2c2r_protocol::{Digest, WorkUnits};
use p2c2r_tasks::{Blobs, KernelError, SpecError, Stop, TaskKind};

/// An `Arc<K::Outcome>` of a kind known by its place in the table of kinds.
pub(crate) type AnyOutcome = Arc<dyn Any + Send + Sync>;

/// A typed task.
pub(crate) struct Work<K: TaskKind> {
    pub spec: K::Spec,
    pub blobs: Blobs,
}

/// A task whose kind is known only by its place in the table of kinds.
pub(crate) trait AnyWork: Send + Sync {
    /// What it is worth; refuses an invalid spec.
    fn admit(&self) -> Result<WorkUnits, SpecError>;
    /// Computes it, until `stop` says that the outcome is no longer wanted.
    fn run(&self, stop: &Stop) -> Result<AnyOutcome, KernelError>;
    /// The spec on the wire.
    fn encode(&self) -> Vec<u8>;
    /// Digests of the blobs the spec refers to.
    fn blob_refs(&self) -> Vec<Digest>;
    /// The blobs.
    fn blobs(&self) -> &Blobs;
}

impl<K: TaskKind> AnyWork for Work<K> {
    fn admit(&self) -> Result<WorkUnits, SpecError> {
        K::admit(&self.spec, &self.blobs)
    }
    fn run(&self, stop: &Stop) -> Result<AnyOutcome, KernelError> {
        K::run(&self.spec, &self.blobs, stop).map(|outcome| Arc::new(outcome) as AnyOutcome)
    }
    fn encode(&self) -> Vec<u8> {
        K::encode_spec(&self.spec)
    }
    fn blob_refs(&self) -> Vec<Digest> {
        K::blob_refs(&self.spec)
    }
    fn blobs(&self) -> &Blobs {
        &self.blobs
    }
}

/// Decodes an outcome of kind `K` under its limits.
pub(crate) fn decode_outcome<K: TaskKind>(bytes: &[u8]) -> Result<AnyOutcome, WireError> {
    K::decode_outcome(bytes).map(|outcome| Arc::new(outcome) as AnyOutcome)
}
