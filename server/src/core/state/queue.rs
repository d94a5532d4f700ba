//! Tasks that wait for somebody to do them: fair shares between accounts, and the earliest deadline first within one.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng 1996), counted in work units: each account has a virtual time, which
//! advances by what it is served, and whoever is behind goes next. An account that had nothing waiting starts from where
//! the one served last did: it saved nothing up, and owes nothing. So whatever one account asks for, another gets its
//! part, and what nobody else wants is anybody's.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use p2c2r_protocol::{KindId, Micros, NumberHash, TaskNo, WorkUnits};

use crate::core::fault::{self, Fault};
use crate::ledger::AccountId;

/// Entries of tasks that do not wait any more, and virtual times that say nothing any more, which are held before they are
/// swept.
const SLACK: usize = 1_024;
/// Empty orders whose memory is kept for the next account that has something waiting.
const SPARE_MAX: usize = 4;

type Order = BinaryHeap<Reverse<(Micros, TaskNo)>>;

/// The waiting tasks of one account and kind, the earliest deadline first; entries of tasks that moved on are skipped.
struct Line {
    account: AccountId,
    order: Order,
}

/// All waiting tasks.
#[derive(Default)]
pub struct TaskQueue {
    /// By kind, what waits of each account that may have anything waiting. Looked through for every task that is handed out: as
    /// many as there are gamers who wait at the same time, which are few or else have what to wait for.
    kinds: Vec<(KindId, Vec<Line>)>,
    entries: usize,
    /// Units served by account, for those ahead of `floor`; all others are at it.
    served: HashMap<AccountId, u64, NumberHash>,
    /// Where the account stood that was served last, before it was.
    floor: u64,
    spare: Vec<Order>,
}

impl TaskQueue {
    /// Whether nothing waits; entries of tasks that moved on count as waiting.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Kinds that have ever had a task waiting.
    pub fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Appends a task, due by then, behind those of its account that are due sooner. `open` tasks are in flight in all, and
    /// `waits` says of each entry whether it still waits.
    pub fn push(
        &mut self,
        (kind, account): (KindId, AccountId),
        (due, no): (Micros, TaskNo),
        open: usize,
        waits: impl Fn(TaskNo) -> bool,
    ) {
        // Entries of tasks that ended while they waited stay behind; they must not pile up while nobody takes.
        if self.entries > 2 * open + SLACK {
            self.sweep(waits);
        }
        let at = self.kinds.iter().position(|(id, _)| *id == kind).unwrap_or_else(|| {
            self.kinds.push((kind, Vec::new()));
            self.kinds.len() - 1
        });
        let lines = &mut self.kinds[at].1;
        let line = lines.iter().position(|line| line.account == account).unwrap_or_else(|| {
            lines.push(Line { account, order: self.spare.pop().unwrap_or_default() });
            lines.len() - 1
        });
        lines[line].order.push(Reverse((due, no)));
        self.entries += 1;
    }

    /// Takes out the next task of the kind at this place: of the account that was served least, the one with the earliest
    /// deadline.
    pub fn next(&mut self, at: usize, waits: impl Fn(TaskNo) -> bool) -> Option<TaskNo> {
        let (_, lines) = self.kinds.get_mut(at)?;
        let (served, floor) = (&self.served, self.floor);
        let stands = |line: &Line| served.get(&line.account).map_or(floor, |units| floor.max(*units));
        while let Some(line) = (0..lines.len()).min_by_key(|line| (stands(&lines[*line]), *line)) {
            while let Some(Reverse((_, no))) = lines[line].order.pop() {
                self.entries -= 1;
                if waits(no) {
                    return Some(no);
                }
            }
            let empty = lines.swap_remove(line);
            if self.spare.len() < SPARE_MAX {
                self.spare.push(empty.order);
            }
        }
        None
    }

