//! How gamers share the coordinator's own kernel where there is no worker: the scheduler alone, with a pool of one thread
//! that takes simulated time.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use p2c2r_protocol::{
    Answer, Assign, Device, KernelOffer, Micros, Nanos, PeerId, Role, ServerToGame, ServerToWorker, Submit,
    TaskId, TaskNo, WorkerOffer, WorkerToServer,
};
use p2c2r_server::config::default_prices;
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::core::work::{Check, Computed, KernelRun};
use p2c2r_server::core::{Core, Effect, Effects, Event};
use p2c2r_server::ledger::{Account, AdmissionRoom};
use p2c2r_server::{ComputeMode, PatientFallback, ServerConfig};
use p2c2r_tasks::kind::TaskKind;
use p2c2r_tasks::{Blobs, Stop};

use crate::scheduler::account;
use crate::toy::{self, Bulky, Toy, ToySpec};

const ROOM: AdmissionRoom =
    AdmissionRoom { admissions: 1_000, patient: 1_000, bytes: 1 << 20, tasks_per_account: u64::MAX };
/// Milliseconds played.
const PLAYED: u64 = 6_000;
/// Milliseconds that a kernel takes, and work units that are worth as much.
const KERNEL_MS: u64 = 10;
const UNITS: u64 = KERNEL_MS * 1_000;

/// A coordinator whose pool has one thread.
struct Alone {
    core: Core,
    effects: Effects,
    now_ms: u64,
    runs: VecDeque<KernelRun>,
    /// What the thread does, and until when.
    running: Option<(KernelRun, u64)>,
    done: HashSet<TaskId>,
    asked: u64,
    /// Milliseconds that a kernel takes.
    kernel_ms: u64,
    assigned: Vec<Assign>,
    checks: Vec<Check>,
}

impl Alone {
    fn new(gamers: u64, patient_fallback: PatientFallback) -> Self {
        Self::with_threads(1, gamers, patient_fallback)
    }

    /// As [`Alone::new`], for a pool of which one thread runs kernels and the others have nothing to do but checks.
    fn with_threads(threads: usize, gamers: u64, patient_fallback: PatientFallback) -> Self {
        let config = ServerConfig {
            patient_fallback,
            kinds: toy::kinds(),
            prices: default_prices(&toy::kinds()),
            compute: ComputeMode::Threads(threads),
            ..ServerConfig::default()
        };
        let mut alone = Self {
            core: Core::new(config.policy(), TaskNo(1), [0; 32]),
            effects: Effects::default(),
            now_ms: 1,
            runs: VecDeque::new(),
            running: None,
            done: HashSet::new(),
            asked: 0,
            kernel_ms: KERNEL_MS,
            assigned: Vec::new(),
            checks: Vec::new(),
        };
        for id in 1..=gamers {
            let account = Account { available: Nanos::DOLLAR, ..account(Role::Gamer, id) };
            alone.handle(Event::GamerJoined {
                peer: PeerId(id),
                name: "g".into(),
                account: Box::new(account),
                session_min: 1,
                hour_cap: HourCap::AsEverybody,
            });
        }
        alone
    }

    fn now(&self) -> Micros {
        Micros(self.now_ms * 1_000)
    }

    fn handle(&mut self, event: Event) {
        self.core.handle(self.now(), event, &mut self.effects);
        let effects = std::mem::take(&mut self.effects);
        for (_, message) in effects.to_games {
            if let ServerToGame::Done(done) = message {
                self.done.insert(done.task);
            }
        }
        for (_, message) in effects.to_workers {
            if let ServerToWorker::Assign(assign) = message {
                self.assigned.push(assign);
            }
        }
        for effect in effects.others {
            match effect {
                Effect::Compute(kernel) => self.runs.push_back(kernel),
                Effect::Check(check) => self.checks.push(check),
                Effect::Watch { .. } => {}
            }
        }
    }

    /// A worker joins that does the kind `bulky` and nothing else.
    fn bulky_worker(&mut self, id: u64) {
        let kernels =
            vec![KernelOffer { kind: Bulky::ID, version: Bulky::KERNEL_VERSION, device: Device::Cores }];
        self.handle(Event::WorkerJoined {
            peer: PeerId(id),
            name: "w".into(),
            account: Box::new(account(Role::Worker, id)),
            offer: Some(WorkerOffer { slots: 64, kernels, region: None }),
        });
    }

    /// A gamer asks for so many tasks of the kind `bulky`, whose answers are too large to be checked at once; the worker
    /// answers those that it has.
    fn ask_and_answer_bulky(&mut self, gamer: u64, worker: u64, tasks: u64) {
        for _ in 0..tasks {
            self.asked += 1;
            let submit = Submit {
                task: TaskId(1 << 32 | self.asked),
                kind: Bulky::ID,
                kernel_version: Bulky::KERNEL_VERSION,
                budget_us: Some(10_000_000),
                price_cap: Nanos::DOLLAR,
                client_queue_us: 0,
                sent_at: self.now(),
                spec: Bulky::encode_spec(&(self.asked, 8 * 1024)).into(),
                blobs: Vec::new(),
            };
            self.handle(Event::submitted(PeerId(gamer), self.now(), submit));
        }
        for assign in std::mem::take(&mut self.assigned) {
            let spec = Bulky::decode_spec(&assign.spec).unwrap();
            let outcome = Bulky::run(&spec, &Blobs::default(), &Stop::never()).unwrap();
            let answer = Answer {
                task: assign.task,
                attempt: assign.attempt,
                result: Ok(Bulky::encode_outcome(&outcome).into()),
                received_at: Micros(1),
                started_at: Micros(2),
                finished_at: Micros(3),
            };
            let (peer, received_at) = (PeerId(worker), self.now());
            let message = WorkerToServer::Answer(answer);
            self.handle(Event::FromWorker { peer, received_at, message });
        }
    }

