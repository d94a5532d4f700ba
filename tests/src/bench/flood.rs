//! What a flood of strangers' packets costs those inside and those who come: the real coordinator over loopback, with a
//! game under way all the time, newcomers that join one after the other, and an attacker at a given pace.
//!
//! The attacker writes addresses of 127.0.0.0/8 on its packets (the system lets a socket choose among its own), which
//! are 16 million addresses in 65,536 prefixes. It has no key of the coordinator's, like anybody who has no token.
//! Attacks that need a token, or a peer's address and port, are in `shared/link/tests/link/strangers.rs`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use p2c2r_join::JoinLink;
use p2c2r_protocol::Role;
use quinn_udp::{Transmit, UdpSocketState};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use super::p2c2r::{P2c2r, joins_within};
use super::{Load, Rival, at_quantile, echo};
use crate::joining;

/// Packets per second that an attack aims at.
const PACKETS_PER_SECOND: u64 = 100_000;
/// Longest that a newcomer may take.
const NEWCOMER_PATIENCE: Duration = Duration::from_secs(2);
/// What keeps going all the time: one small task after the other, in rounds.
const LOAD: Load = Load { size_bytes: 256, in_flight: 1, requests: 500 };

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long each attack lasts, or longer if newcomers are still trying.
    pub seconds: f64,
    /// Newcomers during each attack.
    pub newcomers: u32,
    /// Requests of a round under way.
    pub requests: usize,
}

/// The bench as a person runs it, and to see that it works.
pub const FULL: Plan = Plan { seconds: 6.0, newcomers: 20, requests: LOAD.requests };
/// See [`FULL`].
pub const QUICK: Plan = Plan { seconds: 0.3, newcomers: 2, requests: 20 };

/// One attack.
struct Attack {
    name: &'static str,
    /// Whether every packet has another address.
    is_spread: bool,
    /// Writes the packet of a number, for a coordinator of a protocol.
    packet: fn(&mut Pcg32, u64, u64, &mut Vec<u8>),
}

const ATTACKS: [Attack; 5] = [
    Attack { name: "requests, many addresses", is_spread: true, packet: forged_request },
    Attack { name: "requests, one address", is_spread: false, packet: forged_request },
    Attack { name: "requests of another version", is_spread: true, packet: foreign_request },
    Attack { name: "responses", is_spread: true, packet: forged_response },
    Attack { name: "junk", is_spread: true, packet: junk },
];

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The attack.
    pub name: &'static str,
    /// Packets per second that were sent.
    pub sent_per_s: f64,
    /// Share of newcomers that were in within two seconds.
    pub joined: f64,
    /// 99th percentile of the game's round trips before and during the attack, in milliseconds.
    pub p99_ms: (f64, f64),
    /// The coordinator's resident memory before and after, in bytes, where the system tells.
    pub memory: Option<(u64, u64)>,
    /// Bytes that came back to the attacker for each that it sent.
    pub answered: f64,
}

/// One row per attack.
pub fn rows(plan: Plan) -> io::Result<Vec<Row>> {
    let mut inside = P2c2r::start()?;
    let load = Load { requests: plan.requests, ..LOAD };
    // The first round warms up.
    inside.round(load)?;
    ATTACKS.iter().map(|attack| measure(attack, plan, load, &mut inside)).collect()
}

fn measure(attack: &Attack, plan: Plan, load: Load, inside: &mut P2c2r) -> io::Result<Row> {
    let link: JoinLink = inside.game_link().parse().map_err(io::Error::other)?;
    let server = address_of(&link)?;
    // One account for all, whose tokens of a minute are enough for them.
    let newcomer = joining::by_link(inside.game_link(), Role::Gamer, "newcomer", echo::kinds().identity())?;
    let coordinator = inside.processes()[0];
    let memory_before = resident(coordinator);
    let before = p99_ms(inside, load, plan.seconds / 2.0, &AtomicBool::new(true))?;
    let flood = Flood::start(server, attack)?;
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
    let during = p99_ms(inside, load, plan.seconds, &is_over)?;
    let joined = newcomers.join().map_err(|_| io::Error::other("a newcomer's thread panicked"))?;
    let (sent_per_s, answered) = flood.stop();
    assert!(answered <= 1.0, "{}: {answered} bytes out for each that came in", attack.name);
    Ok(Row {
        name: attack.name,
        sent_per_s,
        joined: joined as f64 / f64::from(plan.newcomers),
        p99_ms: (before, during),
        memory: memory_before.zip(resident(coordinator)),
        answered,
    })
}

/// Where the coordinator of a link listens, for UDP as for HTTPS.
fn address_of(link: &JoinLink) -> io::Result<SocketAddr> {
    let host = link.hosts.first().ok_or_else(|| io::Error::other("a join link without a host"))?;
    let mut found = (host.name.as_str(), host.port).to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::other("a host without an address"))
}

