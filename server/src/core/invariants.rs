//! Invariants that hold between two events. Cheap sums are asserted in every build. In debug builds the whole state is
//! also checked against the tasks, once in many events, because that visits every task.

use std::collections::HashMap;

use p2c2r_protocol::{Nanos, PeerId, TaskNo};

use super::Core;
use super::state::tasks::{LIVE_MAX, Task};

/// Tasks, accounts and workers visited per event, on average; more would make debug builds too slow.
#[cfg(debug_assertions)]
const LOOKED_AT_PER_EVENT: usize = 64;

impl Core {
    pub(super) fn check_invariants(&mut self) {
        if super::fault::is_any_made() {
            return;
        }
        let units = self.hedging.units();
        assert!(self.hedging.is_within_budget(), "second attempts are within their budget: {units:?}");
        #[cfg(debug_assertions)]
        {
            // Visiting everything after every event would make a burst of events quadratic.
            let looked_at = self.tasks.len() + self.gamers.accounts().len() + self.workers.len();
            self.events += 1;
            if self.events.is_multiple_of((looked_at / LOOKED_AT_PER_EVENT) as u64 + 1) {
                self.assert_whole_state();
            }
        }
    }

    /// Recomputes from the tasks in flight what the other parts of the state must hold about them, and compares.
    ///
    /// # Panics
    /// If they differ: the state is then wrong, and the ledger would record wrong charges.
    pub fn assert_whole_state(&self) {
        let mut held: HashMap<_, (Nanos, usize)> = HashMap::new();
        let mut out: HashMap<PeerId, usize> = HashMap::new();
        for (no, task) in self.tasks.iter() {
            let sums = held.entry(task.account).or_default();
            *sums = (sums.0 + task.price, sums.1 + 1);
            self.assert_task(no, task, &mut out);
        }
        for (account, mirror) in self.gamers.accounts() {
            let (price, tasks) = held.remove(&account).unwrap_or_default();
            assert_eq!(mirror.held(), price, "{account} holds the prices of its open tasks");
            assert_eq!(mirror.tasks.len(), tasks, "{account} knows its open tasks");
        }
        assert!(held.is_empty(), "every open task has an account that pays: {held:?}");
        self.tasks.assert_following();
        self.tasks.assert_own_kernel_queue();
        self.workers.assert_places();
        for (peer, worker) in self.workers.iter() {
            let tasks = out.remove(&peer).unwrap_or_default();
            assert_eq!(worker.tasks.len(), tasks, "{peer:?} has the tasks it was leased");
        }
        assert!(out.is_empty(), "every lease has a worker: {out:?}");
    }

    fn assert_task(&self, no: TaskNo, task: &Task, out: &mut HashMap<PeerId, usize>) {
        let live = task.live();
        assert!(live.len() <= LIVE_MAX, "task {} has {} attempts", no.0, live.len());
        assert!(live.is_empty() || task.computing_since().is_none(), "task {} is done twice", no.0);
        for (at, one) in live.iter().enumerate() {
            let mut before = live[..at].iter();
            assert!(
                before.all(|other| other.account != one.account && other.attempt < one.attempt),
                "attempts at one task are of different accounts and numbered upwards: task {}",
                no.0
            );
            if one.answered_at.is_some() {
                continue;
            }
            assert!(task.timer().is_some_and(|at| at <= one.until), "a lease has an end: task {}", no.0);
            let worker = self.workers.get(one.worker);
            assert!(
                worker.is_some_and(|worker| worker.tasks.contains(&no) && worker.busy),
                "a lease is known to its worker, who is watched: task {}",
                no.0
            );
            *out.entry(one.worker).or_default() += 1;
        }
        let deadline = task.deliver_by.is_none_or(|deadline| task.timer().is_some_and(|at| at <= deadline));
        assert!(deadline, "a deadline has a timer: task {}", no.0);
    }
}
