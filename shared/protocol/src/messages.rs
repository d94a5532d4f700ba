//! The messages, one enum per direction, and the receipts they carry.
//!
//! A connection opens with netcode's handshake. It takes a connect token, for which the coordinator has recorded the
//! holder's role, account and public name. Then the coordinator sends the first message, `Welcome`. Heartbeats travel
//! on their own channel and never reach the programs' own logic.

use std::fmt;
use std::sync::Arc;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::channels::Channel;
use crate::ids::{Attempt, Digest, KindId, Micros, TaskId, TaskNo};
use crate::money::{Device, Nanos, PriceList, WorkUnits};
use crate::payload::Payload;
use crate::region::Region;

mod bounds;

/// A message that knows the channel it travels on.
pub trait Routed {
    /// The channel this message belongs to.
    fn channel(&self) -> Channel;
}

// ---------------------------------------------------------------------------------------------------------
// game -> coordinator

/// A message from a game to the coordinator.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum GameToServer {
    /// Asks for a task to be done.
    Submit(Submit),
    /// Takes a task back. Work that has begun is charged by the time for which workers have had the task, up to
    /// the task's price. A cancel that arrives after an answer has no effect: the task is done.
    Cancel {
        /// The task to take back.
        task: TaskId,
    },
    /// The player quits: everything in flight is cancelled.
    Leaving,
}

/// One task, as the game asks for it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Submit {
    /// The game's id for it: the idempotency key.
    pub task: TaskId,
    /// What sort of work.
    pub kind: KindId,
    /// Version of the kernel whose answer the game expects.
    pub kernel_version: u16,
    /// Microseconds from `sent_at` within which the outcome is useful; `None` for a patient task.
    pub budget_us: Option<u32>,
    /// The most the gamer will pay for the task.
    pub price_cap: Nanos,
    /// How long the task waited in the game before it was sent, in microseconds.
    pub client_queue_us: u32,
    /// When the task was sent, on the game's clock.
    pub sent_at: Micros,
    /// The encoded spec.
    pub spec: Payload,
    /// Blobs the spec refers to and the coordinator may lack.
    pub blobs: Vec<Vec<u8>>,
}

// ---------------------------------------------------------------------------------------------------------
// coordinator -> game

/// A message from the coordinator to a game.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ServerToGame {
    /// First message after connecting.
    Welcome(GamerWelcome),
    /// The task was not admitted; nothing is charged. The game computes it itself.
    Refused {
        /// The task.
        task: TaskId,
        /// Why.
        refusal: Refusal,
    },
    /// The task was admitted but no outcome will come. Nothing is charged, unless work had begun and either the
    /// game cancelled the task or too much of the account's work was late; the next statement shows the charge.
    Failed {
        /// The task.
        task: TaskId,
        /// Why.
        failure: TaskFailure,
    },
    /// The task is done.
    Done(Done),
    /// The gamer's account as the ledger has durably recorded it, and the network's size; about once a second.
    Statement(GamerStatement),
    /// The coordinator stops taking tasks: the game goes local.
    Closing {
        /// A sentence for the player.
        reason: String,
    },
    /// A connect token for the game's next connection; it replaces the previous one. The link keeps it and does not pass
    /// it on to the game.
    Spare(SpareToken),
}

/// What a game learns on joining.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct GamerWelcome {
    /// The name the coordinator knows this gamer by.
    pub name: String,
    /// What work costs.
    pub prices: PriceList,
    /// The account at this moment.
    pub statement: GamerStatement,
    /// The upper 32 bits of the ids under which this connection asks for new tasks. The number is larger than those of
    /// all earlier connections of the account, with one exception: a coordinator that was killed before it recorded any
    /// task of a connection may give that connection's number again within the same second. So a game goes on counting
    /// its tasks from one connection to the next. Ids under any other number count as used, except under the account's
    /// latest few: the coordinator remembers these few numbers instead of every id ever used.
    pub session: u32,
}

/// A gamer's account and the network around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct GamerStatement {
    /// Charged for finished tasks since the account was opened; durably recorded.
    pub charged: Nanos,
    /// Held for tasks in flight.
    pub held: Nanos,
    /// What is left to spend.
    pub available: Nanos,
    /// Workers connected.
    pub workers: u32,
    /// Round trip between the coordinator and the nearest worker, in whole milliseconds, rounded up; `None`
    /// before one is measured.
    pub nearest_worker_ms: Option<u16>,
    /// Where that worker is, as its owner states it; `None` if the owner states nothing.
    pub nearest_worker_region: Option<Region>,
    /// Gamers connected.
    pub gamers: u32,
}

