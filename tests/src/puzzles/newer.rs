//! A kind as a later build would have it: equal except for its kernel's version.

use std::marker::PhantomData;

use p2c2r_protocol::{Digest, KindId, WorkUnits};
use p2c2r_tasks::{Blobs, CheckError, KernelError, SpecError, Stop, TaskKind};

/// `K` with the next kernel version.
pub struct Newer<K>(PhantomData<fn() -> K>);

impl<K: TaskKind> TaskKind for Newer<K> {
    const ID: KindId = K::ID;
    const NAME: &'static str = K::NAME;
    const KERNEL_VERSION: u16 = K::KERNEL_VERSION + 1;
    const DETERMINISTIC: bool = K::DETERMINISTIC;
    type Spec = K::Spec;
    type Outcome = K::Outcome;

    fn catalogue() -> Option<Digest> {
        K::catalogue()
    }
    fn blob_refs(spec: &K::Spec) -> Vec<Digest> {
        K::blob_refs(spec)
    }
    fn admit(spec: &K::Spec, blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        K::admit(spec, blobs)
    }
    fn is_prepared(spec: &K::Spec, blobs: &Blobs) -> bool {
        K::is_prepared(spec, blobs)
    }
    fn admission_prepares(spec: &K::Spec, blobs: &Blobs) -> bool {
        K::admission_prepares(spec, blobs)
    }
    fn run(spec: &K::Spec, blobs: &Blobs, stop: &Stop) -> Result<K::Outcome, KernelError> {
        K::run(spec, blobs, stop)
    }
    fn may_run_out(spec: &K::Spec, blobs: &Blobs) -> bool {
        K::may_run_out(spec, blobs)
    }
    fn check(spec: &K::Spec, blobs: &Blobs, outcome: &K::Outcome) -> Result<(), CheckError> {
        K::check(spec, blobs, outcome)
    }
    fn deep_check(spec: &K::Spec, blobs: &Blobs, outcome: &K::Outcome, seed: u64) -> Result<(), CheckError> {
        K::deep_check(spec, blobs, outcome, seed)
    }
    fn encode_spec(spec: &K::Spec) -> Vec<u8> {
        K::encode_spec(spec)
    }
    fn encode_outcome(outcome: &K::Outcome) -> Vec<u8> {
        K::encode_outcome(outcome)
    }
}
