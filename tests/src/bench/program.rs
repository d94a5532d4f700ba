//! A process of the bench's, which ends with the value that stands for it.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command};

/// A running process.
pub(super) struct BenchProgram(Child);

impl BenchProgram {
    /// Starts a command.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Starts this executable in another role, with the options that the role needs.
    pub fn in_role(role: &str, options: &[&OsStr]) -> io::Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).args(["--role", role]).args(options))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for BenchProgram {
    fn drop(&mut self) {
        // One that has ended already is as good as one that is killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