/// Why a task was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// This coordinator does not offer that kind.
    #[error("the coordinator does not offer this kind of work")]
    UnknownKind,
    /// The coordinator's kernel has another version.
    #[error("the coordinator runs kernel version {ours}")]
    KernelVersion {
        /// The coordinator's version.
        ours: u16,
    },
    /// The spec does not decode or breaks a limit of its kind.
    #[error("the spec is not valid: {reason}")]
    BadSpec {
        /// What is wrong with it.
        reason: String,
    },
    /// The spec refers to blobs the coordinator does not have: send it again with them.
    #[error("the coordinator needs {} blob(s) sent along", missing.len())]
    BlobsMissing {
        /// Digests of the blobs.
        missing: Vec<Digest>,
    },
    /// The task costs more than the gamer's cap for it.
    #[error("the task costs {price}, more than the cap")]
    PriceAboveCap {
        /// What the task would cost.
        price: Nanos,
    },
    /// The account cannot cover the task.
    #[error("the account has only {available} left")]
    BalanceTooLow {
        /// What the account has.
        available: Nanos,
    },
    /// The predicted finish lies after the deadline.
    #[error("predicted to finish {predicted_us} us after submission, too late")]
    TooLate {
        /// Predicted time from submission to delivery, in microseconds.
        predicted_us: u32,
    },
    /// No worker offers this kind and the coordinator is set not to compute or queue it.
    #[error("no worker is available")]
    NoWorker,
    /// The gamer has too many tasks in flight.
    #[error("more than {max} tasks in flight")]
    TooManyInFlight {
        /// The limit.
        max: u32,
    },
    /// The coordinator as a whole is full.
    #[error("the coordinator is full")]
    Full,
    /// The id was used before for a different task, or begins with a session number that the coordinator has
    /// not given to this account recently (see [`GamerWelcome::session`]).
    #[error("the task id was used before for another task, or is not of this session")]
    IdReused,
    /// The coordinator is draining.
    #[error("the coordinator is closing")]
    Closing,
    /// The account has spent what the operator allows in an hour; lifts as that hour moves on.
    #[error("the account's cap of {cap} an hour is reached")]
    HourCapReached {
        /// What any sixty minutes may cost the account.
        cap: Nanos,
    },
}

/// Why an admitted task has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum TaskFailure {
    /// The deadline passed.
    #[error("the deadline passed")]
    Late,
    /// The kernel failed on this spec everywhere it was tried.
    #[error("the kernel fails on this task")]
    KernelFailed,
    /// No worker finished it, and the coordinator is set not to compute.
    #[error("no worker was left for it")]
    NoWorker,
    /// The game cancelled it.
    #[error("cancelled")]
    Cancelled,
    /// The coordinator closed before it was done.
    #[error("the coordinator closed")]
    Closing,
}

/// A finished task.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Done {
    /// The task.
    pub task: TaskId,
    /// The encoded outcome.
    pub outcome: Payload,
    /// What it cost and where its time went.
    pub receipt: Receipt,
}

/// What a finished task cost, who did it, and where its time went.
///
/// The price is held, not charged, until a later [`GamerStatement`] includes it: the ledger records in
/// groups, and the outcome does not wait for the disk.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Receipt {
    /// What the gamer pays.
    pub price: Nanos,
    /// The work units from which the price was computed.
    pub units: WorkUnits,
    /// Version of the price list used.
    pub price_list: u32,
    /// Who computed it.
    pub computed_by: ComputedBy,
    /// The check it passed.
    pub check: PassedCheck,
    /// Attempts made, the successful one included.
    pub attempts: u32,
    /// When the coordinator received the task, on its clock.
    pub received_at: Micros,
    /// When the coordinator sent this receipt, on its clock.
    pub sent_at: Micros,
    /// Where the time between `received_at` and `sent_at` went.
    pub stages: Stages,
}

/// Who computed an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ComputedBy {
    /// A worker, by its public name.
    Worker(Arc<str>),
    /// The coordinator's own kernel.
    Coordinator,
    /// The coordinator's cache; the name is that of the worker that first computed it, if one did.
    Cache(Option<Arc<str>>),
}

