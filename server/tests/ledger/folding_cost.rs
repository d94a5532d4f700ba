//! Measures the writer's processor time for a step of folding, in which it records nothing else.

use std::path::Path;
use std::time::Duration;

use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{AccountId, Entry, Ledger, VoidReason};

use super::lab::{Lab, admitted, append, key_of, whole};

const FOLDED_AFTER: u64 = 25 * 3_600;

/// Processor time of the ledger's thread so far.
fn writer_cpu() -> Duration {
    let nanos = |task: &Path| -> Option<u64> {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let spent = || std::fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse().ok();
        if name.trim() == "ledger" { spent() } else { None }
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    Duration::from_nanos(tasks.filter_map(|task| nanos(&task.path())).sum())
}

/// Opens `count` accounts of each side.
fn accounts(ledger: &Ledger, count: u64) -> (Vec<AccountId>, Vec<AccountId>) {
    let of = |role| {
        let ask = |n| {
            let name = format!("{role} {n}");
            ledger.ask_account(role, key_of(&name), &name, Nanos::DOLLAR, || {}).unwrap()
        };
        let asked: Vec<_> = (0..count).map(ask).collect();
        ledger.flush().unwrap();
        asked.iter().map(|opening| ledger.opened(opening).unwrap().unwrap().id).collect::<Vec<_>>()
    };
    (of(Role::Gamer), of(Role::Worker))
}

#[test]
#[ignore = "a measurement; with --nocapture it prints what it finds"]
fn what_a_step_of_folding_takes() {
    for peers in [10, 1_000, 10_000] {
        let lab = Lab::new();
        let ledger = lab.open();
        let (gamers, workers) = accounts(&ledger, peers / 2);
        let mut next = 0;
        let mut numbers = |count: u64| {
            next += count;
            (next - count + 1..=next).map(TaskNo)
        };
        for (no, (gamer, worker)) in numbers(peers / 2).zip(gamers.iter().zip(&workers)) {
            append(&ledger, whole(no, *gamer, *worker, 100, 10));
        }
        let fold = || {
            ledger.flush().unwrap();
            lab.pass(FOLDED_AFTER);
            let before = writer_cpu();
            ledger.flush().unwrap();
            let step = writer_cpu().saturating_sub(before);
            (0..20).for_each(|_| ledger.flush().unwrap());
            step
        };
        fold();
        let (gamer, worker) = (gamers[0], workers[0]);
        let name = |n: &str| ledger.open_account(Role::Gamer, key_of("gamer 0"), n, Nanos::ZERO).unwrap();
        let mut median = |what: &str, of: u64, put: &dyn Fn(TaskNo)| {
            let mut steps: Vec<Duration> = (0..7)
                .map(|_| {
                    numbers(of).for_each(put);
                    fold()
                })
                .collect();
            steps.sort_unstable();
            println!("{peers:>6} accounts, {what:<28} {:>8.2} ms", steps[3].as_secs_f64() * 1e3);
        };
        let whole = |no| append(&ledger, whole(no, gamer, worker, 100, 10));
        median("one task", 1, &whole);
        median("one task and a new name", 1, &|no| {
            name(&no.to_string());
            whole(no);
        });
        median("1,000 tasks", 1_000, &whole);
        median("2,048 tasks that were void", 2_048, &|no| {
            let void = Entry::TaskVoided { task: no, reason: VoidReason::Cancelled };
            append(&ledger, [admitted(no, gamer, no.0, 10), void]);
        });
    }
}
