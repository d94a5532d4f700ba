//! Answers a task from the cache: an equal one was done before, so the gamer pays only the fee (or the minimum price)
//! and no worker is asked.

use std::sync::Arc;

use p2c2r_protocol::{
    ComputedBy, Digest, Micros, Nanos, PassedCheck, PeerId, Receipt, Refusal, Stages, Submit, TaskId, TaskNo,
    WorkUnits,
};

use super::{admit, deliver};
use crate::core::Core;
use crate::core::fault::{self, Fault};
use crate::core::state::cache::CacheEntry;
use crate::core::state::gamers::FinishedTask;
use crate::ledger::{AccountId, ComputedFrom, Entry, Settlement};

/// A task that ends with an outcome computed for another one.
pub struct GivenTask {
    /// Its number in the ledger.
    pub in_books: TaskNo,
    /// The account that pays.
    pub account: AccountId,
    /// The connection it came by.
    pub gamer: Option<PeerId>,
    /// The game's id for it.
    pub id: TaskId,
    /// Digest of kind, kernel version and spec.
    pub key: Digest,
    /// What it is worth.
    pub units: WorkUnits,
    /// What its gamer pays for it.
    pub fee: Nanos,
    /// When it arrived.
    pub received_at: Micros,
}

/// The worker whose outcome is given: its account and its public name.
pub type Maker = (AccountId, Arc<str>);

/// The price of a reused outcome of a task whose full price is `full_price`.
pub fn fee(core: &Core, full_price: Nanos) -> Nanos {
    if fault::is_made(Fault::ChargesReuseInFull) {
        return full_price;
    }
    core.policy.prices.reuse(full_price)
}

/// The outcome of a patient task that was settled and charged before the coordinator's start, if it is still cached: its
/// gamer may not have been sent it.
pub fn settled_before(core: &Core, account: AccountId, id: TaskId, key: Digest) -> Option<FinishedTask> {
    let settled = core.settled_before.get(account, id, key)?;
    let kept = core.cache.get(key, core.now)?;
    let (maker, name) = kept.worker.unzip();
    let receipt = Receipt {
        price: settled.charged,
        units: settled.units,
        price_list: settled.price_list,
        computed_by: name.map_or(ComputedBy::Coordinator, ComputedBy::Worker),
        check: settled.check,
        attempts: 0,
        received_at: core.now,
        sent_at: core.now,
        stages: Stages::default(),
    };
    Some(FinishedTask { key, outcome: kept.outcome, receipt, maker, delivered: true })
}

/// Ends a task with the outcome of an equal one, for the coordinator's share of the price.
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
    let fee = fee(core, full_price);
    admit::can_pay(core, account, fee, submit.price_cap)?;
    let no = core.tasks.gamers().number();
    admit::record_admission(core, no, account, submit, key, units, fee, None)?;
    // The cache holds only deeply checked outcomes.
    let check = if kept.worker.is_some() { PassedCheck::Deep } else { PassedCheck::Own };
    if let Some(mirror) = core.gamers.account_mut(account) {
        mirror.spend(submit.task);
    }
    core.tally.admitted += 1;
    let (gamer, id) = (Some(peer), submit.task);
    let given = GivenTask { in_books: no, account, gamer, id, key, units, fee, received_at };
    give(core, &given, kept.outcome, kept.worker.as_ref(), check);
    Ok(())
}

/// Books, charges, counts and delivers an outcome that was computed for another task, by the worker `maker` or, if that is
/// `None`, by the coordinator.
pub fn give(
    core: &mut Core,
    task: &GivenTask,
    outcome: Arc<[u8]>,
    maker: Option<&Maker>,
    check: PassedCheck,
) {
    let GivenTask { in_books, account, gamer, id, key, units, fee, received_at } = *task;
    core.book(Entry::TaskSettled(Settlement {
        task: in_books,
        source: ComputedFrom::Cache,
        pay: Nanos::ZERO,
        fee,
        check,
        outcome: None,
    }));
    let now = core.now;
    if let Some(mirror) = core.gamers.account_mut(account) {
        mirror.charge(fee, core.booked, now);
    }
    core.tally.from_cache += 1;
    core.tally.revenue += fee;
    core.tally.fee += fee;
    let sent_at = now;
    let receipt = Receipt {
        price: fee,
        units,
        price_list: core.policy.prices.version,
        computed_by: ComputedBy::Cache(maker.map(|(_, name)| Arc::clone(name))),
        check,
        attempts: 0,
        received_at,
        sent_at,
        stages: Stages { coordinator_queue_us: sent_at.since(received_at), ..Stages::default() },
    };
    let maker = maker.map(|(account, _)| *account);
    let finished = FinishedTask { key, outcome, receipt, maker, delivered: false };
    deliver::deliver(core, account, gamer, id, finished);
}
