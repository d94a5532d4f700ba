//! The real programs, started as a person starts them, observed through their output, and always ended.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Time-out for a line of output or an exit; generous, because a busy machine is not a failure.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The folder with the programs: `P2C2R_BIN_DIR`, or where cargo puts them beside this program or test.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("P2C2R_BIN_DIR") {
        return folder.into();
    }
    let me = std::env::current_exe().expect("a running program");
    // Cargo puts tests into the folder `deps` beside the programs.
    let beside = |folder: &&Path| !folder.ends_with("deps");
    me.ancestors().skip(1).find(beside).expect("target/PROFILE").to_path_buf()
}

fn program(name: &str) -> PathBuf {
    let program = folder().join(name);
    assert!(
        program.exists(),
        "{} is not there: `cargo build --workspace --bins` makes it (`./p2c2r test` does)",
        program.display()
    );
    program
}

/// The command that runs program `name`.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// The command that runs program `name` in a network namespace. `ip` becomes the program, so signals reach it.
pub fn command_in(namespace: &str, name: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program(name));
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// The command that runs `command` on the processors in `list`, such as `0,2-3`. `taskset` becomes the program, so
/// signals reach it.
pub fn on_processors(list: &str, command: &Command) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", list]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => pinned.env(name, value),
            None => pinned.env_remove(name),
        };
    }
    pinned
}

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// Starts `command`; its standard output and error are kept for [`Program::line`] and failure messages.
    pub fn start(name: &str, mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start_unheard(name, command)
    }

    /// Starts `command`, whose outputs go where it says; pipes among them are read.
    pub fn start_unheard(name: &str, mut command: Command) -> Self {
        let mut child = command.spawn().expect("a program");
        let (sender, lines) = channel();
        let out = child.stdout.take().map(|output| Box::new(output) as Box<dyn std::io::Read + Send>);
        let error = child.stderr.take().map(|output| Box::new(output) as Box<dyn std::io::Read + Send>);
        for output in [out, error].into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { name: name.into(), child, lines, seen: Vec::new() }
    }

    /// Waits for the next line that contains `text`.
    #[track_caller]
    pub fn line(&mut self, text: &str) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("did not say `{text}`")),
                Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended without saying `{text}`")),
            }
        }
    }

    /// Reads its output until `moment`, or until it has closed its outputs.
    pub fn hear_until(&mut self, moment: Instant) {
        while let Ok(line) = self.lines.recv_timeout(moment.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// All its output so far.
    pub fn seen(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    #[track_caller]
    fn fail(&mut self, fault: &str) -> ! {
        let seen = self.seen();
        panic!("{} {fault}:\n{seen}", self.name)
    }

    /// Sends it a signal by name, such as `TERM` or `KILL`.
    pub fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "could not signal {}", self.name);
    }

    /// Waits for it to end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                // The readers end with the pipes; what they still hold is part of the output.
                while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
                    self.seen.push(line);
                }
                return status;
            }
            if Instant::now() >= give_up {
                self.fail("did not end");
            }
            if let Ok(line) = self.lines.recv_timeout(Duration::from_millis(20)) {
                self.seen.push(line);
            }
        }
    }

    /// Waits for it to end successfully, and returns all its output.
    #[track_caller]
    pub fn ended_well(&mut self) -> String {
        let status = self.ended();
        if !status.success() {
            self.fail(&format!("ended with {status}"));
        }
        self.seen()
    }

    /// Ends it with SIGTERM and expects success.
    #[track_caller]
    pub fn stop(&mut self) -> String {
        self.signal("TERM");
        self.ended_well()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended, or ended now: either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The data folder of the coordinator in `folder`.
fn data(folder: &Path) -> PathBuf {
    folder.join("coordinator")
}

/// Starts a coordinator through `start`, on `listen` with its data in `folder`; waits until it listens, and
/// returns it with its address.
pub fn coordinator(
    folder: &Path,
    listen: &str,
    start: impl FnOnce(&str, Command) -> Program,
) -> (Program, String) {
    let ready = folder.join("ready");
    // A stale file from an earlier start would be taken for this one's.
    let _ = std::fs::remove_file(&ready);
    let mut command = command("p2c2r-server");
    command.args(["--listen", listen, "--data-dir"]).arg(data(folder)).arg("--ready-file").arg(&ready);
    command.env("P2C2R_LOG", "debug");
    let mut program = start("coordinator", command);
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Ok(address) = std::fs::read_to_string(&ready) {
            return (program, address.trim().to_owned());
        }
        assert!(Instant::now() < give_up, "the coordinator does not listen:\n{}", program.seen());
        if let Some(status) = program.child.try_wait().expect("a child of ours") {
            panic!("the coordinator ended with {status}:\n{}", program.seen());
        }
        std::thread::yield_now();
    }
}

/// A join link for one account at the coordinator in `folder`, made as its operator would.
pub fn invite(folder: &Path, role: &str) -> String {
    let mut command = command("p2c2r-server");
    command.args(["invite", role, "--data-dir"]).arg(data(folder));
    Program::start("invite", command).ended_well().trim().to_owned()
}

/// Starts a worker with one slot through `start`; it joins the coordinator in `folder` by a link.
pub fn worker(folder: &Path, name: &str, start: impl FnOnce(&str, Command) -> Program) -> Program {
    let mut command = command("p2c2r-worker");
    command.env("P2C2R_SLOTS", "1").args(["--name", name, "--keys"]).arg(folder.join("keys"));
    command.args(["--join", &invite(folder, "worker")]);
    start(name, command)
}

/// Starts a game through `start` that plays itself without a window for `seconds` and joins the coordinator
/// in `folder` by a link.
pub fn game(
    folder: &Path,
    seconds: u32,
    report: &Path,
    start: impl FnOnce(&str, Command) -> Program,
) -> Program {
    let mut command = command("p2c2r-game");
    command.args(["--name", "gamer", "--headless", "--autopilot", "--keys"]).arg(folder.join("keys"));
    command.args(["--join", &invite(folder, "gamer")]);
    command.args(["--seconds", &seconds.to_string(), "--report"]).arg(report);
    start("game", command)
}

/// Runs the ledger's own check, which must pass.
#[track_caller]
pub fn ledger_balances(folder: &Path) {
    let mut command = command("p2c2r-server");
    command.args(["ledger", "check", "--data-dir"]).arg(data(folder));
    Program::start("ledger check", command).ended_well();
}

/// The living child processes of `process`; empty where the system does not tell.
pub fn children(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may end meanwhile.
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let lives = !status_field(&status, "State").starts_with('Z');
        if lives && status_field(&status, "PPid") == process.to_string() {
            found.push(child);
        }
    }
    found
}

/// A field of a process's `status` file; empty if there is none of this name.
pub fn status_field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map_or("", str::trim)
}
