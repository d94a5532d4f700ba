//! The scheduler alone, without an app: random events from a seed, and an auditor that reads only what comes out.

mod auditor;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use p2c2r_protocol::{
    Answer, Assign, Attempt, AttemptFailure, Device, KernelOffer, Micros, Nanos, PeerId, Refusal, Role,
    ServerToGame, ServerToWorker, Submit, TaskId, TaskNo, WorkerOffer, WorkerToServer,
};
use p2c2r_server::ServerConfig;
use p2c2r_server::config::default_prices;
use p2c2r_server::core::INLINE_UNITS_MAX;
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::core::work::{Check, Computed, KernelRun};
use p2c2r_server::core::{Core, Effect, Effects, Event, LinkState};
use p2c2r_server::ledger::{Account, AccountId, AdmissionRoom, Committed, WorkerTrust};
use p2c2r_tasks::kind::TaskKind;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::toy::{self, Toy, ToySpec};
use auditor::Auditor;

const GAMERS: u64 = 3;
const WORKERS: u64 = 4;
const STEPS: usize = 1_500;
const ROOM: AdmissionRoom =
    AdmissionRoom { admissions: 1_000, patient: 1_000, bytes: 1 << 20, tasks_per_account: u64::MAX };
/// Work units of a task whose outcome is checked by the pool and not by the core itself.
const UNITS_CHECKED_ELSEWHERE: u64 = INLINE_UNITS_MAX.0 + 1;
/// So little that gamers run out of it.
const CREDIT: Nanos = Nanos(40_000);

struct World {
    core: Core,
    effects: Effects,
    now: Micros,
    draws: SmallRng,
    auditor: Auditor,
    sessions: HashMap<PeerId, u32>,
    asked: Vec<(PeerId, TaskId)>,
    workers: HashSet<PeerId>,
    /// Workers that the link watches closely.
    watched: HashSet<PeerId>,
    /// Attempts that workers have, as they see it: assigned, not answered and not revoked.
    with_worker: HashSet<(PeerId, TaskNo, Attempt)>,
    assigned: Vec<(PeerId, Assign)>,
    checks: Vec<Check>,
    kernels: Vec<KernelRun>,
    /// The number that was asked for last.
    last: u64,
    /// Every effect, in words.
    log: String,
}

