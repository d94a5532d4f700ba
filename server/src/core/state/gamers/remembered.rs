//! Remembered finished tasks: delivered ones, to answer a repeated submit, and undelivered ones, until their gamer is
//! back.
//!
//! Each counts with its size in memory. Both sorts are bounded per account and over all accounts
//! ([`super::Gamers::remember`]). A dropped task stays charged, because it was computed, and its id stays spent.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::mem::size_of;

use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;
use p2c2r_protocol::limits::{OUTCOME_BYTES_MAX, TASKS_PER_GAMER_MAX};
use p2c2r_protocol::{ComputedBy, SeededHash, TaskId};

use super::FinishedTask;
use crate::core::fault;
use crate::ledger::AccountId;

/// Finished tasks remembered per account, to answer a repeated submit again.
const RECENT_MAX: usize = 256;
/// Bytes of finished tasks remembered per account for the same purpose.
const RECENT_BYTES_MAX: usize = 1024 * 1024;
/// Undelivered tasks kept per account. Equal to the most tasks in flight, since a disconnected gamer adds no more.
const UNDELIVERED_MAX: usize = TASKS_PER_GAMER_MAX;
/// Bytes of undelivered tasks per account. All are sent at once when the gamer is back; more would overflow its
/// channel, which disconnects it.
const UNDELIVERED_BYTES_MAX: usize = CHANNEL_MEMORY_BYTES_MAX / 4 * 3;
/// Bytes that one task takes besides its outcome and its worker's name: the struct, its map and queue entries, and the
/// allocator's overhead for two blocks.
const OVERHEAD_BYTES: usize = size_of::<FinishedTask>() + 3 * size_of::<TaskId>() + 64;

const _: () = assert!(UNDELIVERED_BYTES_MAX > 8 * (OUTCOME_BYTES_MAX + OVERHEAD_BYTES));

/// What one finished task takes in memory, in bytes. Its worker's name counts in full, although tasks share it.
pub(super) fn weight(finished: &FinishedTask) -> usize {
    let name = match &finished.receipt.computed_by {
        ComputedBy::Worker(name) | ComputedBy::Cache(Some(name)) => name.len(),
        ComputedBy::Coordinator | ComputedBy::Cache(None) => 0,
    };
    OVERHEAD_BYTES + finished.outcome.len() + name
}

/// The finished tasks of one account.
#[derive(Default)]
pub(super) struct Remembered {
    /// Boxed: a finished task is some hundred bytes, and growing the map must not move them.
    tasks: HashMap<TaskId, Box<FinishedTask>, SeededHash>,
    /// Delivered ones, the oldest first.
    sent: VecDeque<TaskId>,
    /// Undelivered ones, the oldest first.
    unsent: VecDeque<TaskId>,
    /// Those whose outcome was withdrawn before anybody was sent it, the oldest first.
    withdrawn: VecDeque<TaskId>,
    /// Number and bytes of all tasks except the withdrawn ones.
    load: RememberedLoad,
    /// Number and bytes of the undelivered ones.
    undelivered: RememberedLoad,
}

/// Number and bytes of remembered tasks.
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

    /// Number and bytes of all tasks except the withdrawn ones.
    pub fn load(&self) -> RememberedLoad {
        self.load
    }

    /// Number and bytes of the undelivered ones.
    pub fn undelivered(&self) -> RememberedLoad {
        self.undelivered
    }

    /// Adds a task and drops the oldest of the same sort, delivered or undelivered, until they fit their bounds.
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

    /// Drops the oldest delivered task; false if there is none.
    pub fn drop_oldest_delivered(&mut self) -> bool {
        let Some(oldest) = self.sent.pop_front() else { return false };
        self.forget(oldest);
        true
    }

    /// Drops an undelivered task. Does nothing if it has been delivered or dropped.
    pub fn drop_undelivered(&mut self, id: TaskId) {
        // Usually the oldest, so the search ends at the first element.
        if let Some(at) = self.unsent.iter().position(|other| *other == id) {
            self.unsent.remove(at);
            self.forget(id);
        }
    }

    /// Drops the undelivered tasks with an outcome of this worker, and remembers their ids alone.
    pub fn withdraw(&mut self, maker: AccountId) {
        let is_its = |id: &TaskId| self.tasks.get(id).is_some_and(|finished| finished.maker == Some(maker));
        let its: Vec<TaskId> = self.unsent.iter().copied().filter(is_its).collect();
        for id in its {
            self.drop_undelivered(id);
            self.withdrawn.push_back(id);
        }
        while self.withdrawn.len() > UNDELIVERED_MAX {
            self.withdrawn.pop_front();
        }
    }

    /// The ids of the withdrawn tasks; from now on they are forgotten.
    pub fn take_withdrawn(&mut self) -> Vec<TaskId> {
        self.withdrawn.drain(..).collect()
    }

    /// Whether this task is remembered and undelivered.
    pub fn is_undelivered(&self, id: TaskId) -> bool {
        self.tasks.get(&id).is_some_and(|finished| !finished.delivered)
    }

    /// The undelivered tasks in the order of their ids; from now on they count as delivered.
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

    /// Removes a task that is in neither queue.
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
