//! Counts what the scheduler decides, by reading its effects as they are carried out.

use std::collections::HashMap;

use p2c2r_protocol::{
    ComputedBy, Done, KindId, Micros, Nanos, NumberHash, PassedCheck, Refusal, SeededHash, ServerToGame,
    TaskId, TaskNo,
};
use p2c2r_tasks::KindRegistry;
use prometheus_client::registry::Registry;

use super::figures::{KindMetrics, Metrics};
use super::history::History;
use crate::core::Effects;
use crate::core::state::gamers::Gamers;
use crate::ledger::{AccountId, ComputedFrom, Entry, PatientTask, Verdict, VoidReason};

/// Counts, and remembers the last hour. Its memory grows with the tasks in flight and no further.
pub struct Meter {
    sums: Metrics,
    kinds: Vec<(KindId, KindMetrics)>,
    history: History,
    /// Tasks in flight.
    open: HashMap<TaskNo, Open, NumberHash>,
    held: Nanos,
    /// Indices of the kinds of tasks that were just settled, by gamers' ids, until their outcomes are sent, which
    /// happens in the same batch of effects.
    settled: HashMap<(AccountId, TaskId), usize, SeededHash>,
}

/// A task in flight.
struct Open {
    /// Its kind's place in [`Meter::kinds`].
    place: usize,
    /// What is held for it.
    price: Nanos,
    /// What its gamer calls it.
    called: (AccountId, TaskId),
}

impl Meter {
    /// A meter for these kinds, and the registry that shows what it has counted.
    pub fn new(kinds: &KindRegistry) -> (Self, Registry) {
        let (sums, registry) = Metrics::register();
        let kinds: Vec<_> = kinds.iter().map(|kind| (kind.id(), sums.of_kind(kind.name()))).collect();
        let history = History::new(kinds.len());
        let (open, settled) = (HashMap::default(), HashMap::default());
        (Self { sums, kinds, history, open, held: Nanos::ZERO, settled }, registry)
    }

    /// Counts a patient task from before the start, whose price is held.
    pub fn goes_on(&mut self, task: &PatientTask) {
        if let Some(place) = self.place(task.kind) {
            let called = (task.gamer, task.game_task);
            self.hold(task.task, Open { place, price: task.price, called });
        }
    }

    /// Counts effects that are carried out at `now`.
    pub fn note(&mut self, now: Micros, effects: &Effects, gamers: &Gamers) {
        for entry in &effects.entries {
            self.note_entry(now, entry);
        }
        for (peer, message) in &effects.to_games {
            match message {
                ServerToGame::Done(done) => {
                    if let Some(session) = gamers.session(*peer) {
                        self.note_done(now, session.account, done);
                    }
                }
                ServerToGame::Refused { refusal, .. } => self.sums.refused(said(refusal)),
                _ => {}
            }
        }
        // Tasks whose gamer has left remain, because no outcome is sent for them.
        self.settled.clear();
    }

