//! How gamers share the coordinator's own kernel where there is no worker: the scheduler alone, with a pool of one thread
//! that takes simulated time.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use p2c2r_protocol::{Micros, Nanos, PeerId, ServerToGame, Submit, TaskId, TaskNo};
use p2c2r_server::config::default_prices;
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::core::work::{Computed, KernelRun};
use p2c2r_server::core::{Core, Effect, Effects, Event};
use p2c2r_server::ledger::{Account, AdmissionRoom};
use p2c2r_server::{ComputeMode, PatientFallback, ServerConfig};
use p2c2r_tasks::kind::TaskKind;

use crate::scheduler::account;
use crate::toy::{self, Toy, ToySpec};

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
}

impl Alone {
    fn new(gamers: u64, patient_fallback: PatientFallback) -> Self {
        let config = ServerConfig {
            patient_fallback,
            kinds: toy::kinds(),
            prices: default_prices(&toy::kinds()),
            compute: ComputeMode::Threads(1),
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
        };
        for id in 1..=gamers {
            let account = Account { available: Nanos::DOLLAR, ..account(p2c2r_protocol::Role::Gamer, id) };
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
        for effect in effects.others {
            if let Effect::Compute(kernel) = effect {
                self.runs.push_back(kernel);
            }
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
        if let Some((kernel, _)) = self.running.take_if(|(_, until)| *until <= self.now_ms) {
            let outcome = kernel.job.upgrade().and_then(|job| job.run(&kernel.blobs, &kernel.stop).ok());
            let took = Duration::from_millis(KERNEL_MS);
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
                self.running = Some((kernel, self.now_ms + KERNEL_MS));
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
