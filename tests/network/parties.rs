//! The real programs, each on its own machine of a small [`Internet`].

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};

use p2c2r_tests::programs::{Program, command, command_in, ledger_balances};
use serde_json::Value;
use tempfile::TempDir;

use crate::internet::{COORDINATOR, COORDINATOR_V6, Home, Internet};

/// How long a game plays at most: a test that fails does not leave it playing.
const SECONDS_MAX: &str = "300";

/// How many [`Parties`] there may be at the same time, however many threads run tests: each has some six programs, which keep
/// more than one processor busy.
const AT_ONCE_MAX: u32 = 2;
static AT_ONCE: Mutex<u32> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// One of [`AT_ONCE_MAX`] places.
struct Place;

impl Place {
    /// Waits until one is free.
    fn take() -> Self {
        let taken = AT_ONCE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken =
            ENDED.wait_while(taken, |taken| *taken >= AT_ONCE_MAX).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *AT_ONCE.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// An internet and the folder of its programs' files.
pub struct Parties {
    /// The machines.
    pub internet: Internet,
    folder: TempDir,
    /// Dropped last, when nothing runs any more.
    _place: Place,
    /// Where join links say that the coordinator is.
    public_address: &'static str,
}

impl Parties {
    /// `None` where the machine does not allow it.
    pub fn new() -> Option<Self> {
        let place = Place::take();
        Some(Self::of(place, Internet::build()?, COORDINATOR))
    }

    /// The same, with a coordinator whose links name its IPv6 address alone.
    pub fn over_v6() -> Option<Self> {
        let place = Place::take();
        Some(Self::of(place, Internet::build_with_v6()?, COORDINATOR_V6))
    }

    fn of(place: Place, internet: Internet, public_address: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { internet, folder, public_address, _place: place }
    }

    /// The home of the first worker, ada.
    pub fn ada(&self) -> &Home {
        &self.internet.homes[0]
    }

    /// The home of the second worker, grace.
    pub fn grace(&self) -> &Home {
        &self.internet.homes[1]
    }

    /// The gamer's home.
    pub fn gamer(&self) -> &Home {
        &self.internet.homes[2]
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("coordinator")
    }

    /// Starts the coordinator, and waits until it listens.
    pub fn start_coordinator(&self) -> Program {
        let mut command = command_in(self.internet.coordinator.name(), "p2c2r-server");
        command.args(["--public-address", self.public_address, "--log", "debug"]);
        command.arg("--data-dir").arg(self.data_dir());
        let mut program = Program::start("coordinator", command);
        program.line("Server started");
        program
    }

    /// A link by which one program may join.
    pub fn invite(&self, role: &str) -> String {
        let said = self.operator(&["invite", role]);
        assert!(said.starts_with("p2c2r://"), "{said}");
        said
    }

    /// Runs a command of the operator; returns its output.
    fn operator(&self, arguments: &[&str]) -> String {
        let mut command = command("p2c2r-server");
        command.args(arguments).arg("--data-dir").arg(self.data_dir());
        Program::start("operator's command", command).ended_well()
    }

    /// The number of accounts.
    pub fn accounts(&self) -> usize {
        let said = self.operator(&["accounts", "list", "--format", "json"]);
        serde_json::from_str::<Value>(&said).expect("JSON").as_array().expect("a list").len()
    }

    /// The ledger's report, after its check has passed.
    pub fn ledger(&self) -> Value {
        ledger_balances(self.folder.path());
        serde_json::from_str(&self.operator(&["ledger", "report", "--format", "json"])).expect("JSON")
    }

    fn start(&self, home: &Home, program: &str, name: &str, more: impl FnOnce(&mut Command)) -> Program {
        let mut command = command_in(home.machine(), program);
        command.args(["--name", name, "--keys"]).arg(self.folder.path().join(name));
        more(&mut command);
        Program::start(name, command)
    }

    /// Starts a worker in `home` that joins by a link of its own.
    pub fn start_worker(&self, home: &Home, name: &str) -> Program {
        let link = self.invite("worker");
        self.start(home, "p2c2r-worker", name, |command| {
            command.args(["--slots", "1", "--join", &link]);
        })
    }

    /// Starts both workers, and waits until they are connected.
    pub fn start_workers(&self) -> [Program; 2] {
        let mut workers = [self.start_worker(self.ada(), "ada"), self.start_worker(self.grace(), "grace")];
        for worker in &mut workers {
            worker.line("Connected!");
        }
        workers
    }

    /// Examines the way from `home` to the coordinator; whether it is good, and what the doctor said.
    pub fn examine(&self, home: &Home, link: &str) -> (bool, String) {
        let mut doctor = self.start(home, "p2c2r-doctor", "doctor", |command| {
            command.args(["--join", link]);
        });
        let status = doctor.ended();
        (status.success(), doctor.seen())
    }

    /// Starts a game that plays itself without a window until it is stopped.
    pub fn start_game(&self) -> Program {
        self.start_game_for(SECONDS_MAX)
    }

    /// Starts a game that plays itself without a window for `seconds`.
    pub fn start_game_for(&self, seconds: &str) -> Program {
        let link = self.invite("gamer");
        let report = self.report_path();
        self.start(self.gamer(), "p2c2r-game", "linus", |command| {
            command.args(["--join", &link, "--headless", "--autopilot", "--seconds", seconds]);
            command.arg("--report").arg(report);
        })
    }

    fn report_path(&self) -> PathBuf {
        self.folder.path().join("report.json")
    }

    /// Stops the game and reads its report.
    pub fn stop_game(&self, mut game: Program) -> Report {
        game.stop();
        self.report()
    }

    /// The report of the game that has ended.
    pub fn report(&self) -> Report {
        let text = std::fs::read_to_string(self.report_path()).expect("the game wrote its report");
        Report(serde_json::from_str(&text).expect("the report is JSON"))
    }
}

/// A game's report.
#[derive(Debug)]
pub struct Report(Value);

impl Report {
    /// The tasks of all kinds that the report counts under `how`.
    pub fn count(&self, how: &str) -> u64 {
        let kinds = self.0["kinds"].as_object().expect("kinds");
        kinds.values().map(|kind| kind[how].as_u64().unwrap_or_else(|| panic!("{how} in {kind:#}"))).sum()
    }

    /// Failed tasks other than plans: the game drops a plan that is late or whose coordinator is gone, since it soon asks
    /// for the next.
    pub fn failed(&self) -> u64 {
        self.count("failed") - self.0["kinds"]["tactics"]["failed"].as_u64().expect("failed")
    }

    /// The kinds of work, each with how many of its tasks workers did.
    pub fn by_workers(&self) -> Vec<(&str, u64)> {
        let kinds = self.0["kinds"].as_object().expect("kinds");
        kinds.iter().map(|(name, kind)| (name.as_str(), kind["remote"].as_u64().expect("remote"))).collect()
    }

    /// The sum of its receipts, nano-dollars.
    pub fn cost(&self) -> i64 {
        self.0["cost_nanos"].as_i64().expect("cost_nanos")
    }

    /// What the game was shown as charged, nano-dollars.
    pub fn charged(&self) -> i64 {
        self.0["charged_nanos"].as_i64().expect("charged_nanos")
    }
}
