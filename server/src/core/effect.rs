//! What the core wants done: it does nothing to the world but by one of these.

use p2c2r_protocol::{PeerId, ServerToGame, ServerToWorker};

use super::work::{Check, Kernel};
use crate::ledger::Entry;

/// Something to be done, in the order in which it was pushed.
pub enum Effect {
    /// Send a message to a game.
    ToGame {
        /// Its connection.
        peer: PeerId,
        /// What it is told.
        message: ServerToGame,
    },
    /// Send a message to a worker.
    ToWorker {
        /// Its connection.
        peer: PeerId,
        /// What it is told.
        message: ServerToWorker,
    },
    /// Record an entry in the ledger.
    Book(Entry),
    /// Judge an outcome; comes back as [`Event::Checked`](super::Event::Checked).
    Check {
        /// What is to be judged.
        check: Check,
        /// Whether it is so small that handing it to another thread would take longer.
        here: bool,
    },
    /// Run the coordinator's own kernel; comes back as [`Event::Computed`](super::Event::Computed), once for each run.
    Compute(Kernel),
    /// Have the link watch a worker more closely, or no more: its death is then noticed sooner.
    Watch {
        /// The worker's connection.
        peer: PeerId,
        /// Whether tasks are out with it.
        busy: bool,
    },
}