    fn ask(&mut self, gamer: u64, budget_ms: Option<u32>) -> TaskId {
        self.asked += 1;
        let task = TaskId(1 << 32 | self.asked);
        let submit = Submit {
            task,
            kind: Toy::ID,
            kernel_version: Toy::KERNEL_VERSION,
            budget_us: budget_ms.map(|ms| ms * 1_000),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: self.now(),
            spec: ToySpec { units: UNITS, ..toy::spec(1_000 + self.asked) }.encode().into(),
            blobs: Vec::new(),
        };
        self.handle(Event::submitted(PeerId(gamer), self.now(), submit));
        task
    }

    /// A millisecond passes.
    fn step(&mut self) {
        self.now_ms += 1;
        for check in std::mem::take(&mut self.checks) {
            self.handle(Event::Checked(Box::new(check.judge())));
        }
        if let Some((kernel, _)) = self.running.take_if(|(_, until)| *until <= self.now_ms) {
            let outcome = kernel.job.upgrade().and_then(|job| job.run(&kernel.blobs, &kernel.stop).ok());
            let took = Duration::from_millis(self.kernel_ms);
            self.handle(Event::Computed(Computed {
                task: kernel.task,
                outcome: outcome.map(Into::into),
                left: None,
                took,
            }));
        }
        self.handle(Event::TimePassed);
        while self.running.is_none()
            && let Some(kernel) = self.runs.pop_front()
        {
            // A run whose task has ended takes no time.
            if kernel.job.upgrade().is_some() {
                self.running = Some((kernel, self.now_ms + self.kernel_ms));
            } else {
                let computed =
                    Computed { task: kernel.task, outcome: None, left: None, took: Duration::ZERO };
                self.handle(Event::Computed(computed));
            }
        }
    }
}

/// The percentage of a modest gamer's tasks that are done in time, and the number of the others' tasks that are. The modest
/// gamer asks for a tenth of what the thread can do, and each of the `greedy` others for three times as much as it can do,
/// with longer deadlines.
fn in_time(greedy: u64) -> (usize, usize) {
    let mut alone = Alone::new(1 + greedy, PatientFallback::Queue);
    let (mut modest, mut theirs) = (Vec::new(), Vec::new());
    for ms in 0..PLAYED {
        alone.handle(Event::UpdateBegins { room: Some(ROOM) });
        if ms % (10 * KERNEL_MS) == 0 {
            modest.push(alone.ask(1, Some(300)));
        }
        if ms % KERNEL_MS == 0 {
            for gamer in 2..2 + greedy {
                theirs.extend((0..3).map(|_| alone.ask(gamer, Some(2_000))));
            }
        }
        alone.step();
    }
    (0..3_000).for_each(|_| alone.step());
    alone.core.assert_whole_state();
    assert!(alone.core.tasks().is_empty(), "all have ended");
    let done = |tasks: &[TaskId]| tasks.iter().filter(|task| alone.done.contains(task)).count();
    (done(&modest) * 100 / modest.len(), done(&theirs))
}

#[test]
fn greedy_gamers_take_nothing_of_what_a_modest_one_has_computed_here_in_time() {
    assert_eq!(in_time(0).0, 100);
    for greedy in [1, 4] {
        let (modest, theirs) = in_time(greedy);
        println!("in time: {modest} % beside {greedy} greedy ones, {theirs} of theirs");
        assert!(modest >= 98, "{modest} % beside {greedy} greedy ones");
        assert!(theirs as u64 > PLAYED / KERNEL_MS * 8 / 10, "what nobody else wants is theirs: {theirs}");
    }
}

#[test]
fn the_scheduler_wakes_by_itself_for_a_patient_task_that_it_may_compute() {
    for (fallback, is_done) in [(PatientFallback::Queue, false), (PatientFallback::Compute, true)] {
        let mut alone = Alone::new(1, fallback);
        alone.handle(Event::UpdateBegins { room: Some(ROOM) });
        let task = alone.ask(1, None);
        while let Some(due) = alone.core.next_due()
            && !alone.done.contains(&task)
        {
            assert!(due > alone.now(), "it does not wake in vain");
            alone.now_ms = due.0.div_ceil(1_000);
            (0..2 * KERNEL_MS).for_each(|_| alone.step());
        }
        assert_eq!(alone.done.contains(&task), is_done, "{fallback:?}");
    }
}

/// Whether a patient task of two seconds is done here within a minute in which a worker answers `at_once` tasks at the same
/// time, ten times a second, and the pool checks the answers.
fn is_done_beside_checks(threads: usize, at_once: u64) -> bool {
    let mut alone = Alone::with_threads(threads, 2, PatientFallback::Compute);
    alone.kernel_ms = 2_000;
    alone.bulky_worker(100);
    alone.handle(Event::UpdateBegins { room: Some(ROOM) });
    let patient = alone.ask(1, None);
    for ms in 0..60_000 {
        if ms % 100 == 0 {
            alone.handle(Event::UpdateBegins { room: Some(ROOM) });
            alone.ask_and_answer_bulky(2, 100, at_once);
        }
        alone.step();
    }
    assert!(
        alone.done.len() as u64 > 500 * at_once,
        "the worker's answers are checked: {}",
        alone.done.len()
    );
    alone.done.contains(&patient)
}

#[test]
fn checks_that_other_threads_make_do_not_keep_a_patient_task_from_being_done_here() {
    assert!(is_done_beside_checks(2, 1));
    assert!(is_done_beside_checks(2, 4));
    assert!(!is_done_beside_checks(1, 1), "the only thread makes the checks");
    assert!(!is_done_beside_checks(2, 40), "where checks pile up every thread makes them");
}
