//! Seeded tasks of every kind and the judgement of their outcomes, so that every scenario runs for each kind and
//! can tell a right outcome from a wrong one.
//!
//! | module | owns |
//! |---|---|
//! | `path`, `physics`, `reflection`, `lightfield`, `tactics` | small tasks of that kind |
//! | [`newer`] | the same kinds as another build would have them |

mod lightfield;
pub mod newer;
mod path;
mod physics;
mod reflection;
mod tactics;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bevy_app::{App, Update};
use bevy_ecs::prelude::{Commands, Component};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::KindId;
use p2c2r_tasks::lightfield::Lightfield;
use p2c2r_tasks::path::Path;
use p2c2r_tasks::physics::Physics;
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::tactics::Tactics;
use p2c2r_tasks::{KindRegistry, Stop};

use crate::cluster::endings::record_endings;

/// Deep checks that an outcome of a non-deterministic kind must pass.
const DEEP_CHECKS: u64 = 4;

/// A kind that the harness has tasks of.
pub trait Puzzling: TaskKind {
    /// The task with this seed: small, since scenarios test the network and not kernels. Different seeds give
    /// different specs.
    fn small_task(seed: u64) -> (Self::Spec, Blobs);
}

/// One kind behind a pointer, for tables.
#[derive(Clone, Copy)]
pub struct PuzzleKind {
    /// Number on the wire.
    pub id: KindId,
    /// Name in totals.
    pub name: &'static str,
    /// Whether equal specs give equal outcomes, so that they may come from the cache.
    pub deterministic: bool,
    register: fn(&mut App, KindSettings),
    make: fn(u64) -> Arc<dyn Puzzle>,
    shipped: fn(KindRegistry) -> KindRegistry,
    newer: fn(KindRegistry) -> KindRegistry,
}

/// The kind `path`.
pub const PATH: PuzzleKind = PuzzleKind::of::<Path>();
/// The kind `physics`.
pub const PHYSICS: PuzzleKind = PuzzleKind::of::<Physics>();
/// The kind `reflection`.
pub const REFLECTION: PuzzleKind = PuzzleKind::of::<Reflection>();
/// The kind `lightfield`.
pub const LIGHTFIELD: PuzzleKind = PuzzleKind::of::<Lightfield>();
/// The kind `tactics`.
pub const TACTICS: PuzzleKind = PuzzleKind::of::<Tactics>();
/// Every kind that P2C2R ships; a test holds this list and [`KindRegistry::builtin`] together.
pub const KINDS: &[PuzzleKind] = &[PATH, PHYSICS, REFLECTION, LIGHTFIELD, TACTICS];

impl PuzzleKind {
    /// The kind `K`.
    pub const fn of<K: Puzzling>() -> Self {
        Self {
            id: K::ID,
            name: K::NAME,
            deterministic: K::DETERMINISTIC,
            register: register::<K>,
            make: make::<K>,
            shipped: KindRegistry::with::<K>,
            newer: KindRegistry::with::<newer::Newer<K>>,
        }
    }

    /// The puzzle with this seed.
    pub fn puzzle(&self, seed: u64) -> Arc<dyn Puzzle> {
        (self.make)(seed)
    }

    /// Lets a game ask for puzzles of this kind and records how they end.
    pub(crate) fn register(&self, app: &mut App, settings: KindSettings) {
        (self.register)(app, settings);
    }

    /// The shipped kinds in a later build: this kind's kernel has a higher version.
    pub fn in_a_newer_build(&self) -> KindRegistry {
        KINDS.iter().fold(KindRegistry::empty(), |kinds, kind| {
            if kind.id == self.id { (kind.newer)(kinds) } else { (kind.shipped)(kinds) }
        })
    }
}

impl fmt::Debug for PuzzleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// One task and what is known of its outcome.
pub trait Puzzle: Send + Sync {
    /// Asks for it, on an entity with `tag`.
    fn ask(&self, commands: &mut Commands<'_, '_>, tag: PuzzleTag, patient: bool);
    /// The encoded spec.
    fn spec(&self) -> Vec<u8>;
    /// The encoded outcome of this machine's own kernel.
    fn answer(&self) -> Vec<u8>;
    /// Why `outcome` is wrong, if it is. Deterministic kinds must match to the bit; the others must pass
    /// every check.
    fn fault(&self, outcome: &[u8]) -> Option<String>;
}

