//! Messages from the coordinator. Prices, and outcomes that decode, are believed. Nothing else that it says can do more to
//! a task with [`OnLate::ComputeLocally`](crate::OnLate::ComputeLocally) than have it computed here.

use std::time::Duration;

use p2c2r_link::LinkProblem;
use p2c2r_protocol::{
    ComputedBy, Done, GamerStatement, GamerWelcome, Micros, Nanos, PriceList, Refusal, ServerToGame,
    TaskFailure, TaskId, WorkUnits,
};
use p2c2r_tasks::is_out_of_fuel;
use tracing::{debug, error, info, warn};

use super::local_hedge::RemoteResult;
use super::routing::Bill;
use super::{Gate, Ladder, Remote, Session, Task};
use crate::kind::{Kind, TaskEnding};
use crate::ladder_context::LadderContext;
use crate::outcome::{FailReason, Place};
use crate::receipt::{Milestones, complete};

/// How often one task is sent again because the coordinator lacks its blobs. More would let a coordinator
/// that forgets blobs on purpose keep a task busy until its deadline.
const RESENDS_MAX: u8 = 2;
/// How long a kind stays local after the coordinator said it has no capacity for it: every task sent
/// meanwhile wastes a round trip. Errs towards local compute; more workers end it early.
const PAUSE: Duration = Duration::from_millis(500);
/// How long no task is sent after the coordinator said that the account's hour is spent: the hour's window
/// moves on by minutes.
const HOUR_CAP_PAUSE: Duration = Duration::from_secs(10);

impl Ladder {
    /// Handles one message.
    pub fn hear(
        &mut self,
        context: &mut LadderContext<'_>,
        message: ServerToGame,
        clock_offset_us: Option<i64>,
    ) {
        match message {
            ServerToGame::Done(done) => self.done(context, done, clock_offset_us),
            ServerToGame::Refused { task, refusal } => self.refused(context, task, refusal),
            ServerToGame::Failed { task, failure } => self.failed(context, task, failure),
            ServerToGame::Welcome(welcome) => self.welcome(context, welcome),
            ServerToGame::Statement(statement) => self.statement(context, statement),
            ServerToGame::Closing { reason } => {
                info!(reason, "the coordinator says goodbye");
                if let Some(session) = &mut self.session {
                    session.closing = Some(reason);
                }
            }
            // The link keeps the token.
            ServerToGame::Spare(_) => {}
        }
    }

    /// The connection is lost: the tasks at the coordinator are computed here, starting in this frame.
    pub fn lose_link(&mut self, context: &mut LadderContext<'_>, reason: LinkProblem) {
        let Some(session) = &mut self.session else { return };
        let before = std::mem::replace(session, Session::down(reason));
        if !before.is_welcomed() {
            return;
        }
        self.spending.stir(context.now());
        // Newest first: of a kind set to `Reuse` only one is computed, and it should be the newest.
        let is_lost = |task: &Task| !matches!(task.remote, Remote::Over);
        let lost: Vec<TaskId> =
            self.tasks.iter().rev().filter(|(_, task)| is_lost(task)).map(|(id, _)| *id).collect();
        for id in lost {
            self.excuse_workers(id);
            let Some(task) = self.tasks.get(&id).filter(|task| task.is_sent()) else {
                self.keep_here(context, id);
                continue;
            };
            if task.deadline.is_none() {
                self.orphans.extend(task.id_before.or_else(|| before.id_there(id)));
            }
            self.close_remote(id, Bill::Open { since: context.now() });
            self.rescue(context, id, FailReason::Disconnected);
        }
    }

    fn welcome(&mut self, context: &mut LadderContext<'_>, welcome: GamerWelcome) {
        info!(name = welcome.name, "connected to the coordinator");
        context.account.price_list = Some(welcome.prices.version);
        self.open_gates(context, &welcome.prices);
        if let Some(session) = &mut self.session {
            *session = Session::down(LinkProblem::default());
            session.prices = Some(welcome.prices);
            session.number = welcome.session;
            session.known_blobs.clear();
        }
        self.spending.doubt_again(context.now());
        self.statement(context, welcome.statement);
    }

