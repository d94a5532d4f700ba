//! What gamers' messages may do to tasks: admit and cancel them.

use p2c2r_protocol::{TaskId, TaskNo};
use smallvec::SmallVec;

use super::{NewTask, Task, TaskTable, enqueue};
use crate::core::state::budgets::Over;
use crate::core::state::queue::QueuePlace;
use crate::ledger::AccountId;

/// The table as gamers' messages see it.
pub struct GamerPort<'a>(pub(super) &'a mut TaskTable);

impl GamerPort<'_> {
    /// Whether the budgets have room for one more task of this account. `spec_bytes` counts the encoded spec.
    pub fn has_room(&self, account: AccountId, patient: bool, spec_bytes: usize) -> Result<(), Over> {
        self.0.load.may_add(account, patient, spec_bytes)
    }

    /// The task in flight that `account` calls `id`.
    pub fn find(&self, account: AccountId, id: TaskId) -> Option<(TaskNo, &Task)> {
        let no = *self.0.ids.get(&(account, id))?;
        Some((no, self.0.tasks.get(&no)?))
    }

    /// Admits a task under a number from [`GamerPort::number`], or under its number in the ledger, and queues it.
    pub fn admit(&mut self, no: TaskNo, new: NewTask) {
        debug_assert!(no.0 < self.0.next_no, "numbers are given out by the table or lie before its first");
        debug_assert!(!self.0.ids.contains_key(&(new.account, new.id)), "an id is in flight once");
        self.0.ids.insert((new.account, new.id), no);
        let task = Box::new(Task {
            id: new.id,
            account: new.account,
            gamer: new.gamer,
            kind: new.kind,
            job: new.job,
            spec: new.spec,
            blobs: new.blobs,
            key: new.key,
            units: new.units,
            price: new.price,
            received_at: new.received_at,
            deliver_by: new.deliver_by,
            in_books: no,
            shares: new.shares,
            follows: None,
            followers: Vec::new(),
            live: SmallVec::new(),
            computing: None,
            own_begun_before: 0,
            waits_for_own_kernel: false,
            hedge_at: None,
            begun: 0,
            attempts: new.attempts,
            tried: Vec::new(),
            failures: 0,
            timer: None,
            unwanted: false,
            own_kernel: None,
        });
        self.0.load.add(task.weighed());
        if new.follows.is_none() {
            self.0.leaders.add(no, &task);
            enqueue(&mut self.0.queue, &self.0.tasks, no, &task, QueuePlace::Untried);
        }
        self.0.tasks.insert(no, task);
        if let Some(following) = new.follows {
            self.0.follow(no, following);
        }
    }

    /// Cancels a task of which an answer is being judged.
    pub fn take_back(&mut self, no: TaskNo) {
        if let Some(task) = self.0.tasks.get_mut(&no) {
            task.unwanted = true;
        }
    }

    /// The next task's number.
    pub fn number(&mut self) -> TaskNo {
        let no = TaskNo(self.0.next_no);
        self.0.next_no += 1;
        no
    }
}
