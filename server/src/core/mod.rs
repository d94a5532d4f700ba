//! The scheduler: a state machine without a clock, a thread or anything to read from and write to.
//!
//! [`Core::handle`] takes one [`Event`] and the moment at which it is handled, changes its [`state`], and pushes
//! [`Effects`]; [`Core::next_due`] says when it wants to be told that time has passed. The same events with the same seed give
//! the same effects, in the coordinator, in tests and in a simulation. Its log lines influence no decision.
//!
//! | module | owns |
//! |---|---|
//! | `event`, `effect` | what comes in, what goes out |
//! | [`state`] | the data, each with its own invariants |
//! | `steps` | the operations on it: one verb per file, each a function of the core |
//! | [`work`] | checks and kernels on their way to threads and back |
//! | [`transcript`] | events and effects as plain data, to be recorded and replayed |
//! | [`receipts`] | where a task's time went |

mod effect;
mod event;
pub(crate) mod fault;
mod invariants;
pub mod receipts;
pub mod state;
pub(crate) mod steps;
pub mod transcript;
pub mod work;

use std::collections::HashMap;
use std::time::Duration;

use p2c2r_protocol::{
    Digest, KindId, Micros, Nanos, NumberHash, PeerId, PriceList, ServerToGame, ServerToWorker, Submit,
    TaskNo,
};
use p2c2r_tasks::KindRegistry;

pub use effect::{Effect, Effects};
pub use event::{Event, LinkState};
pub use steps::admit::task_key;
pub use steps::judge::INLINE_UNITS_MAX;

use crate::config::{Fallback, PatientFallback};
use crate::ledger::{AccountId, Entry};
use fault::Fault;
use state::cache::OutcomeCache;
use state::checking::Checking;
use state::draws::{CheckDraws, Matcher};
use state::exploring::Exploring;
use state::gamers::{Gamers, WorkersAround};
use state::hedging::Hedging;
use state::own_kernel::OwnKernel;
use state::settled_before::SettledBefore;
use state::submits::Submits;
use state::tally::Tally;
use state::tasks::TaskTable;
use state::timers::Timers;
use state::trust::{Trust, TrustRules};
use state::workers::Workers;
use steps::{
    admit, fall_back, follow, hand_out, join, judge, lease, part, settle, state_accounts, take_over,
};

/// What the operator decides of the scheduler.
#[derive(Clone)]
pub struct Policy {
    /// The kinds of work on offer.
    pub kinds: KindRegistry,
    /// What work costs.
    pub prices: PriceList,
    /// What happens to timely tasks that no worker can do in time.
    pub fallback: Fallback,
    /// What happens to patient tasks while no worker offers their kind.
    pub patient_fallback: PatientFallback,
    /// How trust is earned and lost.
    pub trust: TrustRules,
    /// Work units of second attempts allowed per hundred units of first attempts; zero for no second attempts.
    pub hedge_percent: u32,
    /// Hourly spending cap of gamers' accounts for which the operator has set no other; `None` for no cap.
    pub hour_cap: Option<Nanos>,
    /// Outcomes kept for reuse; zero keeps none.
    pub cache_entries_max: usize,
    /// Bytes of outcomes kept for reuse.
    pub cache_bytes_max: usize,
    /// Threads that run the own kernel.
    pub compute_threads: usize,
    /// Runs of the own kernel that may wait for a thread.
    pub compute_waiting_max: usize,
}

/// The latest measurements of each connection.
type Links = HashMap<PeerId, LinkState, NumberHash>;

/// Smoothed round trips by peer, zero until one is measured: like [`Core::rtt`], for callers that borrow other parts of
/// the core mutably.
fn round_trips(links: &Links) -> impl Fn(PeerId) -> Duration {
    move |peer| links.get(&peer).map_or(Duration::ZERO, |link| link.rtt)
}

/// The scheduler.
pub struct Core {
    policy: Policy,
    /// The moment of the event that is being handled, on the coordinator's clock.
    now: Micros,
    tasks: TaskTable,
    gamers: Gamers,
    workers: Workers,
    links: Links,
    timers: Timers,
    cache: OutcomeCache,
    settled_before: SettledBefore,
    own: OwnKernel,
    trust: Trust,
    checking: Checking,
    hedging: Hedging,
    exploring: Exploring,
    tally: Tally,
    submits: Submits,
    matcher: Matcher,
    /// When tasks are looked at for which the last update had no time, unless another update comes before.
    look_again_at: Option<Micros>,
    checks: CheckDraws,
    closing: bool,
    /// Number of entries written for the ledger so far, which is also the number of the newest one.
    booked: u64,
    /// Number of the newest entry that revokes kept outcomes. An outcome that the ledger read before it had recorded this
    /// entry is not used, because the entry may revoke it.
    last_revocation: u64,
    /// Events handled; decides when the whole state is checked.
    #[cfg(debug_assertions)]
    events: u64,
    /// Effects of the event that is being handled: the caller's buffers, which are empty between events.
    effects: Effects,
}

