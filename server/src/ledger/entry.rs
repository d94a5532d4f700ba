//! What the coordinator tells the ledger: one entry per step in the life of a task.

use std::fmt;
use std::sync::Arc;

use bincode::{Decode, Encode};
use p2c2r_protocol::{Attempt, Digest, KindId, Nanos, PassedCheck, TaskId, TaskNo, WorkUnits};
use serde::Serialize;

use super::trust::WorkerTrust;

/// The account of a gamer or of a worker, by its number in one ledger.
///
/// Every such account is a pair in the books: what its owner can dispose of, under this number, and what is
/// set aside (held for a gamer's open tasks, pending for a worker), under the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Encode, Decode)]
pub struct AccountId(pub i64);

impl AccountId {
    /// Number of the account that holds what is set aside for this one.
    pub(super) const fn set_aside(self) -> i64 {
        self.0 + 1
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account-{}", self.0)
    }
}

/// One step in the life of a task.
///
/// Order: `TaskAdmitted` first, then attempts in any order, then exactly one of `TaskSettled` and
/// `TaskVoided`. Attempts may still end after that (a hedged answer that comes second and is found wrong).
/// What breaks this order, or repeats an entry, changes nothing in the books and is counted in
/// [`Anomalies`](super::Anomalies).
#[derive(Clone, Debug, Encode)]
pub enum Entry {
    /// The task was admitted: its price is held.
    TaskAdmitted(Admission),
    /// An attempt was handed out.
    AttemptStarted {
        /// The task.
        task: TaskNo,
        /// Which try; 1 to [`ATTEMPT_MAX`].
        attempt: Attempt,
        /// The worker; `None` for the coordinator's own compute.
        worker: Option<AccountId>,
    },
    /// An attempt ended otherwise than by settling its task: `TaskSettled` itself ends the attempt it names
    /// as accepted, and settling or voiding a task ends its other running attempts as
    /// [`Verdict::Unneeded`].
    AttemptEnded {
        /// The task.
        task: TaskNo,
        /// What sort of work it is.
        kind: KindId,
        /// Which try.
        attempt: Attempt,
        /// What became of it.
        verdict: Verdict,
    },
    /// The task is done: what was held is shared out.
    TaskSettled(Settlement),
    /// No outcome will come: what was held goes back.
    TaskVoided {
        /// The task.
        task: TaskNo,
        /// Why.
        reason: VoidReason,
    },
    /// Another worker gave a different answer to a task that is already settled. The kept outcome is deleted, because it is
    /// not known which of the two is right.
    OutcomeDisputed {
        /// The task.
        task: TaskNo,
    },
    /// A worker's new record; replaces the earlier one for the kinds it names. Whether it is in quarantine stays as it is.
    TrustChanged {
        /// The worker.
        worker: AccountId,
        /// Its new record.
        trust: Box<WorkerTrust>,
    },
    /// A worker is convicted: it gets no work, its pending pay returns to the gamers who paid it, or to the coordinator
    /// where they cannot be determined, and its kept outcomes are deleted, including those of earlier entries. Both
    /// happen in bounded steps, which a restart continues; meanwhile the pay is not released and the outcomes are not used.
    WorkerConvicted {
        /// The worker.
        worker: AccountId,
    },
    /// A worker gets work again, as a newcomer: its failures and its accepted answers are both forgotten. The money stays
    /// where it is.
    WorkerForgiven {
        /// The worker.
        worker: AccountId,
    },
}

impl Entry {
    /// Bytes of payload the entry carries beside its own size, for the queue's limit.
    pub(super) fn payload_bytes(&self) -> usize {
        match self {
            Self::TaskAdmitted(admission) => admission.patient.as_ref().map_or(0, |patient| patient.bytes()),
            Self::TaskSettled(settlement) => settlement.outcome.as_ref().map_or(0, |bytes| bytes.len()),
            _ => 0,
        }
    }
}

/// A task as it was admitted.
#[derive(Clone, Debug, Encode)]
pub struct Admission {
    /// The coordinator's number for it; never used before in this ledger.
    pub task: TaskNo,
    /// The gamer who pays.
    pub gamer: AccountId,
    /// The gamer's number for it: with `gamer`, the idempotency key.
    pub game_task: TaskId,
    /// What sort of work.
    pub kind: KindId,
    /// Version of the kernel asked for.
    pub kernel_version: u16,
    /// Digest of kind, kernel version and spec: the key of its outcome in the cache.
    pub key: Digest,
    /// What it is worth.
    pub units: WorkUnits,
    /// What is held for it; at least zero.
    pub price: Nanos,
    /// Version of the price list it was priced by.
    pub price_list: u32,
    /// For a patient task, what is needed to queue it again after a restart. A timely task has none: when the
    /// coordinator dies its hold is voided.
    pub patient: Option<Box<PatientPayload>>,
}

/// What a patient task needs to survive a restart of the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PatientPayload {
    /// The encoded spec.
    pub spec: Arc<[u8]>,
    /// The blobs the spec refers to.
    pub blobs: Vec<Arc<[u8]>>,
}

impl PatientPayload {
    /// How many bytes it is.
    pub fn bytes(&self) -> usize {
        self.spec.len() + self.blobs.iter().map(|blob| blob.len()).sum::<usize>()
    }
}

