//! The queue of waiting tasks: fair shares between accounts over all kinds, and earliest deadline first within an
//! account.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng 1996), in work units: each account has a virtual time, which advances
//! by what it is served, and the account that is furthest behind goes next. An account that had nothing waiting starts
//! at the virtual time of the account served last: it has neither credit nor debt. So no account's load can take
//! another one's share, and unused capacity is free for all.
//!
//! Workers may offer different kinds, and then work of one kind takes nothing from accounts that wait for another. So
//! virtual times are kept per kind, and a served task counts in every kind that its worker offers: where all workers
//! offer all kinds, the virtual times agree; where they have no kind in common, they are independent.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use p2c2r_protocol::{KindId, Micros, NumberHash, TaskNo, WorkUnits};

use crate::core::fault::{self, Fault};
use crate::ledger::AccountId;

/// Entries beyond twice the tasks in flight, and virtual times of one kind, that may accumulate before stale ones are swept.
const SLACK: usize = 1_024;
/// Empty heaps kept for reuse by the next account that has a task waiting.
const SPARE_MAX: usize = 4;

type Order = BinaryHeap<Reverse<(Micros, TaskNo)>>;

/// The waiting tasks of one account and kind, the earliest deadline first; entries of tasks that moved on are skipped.
struct Line {
    account: AccountId,
    /// The account's virtual time, as in [`Shares`].
    served: u64,
    order: Order,
}

/// The waiting tasks of one kind.
struct KindLines {
    kind: KindId,
    /// One per account that may have tasks waiting. Searched linearly for every assignment: few accounts wait at the
    /// same time, and where many do, the search is short compared with their wait.
    lines: Vec<Line>,
    shares: Shares,
}

/// Virtual times of accounts.
#[derive(Default)]
struct Shares {
    /// Virtual times of accounts ahead of `floor`; all others are at `floor`.
    served: HashMap<AccountId, u64, NumberHash>,
    /// Virtual time of the account that was served last, before it was served.
    floor: u64,
}

impl Shares {
    fn served(&self, account: AccountId) -> u64 {
        self.served.get(&account).copied().unwrap_or(self.floor)
    }

    /// Advances the account's virtual time by `units` and returns it.
    fn serve(&mut self, account: AccountId, units: WorkUnits) -> u64 {
        // The account that was furthest behind was served: newcomers start no earlier than it did.
        self.floor = self.floor.max(self.served(account));
        let served = self.floor.saturating_add(units.0);
        self.served.insert(account, served);
        if self.served.len() > SLACK {
            let floor = self.floor;
            self.served.retain(|_, units| *units > floor);
        }
        if self.served.len() > SLACK {
            // Too many accounts are slightly ahead: all are reset to the largest virtual time, which costs each at most
            // its lead or lag.
            self.floor = self.served.values().copied().max().unwrap_or(self.floor);
            self.served.clear();
        }
        served
    }
}

impl Line {
    /// Breaks ties between equal virtual times: the earlier deadline goes first.
    fn due_before(&self, other: &Self) -> Ordering {
        other.order.peek().cmp(&self.order.peek())
    }
}

impl KindLines {
    /// The line that goes first among accounts that are `open`: the one with the smallest virtual time.
    fn first(&self, open: impl Fn(KindId, AccountId) -> bool) -> Option<(usize, &Line)> {
        let least =
            |line: &Line, other: &Line| line.served.cmp(&other.served).then_with(|| line.due_before(other));
        let lines = self.lines.iter().enumerate().filter(|(_, line)| open(self.kind, line.account));
        lines.min_by(|(_, line), (_, other)| least(line, other))
    }

    /// The lead of a line's account over `floor`, which is comparable between kinds.
    fn ahead(&self, line: &Line) -> i64 {
        line.served.wrapping_sub(self.shares.floor).cast_signed()
    }
}

/// All waiting tasks.
#[derive(Default)]
pub struct TaskQueue {
    /// By kind, in the order in which each had its first task waiting.
    kinds: Vec<KindLines>,
    entries: usize,
    spare: Vec<Order>,
}

impl TaskQueue {
    /// Whether the queue is empty; stale entries count as waiting.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Queues a task of an account by its deadline `due`. `open` is the number of tasks in flight, and `waits` tells
    /// whether an entry's task still waits.
    pub fn push(
        &mut self,
        (kind, account): (KindId, AccountId),
        (due, no): (Micros, TaskNo),
        open: usize,
        waits: impl Fn(TaskNo) -> bool,
    ) {
        // Tasks that ended while they waited leave stale entries, which must not accumulate while no worker takes any.
        if self.entries > 2 * open + SLACK {
            self.sweep(waits);
        }
        let at = self.kinds.iter().position(|of| of.kind == kind).unwrap_or_else(|| {
            self.kinds.push(KindLines { kind, lines: Vec::new(), shares: Shares::default() });
            self.kinds.len() - 1
        });
        let KindLines { lines, shares, .. } = &mut self.kinds[at];
        let line = lines.iter().position(|line| line.account == account).unwrap_or_else(|| {
            let (served, order) = (shares.served(account), self.spare.pop().unwrap_or_default());
            lines.push(Line { account, served, order });
            lines.len() - 1
        });
        lines[line].order.push(Reverse((due, no)));
        self.entries += 1;
    }

