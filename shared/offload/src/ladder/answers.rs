//! What the coordinator says. Nothing it says can do more harm than a local computation costs.

use std::time::Duration;

use p2c2r_protocol::{
    ComputedBy, Done, GameToServer, GamerStatement, GamerWelcome, Micros, Nanos, Refusal, ServerToGame,
    TaskFailure, TaskId,
};
use p2c2r_tasks::is_out_of_fuel;
use tracing::{debug, error, info, warn};

use super::sparing::Answer;
use super::{Gate, Ladder, Remote, Session};
use crate::desk::Desk;
use crate::kind::End;
use crate::outcome::{FailReason, Place};
use crate::receipt::{Milestones, complete};

/// How often one task is sent again because the coordinator lacks its blobs. More would let a coordinator
/// that forgets on purpose keep a task busy until its deadline.
const RESENDS_MAX: u8 = 2;
/// How long a kind stays local after the coordinator said it has no capacity for it: every task sent in that
/// state is a round trip lost. Errs towards local compute; more workers end it early.
const PAUSE: Duration = Duration::from_millis(500);

impl Ladder {
    /// Takes in one message.
    pub fn hear(&mut self, desk: &mut Desk<'_>, message: ServerToGame, clock_offset_us: Option<i64>) {
        match message {
            ServerToGame::Done(done) => self.done(desk, done, clock_offset_us),
            ServerToGame::Refused { task, refusal } => self.refused(desk, task, refusal),
            ServerToGame::Failed { task, failure } => self.failed(desk, task, failure),
            ServerToGame::Welcome(welcome) => self.welcome(desk, welcome),
            ServerToGame::Statement(statement) => self.statement(desk, statement),
            ServerToGame::Closing { reason } => {
                info!(reason, "the coordinator says goodbye");
                if let Some(session) = &mut self.session {
                    session.closing = Some(reason);
                }
            }
        }
    }