    fn note_entry(&mut self, now: Micros, entry: &Entry) {
        match entry {
            Entry::TaskAdmitted(admission) => {
                let Some(place) = self.place(admission.kind) else { return };
                self.kinds[place].1.admitted.inc();
                let called = (admission.gamer, admission.game_task);
                self.hold(admission.task, Open { place, price: admission.price, called });
            }
            Entry::AttemptStarted { task, worker, .. } => {
                let Some(Open { place, .. }) = self.open.get(task) else { return };
                let kind = &self.kinds[*place].1;
                if worker.is_some() { &kind.leases } else { &kind.own_kernels }.inc();
            }
            Entry::AttemptEnded { kind, verdict, .. } => {
                let Some(place) = self.place(*kind) else { return };
                self.sums.verdict(
                    self.kinds[place].1.name,
                    match verdict {
                        Verdict::Accepted => "accepted",
                        Verdict::Rejected { .. } => "rejected",
                        Verdict::Lost => "lost",
                        Verdict::Expired => "expired",
                        Verdict::Failed => "failed",
                        Verdict::Unneeded => "unneeded",
                    },
                );
            }
            Entry::TaskSettled(settlement) => {
                let charged = Nanos(settlement.pay.0.saturating_add(settlement.fee.0));
                self.sums.charged(charged, settlement.fee, settlement.pay);
                let minute = self.history.at(now);
                minute.revenue = Nanos(minute.revenue.0.saturating_add(charged.0));
                minute.fee = Nanos(minute.fee.0.saturating_add(settlement.fee.0));
                if settlement.source == ComputedFrom::Begun {
                    let Some(Open { place, .. }) = self.release(settlement.task) else { return };
                    self.sums.failed(self.kinds[place].1.name, "begun");
                    self.history.at(now).kinds[place].failed += 1;
                    return;
                }
                let check = match settlement.check {
                    PassedCheck::Always => 0,
                    PassedCheck::Deep => 1,
                    PassedCheck::Own => 2,
                };
                self.sums.passed[check].inc();
                if let Some(Open { place, called, .. }) = self.release(settlement.task) {
                    self.settled.insert(called, place);
                    let kind = &self.kinds[place].1;
                    if let ComputedFrom::Worker { .. } = settlement.source {
                        kind.accepted.inc();
                    }
                    kind.done[match settlement.source {
                        ComputedFrom::Worker { .. } => 0,
                        ComputedFrom::Coordinator => 1,
                        ComputedFrom::Cache => 2,
                        ComputedFrom::Begun => unreachable!("it has no outcome"),
                    }]
                    .inc();
                    self.history.at(now).kinds[place].done += 1;
                }
            }
            Entry::TaskVoided { task, reason } => {
                let Some(Open { place, .. }) = self.release(*task) else { return };
                self.sums.failed(self.kinds[place].1.name, void(*reason));
                self.history.at(now).kinds[place].failed += 1;
            }
            Entry::WorkerConvicted { .. } => {
                self.sums.convicted.inc();
            }
            // Changes of trust concern the ledger alone, and count as nothing that happened to a task.
            Entry::TrustChanged { .. } | Entry::WorkerForgiven { .. } | Entry::OutcomeDisputed { .. } => {}
        }
    }

    /// Counts a sent outcome. A resent one is not counted, because no task was settled just before.
    fn note_done(&mut self, now: Micros, account: AccountId, done: &Done) {
        let Some(place) = self.settled.remove(&(account, done.task)) else { return };
        let receipt = &done.receipt;
        let micros = receipt.sent_at.since(receipt.received_at);
        let from_cache = matches!(receipt.computed_by, ComputedBy::Cache(_));
        self.kinds[place].1.took(micros, &receipt.stages, from_cache);
        self.history.at(now).kinds[place].latencies.count(micros);
    }

    fn hold(&mut self, task: TaskNo, open: Open) {
        self.held = Nanos(self.held.0.saturating_add(open.price.0));
        self.open.insert(task, open);
    }

    fn release(&mut self, task: TaskNo) -> Option<Open> {
        let open = self.open.remove(&task)?;
        self.held = Nanos(self.held.0.saturating_sub(open.price.0));
        Some(open)
    }

    fn place(&self, kind: KindId) -> Option<usize> {
        self.kinds.iter().position(|(id, _)| *id == kind)
    }

    /// The last hour, as of `now`.
    pub fn history(&mut self, now: Micros) -> &History {
        self.history.go_on_to(now);
        &self.history
    }

    /// Held for tasks in flight.
    pub fn held(&self) -> Nanos {
        self.held
    }

    /// The figures that are set rather than counted.
    pub fn sums(&self) -> &Metrics {
        &self.sums
    }
}

/// A refusal in one word, without its details.
fn said(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownKind => "unknown_kind",
        Refusal::KernelVersion { .. } => "kernel_version",
        Refusal::BadSpec { .. } => "bad_spec",
        Refusal::BlobsMissing { .. } => "blobs_missing",
        Refusal::PriceAboveCap { .. } => "price_above_cap",
        Refusal::BalanceTooLow { .. } => "balance_too_low",
        Refusal::HourCapReached { .. } => "hour_cap_reached",
        Refusal::TooLate { .. } => "too_late",
        Refusal::NoWorker => "no_worker",
        Refusal::TooManyInFlight { .. } => "too_many_in_flight",
        Refusal::Full => "full",
        Refusal::IdReused => "id_reused",
        Refusal::Closing => "closing",
    }
}

fn void(reason: VoidReason) -> &'static str {
    match reason {
        VoidReason::Late => "late",
        VoidReason::KernelFailed => "kernel_failed",
        VoidReason::NoWorker => "no_worker",
        VoidReason::Cancelled => "cancelled",
        VoidReason::Closing => "closing",
        VoidReason::Crashed => "crashed",
        VoidReason::BadSettlement => "bad_settlement",
    }
}
