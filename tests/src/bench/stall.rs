//! The benefit of second attempts while one random worker of four stalls at a time: latencies, tasks in time
//! and extra work with hedging off and on, over links of several lengths and losses.
//!
//! Coordinator, workers and game are the programs' own apps, their links impaired, all in one thread on
//! manual time. So other programs do not affect the figures, and the same seed gives the same ones. A stalled
//! worker is not updated: packets queue up for it, and its answers wait. Kernels take no time; waiting is
//! measured.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bevy_app::{App, Update};
use bevy_ecs::message::{MessageWriter, Messages};
use bevy_ecs::prelude::{Res, ResMut, Resource};
use bevy_time::TimeUpdateStrategy;
use p2c2r_link::{
    ClientLinkConfig, ClientLinkPlugin, ClientTransport, FromServer, GameSide, Impairment, LinkClock,
    MemoryHub, NextWake, Reconnect, ServerTransport, ToServer,
};
use p2c2r_protocol::{GameToServer, Micros, Nanos, ServerToGame, Submit, TaskId, wire};
use p2c2r_server::Fallback;
use p2c2r_server::config::{ComputeMode, ServerConfig, default_prices};
use p2c2r_server::ledger::Ledger;
use p2c2r_server::peers::Scheduler;
use p2c2r_server::peers::joins::Joining;
use p2c2r_tasks::TaskKind;
use p2c2r_worker::{Execution, WorkerConfig};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::at_quantile;
use super::echo::{Echo, EchoPayload, kinds};

/// How far one step moves time.
const STEP: Duration = Duration::from_millis(1);
/// Workers, of which one at a time stalls.
const WORKERS: usize = 4;
/// Steps between two tasks.
const ASK_EVERY: u64 = 10;
/// Tasks before those that are counted: by then all workers are proven, and their speed is known.
const WARM_UP: usize = 200;
/// Length of a stall and time until the next, in steps: a quarter of the time. Longer stalls would be
/// detected by the heartbeat, which gives up on a worker after 350 ms.
const STALL_STEPS: std::ops::Range<u64> = 100..300;
const WELL_STEPS: std::ops::Range<u64> = 200..1_000;
/// A task's deadline minus the round trip.
const BESIDE_ROUND_TRIP: Duration = Duration::from_millis(300);
/// Steps within which all must have joined.
const JOIN_STEPS_MAX: u64 = 20_000;
/// Credit that no run uses up.
const CREDIT: Nanos = Nanos(1_000 * Nanos::DOLLAR.0);
/// The aims: the share left of the 99th percentile beyond the round trip, and of work done twice.
const P99_LEFT_MAX: f64 = 0.5;
const EXTRA_MAX: f64 = 0.07;
/// Least latency of a task with a second attempt, in round trips beyond the first: the first attempt is late
/// after one and its jitter, and the second needs one more. No result can be below that.
const SECOND_ATTEMPT: f64 = 1.3;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct StallPlan {
    /// Tasks of each arm.
    pub tasks: usize,
    /// Round trips to the workers, milliseconds.
    pub round_trips_ms: &'static [u64],
    /// Packets lost each way, per cent.
    pub losses_percent: &'static [u32],
}

/// The full bench, and a quick one that only shows that it works.
pub const FULL: StallPlan =
    StallPlan { tasks: 3_000, round_trips_ms: &[20, 60, 120, 200], losses_percent: &[0, 1, 3] };
/// See [`FULL`].
pub const QUICK: StallPlan = StallPlan { tasks: 200, round_trips_ms: &[20], losses_percent: &[0, 3] };

/// The results of one arm.
#[derive(Clone, Copy, Debug)]
pub struct StallArm {
    /// Median latency, milliseconds; tasks without an outcome count as having taken until their deadline.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Share of tasks that were done in time.
    pub in_time: f64,
    /// Second attempts per task, including the warm-up: the budget saved then may be spent later.
    pub extra: f64,
}

/// One link, without hedging and with.
#[derive(Clone, Copy, Debug)]
pub struct StallRow {
    /// Round trip to the workers, milliseconds.
    pub round_trip_ms: u64,
    /// Packets lost each way, per cent.
    pub loss_percent: u32,
    /// Without second attempts.
    pub off: StallArm,
    /// With as many as a coordinator allows by default.
    pub on: StallArm,
}

/// Measures every row.
pub fn rows(plan: StallPlan) -> io::Result<Vec<StallRow>> {
    let default = ServerConfig::default().hedge_percent;
    let mut rows = Vec::new();
    for &round_trip_ms in plan.round_trips_ms {
        for &loss_percent in plan.losses_percent {
            let arm = |hedge_percent| {
                let town = Town::start(hedge_percent, round_trip_ms, loss_percent)?;
                io::Result::Ok(town.measure(plan.tasks))
            };
            rows.push(StallRow { round_trip_ms, loss_percent, off: arm(0)?, on: arm(default)? });
        }
    }
    Ok(rows)
}

