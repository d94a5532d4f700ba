//! The traits of a kind of work: the typed one that its author implements, and the erased ones that programs pass
//! around.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bincode::{Decode, Encode};
use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::limits::{OUTCOME_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_protocol::wire::{self, WireError};
use p2c2r_protocol::{Device, Digest, KindId, WorkUnits};
use thiserror::Error;

use crate::blobs::Blobs;
use crate::fuel::{self, Stop};

/// Why a spec is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    /// The bytes are not a spec of this kind.
    #[error("{0}")]
    Malformed(String),
    /// A value is outside its documented range.
    #[error("{0}")]
    OutOfRange(String),
    /// The caller does not have a blob the spec refers to.
    #[error("blob {0} is not at hand")]
    BlobMissing(Digest),
    /// A blob is not what this kind expects.
    #[error("blob {digest}: {reason}")]
    BadBlob {
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// The task is worth more work units than one task may be.
    #[error("{units} work units where one task may have {max}")]
    TooMuchWork {
        /// Work units of the task.
        units: u64,
        /// The limit.
        max: u64,
    },
}

/// Why a kernel gave no outcome.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KernelError {
    /// The spec is not valid; admission would have refused it.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The kernel could not go on here; another machine may succeed.
    #[error("{0}")]
    Failed(String),
    /// The task needs more than its work units pay for: more steps than its [`Fuel`](crate::fuel::Fuel), or an outcome
    /// above [`OUTCOME_BYTES_MAX`]. The cores of every machine come to the same result.
    #[error("the task needs more than its work units pay for")]
    OutOfFuel,
    /// The answer is no longer wanted.
    #[error("the task was taken back")]
    Stopped,
}

/// The check that an outcome failed, and how. The check's name is stable: tests and statistics use it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{check}: {detail}")]
pub struct CheckError {
    /// Name of the check, for example `path.step_legal`.
    pub check: &'static str,
    /// What was found, in words; never payload bytes.
    pub detail: String,
}

impl CheckError {
    /// A failure of `check`.
    pub fn new(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into() }
    }
}