/// Which check an outcome passed before it was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PassedCheck {
    /// The kind's always-on check.
    Always,
    /// The always-on check and the sampled deep check.
    Deep,
    /// The coordinator computed it itself.
    Own,
}

/// Where a task's time went, in microseconds. The nine stages add up to the time from submission to
/// delivery as the game's clock measures it.
///
/// The coordinator fills the middle six; the game fills `client_queue`, `uplink` and `downlink`, which only
/// it can measure. Where clocks disagree, network stages absorb the difference, never below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Stages {
    /// In the game, before it was sent.
    pub client_queue_us: u32,
    /// From game to coordinator.
    pub uplink_us: u32,
    /// At the coordinator, before the attempt that succeeded was sent; earlier, lost attempts included.
    pub coordinator_queue_us: u32,
    /// From coordinator to worker.
    pub worker_downlink_us: u32,
    /// At the worker, before the kernel ran.
    pub worker_queue_us: u32,
    /// In the kernel.
    pub kernel_us: u32,
    /// From worker to coordinator, from the end of the kernel on.
    pub worker_uplink_us: u32,
    /// Waiting for and in the check.
    pub judge_us: u32,
    /// From coordinator to game.
    pub downlink_us: u32,
}

impl Stages {
    /// Stage names in order, as reports spell them.
    pub const NAMES: [&'static str; 9] = [
        "client_queue",
        "uplink",
        "coordinator_queue",
        "worker_downlink",
        "worker_queue",
        "kernel",
        "worker_uplink",
        "judge",
        "downlink",
    ];

    /// The stages in the order of [`Stages::NAMES`], in microseconds.
    pub fn to_array(self) -> [u32; 9] {
        [
            self.client_queue_us,
            self.uplink_us,
            self.coordinator_queue_us,
            self.worker_downlink_us,
            self.worker_queue_us,
            self.kernel_us,
            self.worker_uplink_us,
            self.judge_us,
            self.downlink_us,
        ]
    }

    /// All stages together, in microseconds.
    pub fn total_us(self) -> u64 {
        self.to_array().into_iter().map(u64::from).sum()
    }
}

// ---------------------------------------------------------------------------------------------------------
// coordinator -> worker

/// A message from the coordinator to a worker.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ServerToWorker {
    /// First message after connecting.
    Welcome(WorkerWelcome),
    /// An attempt to make.
    Assign(Assign),
    /// The attempt is no longer wanted; an answer to it is not paid.
    Revoke {
        /// The task.
        task: TaskNo,
        /// The attempt.
        attempt: Attempt,
    },
    /// Verdicts since the last statement and the account as durably recorded; at most about once a second.
    Statement(WorkerStatement),
    /// The coordinator closes: finish nothing new.
    Closing {
        /// A sentence for the helper.
        reason: String,
    },
    /// A connect token for the worker's next connection; it replaces the previous one. The link keeps it and does not pass
    /// it on to the worker.
    Spare(SpareToken),
}

/// What a worker learns on joining.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct WorkerWelcome {
    /// The name the coordinator knows this worker by.
    pub name: String,
    /// What work costs gamers; the worker's share is the price less the fee.
    pub prices: PriceList,
    /// The account at this moment.
    pub statement: WorkerStatement,
}

/// One attempt, as the coordinator hands it out.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Assign {
    /// The task.
    pub task: TaskNo,
    /// Which try this is.
    pub attempt: Attempt,
    /// What sort of work.
    pub kind: KindId,
    /// Microseconds from sending within which the answer must be back at the coordinator.
    pub lease_us: u32,
    /// The encoded spec.
    pub spec: Payload,
    /// Blobs the spec refers to that this worker is not known to have.
    pub blobs: Vec<Vec<u8>>,
}

/// What a worker has done on this connection. Its account also covers earlier connections and other workers
/// of the same account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct WorkerSession {
    /// Earned by its accepted attempts; recorded durably some moments later.
    pub earned: Nanos,
    /// Its attempts that were accepted.
    pub accepted: u64,
    /// Its attempts that were rejected.
    pub rejected: u64,
}

