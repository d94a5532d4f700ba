//! A world: the scheduler, the real ledger in a temporary file, gamers, workers, and a simulated network.
//!
//! Nothing here is random: the same actions have the same effects, so that a run can be replayed. Each write to the
//! ledger waits for the disk, and time advances only by actions.

mod acting;
mod network;
mod restarting;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2c2r_protocol::{
    AccountKey, Answer, Assign, Attempt, Digest, Micros, Nanos, PeerId, PriceList, Refusal, Role,
    ServerToGame, ServerToWorker, Submit, TaskId, TaskNo,
};
use tempfile::TempDir;

use super::action::{PeerChoice, Way, WorldSetup};
use super::auditor::{Audit, Auditor, BrokenPromise, Given, StepCause};
use super::kinds::{self, SimulatedKind};
use crate::ServerConfig;
use crate::config::TrustRules;
use crate::core::state::gamers::HourCap;
use crate::core::work::{Check, KernelRun};
use crate::core::{Core, Effect, Effects, Event, Policy};
use crate::ledger::{
    Account, AccountId, Entry, Ledger, LedgerClock, LedgerOptions, OutcomeReader, ReadOutcome,
};

/// Nano-dollars for so many units, on cores and on graphics processors: no round figures, so that rounding shows.
pub const CORES_RATE: u64 = 1_234_567;
/// See [`CORES_RATE`].
pub const GRAPHICS_RATE: u64 = 123_457;
/// See [`CORES_RATE`].
pub const RATE_UNITS: u64 = 1_000_000;
/// Submits and answers remembered for repeating them.
const REMEMBERED: usize = 64;
/// Longer than any world lasts, so that no pay is released and a conviction takes back all of it.
const FRAUD_WINDOW: Duration = Duration::from_hours(10_000);
/// When a world begins, in seconds since 1970.
const BEGINS_S: u64 = 1_800_000_000;

/// Whether this worker computes on a graphics processor what can be.
pub fn is_graphics(account: AccountId) -> bool {
    account.0 / 2 % 3 == 0
}

/// The owner of an account.
struct Person {
    key: AccountKey,
    role: Role,
    name: String,
    /// What an hour may cost it, if it is a gamer.
    hour_cap: HourCap,
    /// Its number, once it has joined.
    account: Option<AccountId>,
    /// Its latest submits, the newest first.
    asked: VecDeque<Submit>,
}

/// A connection.
struct Connection {
    who: PeerChoice,
    account: AccountId,
    /// A gamer's session number.
    session: Option<u32>,
}

/// A packet to the coordinator.
#[derive(Clone)]
enum Up {
    Submit(Submit),
    Cancel(TaskId),
    Quit,
    Answer(Answer, Given),
    Lacks(TaskNo, Attempt, Vec<Digest>),
    Draining,
}

/// A packet from the coordinator to a worker; what games are told changes nothing here.
#[derive(Clone)]
enum Down {
    Assign(Assign),
    Revoke(TaskNo, Attempt),
}

/// A world.
pub struct World {
    setup: WorldSetup,
    core: Core,
    effects: Effects,
    auditor: Auditor,
    ledger: Ledger,
    reader: OutcomeReader,
    /// Outcomes that were read and of which the scheduler is told later.
    slow_reads: Vec<ReadOutcome>,
    folder: TempDir,
    /// Coordinators so far.
    starts: u64,
    /// Time that has passed, in microseconds; the ledger's clock reads it too.
    now: Arc<AtomicU64>,
    /// By how much the clock that the scheduler is shown is behind.
    behind: u64,
    /// By how many seconds the wall clock is off, plus a large number.
    wall_s: Arc<AtomicU64>,
    /// Entries that the ledger has not been given.
    unrecorded: Vec<Entry>,
    gamers: Vec<Person>,
    /// One more than the setup says: the last one is honest and connects in the final calm.
    workers: Vec<Person>,
    connections: BTreeMap<PeerId, Connection>,
    next_peer: u64,
    next_task: u32,
    /// Grants so far, which are their references.
    grants: u128,
    up: VecDeque<(PeerId, Up)>,
    down: VecDeque<(PeerId, Down)>,
    /// Peers that are cut off, by their number modulo 64.
    split: u64,
    /// Attempts that workers have.
    held: Vec<(PeerId, Assign)>,
    answers: VecDeque<(PeerId, Answer, Given)>,
    checks: Vec<Check>,
    kernels: Vec<KernelRun>,
}

