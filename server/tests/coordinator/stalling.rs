//! Distant workers, one of which stalls at times: measures what hedging gains for the slowest task in a hundred, and
//! what it costs. The scheduler alone, with its messages carried over seeded links with round trip and loss.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use p2c2r_protocol::{
    Answer, Assign, Device, KernelOffer, Micros, Nanos, PeerId, Role, ServerToGame, ServerToWorker, Submit,
    TaskId, TaskNo, WorkerOffer, WorkerToServer,
};
use p2c2r_server::config::{TrustRules, default_prices};
use p2c2r_server::core::state::gamers::HourCap;
use p2c2r_server::core::{Core, Effect, Effects, Event, LinkState};
use p2c2r_server::ledger::{Account, AdmissionRoom};
use p2c2r_server::{Fallback, ServerConfig};
use p2c2r_tasks::kind::TaskKind;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::scheduler;
use crate::toy::{self, Toy};

const WORKERS: u64 = 4;
const GAMER: PeerId = PeerId(100);
/// Microseconds between two tasks.
const ASK_EVERY: u64 = 10_000;
/// Tasks before those that are counted: everybody has proven itself by then, and their speed is known.
const WARM_UP: u64 = 200;
const TASKS: u64 = 3_000;
/// How long a stall takes and how long it is until the next one, microseconds: a quarter of the time.
const STALL: std::ops::Range<u64> = 100_000..300_000;
const WELL: std::ops::Range<u64> = 200_000..1_000_000;
/// Microseconds that a slow worker takes longer for a task.
const SLOW: u64 = 200_000;
/// A task's deadline minus the round trip, microseconds.
const BESIDE_ROUND_TRIP: u64 = 300_000;
const ROOM: AdmissionRoom =
    AdmissionRoom { admissions: 1_000, patient: 0, bytes: 1 << 20, tasks_per_account: u64::MAX };
const CREDIT: Nanos = Nanos(1 << 50);

/// Which worker stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staller {
    Nobody,
    /// Always the same one.
    First,
    /// Each time another one.
    Any,
    /// Nobody stalls, but the first worker takes a fifth of a second longer per task until this many were submitted.
    FirstIsSlowUntil(u64),
}

/// A link, and who stalls.
#[derive(Clone, Copy, Debug)]
struct Scene {
    round_trip_ms: u64,
    loss_percent: u32,
    staller: Staller,
    seed: u64,
}

/// The result.
#[derive(Clone, Copy, Debug)]
struct Felt {
    /// The 99th percentile beyond the round trip, milliseconds.
    p99_beyond_ms: f64,
    /// Second attempts per task, including those of the warm-up, whose saved budget may be spent later.
    extra: f64,
    /// Share of tasks done in time.
    in_time: f64,
    /// Attempts that were trials.
    tried: u64,
    /// Of the last tenth of all tasks, the share that the first worker was asked.
    by_first: f64,
}

enum Arrives {
    Assign(PeerId, Assign),
    Answer(PeerId, Answer),
    Ask,
    StallChanges,
}

struct Far {
    scene: Scene,
    core: Core,
    effects: Effects,
    now: u64,
    random: SmallRng,
    /// Draws of stalls alone, so that they are the same whatever else happens.
    stalls: SmallRng,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    what: HashMap<u64, Arrives>,
    next: u64,
    session: u32,
    asked: u64,
    asked_at: HashMap<u64, u64>,
    took_us: Vec<u64>,
    in_time: u64,
    stalled: Option<(u64, u64)>,
    /// Attempts of the last tenth of all tasks that the first worker got.
    by_first: u64,
}