/// A kind of work.
///
/// Kernels are pure: the same spec and blobs give the same outcome, bit for bit, on every machine, in every
/// build profile and on every thread. Kinds that cannot promise that say so in [`TaskKind::DETERMINISTIC`]
/// and are compared by tolerance.
///
/// An example: a small kind that finds the least divisor above 1 of each number.
///
/// ```
/// use p2c2r_protocol::{KindId, WorkUnits};
/// use p2c2r_tasks::{Blobs, CheckError, KernelError, KindRegistry, SpecError, Stop, TaskKind};
///
/// struct Divisors;
///
/// fn least_divisor(number: u32) -> u32 {
///     (2..=number.isqrt()).find(|divisor| number % divisor == 0).unwrap_or(number)
/// }
///
/// impl TaskKind for Divisors {
///     const ID: KindId = KindId(100);
///     const NAME: &'static str = "divisors";
///     const KERNEL_VERSION: u16 = 1;
///     type Spec = Vec<u32>;
///     type Outcome = Vec<u32>;
///
///     fn admit(numbers: &Vec<u32>, _: &Blobs) -> Result<WorkUnits, SpecError> {
///         if numbers.len() > 1_000 || numbers.iter().any(|number| *number < 2) {
///             return Err(SpecError::OutOfRange("more than 1000 numbers, or one below 2".into()));
///         }
///         // A unit is a microsecond of a core, which does some 500 divisions in it.
///         let divisions: u64 = numbers.iter().map(|number| u64::from(number.isqrt())).sum();
///         Ok(WorkUnits(1 + divisions / 500))
///     }
///
///     fn run(numbers: &Vec<u32>, _: &Blobs, stop: &Stop) -> Result<Vec<u32>, KernelError> {
///         let of = |number: &u32| {
///             if stop.is_stopped() { Err(KernelError::Stopped) } else { Ok(least_divisor(*number)) }
///         };
///         numbers.iter().map(of).collect()
///     }
///
///     // Its work units bound its time, so it counts no fuel.
///     fn may_run_out(_: &Vec<u32>, _: &Blobs) -> bool {
///         false
///     }
///
///     // Cheap: stops whoever makes numbers up, but not whoever gives a divisor that is not the least.
///     fn check(numbers: &Vec<u32>, _: &Blobs, divisors: &Vec<u32>) -> Result<(), CheckError> {
///         let divides = |(number, divisor): (&u32, &u32)| *divisor > 1 && number % divisor == 0;
///         let is_right = numbers.len() == divisors.len() && numbers.iter().zip(divisors).all(divides);
///         is_right.then_some(()).ok_or_else(|| CheckError::new("divisors.divides", "one does not"))
///     }
///
///     fn deep_check(numbers: &Vec<u32>, _: &Blobs, divisors: &Vec<u32>, seed: u64) -> Result<(), CheckError> {
///         let Some(at) = seed.checked_rem(numbers.len() as u64) else { return Ok(()) };
///         let is_right = divisors[at as usize] == least_divisor(numbers[at as usize]);
///         is_right.then_some(()).ok_or_else(|| CheckError::new("divisors.least", "one is not"))
///     }
/// }
///
/// let kinds = KindRegistry::empty().with::<Divisors>();
/// let job = kinds.by_name("divisors").unwrap().decode(&Divisors::encode_spec(&vec![35, 37])).unwrap();
/// let outcome = job.run(&Blobs::default(), &Stop::never()).unwrap();
/// assert_eq!(Divisors::decode_outcome(&outcome).unwrap(), [5, 37]);
/// job.check(&Blobs::default(), &outcome).unwrap();
/// job.deep_check(&Blobs::default(), &outcome, 7).unwrap();
/// ```
pub trait TaskKind: Send + Sync + 'static {
    /// Number on the wire.
    const ID: KindId;
    /// Name in reports, prices and the HUD: one lower-case word.
    const NAME: &'static str;
    /// Raised whenever the kernel's answer to any spec changes.
    const KERNEL_VERSION: u16;
    /// Whether equal specs give bit-identical outcomes everywhere; only then may outcomes be cached.
    const DETERMINISTIC: bool = true;

    /// Whether there is a kernel for graphics processors. Work units computed there have a separate price.
    const RUNS_ON_GRAPHICS: bool = false;

    /// Fuel of a task, as a percentage of what its work units pay for. With less, honest tasks whose units are
    /// estimated too low would run out; with more, a spec made to be underpaid would cost its worker more.
    const FUEL_PERCENT: u64 = fuel::FUEL_PERCENT;

    /// The input of a task.
    type Spec: Encode + Decode<()> + Clone + Debug + PartialEq + Send + Sync + 'static;
    /// The answer to a task.
    type Outcome: Encode + Decode<()> + Clone + Debug + PartialEq + Send + Sync + 'static;

    /// Digest of the fixed data that specs refer to by number, if any. It must be the same in every build.
    fn catalogue() -> Option<Digest> {
        None
    }

    /// Digests of the blobs `spec` refers to.
    fn blob_refs(spec: &Self::Spec) -> Vec<Digest> {
        let _ = spec;
        Vec::new()
    }

    /// Checks every range in `spec` and says what the task is worth. Cheap: bounded by the size of the spec.
    fn admit(spec: &Self::Spec, blobs: &Blobs) -> Result<WorkUnits, SpecError>;

    /// Whether `blobs` hold the [prepared](crate::Prepared) forms that this kind makes of the blobs of `spec`, so that a
    /// kernel or a check begins at once. False by default if the spec refers to any blob: a kind that prepares its blobs
    /// says when they are ready.
    fn is_prepared(spec: &Self::Spec, blobs: &Blobs) -> bool {
        let _ = blobs;
        Self::blob_refs(spec).is_empty()
    }

    /// Whether [`TaskKind::admit`] prepares every blob that `spec` refers to. Unlike [`TaskKind::is_prepared`] this does not
    /// depend on what other threads have done so far: decisions that a recording has to repeat may rest on it. False by
    /// default if the spec refers to any blob.
    fn admission_prepares(spec: &Self::Spec, blobs: &Blobs) -> bool {
        let _ = blobs;
        Self::blob_refs(spec).is_empty()
    }

    /// Computes the outcome. Never panics on a spec that [`TaskKind::admit`] accepts.
    ///
    /// A kernel whose time its work units do not bound counts its steps in a [`Fuel`](crate::fuel::Fuel) of
    /// those units and passes on its errors. One that takes longer than a millisecond checks `stop` in
    /// between and ends with [`KernelError::Stopped`] if it is set; a `Fuel` does so.
    fn run(spec: &Self::Spec, blobs: &Blobs, stop: &Stop) -> Result<Self::Outcome, KernelError>;

    /// Whether the kernel may run out of fuel on this spec, as far as can be told without running it. Where
    /// this is false, an answer "out of fuel" is rejected at once; where it is true, the check runs the whole
    /// task again.
    fn may_run_out(spec: &Self::Spec, blobs: &Blobs) -> bool {
        let _ = (spec, blobs);
        true
    }

    /// The always-on check of an answer from a stranger: cheap beside the kernel, and sound, that is, it never
    /// fails the kernel's own outcome. `outcome` may hold anything its type can hold.
    fn check(spec: &Self::Spec, blobs: &Blobs, outcome: &Self::Outcome) -> Result<(), CheckError>;

    /// The sampled deep check: recomputes the part of the task that `seed` picks. Assumes [`TaskKind::check`]
    /// passed. Never fails the kernel's own outcome.
    fn deep_check(
        spec: &Self::Spec,
        blobs: &Blobs,
        outcome: &Self::Outcome,
        seed: u64,
    ) -> Result<(), CheckError>;

    /// Whether outcomes of this kind leave a blob. If false, no outcome is decoded for it and
    /// [`TaskKind::leaves`] is never called.
    const LEAVES: bool = false;

    /// The blob that an outcome leaves for later specs to name, if any: every program that has the outcome
    /// can make it, so it need not travel. The bytes are the same everywhere. `outcome` has passed
    /// [`TaskKind::check`].
    fn leaves(spec: &Self::Spec, blobs: &Blobs, outcome: &Self::Outcome) -> Option<Vec<u8>> {
        let _ = (spec, blobs, outcome);
        None
    }

    /// Encodes a spec for the wire.
    fn encode_spec(spec: &Self::Spec) -> Vec<u8> {
        wire::encode(spec)
    }

    /// Decodes a spec under its size limit.
    fn decode_spec(bytes: &[u8]) -> Result<Self::Spec, WireError> {
        decode_payload::<_, SPEC_BYTES_MAX>(bytes)
    }

    /// Encodes an outcome for the wire.
    fn encode_outcome(outcome: &Self::Outcome) -> Vec<u8> {
        wire::encode(outcome)
    }

    /// Decodes an outcome under its size limit.
    fn decode_outcome(bytes: &[u8]) -> Result<Self::Outcome, WireError> {
        decode_payload::<_, OUTCOME_BYTES_MAX>(bytes)
    }
}

