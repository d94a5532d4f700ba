//! Budgets: the memory that open tasks may take and the processor time that admission may take, per account and in sum.
//! Both are estimated from sizes.
//!
//! A few greedy accounts cannot lock out the next one: an account may have a fixed minimum, and beyond it never more
//! than a stated fraction of what all others have left over.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::size_of;

use p2c2r_protocol::limits::{TASKS_MAX, TASKS_PER_GAMER_MAX};
use p2c2r_protocol::{Digest, Micros, NumberHash, SeededHash};
use p2c2r_tasks::{Blob, Blobs};

use crate::core::state::tasks::Task;
use crate::ledger::{AccountId, PATIENT_TASKS_MAX};

/// Patient tasks one account may have open; their specs and blobs stay in memory until a worker comes.
pub const PATIENT_TASKS_PER_ACCOUNT_MAX: usize = PATIENT_TASKS_MAX / PATIENT_SHARE;
/// Bytes that the open tasks of one account may take, the blobs they refer to included.
pub const OPEN_BYTES_PER_ACCOUNT_MAX: usize = OPEN_BYTES_MAX / BYTES_SHARE;
/// Bytes that all open tasks together may take.
pub const OPEN_BYTES_MAX: usize = 512 * 1024 * 1024;
/// An account gets at most `1 / TASKS_SHARE` of the task slots that the others have left over. With a smaller divisor
/// fewer accounts could fill the table; with a larger one a single gamer would be refused slots that nobody else wants.
const TASKS_SHARE: usize = TASKS_MAX / TASKS_PER_GAMER_MAX;
/// The same divisor for patient tasks.
const PATIENT_SHARE: usize = 8;
/// The same divisor for bytes.
const BYTES_SHARE: usize = 16;
/// What an account may have in any case, while the sum has room for it.
const LEAST: OpenTasks = OpenTasks { tasks: 32, patient: 16, bytes: 4 * 1024 * 1024 };
/// Memory per encoded byte of a spec: the spec is kept encoded, for workers, and decoded, where a one-byte number
/// becomes four or eight bytes.
const SPEC_FACTOR: usize = 6;
/// Bytes that a task takes besides its spec: the struct itself and its entries in maps and queues.
const TASK_BYTES: usize = size_of::<Task>() + 256;

/// Number and size of a set of open tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenTasks {
    /// Number of tasks.
    pub tasks: usize,
    /// Number of patient tasks among them.
    pub patient: usize,
    /// Bytes they take, the blobs they refer to included.
    pub bytes: usize,
}

/// Which budget an account's next task would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The account's own.
    Account {
        /// Tasks it may have open, counting the sort (timely or patient) that is over the limit.
        max: usize,
    },
    /// That of all together.
    Sum,
}

/// The properties of a task that count towards the budgets.
#[derive(Clone, Copy)]
pub struct Weighed<'a> {
    /// The account that pays.
    pub account: AccountId,
    /// Whether it has no deadline.
    pub patient: bool,
    /// Bytes of its encoded spec.
    pub spec_bytes: usize,
    /// The blobs it refers to.
    pub blobs: &'a Blobs,
}

impl Weighed<'_> {
    fn bytes(&self) -> usize {
        TASK_BYTES + SPEC_FACTOR * self.spec_bytes
    }
}

/// Bytes that a blob takes in memory.
fn blob_bytes(blob: &Blob) -> usize {
    blob.bytes().len() + size_of::<Blob>()
}

/// Number and size of all open tasks, by account and in sum.
#[derive(Default)]
pub struct OpenLoad {
    accounts: HashMap<AccountId, OpenTasks, NumberHash>,
    /// Blobs that each account's open tasks hold on to, with the number of those tasks. A blob of two accounts counts
    /// for both.
    blobs: HashMap<(AccountId, Digest), Held, SeededHash>,
    sum: OpenTasks,
}

struct Held {
    tasks: u32,
    bytes: usize,
}

impl OpenLoad {
    /// All open tasks.
    pub fn sum(&self) -> OpenTasks {
        self.sum
    }

