//! The core's outputs: it acts on the world only through these.

use p2c2r_protocol::{PeerId, ServerToGame, ServerToWorker};

use super::work::{Check, KernelRun};
use crate::ledger::Entry;

/// Effects to carry out; each vector is in the order in which its items were pushed.
///
/// One vector per sort, so that the effects of several events reach the link and the ledger as one batch each. No order
/// holds between the sorts.
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
    /// Whether there are no effects.
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
    /// Sets how closely the link watches a worker: the disconnect of a busy one is noticed sooner.
    Watch {
        /// The worker's connection.
        peer: PeerId,
        /// Whether tasks are out with it.
        busy: bool,
    },
}