/// Decodes a payload of at most `MAX` bytes. In memory its containers may take 4 MiB, 64 times the largest
/// payload, since a byte on the wire can become a whole element.
fn decode_payload<T: Decode<()>, const MAX: usize>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > MAX {
        return Err(WireError::TooLarge { bytes: bytes.len(), max: MAX });
    }
    wire::decode_limited::<T, { 64 * 64 * 1024 }>(bytes)
}

/// A substitute for [`TaskKind::run`], for example one that computes on a graphics processor.
///
/// Specs, admission and checks stay the kind's own, so a judge need not know which kernel an outcome came
/// from: it must pass the same checks, under the same [`TaskKind::KERNEL_VERSION`]. For a
/// [`TaskKind::DETERMINISTIC`] kind that means the same bits.
pub trait Kernel<K: TaskKind>: Send + Sync {
    /// Whether the kernel can be used now. While it cannot, for instance while its shaders are being
    /// compiled, the kind's own kernel runs.
    fn is_ready(&self) -> bool {
        true
    }

    /// The device it runs on, which decides the price of its outcomes.
    fn device(&self) -> Device {
        Device::Graphics
    }

    /// Computes the outcome; on an error the kind's own kernel runs instead. Called by several threads at
    /// once, with any spec that [`TaskKind::admit`] accepts, and returns within bounded time whatever the
    /// device does. Where it can, it ends early with [`KernelError::Stopped`] once `stop` is set.
    fn run(&self, spec: &K::Spec, blobs: &Blobs, stop: &Stop) -> Result<K::Outcome, KernelError>;
}

/// How often a substitute [`Kernel`] has been used, and how often it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelUse {
    /// Outcomes it computed.
    pub runs: u64,
    /// Outcomes that the kind's own kernel computed because this one failed.
    pub fallbacks: u64,
    /// Why it failed the first time.
    pub first_failure: Option<String>,
}

/// A kind behind a pointer, for programs that carry tasks without understanding them.
pub trait AnyKind: Send + Sync {
    /// Number on the wire.
    fn id(&self) -> KindId;
    /// Name in reports.
    fn name(&self) -> &'static str;
    /// Version of the kernel.
    fn kernel_version(&self) -> u16;
    /// Whether equal specs give bit-identical outcomes everywhere.
    fn deterministic(&self) -> bool;
    /// See [`TaskKind::RUNS_ON_GRAPHICS`].
    fn runs_on_graphics(&self) -> bool;
    /// What the kernel in use here runs on.
    fn device(&self) -> Device;
    /// See [`TaskKind::catalogue`].
    fn catalogue(&self) -> Option<Digest>;
    /// Use of the substitute kernel; `None` if the kind has only its own kernel.
    fn kernel_use(&self) -> Option<KernelUse>;
    /// Decodes a spec into a job that can be admitted, run and judged.
    fn decode(&self, spec: &[u8]) -> Result<Arc<dyn TaskJob>, SpecError>;
}

