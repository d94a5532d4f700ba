//! Answers a task from the cache: an equal one was done before, so the gamer pays the fee alone (or the least that any task
//! costs) and no worker is asked.

use p2c2r_protocol::{
    ComputedBy, Digest, Micros, Nanos, PassedCheck, PeerId, Receipt, Refusal, Stages, Submit, WorkUnits,
};

use crate::cache::Kept;
use crate::desk::Desk;
use crate::ledger::{AccountId, Entry, Settlement, Source};
use crate::sessions::Finished;

impl Desk<'_> {
    /// An equal task was done before: its outcome for the coordinator's share.
    pub fn reuse(
        &mut self,
        peer: PeerId,
        account: AccountId,
        received_at: Micros,
        submit: &Submit,
        key: Digest,
        (units, full_price): (WorkUnits, Nanos),
        kept: Kept,
    ) -> Result<(), Refusal> {
        let fee = self.settings.0.prices.reuse(full_price);
        self.can_pay(account, fee, submit.price_cap)?;
        let no = self.tasks.gamers().number();
        self.record_admission(no, account, submit, key, units, fee, None)?;
        // Which of its checks a worker's outcome passed is not kept: the lesser one is claimed.
        let check = if kept.worker.is_some() { PassedCheck::Always } else { PassedCheck::Own };
        self.books.append(Entry::TaskSettled(Settlement {
            task: no,
            source: Source::Cache,
            pay: Nanos::ZERO,
            fee,
            check,
            outcome: None,
        }));
        if let Some(mirror) = self.gamers.account_mut(account) {
            mirror.spend(submit.task);
            mirror.charge(fee);
        }
        self.tally.admitted += 1;
        self.tally.from_cache += 1;
        self.tally.revenue += fee;
        self.tally.fee += fee;
        let sent_at = self.now();
        let receipt = Receipt {
            price: fee,
            units,
            price_list: self.settings.0.prices.version,
            computed_by: ComputedBy::Cache(kept.worker.map(|(_, name)| name.to_string())),
            check,
            attempts: 0,
            received_at,
            sent_at,
            stages: Stages { coordinator_queue_us: sent_at.since(received_at), ..Stages::default() },
        };
        let finished = Finished { key, outcome: kept.outcome, receipt, delivered: false };
        self.deliver(account, Some(peer), submit.task, finished);
        Ok(())
    }
}
