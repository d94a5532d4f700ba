//! The scheduler, a gamer and some workers, a few of which cheat: one task after the other, at a fixed pace.

use std::time::Duration;

use p2c2r_protocol::{
    Assign, Device, KernelOffer, Micros, Nanos, PeerId, Role, ServerToGame, ServerToWorker, Submit, TaskId,
    TaskNo, WorkerOffer, WorkerToServer,
};
use p2c2r_server::ServerConfig;
use p2c2r_server::config::TrustRules;
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::core::work::{Check, Checked, Computed, Depth, KernelRun};
use p2c2r_server::core::{Core, Effect, Effects, Event};
use p2c2r_server::ledger::{
    Account, AccountId, AdmissionRoom, ComputedFrom, Entry, KindTrust, Verdict, WorkerTrust,
};
use p2c2r_tasks::TaskKind;
use p2c2r_tasks::path::Path;
use rand::SeedableRng;
use rand_pcg::Pcg32;

use super::Trick;
use super::cheat::Cheat;
use super::samples::{QUERIES, sample_of, samples};

/// Time between two tasks of one worker, on average: a game's pace.
const PACE: Duration = Duration::from_millis(100);
/// Time from an attempt to its answer.
const SERVICE: Duration = Duration::from_millis(5);
/// The budget of a task.
const BUDGET: Duration = Duration::from_millis(500);
const GAMER: PeerId = PeerId(1);
/// Connection numbers of workers start here.
const WORKERS: u64 = 100;
const ROOM: AdmissionRoom =
    AdmissionRoom { admissions: 1_000, patient: 0, bytes: 1 << 20, tasks_per_account: u64::MAX };
/// More than any game here spends.
const CREDIT: Nanos = Nanos(1 << 50);

/// The players, and how they play.
#[derive(Clone, Copy, Debug)]
pub struct Game {
    /// The trick of one worker, or of two that collude.
    pub trick: Trick,
    /// All workers; the others are honest.
    pub workers: u64,
    /// Tasks in all.
    pub tasks: u64,
    /// The cheat's honest history: answers, and for how long it is known.
    pub trusted: (u64, Duration),
    /// How answers are checked.
    pub rules: TrustRules,
    /// Seed of all draws.
    pub seed: u64,
}

/// The results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedTeamFigures {
    /// Answers of the cheat, from its first lie, until a check detected one; `None` if none did.
    pub found_after: Option<u64>,
    /// The same until it was convicted.
    pub convicted_after: Option<u64>,
    /// Answers of workers that were accepted.
    pub accepted: u64,
    /// Of them, those that were wrong.
    pub wrong: u64,
    /// Work units of the accepted answers, and those that deep checks took.
    pub paid_units: u64,
    /// See [`RedTeamFigures::paid_units`].
    pub checked_units: f64,
    /// Honest workers convicted.
    pub honest_convicted: u64,
    /// Tasks that the coordinator did itself.
    pub by_coordinator: u64,
    /// Tasks without an outcome.
    pub failed: u64,
    /// Accounts that the cheats used.
    pub identities: u64,
    /// Time of checks in this process, and kernels that were run again.
    pub checking: Duration,
}

impl RedTeamFigures {
    /// Adds the counts of another game. When a cheat was found and convicted is of one game, and is left as it is.
    pub fn add(&mut self, figures: &Self) {
        self.accepted += figures.accepted;
        self.wrong += figures.wrong;
        self.paid_units += figures.paid_units;
        self.checked_units += figures.checked_units;
        self.honest_convicted += figures.honest_convicted;
        self.by_coordinator += figures.by_coordinator;
        self.failed += figures.failed;
        self.identities += figures.identities;
        self.checking += figures.checking;
    }
}

struct Worker {
    peer: PeerId,
    account: AccountId,
    cheat: Cheat,
}

struct Field {
    core: Core,
    effects: Effects,
    now: Micros,
    random: Pcg32,
    session: u32,
    asked: u64,
    ended: u64,
    workers: Vec<Worker>,
    joined: u64,
    assigned: Vec<(PeerId, Assign)>,
    checks: Vec<Check>,
    kernels: Vec<KernelRun>,
    figures: RedTeamFigures,
}

impl Game {
    /// One cheat among ten new workers, under the default rules.
    pub fn of(trick: Trick, tasks: u64, seed: u64) -> Self {
        let trusted = (0, Duration::ZERO);
        Self { trick, workers: 10, tasks, trusted, rules: TrustRules::default(), seed }
    }

    /// The same, but all have given `answers` right answers in this time.
    #[must_use]
    pub fn trusted(self, answers: u64, known_for: Duration) -> Self {
        Self { trusted: (answers, known_for), ..self }
    }