/// A decoded spec behind a pointer.
pub trait TaskJob: Send + Sync {
    /// Digests of the blobs it refers to.
    fn blob_refs(&self) -> &[Digest];
    /// See [`TaskKind::admit`].
    fn admit(&self, blobs: &Blobs) -> Result<WorkUnits, SpecError>;
    /// See [`TaskKind::is_prepared`].
    fn is_prepared(&self, blobs: &Blobs) -> bool {
        let _ = blobs;
        self.blob_refs().is_empty()
    }
    /// See [`TaskKind::admission_prepares`].
    fn admission_prepares(&self, blobs: &Blobs) -> bool {
        let _ = blobs;
        self.blob_refs().is_empty()
    }
    /// Whether [`TaskJob::run`] may wait for a device, so that only a thread without other work should call
    /// it.
    fn waits(&self) -> bool {
        false
    }
    /// See [`TaskKind::run`] and [`Kernel::run`]; the outcome comes encoded, as [`fuel::OUT_OF_FUEL`] if the kernel ran
    /// out of fuel.
    fn run(&self, blobs: &Blobs, stop: &Stop) -> Result<Vec<u8>, KernelError>;
    /// See [`TaskKind::check`]; an outcome that does not decode fails the check `decode`, and one that says the kernel
    /// ran out of fuel fails `fuel` where [`TaskKind::may_run_out`] says that it cannot have.
    fn check(&self, blobs: &Blobs, outcome: &[u8]) -> Result<(), CheckError>;
    /// See [`TaskKind::leaves`].
    fn leaves(&self, blobs: &Blobs, outcome: &[u8]) -> Option<Vec<u8>> {
        let _ = (blobs, outcome);
        None
    }
    /// [`TaskKind::check`], then [`TaskKind::deep_check`]. An outcome that says the kernel ran out of fuel is checked by
    /// running it: it fails `fuel` if that gives an outcome.
    fn deep_check(&self, blobs: &Blobs, outcome: &[u8], seed: u64) -> Result<(), CheckError>;
}

/// Type-erases a [`TaskKind`].
pub(crate) struct Erased<K: TaskKind> {
    substitute: Option<Arc<Substitute<K>>>,
}

impl<K: TaskKind> Erased<K> {
    /// A kind that runs its own kernel.
    pub(crate) fn own() -> Self {
        Self { substitute: None }
    }

    /// A kind that runs `kernel`, and its own kernel where that fails.
    pub(crate) fn with(kernel: Arc<dyn Kernel<K>>) -> Self {
        Self {
            substitute: Some(Arc::new(Substitute {
                kernel,
                runs: AtomicU64::new(0),
                fallbacks: AtomicU64::new(0),
                first_failure: OnceLock::new(),
            })),
        }
    }
}

/// A kernel that replaces a kind's own, and its counts.
struct Substitute<K> {
    kernel: Arc<dyn Kernel<K>>,
    runs: AtomicU64,
    fallbacks: AtomicU64,
    first_failure: OnceLock<String>,
}

