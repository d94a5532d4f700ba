//! The machine's load while dispatch is measured: busy polling for packets hides the cost of a task if a core
//! is free, and only then.

use std::fmt;
use std::io;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde::Serialize;

use super::program::BenchProgram;

/// The machine's load by other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Nothing.
    Quiet,
    /// One core is fully used by another program.
    Busy,
    /// All programs share one core.
    OneCore,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quiet => "quiet",
            Self::Busy => "busy",
            Self::OneCore => "one core",
        })
    }
}

/// A condition that holds as long as this does.
pub struct HeldCore {
    burner: Option<BenchProgram>,
    pinned: Vec<u32>,
}

impl Condition {
    /// Establishes it for this process and `children`. Fails where the machine cannot: one core needs
    /// `taskset`.
    pub fn hold(self, children: &[u32]) -> io::Result<HeldCore> {
        let mut held = HeldCore { burner: None, pinned: Vec::new() };
        match self {
            Self::Quiet => {}
            Self::Busy => held.burner = Some(BenchProgram::in_role("burner", &[])?),
            Self::OneCore => {
                for process in children.iter().copied().chain([std::process::id()]) {
                    held.pinned.push(process);
                    pin(process, "0")?;
                }
            }
        }
        Ok(held)
    }
}

impl Drop for HeldCore {
    fn drop(&mut self) {
        for process in &self.pinned {
            // A process that has ended needs no pinning.
            let _ = pin(*process, "0-1023");
        }
    }
}

/// Pins all threads of a process to the processors in `list`, as far as the machine has them.
fn pin(process: u32, list: &str) -> io::Result<()> {
    let process = process.to_string();
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", list, &process]);
    let status = taskset.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("taskset ended with {status}"))) }
}

/// Computes until it is killed.
pub fn burn() -> ! {
    let mut value = 0_u64;
    loop {
        value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