/// A task as it was settled.
///
/// `pay` and `fee` together are what the gamer is charged, at most the price held; the rest goes back.
#[derive(Clone, Debug, Encode)]
pub struct Settlement {
    /// The task.
    pub task: TaskNo,
    /// Where the outcome came from.
    pub source: ComputedFrom,
    /// What the worker earns; zero unless `source` is a worker.
    pub pay: Nanos,
    /// What the coordinator keeps.
    pub fee: Nanos,
    /// The check the outcome passed.
    pub check: PassedCheck,
    /// The encoded outcome, to be kept for the cache; `None` when it came from there or is not to be kept.
    pub outcome: Option<Arc<[u8]>>,
}

/// Where an outcome came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub enum ComputedFrom {
    /// A worker, in the attempt named. The attempt was started with an `AttemptStarted` that names the same
    /// worker.
    Worker {
        /// The worker.
        worker: AccountId,
        /// Which try.
        attempt: Attempt,
    },
    /// The coordinator's own kernel.
    Coordinator,
    /// The coordinator's cache.
    Cache,
    /// Nobody: there is no outcome. The task was cancelled, or was late through its gamer's fault, and is charged for
    /// the part that was begun.
    Begun,
}

/// What became of an attempt that did not settle its task.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub enum Verdict {
    /// The answer passed its checks (also said by `TaskSettled` itself).
    Accepted,
    /// The answer failed a check: unpaid.
    Rejected {
        /// Name of the check and what was found; cut after
        /// [`REASON_BYTES_MAX`](p2c2r_protocol::limits::REASON_BYTES_MAX) bytes.
        reason: String,
    },
    /// The worker went away.
    Lost,
    /// The lease ran out before an answer came.
    Expired,
    /// The worker said it could not.
    Failed,
    /// The task was settled or voided without it, or goes on without it.
    Unneeded,
}

/// Why a task was voided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Encode)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    /// The deadline passed.
    Late,
    /// The kernel failed everywhere it was tried.
    KernelFailed,
    /// No worker was left and the coordinator is set not to compute.
    NoWorker,
    /// The game cancelled it.
    Cancelled,
    /// The coordinator closed.
    Closing,
    /// The coordinator died; set by the ledger when it opens again.
    Crashed,
    /// The ledger refused how it was to be settled; set by the ledger, counted in its anomalies.
    BadSettlement,
}

impl Verdict {
    /// Its code in the books.
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Accepted => verdict::ACCEPTED,
            Self::Rejected { .. } => verdict::REJECTED,
            Self::Lost => verdict::LOST,
            Self::Expired => verdict::EXPIRED,
            Self::Failed => verdict::FAILED,
            Self::Unneeded => verdict::UNNEEDED,
        }
    }
}

impl VoidReason {
    /// Its code in the books.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Late => 1,
            Self::KernelFailed => 2,
            Self::NoWorker => 3,
            Self::Cancelled => 4,
            Self::Closing => 5,
            Self::Crashed => 6,
            Self::BadSettlement => 7,
        }
    }
}

impl ComputedFrom {
    /// Its code in the books.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Worker { .. } => 1,
            Self::Coordinator => 2,
            Self::Cache => 3,
            Self::Begun => 4,
        }
    }
}

/// Codes of attempts' verdicts in the books; the migration's comments say the same.
pub(super) mod verdict {
    pub const RUNNING: u8 = 0;
    pub const ACCEPTED: u8 = 1;
    pub const REJECTED: u8 = 2;
    pub const LOST: u8 = 3;
    pub const EXPIRED: u8 = 4;
    pub const FAILED: u8 = 5;
    pub const UNNEEDED: u8 = 6;
}

/// Codes of a task's state in the books.
pub(super) mod state {
    pub const OPEN: u8 = 1;
    pub const SETTLED: u8 = 2;
    pub const VOID: u8 = 3;
}

/// Codes of account kinds in the books, and the three accounts that are always there.
pub(super) mod kind {
    pub const BANK: u8 = 1;
    pub const FEE: u8 = 2;
    pub const GAMER: u8 = 3;
    pub const HELD: u8 = 4;
    pub const WORKER: u8 = 5;
    pub const PENDING: u8 = 6;
    pub const PAYOUT: u8 = 7;

    /// Number of the account that holds what workers were paid outside.
    pub const PAYOUT_ACCOUNT: i64 = 0;
    /// Number of the bank's account.
    pub const BANK_ACCOUNT: i64 = 1;
    /// Number of the coordinator's own account.
    pub const FEE_ACCOUNT: i64 = 2;
}

/// Why money moved: codes in the books.
pub(super) mod reason {
    pub const OPENING_CREDIT: u8 = 1;
    pub const HOLD: u8 = 2;
    pub const PAY: u8 = 3;
    pub const FEE: u8 = 4;
    pub const RETURN: u8 = 5;
    pub const RELEASE: u8 = 6;
    pub const GRANT: u8 = 7;
    pub const REVERSAL: u8 = 8;
    pub const PAYOUT: u8 = 9;
    pub const PAYOUT_TAKEN_BACK: u8 = 10;
}

/// The highest attempt number a task can have in the books: attempts are numbered inside their task's number.
pub const ATTEMPT_MAX: u32 = 255;

const _: () = assert!(p2c2r_protocol::limits::ATTEMPTS_PER_TASK_MAX * 2 <= ATTEMPT_MAX, "room for hedges");
