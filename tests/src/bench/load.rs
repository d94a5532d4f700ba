//! Many gamers and many workers at one coordinator, over UDP, each with its own account that joined by a
//! link; then a thousand idle peers.
//!
//! Gamers are threads of this process, workers threads of another, so on a small machine they take processor
//! time from the coordinator. The rate is then the machine's; the coordinator's own figure is its processor time
//! per task. That of gamers and workers stands beside it: where they use all processors, the rate measures them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bevy_app::{AppExit, Update};
use bevy_ecs::message::MessageWriter;
use bevy_ecs::prelude::{Res, ResMut};
use p2c2r_link::{ClientLink, ClientTransport, NextWake};
use p2c2r_protocol::Role;
use p2c2r_protocol::limits::TASKS_PER_GAMER_MAX;

use super::network::Network;
use super::p2c2r::{BenchClient, linked};
use super::roles::local_address;
use super::{Load, at_quantile, cpu, echo, median};
use crate::joining;

/// Small tasks a second that a coordinator with a core to itself is to do at least.
const AIM_PER_S: f64 = 20_000.0;
/// Games come from other addresses than workers do.
const FIRST_GAMER: usize = 2_048;
/// Time-out for all peers to join.
const PATIENCE: Duration = Duration::from_mins(3);
/// Longest sleep of an idle peer between checks whether the bench is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct LoadPlan {
    /// Gamers, and as many workers, a row each; and the tasks each gamer keeps under way.
    crowds: &'static [(usize, usize)],
    /// Tasks of a round, of all gamers together.
    requests: usize,
    /// Rounds per row, after one that is not recorded.
    rounds: usize,
    /// Idle peers, half gamers and half workers.
    idle_peers: usize,
    /// How long they are watched.
    idle: Duration,
}

/// The full bench, and a quick one that only shows that it works.
pub const FULL: LoadPlan = LoadPlan {
    crowds: &[(1, 64), (10, 16), (100, 4)],
    requests: 40_000,
    rounds: 3,
    idle_peers: 1_000,
    idle: Duration::from_secs(10),
};
/// See [`FULL`].
pub const QUICK: LoadPlan = LoadPlan {
    crowds: &[(1, 8), (3, 2)],
    requests: 120,
    rounds: 1,
    idle_peers: 4,
    idle: Duration::from_millis(200),
};

/// The measurements of one crowd, medians over its rounds.
struct Crowd {
    gamers: usize,
    /// As fast as answers come.
    full: Pace,
    /// At half of [`AIM_PER_S`], regardless of answers.
    fixed: Pace,
    /// Growth of the coordinator's resident memory per peer once all have joined and no task is under way,
    /// bytes.
    bytes_per_peer: Option<f64>,
}

/// The results at one pace.
#[derive(Clone, Copy)]
struct Pace {
    rate_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// 99th percentile of the coordinator's part of a round trip, from its receipts: until the attempt left, and for the
    /// check.
    coordinator_p99_ms: f64,
    /// The coordinator's processor time per task, microseconds.
    cpu_us: Option<f64>,
    /// The same of all gamers, workers and kernels together.
    drivers_cpu_us: Option<f64>,
}

/// Measures all of it, and returns the results as tables.
pub fn report(plan: LoadPlan) -> io::Result<String> {
    let mut crowds = Vec::new();
    for &(gamers, in_flight) in plan.crowds {
        crowds.push(measure(gamers, in_flight, plan)?);
    }
    Ok(format!("{}\n{}", table(&crowds), idle(plan)?))
}

