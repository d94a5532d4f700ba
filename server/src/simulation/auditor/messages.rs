//! What peers are told: the truth, once, and only those it concerns.

use p2c2r_protocol::{
    Assign, ComputedBy, Digest, Done, PeerId, Refusal, Role, ServerToGame, ServerToWorker, TaskId,
};

use super::{Audit, Auditor, StepCause, found, rule};
use crate::ledger::AccountId;
use crate::simulation::{kinds, world};

/// What a receipt calls a worker whose connection has ended.
const GONE: &str = "a worker that has left";

impl Auditor {
    fn reachable(&self, peer: PeerId, role: Role) -> Result<&super::Peer, super::BrokenPromise> {
        let there = self.peers.get(&peer).filter(|there| there.role == role);
        found(there, "only who is there is told anything", || format!("{peer:?}"))
    }

    pub(super) fn game_is_told(&mut self, peer: PeerId, message: &ServerToGame) -> Audit {
        let account = self.reachable(peer, Role::Gamer)?.account;
        match message {
            ServerToGame::Welcome(welcome) => {
                let last = self.sessions.insert(account, welcome.session);
                rule(last.is_none_or(|last| last < welcome.session), "sessions only grow", || {
                    format!("{account}: {} after {last:?}", welcome.session)
                })
            }
            ServerToGame::Done(done) => self.done(peer, done),
            ServerToGame::Failed { task, failure } => {
                let is_over = match self.ids.get(&(account, *task)) {
                    Some(None) => self.step.ended.contains_key(&(account, *task)),
                    Some(Some(finished)) => {
                        let has_joined = matches!(self.step.cause, StepCause::GamerJoined(it) if it == peer);
                        has_joined && finished.may_be_withdrawn && !finished.is_sent
                    }
                    None => false,
                };
                rule(is_over, "what failed has failed", || format!("{task} of {account}: {failure}"))?;
                self.told_once((account, *task))
            }
            ServerToGame::Refused { task, refusal } => {
                let is_asked = matches!(&self.step.cause, StepCause::Submitted { peer: by, submit, .. }
                    if *by == peer && submit.task == *task);
                rule(is_asked && self.step.admitted.is_none(), "only what is asked for is refused", || {
                    format!("{task} of {account}: {refusal}")
                })?;
                if let Refusal::BlobsMissing { missing } = refusal {
                    let StepCause::Submitted { submit, .. } = &self.step.cause else { return Ok(()) };
                    let needed = kinds::blob(&submit.spec).map(|blob| Digest::of(&blob));
                    let is_needed =
                        submit.blobs.is_empty() && needed.is_some_and(|needed| *missing == [needed]);
                    rule(is_needed, "a game is asked for the blobs that are missing", || {
                        format!("{submit:?}")
                    })?;
                    self.tally.blobs_asked_for += 1;
                }
                self.step.is_refused = true;
                self.tally.refused += 1;
                Ok(())
            }
            ServerToGame::Statement(statement) => {
                let told = self.durable_when_told.get(&account).copied().unwrap_or_default();
                rule(statement.charged.0 == told, "what is told as charged is recorded", || {
                    format!("{account}: {statement:?}, recorded {told}")
                })?;
                let sums = self.books.sums(account);
                let is_true = statement.held.0 >= sums.held && statement.available.0 <= sums.available;
                rule(is_true, "nobody is told that he has more than he has", || {
                    format!("{account}: {statement:?}, {sums:?}")
                })
            }
            ServerToGame::Closing { .. } | ServerToGame::Spare(_) => Ok(()),
        }
    }

    fn told_once(&mut self, task: (AccountId, TaskId)) -> Audit {
        rule(self.step.told.insert(task), "a game is told once", || format!("{task:?}"))
    }

