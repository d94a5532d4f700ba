//! The cost of floods for connected peers and newcomers: the real coordinator over loopback, with a game
//! running throughout, newcomers that join one after the other, and an attacker at a given pace.
//!
//! Attacks that need a token are in `shared/link/tests/link/strangers.rs`.

mod aims;
mod connections;
mod forged;
mod packets;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2c2r_join::JoinLink;
use p2c2r_protocol::Role;

pub use self::aims::{missed, verdict};
use self::connections::Visit;
use self::packets::{Packets, foreign_request, forged_request, forged_response, junk};
use super::p2c2r::{P2c2r, joins_within};
use super::{Load, Rival, at_quantile, cpu, echo};
use crate::joining;

/// Time-out of a newcomer.
const NEWCOMER_PATIENCE: Duration = Duration::from_secs(2);
/// The game's load throughout: one small task after the other, in rounds.
const LOAD: Load = Load { size_bytes: 256, in_flight: 1, requests: 500, per_s: None };

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct FloodPlan {
    /// How long each attack lasts, or longer if newcomers are still trying.
    pub seconds: f64,
    /// Newcomers during each attack.
    pub newcomers: u32,
    /// Requests of a round under way.
    pub requests: usize,
}

/// The full bench, and a quick one that only shows that it works.
pub const FULL: FloodPlan = FloodPlan { seconds: 6.0, newcomers: 20, requests: LOAD.requests };
/// See [`FULL`].
pub const QUICK: FloodPlan = FloodPlan { seconds: 0.3, newcomers: 2, requests: 20 };

/// What an attacker sends or opens.
#[derive(Clone, Copy)]
enum Means {
    Packets(Packets),
    Connections(Visit),
}

const fn strangers(is_spread: bool, write: packets::Writer) -> Means {
    Means::Packets(Packets::Strangers { is_spread, write })
}

/// The attacks and their names.
const ATTACKS: [(&str, Means); 10] = [
    ("requests, many addresses", strangers(true, forged_request)),
    ("requests, one address", strangers(false, forged_request)),
    ("requests of another version", strangers(true, foreign_request)),
    ("responses", strangers(true, forged_response)),
    ("junk", strangers(true, junk)),
    ("packets in peers' names", Means::Packets(Packets::Peers)),
    ("silent connections", Means::Connections(Visit::Silent)),
    ("half-open, slow TLS", Means::Connections(Visit::Slow)),
    ("idle TLS connections", Means::Connections(Visit::Idle)),
    ("token requests", Means::Connections(Visit::Token)),
];

/// An attack under way.
enum Flood {
    Packets(packets::PacketFlood),
    Connections(connections::ConnectionFlood),
}

impl Flood {
    fn start(link: &JoinLink, server: SocketAddr, means: Means) -> io::Result<Self> {
        match means {
            Means::Packets(packets) => packets::PacketFlood::start(server, packets).map(Self::Packets),
            Means::Connections(visit) => {
                connections::ConnectionFlood::start(link, server, visit).map(Self::Connections)
            }
        }
    }