pub(crate) fn account(role: Role, id: u64) -> Account {
    Account {
        id: AccountId(id as i64 * 2),
        role,
        key: None,
        name: "a".into(),
        available: if role == Role::Gamer { CREDIT } else { Nanos::ZERO },
        set_aside: Nanos::ZERO,
        turnover: Nanos::ZERO,
        accepted: 0,
        rejected: 0,
        tasks_recorded: 0,
        largest_task: None,
        charged_lately: Vec::new(),
        trust: WorkerTrust::default(),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let config = ServerConfig {
            kinds: toy::kinds(),
            prices: default_prices(&toy::kinds()),
            ..ServerConfig::default()
        };
        let mut world = Self {
            core: Core::new(config.policy(), TaskNo(1), [seed as u8; 32]),
            effects: Effects::default(),
            now: Micros(1),
            draws: SmallRng::seed_from_u64(seed),
            auditor: Auditor::default(),
            sessions: HashMap::new(),
            asked: Vec::new(),
            workers: HashSet::new(),
            watched: HashSet::new(),
            with_worker: HashSet::new(),
            assigned: Vec::new(),
            checks: Vec::new(),
            kernels: Vec::new(),
            last: 20,
            log: String::new(),
        };
        for id in 1..=GAMERS {
            let (peer, account) = (PeerId(id), Box::new(account(Role::Gamer, id)));
            world.handle(Event::GamerJoined {
                peer,
                name: "g".into(),
                account,
                session_min: 1,
                hour_cap: HourCap::AsEverybody,
            });
        }
        world
    }

    fn handle(&mut self, event: Event) {
        self.core.handle(self.now, event, &mut self.effects);
        let effects = std::mem::take(&mut self.effects);
        self.auditor.just_ended.clear();
        let assigned = effects.to_workers.iter().filter_map(|(_, message)| match message {
            ServerToWorker::Assign(assign) => Some((assign.task, assign.attempt)),
            _ => None,
        });
        self.auditor.just_assigned = assigned.collect();
        for entry in effects.entries {
            let _ = writeln!(self.log, "{entry:?}");
            self.auditor.book(&entry);
        }
        for (peer, message) in effects.to_games {
            let _ = writeln!(self.log, "{peer:?} {message:?}");
            match message {
                ServerToGame::Welcome(welcome) => {
                    self.sessions.insert(peer, welcome.session);
                }
                ServerToGame::Failed { task, .. } => {
                    assert!(self.auditor.ended.insert(task), "{task} ends once");
                }
                ServerToGame::Done(done) => {
                    assert!(self.auditor.ended.insert(done.task), "{} ends once", done.task);
                }
                _ => {}
            }
        }
        for (peer, message) in effects.to_workers {
            let _ = writeln!(self.log, "{peer:?} {message:?}");
            match message {
                ServerToWorker::Assign(assign) => {
                    self.with_worker.insert((peer, assign.task, assign.attempt));
                    self.assigned.push((peer, assign));
                }
                ServerToWorker::Revoke { task, attempt } => {
                    self.with_worker.remove(&(peer, task, attempt));
                }
                _ => {}
            }
        }
        for effect in effects.others {
            match effect {
                Effect::Check(check) => {
                    let _ = writeln!(self.log, "check {:?} {:?}", check.task, check.depth);
                    self.checks.push(check);
                }
                Effect::Compute(kernel) => {
                    let _ = writeln!(self.log, "compute {:?}", kernel.task);
                    self.kernels.push(kernel);
                }
                Effect::Watch { peer, busy } => {
                    let _ = writeln!(self.log, "watch {peer:?} {busy}");
                    if busy {
                        self.watched.insert(peer);
                    } else {
                        self.watched.remove(&peer);
                    }
                }
            }
        }
        for (peer, task, _) in &self.with_worker {
            let own = self.auditor.successors.get(task).unwrap_or(task);
            assert!(self.auditor.open.contains_key(own), "what nobody wants any more is revoked at once");
            assert!(self.watched.contains(peer), "whoever has something is watched closely");
        }
    }

    fn submit(&mut self) {
        let peer = PeerId(self.draws.random_range(1..=GAMERS));
        // One in three is what somebody has asked for just now.
        let number = if self.draws.random_bool(0.3) { self.last } else { self.draws.random_range(20..4_000) };
        self.last = number;
        let units = if self.draws.random_bool(0.5) { 1_000 } else { UNITS_CHECKED_ELSEWHERE };
        let task = TaskId(u64::from(self.sessions[&peer]) << 32 | self.asked.len() as u64);
        let submit = Submit {
            task,
            kind: Toy::ID,
            kernel_version: Toy::KERNEL_VERSION,
            budget_us: self.draws.random_bool(0.9).then(|| self.draws.random_range(5_000..400_000)),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: self.now,
            spec: ToySpec { units, ..toy::spec(number) }.encode().into(),
            blobs: Vec::new(),
        };
        self.asked.push((peer, task));
        self.handle(Event::UpdateBegins { room: Some(ROOM) });
        self.handle(Event::submitted(peer, self.now, submit));
    }

    /// A worker joins, or one that is there leaves.
    fn come_or_go(&mut self) {
        let id = self.draws.random_range(1..=WORKERS);
        let peer = PeerId(100 + id);
        if self.workers.remove(&peer) {
            self.with_worker.retain(|(holder, ..)| *holder != peer);
            self.watched.remove(&peer);
            self.handle(Event::Left { peer, role: Role::Worker });
        } else {
            self.workers.insert(peer);
            let kernels =
                vec![KernelOffer { kind: Toy::ID, version: Toy::KERNEL_VERSION, device: Device::Cores }];
            let offer = Some(WorkerOffer { slots: 2, kernels, region: None });
            let account = Box::new(account(Role::Worker, 100 + id));
            self.handle(Event::WorkerJoined { peer, name: "w".into(), account, offer });
        }
    }

    /// Someone answers an attempt: rightly as a rule, sometimes twice, sometimes wrongly or not at all.
    fn answer(&mut self) {
        if self.assigned.is_empty() {
            return;
        }
        let at = self.draws.random_range(0..self.assigned.len());
        let (peer, assign) = self.assigned[at].clone();
        if self.draws.random_bool(0.9) {
            self.assigned.swap_remove(at);
        }
        let number = toy::number_in(&assign.spec);
        let result = match self.draws.random_range(0..400) {
            0..4 => Err(AttemptFailure::KernelPanicked),
            4..8 => Err(AttemptFailure::Overloaded),
            8..10 => Ok(toy::answer(number + 1).into()),
            _ => Ok(toy::answer(number).into()),
        };
        let (task, attempt) = (assign.task, assign.attempt);
        let is_checked_here = toy::units_in(&assign.spec) < UNITS_CHECKED_ELSEWHERE;
        if is_checked_here && result == Ok(toy::answer(number).into()) {
            self.auditor.passed.insert((task, attempt));
        }
        let at = Micros(1);
        self.with_worker.remove(&(peer, task, attempt));
        let answer = Answer { task, attempt, result, received_at: at, started_at: at, finished_at: at };
        self.handle(Event::FromWorker {
            peer,
            received_at: self.now,
            message: WorkerToServer::Answer(answer),
        });
    }

    fn check(&mut self) {
        if self.checks.is_empty() {
            return;
        }
        let at = self.draws.random_range(0..self.checks.len());
        let checked = self.checks.swap_remove(at).judge();
        if checked.verdict.is_ok() {
            self.auditor.passed.insert((checked.check.task, checked.check.attempt));
        }
        self.handle(Event::Checked(Box::new(checked)));
    }

    fn compute(&mut self) {
        let Some(kernel) = self.kernels.pop() else { return };
        let run = kernel.job.upgrade().map(|job| job.run(&kernel.blobs, &kernel.stop));
        let outcome = run.and_then(Result::ok).map(Into::into);
        let took = Duration::from_millis(1);
        self.handle(Event::Computed(Computed { task: kernel.task, outcome, left: None, took }));
    }

    fn step(&mut self) {
        match self.draws.random_range(0..100) {
            0..25 => self.submit(),
            25..28 => self.come_or_go(),
            28..55 => self.answer(),
            55..70 => self.check(),
            70..78 => self.compute(),
            78..80 if !self.asked.is_empty() => {
                let newest = self.asked.len().saturating_sub(10);
                let at = self.draws.random_range(newest..self.asked.len());
                let (peer, task) = self.asked[at];
                self.handle(Event::Cancelled { peer, task });
            }
            _ => {
                self.now.0 += self.draws.random_range(0..20_000);
                self.handle(Event::TimePassed);
            }
        }
    }

    /// Everything that is under way comes to its end, and what is left is given up.
    fn end(&mut self) {
        while !(self.checks.is_empty() && self.kernels.is_empty()) {
            self.check();
            self.compute();
        }
        self.handle(Event::GivingUp);
        while !self.kernels.is_empty() {
            self.compute();
        }
    }
}

