//! The benches: dispatch, every kind end to end, the cost of the kinds, floods, load, a stalling worker, cheating workers,
//! and what borrowing is worth on a weak machine.
//!
//! Dispatch: the same small request through raw UDP, through P2C2R and through NATS, in one run.
//!
//! Every rival answers a request with its own payload, over loopback, through one hub:
//! client -> hub -> worker -> hub -> client. For P2C2R the hub is the real coordinator with admission,
//! checks and a ledger on disk; only the kind of work is special (see [`echo`]), so that what is timed is
//! dispatch and not a kernel. Rivals take turns in rounds, and the table holds medians over the rounds,
//! because a shared machine's speed changes from second to second.

mod answers;
pub mod calibration;
pub mod condition;
mod cpu;
pub mod echo;
pub mod flood;
pub mod kinds;
pub mod load;
pub mod nats;
mod network;
pub mod p2c2r;
pub mod play;
pub mod potato;
pub mod presets;
mod program;
pub mod roles;
pub mod stall;
pub mod trust;
pub mod udp_floor;
pub mod updates;

use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::condition::Condition;

/// One row of the report.
#[derive(Clone, Debug, Serialize)]
pub struct BenchRow {
    /// `udp-floor`, `p2c2r`, `unsandboxed` or `nats`, or a kind.
    pub name: &'static str,
    /// The load of the machine by other programs.
    pub condition: Condition,
    /// Bytes of a request's payload, and of its answer; for a kind, mean bytes of an outcome.
    pub size_bytes: usize,
    /// Requests kept under way at a time.
    pub in_flight: usize,
    /// Median round trip in microseconds: the median over the rounds of each round's median.
    pub p50_us: f64,
    /// 99th percentile of the round trip in microseconds, median over the rounds.
    pub p99_us: f64,
    /// Round trips per second, median over the rounds.
    pub rate_per_s: f64,
    /// Processor time of all programs for one round trip, in microseconds, median over the rounds; `None`
    /// where the system does not tell. It depends less on other programs than the latencies do.
    pub cpu_us: Option<f64>,
    /// UDP packets that this machine received per round trip, median over the rounds; `None` where the system
    /// does not tell. Includes other programs' packets.
    pub packets: Option<f64>,
}

/// The measurements of one rival in one round.
#[derive(Clone, Debug, Default)]
pub struct BenchRound {
    /// Round trips in microseconds, unsorted.
    pub latencies_us: Vec<f64>,
    /// The coordinator's part of each, in microseconds, from its receipts: until the attempt left, and for the check.
    /// Empty for rivals without receipts.
    pub coordinator_us: Vec<f64>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Processor time of all programs for it.
    pub cpu: Option<Duration>,
    /// UDP packets that this machine received meanwhile.
    pub packets: Option<u64>,
}

/// The load of one round.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Bytes of each payload.
    pub size_bytes: usize,
    /// Requests kept under way at a time.
    pub in_flight: usize,
    /// Requests per round.
    pub requests: usize,
    /// Mean requests per second, which come at random moments (a Poisson process), each timed from the moment it was
    /// due. `None`: as fast as answers come.
    pub per_s: Option<f64>,
}

/// One system under test.
pub trait Rival {
    /// Name in the report.
    fn name(&self) -> &'static str;
    /// Its child processes.
    fn processes(&self) -> Vec<u32>;
    /// Sends `load` and waits for every answer. Every answer's content is compared with its request's.
    fn round(&mut self, load: Load) -> io::Result<BenchRound>;
}

/// Runs all rivals in turn, `rounds` times each after one unrecorded round, and returns one row for each. The
/// caller must have established the `condition`.
pub fn contest(
    rivals: &mut [Box<dyn Rival>],
    condition: Condition,
    load: Load,
    rounds: usize,
) -> io::Result<Vec<BenchRow>> {
    let mut measured: Vec<Vec<BenchRound>> = vec![Vec::new(); rivals.len()];
    for round in 0..=rounds {
        for (rival, rounds) in rivals.iter_mut().zip(&mut measured) {
            let processes = rival.processes();
            let before = cpu::spent(&processes);
            let packets_before = cpu::packets_received();
            let mut result = rival.round(load)?;
            result.packets = packets_before
                .zip(cpu::packets_received())
                .map(|(before, after)| after.saturating_sub(before));
            result.cpu =
                before.zip(cpu::spent(&processes)).map(|(before, after)| after.saturating_sub(before));
            assert_eq!(result.latencies_us.len(), load.requests, "{} lost answers", rival.name());
            if round > 0 {
                rounds.push(result);
            }
        }
    }
    Ok(rivals
        .iter()
        .zip(&mut measured)
        .map(|(rival, rounds)| summarise(rival.name(), condition, load, rounds))
        .collect())
}

