//! Actions in a simulated world, as plain data: a run is a setup and a list of actions, and any subset of the list is a
//! valid run. So a failing run can be shrunk, saved to a file and replayed.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kinds::SimulatedKind;
use crate::config::{Fallback, PatientFallback};

/// What a world begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldSetup {
    /// Seed of the scheduler's draws.
    pub seed: u64,
    /// Gamers' accounts.
    pub gamers: u8,
    /// Workers' accounts.
    pub workers: u8,
    /// Nano-dollars that each gamer is given.
    pub credit: i64,
    /// What happens to timely tasks that no worker can do in time.
    pub fallback: Fallback,
    /// Runs of the own kernel at the same time, and as many may wait.
    pub threads: u8,
    /// Outcomes kept for reuse.
    pub cache_entries: u16,
    /// Time for deep checks, in per cent of a core.
    pub checking_percent: f64,
    /// Work units of the largest task.
    pub units_max: u64,
    /// Hourly spending cap of each gamer, in nano-dollars; `None` for no cap.
    #[serde(default)]
    pub hour_cap: Option<i64>,
    /// What happens to patient tasks while no worker offers their kind; where they are computed, only every other worker
    /// offers all kinds.
    #[serde(default)]
    pub patient_fallback: PatientFallback,
}

/// The account that connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerChoice {
    /// The gamer of this number.
    Gamer(u8),
    /// The worker of this number.
    Worker(u8),
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// To the coordinator.
    Up,
    /// From it.
    Down,
}

/// What the network does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PacketFate {
    /// It arrives.
    Arrives,
    /// It arrives, and once more later.
    ArrivesTwice,
    /// It is lost.
    IsLost,
}

/// What a worker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// An outcome that passes every check.
    Rightly,
    /// An outcome that at least a deep check finds wrong.
    Wrongly,
    /// That its kernel failed.
    Fails,
    /// That it has no slot.
    Overloaded,
    /// Nothing, for ever.
    Silent,
}

/// An action. List indices (`at`, `back`) wrap around, so that every action is valid in every world; on an empty list
/// it does nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WorldAction {
    /// Time passes, and the scheduler is told.
    Pass {
        /// Microseconds.
        us: u64,
    },
    /// Time passes, but the next action reaches the scheduler before `TimePassed` does.
    Later {
        /// Microseconds.
        us: u64,
    },
    /// The clock that the scheduler is shown steps back until time has caught up.
    StepBack {
        /// Microseconds.
        us: u64,
    },
    /// The wall clock of the ledger's machine steps.
    Wall {
        /// Seconds, backwards if negative.
        seconds: i64,
    },
    /// Another program of an account connects.
    Connect(PeerChoice),
    /// A connection ends.
    Cut {
        /// Which, of all.
        at: u16,
    },
    /// A worker announces that it drains.
    Drains {
        /// Which connection, of all.
        at: u16,
    },
    /// A round trip is measured.
    Measure {
        /// Which connection, of all.
        at: u16,
        /// Microseconds.
        rtt_us: u32,
    },
    /// A game asks for a task.
    Submit {
        /// Which gamer.
        gamer: u8,
        /// What sort of work.
        kind: SimulatedKind,
        /// Content of the task: tasks of one kind are equal if number, units and `is_sly` are equal.
        number: u64,
        /// What it is worth.
        units: u64,
        /// Whether only a deep check tells a wrong answer.
        is_sly: bool,
        /// Microseconds it is worth waiting for; `None` for a patient task.
        budget_us: Option<u32>,
        /// The most its gamer pays.
        cap: i64,
    },
    /// A game asks again for one of its latest tasks, under the same id.
    Repeat {
        /// Which gamer.
        gamer: u8,
        /// How many submits ago.
        back: u8,
        /// Whether it asks for something else under that id.
        is_changed: bool,
    },
    /// A game takes one of its latest tasks back.
    Cancel {
        /// Which gamer.
        gamer: u8,
        /// How many submits ago.
        back: u8,
    },
    /// The operator grants a gamer's account some more.
    Grant {
        /// Which gamer.
        gamer: u8,
        /// Nano-dollars.
        nanos: i64,
    },
    /// The operator caps what an hour may cost a gamer's account.
    Cap {
        /// Which gamer.
        gamer: u8,
        /// Nano-dollars; `None` for the cap that everybody has.
        cap: Option<i64>,
    },
    /// The operator renames a worker's account.
    Rename {
        /// Which worker.
        worker: u8,
        /// What it is called from now on.
        name: u8,
    },
    /// A worker says that it lacks the blobs of an attempt that it has.
    Lacks {
        /// Which of all that workers have.
        at: u16,
    },
    /// A player quits.
    Quit {
        /// Which gamer.
        gamer: u8,
    },
    /// A packet under way arrives, is duplicated or is lost.
    Packet {
        /// Which way.
        way: Way,
        /// Which of those under way.
        at: u16,
        /// What becomes of it.
        fate: PacketFate,
    },
    /// Packets of these peers are held up in both directions, by their number modulo 64.
    Split {
        /// A bit for each.
        peers: u64,
    },
    /// The network is whole again.
    Heal,
    /// A worker answers an attempt that it has.
    Answer {
        /// Which of all that workers have.
        at: u16,
        /// How.
        how: How,
    },
    /// A worker gives an answer that it gave before once more.
    AnswerAgain {
        /// How many answers ago.
        back: u8,
    },
    /// A worker answers an attempt that another one has.
    Forge {
        /// Which attempt of all that workers have.
        at: u16,
        /// Which connection answers, of all.
        by: u16,
    },
    /// The pool has finished a check.
    Check {
        /// Which of those under way.
        at: u16,
    },
    /// The pool has finished an own kernel.
    Compute {
        /// Which of those under way.
        at: u16,
        /// Whether it failed.
        fails: bool,
    },
    /// The ledger records some of what waits to be recorded.
    Record {
        /// How many entries at the most.
        entries: u16,
    },
    /// The scheduler is told what the ledger has recorded.
    Tell,
    /// The coordinator dies and another one starts with what is on disk.
    Crash,
    /// The coordinator closes in order and another one starts.
    Restart,
    /// The operator convicts a worker, or takes a conviction back.
    Judge {
        /// Which worker.
        worker: u8,
        /// Whether it is quarantined.
        quarantined: bool,
    },
    /// Faults end: the network heals, honest workers connect, and time passes until nothing is left to do.
    Calm,
}

/// A run: what a world began with, and what happened in it.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedRun {
    /// What it began with.
    pub setup: WorldSetup,
    /// What happened.
    pub actions: Vec<WorldAction>,
}

impl SimulatedRun {
    /// Writes it to a file that people can read: the setup, then one action a line.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string(&self.setup)?;
        for action in &self.actions {
            let _ = write!(text, "\n{}", serde_json::to_string(action)?);
        }
        text.push('\n');
        std::fs::write(path, text)
    }

    /// Reads what [`SimulatedRun::save`] wrote.
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let setup = serde_json::from_str(lines.next().unwrap_or_default())?;
        let actions = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self { setup, actions })
    }
}