fn played(seed: u64) -> World {
    println!("seed {seed}");
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.end();
    world
}

#[test]
fn whatever_happens_every_task_ends_once_and_only_accepted_answers_are_paid() {
    let (mut admitted, mut by_workers, mut begun, mut hedged) = (0, 0, 0, 0);
    let (mut shared, mut inherited) = (0, 0);
    for seed in 0..12 {
        let world = played(seed);
        world.core.assert_whole_state();
        assert_eq!(world.auditor.open.len(), world.core.tasks().len(), "what is open is in flight");
        let is_patient =
            |no: &TaskNo| world.core.tasks().get(*no).is_some_and(|task| task.deliver_by.is_none());
        assert!(world.auditor.open.keys().all(is_patient), "only patient tasks outlive the end");
        admitted += world.auditor.admitted;
        by_workers += world.auditor.by_workers;
        begun += world.auditor.begun;
        hedged += world.core.tally().hedged;
        shared += world.core.tally().shared;
        inherited += world.core.tally().inherited;
    }
    assert!(
        shared > 50 && inherited > 10,
        "{shared} got what somebody else had asked for, {inherited} took a place"
    );
    assert!(begun > 10 && hedged > 10, "{begun} charged for what was begun, {hedged} second attempts");
    assert!(admitted > 1_000 && by_workers > 200, "{admitted} tasks, {by_workers} done by workers");
}

#[test]
fn the_same_events_and_seed_give_the_same_effects() {
    let (first, second) = (played(77), played(77));
    assert!(first.log.len() > 10_000, "something happened");
    assert!(first.log == second.log, "two runs differ");
}