    fn done(&mut self, peer: PeerId, done: &Done) -> Audit {
        let Some(there) = self.peers.get(&peer) else { return Ok(()) };
        let (account, is_leaving, id) = (there.account, there.is_leaving, done.task);
        let finished = self.ids.get(&(account, id)).cloned().flatten();
        let finished = found(finished, "outcomes go to who asked for them", || format!("{id} to {account}"))?;
        let is_new = self.step.ended.contains_key(&(account, id));
        rule(!(is_new && is_leaving), "no outcome goes where nobody is any more", || id.to_string())?;
        let is_due = match &self.step.cause {
            StepCause::Submitted { submit, .. } if submit.task == id => true,
            StepCause::GamerJoined(joined) if *joined == peer => true,
            _ => is_new,
        };
        rule(is_due, "outcomes come once, or when they are asked for again", || id.to_string())?;
        let receipt = &done.receipt;
        rule(receipt.price == finished.charged, "a receipt says what is charged", || {
            format!("{id}: {receipt:?}, {:?}", finished.charged)
        })?;
        rule(receipt.check == finished.check, "a receipt says what was checked", || format!("{receipt:?}"))?;
        let span = receipt.sent_at.since(receipt.received_at);
        // Longer times than a receipt can say are cut off.
        let adds_up = span == u32::MAX || receipt.stages.total_us() == u64::from(span);
        rule(adds_up, "the stages of a receipt add up", || format!("{receipt:?}"))?;
        self.is_named(&receipt.computed_by, finished.maker.filter(|_| is_new))?;
        let is_it = match &finished.outcome {
            Some(outcome) => **outcome == *done.outcome,
            None => finished.reused.iter().any(|(made, _)| **made == *done.outcome),
        };
        rule(is_it, "a game gets what was accepted, and nobody gets what a convicted worker made", || {
            format!("{id} of {account}")
        })?;
        // From here on it is this outcome, also when it is asked for again.
        if let Some(Some(finished)) = self.ids.get_mut(&(account, id)) {
            finished.outcome.get_or_insert_with(|| done.outcome.to_vec().into());
            finished.is_sent = true;
        }
        self.told_once((account, id))
    }

    /// A receipt names the worker by its present name if the outcome is new, and the one that computed a reused outcome by any
    /// that some worker had.
    fn is_named(&self, by: &ComputedBy, maker: Option<AccountId>) -> Audit {
        let (ComputedBy::Worker(name) | ComputedBy::Cache(Some(name))) = by else { return Ok(()) };
        let present = maker.and_then(|maker| self.names.get(&maker)).and_then(|names| names.last());
        let is_true = match (by, present) {
            (ComputedBy::Worker(_), Some(present)) => **name == **present,
            _ => self.names.values().flatten().any(|had| **name == **had),
        };
        rule(is_true || &**name == GONE, "a receipt names the worker as it is called", || {
            format!("{by:?}, called {present:?}")
        })
    }

    /// A worker that lacks the blobs of an attempt is sent them with the attempt, once.
    fn sent_again(&mut self, peer: PeerId, assign: &Assign) -> Audit {
        let task = self.in_books(assign.task);
        let live = self.open.get_mut(&task).into_iter().flat_map(|open| &mut open.live);
        let live = live.into_iter().find(|live| live.attempt == assign.attempt && live.peer == Some(peer));
        let is_first =
            live.is_some_and(|live| !live.is_answered && !std::mem::replace(&mut live.is_sent_again, true));
        rule(is_first, "blobs are sent again once, to who has the attempt", || format!("{assign:?}"))?;
        let blob = kinds::blob(&assign.spec);
        rule(assign.blobs.iter().eq(&blob), "who lacks blobs is sent them", || format!("{assign:?}"))?;
        self.tally.sent_again += 1;
        Ok(())
    }

