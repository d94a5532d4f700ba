//! Events and effects as plain data, so that a run can be recorded and replayed.
//!
//! Events are recorded in full, except for the checks and kernel runs that the core requested itself: the replay
//! requests them again. Of each effect only a fingerprint is recorded, which suffices to find the first that differs.

use std::collections::HashMap;
use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::{
    Attempt, Micros, PeerId, Role, Submit, TaskId, TaskNo, WorkerOffer, WorkerToServer, wire,
};
use p2c2r_tasks::{Blob, CheckError};
use xxhash_rust::xxh3::Xxh3;

use super::state::gamers::HourCap;
use super::work::{Check, Checked, Computed};
use super::{Effect, Effects, Event, LinkState};
use crate::ledger::{Account, AccountId, AdmissionRoom, CachedOutcome, Committed, PatientTask};

/// An event in its recorded form.
#[derive(Clone, Debug, Encode, Decode)]
pub enum RecordedEvent {
    /// See [`Event::Kept`].
    Kept(CachedOutcome),
    /// See [`Event::Recalled`].
    Recalled(CachedOutcome, u64),
    /// See [`Event::Requeued`].
    Requeued(PatientTask, Account),
    /// See [`Event::Measured`].
    Measured(PeerId, LinkState),
    /// See [`Event::GamerJoined`].
    GamerJoined(PeerId, String, Account, u32, HourCap),
    /// See [`Event::Capped`].
    Capped(PeerId, HourCap),
    /// See [`Event::WorkerJoined`].
    WorkerJoined(PeerId, String, Account, Option<WorkerOffer>),
    /// See [`Event::Renamed`].
    Renamed(PeerId, String),
    /// See [`Event::QuarantineSet`].
    QuarantineSet(AccountId, bool),
    /// See [`Event::Leaving`].
    Leaving(PeerId),
    /// See [`Event::Left`].
    Left(PeerId, Role),
    /// See [`Event::UpdateBegins`].
    UpdateBegins(Option<AdmissionRoom>),
    /// See [`Event::Submitted`].
    Submitted(PeerId, Micros, Submit),
    /// See [`Event::Cancelled`].
    Cancelled(PeerId, TaskId),
    /// See [`Event::Quit`].
    Quit(PeerId),
    /// See [`Event::FromWorker`].
    FromWorker(PeerId, Micros, WorkerToServer),
    /// See [`Event::Checked`]: the task, the attempt, name and detail of the check if it failed, and the time it took.
    Checked(TaskNo, Attempt, Option<(String, String)>, Duration),
    /// See [`Event::Computed`].
    Computed(TaskNo, Option<Vec<u8>>, Option<Vec<u8>>, Duration),
    /// See [`Event::TimePassed`].
    TimePassed,
    /// See [`Event::StatementsDue`].
    StatementsDue(Committed),
    /// See [`Event::Closing`].
    Closing(String),
    /// See [`Event::GivingUp`].
    GivingUp,
}

impl RecordedEvent {
    /// The recorded form of an event.
    pub fn of(event: &Event) -> Self {
        match event {
            Event::Kept(outcome) => Self::Kept(outcome.clone()),
            Event::Recalled { outcome, recorded } => Self::Recalled(outcome.clone(), *recorded),
            Event::Requeued { task, account } => Self::Requeued((**task).clone(), (**account).clone()),
            Event::Measured { peer, link } => Self::Measured(*peer, *link),
            Event::GamerJoined { peer, name, account, session_min, hour_cap } => {
                Self::GamerJoined(*peer, name.clone(), (**account).clone(), *session_min, *hour_cap)
            }
            Event::Capped { peer, hour_cap } => Self::Capped(*peer, *hour_cap),
            Event::WorkerJoined { peer, name, account, offer } => {
                Self::WorkerJoined(*peer, name.clone(), (**account).clone(), offer.clone())
            }
            Event::Renamed { peer, name } => Self::Renamed(*peer, name.clone()),
            Event::QuarantineSet { account, quarantined } => Self::QuarantineSet(*account, *quarantined),
            Event::Leaving { peer } => Self::Leaving(*peer),
            Event::Left { peer, role } => Self::Left(*peer, *role),
            Event::UpdateBegins { room } => Self::UpdateBegins(*room),
            Event::Submitted { peer, received_at, submit, key: _ } => {
                Self::Submitted(*peer, *received_at, submit.clone())
            }
            Event::Cancelled { peer, task } => Self::Cancelled(*peer, *task),
            Event::Quit { peer } => Self::Quit(*peer),
            Event::FromWorker { peer, received_at, message } => {
                Self::FromWorker(*peer, *received_at, message.clone())
            }
            Event::Checked(checked) => {
                let Checked { check, verdict, looked_right: _, left: _, took } = &**checked;
                let failed =
                    verdict.as_ref().err().map(|error| (error.check.to_owned(), error.detail.clone()));
                Self::Checked(check.task, check.attempt, failed, *took)
            }
            Event::Computed(computed) => {
                let outcome = computed.outcome.as_deref().map(<[u8]>::to_vec);
                let left = computed.left.as_ref().map(|blob| blob.bytes().to_vec());
                Self::Computed(computed.task, outcome, left, computed.took)
            }
            Event::TimePassed => Self::TimePassed,
            Event::StatementsDue { committed } => Self::StatementsDue((**committed).clone()),
            Event::Closing { reason } => Self::Closing(reason.clone()),
            Event::GivingUp => Self::GivingUp,
        }
    }

