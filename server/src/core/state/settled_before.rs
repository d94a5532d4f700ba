//! Patient tasks that have ended, and whose outcome was read from the ledger: at the coordinator's start, or since then
//! because memory had no room for it.
//!
//! Nobody knows whether their gamers were sent the outcomes, because the coordinator may have died in between. A gamer who
//! asks again by the same id is answered from the cache and pays nothing more. There are at most twice as many as outcomes
//! may be cached: beyond that, those go whose outcome is not in the cache, then the oldest.

use std::collections::HashMap;

use p2c2r_protocol::{Digest, SeededHash, TaskId};

use crate::ledger::{AccountId, SettledTask};

/// Those tasks, by their gamer's account and id, each with the key of its outcome.
#[derive(Default)]
pub struct SettledBefore {
    tasks: HashMap<(AccountId, TaskId), Known, SeededHash>,
    /// Tasks added so far.
    added: u64,
}

struct Known {
    key: Digest,
    settled: SettledTask,
    /// How many were added before it.
    number: u64,
}

impl SettledBefore {
    /// Adds a task whose outcome has this key.
    pub fn add(&mut self, key: Digest, settled: SettledTask) {
        let number = self.added;
        self.added += 1;
        self.tasks.insert((settled.gamer, settled.game_task), Known { key, settled, number });
    }

    /// Once there are more than twice `cached_max`, drops those whose outcome is no longer in the cache and, where more than
    /// `cached_max` are left because several have one outcome, the oldest of them. So the next search is that many tasks away.
    pub fn bound(&mut self, cached_max: usize, is_cached: impl Fn(Digest) -> bool) {
        if self.tasks.len() <= 2 * cached_max {
            return;
        }
        self.tasks.retain(|_, known| is_cached(known.key));
        if self.tasks.len() > cached_max {
            let mut numbers: Vec<u64> = self.tasks.values().map(|known| known.number).collect();
            numbers.sort_unstable();
            let oldest = numbers.get(numbers.len() - cached_max).copied().unwrap_or(u64::MAX);
            self.tasks.retain(|_, known| known.number >= oldest);
        }
    }

    /// The task that this account calls `id`, if its outcome has this key.
    pub fn get(&self, account: AccountId, id: TaskId, key: Digest) -> Option<&SettledTask> {
        self.tasks.get(&(account, id)).filter(|known| known.key == key).map(|known| &known.settled)
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::{Nanos, PassedCheck, WorkUnits};

    use super::*;

    fn task(id: u64) -> SettledTask {
        SettledTask {
            gamer: AccountId(2),
            game_task: TaskId(id),
            charged: Nanos(5),
            units: WorkUnits(1),
            price_list: 1,
            check: PassedCheck::Deep,
        }
    }

    #[test]
    fn however_many_tasks_had_the_same_outcome_the_newest_are_known() {
        const CACHED: usize = 10;
        let key = Digest([7; 32]);
        let mut settled = SettledBefore::default();
        for id in 1..=1_000 {
            settled.add(key, task(id));
            settled.bound(CACHED, |_| true);
            assert!(settled.tasks.len() <= 2 * CACHED);
            assert!(settled.get(AccountId(2), TaskId(id), key).is_some());
        }
        assert!(settled.get(AccountId(2), TaskId(1), key).is_none());
    }
}
