//! Tasks that wait for a thread to run the own kernel: fair shares and earliest deadlines, as for workers, and how long one
//! more would wait.

use std::collections::HashMap;

use p2c2r_protocol::{KindId, Micros, NumberHash, TaskNo, WorkUnits};

use crate::core::state::queue::TaskQueue;
use crate::ledger::AccountId;

/// Tasks that wait for the own kernel.
#[derive(Default)]
pub(super) struct OwnKernelQueue {
    queue: TaskQueue,
    /// How many wait of each account that has any waiting.
    waiting: HashMap<AccountId, usize, NumberHash>,
    sum: usize,
}

impl OwnKernelQueue {
    /// A task waits from now on, due by then. `open` tasks are in flight in all, and `waits` says of each entry whether it still
    /// waits.
    pub fn push(
        &mut self,
        (kind, account): (KindId, AccountId),
        (due, no): (Micros, TaskNo),
        open: usize,
        waits: impl Fn(TaskNo) -> bool,
    ) {
        self.queue.push((kind, account), (due, no), open, waits);
        *self.waiting.entry(account).or_default() += 1;
        self.sum += 1;
    }

    /// The task that goes next. [`OwnKernelQueue::left`] must follow.
    pub fn next(&mut self, waits: impl Fn(TaskNo) -> bool) -> Option<TaskNo> {
        self.queue.next(|_, _| true, waits)
    }

    /// A task of this account is done by the own kernel from now on.
    pub fn served(&mut self, account: AccountId, units: WorkUnits) {
        self.queue.served(account, units, |_| true);
    }

    /// A task of this account does not wait any more, if it did.
    pub fn left(&mut self, account: AccountId, waited: bool) {
        if !waited {
            return;
        }
        self.sum -= 1;
        if let Some(waiting) = self.waiting.get_mut(&account) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&account);
            }
        }
    }

    /// Whether so many wait of each account.
    pub fn is_counted(&self, waiting: &HashMap<AccountId, usize, NumberHash>) -> bool {
        self.waiting == *waiting && self.sum == waiting.values().sum::<usize>()
    }

    /// Tasks that would be done before one more of this account: accounts take turns, as long as they have any.
    pub fn before(&self, account: AccountId) -> usize {
        let own = self.waiting.get(&account).copied().unwrap_or_default();
        let others = self.waiting.len() - usize::from(own > 0);
        self.sum.min(own + (own + 1) * others)
    }
}