/// A busy coordinator has something under way to the ledger at any moment.
#[test]
fn a_grant_reaches_its_gamer_while_other_gamers_tasks_are_being_recorded() {
    let mut world = World::new(1);
    (0..10).for_each(|_| world.submit());
    assert!(world.auditor.admitted > 0);
    let granted = Account { available: CREDIT + Nanos(7_000), ..account(Role::Gamer, 3) };
    let held = world.auditor.held.get(&granted.id).copied().unwrap_or_default();
    let committed = Committed { accounts: vec![granted], ..Committed::default() };
    let due = Event::StatementsDue { committed: Box::new(committed) };
    world.core.handle(world.now, due, &mut world.effects);
    let said = std::mem::take(&mut world.effects).to_games;
    let available = said.iter().find_map(|(peer, message)| match message {
        ServerToGame::Statement(statement) if *peer == PeerId(3) => Some(statement.available),
        _ => None,
    });
    assert_eq!(available, Some(CREDIT + Nanos(7_000) - held));
}

#[test]
fn an_account_with_too_many_tasks_in_the_books_is_refused_and_others_are_not() {
    let mut world = World::new(1);
    let crowded = Account { tasks_recorded: 40, ..account(Role::Gamer, 1) };
    let committed = Committed { accounts: vec![crowded], ..Committed::default() };
    world.handle(Event::StatementsDue { committed: Box::new(committed) });
    let mut number = 0;
    let mut refused = |world: &mut World, gamer: u64| {
        number += 1;
        let submit = Submit {
            task: TaskId(u64::from(world.sessions[&PeerId(gamer)]) << 32 | number),
            kind: Toy::ID,
            kernel_version: Toy::KERNEL_VERSION,
            budget_us: None,
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: world.now,
            spec: toy::spec(number).encode().into(),
            blobs: Vec::new(),
        };
        let event = Event::submitted(PeerId(gamer), world.now, submit);
        world.core.handle(world.now, event, &mut world.effects);
        let said = std::mem::take(&mut world.effects).to_games;
        said.into_iter().find_map(|(_, message)| match message {
            ServerToGame::Refused { refusal, .. } => Some(refusal),
            _ => None,
        })
    };
    let mut with_room_for = |world: &mut World, tasks_per_account| {
        world.handle(Event::UpdateBegins { room: Some(AdmissionRoom { tasks_per_account, ..ROOM }) });
        [1, 2].map(|gamer| refused(world, gamer))
    };
    assert_eq!(with_room_for(&mut world, 41), [None, None]);
    assert_eq!(with_room_for(&mut world, 40), [Some(Refusal::Full), None]);
}

#[test]
fn a_gamer_is_told_how_far_away_the_nearest_worker_is() {
    let mut world = World::new(1);
    let gamer = PeerId(1);
    for (worker, rtt_us) in [(PeerId(101), 84_200), (PeerId(102), 12_001), (PeerId(103), 0)] {
        let account = Box::new(account(Role::Worker, worker.0));
        let region = if worker == PeerId(102) { "eu-west".parse().ok() } else { None };
        let offer = Some(WorkerOffer { slots: 1, kernels: Vec::new(), region });
        world.handle(Event::WorkerJoined { peer: worker, name: "w".into(), account, offer });
        let link = LinkState { rtt: Duration::from_micros(rtt_us), clock_offset_us: None };
        world.handle(Event::Measured { peer: worker, link });
    }
    let mut told = || {
        let due = Event::StatementsDue { committed: Box::default() };
        world.core.handle(world.now, due, &mut world.effects);
        let mut said = std::mem::take(&mut world.effects).to_games;
        said.retain(|(peer, _)| *peer == gamer);
        let Some((_, ServerToGame::Statement(statement))) = said.pop() else { return None };
        let region = statement.nearest_worker_region.map(|region| region.to_string());
        Some((statement.workers, statement.nearest_worker_ms, region))
    };
    assert_eq!(
        told(),
        Some((3, Some(13), Some("eu-west".into()))),
        "whole milliseconds, and who is not measured does not count"
    );
    assert_eq!(told(), None, "nothing has changed");
    for worker in [PeerId(102), PeerId(101)] {
        world.core.handle(world.now, Event::Left { peer: worker, role: Role::Worker }, &mut world.effects);
    }
    let due = Event::StatementsDue { committed: Box::default() };
    world.core.handle(world.now, due, &mut world.effects);
    let said = std::mem::take(&mut world.effects).to_games;
    assert!(
        said.iter().any(|(peer, message)| *peer == gamer
            && matches!(message, ServerToGame::Statement(told) if told.nearest_worker_ms.is_none() && told.workers == 1)),
        "{said:?}"
    );
}