impl<K: TaskKind> Substitute<K> {
    /// The outcome, or `None` if the kernel cannot be used. A panic in it, say in a driver's library, counts
    /// as a failure: it cannot leave data half written, because the spec is only read.
    fn run(&self, spec: &K::Spec, blobs: &Blobs, stop: &Stop) -> Option<Result<K::Outcome, KernelError>> {
        if !self.kernel.is_ready() {
            return None;
        }
        let failure = match catch_panic(|| self.kernel.run(spec, blobs, stop)) {
            Ok(Ok(outcome)) => {
                self.runs.fetch_add(1, Ordering::Relaxed);
                return Some(Ok(outcome));
            }
            // The answer is not wanted, so the kind's own kernel is not run either.
            Ok(Err(KernelError::Stopped)) => return Some(Err(KernelError::Stopped)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the kernel panicked".to_owned(),
        };
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        self.first_failure.get_or_init(|| failure);
        None
    }
}

struct TypedJob<K: TaskKind> {
    spec: K::Spec,
    blob_refs: Vec<Digest>,
    substitute: Option<Arc<Substitute<K>>>,
}

impl<K: TaskKind> AnyKind for Erased<K> {
    fn id(&self) -> KindId {
        K::ID
    }
    fn name(&self) -> &'static str {
        K::NAME
    }
    fn kernel_version(&self) -> u16 {
        K::KERNEL_VERSION
    }
    fn deterministic(&self) -> bool {
        K::DETERMINISTIC
    }
    fn runs_on_graphics(&self) -> bool {
        K::RUNS_ON_GRAPHICS
    }
    fn device(&self) -> Device {
        self.substitute.as_ref().map_or(Device::Cores, |substitute| substitute.kernel.device())
    }
    fn catalogue(&self) -> Option<Digest> {
        K::catalogue()
    }
    fn kernel_use(&self) -> Option<KernelUse> {
        self.substitute.as_ref().map(|substitute| KernelUse {
            runs: substitute.runs.load(Ordering::Relaxed),
            fallbacks: substitute.fallbacks.load(Ordering::Relaxed),
            first_failure: substitute.first_failure.get().cloned(),
        })
    }
    fn decode(&self, spec: &[u8]) -> Result<Arc<dyn TaskJob>, SpecError> {
        let spec = K::decode_spec(spec).map_err(|error| SpecError::Malformed(error.to_string()))?;
        let blob_refs = K::blob_refs(&spec);
        Ok(Arc::new(TypedJob::<K> { spec, blob_refs, substitute: self.substitute.clone() }))
    }
}

impl<K: TaskKind> TypedJob<K> {
    fn decode_outcome(outcome: &[u8]) -> Result<K::Outcome, CheckError> {
        K::decode_outcome(outcome).map_err(|error| CheckError::new("decode", error.to_string()))
    }
}

impl<K: TaskKind> TaskJob for TypedJob<K> {
    fn blob_refs(&self) -> &[Digest] {
        &self.blob_refs
    }
    fn admit(&self, blobs: &Blobs) -> Result<WorkUnits, SpecError> {
        K::admit(&self.spec, blobs)
    }
    fn is_prepared(&self, blobs: &Blobs) -> bool {
        K::is_prepared(&self.spec, blobs)
    }
    fn admission_prepares(&self, blobs: &Blobs) -> bool {
        K::admission_prepares(&self.spec, blobs)
    }
    fn waits(&self) -> bool {
        self.substitute.is_some()
    }
    fn run(&self, blobs: &Blobs, stop: &Stop) -> Result<Vec<u8>, KernelError> {
        let substituted = self.substitute.as_ref().and_then(|kernel| kernel.run(&self.spec, blobs, stop));
        let outcome = match substituted.unwrap_or_else(|| K::run(&self.spec, blobs, stop)) {
            Ok(outcome) => K::encode_outcome(&outcome),
            Err(KernelError::OutOfFuel) => return Ok(fuel::OUT_OF_FUEL.to_vec()),
            Err(error) => return Err(error),
        };
        if fuel::is_out_of_fuel(&outcome) {
            return Err(KernelError::Failed("its outcome has no bytes, which stands for out of fuel".into()));
        }
        Ok(outcome)
    }
    fn check(&self, blobs: &Blobs, outcome: &[u8]) -> Result<(), CheckError> {
        if !fuel::is_out_of_fuel(outcome) {
            return K::check(&self.spec, blobs, &Self::decode_outcome(outcome)?);
        }
        if K::may_run_out(&self.spec, blobs) {
            return Ok(());
        }
        Err(CheckError::new("fuel", "a task that cannot run out of fuel is said to have"))
    }
    fn leaves(&self, blobs: &Blobs, outcome: &[u8]) -> Option<Vec<u8>> {
        if !K::LEAVES || fuel::is_out_of_fuel(outcome) {
            return None;
        }
        K::leaves(&self.spec, blobs, &K::decode_outcome(outcome).ok()?)
    }
    fn deep_check(&self, blobs: &Blobs, outcome: &[u8], seed: u64) -> Result<(), CheckError> {
        if fuel::is_out_of_fuel(outcome) {
            self.check(blobs, outcome)?;
            return match K::run(&self.spec, blobs, &Stop::never()) {
                Err(KernelError::OutOfFuel) => Ok(()),
                Ok(_) => Err(CheckError::new("fuel", "the kernel has an outcome and fuel left")),
                Err(error) => Err(CheckError::new("fuel", error.to_string())),
            };
        }
        let outcome = Self::decode_outcome(outcome)?;
        K::check(&self.spec, blobs, &outcome)?;
        K::deep_check(&self.spec, blobs, &outcome, seed)
    }
}
