//! What the core is told: everything it knows of the world comes in as one of these.

use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::{Micros, PeerId, Role, Submit, TaskId, WorkerOffer, WorkerToServer};

use super::state::gamers::HourCap;
use super::work::{Checked, Computed};
use crate::ledger::{self, AccountId, AdmissionRoom, CachedOutcome, Committed, PatientTask};

/// Something that happened.
pub enum Event {
    /// An outcome from before the start, to be reused.
    Kept(CachedOutcome),
    /// A patient task from before the start, and the account that pays for it.
    Requeued {
        /// The task, whose price the ledger still holds.
        task: Box<PatientTask>,
        /// The account.
        account: Box<ledger::Account>,
    },
    /// A connection was measured, and differs from what was known of it.
    Measured {
        /// Whose connection.
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
        /// What an hour may cost its account.
        hour_cap: HourCap,
    },
    /// The operator has said what an hour may cost the account of a gamer.
    Capped {
        /// A connection of the account.
        peer: PeerId,
        /// What it may.
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
        /// What it has said that it offers, if it has.
        offer: Option<WorkerOffer>,
    },
    /// The operator has given an account another public name.
    Renamed {
        /// A connection of the account.
        peer: PeerId,
        /// The name.
        name: String,
    },
    /// The operator has said that a worker's account gets no more work, or again some; the ledger has it so.
    Judged {
        /// The account.
        account: AccountId,
        /// Which of both.
        quarantined: bool,
    },
    /// A connection is gone; what came before it went is still to be heard.
    Leaving {
        /// Which.
        peer: PeerId,
    },
    /// A connection is gone, and nothing more comes from it.
    Left {
        /// Which.
        peer: PeerId,
        /// Whether it was a gamer's or a worker's.
        role: Role,
    },
    /// Messages of another update follow: what looking at them may take is counted anew.
    UpdateBegins {
        /// Admissions that the ledger would record in this update; `None` if it has stopped recording.
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
    },
    /// A game takes a task back.
    Cancelled {
        /// Its connection.
        peer: PeerId,
        /// The task, as the game calls it.
        task: TaskId,
    },
    /// A player quits: everything timely in flight is taken back.
    Quit {
        /// Its connection.
        peer: PeerId,
    },
    /// A worker says something.
    FromWorker {
        /// Its connection.
        peer: PeerId,
        /// When the message arrived.
        received_at: Micros,
        /// What it says.
        message: WorkerToServer,
    },
    /// A verdict on an outcome that an effect asked to be checked.
    Checked(Checked),
    /// What became of an own kernel that an effect asked to be run.
    Computed(Computed),
    /// Time has passed: what is due is done, and what waits is handed out.
    TimePassed,
    /// What the ledger has recorded is to be told to those it concerns.
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

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LinkState {
    /// Smoothed round trip; zero until one is measured.
    pub rtt: Duration,
    /// The coordinator's clock less the peer's, in microseconds, once it is known.
    pub clock_offset_us: Option<i64>,
}