    /// Those of one account.
    pub fn of(&self, account: AccountId) -> OpenTasks {
        self.accounts.get(&account).copied().unwrap_or_default()
    }

    /// Whether the account may have one more task. To be asked before the spec is decoded, so blobs are not counted
    /// yet: [`Self::add`] counts them.
    pub fn may_add(&self, account: AccountId, patient: bool, spec_bytes: usize) -> Result<(), Over> {
        let (own, sum) = (self.of(account), self.sum);
        let bytes = TASK_BYTES + SPEC_FACTOR * spec_bytes;
        if sum.tasks >= TASKS_MAX
            || sum.bytes + bytes > OPEN_BYTES_MAX
            || patient && sum.patient >= PATIENT_TASKS_MAX
        {
            return Err(Over::Sum);
        }
        let tasks_max = share(TASKS_MAX - (sum.tasks - own.tasks), TASKS_SHARE, LEAST.tasks);
        if own.tasks >= tasks_max {
            return Err(Over::Account { max: tasks_max });
        }
        let patient_left = PATIENT_TASKS_MAX.saturating_sub(sum.patient - own.patient);
        let patient_max = share(patient_left, PATIENT_SHARE, LEAST.patient);
        if patient && own.patient >= patient_max {
            return Err(Over::Account { max: patient_max });
        }
        let bytes_max = share(OPEN_BYTES_MAX.saturating_sub(sum.bytes - own.bytes), BYTES_SHARE, LEAST.bytes);
        if own.bytes + bytes > bytes_max { Err(Over::Account { max: own.tasks }) } else { Ok(()) }
    }

    /// A task is open from now on.
    pub fn add(&mut self, task: Weighed<'_>) {
        let mut bytes = task.bytes();
        for blob in task.blobs.iter() {
            match self.blobs.entry((task.account, blob.digest())) {
                Entry::Occupied(mut held) => held.get_mut().tasks += 1,
                Entry::Vacant(free) => {
                    let held = Held { tasks: 1, bytes: blob_bytes(blob) };
                    bytes += held.bytes;
                    free.insert(held);
                }
            }
        }
        let own = self.accounts.entry(task.account).or_default();
        for load in [own, &mut self.sum] {
            load.tasks += 1;
            load.patient += usize::from(task.patient);
            load.bytes += bytes;
        }
    }

    /// A task that was added is over.
    pub fn remove(&mut self, task: Weighed<'_>) {
        let mut bytes = task.bytes();
        for blob in task.blobs.iter() {
            if let Entry::Occupied(mut held) = self.blobs.entry((task.account, blob.digest())) {
                held.get_mut().tasks -= 1;
                if held.get().tasks == 0 {
                    bytes += held.remove().bytes;
                }
            }
        }
        let Entry::Occupied(mut own) = self.accounts.entry(task.account) else {
            unreachable!("what is removed was added");
        };
        for load in [own.get_mut(), &mut self.sum] {
            assert!(load.tasks > 0 && load.bytes >= bytes, "what is removed was added");
            load.tasks -= 1;
            load.patient -= usize::from(task.patient);
            load.bytes -= bytes;
        }
        if own.get().tasks == 0 {
            assert_eq!(*own.get(), OpenTasks::default(), "nothing is left of no task");
            own.remove();
        }
    }
}

/// The most that an account may have where the other accounts have left over `left`.
fn share(left: usize, parts: usize, least: usize) -> usize {
    (left / parts).max(least).min(left)
}

/// A rate limit on processor time, in nanoseconds of work that are estimated from sizes, never measured.
///
/// The generic cell rate algorithm (ITU-T I.371): its only state is the moment until which all work so far is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkBudget {
    paid_until_ns: u64,
}

/// Rate and burst of a [`WorkBudget`].
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Seconds that must pass for each second of work.
    pub every: u64,
    /// Burst: nanoseconds of unpaid work beyond which no more work may begin.
    pub at_once_ns: u64,
}

