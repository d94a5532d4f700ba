//! Attempts at tasks: each begins by being assigned or inherited, and ends once, for a reason.

use std::sync::Arc;

use p2c2r_protocol::{Attempt, PeerId, TaskNo};

use super::tasks::Open;
use super::{Audit, Auditor, StepCause, rule};
use crate::ledger::{AccountId, Verdict};

/// An attempt that is neither over nor decided on.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub attempt: Attempt,
    pub account: AccountId,
    /// The connection that it was sent to.
    pub peer: Option<PeerId>,
    pub is_graphics: bool,
    /// When its lease ends; for an inherited attempt, the earliest possible end.
    pub until: u64,
    pub is_answered: bool,
    /// Whether its worker was sent its blobs again.
    pub is_sent_again: bool,
}

impl Auditor {
    pub(super) fn started(&mut self, task: TaskNo, attempt: Attempt, worker: Option<AccountId>) -> Audit {
        let open = self.find_open(task)?;
        let is_new = match worker {
            Some(_) => self.step.handed_out.contains(&(open.known_as, attempt)),
            None => self.step.computed_here.contains(&open.known_as),
        };
        if !is_new && self.is_taken_over(open, attempt, worker) {
            self.goes_on_for(task, attempt);
            return Ok(());
        }
        let (account, units, is_first, is_again) =
            (open.account, open.units, open.live.is_empty(), open.waits_for_more());
        rule(attempt > open.newest, "attempts are numbered upwards", || format!("{attempt} of {task}"))?;
        // A patient task goes on when its gamer leaves.
        let is_over = open.is_taken_back && open.deadline.is_some();
        rule(!is_over, "what was taken back is not begun again", || format!("{attempt} of {task}"))?;
        rule(!open.is_computed, "nobody else has what is computed here", || format!("{attempt} of {task}"))?;
        if let Some(worker) = worker {
            let is_free = open.live.len() < 2 && open.live.iter().all(|live| live.account != worker);
            rule(is_free, "at most two workers have a task, of different accounts", || {
                format!("{attempt} of {task} for {worker} beside {:?}", open.live)
            })?;
            let is_convicted = self.known.get(&worker).is_some_and(|known| known.is_convicted);
            rule(!is_convicted, "who is convicted gets no work", || format!("{attempt} of {task}"))?;
            *(if is_first { &mut self.first_units } else { &mut self.second_units }) += units;
            self.tally.hedged += u64::from(!is_first);
            rule(
                self.second_units * 100 <= self.first_units * 7,
                "second attempts are at most 7 % of the work",
                || format!("{} of {} units", self.second_units, self.first_units),
            )?;
            self.step.started.push((task, attempt, worker));
        } else {
            rule(is_first, "nobody else has what is computed here", || format!("{attempt} of {task}"))?;
            self.begins_here(task)?;
        }
        if is_first {
            self.fairness.served(account, units);
            self.fairness.waits_no_more(account, is_again);
        }
        let Some(open) = self.open.get_mut(&task) else { unreachable!("looked at above") };
        (open.newest, open.is_tried) = (attempt, true);
        match worker {
            Some(account) => open.live.push(Live {
                attempt,
                account,
                peer: None,
                is_graphics: false,
                until: u64::MAX,
                is_answered: false,
                is_sent_again: false,
            }),
            None => open.is_computed = true,
        }
        Ok(())
    }

    /// Whether this attempt is inherited from the equal task that has just ended without an outcome.
    fn is_taken_over(&self, open: &Open, attempt: Attempt, worker: Option<AccountId>) -> bool {
        let has_it = |ended: &Open| match worker {
            Some(account) => ended.live.iter().any(|live| live.attempt == attempt && live.account == account),
            None => ended.is_computed && ended.newest == attempt,
        };
        self.step.given_up.as_ref().is_some_and(|ended| ended.is_equal(open) && has_it(ended))
    }

    /// Records that a task has inherited an attempt.
    fn goes_on_for(&mut self, task: TaskNo, attempt: Attempt) {
        let (Some(ended), Some(open)) = (&self.step.given_up, self.open.get_mut(&task)) else { return };
        if open.known_as != ended.known_as {
            self.tally.inherited += 1;
            self.successors.insert(ended.known_as, task);
            self.fairness.waits_no_more(open.account, open.waits_for_more());
        }
        (open.known_as, open.newest, open.is_tried) = (ended.known_as, attempt, true);
        open.failures = ended.failures;
        let live = ended.live.iter().find(|live| live.attempt == attempt);
        if let Some(live) = live {
            let until = live.until.min(open.deadline.unwrap_or(u64::MAX));
            open.live.push(Live { until, ..live.clone() });
        } else {
            (open.is_computed, open.computed) = (true, ended.computed.clone());
            open.gives_way = ended.gives_way && open.deadline.is_none();
        }
        let known_as = open.known_as;
        self.step.unwanted.retain(|(_, of, unwanted)| (*of, *unwanted) != (known_as, attempt));
    }

