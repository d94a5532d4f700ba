//! The queue of waiting tasks: fair shares between accounts over all kinds, and earliest deadline first within an
//! account.
//!
//! Tasks with a failed attempt are kept apart, because not every worker may do them: those that are passed over for want of a
//! worker go behind the others of their account once there are many, so that each is looked at in its turn, and they never
//! hold up tasks that nobody has tried.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng 1996), in work units: each account has a virtual time, which advances
//! by what it is served, and the account that is furthest behind goes next. An account that had nothing waiting starts
//! at the virtual time of the account served last: it has neither credit nor debt. So no account's load can take
//! another one's share, and unused capacity is free for all.
//!
//! Workers may offer different kinds, and then work of one kind takes nothing from accounts that wait for another. So
//! virtual times are kept per kind, and a served task counts in every kind that its worker offers: where all workers
//! offer all kinds, the virtual times agree; where they have no kind in common, they are independent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use p2c2r_protocol::{KindId, Micros, NumberHash, TaskNo, WorkUnits};

use crate::core::fault::{self, Fault};
use crate::ledger::AccountId;

/// Entries beyond twice the tasks in flight, and virtual times of one kind, that may accumulate before stale ones are swept.
const SLACK: usize = 1_024;
/// Empty heaps kept for reuse by the next account that has a task waiting.
const SPARE_MAX: usize = 4;

type Order = BinaryHeap<Reverse<(Micros, TaskNo)>>;

/// Where a task goes among the waiting tasks of its account and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueuePlace {
    /// By its deadline: any worker may do it.
    Untried,
    /// By its deadline, among those with a failed attempt.
    Retried,
    /// Behind those with a failed attempt, because it was just passed over.
    PassedOver,
}

/// The waiting tasks of one account and kind, the earliest deadline first; entries of tasks that moved on are skipped.
struct Line {
    account: AccountId,
    /// The account's virtual time, as in [`Shares`].
    served: u64,
    /// Tasks that nobody has tried.
    untried: Order,
    /// Tasks with a failed attempt, by round and deadline.
    retried: BinaryHeap<Reverse<(u64, Micros, TaskNo)>>,
    /// The round of `retried` that is being looked at. Those that are passed over go to the next.
    round: u64,
}

/// The task that goes next in a line: when it is due, its number, and whether it is one of those with a failed attempt.
type Front = (Micros, TaskNo, bool);

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
    /// The task that goes next; of those with a failed attempt only if `retried`.
    fn front(&self, retried: impl Fn() -> bool) -> Option<Front> {
        let untried = self.untried.peek().map(|Reverse((due, no))| (*due, *no, false));
        let Some(Reverse((_, due, no))) = self.retried.peek().filter(|_| retried()) else { return untried };
        let retried = (*due, *no, true);
        Some(untried.map_or(retried, |untried| untried.min(retried)))
    }

    fn push(&mut self, (due, no): (Micros, TaskNo), place: QueuePlace) {
        match place {
            QueuePlace::Untried => self.untried.push(Reverse((due, no))),
            QueuePlace::Retried => self.retried.push(Reverse((self.round, due, no))),
            QueuePlace::PassedOver => self.retried.push(Reverse((self.round + 1, due, no))),
        }
    }

    /// Takes out the front task.
    fn pop(&mut self, (.., is_retried): Front) -> Option<TaskNo> {
        if is_retried {
            let Reverse((round, _, no)) = self.retried.pop()?;
            self.round = round;
            Some(no)
        } else {
            self.untried.pop().map(|Reverse((_, no))| no)
        }
    }

    fn len(&self) -> usize {
        self.untried.len() + self.retried.len()
    }
}