/// The task that an entity stands for.
#[derive(Component, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PuzzleTag(pub usize);

struct Typed<K: Puzzling> {
    spec: K::Spec,
    blobs: Blobs,
    answer: OnceLock<Vec<u8>>,
}

fn make<K: Puzzling>(seed: u64) -> Arc<dyn Puzzle> {
    let (spec, blobs) = K::small_task(seed);
    puzzle_of::<K>(spec, blobs)
}

/// Any task of a kind as a puzzle.
pub fn puzzle_of<K: Puzzling>(spec: K::Spec, blobs: Blobs) -> Arc<dyn Puzzle> {
    Arc::new(Typed::<K> { spec, blobs, answer: OnceLock::new() })
}

fn register<K: Puzzling>(app: &mut App, settings: KindSettings) {
    app.add_offload_kind::<K>(settings).add_systems(Update, record_endings::<K>);
}

impl<K: Puzzling> Typed<K> {
    fn own_answer(&self) -> &[u8] {
        self.answer.get_or_init(|| {
            let outcome =
                K::run(&self.spec, &self.blobs, &Stop::never()).expect("the kernel takes every puzzle");
            K::encode_outcome(&outcome)
        })
    }
}

impl<K: Puzzling> Puzzle for Typed<K> {
    fn ask(&self, commands: &mut Commands<'_, '_>, tag: PuzzleTag, patient: bool) {
        let mut task = Offloading::<K>::new(self.spec.clone(), self.blobs.clone());
        if patient {
            task = task.patient();
        }
        commands.offload_task(task).insert(tag);
    }

    fn spec(&self) -> Vec<u8> {
        K::encode_spec(&self.spec)
    }

    fn answer(&self) -> Vec<u8> {
        self.own_answer().to_vec()
    }

    fn fault(&self, outcome: &[u8]) -> Option<String> {
        if K::DETERMINISTIC {
            return (outcome != self.own_answer()).then(|| "it differs from the kernel's".into());
        }
        let outcome = match K::decode_outcome(outcome) {
            Ok(outcome) => outcome,
            Err(error) => return Some(error.to_string()),
        };
        let deep = |seed| K::deep_check(&self.spec, &self.blobs, &outcome, seed);
        let checked =
            K::check(&self.spec, &self.blobs, &outcome).and_then(|()| (0..DEEP_CHECKS).try_for_each(deep));
        checked.err().map(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_puzzles_of_every_shipped_kind() {
        let shipped: Vec<_> = KindRegistry::builtin().iter().map(|kind| kind.id()).collect();
        assert_eq!(KINDS.iter().map(|kind| kind.id).collect::<Vec<_>>(), shipped);
    }

    #[test]
    fn a_puzzle_knows_its_answer_from_anothers() {
        for kind in KINDS {
            let (one, other) = (kind.puzzle(1), kind.puzzle(2));
            assert_eq!(one.fault(&one.answer()), None, "{kind:?}");
            assert!(one.fault(&other.answer()).is_some(), "{kind:?}");
            assert!(one.fault(&[0xFF; 7]).is_some(), "{kind:?}");
        }
    }

    #[test]
    fn a_newer_build_has_the_same_kinds_and_another_identity() {
        for kind in KINDS {
            let (ours, newer) = (KindRegistry::builtin(), kind.in_a_newer_build());
            assert_ne!(ours.identity(), newer.identity());
            let versions = |kinds: &KindRegistry| -> Vec<_> {
                kinds.iter().map(|kind| (kind.id(), kind.kernel_version())).collect()
            };
            let differ =
                versions(&ours).iter().zip(versions(&newer)).filter(|(ours, newer)| *ours != newer).count();
            assert_eq!((ours.iter().count(), differ), (newer.iter().count(), 1), "{kind:?}");
        }
    }
}