/// A worker's account, what this connection did, and its latest verdicts.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct WorkerStatement {
    /// Earned since the account was opened; durably recorded.
    pub earned: Nanos,
    /// The part of `earned` that is not yet available because the fraud window is open.
    pub pending: Nanos,
    /// The part of `earned` that the operator has recorded as paid out.
    pub paid: Nanos,
    /// What this worker has done since it connected.
    pub session: WorkerSession,
    /// Attempts judged since the last statement, newest last, at most [`BATCH_MAX`](crate::limits::BATCH_MAX).
    pub verdicts: Vec<VerdictNotice>,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct VerdictNotice {
    /// The task.
    pub task: TaskNo,
    /// The attempt.
    pub attempt: Attempt,
    /// What the attempt earned; zero unless accepted.
    pub earned: Nanos,
    /// Why it was not accepted, if it was not.
    pub rejected: Option<String>,
}

// ---------------------------------------------------------------------------------------------------------
// worker -> coordinator

/// A message from a worker to the coordinator.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum WorkerToServer {
    /// What the worker can do; sent on joining, whenever it changes, and when it works again after [`Self::Draining`].
    Ready(WorkerOffer),
    /// An answer to an attempt.
    Answer(Answer),
    /// The spec of an attempt refers to blobs the worker does not have: assign it again with them.
    BlobsMissing {
        /// The task.
        task: TaskNo,
        /// The attempt.
        attempt: Attempt,
        /// Digests of the blobs.
        missing: Vec<Digest>,
    },
    /// The worker finishes what it runs and takes nothing more, until it says [`Self::Ready`] again.
    Draining,
}

/// What a worker can do.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerOffer {
    /// Attempts it runs at the same time.
    pub slots: u16,
    /// Kernels it has.
    pub kernels: Vec<KernelOffer>,
    /// Where it is, as its owner states it.
    pub region: Option<Region>,
}

/// One kernel a worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KernelOffer {
    /// The kind.
    pub kind: KindId,
    /// The kernel's version.
    pub version: u16,
    /// What it runs on, which decides what its outcomes cost.
    pub device: Device,
}

/// A worker's answer to one attempt. Its times are telemetry: no money depends on them.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Answer {
    /// The task.
    pub task: TaskNo,
    /// The attempt.
    pub attempt: Attempt,
    /// The encoded outcome, or why there is none.
    pub result: Result<Payload, AttemptFailure>,
    /// When the assignment arrived, on the worker's clock.
    pub received_at: Micros,
    /// When the kernel started, on the worker's clock.
    pub started_at: Micros,
    /// When the kernel ended, on the worker's clock.
    pub finished_at: Micros,
}

/// Why an attempt has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum AttemptFailure {
    /// The kernel panicked, or its process ended because it took too long or too much memory; the worker itself goes on.
    #[error("the kernel panicked")]
    KernelPanicked,
    /// The spec did not decode or the kernel refused it.
    #[error("the kernel refused the spec")]
    BadSpec,
    /// The worker has no free slot.
    #[error("the worker has no free slot")]
    Overloaded,
    /// The worker has no such kernel.
    #[error("the worker has no such kernel")]
    UnknownKind,
}

// ---------------------------------------------------------------------------------------------------------
// coordinator -> both

/// A connect token given in advance over a session, so that a client that was cut off need not fetch one over HTTPS. It is for
/// the same program of the same account, is good once, and lives as long as one from HTTPS.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SpareToken(
    /// The token, as netcode writes it, at most [`CONNECT_TOKEN_BYTES_MAX`](crate::limits::CONNECT_TOKEN_BYTES_MAX).
    pub Vec<u8>,
);

impl fmt::Debug for SpareToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Logs do not show the token, because whoever has it can connect.
        f.write_str("SpareToken")
    }
}

// ---------------------------------------------------------------------------------------------------------
// both directions

/// A heartbeat, on [`Channel::Beat`]. Each side sends its own and echoes the other's newest, which gives both
/// the round trip and the offset between their clocks (the four time stamps of NTP, RFC 5905 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Beat {
    /// Counts the sender's heartbeats.
    pub sequence: u32,
    /// When this heartbeat was sent, on the sender's clock.
    pub sent_at: Micros,
    /// The sender has tasks out and must learn of a dead link fast: the receiver sends heartbeats at the busy
    /// rate too.
    pub busy: bool,
    /// The newest heartbeat the sender has received, if any.
    pub echo: Option<BeatEcho>,
}

/// The newest heartbeat a peer has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BeatEcho {
    /// Its `sent_at`, on the clock of the peer that is being echoed.
    pub sent_at: Micros,
    /// When it arrived, on the echoing peer's clock.
    pub received_at: Micros,
}
