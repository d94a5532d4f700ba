//! A ledger in a folder of its own, with a wall clock that the test moves.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2c2r_protocol::{
    AccountKey, Attempt, Digest, KindId, Nanos, PassedCheck, Role, TaskId, TaskNo, WorkUnits,
};
use p2c2r_server::ledger::{
    self, Account, AccountId, Admission, CheckReport, ComputedFrom, Entry, Ledger, LedgerClock,
    LedgerOptions, PatientPayload, Settlement, Verdict,
};
use rusqlite::Connection;
use tempfile::TempDir;

/// A folder, a clock and the options for ledgers in it.
pub struct Lab {
    pub folder: TempDir,
    pub path: PathBuf,
    wall_s: Arc<AtomicU64>,
    running_s: Arc<AtomicU64>,
    boot: AtomicU64,
}

impl Lab {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.db");
        Self {
            folder,
            path,
            wall_s: Arc::new(AtomicU64::new(1_800_000_000)),
            running_s: Arc::default(),
            boot: AtomicU64::new(1),
        }
    }

    pub fn options(&self) -> LedgerOptions {
        let [wall, running] = [&self.wall_s, &self.running_s].map(|clock| {
            let clock = Arc::clone(clock);
            move || Duration::from_secs(clock.load(Ordering::Relaxed))
        });
        let boot = self.boot.load(Ordering::Relaxed) as i64;
        let clock = LedgerClock::new(wall, running, Some(boot));
        LedgerOptions { clock, ..LedgerOptions::default() }
    }

    pub fn open(&self) -> Ledger {
        Ledger::open(&self.path, self.options(), || {}).unwrap()
    }

    /// Starts a coordinator with this ledger as a process; returns it once it listens, with the lines that it prints from
    /// then on.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "what starts one needs Linux"))]
    pub fn coordinator(&self, data: &Path, options: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_p2c2r-server"))
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .arg("--data-dir")
            .arg(data)
            .arg("--db")
            .arg(&self.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.find(|line| line.as_ref().unwrap().contains("127.0.0.1:")).unwrap().unwrap();
        (child, lines)
    }

    pub fn pass(&self, seconds: u64) {
        self.step_wall_clock(seconds as i64);
        self.running_s.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Sets the wall clock to another time; no time passes.
    pub fn step_wall_clock(&self, seconds: i64) {
        self.wall_s.fetch_add(seconds as u64, Ordering::Relaxed);
    }

    /// Restarts the machine, and its running time with it.
    pub fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::Relaxed);
        self.running_s.store(0, Ordering::Relaxed);
    }

    /// The books must balance.
    pub fn check(&self) -> CheckReport {
        let report = ledger::check(&self.path).unwrap();
        assert!(report.ok, "{report}");
        report
    }

    /// Changes the file as an intruder would, after dropping its triggers.
    pub fn tamper(&self, sql: &str) {
        let connection = Connection::open(&self.path).unwrap();
        let triggers: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for trigger in triggers {
            connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// The key that these tests use for this name.
pub fn key_of(name: &str) -> AccountKey {
    AccountKey(Digest::of(name.as_bytes()).0)
}

pub fn account_of(ledger: &Ledger, role: Role, name: &str) -> Account {
    ledger.open_account(role, key_of(name), name, Nanos::DOLLAR).unwrap()
}

pub fn gamer(ledger: &Ledger) -> AccountId {
    account_of(ledger, Role::Gamer, "ada").id
}

pub fn worker(ledger: &Ledger) -> AccountId {
    account_of(ledger, Role::Worker, "bob").id
}

pub fn admission(task: TaskNo, gamer: AccountId, game_task: u64, price: i64) -> Admission {
    Admission {
        task,
        gamer,
        game_task: TaskId(game_task),
        kind: KindId(1),
        kernel_version: 1,
        key: Digest::of(&game_task.to_le_bytes()),
        units: WorkUnits(price as u64),
        price: Nanos(price),
        price_list: 1,
        patient: None,
    }
}

pub fn admitted(task: TaskNo, gamer: AccountId, game_task: u64, price: i64) -> Entry {
    Entry::TaskAdmitted(admission(task, gamer, game_task, price))
}

pub fn patient(task: TaskNo, gamer: AccountId, game_task: u64, price: i64) -> Entry {
    let payload = PatientPayload { spec: vec![1, 2, 3].into(), blobs: vec![vec![4].into(), vec![].into()] };
    Entry::TaskAdmitted(Admission {
        patient: Some(Box::new(payload)),
        ..admission(task, gamer, game_task, price)
    })
}

pub fn started(task: TaskNo, attempt: u32, worker: AccountId) -> Entry {
    Entry::AttemptStarted { task, attempt: Attempt(attempt), worker: Some(worker) }
}

pub fn ended(task: TaskNo, attempt: u32, verdict: Verdict) -> Entry {
    Entry::AttemptEnded { task, kind: KindId(1), attempt: Attempt(attempt), verdict }
}

pub fn settled(task: TaskNo, attempt: u32, worker: AccountId, pay: i64, fee: i64) -> Entry {
    settled_with(task, attempt, worker, pay, fee, &task.0.to_le_bytes())
}

pub fn settled_with(
    task: TaskNo,
    attempt: u32,
    worker: AccountId,
    pay: i64,
    fee: i64,
    outcome: &[u8],
) -> Entry {
    Entry::TaskSettled(Settlement {
        task,
        source: ComputedFrom::Worker { worker, attempt: Attempt(attempt) },
        pay: Nanos(pay),
        fee: Nanos(fee),
        check: PassedCheck::Deep,
        outcome: Some(outcome.into()),
    })
}

/// Appends all of them for the same group.
pub fn append(ledger: &Ledger, entries: impl IntoIterator<Item = Entry>) {
    ledger.append_all(&mut entries.into_iter().collect()).unwrap();
}

/// A whole task done by a worker.
pub fn whole(task: TaskNo, gamer: AccountId, worker: AccountId, price: i64, fee: i64) -> [Entry; 3] {
    [
        admitted(task, gamer, task.0, price),
        started(task, 1, worker),
        settled(task, 1, worker, price - fee, fee),
    ]
}

/// The file with `change` made to its bytes.
pub fn change_bytes(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Goes back to the tables before schema 12: attempts and transfers that tasks' rows stand for get rows of their own, and
/// accounts lose the column of schema 13.
pub fn spell_out(connection: &Connection) {
    let sql = format!(
        "INSERT INTO transfers SELECT * FROM ({SAID_BY_TASKS});
         INSERT INTO attempts (id, grp, worker, verdict)
             SELECT no * 256 + attempt, closed_grp, worker, 1 FROM tasks WHERE worker IS NOT NULL;
         ALTER TABLE tasks DROP COLUMN worker;
         ALTER TABLE accounts DROP COLUMN tasks"
    );
    connection.execute_batch(&sql).unwrap();
}

/// The transfers that tasks' rows stand for, in the columns of the table `transfers`.
const SAID_BY_TASKS: &str = "SELECT no * 4 + 1, closed_grp, gamer, worker + 1, pay, 3, attempt FROM tasks
     WHERE worker IS NOT NULL AND pay > 0
     UNION ALL SELECT no * 4 + 1 + (pay > 0), closed_grp, gamer, 2, fee, 4, 0 FROM tasks
     WHERE worker IS NOT NULL AND fee > 0";

/// Hashes the whole chain again, as an attacker with write access can: by hand, without the ledger's own code. For a
/// ledger from before schema 7, which has no account log, without one.
pub fn rechain(connection: &Connection, with_accounts: bool) {
    connection.execute_batch("DROP TRIGGER IF EXISTS groups_are_not_changed").unwrap();
    let (mut previous, mut groups): ([u8; 32], Vec<(i64, i64, Option<Vec<u8>>)>) = ([0; 32], Vec::new());
    let folded = if with_accounts { "folded" } else { "NULL" };
    let mut select =
        connection.prepare(&format!("SELECT id, at_ms, {folded} FROM groups ORDER BY id")).unwrap();
    let mut rows = select.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        groups.push((row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap()));
    }
    for (group, at_ms, folded) in groups {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&previous).update(&group.to_le_bytes()).update(&at_ms.to_le_bytes());
        let said = if with_accounts { format!("UNION ALL {SAID_BY_TASKS}") } else { String::new() };
        let sql = format!(
            "SELECT id, debit, credit, amount, reason, attempt
             FROM (SELECT * FROM transfers {said}) WHERE grp = ?1 ORDER BY id"
        );
        let mut select = connection.prepare_cached(&sql).unwrap();
        let mut rows = select.query([group]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..4 {
                hasher.update(&row.get::<_, i64>(column).unwrap().to_le_bytes());
            }
            hasher.update(&[row.get(4).unwrap(), row.get(5).unwrap()]);
        }
        if with_accounts && let Some(digest) = digest_of_log(connection, group) {
            hasher.update(b"a").update(&digest);
        }
        hasher.update(&folded.unwrap_or_default());
        previous = *hasher.finalize().as_bytes();
        let sql = "UPDATE groups SET hash = ?2 WHERE id = ?1";
        connection.execute(sql, rusqlite::params![group, previous]).unwrap();
    }
}

fn digest_of_log(connection: &Connection, group: i64) -> Option<[u8; 32]> {
    let sql = "SELECT account, what, number, bytes, text FROM account_log WHERE grp = ?1 ORDER BY id";
    let mut select = connection.prepare_cached(sql).unwrap();
    let mut rows = select.query([group]).unwrap();
    let (mut hasher, mut any) = (blake3::Hasher::new(), false);
    while let Some(row) = rows.next().unwrap() {
        any = true;
        hasher.update(&row.get::<_, i64>(0).unwrap().to_le_bytes());
        hasher.update(&[row.get(1).unwrap()]);
        hasher.update(&row.get::<_, i64>(2).unwrap().to_le_bytes());
        let text = row.get::<_, Option<String>>(4).unwrap().map(String::into_bytes);
        for part in [row.get::<_, Option<Vec<u8>>>(3).unwrap(), text] {
            hasher.update(&part.as_ref().map_or(0, |part| part.len() as u64 + 1).to_le_bytes());
            hasher.update(&part.unwrap_or_default());
        }
    }
    any.then(|| *hasher.finalize().as_bytes())
}

/// The program, with these words about the ledger of `lab` and a data folder beside it.
pub fn program(lab: &Lab, words: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_p2c2r-server"))
        .args(words)
        .arg("--db")
        .arg(&lab.path)
        .arg("--data-dir")
        .arg(lab.folder.path())
        .output()
        .unwrap()
}

/// The output of a command, which must have succeeded.
pub fn said(output: &std::process::Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// The complaint of a command, which must have failed with status 1.
pub fn refused(output: &std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}