impl KindLines {
    /// The line that goes first, with its front: the one with the smallest virtual time and, of several, with the earliest
    /// deadline. Tasks with a failed attempt are left out for accounts that are not `retried`.
    fn first(&self, retried: impl Fn(KindId, AccountId) -> bool) -> Option<(usize, &Line, Front)> {
        let lines = self.lines.iter().enumerate();
        let fronts =
            lines.filter_map(|(at, line)| Some((at, line, line.front(|| retried(self.kind, line.account))?)));
        fronts.min_by(|(_, line, front), (_, other, its)| {
            line.served.cmp(&other.served).then_with(|| front.cmp(its))
        })
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

    /// Queues a task of an account, given by its deadline and its number, in this `place`. `open` is the number of tasks in
    /// flight, and `waits` tells whether an entry's task still waits.
    pub fn push(
        &mut self,
        (kind, account): (KindId, AccountId),
        task: (Micros, TaskNo),
        place: QueuePlace,
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
            lines.push(Line { account, served, untried: order, retried: BinaryHeap::new(), round: 0 });
            lines.len() - 1
        });
        lines[line].push(task, place);
        self.entries += 1;
    }

    /// Takes out the next task of all kinds that are `open`: of the account that was served least, the one with the earliest
    /// deadline. Tasks with a failed attempt are left out for kinds and accounts that are not `retried`.
    pub fn next(
        &mut self,
        open: impl Fn(KindId) -> bool,
        retried: impl Fn(KindId, AccountId) -> bool,
        waits: impl Fn(TaskNo) -> bool,
    ) -> Option<TaskNo> {
        loop {
            // A stale entry is due no later than those behind it, so the front entry is the next task or is stale.
            let firsts =
                self.kinds.iter().enumerate().filter(|(_, of)| open(of.kind)).filter_map(|(kind, of)| {
                    let (at, line, front) = of.first(&retried)?;
                    Some((of.ahead(line), front, (kind, at)))
                });
            let (_, front, (kind, at)) = firsts.min_by_key(|(ahead, front, _)| (*ahead, *front))?;
            let lines = &mut self.kinds[kind].lines;
            let next = lines[at].pop(front);
            self.entries -= usize::from(next.is_some());
            if lines[at].len() == 0 {
                let empty = lines.swap_remove(at);
                if self.spare.len() < SPARE_MAX {
                    self.spare.push(empty.untried);
                }
            }
            if let Some(no) = next.filter(|no| waits(*no)) {
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
                line.untried.retain(|Reverse((_, no))| waits(*no));
                line.retried.retain(|Reverse((.., no))| waits(*no));
                self.entries += line.len();
                line.len() > 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: KindId = KindId(1);

    fn push(queue: &mut TaskQueue, account: i64, due: u64, no: u64) {
        queue.push(
            (KIND, AccountId(account)),
            (Micros(due), TaskNo(no)),
            QueuePlace::Untried,
            usize::MAX / 4,
            |_| true,
        );
    }

    /// The accounts of the next `count` tasks, which have `units` each; a task's number begins with its account's.
    fn accounts(queue: &mut TaskQueue, count: usize, units: impl Fn(i64) -> u64) -> Vec<i64> {
        let next = |queue: &mut TaskQueue| {
            let account = (queue.next(|_| true, |_, _| true, |_| true)?.0 / 1_000) as i64;
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
        let order: Vec<_> =
            std::iter::from_fn(|| queue.next(|_| true, |_, _| true, |no| no != TaskNo(4))).collect();
        assert_eq!(order, [TaskNo(2), TaskNo(3), TaskNo(1)]);
    }

    #[test]
    fn entries_of_tasks_that_ended_do_not_pile_up() {
        let mut queue = TaskQueue::default();
        for no in 0..100_000 {
            let waits = |other: TaskNo| other.0 + 10 > no;
            queue.push(
                (KIND, AccountId(no as i64 % 50)),
                (Micros(no), TaskNo(no)),
                QueuePlace::Untried,
                10,
                waits,
            );
            queue.served(AccountId(no as i64), WorkUnits(1), |_| true);
        }
        assert!(queue.entries <= 20 + SLACK + 1 && queue.kinds[0].shares.served.len() <= SLACK + 1);
    }

    /// Passes over tasks with a failed attempt, ten in each look, while untried ones are handed out.
    #[test]
    fn each_task_that_is_passed_over_is_looked_at_in_its_turn_and_holds_up_no_other() {
        let mut queue = TaskQueue::default();
        let of = (KIND, AccountId(1));
        let again = |queue: &mut TaskQueue, no: u64, place: QueuePlace| {
            queue.push(of, (Micros(no), TaskNo(no)), place, usize::MAX / 4, |_| true);
        };
        (0..100).for_each(|no| again(&mut queue, no, QueuePlace::Retried));
        (100..110).for_each(|no| again(&mut queue, no, QueuePlace::Untried));
        let mut seen = Vec::new();
        for look in 0..10 {
            let passed: Vec<_> = (0..10)
                .map(|_| queue.next(|_| true, |_, _| true, |_| true).unwrap())
                .inspect(|no| assert!(no.0 < 100, "earlier deadlines first"))
                .collect();
            let untried = queue.next(|_| true, |_, _| false, |_| true);
            assert_eq!(untried, Some(TaskNo(100 + look)));
            seen.extend(passed.iter().map(|no| no.0));
            for no in passed {
                again(&mut queue, no.0, QueuePlace::PassedOver);
            }
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert_eq!(queue.next(|_| true, |_, _| false, |_| true), None);
        again(&mut queue, 1_000, QueuePlace::Retried);
        let rest = std::iter::from_fn(|| queue.next(|_| true, |_, _| true, |_| true));
        assert_eq!(rest.map(|no| no.0).collect::<Vec<_>>(), [vec![1_000], (0..100).collect()].concat());
        assert!(queue.is_empty());
    }

    const OTHER: KindId = KindId(2);

    /// A queue with the given number of tasks of each kind and account; a task's number begins with its account's.
    fn waiting(of: &[(KindId, i64)]) -> TaskQueue {
        let mut queue = TaskQueue::default();
        for (at, (kind, account)) in of.iter().enumerate() {
            for n in 0..300 {
                let no = TaskNo(*account as u64 * 1_000 + at as u64 * 300 + n);
                queue.push(
                    (*kind, AccountId(*account)),
                    (Micros(no.0), no),
                    QueuePlace::Untried,
                    usize::MAX / 4,
                    |_| true,
                );
            }
        }
        queue
    }

    fn hand_out(queue: &mut TaskQueue, offers: &[KindId], units: u64) -> i64 {
        let account =
            (queue.next(|kind| offers.contains(&kind), |_, _| true, |_| true).unwrap().0 / 1_000) as i64;
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
                let next = queue.next(|_| true, |_, _| true, |_| true).unwrap();
                let account = (next.0 / 1_000) as i64;
                queue.served(AccountId(account), WorkUnits(if account == 1 { many } else { few }), |_| true);
                twos += u64::from(account == 2) * few;
            }
            assert!(twos >= 60 * few.min(many) / 3, "{twos} units of {few} and {many}");
        }
    }
}