    /// Opens the gates of all kinds that the coordinator sells.
    fn open_gates(&mut self, context: &LadderContext<'_>, prices: &PriceList) {
        for kind in 0..context.kinds() {
            let Kind { id, name, .. } = context.kind(kind);
            let unsupported = prices.price(id, WorkUnits(0)).is_none();
            if unsupported && !self.gate(kind).unsupported {
                warn!(kind = name, "this kind stays local: the coordinator's price list does not have it");
            }
            *self.gate(kind) = Gate { unsupported, ..Gate::default() };
        }
    }

    fn statement(&mut self, context: &mut LadderContext<'_>, statement: GamerStatement) {
        let charged = context.account.record(statement);
        self.spending.note_charged(charged, context.now());
        let Some(session) = &mut self.session else { return };
        if session.balance.is_some_and(|balance| statement.available > balance) {
            session.balance = None;
            self.capped = None;
        }
        if statement.workers > session.workers {
            for gate in &mut self.gates {
                gate.paused_until = Micros(0);
            }
        }
        session.workers = statement.workers;
        session.nearest_worker_ms = statement.nearest_worker_ms;
    }

    fn done(&mut self, context: &mut LadderContext<'_>, done: Done, clock_offset_us: Option<i64>) {
        let Done { task: id_there, outcome, mut receipt } = done;
        let Some((id, task)) = self.find_by_id_there(id_there) else { return context.totals.stray += 1 };
        let at = match task.remote {
            Remote::Sent { at, .. } => at,
            // An earlier run sent it, and this one has not asked again yet.
            Remote::Waiting { .. } | Remote::Over => task.submitted_at,
        };
        let (kind, open, price_cap) = (task.kind, task.is_open(), task.price_cap);
        let gave_way = task.gave_way;
        let milestones = Milestones {
            submitted_at: task.submitted_at,
            sent_at: at,
            delivered_at: context.now(),
            clock_offset_us,
        };
        let patient = task.deadline.is_none();
        let late = task.deadline.is_some_and(|deadline| context.now() > deadline);
        match receipt.computed_by {
            ComputedBy::Worker(_) => self.note_answer(context, id, RemoteResult::Came),
            // The coordinator computes a task itself if no worker would have been in time.
            ComputedBy::Coordinator if self.workers().is_some_and(|workers| workers > 0) => {
                self.note_answer(context, id, RemoteResult::Lacking);
            }
            ComputedBy::Coordinator | ComputedBy::Cache(_) => {}
        }
        self.close_remote(id, Bill::Settled);
        self.book(context, (kind, patient), receipt.price, price_cap);
        let decoded = (context.kind(kind).decode)(&outcome);
        let totals = context.totals_of(kind);
        totals.bytes_down += outcome.len() as u64;
        if !open {
            let news = gave_way
                && decoded.is_ok_and(|outcome| {
                    let times = (milestones.submitted_at, milestones.delivered_at);
                    let origin = (Place::from(&receipt.computed_by), Some(receipt.check));
                    self.keep(kind, id, times, &outcome, origin)
                });
            totals.wasted += u64::from(!news);
            return;
        }
        if is_out_of_fuel(&outcome) {
            // The kernel here runs out of the same fuel, unless the coordinator lies.
            totals.rejected += 1;
            return self.rescue(context, id, FailReason::OutOfFuel);
        }
        match decoded {
            Ok(outcome) => {
                complete(&mut receipt, milestones);
                let place = Place::from(&receipt.computed_by);
                self.end(context, id, TaskEnding::Done { outcome, place, receipt: Some(receipt), late });
            }
            Err(reason) => {
                totals.malformed += 1;
                totals.rejected += 1;
                error!(task = id.0, %reason, "the coordinator's outcome does not decode");
                self.rescue(context, id, FailReason::Refused(format!("its outcome is malformed: {reason}")));
            }
        }
    }

    /// Books a receipt. A negative price counts as zero; one above the cap is more than agreed, but is counted,
    /// since the account will show it. Patient tasks are paid for once, so the rate per hour leaves them out.
    fn book(
        &mut self,
        context: &mut LadderContext<'_>,
        (kind, patient): (usize, bool),
        price: Nanos,
        price_cap: Nanos,
    ) {
        if price < Nanos::ZERO || price > price_cap {
            error!(%price, cap = %price_cap, "the coordinator's price is outside what was agreed");
        }
        let price = price.max(Nanos::ZERO);
        let now = context.now();
        self.spending.spend(price, now);
        let totals = context.totals_of(kind);
        totals.cost_nanos = Nanos(totals.cost_nanos.0.saturating_add(price.0));
        if patient {
            totals.cost_patient_nanos = Nanos(totals.cost_patient_nanos.0.saturating_add(price.0));
        } else {
            context.windows.of(kind).cost(now, price);
        }
        context.totals.cost_nanos = self.spending.receipts();
        context.account.session_estimate = self.spending.receipts();
    }