    /// Ends it; returns packets or connections a second, and bytes that came back per byte sent.
    fn stop(self) -> (f64, Option<f64>) {
        match self {
            Self::Packets(flood) => {
                let (per_s, answered) = flood.stop();
                (per_s, Some(answered))
            }
            Self::Connections(flood) => (flood.stop(), None),
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct FloodRow {
    /// The attack.
    pub name: &'static str,
    /// Packets or connections per second that were sent or made.
    pub sent_per_s: f64,
    /// Share of newcomers that were in within two seconds.
    pub joined: f64,
    /// 99th percentile of the game's round trips before and during the attack, in milliseconds.
    pub p99_ms: (f64, f64),
    /// The coordinator's resident memory before, and the most during the attack, in bytes, where the system tells.
    pub memory: Option<(u64, u64)>,
    /// Bytes that came back to the attacker per byte sent; `None` over TCP, where an address is proven before
    /// the first answer.
    pub answered: Option<f64>,
}

/// One row per attack that this machine allows.
pub fn rows(plan: FloodPlan) -> io::Result<Vec<FloodRow>> {
    let mut inside = P2c2r::start()?;
    let load = Load { requests: plan.requests, ..LOAD };
    // The first round is a warm-up.
    inside.round(load)?;
    let mut rows = Vec::new();
    for (name, means) in ATTACKS {
        rows.extend(measure(name, means, plan, load, &mut inside)?);
    }
    Ok(rows)
}

fn measure(
    name: &'static str,
    means: Means,
    plan: FloodPlan,
    load: Load,
    inside: &mut P2c2r,
) -> io::Result<Option<FloodRow>> {
    let link: JoinLink = inside.game_link().parse().map_err(io::Error::other)?;
    let server = address_of(&link)?;
    // One account for all newcomers, whose tokens per minute are enough for them.
    let newcomer = joining::by_link(inside.game_link(), Role::Gamer, "newcomer", echo::kinds().identity())?;
    let coordinator = inside.processes()[0];
    let memory_before = cpu::resident(coordinator);
    let before = p99_ms(inside, load, plan.seconds / 2.0, &AtomicBool::new(true), || ())?;
    let flood = match Flood::start(&link, server, means) {
        Ok(flood) => flood,
        Err(error) => {
            p2c2r_program::say(format_args!(
                "{name}: not measured, for this machine does not allow it ({error})"
            ));
            return Ok(None);
        }
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let newcomers = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let joined =
                (0..plan.newcomers).filter(|_| joins_within(newcomer.clone(), NEWCOMER_PATIENCE)).count();
            is_over.store(true, Ordering::Relaxed);
            joined
        }
    });
    let mut memory = memory_before;
    let during = p99_ms(inside, load, plan.seconds, &is_over, || {
        memory = memory.max(cpu::resident(coordinator));
    })?;
    let joined = newcomers.join().map_err(|_| io::Error::other("a newcomer's thread panicked"))?;
    let (sent_per_s, answered) = flood.stop();
    Ok(Some(FloodRow {
        name,
        sent_per_s,
        joined: joined as f64 / f64::from(plan.newcomers),
        p99_ms: (before, during),
        memory: memory_before.zip(memory),
        answered,
    }))
}

/// The coordinator's address in a link, for UDP as for HTTPS.
fn address_of(link: &JoinLink) -> io::Result<SocketAddr> {
    let host = link.hosts.first().ok_or_else(|| io::Error::other("a join link without a host"))?;
    let mut found = (host.name.as_str(), host.port).to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::other("a host without an address"))
}

/// The 99th percentile over rounds for at least `seconds` and until `is_over`; calls `after_each` after every round.
fn p99_ms(
    inside: &mut P2c2r,
    load: Load,
    seconds: f64,
    is_over: &AtomicBool,
    mut after_each: impl FnMut(),
) -> io::Result<f64> {
    let start = Instant::now();
    let mut latencies = Vec::new();
    while start.elapsed().as_secs_f64() < seconds || !is_over.load(Ordering::Relaxed) {
        latencies.extend(inside.round(load)?.latencies_us);
        after_each();
    }
    latencies.sort_unstable_by(f64::total_cmp);
    Ok(at_quantile(&latencies, 0.99) / 1_000.0)
}

/// The results as a table.
pub fn table(rows: &[FloodRow]) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "{:<28} {:>10} {:>8} {:>12} {:>12} {:>16} {:>9}\n",
        "attack", "sent/s", "joined", "p99 before", "p99 during", "memory MB", "out/in"
    );
    for row in rows {
        let memory = row.memory.map_or("-".to_owned(), |(before, after)| {
            format!("{:.1} -> {:.1}", before as f64 / 1e6, after as f64 / 1e6)
        });
        let answered = row.answered.map_or("-".to_owned(), |answered| format!("{answered:.4}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<28} {:>10.0} {:>7.0}% {:>9.2} ms {:>9.2} ms {:>16} {:>9}",
            row.name,
            row.sent_per_s,
            row.joined * 100.0,
            row.p99_ms.0,
            row.p99_ms.1,
            memory,
            answered
        );
    }
    text.push_str(
        "addresses: of 127.0.0.0/8, by the system's leave; joined: within 2 s; memory: before and at most",
    );
    text
}
