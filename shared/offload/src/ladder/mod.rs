//! The deadline ladder: every task's way from the coordinator to this computer, ended exactly once.
//!
//! A task starts at the coordinator if it may. If the coordinator refuses, fails or disappears, local compute
//! starts at once; if it merely keeps silent, local compute starts at the last moment at which it would still
//! meet the deadline. Whichever outcome comes first ends the task; the other is counted and ignored. An ended
//! task stays in the table until the coordinator's final answer to it, because that answer may cost money.
//!
//! | file | owns |
//! |---|---|
//! | `routing` | which tasks may go to the coordinator, and sending them |
//! | `answers` | messages from the coordinator |
//! | `compute` | local compute, and the moment it starts |
//! | `ending` | the one place where tasks end |
//! | `local_hedge` | when a task at the coordinator is computed here as well, and what the horizon learns |
//! | `numbering` | the ids by which a task goes to the coordinator |
//! | `patience` | patient tasks across restarts of the game |

mod answers;
mod compute;
mod ending;
mod local_hedge;
mod numbering;
mod patience;
mod routing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bevy_ecs::entity::Entity;
use bevy_ecs::resource::Resource;
use p2c2r_link::{ClientTransport, LinkProblem};
use p2c2r_protocol::limits::DEADLINE_US_MAX;
use p2c2r_protocol::{Digest, GameToServer, Micros, Nanos, PriceList, TaskId, WorkUnits};
use p2c2r_tasks::KnownBlobs;

use crate::config::OffloadConfig;
use crate::estimate::ComputeEstimate;
use crate::horizon::RecentAnswers;
use crate::inbox::{HookRequest, Submission};
use crate::kind::{Delivery, OnLate};
use crate::ladder_context::LadderContext;
use crate::last::{Freshest, NewestOutcome};
use crate::offloading::OwnDeadline;
use crate::outcome::FailReason;
use crate::pool::{LocalPool, Turn};
use crate::spending::Spending;
use crate::switch::{LocalReason, OffloadMode};
use crate::work::AnyWork;
use local_hedge::LocalHedging;
use patience::Patience;

/// The problem that is shown while the first connection is being made.
pub(crate) fn connecting() -> LinkProblem {
    LinkProblem::new("The coordinator has not answered yet: you play alone till then", CONNECTING)
}

/// The detail of [`connecting`], by which it is recognised.
pub(crate) const CONNECTING: &str = "connecting";

/// How long a money limit counts as in force after it last kept a task here, although cheaper tasks go out. Kinds ask
/// several times a second; a longer time would tell of a limit that is over.
const CAPPED_FOR: Duration = Duration::from_secs(1);

/// Blobs that the coordinator is believed to have. It shares its store among gamers, and a game has only a
/// few that change.
const KNOWN_BLOBS_MAX: usize = 4_096;

/// One task from submission to the coordinator's final answer.
struct Task {
    kind: usize,
    entity: Entity,
    work: Arc<dyn AnyWork>,
    units: WorkUnits,
    submitted_at: Micros,
    /// `None` for a patient task.
    deadline: Option<Micros>,
    price_cap: Nanos,
    late: OnLate,
    /// The blob that an outcome left at the coordinator, if the task refers to one.
    left: Option<Digest>,
    remote: Remote,
    local: Local,
    /// The number of the file in which a patient task is remembered.
    file: Option<u64>,
    /// An earlier run of the game asked for it.
    resumed: bool,
    /// The id under which an earlier run sent it, as long as the coordinator may have it under this id.
    id_before: Option<TaskId>,
    /// It was sent, and nothing but a lack of workers is known that would explain a missing outcome.
    owed: bool,
    /// The coordinator has been told that the outcome is no longer wanted.
    recalled: bool,
    /// The game or its player cancelled it: its end says nothing about how long answers take.
    withdrawn: bool,
    /// The deadline passed without an outcome, and that has been counted.
    overdue: bool,
    /// It ended without an outcome because the last one is used instead; its own is still kept if it comes and is newer.
    gave_way: bool,
    /// Set when the task has ended: until when the coordinator's final answer is awaited.
    ended: Option<Micros>,
}

impl Task {
    fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    fn is_sent(&self) -> bool {
        matches!(self.remote, Remote::Sent { .. })
    }

