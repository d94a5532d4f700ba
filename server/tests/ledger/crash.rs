//! `kill -9` at any moment: the file opens, balances, and nothing that was reported durable is missing.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use p2c2r_protocol::TaskNo;
use p2c2r_server::ledger::{Ledger, LedgerOptions};
use rusqlite::Connection;

use super::lab::{Lab, admitted, append, gamer, patient, started, whole, worker};

const DB: &str = "P2C2R_TEST_CRASH_DB";
const ROUNDS: u64 = 8;

/// The victim: records tasks for ever and says which are durable. Started by the test below.
#[test]
#[ignore = "runs as a child process of `nothing_durable_is_lost`"]
fn victim() {
    let Ok(path) = std::env::var(DB) else { return };
    let (tell, told) = mpsc::channel();
    let ledger = Ledger::open(path.as_ref(), LedgerOptions::default(), move || {
        tell.send(()).unwrap_or(());
    })
    .unwrap();
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    let mut appended = 0;
    let mut waiting: VecDeque<(u64, TaskNo)> = VecDeque::new();
    let mut numbers = (ledger.next_task_no().0..).map(TaskNo);
    loop {
        for no in numbers.by_ref().take(50) {
            match no.0 % 10 {
                0 => append(
                    &ledger,
                    [admitted(no, payer, no.0, 10), started(no, 1, helper), started(no, 2, helper)],
                ),
                1 => append(
                    &ledger,
                    [patient(no, payer, no.0, 1), started(no, 1, helper), started(no, 2, helper)],
                ),
                _ => append(&ledger, whole(no, payer, helper, 100, 10)),
            }
            appended += 3;
            waiting.push_back((appended, no));
        }
        told.recv().unwrap();
        let durable = ledger.drain_committed().entries;
        while let Some((_, no)) = waiting.pop_front_if(|(at, _)| *at <= durable) {
            println!("\ndurable {}", no.0);
        }
    }
}

#[test]
fn nothing_durable_is_lost() {
    let lab = Lab::new();
    let mut durable = Vec::new();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
            .env(DB, &lab.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = 20 + random % 900;
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(no) = line.strip_prefix("durable ") else { continue };
            // The last line may be cut short by the kill; a shorter number is another task, also durable.
            durable.push(no.parse::<i64>().unwrap());
            seen += 1;
            if seen == until {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= until, "round {round}: the victim ended by itself after {seen} tasks");

        lab.check();
        // With the clock of the victim: by the lab's it is long over and folded.
        let ledger = Ledger::open(&lab.path, LedgerOptions::default(), || {}).unwrap();
        let recovery = ledger.recovery();
        assert!(!recovery.closed_in_order);
        assert!(recovery.holds_voided > 0 && recovery.patient_tasks > 0, "{recovery:?}");
        ledger.close().unwrap();
        let report = lab.check();
        assert_eq!(report.open_tasks, recovery.patient_tasks, "timely holds are void");
        let connection = Connection::open(&lab.path).unwrap();
        let mut find = connection.prepare("SELECT count(*) FROM tasks WHERE no = ?1").unwrap();
        for no in &durable {
            let found: i64 = find.query_row([no], |row| row.get(0)).unwrap();
            assert_eq!(found, 1, "round {round}: task {no} was durable and is gone");
        }
    }
}