/// The rows as a table.
pub fn table(rows: &[StallRow]) -> String {
    let mut text = format!(
        "{:>7} {:>6}   {:>21}   {:>21}   {:>17}   {:>6} {:>6}\n",
        "rtt ms", "loss %", "p50 ms off / on", "p99 ms off / on", "in time % off/on", "p99", "extra"
    );
    for row in rows {
        let (off, on) = (row.off, row.on);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>7} {:>6}   {:>10.1} {:>10.1}   {:>10.1} {:>10.1}   {:>8.1} {:>8.1}   {:>5.2} {:>5.1}%",
            row.round_trip_ms,
            row.loss_percent,
            off.p50_ms,
            on.p50_ms,
            off.p99_ms,
            on.p99_ms,
            off.in_time * 100.0,
            on.in_time * 100.0,
            on.p99_ms / off.p99_ms.max(f64::MIN_POSITIVE),
            on.extra * 100.0
        );
    }
    text
}

/// The aims that these rows miss.
pub fn missed(rows: &[StallRow]) -> Vec<String> {
    let mut missed = Vec::new();
    for StallRow { round_trip_ms, loss_percent, off, on } in rows {
        let link = format!("{round_trip_ms} ms, {loss_percent} %");
        // Hedging cannot shorten the path itself.
        let beyond_way = |arm: &StallArm| arm.p99_ms - *round_trip_ms as f64;
        let aim = (P99_LEFT_MAX * beyond_way(off)).max(SECOND_ATTEMPT * *round_trip_ms as f64);
        if beyond_way(on) > aim {
            missed.push(format!(
                "{link}: p99 beyond the way {:.0} ms of {:.0}",
                beyond_way(on),
                beyond_way(off)
            ));
        }
        if on.extra > EXTRA_MAX {
            missed.push(format!("{link}: {:.1} % done twice", on.extra * 100.0));
        }
    }
    missed
}

/// A game's requests and their results.
#[derive(Resource, Default)]
struct Asking {
    session: u64,
    workers: u32,
    /// The budget of a task, and the number of tasks left.
    budget: Duration,
    left: usize,
    until_next: u64,
    asked: u64,
    sent_at: HashMap<TaskId, Micros>,
    /// Latency of each, microseconds; the deadline if there was no outcome.
    took_us: Vec<f64>,
    in_time: usize,
}

impl Asking {
    fn ended(&mut self, task: TaskId, outcome: Option<&[u8]>, now: Micros) {
        let Some(sent_at) = self.sent_at.remove(&task) else { return };
        let budget_us = self.budget.as_secs_f64() * 1e6;
        let took_us = f64::from(now.since(sent_at));
        let right = EchoPayload((task.0 ^ self.session).to_le_bytes().to_vec());
        let is_done =
            outcome.is_some_and(|outcome| Echo::decode_outcome(outcome).is_ok_and(|said| said == right));
        let is_in_time = is_done && took_us <= budget_us;
        self.in_time += usize::from(is_in_time);
        self.took_us.push(if is_in_time { took_us } else { budget_us });
    }

    fn next(&mut self, now: Micros) -> Option<Submit> {
        if self.left == 0 || self.until_next > 0 {
            self.until_next = self.until_next.saturating_sub(1);
            return None;
        }
        (self.left, self.until_next, self.asked) = (self.left - 1, ASK_EVERY - 1, self.asked + 1);
        let task = TaskId(self.session | self.asked);
        self.sent_at.insert(task, now);
        Some(Submit {
            task,
            kind: Echo::ID,
            kernel_version: Echo::KERNEL_VERSION,
            budget_us: Some(self.budget.as_micros() as u32),
            price_cap: Nanos::DOLLAR,
            client_queue_us: 0,
            sent_at: now,
            // The task's own number, so that no outcome is cached.
            spec: wire::encode(&EchoPayload(self.asked.to_le_bytes().to_vec())).into(),
            blobs: Vec::new(),
        })
    }
}

fn ask(
    mut asking: ResMut<'_, Asking>,
    mut heard: ResMut<'_, Messages<FromServer<ServerToGame>>>,
    mut say: MessageWriter<'_, ToServer<GameToServer>>,
    clock: Res<'_, LinkClock>,
) {
    let now = clock.now();
    for FromServer { message, .. } in heard.drain() {
        match message {
            ServerToGame::Welcome(welcome) => asking.session = u64::from(welcome.session) << 32,
            ServerToGame::Statement(statement) => asking.workers = statement.workers,
            ServerToGame::Done(done) => asking.ended(done.task, Some(&done.outcome), now),
            ServerToGame::Refused { task, .. } | ServerToGame::Failed { task, .. } => {
                asking.ended(task, None, now);
            }
            ServerToGame::Closing { .. } | ServerToGame::Spare(_) => {}
        }
    }
    if let Some(submit) = asking.next(now) {
        say.write(ToServer(GameToServer::Submit(submit)));
    }
}

/// A coordinator, four workers and a game.
struct Town {
    game: App,
    workers: Vec<App>,
    coordinator: App,
    _directory: tempfile::TempDir,
    random: Pcg32,
    /// Steps until a worker stalls or recovers, and which one stalls.
    until_change: u64,
    stalled: Option<usize>,
    budget: Duration,
}

