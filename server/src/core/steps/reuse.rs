//! Answers a task from the cache: an equal one was done before, so the gamer pays the fee alone (or the least that any task
//! costs) and no worker is asked.

use p2c2r_protocol::{
    ComputedBy, Digest, Micros, Nanos, PassedCheck, PeerId, Receipt, Refusal, Stages, Submit, WorkUnits,
};

use super::{admit, deliver};
use crate::core::Core;
use crate::core::state::cache::CacheEntry;
use crate::core::state::gamers::FinishedTask;
use crate::ledger::{AccountId, ComputedFrom, Entry, Settlement};

/// An equal task was done before: its outcome for the coordinator's share.
pub fn reuse(
    core: &mut Core,
    peer: PeerId,
    account: AccountId,
    received_at: Micros,
    submit: &Submit,
    key: Digest,
    (units, full_price): (WorkUnits, Nanos),
    kept: CacheEntry,
) -> Result<(), Refusal> {
    let fee = core.policy.prices.reuse(full_price);
    admit::can_pay(core, account, fee, submit.price_cap)?;
    let no = core.tasks.gamers().number();
    admit::record_admission(core, no, account, submit, key, units, fee, None)?;
    // Only what was checked deeply is kept.
    let check = if kept.worker.is_some() { PassedCheck::Deep } else { PassedCheck::Own };
    core.book(Entry::TaskSettled(Settlement {
        task: no,
        source: ComputedFrom::Cache,
        pay: Nanos::ZERO,
        fee,
        check,
        outcome: None,
    }));
    let now = core.now;
    if let Some(mirror) = core.gamers.account_mut(account) {
        mirror.spend(submit.task);
        mirror.charge(fee, now);
    }
    core.tally.admitted += 1;
    count(core, fee);
    let sent_at = core.now;
    let receipt = Receipt {
        price: fee,
        units,
        price_list: core.policy.prices.version,
        computed_by: ComputedBy::Cache(kept.worker.map(|(_, name)| name.to_string())),
        check,
        attempts: 0,
        received_at,
        sent_at,
        stages: Stages { coordinator_queue_us: sent_at.since(received_at), ..Stages::default() },
    };
    let finished = Box::new(FinishedTask { key, outcome: kept.outcome, receipt, delivered: false });
    deliver::deliver(core, account, Some(peer), submit.task, finished);
    Ok(())
}

/// Counts a task that was answered with an outcome that is there for somebody else.
pub fn count(core: &mut Core, fee: Nanos) {
    core.tally.from_cache += 1;
    core.tally.revenue += fee;
    core.tally.fee += fee;
}
