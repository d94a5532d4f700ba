//! Which tasks may go to the coordinator, and sending them.

use p2c2r_protocol::limits::{BLOB_BYTES_MAX, BLOBS_PER_SPEC_MAX, SPEC_BYTES_MAX};
use p2c2r_protocol::{Digest, GameToServer, Micros, Nanos, Submit, TaskId};
use tracing::error;

use super::{CAPPED_FOR, Capped, Ladder, Remote, Session, Task};
use crate::ladder_context::LadderContext;
use crate::switch::LocalReason;

/// Why a task stays here although the coordinator can be reached.
enum Stay {
    /// A property of the task: its kind, its price, its size.
    Own,
    /// Money: all tasks of its price or more stay.
    Money { price: Nanos, reason: LocalReason },
}

/// What is known of a task's cost when the coordinator's part in it is over.
pub(super) enum Bill {
    /// A receipt has said it, or the task costs nothing.
    Settled,
    /// The coordinator may have charged for work that was begun: its ledger will tell.
    Open { since: Micros },
}

impl Ladder {
    /// Starts a new task: puts it into the queue for the coordinator, or into local compute.
    pub(super) fn set_out(&mut self, context: &mut LadderContext<'_>, id: TaskId) {
        if self.route(context, id).is_some() {
            self.queue_to_send(id, 0);
        } else {
            self.start_local(context, id);
        }
    }

    pub(super) fn queue_to_send(&mut self, id: TaskId, resends: u8) {
        self.unsent.insert(self.turn(id));
        if let Some(task) = self.tasks.get_mut(&id) {
            task.remote = Remote::Waiting { resends };
        }
    }

    /// Takes a task out of the queue, if it is there.
    pub(super) fn unqueue(&mut self, id: TaskId) {
        if !self.unsent.remove(&self.turn(id)) {
            return;
        }
        if let Some(task) = self.tasks.get_mut(&id) {
            task.remote = Remote::Over;
        }
        self.disown(id);
    }

    /// Takes a task back from the coordinator, if it is there, and computes it here.
    pub(super) fn keep_here(&mut self, context: &mut LadderContext<'_>, id: TaskId) {
        self.unqueue(id);
        self.tell_unwanted(id);
        self.start_local(context, id);
    }

    /// The coordinator, if it takes tasks; if not, why. The reason is a function: mostly only whether it takes any is asked.
    pub(super) fn connection(
        &self,
        context: &LadderContext<'_>,
    ) -> Result<&Session, impl FnOnce() -> LocalReason> {
        let session = self.session.as_ref();
        let taking = session.filter(|session| session.is_welcomed() && session.closing.is_none());
        let enabled = context.switch.enabled;
        taking.filter(|_| enabled).ok_or(move || match session {
            _ if !enabled => LocalReason::SwitchedOff,
            None => LocalReason::NoCoordinator,
            Some(Session { closing: Some(reason), prices: Some(_), .. }) => {
                LocalReason::Closing { reason: reason.clone() }
            }
            Some(session) => LocalReason::NotConnected { reason: session.down.clone() },
        })
    }

    /// The task's price if it may go to the coordinator now.
    fn route(&mut self, context: &LadderContext<'_>, id: TaskId) -> Option<Nanos> {
        let now = context.now();
        match self.may_go(context, id) {
            Ok(price) => {
                let is_over = |capped: &mut Capped| {
                    price >= capped.price || now.0 > capped.at.0 + Micros::from(CAPPED_FOR).0
                };
                self.capped.take_if(is_over);
                Some(price)
            }
            Err(Stay::Own) => None,
            Err(Stay::Money { price, reason }) => {
                self.capped = Some(Capped { price, at: now, reason });
                None
            }
        }
    }

    fn may_go(&self, context: &LadderContext<'_>, id: TaskId) -> Result<Nanos, Stay> {
        let now = context.now();
        let task = self.tasks.get(&id).ok_or(Stay::Own)?;
        let kind = context.kind(task.kind);
        let (units, price_cap) = (task.units, task.price_cap);
        let gate = self.gates.get(task.kind).copied().unwrap_or_default();
        if !context.switch.allows(kind.id)
            || gate.unsupported
            || now < gate.paused_until
            || task.deadline.is_some_and(|deadline| deadline <= now)
        {
            return Err(Stay::Own);
        }
        let session = self.connection(context).map_err(|_| Stay::Own)?;
        let price =
            session.prices.as_ref().and_then(|prices| prices.price(kind.id, units)).ok_or(Stay::Own)?;
        // A task that an earlier run sent is charged already, or its price is held.
        if task.id_before.is_some() {
            return Ok(price);
        }
        if price > price_cap {
            return Err(Stay::Own);
        }
        let money = |reason: LocalReason| Stay::Money { price, reason };
        if let Some(available) = session.balance
            && price > available
        {
            return Err(money(LocalReason::BalanceTooLow { available }));
        }
        if let Some((cap, until)) = session.hour_cap
            && now < until
        {
            return Err(money(LocalReason::HourCap { cap }));
        }
        self.spending.check((*context.caps, *context.elsewhere), price, now).map_err(money)?;
        Ok(price)
    }

    /// Sends waiting tasks that fit, nearest deadline first.
    pub fn send_waiting(&mut self, context: &mut LadderContext<'_>) {
        // Tasks of an earlier run wait for the coordinator, which may have their outcomes.
        if !self.session.as_ref().is_some_and(Session::is_welcomed) {
            return;
        }
        let mut next = self.unsent.first().copied();
        while let Some(turn) = next {
            if self.sent >= self.in_flight_max {
                return;
            }
            let patient = turn.0 == Micros(u64::MAX);
            // Patient tasks may stay at the coordinator for long, so they may use only half of the slots.
            if patient && self.sent_patient >= self.in_flight_max.div_ceil(2) {
                return;
            }
            let id = turn.1;
            match self.route(context, id) {
                Some(price) if self.send(context, id, price) => {}
                _ => self.keep_here(context, id),
            }
            next = self.unsent.first().copied();
        }
    }

