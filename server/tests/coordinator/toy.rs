//! A small kind of work, for which wrong answers are easily made: the spec is a number, the outcome its square.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use p2c2r_protocol::{Digest, KindId, WorkUnits, wire};
use p2c2r_tasks::kind::TaskKind;
use p2c2r_tasks::{Blobs, CheckError, KernelError, KindRegistry, Prepared, SpecError, Stop};

/// The kind `toy`.
pub struct Toy;

/// The spec: the number to square, the task's work units, and the blob it refers to, if any.
type Asked = (u64, u64, Option<Digest>);

/// The same with names.
#[derive(Clone, Copy, Debug)]
pub struct ToySpec {
    /// The number to square.
    pub number: u64,
    /// The task's work units.
    pub units: u64,
    /// A blob it refers to, if any.
    pub blob: Option<Digest>,
}

impl ToySpec {
    /// The encoded spec.
    pub fn encode(self) -> Vec<u8> {
        wire::encode(&(self.number, self.units, self.blob))
    }
}

/// The number in an encoded spec.
pub fn number_in(spec: &[u8]) -> u64 {
    Toy::decode_spec(spec).unwrap().0
}

/// The work units in an encoded spec.
pub fn units_in(spec: &[u8]) -> u64 {
    Toy::decode_spec(spec).unwrap().1
}

/// Numbers whose kernel and checks wait until [`let_go`] is called.
static HELD: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
static LET_GO: Condvar = Condvar::new();

/// A number that no other test has, whose kernel and checks wait for [`let_go`].
pub fn hold_next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    hold(number);
    number
}

/// The kernel and the checks of a number wait for [`let_go`].
pub fn hold(number: u64) {
    HELD.lock().unwrap().insert(number);
}

fn wait_until_let_go(number: u64) {
    drop(LET_GO.wait_while(HELD.lock().unwrap(), |held| held.contains(&number)).unwrap());
}

/// The same for a kernel; returns whether it was stopped instead.
fn wait_until_let_go_or_stopped(number: u64, stop: &Stop) -> bool {
    let mut held = HELD.lock().unwrap();
    while held.contains(&number) && !stop.is_stopped() {
        held = LET_GO.wait_timeout(held, Duration::from_millis(1)).unwrap().0;
    }
    held.contains(&number)
}

/// Lets the kernel and the checks of a number go on.
pub fn let_go(number: u64) {
    HELD.lock().unwrap().remove(&number);
    LET_GO.notify_all();
}

/// Numbers for which any answer passes the always-on check, and only a deep check finds a wrong one.
pub const SLY: u64 = 2_000_000;
const SLY_END: u64 = 3_000_000;

/// The number whose check panics.
pub const PANICS: u64 = 13;
/// The number whose kernel fails.
pub const FAILS: u64 = 17;
/// Another one, for one test to hold.
pub const FAILS_LATER: u64 = 3_000_017;

/// The number whose kernel runs out of fuel.
pub const ENDLESS: u64 = 19;

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
    fn run(spec: &Asked, _: &Blobs, stop: &Stop) -> Result<u64, KernelError> {
        if wait_until_let_go_or_stopped(spec.0, stop) {
            return Err(KernelError::Stopped);
        }
        if [FAILS, FAILS_LATER].contains(&spec.0) {
            return Err(KernelError::Failed("as asked".into()));
        }
        if spec.0 == ENDLESS {
            return Err(KernelError::OutOfFuel);
        }
        Ok(spec.0 * spec.0)
    }
    fn check(spec: &Asked, _: &Blobs, outcome: &u64) -> Result<(), CheckError> {
        assert_ne!(spec.0, PANICS, "the check panics as asked");
        wait_until_let_go(spec.0);
        if (SLY..SLY_END).contains(&spec.0) { Ok(()) } else { squares(spec.0, *outcome) }
    }
    fn deep_check(spec: &Asked, _: &Blobs, outcome: &u64, _: u64) -> Result<(), CheckError> {
        squares(spec.0, *outcome)
    }
}

fn squares(number: u64, outcome: u64) -> Result<(), CheckError> {
    if outcome == number * number {
        Ok(())
    } else {
        Err(CheckError::new("toy.square", format!("{outcome} is not {number}²")))
    }
}

/// The kind `bulky`: the spec is a number and a size, the outcome that many bytes.
pub struct Bulky;

impl TaskKind for Bulky {
    const ID: KindId = KindId(201);
    const NAME: &'static str = "bulky";
    const KERNEL_VERSION: u16 = 1;
    type Spec = (u64, u32);
    type Outcome = Vec<u8>;