    /// Plays it to the end.
    pub fn play(&self) -> RedTeamFigures {
        let mut field = Field::new(self);
        for _ in 0..self.tasks {
            field.play_task(self);
        }
        field.core.assert_whole_state();
        field.figures
    }
}

impl Field {
    fn new(game: &Game) -> Self {
        // The same tasks repeat here, and each must be computed.
        let config = ServerConfig { trust: game.rules, cache_entries_max: 0, ..ServerConfig::default() };
        let mut seed = [0; 32];
        seed[8..16].copy_from_slice(&game.seed.to_le_bytes());
        let mut field = Self {
            core: Core::new(config.policy(), TaskNo(1), seed),
            effects: Effects::default(),
            now: Micros(1),
            random: Pcg32::seed_from_u64(game.seed),
            session: 0,
            asked: 0,
            ended: 0,
            workers: Vec::new(),
            joined: 0,
            assigned: Vec::new(),
            checks: Vec::new(),
            kernels: Vec::new(),
            figures: RedTeamFigures::default(),
        };
        let account = Box::new(account(Role::Gamer, 1, WorkerTrust::default()));
        field.handle(Event::GamerJoined {
            peer: GAMER,
            name: "g".into(),
            account,
            session_min: 1,
            hour_cap: HourCap::AsEverybody,
        });
        let cheats = if game.trick == Trick::Colluding { 2 } else { 1 };
        for number in 0..game.workers {
            field.join(if number < cheats { game.trick } else { Trick::Honest }, game.trusted);
        }
        field
    }

    fn join(&mut self, trick: Trick, (answers, known_for): (u64, Duration)) {
        self.joined += 1;
        self.figures.identities += u64::from(trick != Trick::Honest);
        let peer = PeerId(WORKERS + self.joined);
        let of = KindTrust {
            kind: Path::ID,
            kernel_version: Path::KERNEL_VERSION,
            answers,
            checked: answers,
            known_for,
        };
        let kinds = if answers > 0 { vec![of] } else { Vec::new() };
        let account =
            account(Role::Worker, 10 + self.joined, WorkerTrust { kinds, ..WorkerTrust::default() });
        let id = account.id;
        self.workers.push(Worker { peer, account: id, cheat: Cheat::new(trick) });
        let kernels =
            vec![KernelOffer { kind: Path::ID, version: Path::KERNEL_VERSION, device: Device::Cores }];
        let offer = Some(WorkerOffer { slots: 1, kernels, region: None });
        self.handle(Event::WorkerJoined { peer, name: "w".into(), account: Box::new(account), offer });
    }

    fn handle(&mut self, event: Event) {
        self.core.handle(self.now, event, &mut self.effects);
        let mut effects = std::mem::take(&mut self.effects);
        for (_, message) in effects.to_games.drain(..) {
            self.hear_of_task(message);
        }
        for (peer, message) in effects.to_workers.drain(..) {
            if let ServerToWorker::Assign(assign) = message {
                self.assigned.push((peer, assign));
            }
        }
        for entry in effects.entries.drain(..) {
            self.note(&entry);
        }
        for effect in effects.others.drain(..) {
            match effect {
                Effect::Check(check) => self.checks.push(check),
                Effect::Compute(kernel) => self.kernels.push(kernel),
                Effect::Watch { .. } => {}
            }
        }
    }

    fn hear_of_task(&mut self, message: ServerToGame) {
        match message {
            ServerToGame::Welcome(welcome) => self.session = welcome.session,
            ServerToGame::Done(done) => {
                self.ended += 1;
                let sample = sample_of(u64::from(done.task.0 as u32));
                self.figures.wrong += u64::from(*done.outcome != *sample.right);
            }
            ServerToGame::Failed { .. } => {
                self.ended += 1;
                self.figures.failed += 1;
            }
            ServerToGame::Refused { refusal, .. } => panic!("a task was refused: {refusal}"),
            _ => {}
        }
    }

    fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::TaskSettled(settlement) => match settlement.source {
                ComputedFrom::Worker { .. } => {
                    self.figures.accepted += 1;
                    self.figures.paid_units += sample_of(self.asked).units.0;
                }
                ComputedFrom::Coordinator => self.figures.by_coordinator += 1,
                ComputedFrom::Cache => unreachable!("nothing is kept"),
                // A task that is late too often: its game is told that it failed.
                ComputedFrom::Begun => {}
            },
            Entry::AttemptEnded { verdict: Verdict::Rejected { .. }, .. } => {
                let found = self.workers.iter().find_map(|worker| worker.cheat.answers_since_first_lie());
                self.figures.found_after = self.figures.found_after.or(found);
            }
            Entry::WorkerConvicted { worker } => {
                let Some(convicted) = self.workers.iter().find(|one| one.account == *worker) else { return };
                if matches!(convicted.cheat.trick(), Trick::Honest) {
                    self.figures.honest_convicted += 1;
                } else {
                    let after = convicted.cheat.answers_since_first_lie();
                    self.figures.convicted_after = self.figures.convicted_after.or(after);
                }
            }
            _ => {}
        }
    }

    fn play_task(&mut self, game: &Game) {
        self.now.0 += (PACE.as_micros() as u64) / game.workers;
        self.asked += 1;
        let sample = sample_of(self.asked);
        let submit = Submit {
            task: TaskId(u64::from(self.session) << 32 | self.asked),
            kind: Path::ID,
            kernel_version: Path::KERNEL_VERSION,
            budget_us: Some(BUDGET.as_micros() as u32),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: self.now,
            spec: sample.spec.clone().into(),
            blobs: if self.asked == 1 { vec![samples().grid.clone()] } else { Vec::new() },
        };
        self.handle(Event::UpdateBegins { room: Some(ROOM) });
        self.handle(Event::submitted(GAMER, self.now, submit));
        self.handle(Event::TimePassed);
        while self.ended < self.asked {
            self.go_on();
        }
        if game.trick == Trick::Farm {
            self.change_identity(game);
        }
    }

    /// Handles the next event; if there is none, advances time to the next.
    fn go_on(&mut self) {
        if let Some((peer, assign)) = self.assigned.pop() {
            self.now.0 += SERVICE.as_micros() as u64;
            self.answer(peer, &assign);
        } else if let Some(check) = self.checks.pop() {
            let checked = self.judge(check);
            self.handle(Event::Checked(Box::new(checked)));
        } else if let Some(kernel) = self.kernels.pop() {
            let began = std::time::Instant::now();
            let run = kernel.job.upgrade().and_then(|job| job.run(&kernel.blobs, &kernel.stop).ok());
            self.figures.checking += began.elapsed();
            let computed =
                Computed { task: kernel.task, outcome: run.map(Into::into), left: None, took: SERVICE };
            self.handle(Event::Computed(computed));
        } else {
            let next = self.core.next_due().expect("a task that is open has a timer");
            self.now = self.now.max(next);
            self.handle(Event::TimePassed);
        }
        self.handle(Event::TimePassed);
    }

    /// Judges an answer. The time of the check is computed and not measured, so that the same seed gives the same
    /// figures: a deep check solves one of the task's paths again.
    fn judge(&mut self, check: Check) -> Checked {
        let units = check.units.0 as f64;
        let took_us = match check.depth {
            Depth::Always => 0.0,
            Depth::Deep(_) => units / QUERIES as f64,
            Depth::Again(_) => units,
        };
        self.figures.checked_units += took_us;
        let began = std::time::Instant::now();
        let checked = check.judge();
        self.figures.checking += began.elapsed();
        Checked { took: Duration::from_nanos((took_us * 1e3) as u64), ..checked }
    }

    fn answer(&mut self, peer: PeerId, assign: &Assign) {
        let sample = sample_of(self.asked);
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.peer == peer) else { return };
        let Some(outcome) = worker.cheat.answer(sample, self.asked, &mut self.random) else { return };
        let (task, attempt) = (assign.task, assign.attempt);
        let at = self.now;
        let answer = p2c2r_protocol::Answer {
            task,
            attempt,
            result: Ok(outcome.into()),
            received_at: at,
            started_at: at,
            finished_at: at,
        };
        let message = WorkerToServer::Answer(answer);
        self.handle(Event::FromWorker { peer, received_at: self.now, message });
    }

    /// Lets a worker of a farm leave once it was found out, and a new one join.
    fn change_identity(&mut self, game: &Game) {
        let found_out = |worker: &Worker| {
            let newcomer =
                self.core.trust().is_on_probation(worker.account, Path::ID, Path::KERNEL_VERSION, self.now);
            worker.cheat.trick() == Trick::Farm && worker.cheat.has_lied() && newcomer
        };
        let Some(at) = self.workers.iter().position(found_out) else { return };
        let gone = self.workers.remove(at);
        self.handle(Event::Left { peer: gone.peer, role: Role::Worker });
        self.join(Trick::Farm, (0, Duration::ZERO));
        debug_assert!(self.workers.len() as u64 == game.workers, "one for one");
    }
}

fn account(role: Role, number: u64, trust: WorkerTrust) -> Account {
    Account {
        id: AccountId(number as i64 * 2),
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
        trust,
    }
}