fn policy(setup: &WorldSetup) -> Policy {
    let config = ServerConfig {
        kinds: kinds::kinds(),
        prices: PriceList {
            version: 7,
            nanos_per_mega_unit: vec![
                (SimulatedKind::Square.id(), CORES_RATE),
                (SimulatedKind::Tenfold.id(), CORES_RATE),
            ],
            graphics_nanos_per_mega_unit: vec![(SimulatedKind::Tenfold.id(), GRAPHICS_RATE)],
            fee_basis_points: 1_000,
        },
        fallback: setup.fallback,
        patient_fallback: setup.patient_fallback,
        hour_cap: setup.hour_cap.map(Nanos),
        // No failure is forgotten while the world lasts.
        trust: TrustRules {
            budget_percent: setup.checking_percent,
            forgotten_after_checks: 1 << 40,
            ..TrustRules::default()
        },
        cache_entries_max: usize::from(setup.cache_entries),
        ..ServerConfig::default()
    };
    Policy {
        compute_threads: usize::from(setup.threads),
        compute_waiting_max: usize::from(setup.threads),
        ..config.policy()
    }
}

fn person(role: Role, number: u8) -> Person {
    let name = format!("{role} {number}");
    let key = AccountKey(Digest::of(name.as_bytes()).0);
    Person { key, role, name, hour_cap: HourCap::AsEverybody, account: None, asked: VecDeque::new() }
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(setup: &WorldSetup) -> Result<Self, BrokenPromise> {
        let folder = scratch();
        let (now, wall_s) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(BEGINS_S)));
        let (ledger, reader) = open_ledger(&folder, 0, &now, &wall_s)?;
        let core = Core::new(policy(setup), ledger.next_task_no(), seed(setup, 0));
        Ok(Self {
            core,
            effects: Effects::default(),
            auditor: Auditor::new(setup),
            ledger,
            reader,
            slow_reads: Vec::new(),
            folder,
            starts: 0,
            now,
            behind: 0,
            wall_s,
            unrecorded: Vec::new(),
            gamers: (0..setup.gamers).map(|number| person(Role::Gamer, number)).collect(),
            workers: (0..=setup.workers).map(|number| person(Role::Worker, number)).collect(),
            connections: BTreeMap::new(),
            next_peer: 1,
            next_task: 0,
            grants: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            split: 0,
            held: Vec::new(),
            answers: VecDeque::new(),
            checks: Vec::new(),
            kernels: Vec::new(),
            setup: setup.clone(),
        })
    }

    /// What it began with.
    pub fn setup(&self) -> &WorldSetup {
        &self.setup
    }

    /// What has happened in it.
    pub fn auditor(&self) -> &Auditor {
        &self.auditor
    }

    /// Connections.
    pub fn peers(&self) -> usize {
        self.connections.len()
    }

    /// Packets under way.
    pub fn packets(&self, way: Way) -> usize {
        match way {
            Way::Up => self.up.len(),
            Way::Down => self.down.len(),
        }
    }

    /// Whether some peers are cut off.
    pub fn is_split(&self) -> bool {
        self.split != 0
    }

    /// Attempts that workers have.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The number of the worker that has the attempt at this place.
    pub fn holder(&self, at: u16) -> Option<usize> {
        let (peer, _) = self.held.get(wrapped(at, self.held.len())?)?;
        match self.connections.get(peer)?.who {
            PeerChoice::Worker(number) => Some(usize::from(number)),
            PeerChoice::Gamer(_) => None,
        }
    }

    /// Checks under way.
    pub fn checks(&self) -> usize {
        self.checks.len()
    }

    /// Own kernels under way.
    pub fn kernels(&self) -> usize {
        self.kernels.len()
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The time that the scheduler is shown.
    fn shown(&self) -> Micros {
        Micros(self.now().saturating_sub(self.behind).max(1))
    }

    /// Has the scheduler handle an event, has the auditor check the effects, and carries them out.
    fn tell(&mut self, cause: StepCause, event: Event) -> Audit {
        let shown = self.shown();
        self.auditor.begin(shown.0, cause);
        self.core.handle(shown, event, &mut self.effects);
        self.auditor.effects(&self.effects)?;
        let effects = std::mem::take(&mut self.effects);
        for (peer, message) in effects.to_games {
            match message {
                ServerToGame::Welcome(welcome) => {
                    if let Some(it) = self.connections.get_mut(&peer) {
                        it.session = Some(welcome.session);
                    }
                }
                ServerToGame::Refused { task, refusal: Refusal::BlobsMissing { .. } } => {
                    self.submit_with_blobs(peer, task);
                }
                _ => {}
            }
        }
        for (peer, message) in effects.to_workers {
            match message {
                ServerToWorker::Assign(assign) => self.down.push_back((peer, Down::Assign(assign))),
                ServerToWorker::Revoke { task, attempt } => {
                    self.down.push_back((peer, Down::Revoke(task, attempt)));
                }
                _ => {}
            }
        }
        self.unrecorded.extend(effects.entries);
        for effect in effects.others {
            match effect {
                Effect::Check(check) => self.checks.push(check),
                Effect::Compute(kernel) => self.kernels.push(kernel),
                Effect::Watch { .. } => {}
            }
        }
        let next_due = self.core.next_due().map(|due| due.0);
        self.auditor.end(next_due)
    }

    /// Has the ledger record the first of what waits for it.
    fn record(&mut self, entries: usize) -> Audit {
        let mut group: Vec<Entry> = self.unrecorded.drain(..entries.min(self.unrecorded.len())).collect();
        let convictions = group.iter().filter(|entry| matches!(entry, Entry::WorkerConvicted { .. })).count();
        self.auditor.recorded(&group)?;
        self.ledger
            .append_all(&mut group)
            .map_err(|error| broken("the ledger takes what it is given", error))?;
        self.flush(convictions)?;
        let anomalies = self.ledger.progress().anomalies;
        if anomalies.total() == 0 {
            Ok(())
        } else {
            Err(broken("nothing is written down that cannot be", format!("{anomalies:?}")))
        }
    }

    /// Waits for the disk, and until the reversals of `convictions` workers are done, each of which takes groups of its
    /// own.
    fn flush(&self, convictions: usize) -> Audit {
        for _ in 0..=2 * convictions {
            self.ledger.flush().map_err(|error| broken("the ledger records", error))?;
        }
        Ok(())
    }

    /// Tells the scheduler what the ledger has recorded, which must be what the auditor expects.
    fn tell_recorded(&mut self) -> Audit {
        let committed = self.ledger.drain_committed();
        for account in &committed.accounts {
            self.auditor.durable.agree(account)?;
        }
        self.auditor.durable.agree_on_fee(committed.totals.fee)?;
        self.tell_slow_reads()?;
        self.auditor.told();
        self.tell(StepCause::Other, Event::StatementsDue { committed: Box::new(committed) })
    }

    /// Checks that the ledger and the auditor agree on every account.
    fn agree(&self) -> Audit {
        for account in self.auditor.durable.accounts() {
            let found = self.ledger.account(account).map_err(|error| broken("the ledger answers", error))?;
            self.auditor.durable.agree(&found)?;
        }
        self.auditor.durable.agree_on_fee(self.ledger.totals().fee)
    }

    fn person(&mut self, who: PeerChoice) -> &mut Person {
        match who {
            PeerChoice::Gamer(number) => {
                let at = usize::from(number) % self.gamers.len();
                &mut self.gamers[at]
            }
            PeerChoice::Worker(number) => {
                let at = usize::from(number) % self.workers.len();
                &mut self.workers[at]
            }
        }
    }

    /// The account of somebody, as the ledger has it once all that was decided is recorded.
    fn account(&mut self, who: PeerChoice) -> Result<Account, BrokenPromise> {
        self.record(usize::MAX)?;
        let credit = Nanos(self.setup.credit);
        let Person { key, role, name, .. } = self.person(who);
        let (key, role, name) = (*key, *role, name.clone());
        let account = self.ledger.open_account(role, key, &name, credit);
        let account = account.map_err(|error| broken("whoever joins has an account", error))?;
        if self.person(who).account.replace(account.id).is_none() {
            self.auditor.opened(account.id, role, account.available);
        }
        Ok(account)
    }
}