    /// A task of this account was handed out.
    pub fn served(&mut self, account: AccountId, units: WorkUnits) {
        if fault::is_made(Fault::ServesTheFirst) {
            return;
        }
        let stood = self.served.get(&account).map_or(self.floor, |stood| self.floor.max(*stood));
        // Whoever was behind the others was served: nobody who comes now starts before that.
        self.floor = stood;
        self.served.insert(account, stood.saturating_add(units.0));
        if self.served.len() > SLACK {
            let floor = self.floor;
            self.served.retain(|_, units| *units > floor);
        }
        if self.served.len() > SLACK {
            // So many accounts are a little ahead: all start anew, which costs each at most what it was ahead or behind.
            self.floor = self.served.values().copied().max().unwrap_or(self.floor);
            self.served.clear();
        }
    }

    fn sweep(&mut self, waits: impl Fn(TaskNo) -> bool) {
        self.entries = 0;
        for (_, lines) in &mut self.kinds {
            lines.retain_mut(|line| {
                line.order.retain(|Reverse((_, no))| waits(*no));
                self.entries += line.order.len();
                !line.order.is_empty()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: KindId = KindId(1);

    fn push(queue: &mut TaskQueue, account: i64, due: u64, no: u64) {
        queue.push((KIND, AccountId(account)), (Micros(due), TaskNo(no)), usize::MAX / 4, |_| true);
    }

    /// The accounts of the next tasks, each of which is worth so many units; a task's number begins with its account's.
    fn accounts(queue: &mut TaskQueue, count: usize, units: impl Fn(i64) -> u64) -> Vec<i64> {
        let next = |queue: &mut TaskQueue| {
            let account = (queue.next(0, |_| true)?.0 / 1_000) as i64;
            queue.served(AccountId(account), WorkUnits(units(account)));
            Some(account)
        };
        (0..count).map_while(|_| next(queue)).collect()
    }

    #[test]
    fn accounts_get_equal_work_however_much_they_ask_for_and_of_what_size() {
        let mut queue = TaskQueue::default();
        (0..900).for_each(|n| push(&mut queue, 1, n, 1_000 + n));
        (0..300).for_each(|n| push(&mut queue, 2, 10_000 + n, 2_000 + n));
        let order = accounts(&mut queue, 200, |account| if account == 1 { 10 } else { 30 });
        let ones = order.iter().filter(|account| **account == 1).count();
        assert!((149..=151).contains(&ones), "three small ones to one large one: {ones}");
        let late = 3;
        push(&mut queue, late, 1 << 40, 3_000);
        push(&mut queue, late, 1 << 40, 3_001);
        let order = accounts(&mut queue, 12, |_| 30);
        assert!(order[..3].contains(&late), "who comes now goes soon: {order:?}");
        assert!(order[..6].contains(&1) && order[..6].contains(&2), "and has nothing saved up: {order:?}");
        assert_eq!(accounts(&mut queue, usize::MAX / 2, |_| 30).len(), 1_202 - 212, "all of them go");
        assert!(queue.is_empty());
    }

    #[test]
    fn within_an_account_the_earliest_deadline_goes_first_and_what_moved_on_is_skipped() {
        let mut queue = TaskQueue::default();
        for (due, no) in [(30, 1), (10, 2), (20, 3), (5, 4)] {
            push(&mut queue, 1, due, no);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.next(0, |no| no != TaskNo(4))).collect();
        assert_eq!(order, [TaskNo(2), TaskNo(3), TaskNo(1)]);
    }

    #[test]
    fn entries_of_tasks_that_ended_do_not_pile_up() {
        let mut queue = TaskQueue::default();
        for no in 0..100_000 {
            let waits = |other: TaskNo| other.0 + 10 > no;
            queue.push((KIND, AccountId(no as i64 % 50)), (Micros(no), TaskNo(no)), 10, waits);
            queue.served(AccountId(no as i64), WorkUnits(1));
        }
        assert!(queue.entries <= 20 + SLACK + 1 && queue.served.len() <= SLACK + 1);
    }
}
