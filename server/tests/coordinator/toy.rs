//! A kind of work small enough to lie about: what is asked is a number, what is answered is its square.

use p2c2r_protocol::{Digest, KindId, WorkUnits, wire};
use p2c2r_tasks::kind::TaskKind;
use p2c2r_tasks::{Blobs, CheckError, KernelError, KindRegistry, SpecError};

/// The kind `toy`.
pub struct Toy;

/// What is asked: the number to square, what the task is worth, and a blob it refers to, if any.
type Asked = (u64, u64, Option<Digest>);

/// The same with names.
#[derive(Clone, Copy, Debug)]
pub struct ToySpec {
    /// The number to square.
    pub number: u64,
    /// What the task is worth.
    pub units: u64,
    /// A blob it refers to, if any.
    pub blob: Option<Digest>,
}

impl ToySpec {
    /// As it travels.
    pub fn encode(self) -> Vec<u8> {
        wire::encode(&(self.number, self.units, self.blob))
    }
}

/// The number in an encoded spec.
pub fn number_in(spec: &[u8]) -> u64 {
    Toy::decode_spec(spec).unwrap().0
}

/// The number whose check panics.
pub const PANICS: u64 = 13;
/// The number whose kernel fails.
pub const FAILS: u64 = 17;

impl TaskKind for Toy {
    const ID: KindId = KindId(200);
    const NAME: &'static str = "toy";
    const KERNEL_VERSION: u16 = 3;
    type Spec = Asked;
    type Outcome = u64;

    fn blob_refs(spec: &Asked) -> Vec<Digest> {
        spec.2.into_iter().collect()
    }
    fn admit(spec: &Asked, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(spec.1))
    }
    fn run(spec: &Asked, _: &Blobs) -> Result<u64, KernelError> {
        if spec.0 == FAILS {
            return Err(KernelError::Failed("as asked".into()));
        }
        Ok(spec.0 * spec.0)
    }
    fn check(spec: &Asked, _: &Blobs, outcome: &u64) -> Result<(), CheckError> {
        assert_ne!(spec.0, PANICS, "the check panics as asked");
        if *outcome == spec.0 * spec.0 {
            Ok(())
        } else {
            Err(CheckError::new("toy.square", format!("{outcome} is not {}²", spec.0)))
        }
    }
    fn deep_check(spec: &Asked, blobs: &Blobs, outcome: &u64, _: u64) -> Result<(), CheckError> {
        Self::check(spec, blobs, outcome)
    }
}

/// The kinds of these tests.
pub fn kinds() -> KindRegistry {
    KindRegistry::empty().with::<Toy>()
}

/// The spec that asks for the square of `number`.
pub fn spec(number: u64) -> ToySpec {
    ToySpec { number, units: 1_000, blob: None }
}

/// The right answer, encoded.
pub fn answer(number: u64) -> Vec<u8> {
    wire::encode(&(number * number))
}