impl Far {
    fn new(scene: Scene, hedge_percent: u32) -> Self {
        let config = ServerConfig {
            trust: TrustRules::default().never(),
            kinds: toy::kinds(),
            prices: default_prices(&toy::kinds()),
            fallback: Fallback::Queue,
            hedge_percent,
            ..ServerConfig::default()
        };
        let mut far = Self {
            scene,
            core: Core::new(config.policy(), TaskNo(1), [scene.seed as u8; 32]),
            effects: Effects::default(),
            now: 1_000_000,
            random: SmallRng::seed_from_u64(scene.seed),
            stalls: SmallRng::seed_from_u64(scene.seed + 1),
            due: BinaryHeap::new(),
            what: HashMap::new(),
            next: 0,
            session: 0,
            asked: 0,
            asked_at: HashMap::new(),
            took_us: Vec::new(),
            in_time: 0,
            stalled: None,
            by_first: 0,
        };
        let hour_cap = HourCap::AsEverybody;
        let joined = Event::GamerJoined {
            peer: GAMER,
            name: "g".into(),
            account: Box::new(Account { available: CREDIT, ..scheduler::account(Role::Gamer, 1) }),
            session_min: 1,
            hour_cap,
        };
        far.handle(joined);
        for number in 1..=WORKERS {
            let peer = PeerId(number);
            let kernels =
                vec![KernelOffer { kind: Toy::ID, version: Toy::KERNEL_VERSION, device: Device::Cores }];
            let offer = Some(WorkerOffer { slots: 1, kernels, region: None });
            let account = Box::new(scheduler::account(Role::Worker, 10 + number));
            far.handle(Event::WorkerJoined { peer, name: "w".into(), account, offer });
            let rtt = Duration::from_millis(scene.round_trip_ms);
            far.handle(Event::Measured { peer, link: LinkState { rtt, clock_offset_us: None } });
        }
        far
    }

    fn budget_us(&self) -> u64 {
        self.scene.round_trip_ms * 1_000 + BESIDE_ROUND_TRIP
    }

    fn at(&mut self, moment: u64, what: Arrives) {
        self.next += 1;
        self.due.push(Reverse((moment, self.next)));
        self.what.insert(self.next, what);
    }

    /// When a packet sent at `sent` arrives: a lost one is resent, as by a link that knows its round trip.
    fn arrival(&mut self, sent: u64) -> u64 {
        let way = self.scene.round_trip_ms * 500;
        let mut at = sent;
        while self.random.random_range(0..100) < self.scene.loss_percent {
            at += 2 * way + 50_000;
        }
        at + way + self.random.random_range(0..=way / 10)
    }

    fn handle(&mut self, event: Event) {
        self.core.handle(Micros(self.now), event, &mut self.effects);
        let mut effects = std::mem::take(&mut self.effects);
        for (_, message) in effects.to_games.drain(..) {
            match message {
                ServerToGame::Welcome(welcome) => self.session = welcome.session,
                ServerToGame::Done(done) => self.ended(done.task, true),
                ServerToGame::Failed { task, .. } => self.ended(task, false),
                ServerToGame::Refused { refusal, .. } => panic!("refused: {refusal}"),
                _ => {}
            }
        }
        for (peer, message) in effects.to_workers.drain(..) {
            if let ServerToWorker::Assign(assign) = message {
                let at = self.arrival(self.now);
                self.at(at, Arrives::Assign(peer, assign));
            }
        }
        let checks: Vec<_> = effects.others.drain(..).collect();
        for effect in checks {
            if let Effect::Check(check) = effect {
                self.handle(Event::Checked(Box::new(check.judge())));
            }
        }
    }

    fn ended(&mut self, task: TaskId, is_done: bool) {
        let asked = task.0 & u64::from(u32::MAX);
        let Some(at) = self.asked_at.remove(&asked) else { return };
        let took = self.now - at;
        let is_in_time = is_done && took <= self.budget_us();
        if asked > WARM_UP {
            self.took_us.push(if is_in_time { took } else { self.budget_us() });
            self.in_time += u64::from(is_in_time);
        }
    }