impl WorkBudget {
    /// Whether work may be begun.
    pub fn may_begin(&self, now: Micros, allowance: Allowance) -> bool {
        let owed = self.paid_until_ns.saturating_sub(now.0.saturating_mul(1_000));
        owed <= allowance.at_once_ns.saturating_mul(allowance.every)
    }

    /// Spends `work_ns` nanoseconds of the budget.
    pub fn spend(&mut self, now: Micros, work_ns: u64, allowance: Allowance) {
        let from = self.paid_until_ns.max(now.0.saturating_mul(1_000));
        self.paid_until_ns = from.saturating_add(work_ns.saturating_mul(allowance.every));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(account: i64, blobs: &Blobs) -> Weighed<'_> {
        Weighed { account: AccountId(account), patient: false, spec_bytes: 100, blobs }
    }

    #[test]
    fn what_is_added_and_removed_in_any_order_leaves_nothing() {
        let blob = |byte: u8| Blob::new(vec![byte; 1_000]);
        let (one, other) = (blob(1), blob(2));
        let both = Blobs::new(vec![one.clone(), other]);
        let first = Blobs::new(vec![one]);
        let mut load = OpenLoad::default();
        for (account, blobs) in [(1, &both), (1, &first), (2, &first), (1, &both)] {
            load.add(task(account, blobs));
        }
        let (own, alone) = (load.of(AccountId(1)), load.of(AccountId(2)));
        assert_eq!((own.tasks, alone.tasks, load.sum().tasks), (3, 1, 4));
        assert_eq!(load.sum().bytes, own.bytes + alone.bytes);
        let blobs = |load: OpenTasks| load.bytes - load.tasks * (TASK_BYTES + SPEC_FACTOR * 100);
        assert_eq!(blobs(own), 2 * blobs(alone), "each blob counts once for an account");
        for (account, blobs) in [(1, &both), (2, &first), (1, &first), (1, &both)] {
            load.remove(task(account, blobs));
        }
        assert_eq!(load.sum(), OpenTasks::default());
        assert!(load.accounts.is_empty() && load.blobs.is_empty());
    }

    /// Accounts that take all they can get: each of the first thirty gets something, none more than its share, and the
    /// sum holds however many there are.
    #[test]
    fn greedy_accounts_cannot_lock_out_the_next_one() {
        for patient in [false, true] {
            let (mut load, none) = (OpenLoad::default(), Blobs::default());
            let spec_bytes = 8_000;
            let mut got = Vec::new();
            for account in 0..200 {
                let account = AccountId(account);
                while load.may_add(account, patient, spec_bytes).is_ok() {
                    load.add(Weighed { account, patient, spec_bytes, blobs: &none });
                }
                got.push(load.of(account));
            }
            let sum = load.sum();
            assert!(
                sum.bytes <= OPEN_BYTES_MAX && sum.tasks <= TASKS_MAX && sum.patient <= PATIENT_TASKS_MAX
            );
            assert!(got[..30].iter().all(|own| own.tasks >= LEAST.patient), "{got:?}");
            assert!(got[0].tasks <= TASKS_PER_GAMER_MAX && got[0].bytes <= OPEN_BYTES_PER_ACCOUNT_MAX);
        }
    }

    #[test]
    fn work_is_paid_off_at_its_share_of_time() {
        let allowance = Allowance { every: 10, at_once_ns: 1_000_000 };
        let mut budget = WorkBudget::default();
        let mut now = Micros(5);
        let mut spent = 0;
        while budget.may_begin(now, allowance) {
            budget.spend(now, 300_000, allowance);
            spent += 1;
        }
        assert_eq!(spent, 4, "what is begun within a millisecond is done");
        now.0 += 1_999;
        assert!(!budget.may_begin(now, allowance));
        now.0 += 1;
        assert!(budget.may_begin(now, allowance), "0.2 ms too much, paid off in 2 ms");
        budget.spend(now, u64::MAX, allowance);
        assert!(!budget.may_begin(Micros(1 << 40), allowance), "without an overflow");
    }
}
