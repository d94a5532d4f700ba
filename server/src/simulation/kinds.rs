//! Two small kinds of work, for which wrong answers are easily made.
//!
//! `square` has one right answer, to the bit. `tenfold` has several within a tolerance, as light has. For some specs of
//! either, the always-on check accepts any answer, and only a deep check finds a wrong one. Some refer to a blob.

use p2c2r_protocol::{Digest, KindId, WorkUnits, wire};
use p2c2r_tasks::{Blobs, CheckError, KernelError, KindRegistry, SpecError, Stop, TaskKind};
use serde::{Deserialize, Serialize};

/// What is asked: a number, what the task is worth, and whether only a deep check tells a wrong answer.
type Asked = (u64, u64, bool);

/// Tasks with numbers from here on refer to a blob; larger numbers would have no square.
pub const WITH_BLOB: u64 = 1 << 31;
/// Different blobs, so that many tasks refer to the same one.
const BLOBS: u64 = 5;

/// The kind `square`.
pub struct Square;
/// The kind `tenfold`.
pub struct Tenfold;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SimulatedKind {
    /// [`Square`].
    Square,
    /// [`Tenfold`].
    Tenfold,
}

/// Both kinds.
pub fn kinds() -> KindRegistry {
    KindRegistry::empty().with::<Square>().with::<Tenfold>()
}

impl SimulatedKind {
    /// Its number on the wire.
    pub fn id(self) -> KindId {
        match self {
            Self::Square => Square::ID,
            Self::Tenfold => Tenfold::ID,
        }
    }

    /// The kind with this number.
    pub fn of(id: KindId) -> Self {
        if id == Square::ID { Self::Square } else { Self::Tenfold }
    }

    /// The version of its kernel.
    pub fn version(self) -> u16 {
        match self {
            Self::Square => Square::KERNEL_VERSION,
            Self::Tenfold => Tenfold::KERNEL_VERSION,
        }
    }

    /// Whether only one answer is right.
    pub fn is_exact(self) -> bool {
        self == Self::Square
    }
}

/// A spec as it travels.
pub fn spec(number: u64, units: u64, is_sly: bool) -> Vec<u8> {
    wire::encode(&(number, units, is_sly))
}

/// An answer to an encoded spec, with a deviation from the kernel's own that is within the tolerance, or far from it.
pub fn answer(kind: SimulatedKind, spec: &[u8], is_right: bool, deviation: u64) -> Vec<u8> {
    let (number, ..) = asked(spec);
    let outcome = match kind {
        SimulatedKind::Square if is_right => number * number,
        SimulatedKind::Square => number * number + 1,
        SimulatedKind::Tenfold if is_right => number * 10 + deviation % 2,
        SimulatedKind::Tenfold => number * 10 + 4,
    };
    wire::encode(&outcome)
}

/// Whether the always-on check lets this answer pass.
pub fn looks_right(kind: SimulatedKind, spec: &[u8], is_right: bool) -> bool {
    is_right || kind == SimulatedKind::Tenfold || asked(spec).2
}

/// What a task with this encoded spec is worth.
pub fn units(spec: &[u8]) -> u64 {
    asked(spec).1
}

/// The blob that the task with this encoded spec refers to.
pub fn blob(spec: &[u8]) -> Option<Vec<u8>> {
    blob_of(&asked(spec))
}

fn blob_of((number, ..): &Asked) -> Option<Vec<u8>> {
    (*number >= WITH_BLOB).then(|| vec![(number % BLOBS) as u8; 100])
}

fn refs(asked: &Asked) -> Vec<Digest> {
    blob_of(asked).iter().map(|blob| Digest::of(blob)).collect()
}

fn asked(spec: &[u8]) -> Asked {
    Square::decode_spec(spec).expect("specs of the simulation decode")
}

fn is_near(outcome: u64, number: u64, most: u64) -> Result<(), CheckError> {
    if outcome.abs_diff(number * 10) <= most {
        Ok(())
    } else {
        Err(CheckError::new("tenfold.near", format!("{outcome} is not ten times {number}")))
    }
}

impl TaskKind for Square {
    const ID: KindId = KindId(210);
    const NAME: &'static str = "square";
    const KERNEL_VERSION: u16 = 3;
    type Spec = Asked;
    type Outcome = u64;

    fn blob_refs(spec: &Asked) -> Vec<Digest> {
        refs(spec)
    }
    fn admit(spec: &Asked, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(spec.1))
    }
    fn run(spec: &Asked, _: &Blobs, _: &Stop) -> Result<u64, KernelError> {
        Ok(spec.0 * spec.0)
    }
    fn check(spec: &Asked, blobs: &Blobs, outcome: &u64) -> Result<(), CheckError> {
        if spec.2 { Ok(()) } else { Self::deep_check(spec, blobs, outcome, 0) }
    }
    fn deep_check(spec: &Asked, _: &Blobs, outcome: &u64, _: u64) -> Result<(), CheckError> {
        if *outcome == spec.0 * spec.0 {
            Ok(())
        } else {
            Err(CheckError::new("square.equal", format!("{outcome} is not the square of {}", spec.0)))
        }
    }
}

impl TaskKind for Tenfold {
    const ID: KindId = KindId(211);
    const NAME: &'static str = "tenfold";
    const KERNEL_VERSION: u16 = 1;
    const DETERMINISTIC: bool = false;
    type Spec = Asked;
    type Outcome = u64;

    fn blob_refs(spec: &Asked) -> Vec<Digest> {
        refs(spec)
    }
    fn admit(spec: &Asked, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(spec.1))
    }
    fn run(spec: &Asked, _: &Blobs, _: &Stop) -> Result<u64, KernelError> {
        Ok(spec.0 * 10)
    }
    fn check(spec: &Asked, _: &Blobs, outcome: &u64) -> Result<(), CheckError> {
        is_near(*outcome, spec.0, 5)
    }
    fn deep_check(spec: &Asked, _: &Blobs, outcome: &u64, _: u64) -> Result<(), CheckError> {
        is_near(*outcome, spec.0, 1)
    }
}
