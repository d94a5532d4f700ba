//! Finished tasks that are remembered: those their gamer has been sent, to answer a repeated submit again, and those
//! nobody was there to be sent, until their gamer is back.
//!
//! Each is weighed as it lies in memory. An account has a bound on both, and all accounts together have one
//! ([`super::Gamers::remember`]). What is dropped stays charged: it was computed, and its id stays used up.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::mem::size_of;

use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;
use p2c2r_protocol::limits::{OUTCOME_BYTES_MAX, TASKS_PER_GAMER_MAX};
use p2c2r_protocol::{ComputedBy, SeededHash, TaskId};

use super::FinishedTask;
use crate::core::fault;

/// Finished tasks remembered per account, to answer a repeated submit again.
const RECENT_MAX: usize = 256;
/// Bytes of finished tasks remembered per account for the same purpose.
const RECENT_BYTES_MAX: usize = 1024 * 1024;
/// Finished tasks kept per account for a gamer who is away. As many as may be in flight: to these no more are added.
const UNDELIVERED_MAX: usize = TASKS_PER_GAMER_MAX;
/// Bytes of them. All go out at once when the gamer is back: more would not fit into its channel, and it would be
/// dropped for that.
const UNDELIVERED_BYTES_MAX: usize = CHANNEL_MEMORY_BYTES_MAX / 4 * 3;
/// What one takes beside its outcome and its maker's name: itself, its places in the map and the order, and what the
/// allocator adds to three blocks.
const OVERHEAD_BYTES: usize = size_of::<FinishedTask>() + 3 * size_of::<TaskId>() + 64;

const _: () = assert!(UNDELIVERED_BYTES_MAX > 8 * (OUTCOME_BYTES_MAX + OVERHEAD_BYTES));

/// What one finished task takes in memory, in bytes.
pub(super) fn weight(finished: &FinishedTask) -> usize {
    let name = match &finished.receipt.computed_by {
        ComputedBy::Worker(name) | ComputedBy::Cache(Some(name)) => name.capacity(),
        ComputedBy::Coordinator | ComputedBy::Cache(None) => 0,
    };
    OVERHEAD_BYTES + finished.outcome.len() + name
}

/// The finished tasks of one account.
#[derive(Default)]
pub(super) struct Remembered {
    /// Each lies still while it is remembered: one comes and one goes with every task.
    tasks: HashMap<TaskId, Box<FinishedTask>, SeededHash>,
    /// Those that were sent, the oldest first.
    sent: VecDeque<TaskId>,
    /// Those nobody was sent yet, the oldest first.
    unsent: VecDeque<TaskId>,
    /// Of all of them.
    load: RememberedLoad,
    /// Of those nobody was sent yet.
    undelivered: RememberedLoad,
}

/// How many, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RememberedLoad {
    pub count: usize,
    pub bytes: usize,
}

impl RememberedLoad {
    pub fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub fn take(&mut self, bytes: usize) {
        assert!(self.count > 0 && self.bytes >= bytes, "what is taken was added");
        self.count -= 1;
        self.bytes -= bytes;
    }
}

impl Remembered {
    pub fn get(&self, id: TaskId) -> Option<&FinishedTask> {
        self.tasks.get(&id).map(|finished| &**finished)
    }

    /// All of them.
    pub fn load(&self) -> RememberedLoad {
        self.load
    }

    /// Those nobody was sent yet.
    pub fn undelivered(&self) -> RememberedLoad {
        self.undelivered
    }

    /// Adds one; the oldest go that are too many, or too heavy, together with it: of those nobody was sent if it is
    /// such a one, else of those that were sent.
    pub fn add(&mut self, id: TaskId, finished: Box<FinishedTask>) {
        let (bytes, delivered) = (weight(&finished), finished.delivered);
        let Entry::Vacant(place) = self.tasks.entry(id) else {
            debug_assert!(fault::is_any_made(), "a task ends once");
            return;
        };
        place.insert(finished);
        self.load.add(bytes);
        if delivered {
            self.sent.push_back(id);
            while self.load.count > RECENT_MAX || self.load.bytes > RECENT_BYTES_MAX {
                if !self.drop_oldest_delivered() {
                    break;
                }
            }
        } else {
            self.unsent.push_back(id);
            self.undelivered.add(bytes);
            while self.undelivered.count > UNDELIVERED_MAX || self.undelivered.bytes > UNDELIVERED_BYTES_MAX {
                let Some(oldest) = self.unsent.pop_front() else { break };
                self.forget(oldest);
            }
        }
    }

    /// Drops the oldest one that its gamer was sent; false if there is none.
    pub fn drop_oldest_delivered(&mut self) -> bool {
        let Some(oldest) = self.sent.pop_front() else { return false };
        self.forget(oldest);
        true
    }

    /// Drops one that nobody was sent; false if it is not such a one any more.
    pub fn drop_undelivered(&mut self, id: TaskId) -> bool {
        // The oldest, as a rule: found at once.
        let Some(at) = self.unsent.iter().position(|other| *other == id) else { return false };
        self.unsent.remove(at);
        self.forget(id);
        true
    }

    /// Whether this one is here and nobody was sent it.
    pub fn is_undelivered(&self, id: TaskId) -> bool {
        self.tasks.get(&id).is_some_and(|finished| !finished.delivered)
    }

    /// Those nobody was sent, in the order of their ids; from now on they count as sent.
    pub fn take_undelivered(&mut self) -> Vec<(TaskId, FinishedTask)> {
        let mut taken = Vec::new();
        for id in self.unsent.drain(..) {
            let Some(finished) = self.tasks.get_mut(&id) else { continue };
            finished.delivered = true;
            self.sent.push_back(id);
            taken.push((id, (**finished).clone()));
        }
        self.undelivered = RememberedLoad::default();
        taken.sort_unstable_by_key(|(id, _)| *id);
        taken
    }

    /// Forgets one that is in neither order any more.
    fn forget(&mut self, id: TaskId) {
        let Some(finished) = self.tasks.remove(&id) else {
            unreachable!("what is in an order is remembered")
        };
        let bytes = weight(&finished);
        self.load.take(bytes);
        if !finished.delivered {
            self.undelivered.take(bytes);
        }
        debug_assert_eq!(self.sent.len() + self.unsent.len(), self.tasks.len());
    }
}