    /// Sends one task; false if it is too big to travel or its number does not fit.
    fn send(&mut self, context: &mut LadderContext<'_>, id: TaskId, price: Nanos) -> bool {
        let now = context.this_moment();
        let Some(task) = self.tasks.get_mut(&id) else { return false };
        let Some(session) = self.session.as_mut() else { return false };
        let Some(id_there) = task.id_before.or_else(|| session.id_there(id)) else { return false };
        let Remote::Waiting { resends } = task.remote else { return false };
        let kind = context.kind(task.kind);
        let spec = task.work.encode();
        let refs = task.work.blob_refs();
        let blobs = task.work.blobs();
        let bytes_of = |digest: &Digest| blobs.get(*digest).map_or(0, |blob| blob.bytes().len());
        if spec.len() > SPEC_BYTES_MAX
            || refs.len() > BLOBS_PER_SPEC_MAX
            || refs.iter().any(|digest| bytes_of(digest) > BLOB_BYTES_MAX)
        {
            error!(
                kind = kind.name,
                spec_bytes = spec.len(),
                "a task is too big to travel; it is computed locally"
            );
            return false;
        }
        // Once the coordinator has asked for the blob, it does not have it.
        if let Some(left) = task.left.filter(|_| resends == 0) {
            session.known_blobs.needs_sending(left, bytes_of(&left));
        }
        let blobs: Vec<Vec<u8>> = refs
            .iter()
            .filter(|digest| session.known_blobs.needs_sending(**digest, bytes_of(digest)))
            .filter_map(|digest| blobs.get(*digest).ok().map(|blob| blob.bytes().to_vec()))
            .collect();
        let bytes = spec.len() + blobs.iter().map(Vec::len).sum::<usize>();
        let submit = Submit {
            task: id_there,
            kind: kind.id,
            kernel_version: kind.kernel_version,
            budget_us: task.deadline.map(|deadline| deadline.since(now)),
            // Under a spending cap only the reserved price may be charged.
            price_cap: if context.caps.is_any() { price } else { task.price_cap },
            client_queue_us: now.since(task.submitted_at),
            sent_at: now,
            spec: spec.into(),
            blobs,
        };
        if let Some(file) = task.file {
            let blobs = refs.iter().filter_map(|digest| task.work.blobs().get(*digest).ok());
            let blobs = blobs.map(|blob| blob.bytes().to_vec()).collect();
            self.patience.sent(file, Submit { price_cap: task.price_cap, blobs, ..submit.clone() });
        }
        self.outgoing.push(GameToServer::Submit(submit));
        task.remote = Remote::Sent { at: now, reserved: price, resends };
        task.owed = true;
        let patient = task.deadline.is_none();
        context.totals_of(task.kind).bytes_up += bytes as u64;
        self.spending.reserve(price, now);
        self.local_hedging.sent();
        self.sent += 1;
        self.sent_patient += usize::from(patient);
        self.unsent.remove(&self.turn(id));
        true
    }

    /// Recalls tasks that the switch no longer allows to be out.
    pub fn recall(&mut self, context: &mut LadderContext<'_>) {
        self.call_home(context, |context, task| !context.switch.allows(context.kind(task.kind).id));
    }

    /// Recalls the open tasks that `is_called` names, whether sent or waiting to be sent, and computes them here.
    pub(super) fn call_home(
        &mut self,
        context: &mut LadderContext<'_>,
        is_called: impl Fn(&LadderContext<'_>, &Task) -> bool,
    ) {
        // Newest first, as when the connection is lost.
        let called: Vec<TaskId> = self
            .tasks
            .iter()
            .rev()
            .filter(|(_, task)| task.is_open() && !matches!(task.remote, Remote::Over) && !task.recalled)
            .filter(|(_, task)| is_called(context, task))
            .map(|(id, _)| *id)
            .collect();
        for id in called {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.withdrawn = true;
            }
            self.keep_here(context, id);
        }
    }

    /// Tells the coordinator, once, that a task it has is no longer wanted.
    pub(super) fn tell_unwanted(&mut self, id: TaskId) {
        let id_there = self.id_there(id);
        if let Some(task) = self.tasks.get_mut(&id)
            && task.is_sent()
            && !task.recalled
            && let Some(id_there) = id_there
        {
            task.recalled = true;
            self.outgoing.push(GameToServer::Cancel { task: id_there });
        }
    }

    /// Ends the coordinator's part in a task, after its final answer or when none is expected any more. Frees the reserved
    /// money: at once, or for an open bill once the ledger has told what was charged.
    pub(super) fn close_remote(&mut self, id: TaskId, bill: Bill) {
        let turn = self.turn(id);
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_there()) else { return };
        if let Remote::Sent { reserved, .. } = task.remote {
            match bill {
                Bill::Settled => self.spending.release(reserved),
                Bill::Open { since } => self.spending.doubt(reserved, since),
            }
            self.sent -= 1;
            self.sent_patient -= usize::from(task.deadline.is_none());
        }
        task.remote = Remote::Over;
        let is_open = task.is_open();
        self.unsent.remove(&turn);
        self.take_id_before(id);
        if !is_open {
            self.remove(id);
        }
    }
}