    pub(super) fn worker_is_told(&mut self, peer: PeerId, message: &ServerToWorker) -> Audit {
        let there = self.reachable(peer, Role::Worker)?;
        let (account, is_draining) = (there.account, there.is_draining);
        match message {
            ServerToWorker::Assign(assign) => {
                let (known_as, attempt) = (assign.task, assign.attempt);
                let task = self.in_books(known_as);
                if let Some(there) = self.peers.get_mut(&peer) {
                    there.blobs.extend(assign.blobs.iter().cloned());
                    let has_it = kinds::blob(&assign.spec).is_none_or(|blob| there.blobs.contains(&blob));
                    rule(has_it, "a worker is sent the blobs of its tasks", || format!("{assign:?}"))?;
                }
                if matches!(self.step.cause, StepCause::Lacks(by, of, which)
                    if (by, of, which) == (peer, known_as, attempt))
                {
                    return self.sent_again(peer, assign);
                }
                let is_started = self.step.started.contains(&(task, attempt, account));
                rule(is_started, "what is handed out is written down", || {
                    format!("{attempt} of {task}, known as {known_as}: {:?}", self.step.started)
                })?;
                rule(!is_draining, "who takes nothing more gets nothing more", || format!("{peer:?}"))?;
                self.step.assigned += 1;
                let known = self.known.get(&account);
                let is_newcomer = known.is_none_or(|known| known.outcomes_ever == 0);
                let out = self.open.values().flat_map(|open| &open.live);
                let out = out.filter(|live| live.peer == Some(peer) && !live.is_answered).count();
                rule(!is_newcomer || out < 2, "a newcomer gets little at once", || {
                    format!("{peer:?}: {out}")
                })?;
                rule(assign.lease_us < u32::MAX, "a worker knows when its lease is over", || {
                    format!("{attempt} of {task}")
                })?;
                let until = self.now + u64::from(assign.lease_us);
                let Some(open) = self.open.get_mut(&task) else { return Ok(()) };
                rule(*open.spec == *assign.spec, "a worker is asked what the game asked", || {
                    task.to_string()
                })?;
                let Some(live) = open.live.iter_mut().find(|live| live.attempt == attempt) else {
                    return Ok(());
                };
                self.assigned.insert((known_as, attempt), (peer, account));
                live.peer = Some(peer);
                live.until = until;
                live.is_graphics = world::is_graphics(account);
                self.due.insert((until, task, attempt));
            }
            ServerToWorker::Revoke { task, attempt } => self.step.revoked.push((peer, *task, *attempt)),
            ServerToWorker::Welcome(_)
            | ServerToWorker::Statement(_)
            | ServerToWorker::Closing { .. }
            | ServerToWorker::Spare(_) => {}
        }
        Ok(())
    }

    /// Every submit has an answer, and every end its message.
    pub(super) fn everybody_was_told(&self) -> Audit {
        if let StepCause::Submitted { peer, submit, .. } = &self.step.cause
            && let Some(found) = self.peers.get(peer)
        {
            let is_known = self.ids.contains_key(&(found.account, submit.task));
            rule(self.step.is_refused || is_known, "every submit is answered", || format!("{submit:?}"))?;
        }
        for ((account, id), came_by) in &self.step.ended {
            let is_there =
                came_by.and_then(|peer| self.peers.get(&peer)).is_some_and(|peer| !peer.is_leaving);
            let is_told = self.step.told.contains(&(*account, *id));
            rule(is_told || !is_there, "a game hears how its task ended", || format!("{id} of {account}"))?;
        }
        Ok(())
    }

    /// Attempts whose task has ended are revoked at once, and workers that hold attempts are watched.
    pub(super) fn nobody_works_in_vain(&self) -> Audit {
        let (wanted, revoked) = (&self.step.unwanted, &self.step.revoked);
        for (peer, task, attempt) in wanted {
            let is_there = self.peers.get(peer).is_some_and(|peer| !peer.is_leaving);
            let is_told = revoked.contains(&(*peer, *task, *attempt));
            rule(is_told || !is_there, "what nobody wants any more is revoked at once", || {
                format!("{attempt} of {task}, which {peer:?} has")
            })?;
        }
        for unasked in revoked {
            rule(wanted.contains(unasked), "only what nobody wants is revoked", || format!("{unasked:?}"))?;
        }
        let assigned = self.step.assigned == self.step.started.len();
        rule(assigned, "what is written down is handed out", || format!("{:?}", self.step.started))?;
        for (task, ..) in &self.step.started {
            let live = self.open.get(task).into_iter().flat_map(|open| &open.live);
            for peer in live.filter_map(|live| live.peer) {
                let is_watched = self.peers.get(&peer).is_none_or(|peer| peer.is_watched || peer.is_leaving);
                rule(is_watched, "who has something is watched closely", || format!("{peer:?}"))?;
            }
        }
        for (account, known) in &self.known {
            let is_due = known.failures >= 2 && !known.is_convicted;
            rule(!is_due, "two failed checks convict", || format!("{account}: {known:?}"))?;
        }
        Ok(())
    }
}
