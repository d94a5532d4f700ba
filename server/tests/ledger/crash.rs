//! `kill -9` at any moment, disks that fill up or fail, folders that cannot be written: the file opens, balances, and nothing
//! that was reported durable is missing or charged twice.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{SystemTime, UNIX_EPOCH};

use p2c2r_join::AccountSecret;
use p2c2r_protocol::{Nanos, Role, TaskNo};
use p2c2r_server::ledger::{self, Entry, Ledger, LedgerOptions, LedgerState, SignedHead};
use rusqlite::Connection;

use super::lab::{Lab, admission, append, gamer, key_of, patient, settled, started, worker};

const DB: &str = "P2C2R_TEST_CRASH_DB";
const SEED: &str = "P2C2R_TEST_CRASH_SEED";

/// Rounds on one ledger before a new one, so that checking does not take ever longer.
const ROUNDS_PER_BOOK: u64 = 20;

/// The state in which the victim leaves a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Charged,
    Held,
    Waiting,
}

fn fate(no: u64) -> Fate {
    match no % 10 {
        0 => Fate::Held,
        1 => Fate::Waiting,
        _ => Fate::Charged,
    }
}

/// The victim: records tasks as a coordinator does until it is killed or its ledger fails, and prints which are durable.
/// Started by the tests below.
#[test]
#[ignore = "runs as a child process of the tests below"]
fn victim() {
    let Ok(path) = std::env::var(DB) else { return };
    let (tell, told) = mpsc::channel();
    let opened = Ledger::open(path.as_ref(), LedgerOptions::default(), move || {
        tell.send(()).unwrap_or(());
    });
    let ledger = match opened {
        Ok(ledger) => ledger,
        Err(error) => return println!("\nrefused {error}"),
    };
    let (payer, helper) = (gamer(&ledger), worker(&ledger));
    let mut appended = 0;
    let mut waiting: VecDeque<(u64, TaskNo)> = VecDeque::new();
    let mut numbers = (ledger.next_task_no().0..).map(TaskNo);
    for round in 0.. {
        for no in numbers.by_ref().take(50) {
            let entries = match fate(no.0) {
                Fate::Held => [
                    Entry::TaskAdmitted(admission(no, payer, no.0, 10)),
                    started(no, 1, helper),
                    started(no, 2, helper),
                ],
                Fate::Waiting => {
                    [patient(no, payer, no.0, 1), started(no, 1, helper), started(no, 2, helper)]
                }
                Fate::Charged => super::lab::whole(no, payer, helper, 100, 10),
            };
            if ledger.append_all(&mut entries.into()).is_err() {
                break;
            }
            appended += 3;
            waiting.push_back((appended, no));
        }
        // Accounts are renamed now and then, because their names are in the chain.
        if round % 8 == 0 {
            let _ =
                ledger.ask_account(Role::Gamer, key_of("ada"), &format!("ada {round}"), Nanos::ZERO, || {});
        }
        told.recv().unwrap();
        let durable = ledger.drain_committed().entries;
        while let Some((_, no)) = waiting.pop_front_if(|(at, _)| *at <= durable) {
            println!("\ndurable {}", no.0);
        }
        if let LedgerState::Broken(breakdown) = ledger.state() {
            return println!("\nbroken {breakdown}");
        }
    }
}

/// A command that runs the victim on the ledger at `path`.
fn victim_on(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::victim", "--ignored", "--nocapture"]).env(DB, path);
    command
}

/// The number of a task that a line says is durable. Only whole lines count: a cut number would be another task's.
fn durable_in(line: &str) -> Option<u64> {
    line.strip_suffix('\n')?.strip_prefix("durable ")?.parse().ok()
}