/// The 99th percentile over rounds for at least `seconds` and until `is_over`.
fn p99_ms(inside: &mut P2c2r, load: Load, seconds: f64, is_over: &AtomicBool) -> io::Result<f64> {
    let start = Instant::now();
    let mut latencies = Vec::new();
    while start.elapsed().as_secs_f64() < seconds || !is_over.load(Ordering::Relaxed) {
        latencies.extend(inside.round(load)?.latencies_us);
    }
    latencies.sort_unstable_by(f64::total_cmp);
    Ok(at_quantile(&latencies, 0.99) / 1_000.0)
}

/// An attack under way, on a thread of its own.
struct Flood {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<(u64, u64)>,
    start: Instant,
}

impl Flood {
    fn start(server: SocketAddr, attack: &Attack) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        let system = UdpSocketState::new((&socket).into())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let (is_spread, packet, protocol_id) = (attack.is_spread, attack.packet, echo::kinds().identity().id);
        let thread = std::thread::spawn({
            let (is_over, sent) = (Arc::clone(&is_over), Arc::clone(&sent));
            move || {
                let mut random = Pcg32::seed_from_u64(3);
                let (mut bytes_out, mut bytes_back, mut contents) = (0, 0, Vec::new());
                let (start, mut count) = (Instant::now(), 0);
                while !is_over.load(Ordering::Relaxed) {
                    let due = (start.elapsed().as_secs_f64() * PACKETS_PER_SECOND as f64) as u64;
                    // What it has fallen behind by it does not catch up with: the pace is a bound.
                    for _ in 0..due.saturating_sub(count).min(PACKETS_PER_SECOND / 100) {
                        packet(&mut random, count, protocol_id, &mut contents);
                        let [_, b, c, d] =
                            if is_spread { random.random::<u32>() } else { 0x0001_0203 }.to_be_bytes();
                        let transmit = Transmit {
                            destination: server,
                            ecn: None,
                            contents: &contents,
                            segment_size: None,
                            src_ip: Some(IpAddr::from([127, b, c, d])),
                        };
                        if system.try_send((&socket).into(), &transmit).is_ok() {
                            bytes_out += contents.len() as u64;
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    count = due;
                    bytes_back += read_all(&socket);
                    std::thread::sleep(Duration::from_micros(500));
                }
                (bytes_out, bytes_back)
            }
        });
        Ok(Self { is_over, sent, thread, start: Instant::now() })
    }

    /// Ends it; packets sent per second, and bytes that came back for each that was sent.
    fn stop(self) -> (f64, f64) {
        let elapsed = self.start.elapsed().as_secs_f64();
        let sent = self.sent.load(Ordering::Relaxed) as f64;
        self.is_over.store(true, Ordering::Relaxed);
        let (bytes_out, bytes_back) = self.thread.join().unwrap_or((1, u64::MAX));
        (sent / elapsed, bytes_back as f64 / bytes_out.max(1) as f64)
    }
}

fn read_all(socket: &UdpSocket) -> u64 {
    let mut buffer = [0; 2_048];
    let mut bytes = 0;
    while let Ok(count) = socket.recv(&mut buffer) {
        bytes += count as u64;
    }
    bytes
}

/// A connection request that fits in everything but its seal.
fn forged_request(random: &mut Pcg32, number: u64, protocol_id: u64, packet: &mut Vec<u8>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    packet.clear();
    packet.push(0);
    packet.extend_from_slice(b"NETCODE 1.02\0");
    packet.extend_from_slice(&protocol_id.to_le_bytes());
    packet.extend_from_slice(&(now + 50).to_le_bytes());
    packet.resize(1_078 - 16, number as u8);
    // No two have the same tag.
    packet.extend_from_slice(&random.random::<[u8; 16]>());
}

fn foreign_request(random: &mut Pcg32, number: u64, protocol_id: u64, packet: &mut Vec<u8>) {
    forged_request(random, number, !protocol_id, packet);
}

fn forged_response(_: &mut Pcg32, number: u64, _: u64, packet: &mut Vec<u8>) {
    packet.clear();
    packet.extend_from_slice(&[0x13, 1]);
    packet.resize(2 + 308 + 16, number as u8);
}

fn junk(random: &mut Pcg32, number: u64, _: u64, packet: &mut Vec<u8>) {
    packet.clear();
    packet.extend_from_slice(&random.random::<[u8; 8]>());
    packet.resize(random.random_range(1..1_200), number as u8);
}

/// The memory that a process has resident, in bytes.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// The table a person reads.
pub fn table(rows: &[Row]) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "{:<28} {:>10} {:>8} {:>12} {:>12} {:>16} {:>9}\n",
        "attack", "packets/s", "joined", "p99 before", "p99 during", "memory MB", "out/in"
    );
    for row in rows {
        let memory = row.memory.map_or("-".to_owned(), |(before, after)| {
            format!("{:.1} -> {:.1}", before as f64 / 1e6, after as f64 / 1e6)
        });
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<28} {:>10.0} {:>7.0}% {:>9.2} ms {:>9.2} ms {:>16} {:>9.4}",
            row.name,
            row.sent_per_s,
            row.joined * 100.0,
            row.p99_ms.0,
            row.p99_ms.1,
            memory,
            row.answered
        );
    }
    text.push_str("addresses: of 127.0.0.0/8, by the system's leave; joined: within 2 s (aims: 95 %, p99 + 5 ms, out/in 1)");
    text
}