    fn ask(&mut self) {
        self.asked += 1;
        if self.asked == WARM_UP + 1 {
            let first = self.now + self.stalls.random_range(WELL);
            if matches!(self.scene.staller, Staller::First | Staller::Any) {
                self.at(first, Arrives::StallChanges);
            }
        }
        self.asked_at.insert(self.asked, self.now);
        let submit = Submit {
            task: TaskId(u64::from(self.session) << 32 | self.asked),
            kind: Toy::ID,
            kernel_version: Toy::KERNEL_VERSION,
            budget_us: Some(self.budget_us() as u32),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: Micros(self.now),
            spec: toy::spec(1_000 + self.asked).encode().into(),
            blobs: Vec::new(),
        };
        self.handle(Event::UpdateBegins { room: Some(ROOM) });
        self.handle(Event::submitted(GAMER, Micros(self.now), submit));
        self.handle(Event::TimePassed);
        if self.asked < WARM_UP + TASKS {
            self.at(self.now + ASK_EVERY, Arrives::Ask);
        }
    }

    fn stall_changes(&mut self) {
        let (worker, length, well) = (
            self.stalls.random_range(1..=WORKERS),
            self.stalls.random_range(STALL),
            self.stalls.random_range(WELL),
        );
        let worker = if self.scene.staller == Staller::Any { worker } else { 1 };
        self.stalled = Some((worker, self.now + length));
        self.at(self.now + length + well, Arrives::StallChanges);
    }

    fn arrives(&mut self, what: Arrives) {
        match what {
            Arrives::Ask => self.ask(),
            Arrives::StallChanges => self.stall_changes(),
            Arrives::Assign(peer, assign) => {
                if let Some((stalled, until)) = self.stalled
                    && stalled == peer.0
                    && until > self.now
                {
                    self.at(until, Arrives::Assign(peer, assign));
                    return;
                }
                let is_slow = match self.scene.staller {
                    Staller::FirstIsSlowUntil(asked) => peer.0 == 1 && self.asked < asked,
                    _ => false,
                };
                let takes = if is_slow { SLOW } else { 0 };
                self.by_first += u64::from(peer.0 == 1 && self.asked > WARM_UP + TASKS * 9 / 10);
                let answer = Answer {
                    task: assign.task,
                    attempt: assign.attempt,
                    result: Ok(toy::answer(toy::number_in(&assign.spec)).into()),
                    received_at: Micros(1),
                    started_at: Micros(2),
                    finished_at: Micros(300),
                };
                let at = self.arrival(self.now + takes);
                self.at(at, Arrives::Answer(peer, answer));
            }
            Arrives::Answer(peer, answer) => {
                let message = WorkerToServer::Answer(answer);
                self.handle(Event::FromWorker { peer, received_at: Micros(self.now), message });
                self.handle(Event::TimePassed);
            }
        }
    }

    fn run(mut self) -> Felt {
        self.at(self.now, Arrives::Ask);
        while (self.took_us.len() as u64) < TASKS {
            let next = self.due.peek().map(|Reverse((at, _))| *at);
            let wanted = self.core.next_due().map(|at| at.0.max(self.now));
            match (next, wanted) {
                (next, Some(wanted)) if next.is_none_or(|next| wanted < next) => {
                    self.now = wanted;
                    self.handle(Event::TimePassed);
                }
                (Some(_), _) => {
                    let Some(Reverse((at, number))) = self.due.pop() else { break };
                    self.now = at;
                    let what = self.what.remove(&number);
                    self.arrives(what.expect("what is due is known"));
                }
                (None, _) => panic!("nothing is due and tasks are open"),
            }
        }
        self.took_us.sort_unstable();
        let p99 = self.took_us[self.took_us.len() * 99 / 100];
        Felt {
            p99_beyond_ms: p99 as f64 / 1e3 - self.scene.round_trip_ms as f64,
            extra: self.core.tally().hedged as f64 / self.asked as f64,
            in_time: self.in_time as f64 / TASKS as f64,
            tried: self.core.tally().tried,
            by_first: self.by_first as f64 / (TASKS / 10) as f64,
        }
    }
}

