//! What the targets of whole programs share: an input is a script of steps, and there are honest tasks to put
//! into it.

use std::sync::{Arc, OnceLock};

use p2c2r_protocol::KindId;
use p2c2r_protocol::wire::{self, Bounded, Decode, Encode};
use p2c2r_tasks::kind::TaskJob;
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::reflection::{Reflection, ReflectionSpec};
use p2c2r_tasks::tactics::Tactics;
use p2c2r_tasks::{Blob, Blobs, KindRegistry, Stop, TaskKind};

use super::CHECKED_UNITS_MAX;
use crate::puzzles::Puzzling;

/// Steps of one script: more would only make a run slower.
const STEPS_MAX: usize = 64;
/// Kinds of honest tasks, and seeds of each.
const KINDS: usize = 4;
const SEEDS: u64 = 4;

/// The steps of a script: a number for what is done, and its bytes, preceded by their length in two bytes,
/// low byte first.
pub(super) fn steps(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([what, low, high], rest) = input.split_first_chunk()?;
        let (bytes, rest) = rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
        input = rest;
        Some((*what, bytes))
    })
    .take(STEPS_MAX)
}

/// A script of these steps.
pub(super) fn script(steps: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut input = Vec::new();
    for (what, bytes) in steps {
        input.push(*what);
        input.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        input.extend_from_slice(bytes);
    }
    input
}

/// The first byte, or zero.
pub(super) fn first(bytes: &[u8]) -> u8 {
    bytes.first().copied().unwrap_or_default()
}

/// An honest task.
pub(super) struct Job {
    pub kind: KindId,
    pub version: u16,
    pub spec: Vec<u8>,
    pub blobs: Vec<Vec<u8>>,
    pub outcome: Vec<u8>,
    /// Spec and blobs decoded, so that no input decodes them again.
    pub decoded: Arc<dyn TaskJob>,
    pub kept: Blobs,
}

impl Job {
    fn of<K: TaskKind>((spec, blobs): (K::Spec, Blobs)) -> Self {
        let outcome = K::run(&spec, &blobs, &Stop::never()).expect("a puzzle can be solved");
        let (spec, kinds) = (K::encode_spec(&spec), KindRegistry::builtin());
        let kind = kinds.get(K::ID).expect("a kind of ours");
        Self {
            kind: K::ID,
            version: K::KERNEL_VERSION,
            decoded: kind.decode(&spec).expect("an honest spec"),
            spec,
            blobs: blobs.iter().map(|blob| blob.bytes().to_vec()).collect(),
            outcome: K::encode_outcome(&outcome),
            kept: blobs,
        }
    }

    /// One of the honest tasks.
    pub fn number(number: u8) -> &'static Self {
        static JOBS: OnceLock<Vec<Job>> = OnceLock::new();
        let jobs = JOBS.get_or_init(|| {
            (0..SEEDS)
                .flat_map(|seed| {
                    [
                        Self::of::<Path>(Path::small_task(seed)),
                        Self::of::<Physics>(Physics::small_task(seed)),
                        Self::of::<Reflection>(smallest_reflection(seed)),
                        Self::of::<Tactics>(Tactics::small_task(seed)),
                    ]
                })
                .collect()
        });
        &jobs[usize::from(number) % jobs.len()]
    }

    /// The honest task that has this spec.
    pub fn with_spec(spec: &[u8]) -> Option<&'static Self> {
        (0..u8::MAX).map(Self::number).take(KINDS * SEEDS as usize).find(|job| job.spec == spec)
    }
}

/// The small reflection at one place, one level and one bounce: tracing all of it would take most of a run's time.
fn smallest_reflection(seed: u64) -> (ReflectionSpec, Blobs) {
    let (spec, blobs) = Reflection::small_task(seed);
    (ReflectionSpec { levels: 1, others: Vec::new(), bounces: 1, ..spec }, blobs)
}

/// Whether a task is so large that running it only takes time.
pub(super) fn is_large(kind: KindId, spec: &[u8], blobs: &[Vec<u8>]) -> bool {
    let kinds = KindRegistry::builtin();
    let Some(job) = kinds.get(kind).and_then(|kind| kind.decode(spec).ok()) else { return false };
    let blobs = Blobs::new(blobs.iter().map(|bytes| Blob::new(bytes.clone())).collect());
    job.admit(&blobs).is_ok_and(|units| units.0 > CHECKED_UNITS_MAX)
}

/// The message that the bytes encode, if any.
pub(super) fn decoded<M: Decode<()> + Bounded>(bytes: &[u8]) -> Option<M> {
    wire::decode_message(bytes).ok()
}

/// A step for each of these messages.
pub(super) fn said<M: Encode>(what: u8, messages: &[M]) -> Vec<(u8, Vec<u8>)> {
    messages.iter().map(|message| (what, wire::encode(message))).collect()
}