/// Checks that the book has every task that was said to be durable, in the state that it must have.
fn holds(path: &Path, durable: &[u64]) {
    let connection = Connection::open(path).unwrap();
    let mut find =
        connection.prepare("SELECT state, pay + fee, void_reason FROM tasks WHERE no = ?1").unwrap();
    for no in durable {
        let found: (i64, i64, Option<i64>) = find
            .query_row([*no as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap_or_else(|error| panic!("task {no} was durable and is gone: {error}"));
        let expected = match fate(*no) {
            Fate::Charged => (2, 100, None),
            // Void because the coordinator died.
            Fate::Held => (3, 0, Some(6)),
            Fate::Waiting => (1, 0, None),
        };
        assert_eq!(found, expected, "task {no}");
    }
}

/// A simple generator for kill points; the machine's timing varies them anyway.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Lets the victim work for a while and kills it; returns what it said was durable.
fn kill_one(lab: &Lab, random: &mut Random) -> Vec<u64> {
    let mut child = victim_on(&lab.path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (until, moments) = (20 + random.below(900) as usize, random.below(3_000_000));
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut durable, mut line) = (Vec::new(), String::new());
    let mut killed = false;
    while lines.read_line(&mut line).unwrap() > 0 {
        durable.extend(durable_in(&line));
        line.clear();
        if durable.len() == until && !killed {
            // A random moment later, so that the kill may meet any step.
            (0..moments).for_each(|_| std::hint::spin_loop());
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the victim ended by itself after {} tasks", durable.len());
    durable
}

fn kill_and_check(rounds: u64) {
    let seed = std::env::var(SEED).map_or_else(
        |_| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
        |seed| seed.parse().unwrap(),
    );
    println!("{rounds} rounds, {SEED}={seed}");
    let mut random = Random(seed);
    let secret = AccountSecret::from_seed([7; 32]).unwrap();
    let mut lab = Lab::new();
    let (mut durable, mut heads): (Vec<u64>, Vec<SignedHead>) = Default::default();
    let mut all = 0;
    for round in 0..rounds {
        if round % ROUNDS_PER_BOOK == 0 {
            (lab, durable, heads) = (Lab::new(), Vec::new(), Vec::new());
        }
        durable.extend(kill_one(&lab, &mut random));
        let report = ledger::check_with_heads(&lab.path, &heads).unwrap();
        assert!(report.ok, "round {round}: {report}");
        // Uses the victim's clock: by the lab's clock everything would be folded.
        let ledger = Ledger::open(&lab.path, LedgerOptions::default(), || {}).unwrap();
        let recovery = ledger.recovery();
        assert!(!recovery.closed_in_order);
        // Everything that was charged comes again, and is charged no second time.
        let (charged, (payer, helper)) = (ledger.totals(), (gamer(&ledger), worker(&ledger)));
        let first = ledger.next_task_no().0;
        for (no, game_task) in
            (first..).zip(durable.iter().rev().filter(|no| fate(**no) == Fate::Charged).take(50))
        {
            append(
                &ledger,
                [
                    Entry::TaskAdmitted(admission(TaskNo(no), payer, *game_task, 100)),
                    started(TaskNo(no), 1, helper),
                    settled(TaskNo(no), 1, helper, 90, 10),
                ],
            );
        }
        ledger.flush().unwrap();
        assert_eq!(ledger.totals(), charged, "round {round}: charged twice");
        ledger.close().unwrap();
        let report = lab.check();
        assert_eq!(report.open_tasks, recovery.patient_tasks, "round {round}: timely holds are void");
        holds(&lab.path, &durable);
        heads.push(ledger::head(&lab.path, &secret).unwrap());
        all += 1;
    }
    println!("{all} kills survived");
}

#[test]
fn nothing_durable_is_lost_or_charged_twice() {
    kill_and_check(20);
}

#[test]
#[ignore = "minutes: run by `./p2c2r test --long`"]
fn nothing_durable_is_lost_or_charged_twice_in_hundreds_of_kills() {
    kill_and_check(400);
}

/// Runs the victim in a shell after `prepare`, in which it is `"$@"`; returns the durable tasks and all its output. `None`
/// where this machine does not allow what `prepare` does.
#[cfg(target_os = "linux")]
fn victim_in(shell: &str, path: &Path, prepare: &str) -> Option<(Vec<u64>, String)> {
    let victim = victim_on(path);
    let mut words = shell.split(' ');
    let std::process::Output { stdout, stderr, .. } = Command::new(words.next().unwrap())
        .args(words)
        .args(["sh", "-c", prepare, "sh"])
        .arg(victim.get_program())
        .args(victim.get_args())
        .env(DB, path)
        .output()
        .ok()?;
    let said = String::from_utf8(stdout).unwrap();
    if !said.contains("prepared\n") {
        println!("skipped, this machine does not let it be prepared: {}", String::from_utf8_lossy(&stderr));
        return None;
    }
    let durable = said.split_inclusive('\n').filter_map(durable_in).collect();
    Some((durable, said))
}

/// Something was durable, and all of it is in the ledger that is opened again.
#[cfg(target_os = "linux")]
fn opens_again_with(lab: &Lab, durable: &[u64]) {
    assert!(!durable.is_empty(), "nothing was durable before it broke");
    let ledger = Ledger::open(&lab.path, LedgerOptions::default(), || {}).unwrap();
    ledger.close().unwrap();
    lab.check();
    holds(&lab.path, durable);
}

/// A shell that may mount file systems of its own, which end with it.
#[cfg(target_os = "linux")]
const OWN_MOUNTS: &str = "unshare --user --map-root-user --mount";

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_really_full_loses_nothing_that_was_durable() {
    let lab = Lab::new();
    let disk = lab.folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let prepare = format!(
        "cd {0} && mount -t tmpfs -o size=900k tmpfs disk && echo prepared && \"$@\"; cp disk/results.db* {0}",
        lab.folder.path().display()
    );
    let Some((durable, said)) = victim_in(OWN_MOUNTS, &disk.join("results.db"), &prepare) else { return };
    assert!(said.contains("broken") && said.contains("full"), "{said}");
    opens_again_with(&lab, &durable);
}

#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_breaks_the_ledger_and_loses_nothing_that_was_durable() {
    let lab = Lab::new();
    // No file may grow beyond 600 KiB: writing on is an error, not a full disk.
    let prepare = "trap '' XFSZ; ulimit -f 600; echo prepared; exec \"$@\"";
    let Some((durable, said)) = victim_in("env", &lab.path, prepare) else { return };
    assert!(said.contains("broken"), "{said}");
    opens_again_with(&lab, &durable);
}

#[cfg(target_os = "linux")]
#[test]
fn a_ledger_on_a_read_only_mount_is_refused_and_left_as_it_is() {
    let lab = super::damage::used();
    let before = std::fs::read(&lab.path).unwrap();
    let folder = lab.folder.path().display();
    let prepare = format!(
        "mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && echo prepared && cd {folder} && exec \"$@\""
    );
    let Some((durable, said)) = victim_in(OWN_MOUNTS, &lab.path, &prepare) else { return };
    assert!(said.contains("refused") && durable.is_empty(), "{said}");
    assert!(said.contains("writable") || said.contains("cannot be written"), "{said}");
    assert!(std::fs::read(&lab.path).unwrap() == before, "the file was changed");
    lab.check();
}
