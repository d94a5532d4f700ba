//! What the core wants done: it does nothing to the world but by these.

use p2c2r_protocol::{PeerId, ServerToGame, ServerToWorker};

use super::work::{Check, KernelRun};
use crate::ledger::Entry;

/// What is to be done, each sort in the order in which it was pushed.
///
/// The sorts lie apart, so that what several events have led to moves on to link and ledger in one piece each; none of
/// them waits for another.
#[derive(Default)]
pub struct Effects {
    /// Messages to send to games.
    pub to_games: Vec<(PeerId, ServerToGame)>,
    /// Messages to send to workers.
    pub to_workers: Vec<(PeerId, ServerToWorker)>,
    /// Entries to record in the ledger.
    pub entries: Vec<Entry>,
    /// Everything else.
    pub others: Vec<Effect>,
}

impl Effects {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.to_games.is_empty()
            && self.to_workers.is_empty()
            && self.entries.is_empty()
            && self.others.is_empty()
    }
}

/// Something to be done besides sending and recording.
pub enum Effect {
    /// Judge an outcome; comes back as [`Event::Checked`](super::Event::Checked).
    Check(Check),
    /// Run the coordinator's own kernel; comes back as [`Event::Computed`](super::Event::Computed), once for each run.
    Compute(KernelRun),
    /// Have the link watch a worker more closely, or no more: its death is then noticed sooner.
    Watch {
        /// The worker's connection.
        peer: PeerId,
        /// Whether tasks are out with it.
        busy: bool,
    },
}