fn measure(gamers: usize, in_flight: usize, plan: LoadPlan) -> io::Result<Crowd> {
    let mut network = Network::without_workers()?;
    let coordinator = network.processes()[0];
    let before = cpu::resident(coordinator);
    network.add_workers(gamers)?;
    let clients: Vec<BenchClient> = (0..gamers)
        .map(|number| BenchClient::start(gamer(&network, FIRST_GAMER + number, "gamer")?))
        .collect::<io::Result<_>>()?;
    let bytes_per_peer = before
        .zip(cpu::resident(coordinator))
        .map(|(before, after)| after.saturating_sub(before) as f64 / (2 * gamers) as f64);
    let load = Load { size_bytes: 256, in_flight, requests: plan.requests / gamers, per_s: None };
    let processes = network.processes();
    let full = rounds(&clients, load, &processes, plan.rounds)?;
    let per_s = AIM_PER_S / 2.0 / gamers as f64;
    // At a fixed pace a task that has to wait counts as late. The coordinator counts a task until its charge
    // is recorded, after its answer has left, so only half of its limit is used.
    let load = Load { in_flight: TASKS_PER_GAMER_MAX / 2, per_s: Some(per_s), ..load };
    let fixed = rounds(&clients, load, &processes, plan.rounds)?;
    Ok(Crowd { gamers, full, fixed, bytes_per_peer })
}

/// The transport of gamer `number` to the coordinator.
fn gamer(network: &Network, number: usize, name: &str) -> io::Result<ClientTransport> {
    let address: IpAddr = local_address(number);
    joining::by_link_from(address, network.game_link(), Role::Gamer, name, echo::kinds().identity())
}

/// `processes` are the coordinator, then all others but this one.
fn rounds(clients: &[BenchClient], load: Load, processes: &[u32], count: usize) -> io::Result<Pace> {
    let used = || cpu::of(processes[0]).zip(cpu::spent(&processes[1..]));
    let mut paces = Vec::new();
    for round in 0..=count {
        let before = used();
        let start = Instant::now();
        for client in clients {
            client.begin(load)?;
        }
        let mut latencies = Vec::with_capacity(load.requests * clients.len());
        let mut at_coordinator = Vec::with_capacity(load.requests * clients.len());
        for client in clients {
            let result = client.result()?;
            latencies.extend(result.latencies_us);
            at_coordinator.extend(result.coordinator_us);
        }
        let (elapsed, tasks) = (start.elapsed().as_secs_f64(), latencies.len() as f64);
        latencies.sort_unstable_by(f64::total_cmp);
        at_coordinator.sort_unstable_by(f64::total_cmp);
        let cpu_us = before.zip(used()).map(|(before, after)| {
            let per_task = |spent: Duration| spent.as_secs_f64() * 1e6 / tasks;
            (per_task(after.0.saturating_sub(before.0)), per_task(after.1.saturating_sub(before.1)))
        });
        if round > 0 {
            paces.push(Pace {
                rate_per_s: tasks / elapsed,
                p50_ms: at_quantile(&latencies, 0.5) / 1e3,
                p99_ms: at_quantile(&latencies, 0.99) / 1e3,
                coordinator_p99_ms: at_quantile(&at_coordinator, 0.99) / 1e3,
                cpu_us: cpu_us.map(|(coordinator, _)| coordinator),
                drivers_cpu_us: cpu_us.map(|(_, drivers)| drivers),
            });
        }
    }
    let of = |value: fn(&Pace) -> f64| median(paces.iter().map(value).collect());
    let of_cpu =
        |value: fn(&Pace) -> Option<f64>| paces.iter().map(value).collect::<Option<Vec<_>>>().map(median);
    Ok(Pace {
        rate_per_s: of(|pace| pace.rate_per_s),
        p50_ms: of(|pace| pace.p50_ms),
        p99_ms: of(|pace| pace.p99_ms),
        coordinator_p99_ms: of(|pace| pace.coordinator_p99_ms),
        cpu_us: of_cpu(|pace| pace.cpu_us),
        drivers_cpu_us: of_cpu(|pace| pace.drivers_cpu_us),
    })
}