/// Runs a scene with hedging off and on, and returns both results.
fn off_and_on(round_trip_ms: u64, loss_percent: u32, staller: Staller, seed: u64) -> (Felt, Felt) {
    let scene = Scene { round_trip_ms, loss_percent, staller, seed };
    let (off, on) = (Far::new(scene, 0).run(), Far::new(scene, ServerConfig::default().hedge_percent).run());
    println!("{scene:?}\noff {off:.3?}\non  {on:.3?}");
    assert!(on.extra <= 0.07, "{:.2} % of the work is done twice", on.extra * 100.0);
    assert!(on.in_time + 0.002 >= off.in_time, "fewer in time");
    (off, on)
}

#[test]
fn where_one_of_four_stalls_the_slowest_hundredth_waits_half_as_long() {
    for round_trip_ms in [20, 60] {
        for loss_percent in [0, 1] {
            let (off, on) = off_and_on(round_trip_ms, loss_percent, Staller::Any, 1);
            assert!(on.p99_beyond_ms <= off.p99_beyond_ms / 2.0);
        }
    }
}

/// Here a second attempt takes about as long as the stall, or longer.
#[test]
fn where_workers_are_too_far_away_for_second_attempts_they_make_nothing_worse() {
    for (round_trip_ms, loss_percent) in [(120, 0), (120, 3), (200, 0), (200, 1)] {
        let mut sums = [0.0, 0.0];
        for seed in 1..=3 {
            let (off, on) = off_and_on(round_trip_ms, loss_percent, Staller::Any, seed);
            sums = [sums[0] + off.p99_beyond_ms, sums[1] + on.p99_beyond_ms];
        }
        // The two runs ask different workers, so different ones stall.
        assert!(sums[1] <= sums[0] * 1.1, "{sums:?}");
    }
}

#[test]
fn where_nobody_stalls_hardly_anybody_is_asked_twice() {
    for round_trip_ms in [20, 60, 120, 200] {
        let (off, on) = off_and_on(round_trip_ms, 0, Staller::Nobody, 1);
        assert!(on.extra <= 0.03, "{:.2} % of the work is done twice", on.extra * 100.0);
        assert!(on.p99_beyond_ms <= off.p99_beyond_ms + 2.0);
    }
}

/// A worker that stalls a quarter of the time gets less than its share, and others are not taken for it.
#[test]
fn where_the_same_one_stalls_always_second_attempts_make_nothing_worse() {
    for round_trip_ms in [20, 120] {
        let (off, on) = off_and_on(round_trip_ms, 1, Staller::First, 1);
        assert!(on.p99_beyond_ms <= off.p99_beyond_ms + 2.0);
    }
}

fn run(staller: Staller, seed: u64) -> Felt {
    let scene = Scene { round_trip_ms: 20, loss_percent: 0, staller, seed };
    let felt = Far::new(scene, ServerConfig::default().hedge_percent).run();
    println!("{scene:?}\n{felt:.3?}");
    felt
}

#[test]
fn a_worker_that_was_slow_gets_its_share_again_once_it_is_well() {
    for seed in 1..=3 {
        let felt = run(Staller::FirstIsSlowUntil(WARM_UP + 300), seed);
        assert!(felt.by_first > 0.1, "it is one of four");
    }
}

/// Compared with a world without a slow worker, in which no trials happen.
#[test]
fn trying_a_worker_that_stays_slow_makes_no_task_late_and_the_slowest_hundredth_no_slower() {
    for seed in 1..=3 {
        let slow = run(Staller::FirstIsSlowUntil(u64::MAX), seed);
        let well = run(Staller::Nobody, seed);
        assert!(slow.tried >= 3, "it is tried");
        assert!(slow.by_first <= 0.01, "and no more than that");
        assert!(slow.in_time + 0.0005 >= well.in_time, "{} in time of {}", slow.in_time, well.in_time);
        assert!(slow.p99_beyond_ms <= well.p99_beyond_ms + 2.0);
    }
}
