//! A process of the bench, ended when its value is dropped.

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

    /// Its process id.
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
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