    /// Rebuilds the event. `None` for a verdict on a check that was never requested.
    pub fn into_event(self, asked: &mut PendingChecks) -> Option<Event> {
        Some(match self {
            Self::Kept(outcome) => Event::Kept(outcome),
            Self::Recalled(outcome, recorded) => Event::Recalled { outcome, recorded },
            Self::Requeued(task, account) => {
                Event::Requeued { task: Box::new(task), account: Box::new(account) }
            }
            Self::Measured(peer, link) => Event::Measured { peer, link },
            Self::GamerJoined(peer, name, account, session_min, hour_cap) => {
                Event::GamerJoined { peer, name, account: Box::new(account), session_min, hour_cap }
            }
            Self::Capped(peer, hour_cap) => Event::Capped { peer, hour_cap },
            Self::WorkerJoined(peer, name, account, offer) => {
                Event::WorkerJoined { peer, name, account: Box::new(account), offer }
            }
            Self::Renamed(peer, name) => Event::Renamed { peer, name },
            Self::QuarantineSet(account, quarantined) => Event::QuarantineSet { account, quarantined },
            Self::Leaving(peer) => Event::Leaving { peer },
            Self::Left(peer, role) => Event::Left { peer, role },
            Self::UpdateBegins(room) => Event::UpdateBegins { room },
            Self::Submitted(peer, received_at, submit) => Event::submitted(peer, received_at, submit),
            Self::Cancelled(peer, task) => Event::Cancelled { peer, task },
            Self::Quit(peer) => Event::Quit { peer },
            Self::FromWorker(peer, received_at, message) => Event::FromWorker { peer, received_at, message },
            Self::Checked(task, attempt, failed, took) => {
                let check = asked.checks.remove(&(task, attempt))?;
                let failed = failed.map(|(name, detail)| CheckError::new(asked.name(name), detail));
                // The blob left behind is a function of the outcome, as is whether it looked right.
                let looked_right = failed.is_none() || check.looks_right();
                let left = if failed.is_none() { check.left() } else { None };
                let verdict = failed.map_or(Ok(()), Err);
                Event::Checked(Box::new(Checked { check, verdict, looked_right, left, took }))
            }
            Self::Computed(task, outcome, left, took) => {
                let left = left.map(Blob::new);
                Event::Computed(Computed { task, outcome: outcome.map(Into::into), left, took })
            }
            Self::TimePassed => Event::TimePassed,
            Self::StatementsDue(committed) => Event::StatementsDue { committed: Box::new(committed) },
            Self::Closing(reason) => Event::Closing { reason },
            Self::GivingUp => Event::GivingUp,
        })
    }
}

/// Checks that a replayed core has requested and that have no verdict yet.
#[derive(Default)]
pub struct PendingChecks {
    checks: HashMap<(TaskNo, Attempt), Check>,
    names: HashMap<String, &'static str>,
}

impl PendingChecks {
    /// Takes the requested checks from the effects; the other effects are dropped.
    pub fn take(&mut self, effects: Effects) {
        for effect in effects.others {
            if let Effect::Check(check) = effect {
                self.checks.insert((check.task, check.attempt), check);
            }
        }
    }

    /// Leaks the name of a check to make it `'static`. There are a few dozen names, so the leak is bounded.
    fn name(&mut self, name: String) -> &'static str {
        self.names.entry(name).or_insert_with_key(|name| Box::leak(name.clone().into_boxed_str()))
    }
}

/// Number of effects of each sort, which marks where new ones begin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark([usize; 4]);

impl Mark {
    /// The current numbers.
    pub fn of(effects: &Effects) -> Self {
        let Effects { to_games, to_workers, entries, others } = effects;
        Self([to_games.len(), to_workers.len(), entries.len(), others.len()])
    }
}

/// A fingerprint of each effect since `mark`: messages to games, messages to workers, entries, and the others.
pub fn fingerprints(effects: &Effects, mark: Mark) -> Vec<u64> {
    let [games, workers, entries, others] = mark.0;
    let to_games = effects.to_games[games..].iter().map(of_encoded);
    let to_workers = effects.to_workers[workers..].iter().map(of_encoded);
    let entries = effects.entries[entries..].iter().map(of_encoded);
    let others = effects.others[others..].iter().map(|effect| match effect {
        Effect::Check(check) => of_encoded(&(0_u8, check.task, check.attempt, check.depth)),
        Effect::Compute(kernel) => of_encoded(&(1_u8, kernel.task)),
        Effect::Watch { peer, busy } => of_encoded(&(2_u8, peer, busy)),
    });
    to_games.chain(to_workers).chain(entries).chain(others).collect()
}

/// Debug text of effect `number` since `mark`, in the order of [`fingerprints`].
pub fn describe(effects: &Effects, mark: Mark, number: usize) -> Option<String> {
    let [games, workers, entries, others] = mark.0;
    let to_games =
        effects.to_games[games..].iter().map(|(peer, message)| format!("to game {peer}: {message:?}"));
    let to_workers =
        effects.to_workers[workers..].iter().map(|(peer, message)| format!("to worker {peer}: {message:?}"));
    let entries = effects.entries[entries..].iter().map(|entry| format!("to the ledger: {entry:?}"));
    let others = effects.others[others..].iter().map(|effect| match effect {
        Effect::Check(check) => format!("check {} of {}, {:?}", check.attempt, check.task, check.depth),
        Effect::Compute(kernel) => format!("compute {}", kernel.task),
        Effect::Watch { peer, busy } => format!("watch {peer}: {busy}"),
    });
    to_games.chain(to_workers).chain(entries).chain(others).nth(number)
}

fn of_encoded<T: Encode>(value: &T) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&wire::encode(value));
    hash.digest()
}
