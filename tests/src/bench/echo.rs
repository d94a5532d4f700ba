//! The bench's own kind of work: the outcome is the spec's payload. It goes through admission, lease, check,
//! ledger and delivery like any kind, with next to no time in the kernel, so that dispatch is measured.

use bincode::{Decode, Encode};
use p2c2r_protocol::{KindId, WorkUnits};
use p2c2r_tasks::{Blobs, CheckError, KernelError, KindRegistry, SpecError, Stop, TaskKind};

/// The kind: answers with its own payload.
pub struct Echo;

/// Any bytes; also the outcome.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct EchoPayload(pub Vec<u8>);

impl TaskKind for Echo {
    const ID: KindId = KindId(250);
    const NAME: &'static str = "echo";
    const KERNEL_VERSION: u16 = 1;
    type Spec = EchoPayload;
    type Outcome = EchoPayload;

    fn admit(_spec: &EchoPayload, _blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(1))
    }

    fn run(spec: &EchoPayload, _blobs: &Blobs, _stop: &Stop) -> Result<EchoPayload, KernelError> {
        Ok(spec.clone())
    }

    fn check(spec: &EchoPayload, _blobs: &Blobs, outcome: &EchoPayload) -> Result<(), CheckError> {
        if spec == outcome {
            Ok(())
        } else {
            Err(CheckError::new("echo.equal", "answered with other bytes than it was asked"))
        }
    }

    fn deep_check(
        spec: &EchoPayload,
        blobs: &Blobs,
        outcome: &EchoPayload,
        _seed: u64,
    ) -> Result<(), CheckError> {
        Self::check(spec, blobs, outcome)
    }
}

/// The shipped kinds and [`Echo`].
pub fn kinds() -> KindRegistry {
    KindRegistry::builtin().with::<Echo>()
}
