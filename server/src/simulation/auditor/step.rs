//! One step as the auditor sees it: its cause, its effects, and the peers and answers involved.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use p2c2r_protocol::{Attempt, KindId, Nanos, PassedCheck, PeerId, Role, Submit, TaskId, TaskNo};

use super::tasks::Open;
use crate::ledger::AccountId;

/// An answer that a worker gave.
#[derive(Clone, Debug)]
pub struct Given {
    /// The outcome; `None` if it said that it cannot.
    pub outcome: Option<Arc<[u8]>>,
    /// Whether that is right.
    pub is_right: bool,
    /// Whether the always-on check lets it pass.
    pub looks_right: bool,
    /// Whether it said that it has no slot.
    pub is_overloaded: bool,
}

/// The same, once it has arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub given: Given,
    pub account: AccountId,
    /// Whether everything that its worker answers had to be checked deeply then.
    pub is_on_probation: bool,
    /// Whether its worker was certainly past probation then. Where both are false, the auditor does not know.
    pub is_proven: bool,
}

/// The cause of a step.
#[derive(Clone, Debug, Default)]
pub enum StepCause {
    /// Anything that no rule asks about.
    #[default]
    Other,
    /// A game asked for a task.
    Submitted {
        /// Its connection.
        peer: PeerId,
        /// What it asked for.
        submit: Submit,
        /// What the task is worth.
        units: u64,
    },
    /// A game took one task back.
    Cancelled(AccountId, TaskId),
    /// A player quit, or a gamer's connection ended: what came by it is taken back.
    GamerGone(PeerId),
    /// A worker's connection ended.
    WorkerGone(PeerId),
    /// A worker said that it lacks the blobs of an attempt; the task by the number under which workers know it.
    Lacks(PeerId, TaskNo, Attempt),
    /// A gamer joined.
    GamerJoined(PeerId),
    /// Time passed.
    TimePassed,
    /// The coordinator gives up what is timely.
    GivingUp,
}

/// A task that ended with an outcome, as its game must be told.
#[derive(Clone)]
pub(super) struct Finished {
    pub charged: Nanos,
    pub outcome: Option<Arc<[u8]>>,
    /// The worker that computed the outcome; `None` for the coordinator, and for a reused outcome.
    pub maker: Option<AccountId>,
    /// If it was computed for an equal task: the outcomes that it may be, and their workers.
    pub reused: Vec<GivenOutcome>,
    pub check: PassedCheck,
    /// Its gamer was sent it: from here on it is the gamer's.
    pub is_sent: bool,
    /// Whether its worker, or one that may be its worker, was convicted before that.
    pub may_be_withdrawn: bool,
}

impl Finished {
    /// A worker was convicted: what of it was not sent is given to nobody.
    pub fn withdraw(&mut self, worker: AccountId) {
        if self.is_sent {
            return;
        }
        if self.maker == Some(worker) {
            (self.outcome, self.may_be_withdrawn) = (None, true);
        }
        let before = self.reused.len();
        self.reused.retain(|(_, maker)| *maker != Some(worker));
        self.may_be_withdrawn |= self.reused.len() < before;
    }
}

/// An outcome that may be given to others, and the worker that computed it; `None` for the coordinator.
pub(super) type GivenOutcome = (Arc<[u8]>, Option<AccountId>);

/// What makes tasks equal: the kind and the spec.
pub(super) type Asked = (KindId, Arc<[u8]>);

/// A peer as the link knows it.
pub(super) struct Peer {
    pub role: Role,
    pub account: AccountId,
    pub is_leaving: bool,
    pub is_draining: bool,
    /// The link was asked to watch it closely.
    pub is_watched: bool,
    /// Blobs that a worker was sent.
    pub blobs: HashSet<Vec<u8>>,
}

/// What one step led to.
#[derive(Default)]
pub(super) struct AuditedStep {
    pub cause: StepCause,
    pub admitted: Option<TaskNo>,
    /// What workers are sent and what the pool is given, under the numbers by which those know the tasks.
    pub handed_out: HashSet<(TaskNo, Attempt)>,
    pub computed_here: HashSet<TaskNo>,
    /// The pool was given a kernel run that does not give way, or so many checks that they need all threads.
    pub is_pool_needed: bool,
    /// Attempts of workers that began.
    pub started: Vec<(TaskNo, Attempt, AccountId)>,
    /// The newest task that ended without an outcome, as it was then: a task that inherits its attempts does so in the same
    /// step.
    pub given_up: Option<Open>,
    /// Kind and spec of the tasks that ended with an outcome which others may be given.
    pub shareable: Vec<Asked>,
    pub assigned: usize,
    /// Attempts that are over, and the peers that still have them.
    pub unwanted: Vec<(PeerId, TaskNo, Attempt)>,
    pub revoked: Vec<(PeerId, TaskNo, Attempt)>,
    /// Tasks that ended, and the connections they came by.
    pub ended: HashMap<(AccountId, TaskId), Option<PeerId>>,
    pub told: HashSet<(AccountId, TaskId)>,
    pub is_refused: bool,
}
