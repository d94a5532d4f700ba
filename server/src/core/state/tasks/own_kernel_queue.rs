//! The queue of tasks that wait for a thread to run the own kernel: fair shares between accounts and earliest deadlines
//! first, as for workers. It also says how many tasks one more would wait behind.

use std::collections::HashMap;

use p2c2r_protocol::{KindId, Micros, NumberHash, TaskNo, WorkUnits};

use crate::core::state::queue::{QueuePlace, TaskQueue};
use crate::ledger::AccountId;

/// Tasks that wait for the own kernel.
#[derive(Default)]
pub(super) struct OwnKernelQueue {
    queue: TaskQueue,
    /// Waiting tasks by account; accounts without any have no entry.
    waiting: HashMap<AccountId, usize, NumberHash>,
    sum: usize,
}

impl OwnKernelQueue {
    /// Queues a task of an account; parameters as in [`TaskQueue::push`].
    pub fn push(
        &mut self,
        (kind, account): (KindId, AccountId),
        task: (Micros, TaskNo),
        open: usize,
        waits: impl Fn(TaskNo) -> bool,
    ) {
        self.queue.push((kind, account), task, QueuePlace::Untried, open, waits);
        *self.waiting.entry(account).or_default() += 1;
        self.sum += 1;
    }

    /// The task that runs next. The caller must call [`OwnKernelQueue::left`] for it.
    pub fn next(&mut self, waits: impl Fn(TaskNo) -> bool) -> Option<TaskNo> {
        self.queue.next(|_| true, |_, _| true, waits)
    }

    /// Charges the account's fair share for a task that the own kernel begins.
    pub fn served(&mut self, account: AccountId, units: WorkUnits) {
        self.queue.served(account, units, |_| true);
    }

    /// Stops counting a task of this account, if it `waited`.
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

    /// Whether `waiting` has the same counts; for the invariants.
    pub fn is_counted(&self, waiting: &HashMap<AccountId, usize, NumberHash>) -> bool {
        self.waiting == *waiting && self.sum == waiting.values().sum::<usize>()
    }

    /// Waiting tasks that would run before one more of this account, since accounts take turns.
    pub fn before(&self, account: AccountId) -> usize {
        let own = self.waiting.get(&account).copied().unwrap_or_default();
        let others = self.waiting.len() - usize::from(own > 0);
        self.sum.min(own + (own + 1) * others)
    }
}