impl Core {
    /// A scheduler that numbers its tasks from `next_task` on and draws from `seed`. The seed must stay secret: it
    /// determines which answers are checked deeply, and where.
    pub fn new(policy: Policy, next_task: TaskNo, seed: [u8; 32]) -> Self {
        Self {
            now: Micros(0),
            tasks: TaskTable::new(next_task),
            gamers: Gamers::default(),
            workers: Workers::default(),
            links: Links::default(),
            timers: Timers::default(),
            cache: OutcomeCache::new(policy.cache_entries_max, policy.cache_bytes_max),
            settled_before: SettledBefore::default(),
            own: OwnKernel::new(policy.compute_threads, policy.compute_waiting_max),
            trust: Trust::new(policy.trust),
            checking: Checking::new(policy.trust.budget_percent),
            hedging: Hedging::new(policy.hedge_percent),
            exploring: Exploring::default(),
            tally: Tally::default(),
            submits: Submits::default(),
            matcher: Matcher::new(seed),
            look_again_at: None,
            checks: CheckDraws::new(seed),
            closing: false,
            booked: 0,
            last_revocation: 0,
            #[cfg(debug_assertions)]
            events: 0,
            effects: Effects::default(),
            policy,
        }
    }

    /// Handles `event` at `now` on the coordinator's clock, and pushes the effects. A `now` before that of an earlier
    /// event counts as that one.
    pub fn handle(&mut self, now: Micros, event: Event, effects: &mut Effects) {
        self.now = self.now.max(now);
        std::mem::swap(&mut self.effects, effects);
        self.dispatch(event);
        std::mem::swap(&mut self.effects, effects);
        self.check_invariants();
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Kept(outcome) => take_over::keep(self, outcome),
            Event::Recalled { outcome, recorded } => take_over::recall(self, outcome, recorded),
            Event::Requeued { task, account } => take_over::queue_again(self, &task, &account),
            Event::Measured { peer, link } => {
                self.links.insert(peer, link);
            }
            Event::GamerJoined { peer, name, account, session_min, hour_cap } => {
                join::welcome_gamer(self, peer, &name, &account, session_min);
                join::cap(self, peer, hour_cap);
            }
            Event::Capped { peer, hour_cap } => join::cap(self, peer, hour_cap),
            Event::WorkerJoined { peer, name, account, offer } => {
                join::welcome_worker(self, peer, &name, &account, offer);
            }
            Event::Renamed { peer, name } => join::rename(self, peer, &name),
            Event::QuarantineSet { account, quarantined } => judge::order(self, account, quarantined),
            Event::Leaving { peer } => self.gamers.begin_leaving(peer),
            Event::Left { peer, role } => part::part(self, peer, role),
            Event::UpdateBegins { room } => self.submits.begin_update(room),
            Event::Submitted { peer, received_at, submit, key } => {
                admit::hear(self, peer, received_at, submit, key);
            }
            Event::Cancelled { peer, task } => admit::cancel(self, peer, task),
            Event::Quit { peer } => admit::cancel_all(self, peer),
            Event::FromWorker { peer, received_at, message } => judge::hear(self, peer, received_at, message),
            Event::Checked(checked) => {
                self.own.check_ended();
                judge::verdict(self, *checked);
            }
            Event::Computed(computed) => fall_back::computed(self, computed),
            Event::TimePassed => {
                lease::expire(self);
                judge::begin_what_waits(self);
                hand_out::hand_out(self);
                fall_back::compute_when_idle(self);
            }
            Event::StatementsDue { committed } => state_accounts::tell(self, *committed),
            Event::Closing { reason } => {
                judge::record_everything(self);
                part::close(self, &reason);
            }
            Event::GivingUp => {
                settle::give_up_timely(self);
                judge::record_everything(self);
            }
        }
    }

    /// The latest moment at which [`Event::TimePassed`] must be handled, if no other event comes first; `None` if nothing
    /// waits for a moment.
    pub fn next_due(&mut self) -> Option<Micros> {
        let timer = self.timers.next(&self.tasks);
        let rest = self.workers.next_end_of_rest().filter(|_| self.tasks.may_have_waiting());
        let look_again = self.look_again_at.filter(|_| self.tasks.may_have_waiting());
        let others = [timer, rest, look_again, self.checking.due(), fall_back::idle_due(self)];
        let due = others.into_iter().flatten().min();
        if fault::is_made(Fault::SleepsTooLong) { due.map(|due| Micros(due.0 + 1_000)) } else { due }
    }

    /// Whether [`Event::TimePassed`] may have something to do at `now`. Errs on the side of true.
    pub fn has_work(&self, now: Micros) -> bool {
        self.tasks.may_have_waiting()
            || self.timers.is_due(now)
            || self.checking.due().is_some_and(|due| due <= now)
    }

    /// Tasks in flight.
    pub fn tasks(&self) -> &TaskTable {
        &self.tasks
    }

    /// The account that would pay for this submit, if it is worth looking for its outcome in the ledger: `None` if the
    /// submit would be refused, or answered from memory.
    pub fn lacks(&self, peer: PeerId, submit: &Submit, key: Digest) -> Option<AccountId> {
        let account = self.gamers.session(peer)?.account;
        let mirror = self.gamers.account(account)?;
        let is_patient = submit.budget_us.is_none();
        // A patient task that was settled before the start is asked for again by its old id.
        let may_be_answered = if mirror.is_spent(submit.task) {
            is_patient && mirror.finished(submit.task).is_none()
        } else {
            mirror.available() > Nanos::ZERO
        };
        let may_be_looked_at = !self.closing
            && self.submits.room.is_some()
            && self.submits.rates.could_look_at(&mirror.rates, submit, self.now);
        let is_lacking = follow::shares(self, submit.kind, is_patient) && !self.cache.has(key, self.now);
        (may_be_answered && may_be_looked_at && is_lacking).then_some(account)
    }

    /// Gamers.
    pub fn gamers(&self) -> &Gamers {
        &self.gamers
    }

    /// Workers.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Trust in workers' accounts.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The time budget of deep checks, and the answers that wait for it.
    pub fn checking(&self) -> &Checking {
        &self.checking
    }

    /// Counts.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The latest measurements of a connection.
    pub fn link(&self, peer: PeerId) -> Option<LinkState> {
        self.links.get(&peer).copied()
    }

    /// Smoothed round trip to a peer; zero until one is measured.
    fn rtt(&self, peer: PeerId) -> Duration {
        round_trips(&self.links)(peer)
    }

    /// What gamers are told of the connected workers.
    fn workers_around(&self) -> WorkersAround {
        let workers = self.workers.iter().map(|(peer, worker)| (self.rtt(peer), peer, worker.region));
        let nearest = workers.filter(|(rtt, ..)| !rtt.is_zero()).min_by_key(|(rtt, peer, _)| (*rtt, *peer));
        let whole_ms = |rtt| u16::try_from(Micros::from(rtt).0.div_ceil(1_000)).unwrap_or(u16::MAX);
        WorkersAround {
            count: self.workers.len() as u32,
            nearest_ms: nearest.map(|(rtt, ..)| whole_ms(rtt)),
            nearest_region: nearest.and_then(|(.., region)| region),
        }
    }

    /// The version of our kernel of this kind; zero if there is none.
    fn kernel_version(&self, kind: KindId) -> u16 {
        self.policy.kinds.get(kind).map_or(0, |kind| kind.kernel_version())
    }

    /// Whether all right outcomes of one spec of this kind are bit-identical.
    fn is_exact(&self, kind: KindId) -> bool {
        self.policy.kinds.get(kind).is_some_and(|kind| kind.deterministic())
    }

    fn tell_game(&mut self, peer: PeerId, message: ServerToGame) {
        self.effects.to_games.push((peer, message));
    }

    fn tell_worker(&mut self, peer: PeerId, message: ServerToWorker) {
        self.effects.to_workers.push((peer, message));
    }

    fn book(&mut self, entry: Entry) {
        self.booked += 1;
        self.effects.entries.push(entry);
    }

    /// Records an entry that revokes kept outcomes.
    fn book_revocation(&mut self, entry: Entry) {
        self.book(entry);
        self.last_revocation = self.booked;
    }
}