    /// Whether the coordinator may have it: it was sent, by this run or an earlier one.
    fn is_there(&self) -> bool {
        self.is_sent() || self.id_before.is_some()
    }
}

/// How a task stands with the coordinator.
enum Remote {
    /// Is among [`Ladder::unsent`], after `resends` requests for missing blobs.
    Waiting { resends: u8 },
    /// Was sent.
    Sent { at: Micros, reserved: Nanos, resends: u8 },
    /// No answer is expected, or ever was.
    Over,
}

/// How a task stands with local compute.
enum Local {
    Idle,
    Running,
    Failed(FailReason),
}

/// The state of the connection to the coordinator.
struct Session {
    /// `None` until the coordinator has said welcome.
    prices: Option<PriceList>,
    /// Why there is no connection.
    down: LinkProblem,
    /// Set once the coordinator stops taking tasks.
    closing: Option<String>,
    /// What the account had left when the coordinator last refused a task for its balance.
    balance: Option<Nanos>,
    /// The operator's hourly limit on the account, and until when nothing is sent because it is spent.
    hour_cap: Option<(Nanos, Micros)>,
    /// Workers at the last statement, and how far away the nearest of them was then.
    workers: u32,
    nearest_worker_ms: Option<u16>,
    known_blobs: KnownBlobs,
    /// The number that the coordinator gave this connection: the upper half of the ids of its tasks.
    number: u32,
}

/// Whether sending tasks of one kind to the coordinator is worthwhile.
#[derive(Clone, Copy, Default)]
struct Gate {
    /// It does not sell this kind or does not have this kernel; asking again on this connection is pointless.
    unsupported: bool,
    /// It has no capacity; before this time a task would only cost a round trip.
    paused_until: Micros,
}

/// A money limit that is in force: until a task that costs as much as the one it kept here goes out, or until a cheaper
/// one goes out [`CAPPED_FOR`] after it last kept one here. If any cheaper task ended it, the player would be told of the
/// limit and of its end several times a second.
struct Capped {
    /// Of the task that it last kept here.
    price: Nanos,
    /// When that was.
    at: Micros,
    reason: LocalReason,
}

/// The table of tasks, and all operations on it.
#[derive(Resource)]
pub(crate) struct Ladder {
    tasks: BTreeMap<TaskId, Task>,
    /// Tasks to be sent, nearest deadline first. Without a connection only those of an earlier run wait here.
    unsent: BTreeSet<Turn>,
    sent: usize,
    sent_patient: usize,
    /// Ids, as the coordinator knows them, of patient tasks that are no longer wanted and that it may have: it keeps
    /// patient tasks for a gamer who returns, so it is told at the next connection. Other tasks it cancels by itself.
    orphans: Vec<TaskId>,
    patience: Patience,
    pool: LocalPool,
    /// `None` without a coordinator.
    session: Option<Session>,
    spending: Spending,
    /// The money limit that is in force.
    capped: Option<Capped>,
    /// Estimates of elapsed compute time, per kind.
    estimates: Vec<ComputeEstimate>,
    /// Estimates of processor time, per kind.
    processor_estimates: Vec<ComputeEstimate>,
    newest_units: Vec<WorkUnits>,
    /// The newest outcome of each kind.
    freshest: Vec<Option<Freshest>>,
    /// Jobs of each kind in the pool, including those no longer wanted.
    local_jobs: Vec<usize>,
    gates: Vec<Gate>,
    answers: RecentAnswers,
    local_hedging: LocalHedging,
    in_flight_max: usize,
    local_queue_max: usize,
    /// The longest of the recent frames: outcomes are seen only once per frame.
    frame: Duration,
    /// Newest outcomes, to be stored in their `LastOutcome`.
    pub kept: Vec<NewestOutcome>,
    /// Ends of tasks, to be delivered to their entities.
    pub deliveries: Vec<Delivery>,
    /// Entities of resumed tasks that new ones have replaced, to be despawned.
    pub replaced: Vec<Entity>,
    /// Messages for the coordinator.
    pub outgoing: Vec<GameToServer>,
}

