//! The game's side of a scenario: it asks for puzzles and records how they end.

use std::fmt;
use std::sync::Arc;

use bevy_ecs::message::MessageReader;
use bevy_ecs::prelude::{Commands, Query, Res, ResMut, Resource};
use p2c2r_offload::prelude::*;
use p2c2r_protocol::Receipt;

use crate::puzzles::{Puzzle, PuzzleTag};

/// How one task of a test game ended.
#[derive(Clone, Debug)]
pub enum OffloadEnding {
    /// With an outcome.
    Done {
        /// The encoded outcome.
        outcome: Bytes,
        /// Who computed it.
        place: Place,
        /// The coordinator's receipt.
        receipt: Option<Receipt>,
        /// Whether it came after the deadline.
        late: bool,
    },
    /// Without one.
    Failed {
        /// Why.
        reason: FailReason,
        /// Whether the last outcome was used.
        reused: bool,
    },
}

/// Bytes that a failing test does not print in full.
#[derive(Clone)]
pub struct Bytes(pub Arc<[u8]>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl OffloadEnding {
    /// Who computed the outcome, if there is one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Done { place, .. } => Some(place),
            Self::Failed { .. } => None,
        }
    }

    /// Whether a worker computed it.
    pub fn is_remote(&self) -> bool {
        matches!(self.place(), Some(Place::Worker { .. }))
    }

    /// Whether it was there by its deadline.
    pub fn is_in_time(&self) -> bool {
        matches!(self, Self::Done { late: false, .. })
    }
}

/// Endings of a test game's tasks, in the order in which they ended.
#[derive(Resource, Default)]
pub(crate) struct Endings(pub Vec<(usize, OffloadEnding)>);

/// The encoded specs of the tasks that this game asked for before its last start, by number.
#[derive(Resource, Default)]
pub(crate) struct AskedBefore(pub Vec<Vec<u8>>);

/// Tasks to be asked for in the next update.
#[derive(Resource, Default)]
pub(crate) struct Wanted(pub Vec<(PuzzleTag, Arc<dyn Puzzle>, bool)>);

pub(crate) fn ask_for_wanted(mut commands: Commands<'_, '_>, mut wanted: ResMut<'_, Wanted>) {
    for (tag, puzzle, patient) in wanted.0.drain(..) {
        puzzle.ask(&mut commands, tag, patient);
    }
}

pub(crate) fn record_endings<K: TaskKind>(
    mut done: MessageReader<'_, '_, Offloaded<K>>,
    mut failed: MessageReader<'_, '_, OffloadFailed<K>>,
    tags: Query<'_, '_, &PuzzleTag>,
    resumed: Query<'_, '_, &Resumed<K>>,
    before: Res<'_, AskedBefore>,
    mut endings: ResMut<'_, Endings>,
) {
    let number = |entity| match (tags.get(entity), resumed.get(entity)) {
        (Ok(tag), _) => tag.0,
        (_, Ok(resumed)) => {
            let spec = K::encode_spec(resumed.spec());
            before.0.iter().position(|asked| *asked == spec).expect("it was asked for")
        }
        _ => usize::MAX,
    };
    for done in done.read() {
        let ending = OffloadEnding::Done {
            outcome: Bytes(K::encode_outcome(&done.outcome).into()),
            place: done.place.clone(),
            receipt: done.receipt.clone(),
            late: done.late,
        };
        endings.0.push((number(done.entity), ending));
    }
    for failed in failed.read() {
        let ending = OffloadEnding::Failed { reason: failed.reason.clone(), reused: failed.reused.is_some() };
        endings.0.push((number(failed.entity), ending));
    }
}