    /// The connection is gone: everything it carried is computed here, starting in this frame.
    pub fn lose_link(&mut self, desk: &mut Desk<'_>, reason: String) {
        let before = self.session.take();
        if before.is_some() {
            self.session = Some(Session::down(reason));
        }
        // Newest first: of a kind set to reuse only one is computed, and it should be that.
        let lost: Vec<TaskId> = self
            .tasks
            .iter()
            .rev()
            .filter(|(_, task)| !matches!(task.remote, Remote::Over))
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            if self.tasks.get(&id).is_some_and(|task| task.deadline.is_none() && task.is_sent()) {
                self.orphans.extend(before.as_ref().and_then(|session| session.id_there(id)));
            }
            if self.close_remote(id) {
                self.rescue(desk, id, FailReason::Disconnected);
            } else {
                self.unqueue(id);
                self.start_local(desk, id);
            }
        }
    }

    fn welcome(&mut self, desk: &mut Desk<'_>, welcome: GamerWelcome) {
        info!(name = welcome.name, "connected to the coordinator");
        self.gates.fill(Gate::default());
        if let Some(session) = &mut self.session {
            *session = Session::down(String::new());
            session.prices = Some(welcome.prices);
            session.number = welcome.session;
            session.known_blobs.clear();
        }
        self.outgoing.extend(self.orphans.drain(..).map(|task| GameToServer::Cancel { task }));
        self.statement(desk, welcome.statement);
    }

    fn statement(&mut self, desk: &mut Desk<'_>, statement: GamerStatement) {
        desk.account.record(statement);
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
    }

    fn done(&mut self, desk: &mut Desk<'_>, done: Done, clock_offset_us: Option<i64>) {
        let Done { task: id_there, outcome, mut receipt } = done;
        let Some((id, task)) = self.find_by_id_there(id_there) else { return desk.totals.stray += 1 };
        let Remote::Sent { at, .. } = task.remote else { return desk.totals.stray += 1 };
        let (kind, open, price_cap) = (task.kind, task.is_open(), task.price_cap);
        let gave_way = task.gave_way;
        let milestones = Milestones {
            submitted_at: task.submitted_at,
            sent_at: at,
            delivered_at: desk.now(),
            clock_offset_us,
        };
        let late = task.deadline.is_some_and(|deadline| desk.now() > deadline);
        match receipt.computed_by {
            ComputedBy::Worker(_) => self.note_answer(desk, id, Answer::Came),
            // It computes for itself what no worker would have done in time.
            ComputedBy::Coordinator if self.workers().is_some_and(|workers| workers > 0) => {
                self.note_answer(desk, id, Answer::Lacking);
            }
            ComputedBy::Coordinator | ComputedBy::Cache(_) => {}
        }
        self.close_remote(id);
        self.book(desk, kind, receipt.price, price_cap);
        let gave_up = is_out_of_fuel(&outcome);
        let decoded = (desk.kind(kind).decode)(&outcome);
        let totals = desk.totals_of(kind);
        totals.bytes_down += outcome.len() as u64;
        if !open {
            let news = gave_way
                && decoded.is_ok_and(|outcome| {
                    self.keep(kind, id, milestones.submitted_at, &outcome, Place::from(&receipt.computed_by))
                });
            totals.wasted += u64::from(!news);
            return;
        }
        if gave_up {
            // The kernel here would end the same way.
            return self.fail(desk, id, FailReason::OutOfFuel);
        }
        match decoded {
            Ok(outcome) => {
                complete(&mut receipt, milestones);
                let place = Place::from(&receipt.computed_by);
                self.end(desk, id, End::Done { outcome, place, receipt: Some(receipt), late });
            }
            Err(reason) => {
                totals.malformed += 1;
                totals.rejected += 1;
                error!(task = id.0, %reason, "the coordinator's outcome does not decode");
                self.rescue(desk, id, FailReason::Refused(format!("its outcome is malformed: {reason}")));
            }
        }
    }

    /// Books a receipt. A price below zero is no price; one above the cap breaks the coordinator's word, but
    /// it is what the account will show.
    fn book(&mut self, desk: &mut Desk<'_>, kind: usize, price: Nanos, price_cap: Nanos) {
        if price < Nanos::ZERO || price > price_cap {
            error!(%price, cap = %price_cap, "the coordinator's price is outside what was agreed");
        }
        let price = price.max(Nanos::ZERO);
        let now = desk.now();
        self.spending.spend(price, now);
        desk.windows.of(kind).cost(now, price);
        let totals = desk.totals_of(kind);
        totals.cost_nanos = Nanos(totals.cost_nanos.0.saturating_add(price.0));
        desk.totals.cost_nanos = self.spending.spent();
        desk.account.session_estimate = self.spending.spent();
    }

    fn refused(&mut self, desk: &mut Desk<'_>, id_there: TaskId, refusal: Refusal) {
        let Some((id, task)) = self.find_by_id_there(id_there) else { return desk.totals.stray += 1 };
        let Remote::Sent { resends, .. } = task.remote else { return desk.totals.stray += 1 };
        let (kind, open, recalled) = (task.kind, task.is_open(), task.recalled);
        if let Refusal::TooLate { predicted_us } = refusal {
            self.note_answer(desk, id, Answer::TooLate(Duration::from_micros(predicted_us.into())));
        }
        self.close_remote(id);
        debug!(kind = desk.kind(kind).name, task = id.0, %refusal, "refused");
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
        self.learn(desk, kind, &refusal);
        if open {
            desk.totals_of(kind).rejected += 1;
            self.rescue(desk, id, FailReason::Refused(refusal.to_string()));
        }
    }

    /// What a refusal says about the tasks to come.
    fn learn(&mut self, desk: &Desk<'_>, kind: usize, refusal: &Refusal) {
        match refusal {
            Refusal::UnknownKind | Refusal::KernelVersion { .. } => {
                warn!(kind = desk.kind(kind).name, %refusal, "this kind stays local");
                self.gate(kind).unsupported = true;
            }
            Refusal::NoWorker | Refusal::Full | Refusal::TooManyInFlight { .. } => {
                let until = desk.time.elapsed() + PAUSE;
                self.gate(kind).paused_until = until.into();
            }
            Refusal::BalanceTooLow { available } => {
                if let Some(session) = &mut self.session {
                    session.balance = Some(*available);
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

    fn failed(&mut self, desk: &mut Desk<'_>, id_there: TaskId, failure: TaskFailure) {
        let Some((id, task)) = self.find_by_id_there(id_there) else { return desk.totals.stray += 1 };
        let (kind, open, recalled) = (task.kind, task.is_open(), task.recalled);
        if matches!(failure, TaskFailure::Late | TaskFailure::Cancelled) && task.is_sent() {
            self.note_answer(desk, id, Answer::Lacking);
        }
        if !self.close_remote(id) {
            return desk.totals.stray += 1;
        }
        if open {
            if !recalled {
                desk.totals_of(kind).rejected += 1;
            }
            self.rescue(desk, id, FailReason::Refused(failure.to_string()));
        }
    }
}