fn ready(mut app: App) -> App {
    app.insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
    app.finish();
    app.cleanup();
    app
}

impl Town {
    fn start(hedge_percent: u32, round_trip_ms: u64, loss_percent: u32) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let hub = MemoryHub::new();
        hub.set_credit(CREDIT);
        let config = ServerConfig {
            db: directory.path().join("bench.db"),
            data_dir: directory.path().join("data"),
            prices: default_prices(&kinds()),
            kinds: kinds(),
            compute: ComputeMode::Inline,
            // The coordinator does not compute: only workers are measured.
            fallback: Fallback::Queue,
            hedge_percent,
            seed: Some(0),
            ..ServerConfig::default()
        };
        let coordinator = p2c2r_server::build_app(config, ServerTransport::Memory(hub.clone()));
        let coordinator = ready(coordinator.map_err(io::Error::other)?);
        let round_trip = Duration::from_millis(round_trip_ms);
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            let impair = Impairment {
                latency: round_trip / 2,
                jitter: round_trip / 20,
                loss: loss_percent as f32 / 100.0,
                seed: 1 + number as u64,
                ..Impairment::NONE
            };
            let config = WorkerConfig {
                name: format!("worker-{number}"),
                slots: 1,
                execution: Execution::Inline,
                kinds: kinds(),
                impair: Some(impair),
                ..WorkerConfig::default()
            };
            let app = p2c2r_worker::build_app(config, ClientTransport::Memory(hub.clone()));
            workers.push(ready(app.map_err(io::Error::other)?));
        }
        let mut game = App::new();
        game.add_plugins(bevy_time::TimePlugin)
            .add_plugins(ClientLinkPlugin::<GameSide>::new(ClientLinkConfig {
                transport: ClientTransport::Memory(hub),
                identity: kinds().identity(),
                name: "game".into(),
                rate_limit: None,
                impair: None,
                reconnect: Reconnect::default(),
            }))
            .init_resource::<Asking>()
            .add_systems(Update, ask);
        let random = Pcg32::seed_from_u64(7);
        let budget = round_trip + BESIDE_ROUND_TRIP;
        let mut town = Self {
            game: ready(game),
            workers,
            coordinator,
            _directory: directory,
            random,
            until_change: u64::MAX,
            stalled: None,
            budget,
        };
        for _ in 0..JOIN_STEPS_MAX {
            if town.asking().workers as usize == WORKERS {
                return Ok(town);
            }
            town.step();
        }
        Err(io::Error::other("not everybody has joined"))
    }

    fn asking(&mut self) -> &mut Asking {
        self.game.world_mut().resource_mut::<Asking>().into_inner()
    }

    /// Asks for `tasks` tasks and steps until all have ended.
    fn ask_for(&mut self, tasks: usize) {
        let budget = self.budget;
        let asking = self.asking();
        (asking.left, asking.budget, asking.in_time) = (tasks, budget, 0);
        asking.took_us.clear();
        while self.asking().took_us.len() < tasks {
            self.step();
        }
    }

    fn measure(mut self, tasks: usize) -> StallArm {
        self.ask_for(WARM_UP);
        self.until_change = self.random.random_range(WELL_STEPS);
        let tally = |town: &Self| *town.coordinator.world().resource::<Scheduler>().core().tally();
        self.ask_for(tasks);
        let after = tally(&self);
        let asking = self.asking();
        let mut took_us = std::mem::take(&mut asking.took_us);
        let in_time = asking.in_time as f64 / tasks as f64;
        took_us.sort_unstable_by(f64::total_cmp);
        let quantile = |share: f64| at_quantile(&took_us, share) / 1e3;
        StallArm {
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            in_time,
            extra: after.hedged as f64 / (WARM_UP + tasks) as f64,
        }
    }

    fn step(&mut self) {
        self.until_change = self.until_change.saturating_sub(1);
        if self.until_change == 0 {
            let worker = self.random.random_range(0..WORKERS);
            self.stalled = self.stalled.is_none().then_some(worker);
            let steps = if self.stalled.is_some() { STALL_STEPS } else { WELL_STEPS };
            self.until_change = self.random.random_range(steps);
        }
        self.game.update();
        for (number, worker) in self.workers.iter_mut().enumerate() {
            if self.stalled != Some(number) {
                worker.update();
            }
        }
        let coordinator = &mut self.coordinator;
        // The ledger answers in its own time; here it is awaited within the step.
        if !coordinator.world().resource::<Joining>().is_empty() {
            let _ = coordinator.world().resource::<Ledger>().flush();
        }
        coordinator.update();
        // Work that an update leaves for the next is done before time goes on.
        coordinator.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::ZERO));
        while coordinator.world().resource::<NextWake>().is_due() {
            coordinator.update();
        }
        coordinator.insert_resource(TimeUpdateStrategy::ManualDuration(STEP));
    }
}