fn table(crowds: &[Crowd]) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "{:>7} {:>8} {:>6} {:>10} {:>8} {:>8} {:>13} {:>14} {:>15} {:>12}\n",
        "gamers",
        "workers",
        "pace",
        "per second",
        "p50 ms",
        "p99 ms",
        "coord. p99 ms",
        "coord. cpu us",
        "drivers cpu us",
        "KB per peer"
    );
    let or_dash = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    for crowd in crowds {
        for (name, pace) in [("full", &crowd.full), ("fixed", &crowd.fixed)] {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:>7} {:>8} {:>6} {:>10.0} {:>8.2} {:>8.2} {:>13.2} {:>14} {:>15} {:>12}",
                crowd.gamers,
                crowd.gamers,
                name,
                pace.rate_per_s,
                pace.p50_ms,
                pace.p99_ms,
                pace.coordinator_p99_ms,
                or_dash(pace.cpu_us),
                or_dash(pace.drivers_cpu_us),
                or_dash(crowd.bytes_per_peer.map(|bytes| bytes / 1e3))
            );
        }
    }
    let cheapest = crowds.iter().filter_map(|crowd| crowd.full.cpu_us).min_by(f64::total_cmp);
    if let Some(cpu_us) = cheapest {
        let _ = writeln!(
            text,
            "one core to itself would do {:.0} tasks a second (aim: {AIM_PER_S})",
            1e6 / cpu_us
        );
    }
    text
}

/// The cost of idle peers for the coordinator, as one line.
pub fn idle(plan: LoadPlan) -> io::Result<String> {
    let mut network = Network::without_workers()?;
    let coordinator = network.processes()[0];
    let before = cpu::resident(coordinator);
    let workers = plan.idle_peers / 2;
    network.add_workers(workers)?;
    let gamers = IdleGamers::join(&network, plan.idle_peers - workers, workers)?;
    let memory = before.zip(cpu::resident(coordinator));
    let spent = cpu::of(coordinator);
    std::thread::sleep(plan.idle);
    let spent = spent.zip(cpu::of(coordinator)).map(|(before, after)| after.saturating_sub(before));
    drop(gamers);
    let share = spent.map_or("-".to_owned(), |spent| {
        format!("{:.1} %", spent.as_secs_f64() / plan.idle.as_secs_f64() * 100.0)
    });
    let kilobytes = memory.map_or("-".to_owned(), |(before, after)| {
        format!("{:.1} KB", after.saturating_sub(before) as f64 / plan.idle_peers as f64 / 1e3)
    });
    Ok(format!(
        "{} idle peers: {share} of a core (aim: 5 %), {kilobytes} for each (aim: 64 KB)",
        plan.idle_peers
    ))
}

/// Gamers that have joined and stay, each on a thread of its own.
struct IdleGamers {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl IdleGamers {
    /// Lets `count` gamers join one after the other, and waits until as many workers have joined.
    fn join(network: &Network, count: usize, workers: usize) -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut gamers = Self { is_over: Arc::clone(&is_over), threads: Vec::new() };
        for number in 0..count {
            let transport = gamer(network, FIRST_GAMER + number, "idle")?;
            let is_in = Arc::new(AtomicBool::new(false));
            gamers.threads.push(std::thread::spawn({
                let (is_in, is_over) = (Arc::clone(&is_in), Arc::clone(&is_over));
                move || stay(transport, &is_in, &is_over)
            }));
            wait_until(|| is_in.load(Ordering::Relaxed))?;
        }
        wait_for_workers(network, count, workers)?;
        Ok(gamers)
    }
}

impl Drop for IdleGamers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn wait_until(mut is_so: impl FnMut() -> bool) -> io::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > give_up {
            return Err(io::Error::other("not everybody was in in time"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits until a gamer that joins last sees `workers` workers.
fn wait_for_workers(network: &Network, gamers: usize, workers: usize) -> io::Result<()> {
    let last = BenchClient::start(gamer(network, FIRST_GAMER + gamers, "last")?)?;
    wait_until(|| last.workers() >= workers)
}

/// Connects and stays until the bench is over.
fn stay(transport: ClientTransport, is_in: &Arc<AtomicBool>, is_over: &Arc<AtomicBool>) {
    let (is_in, is_over) = (Arc::clone(is_in), Arc::clone(is_over));
    let mut app = linked(transport, "idle");
    app.add_systems(
        Update,
        move |link: Res<'_, ClientLink>,
              mut next: ResMut<'_, NextWake>,
              mut exit: MessageWriter<'_, AppExit>| {
            is_in.store(link.is_connected(), Ordering::Relaxed);
            if is_over.load(Ordering::Relaxed) {
                exit.write(AppExit::Success);
            }
            next.within(LOOK_EVERY);
        },
    );
    p2c2r_link::headless(&mut app);
    app.run();
}
