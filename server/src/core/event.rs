//! The core's inputs: everything it knows of the world arrives as one of these.

use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::{Digest, Micros, PeerId, Role, Submit, TaskId, WorkerOffer, WorkerToServer};

use super::state::gamers::HourCap;
use super::task_key;
use super::work::{Checked, Computed};
use crate::ledger::{self, AccountId, AdmissionRoom, CachedOutcome, Committed, PatientTask};

/// Something that happened.
pub enum Event {
    /// An outcome from before the coordinator's start, to be reused.
    Kept(CachedOutcome),
    /// An outcome that memory had no room for, read from the ledger to be reused.
    Recalled {
        /// The outcome.
        outcome: CachedOutcome,
        /// Number of entries that the ledger had recorded before the read; later entries may have revoked the outcome.
        recorded: u64,
    },
    /// A patient task from before the coordinator's start, and the account that pays for it.
    Requeued {
        /// The task, whose price the ledger still holds.
        task: Box<PatientTask>,
        /// The account.
        account: Box<ledger::Account>,
    },
    /// A connection was measured, and the measurements have changed.
    Measured {
        /// The connection.
        peer: PeerId,
        /// What was measured.
        link: LinkState,
    },
    /// A gamer has joined, and the ledger has its account.
    GamerJoined {
        /// Its connection.
        peer: PeerId,
        /// Its public name.
        name: String,
        /// Its account.
        account: Box<ledger::Account>,
        /// The least session number it may be given.
        session_min: u32,
        /// The hourly spending cap of its account.
        hour_cap: HourCap,
    },
    /// The operator has set the hourly spending cap of a gamer's account.
    Capped {
        /// A connection of the account.
        peer: PeerId,
        /// The cap.
        hour_cap: HourCap,
    },
    /// A worker has joined, and the ledger has its account.
    WorkerJoined {
        /// Its connection.
        peer: PeerId,
        /// Its public name.
        name: String,
        /// Its account.
        account: Box<ledger::Account>,
        /// Its offer, if it has sent one already.
        offer: Option<WorkerOffer>,
    },
    /// The operator has given an account another public name.
    Renamed {
        /// A connection of the account.
        peer: PeerId,
        /// The name.
        name: String,
    },
    /// The operator has quarantined a worker's account or lifted its quarantine; the ledger has recorded it.
    QuarantineSet {
        /// The account.
        account: AccountId,
        /// Whether it is quarantined from now on.
        quarantined: bool,
    },
    /// A connection has ended; messages received from it before are still to be handled.
    Leaving {
        /// The connection.
        peer: PeerId,
    },
    /// A connection has ended and all its messages have been handled.
    Left {
        /// The connection.
        peer: PeerId,
        /// Whether it was a gamer's or a worker's.
        role: Role,
    },
    /// The messages of a new update follow: the budget for examining submits starts afresh.
    UpdateBegins {
        /// Admissions for which the ledger has room in this update; `None` if it has stopped recording.
        room: Option<AdmissionRoom>,
    },
    /// A game asks for a task.
    Submitted {
        /// Its connection.
        peer: PeerId,
        /// When the message arrived.
        received_at: Micros,
        /// What it asks for.
        submit: Submit,
        /// Digest of kind, kernel version and spec.
        key: Digest,
    },
    /// A game cancels a task.
    Cancelled {
        /// Its connection.
        peer: PeerId,
        /// The task, as the game calls it.
        task: TaskId,
    },
    /// A player quits: all its timely tasks in flight are cancelled.
    Quit {
        /// Its connection.
        peer: PeerId,
    },
    /// A worker has sent a message.
    FromWorker {
        /// Its connection.
        peer: PeerId,
        /// When the message arrived.
        received_at: Micros,
        /// The message.
        message: WorkerToServer,
    },
    /// A verdict on an outcome that an effect asked to be checked. Boxed, because it is twice as large as any other event.
    Checked(Box<Checked>),
    /// The result of a kernel run that an effect requested.
    Computed(Computed),
    /// Time has passed: timers that are due fire, and waiting tasks are assigned.
    TimePassed,
    /// Account statements are due, about what the ledger has recorded.
    StatementsDue {
        /// What was recorded since the last time.
        committed: Box<Committed>,
    },
    /// The coordinator closes: nothing new is admitted, and everyone is told why.
    Closing {
        /// What peers are told.
        reason: String,
    },
    /// Timely tasks still in flight are given up; patient ones stay open in the ledger, for the next start.
    GivingUp,
}

impl Event {
    /// A game at `peer` asks for a task.
    pub fn submitted(peer: PeerId, received_at: Micros, submit: Submit) -> Self {
        let key = task_key(submit.kind, submit.kernel_version, &submit.spec);
        Self::Submitted { peer, received_at, submit, key }
    }
}

/// Measurements of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LinkState {
    /// Smoothed round trip; zero until one is measured.
    pub rtt: Duration,
    /// The coordinator's clock minus the peer's, in microseconds; `None` until it is measured.
    pub clock_offset_us: Option<i64>,
}