impl Ladder {
    /// An empty table; starts the threads of local compute.
    pub fn new(config: &OffloadConfig) -> Self {
        Self {
            tasks: BTreeMap::new(),
            unsent: BTreeSet::new(),
            sent: 0,
            sent_patient: 0,
            orphans: Vec::new(),
            patience: Patience::new(config),
            pool: LocalPool::new(config.local),
            session: match config.link {
                None | Some(ClientTransport::Later) => None,
                Some(_) => Some(Session::down(connecting())),
            },
            spending: Spending::default(),
            capped: None,
            estimates: Vec::new(),
            processor_estimates: Vec::new(),
            newest_units: Vec::new(),
            freshest: Vec::new(),
            local_jobs: Vec::new(),
            gates: Vec::new(),
            answers: RecentAnswers::default(),
            local_hedging: LocalHedging::default(),
            in_flight_max: config.in_flight_max.max(1),
            local_queue_max: config.local_queue_max.max(1),
            frame: Duration::ZERO,
            kept: Vec::new(),
            deliveries: Vec::new(),
            replaced: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    /// Handles the requests that the component hooks have recorded.
    pub fn take_in(&mut self, context: &mut LadderContext<'_>, intents: Vec<HookRequest>) {
        for intent in intents {
            match intent {
                HookRequest::Submit(id, submission) => self.submit(context, id, submission),
                HookRequest::Cancel(id) => self.cancel(context, id),
            }
        }
    }

    fn submit(&mut self, context: &mut LadderContext<'_>, id: TaskId, submission: Submission) {
        let Submission { kind, entity, work, options, submitted_at } = submission;
        let settings = context.kind(kind).settings;
        let deadline = match options.deadline {
            OwnDeadline::OfKind => Some(settings.deadline),
            OwnDeadline::After(deadline) => Some(deadline),
            OwnDeadline::Never => None,
        };
        let deadline = deadline.map(|deadline| {
            Micros(submitted_at.0 + Micros::from(deadline).0.min(u64::from(DEADLINE_US_MAX)))
        });
        context.totals_of(kind).submitted += 1;
        context.totals_of(kind).open += 1;
        let now = context.now();
        context.windows.of(kind).submitted(now);
        let admitted = admit(work.as_ref());
        let task = Task {
            kind,
            entity,
            work,
            units: *admitted.as_ref().unwrap_or(&WorkUnits(0)),
            submitted_at,
            deadline,
            price_cap: options.price_cap.unwrap_or(settings.price_cap),
            late: options.late.unwrap_or(settings.late),
            left: options.left,
            remote: Remote::Over,
            local: Local::Idle,
            file: options.former.map(|former| former.file),
            resumed: options.former.is_some(),
            id_before: options.former.and_then(|former| former.task),
            owed: false,
            recalled: false,
            withdrawn: false,
            overdue: false,
            gave_way: false,
            ended: None,
        };
        let full = self.tasks.len() >= self.in_flight_max.saturating_add(self.local_queue_max);
        self.tasks.insert(id, task);
        match admitted {
            Err(reason) => self.fail(context, id, reason),
            Ok(_) if full => self.fail(context, id, FailReason::Overloaded),
            Ok(units) => {
                self.newest_units.resize(self.newest_units.len().max(kind + 1), WorkUnits(0));
                self.newest_units[kind] = units;
                if deadline.is_none() {
                    self.set_out_patiently(context, id);
                } else {
                    self.set_out(context, id);
                }
            }
        }
    }

    fn cancel(&mut self, context: &mut LadderContext<'_>, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.is_open()) else { return };
        task.withdrawn = true;
        let totals = context.totals_of(task.kind);
        totals.cancelled += 1;
        totals.open -= 1;
        self.wind_up(context.now(), id);
    }

    /// Where new tasks go.
    pub fn mode(&self, context: &LadderContext<'_>) -> OffloadMode {
        match self.connection(context) {
            Err(reason) => OffloadMode::Local(reason()),
            Ok(_) => match &self.capped {
                Some(capped) => OffloadMode::Local(capped.reason.clone()),
                None => OffloadMode::Remote,
            },
        }
    }

    /// Workers connected, by the coordinator's latest statement on this connection.
    pub fn workers(&self) -> Option<u32> {
        self.session.as_ref().filter(|session| session.is_welcomed()).map(|session| session.workers)
    }

    /// Round trip between the coordinator and the worker nearest to it, by the same statement.
    pub fn nearest_worker_ms(&self) -> Option<u16> {
        self.session.as_ref()?.nearest_worker_ms
    }

    /// Whether the coordinator has any task.
    pub fn is_busy(&self) -> bool {
        self.sent > 0
    }

    /// Tasks with the coordinator or on their way there.
    pub fn in_flight(&self) -> usize {
        self.sent + self.unsent.len()
    }

    /// How long this computer takes for a task like the newest of this kind, once that has been measured.
    pub fn local_compute(&self, kind: usize) -> Option<Duration> {
        let estimate = self.estimates.get(kind).filter(|estimate| estimate.is_measured())?;
        Some(estimate.predict(*self.newest_units.get(kind)?))
    }

    /// How long ago the task behind the newest outcome of this kind was asked for.
    pub fn age(&self, kind: usize, now: Micros) -> Option<Duration> {
        let freshest = self.freshest.get(kind).copied().flatten()?;
        Some(Duration::from(now).saturating_sub(freshest.asked_at.into()))
    }

    fn gate(&mut self, kind: usize) -> &mut Gate {
        self.gates.resize(self.gates.len().max(kind + 1), Gate::default());
        &mut self.gates[kind]
    }

    fn turn(&self, id: TaskId) -> Turn {
        let deadline = self.tasks.get(&id).and_then(|task| task.deadline);
        (deadline.unwrap_or(Micros(u64::MAX)), id)
    }

    /// Notes why the link has no connection. Makes a session if there is none: a link that was set up without a
    /// coordinator has one as soon as it tries to connect.
    pub fn note_link(&mut self, says: &LinkProblem) {
        let session = self.session.get_or_insert_with(|| Session::down(connecting()));
        if !session.is_welcomed() && session.down != *says {
            session.down = says.clone();
        }
    }

    /// What may still be spent under the cap on an hour; `None` without a cap.
    pub fn hour_left(&self, context: &LadderContext<'_>) -> Option<Nanos> {
        let spent = self.spending.last_hour(context.now()).saturating_add(context.elsewhere.0);
        Some(Nanos(context.caps.hour?.0.saturating_sub(spent.0).max(0)))
    }

    /// What counts of this session for the cap on an hour.
    pub fn hour_at_most(&self, context: &LadderContext<'_>) -> Nanos {
        self.spending.hour_at_most(context.now())
    }

    /// What the session has cost so far.
    pub fn session_total(&self) -> Nanos {
        self.spending.total()
    }

    /// Money reserved for tasks at the coordinator.
    pub fn reserved(&self) -> Nanos {
        self.spending.reserved()
    }

    /// What may still be charged without a receipt if the game ends now. A task that is kept on disk is asked for again
    /// by the next run, which gets its receipt.
    pub fn at_risk(&self, context: &LadderContext<'_>) -> Nanos {
        let prices =
            self.tasks.values().filter(|task| task.file.is_none()).filter_map(|task| match task.remote {
                Remote::Sent { reserved, .. } => Some(reserved),
                Remote::Waiting { .. } | Remote::Over => None,
            });
        // Without a connection no ledger tells what it has charged, however long ago the doubt arose.
        let welcomed = self.session.as_ref().is_some_and(Session::is_welcomed);
        let in_doubt = if welcomed { self.spending.in_doubt(context.now()) } else { self.spending.doubted() };
        prices.fold(in_doubt, Nanos::saturating_add)
    }
}

impl Session {
    fn is_welcomed(&self) -> bool {
        self.prices.is_some()
    }

    fn down(reason: LinkProblem) -> Self {
        Self {
            prices: None,
            down: reason,
            closing: None,
            balance: None,
            hour_cap: None,
            workers: 0,
            nearest_worker_ms: None,
            known_blobs: KnownBlobs::new(KNOWN_BLOBS_MAX),
            number: 0,
        }
    }
}

/// What the task is worth, or why its spec is not valid.
fn admit(work: &dyn AnyWork) -> Result<WorkUnits, FailReason> {
    let bad = |error: p2c2r_tasks::SpecError| FailReason::BadSpec(error.to_string());
    for digest in work.blob_refs() {
        work.blobs().get(digest).map_err(bad)?;
    }
    work.admit().map_err(bad)
}
