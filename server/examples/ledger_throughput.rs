//! Measures the ledger alone: how many whole tasks (admitted, attempted, settled, outcome kept) its writer
//! records a second, and what one costs in CPU time and bytes. It ends with the ledger's own check.
//!
//! `cargo run --release -p p2c2r-server --example ledger_throughput -- [TASKS] [TASKS_PER_SECOND] [IN_FLIGHT]
//! [OUTCOME_BYTES] [PEERS] [DB]`; a rate of 0 is as fast as it goes. Without arguments it records what `./p2c2r bench
//! --peers` does with 64 tasks in flight: small paid tasks of one gamer and one worker, whose outcomes are kept, 100,000 a
//! second.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use p2c2r_protocol::{
    AccountKey, Attempt, Digest, KindId, Nanos, PassedCheck, Role, TaskId, TaskNo, WorkUnits,
};
use p2c2r_server::ledger::{
    self, AccountId, Admission, ComputedFrom, Entry, Ledger, LedgerError, LedgerOptions, LedgerStopped,
    Settlement,
};

/// The allocator of the coordinator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tasks appended together: about what one update of the coordinator's app records.
const TASKS_PER_UPDATE: u64 = 8;

struct Load {
    tasks: u64,
    rate: u64,
    in_flight: usize,
    outcome_bytes: usize,
    peers: u64,
    path: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (tasks, rate) = (number(300_000)?, number(100_000)?);
    let (in_flight, outcome_bytes) = (number(64)? as usize, number(258)? as usize);
    let peers = number(1)?.max(1);
    let folder = tempfile::tempdir()?;
    let path = arguments.next().map_or_else(|| folder.path().join("ledger.db"), PathBuf::from);
    run(&Load { tasks, rate, in_flight, outcome_bytes, peers, path })
}

fn run(load: &Load) -> Result<(), Box<dyn std::error::Error>> {
    let ledger = Ledger::open(&load.path, LedgerOptions::default(), || {})?;
    let credit = Nanos(1_000 * Nanos::DOLLAR.0);
    let accounts = |role| -> Result<Vec<AccountId>, LedgerError> {
        let account = |n: u64| {
            let key = AccountKey(Digest::of(&n.to_le_bytes()).0);
            Ok(ledger.open_account(role, key, &format!("{role} {n}"), credit)?.id)
        };
        (0..load.peers).map(account).collect()
    };
    let (gamers, workers) = (accounts(Role::Gamer)?, accounts(Role::Worker)?);
    let bytes_before = size_of_files(&load.path);
    let cpu_before = writer_cpu();
    let started = Instant::now();
    let (full, app) = feed(&ledger, load, &gamers, &workers)?;
    ledger.flush()?;
    let wall = started.elapsed();
    let cpu = writer_cpu().saturating_sub(cpu_before);
    let closing = Instant::now();
    let closed = ledger.close()?;
    let closing = closing.elapsed();
    let bytes = size_of_files(&load.path) - bytes_before;

    let tasks = load.tasks as f64;
    println!("tasks                  {}", load.tasks);
    println!("tasks per second       {:.0}", tasks / wall.as_secs_f64());
    println!("writer CPU per task    {:.3} us", cpu.as_secs_f64() * 1e6 / tasks);
    println!("append per task        {:.3} us (app thread, 3 entries)", app.as_secs_f64() * 1e6 / tasks);
    println!("bytes per task         {:.0}", bytes as f64 / tasks);
    println!("groups                 {}", closed.groups);
    println!("times the queue was full {full}");
    println!("close                  {closing:?}");
    let checking = Instant::now();
    let found = ledger::check(&load.path)?;
    println!("check                  {:?}\n{found}", checking.elapsed());
    if !found.ok || closed.totals.tasks_done != load.tasks || closed.anomalies.total() > 0 {
        return Err(format!("the books are wrong: {closed:?}").into());
    }
    Ok(())
}

/// Appends the load; returns how often the queue was full and the time spent in appending.
fn feed(
    ledger: &Ledger,
    load: &Load,
    gamers: &[AccountId],
    workers: &[AccountId],
) -> Result<(u64, Duration), LedgerStopped> {
    let first = ledger.next_task_no().0;
    let started = Instant::now();
    let mut in_flight = VecDeque::new();
    let (mut full, mut app) = (0, Duration::ZERO);
    let mut entries = Vec::new();
    let mut number = 0;
    while number < load.tasks {
        let due = match load.rate {
            0 => load.tasks,
            rate => (started.elapsed().as_secs_f64() * rate as f64) as u64,
        };
        let until = due.min(load.tasks).min(number + TASKS_PER_UPDATE);
        if until == number {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        while ledger.room()?.admissions < entries.len() + 2 * TASKS_PER_UPDATE as usize {
            full += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        while number < until {
            let gamer = gamers[(number % load.peers) as usize];
            let worker = workers[(number / 3 % load.peers) as usize];
            let task = TaskNo(first + number);
            let game_task = TaskId(0x5eed_0000_0000_0000 + number);
            entries.push(Entry::TaskAdmitted(admission(task, gamer, game_task)));
            entries.push(Entry::AttemptStarted { task, attempt: Attempt(1), worker: Some(worker) });
            in_flight.push_back((task, worker));
            if in_flight.len() > load.in_flight {
                entries.extend(settlement(&mut in_flight, load.outcome_bytes));
            }
            number += 1;
        }
        if number == load.tasks {
            while let Some(settled) = settlement(&mut in_flight, load.outcome_bytes) {
                entries.push(settled);
            }
        }
        let before = Instant::now();
        ledger.append_all(&mut entries)?;
        app += before.elapsed();
    }
    Ok((full, app))
}

fn settlement(in_flight: &mut VecDeque<(TaskNo, AccountId)>, outcome_bytes: usize) -> Option<Entry> {
    let (task, worker) = in_flight.pop_front()?;
    Some(Entry::TaskSettled(Settlement {
        task,
        source: ComputedFrom::Worker { worker, attempt: Attempt(1) },
        pay: Nanos(90),
        fee: Nanos(10),
        check: PassedCheck::Deep,
        outcome: Some(Arc::from(vec![task.0 as u8; outcome_bytes])),
    }))
}

fn admission(task: TaskNo, gamer: AccountId, game_task: TaskId) -> Admission {
    Admission {
        task,
        gamer,
        game_task,
        kind: KindId(1),
        kernel_version: 1,
        key: Digest::of(&task.0.to_le_bytes()),
        units: WorkUnits(2_000),
        price: Nanos(100),
        price_list: 1,
        patient: None,
    }
}

/// Processor time of the ledger's thread so far; zero where the system does not tell.
fn writer_cpu() -> Duration {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let nanos = |task: &Path| -> Option<u64> {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        if name.trim() != "ledger" {
            return None;
        }
        std::fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(|task| nanos(&task.path())).sum())
}

fn size_of_files(path: &Path) -> u64 {
    path.metadata().map_or(0, |data| data.len())
}