    fn admit(_: &(u64, u32), _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(1_000))
    }
    fn run(spec: &(u64, u32), _: &Blobs, _: &Stop) -> Result<Vec<u8>, KernelError> {
        Ok(vec![spec.0 as u8; spec.1 as usize])
    }
    fn check(spec: &(u64, u32), blobs: &Blobs, outcome: &Vec<u8>) -> Result<(), CheckError> {
        if Self::run(spec, blobs, &Stop::never()).as_ref() == Ok(outcome) {
            Ok(())
        } else {
            Err(CheckError::new("bulky.bytes", "other bytes"))
        }
    }
    fn deep_check(spec: &(u64, u32), blobs: &Blobs, outcome: &Vec<u8>, _: u64) -> Result<(), CheckError> {
        Self::check(spec, blobs, outcome)
    }
}

/// The kind `rough`: the spec is a number, the outcome its square, give or take one. The kernel returns the square.
pub struct Rough;

impl TaskKind for Rough {
    const ID: KindId = KindId(202);
    const NAME: &'static str = "rough";
    const KERNEL_VERSION: u16 = 1;
    const DETERMINISTIC: bool = false;
    type Spec = u64;
    type Outcome = u64;

    fn admit(_: &u64, _: &Blobs) -> Result<WorkUnits, SpecError> {
        Ok(WorkUnits(1_000))
    }
    fn run(spec: &u64, _: &Blobs, _: &Stop) -> Result<u64, KernelError> {
        Ok(spec * spec)
    }
    fn check(spec: &u64, _: &Blobs, outcome: &u64) -> Result<(), CheckError> {
        if outcome.abs_diff(spec * spec) <= 1 { Ok(()) } else { squares(*spec, *outcome) }
    }
    fn deep_check(spec: &u64, blobs: &Blobs, outcome: &u64, _: u64) -> Result<(), CheckError> {
        Self::check(spec, blobs, outcome)
    }
}

/// The kind `laden`: the spec is a number, a blob, and whether admission prepares the blob; the outcome is the number's
/// square. The kernel and the checks prepare the blob, whose prepared form counts as [`Load::BYTES`].
pub struct Laden;

/// The prepared form of a blob of the kind [`Laden`].
pub struct Load;

impl Load {
    /// Bytes that the form counts as.
    pub const BYTES: usize = 1 << 20;
}

impl Prepared for Load {
    fn bytes(&self) -> usize {
        Self::BYTES
    }
}

/// The threads that have prepared a blob of the kind [`Laden`], by name.
static PREPARED_BY: Mutex<Vec<(Digest, Option<String>)>> = Mutex::new(Vec::new());

/// The names of the threads that have prepared this blob, in order.
pub fn prepared_by(blob: Digest) -> Vec<Option<String>> {
    let all = PREPARED_BY.lock().unwrap();
    all.iter().filter(|(of, _)| *of == blob).map(|(_, name)| name.clone()).collect()
}

fn prepare(digest: Digest, blobs: &Blobs) -> Result<(), SpecError> {
    let prepare = |_: &[u8]| {
        let thread = std::thread::current().name().map(str::to_owned);
        PREPARED_BY.lock().unwrap().push((digest, thread));
        Ok(Load)
    };
    blobs.get(digest)?.prepared(prepare).map(|_| ())
}

impl TaskKind for Laden {
    const ID: KindId = KindId(203);
    const NAME: &'static str = "laden";
    const KERNEL_VERSION: u16 = 1;
    type Spec = (u64, Digest, bool);
    type Outcome = u64;

    fn blob_refs(spec: &Self::Spec) -> Vec<Digest> {
        vec![spec.1]
    }
    fn admit(spec: &Self::Spec, blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        if spec.2 {
            prepare(spec.1, blobs)?;
        }
        Ok(WorkUnits(1_000))
    }
    fn admission_prepares(spec: &Self::Spec, _: &Blobs) -> bool {
        spec.2
    }
    fn run(spec: &Self::Spec, blobs: &Blobs, _: &Stop) -> Result<u64, KernelError> {
        prepare(spec.1, blobs)?;
        Ok(spec.0 * spec.0)
    }
    fn check(spec: &Self::Spec, blobs: &Blobs, outcome: &u64) -> Result<(), CheckError> {
        prepare(spec.1, blobs).map_err(|error| CheckError::new("laden.blob", error.to_string()))?;
        squares(spec.0, *outcome)
    }
    fn deep_check(spec: &Self::Spec, blobs: &Blobs, outcome: &u64, _: u64) -> Result<(), CheckError> {
        Self::check(spec, blobs, outcome)
    }
}

/// The kinds of these tests.
pub fn kinds() -> KindRegistry {
    KindRegistry::empty().with::<Toy>().with::<Bulky>().with::<Rough>().with::<Laden>()
}

/// The spec that asks for the square of `number`.
pub fn spec(number: u64) -> ToySpec {
    ToySpec { number, units: 1_000, blob: None }
}

/// The right answer, encoded.
pub fn answer(number: u64) -> Vec<u8> {
    wire::encode(&(number * number))
}