/// A folder for ledgers, in memory if possible: no power cut is simulated here, so waiting for a disk would test
/// nothing.
fn scratch() -> TempDir {
    let in_memory = std::path::Path::new("/dev/shm");
    let folder = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
    folder.or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

fn wrapped(at: u16, length: usize) -> Option<usize> {
    (length > 0).then(|| usize::from(at) % length)
}

fn broken(rule: &'static str, why: impl std::fmt::Display) -> BrokenPromise {
    BrokenPromise { rule, what: why.to_string() }
}

fn seed(setup: &WorldSetup, starts: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
    seed[8..16].copy_from_slice(&(setup.seed ^ starts.rotate_left(32)).to_le_bytes());
    seed[16..24].copy_from_slice(&starts.to_le_bytes());
    seed
}

fn file(folder: &TempDir, starts: u64) -> PathBuf {
    folder.path().join(format!("results-{starts}.db"))
}

fn open_ledger(
    folder: &TempDir,
    starts: u64,
    now: &Arc<AtomicU64>,
    wall_s: &Arc<AtomicU64>,
) -> Result<(Ledger, OutcomeReader), BrokenPromise> {
    let (running, wall) = (Arc::clone(now), Arc::clone(wall_s));
    let clock = LedgerClock::new(
        move || Duration::from_secs(wall.load(Ordering::Relaxed)),
        move || Duration::from_micros(running.load(Ordering::Relaxed)),
        Some(1),
    );
    let options = LedgerOptions {
        group_commit: Duration::from_millis(1),
        fraud_window: FRAUD_WINDOW,
        clock,
        ..LedgerOptions::default()
    };
    let opened = Ledger::open(&file(folder, starts), options, || {});
    let ledger = opened.map_err(|error| broken("the book opens", error))?;
    let reader = ledger.read_outcomes(|| {}).map_err(|error| broken("the book can be read", error))?;
    Ok((ledger, reader))
}