fn summarise(name: &'static str, condition: Condition, load: Load, rounds: &mut [BenchRound]) -> BenchRow {
    let per_round = |quantile: f64, rounds: &mut [BenchRound]| {
        let values = rounds.iter_mut().map(|round| {
            round.latencies_us.sort_unstable_by(f64::total_cmp);
            at_quantile(&round.latencies_us, quantile)
        });
        median(values.collect())
    };
    let cpu_us: Option<Vec<f64>> =
        rounds.iter().map(|round| Some(round.cpu?.as_secs_f64() * 1e6 / load.requests as f64)).collect();
    let packets: Option<Vec<f64>> =
        rounds.iter().map(|round| Some(round.packets? as f64 / load.requests as f64)).collect();
    BenchRow {
        name,
        condition,
        size_bytes: load.size_bytes,
        in_flight: load.in_flight,
        p50_us: per_round(0.5, rounds),
        p99_us: per_round(0.99, rounds),
        rate_per_s: median(rounds.iter().map(|r| load.requests as f64 / r.elapsed.as_secs_f64()).collect()),
        cpu_us: cpu_us.map(median),
        packets: packets.map(median),
    }
}

/// The value at `quantile` (0 to 1) of a sorted, non-empty slice, by the nearest-rank method.
fn at_quantile(sorted: &[f64], quantile: f64) -> f64 {
    let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted[rank.min(sorted.len()) - 1]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    at_quantile(&values, 0.5)
}

/// The results as a table.
pub fn table(rows: &[BenchRow]) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "{:<11} {:<9} {:>6} {:>9} {:>10} {:>10} {:>12} {:>8} {:>8}\n",
        "name", "machine", "bytes", "in flight", "p50 us", "p99 us", "per second", "cpu us", "packets"
    );
    for row in rows {
        let known = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<11} {:<9} {:>6} {:>9} {:>10.1} {:>10.1} {:>12.0} {:>8} {:>8}",
            row.name,
            row.condition.to_string(),
            row.size_bytes,
            row.in_flight,
            row.p50_us,
            row.p99_us,
            row.rate_per_s,
            known(row.cpu_us),
            known(row.packets)
        );
    }
    text
}

/// Keeps `in_flight` requests under way until all are answered, for rivals with a blocking client.
///
/// `send` sends request number `n`; `receive` blocks for the next answer and returns its number.
pub(crate) fn drive(
    load: Load,
    mut send: impl FnMut(usize) -> io::Result<()>,
    mut receive: impl FnMut() -> io::Result<usize>,
) -> io::Result<BenchRound> {
    let mut sent_at = vec![None; load.requests];
    let mut round = BenchRound::default();
    let start = Instant::now();
    let mut next = 0;
    while round.latencies_us.len() < load.requests {
        while next < load.requests && next - round.latencies_us.len() < load.in_flight {
            sent_at[next] = Some(Instant::now());
            send(next)?;
            next += 1;
        }
        let number = receive()?;
        let sent: Instant = sent_at.get_mut(number).and_then(Option::take).ok_or_else(|| {
            io::Error::other(format!("an answer to request {number}, which is not under way"))
        })?;
        round.latencies_us.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    round.elapsed = start.elapsed();
    Ok(round)
}

/// The payload of request `number`: its number, then bytes derived from it, so that a mixed-up answer shows.
pub(crate) fn payload(number: usize, size_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![number as u8 ^ 0x5a; size_bytes.max(8)];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    bytes
}

/// The number of the request that `bytes` answers, if they are that request's payload.
pub(crate) fn number_of(bytes: &[u8], size_bytes: usize) -> io::Result<usize> {
    let number = bytes.first_chunk::<8>().map_or(usize::MAX, |head| u64::from_le_bytes(*head) as usize);
    if bytes == payload(number, size_bytes) {
        Ok(number)
    } else {
        Err(io::Error::other("an answer that differs from its request"))
    }
}