    fn refused(&mut self, context: &mut LadderContext<'_>, id_there: TaskId, refusal: Refusal) {
        let Some((id, task)) = self.find_by_id_there(id_there) else { return context.totals.stray += 1 };
        let Remote::Sent { resends, .. } = task.remote else { return context.totals.stray += 1 };
        let (kind, open, recalled, before) = (task.kind, task.is_open(), task.recalled, task.id_before);
        if let Refusal::TooLate { predicted_us } = refusal {
            self.note_answer(context, id, RemoteResult::TooLate(Duration::from_micros(predicted_us.into())));
        }
        self.close_remote(id, Bill::Settled);
        debug!(kind = context.kind(kind).name, task = id.0, %refusal, "refused");
        if let Refusal::BlobsMissing { missing } = &refusal {
            if let Some(session) = &mut self.session {
                for digest in missing {
                    session.known_blobs.forget(*digest);
                }
            }
            if open && !recalled && resends < RESENDS_MAX {
                self.queue_to_send(id, resends + 1);
                return;
            }
        }
        if refusal != Refusal::IdReused {
            // The coordinator may still have the task from an earlier run, although it refuses it now.
            self.orphans.extend(before);
        } else if before.is_some() && open && !recalled {
            self.queue_to_send(id, 0);
            return;
        }
        self.learn(context, kind, &refusal);
        if !matches!(refusal, Refusal::NoWorker | Refusal::Full | Refusal::TooLate { .. }) {
            self.excuse_workers(id);
        }
        if open {
            context.totals_of(kind).rejected += 1;
            self.rescue(context, id, FailReason::Refused(refusal.to_string()));
        }
    }

    /// Notes that a task's missing outcome has another reason than a lack of workers.
    fn excuse_workers(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.owed = false;
        }
    }

    /// Learns from a refusal what holds for later tasks too.
    fn learn(&mut self, context: &LadderContext<'_>, kind: usize, refusal: &Refusal) {
        match refusal {
            Refusal::UnknownKind | Refusal::KernelVersion { .. } => {
                warn!(kind = context.kind(kind).name, %refusal, "this kind stays local");
                self.gate(kind).unsupported = true;
            }
            Refusal::NoWorker | Refusal::Full | Refusal::TooManyInFlight { .. } => {
                let until = context.time.elapsed() + PAUSE;
                self.gate(kind).paused_until = until.into();
            }
            Refusal::BalanceTooLow { available } => {
                if let Some(session) = &mut self.session {
                    session.balance = Some(*available);
                }
            }
            Refusal::HourCapReached { cap } => {
                let until = context.time.elapsed() + HOUR_CAP_PAUSE;
                if let Some(session) = &mut self.session {
                    session.hour_cap = Some((*cap, until.into()));
                }
            }
            Refusal::Closing => {
                if let Some(session) = &mut self.session {
                    session.closing.get_or_insert_with(|| refusal.to_string());
                }
            }
            Refusal::BadSpec { .. }
            | Refusal::BlobsMissing { .. }
            | Refusal::PriceAboveCap { .. }
            | Refusal::TooLate { .. }
            | Refusal::IdReused => {}
        }
    }

    fn failed(&mut self, context: &mut LadderContext<'_>, id_there: TaskId, failure: TaskFailure) {
        let Some((id, task)) = self.find_by_id_there(id_there) else { return context.totals.stray += 1 };
        let (kind, open, recalled) = (task.kind, task.is_open(), task.recalled);
        if matches!(failure, TaskFailure::Late | TaskFailure::Cancelled) && task.is_sent() {
            self.note_answer(context, id, RemoteResult::Lacking);
        }
        let bill = match failure {
            TaskFailure::Late | TaskFailure::Cancelled => Bill::Open { since: context.now() },
            TaskFailure::KernelFailed | TaskFailure::NoWorker | TaskFailure::Closing => Bill::Settled,
        };
        self.close_remote(id, bill);
        if open {
            if !recalled {
                context.totals_of(kind).rejected += 1;
            }
            self.rescue(context, id, FailReason::Refused(failure.to_string()));
        }
    }
}
