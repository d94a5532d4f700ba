//! Patient tasks that have ended, and whose outcome was read from the ledger: at the coordinator's start, or since then
//! because memory had no room for it.
//!
//! Nobody knows whether their gamers were sent the outcomes, because the coordinator may have died in between. A gamer who
//! asks again by the same id is answered from the cache and pays nothing more. There are at most twice as many as cached
//! outcomes.

use std::collections::HashMap;

use p2c2r_protocol::{Digest, SeededHash, TaskId};

use crate::ledger::{AccountId, SettledTask};

/// Those tasks, by their gamer's account and id, each with the key of its outcome.
#[derive(Default)]
pub struct SettledBefore(HashMap<(AccountId, TaskId), (Digest, SettledTask), SeededHash>);

impl SettledBefore {
    /// Adds a task whose outcome has this key.
    pub fn add(&mut self, key: Digest, settled: SettledTask) {
        self.0.insert((settled.gamer, settled.game_task), (key, settled));
    }

    /// Drops those whose outcome is no longer in the cache, once there are more than twice `cached_max`.
    pub fn bound(&mut self, cached_max: usize, is_cached: impl Fn(Digest) -> bool) {
        if self.0.len() > 2 * cached_max {
            self.0.retain(|_, (key, _)| is_cached(*key));
        }
    }

    /// The task that this account calls `id`, if its outcome has this key.
    pub fn get(&self, account: AccountId, id: TaskId, key: Digest) -> Option<&SettledTask> {
        self.0.get(&(account, id)).filter(|(of, _)| *of == key).map(|(_, settled)| settled)
    }
}