    /// Takes out the next task of all kinds and accounts that are `open`: of the account that was served least, the one with
    /// the earliest deadline.
    pub fn next(
        &mut self,
        open: impl Fn(KindId, AccountId) -> bool,
        waits: impl Fn(TaskNo) -> bool,
    ) -> Option<TaskNo> {
        loop {
            // A stale entry is due no later than those behind it, so the front entry is the next task or is stale.
            let firsts = self.kinds.iter().enumerate().filter_map(|(kind, of)| {
                let (at, line) = of.first(&open)?;
                Some((of.ahead(line), line, (kind, at)))
            });
            let (.., (kind, at)) = firsts.min_by(|(ahead, line, _), (others, other, _)| {
                ahead.cmp(others).then_with(|| line.due_before(other))
            })?;
            let lines = &mut self.kinds[kind].lines;
            let next = lines[at].order.pop();
            self.entries -= usize::from(next.is_some());
            if lines[at].order.is_empty() {
                let empty = lines.swap_remove(at);
                if self.spare.len() < SPARE_MAX {
                    self.spare.push(empty.order);
                }
            }
            if let Some(Reverse((_, no))) = next.filter(|Reverse((_, no))| waits(*no)) {
                return Some(no);
            }
        }
    }

    /// Counts a task of this account as served, in every kind that its worker `offers`.
    pub fn served(&mut self, account: AccountId, units: WorkUnits, offers: impl Fn(KindId) -> bool) {
        if fault::is_made(Fault::ServesTheFirst) {
            return;
        }
        for KindLines { lines, shares, .. } in self.kinds.iter_mut().filter(|of| offers(of.kind)) {
            let served = shares.serve(account, units);
            if let Some(line) = lines.iter_mut().find(|line| line.account == account) {
                line.served = served;
            }
        }
    }

    fn sweep(&mut self, waits: impl Fn(TaskNo) -> bool) {
        self.entries = 0;
        for KindLines { lines, .. } in &mut self.kinds {
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

    /// The accounts of the next `count` tasks, which have `units` each; a task's number begins with its account's.
    fn accounts(queue: &mut TaskQueue, count: usize, units: impl Fn(i64) -> u64) -> Vec<i64> {
        let next = |queue: &mut TaskQueue| {
            let account = (queue.next(|_, _| true, |_| true)?.0 / 1_000) as i64;
            queue.served(AccountId(account), WorkUnits(units(account)), |_| true);
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
        let order: Vec<_> = std::iter::from_fn(|| queue.next(|_, _| true, |no| no != TaskNo(4))).collect();
        assert_eq!(order, [TaskNo(2), TaskNo(3), TaskNo(1)]);
    }

    #[test]
    fn entries_of_tasks_that_ended_do_not_pile_up() {
        let mut queue = TaskQueue::default();
        for no in 0..100_000 {
            let waits = |other: TaskNo| other.0 + 10 > no;
            queue.push((KIND, AccountId(no as i64 % 50)), (Micros(no), TaskNo(no)), 10, waits);
            queue.served(AccountId(no as i64), WorkUnits(1), |_| true);
        }
        assert!(queue.entries <= 20 + SLACK + 1 && queue.kinds[0].shares.served.len() <= SLACK + 1);
    }

    const OTHER: KindId = KindId(2);

    /// A queue with the given number of tasks of each kind and account; a task's number begins with its account's.
    fn waiting(of: &[(KindId, i64)]) -> TaskQueue {
        let mut queue = TaskQueue::default();
        for (at, (kind, account)) in of.iter().enumerate() {
            for n in 0..300 {
                let no = TaskNo(*account as u64 * 1_000 + at as u64 * 300 + n);
                queue.push((*kind, AccountId(*account)), (Micros(no.0), no), usize::MAX / 4, |_| true);
            }
        }
        queue
    }

    fn hand_out(queue: &mut TaskQueue, offers: &[KindId], units: u64) -> i64 {
        let account = (queue.next(|kind, _| offers.contains(&kind), |_| true).unwrap().0 / 1_000) as i64;
        queue.served(AccountId(account), WorkUnits(units), |kind| offers.contains(&kind));
        account
    }

    #[test]
    fn shares_are_equal_over_all_kinds_where_workers_do_them_all() {
        let mut queue = waiting(&[(KIND, 1), (OTHER, 1), (OTHER, 2)]);
        let ones = (0..200).filter(|_| hand_out(&mut queue, &[KIND, OTHER], 10) == 1).count();
        assert_eq!(ones, 100);
    }

    #[test]
    fn what_one_is_served_by_workers_of_its_own_is_not_held_against_it() {
        let mut queue = waiting(&[(KIND, 1), (OTHER, 1), (OTHER, 2)]);
        let mut ones = 0;
        for _ in 0..60 {
            // Four tasks of a kind that nobody else wants, by workers that do nothing else.
            (0..4).for_each(|_| assert_eq!(hand_out(&mut queue, &[KIND], 10), 1));
            ones += usize::from(hand_out(&mut queue, &[OTHER], 10) == 1);
        }
        assert_eq!(ones, 30);
    }

    #[test]
    fn whoever_waits_for_the_few_who_do_a_kind_gets_their_part_beside_one_whom_many_serve() {
        for (few, many) in [(10, 30), (30, 10)] {
            let mut queue = waiting(&[(KIND, 1), (OTHER, 2)]);
            let mut twos = 0;
            for _ in 0..60 {
                (0..3).for_each(|_| assert_eq!(hand_out(&mut queue, &[KIND], many), 1));
                let next = queue.next(|_, _| true, |_| true).unwrap();
                let account = (next.0 / 1_000) as i64;
                queue.served(AccountId(account), WorkUnits(if account == 1 { many } else { few }), |_| true);
                twos += u64::from(account == 2) * few;
            }
            assert!(twos >= 60 * few.min(many) / 3, "{twos} units of {few} and {many}");
        }
    }
}