    pub(super) fn attempt_ended(&mut self, task: TaskNo, attempt: Attempt, verdict: &Verdict) -> Audit {
        let known_as = self.open.get(&task).map(|open| open.known_as);
        let known_as = known_as.or_else(|| self.ended_as.get(&task).copied()).unwrap_or(task);
        let arrived = self.arrived.get(&(known_as, attempt)).cloned();
        let given = arrived.as_ref().map(|arrived| &arrived.given);
        let is_wrong = given.is_some_and(|given| given.outcome.is_some() && !given.is_right);
        let found = self.open.get(&task).and_then(|open| {
            open.live.iter().position(|live| live.attempt == attempt).map(|at| open.live[at].clone())
        });
        let Some(live) = found else {
            if self.open.get(&task).is_some_and(|open| open.is_computed && open.newest == attempt) {
                if *verdict == Verdict::Unneeded {
                    return self.gave_way(task, attempt);
                }
                return self.own_kernel_failed(task, attempt, verdict);
            }
            // The task ended, or went on without the answer, before that was found wrong; the finding counts all the same.
            if let Some(arrived) = arrived.as_ref().filter(|_| is_wrong) {
                self.known.entry(arrived.account).or_default().failed();
            }
            let may = matches!(verdict, Verdict::Rejected { .. }) && arrived.is_some();
            return rule(may, "attempts end once", || format!("{attempt} of {task}: {verdict:?}"));
        };
        let known = self.known.entry(live.account).or_default();
        let holds = match verdict {
            Verdict::Accepted => false,
            Verdict::Rejected { .. } => {
                if is_wrong {
                    known.failed();
                }
                is_wrong || known.is_convicted || self.is_convicting(live.account)
            }
            Verdict::Lost => {
                matches!(self.step.cause, StepCause::WorkerGone(peer) if live.peer == Some(peer))
            }
            Verdict::Expired => self.now >= live.until && !live.is_answered,
            Verdict::Failed => {
                let lacks_again = matches!(self.step.cause, StepCause::Lacks(peer, of, which)
                    if live.peer == Some(peer) && (of, which) == (known_as, attempt));
                given.is_some_and(|given| given.outcome.is_none()) || lacks_again && live.is_sent_again
            }
            Verdict::Unneeded => {
                if let Some(arrived) = arrived.as_ref().filter(|arrived| arrived.is_proven) {
                    let kind = self.open[&task].kind.id();
                    self.checking.discarded((arrived.account, kind), (known_as, attempt));
                }
                live.is_answered
            }
        };
        rule(holds, "an attempt ends for a reason", || {
            format!("{attempt} of {task}: {verdict:?}, {live:?}")
        })?;
        if !live.is_answered {
            self.nobody_wants(known_as, &live);
        }
        let Some(open) = self.open.get_mut(&task) else { unreachable!("looked at above") };
        open.live.retain(|other| other.attempt != attempt);
        let is_overloaded = arrived.is_some_and(|arrived| arrived.given.is_overloaded);
        open.failures +=
            u32::from(matches!(verdict, Verdict::Rejected { .. } | Verdict::Failed) && !is_overloaded);
        self.due.remove(&(live.until, task, attempt));
        if open.is_waiting() {
            self.fairness.waits(open.account, true);
        }
        Ok(())
    }

    /// The own kernel has failed, and the task waits again.
    fn own_kernel_failed(&mut self, task: TaskNo, attempt: Attempt, verdict: &Verdict) -> Audit {
        let Some(open) = self.open.get_mut(&task) else { return Ok(()) };
        let is_it = open.is_computed_in_vain && open.newest == attempt && *verdict == Verdict::Failed;
        rule(is_it, "an attempt ends for a reason", || {
            format!("{attempt} of {task}: {verdict:?}, {open:?}")
        })?;
        (open.is_computed, open.is_computed_in_vain, open.gives_way) = (false, false, false);
        open.failures += 1;
        self.fairness.waits(open.account, true);
        Ok(())
    }

    /// Whether this step may be the one in which the account is convicted: its other attempts are rejected with that.
    fn is_convicting(&self, account: AccountId) -> bool {
        self.known.get(&account).is_some_and(|known| known.failures_ever >= 2 || known.is_ordered)
    }

    pub(super) fn nobody_wants(&mut self, known_as: TaskNo, live: &Live) {
        if let Some(peer) = live.peer.filter(|peer| self.peers.contains_key(peer)) {
            self.step.unwanted.push((peer, known_as, live.attempt));
        }
    }

    /// The own kernel gave an outcome.
    pub fn computed(&mut self, known_as: TaskNo, outcome: Option<Arc<[u8]>>) {
        let task = self.in_books(known_as);
        if let Some(open) = self.open.get_mut(&task).filter(|open| open.is_computed) {
            open.is_computed_in_vain = outcome.is_none();
            open.computed = outcome;
        }
    }
}
