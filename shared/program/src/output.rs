//! Standard output and standard error. Their reader may be absent: the other end of a pipe gone, a disk full. That must
//! never end a program or its work, so write errors are dropped here, and programs print only through this module.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};

/// One of a program's two outputs; writing to it never fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Standard,
    /// Standard error.
    Error,
}

impl Write for Output {
    /// Takes all of `bytes`, whether or not they can be written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A failure is ignored: only the reader is affected, and it cannot be reported anywhere.
        let _ = match self {
            Self::Standard => io::stdout().write_all(bytes),
            Self::Error => io::stderr().write_all(bytes),
        };
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = match self {
            Self::Standard => io::stdout().flush(),
            Self::Error => io::stderr().flush(),
        };
        Ok(())
    }
}

impl Output {
    /// Whether a person sees it as it is written.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Standard => io::stdout().is_terminal(),
            Self::Error => io::stderr().is_terminal(),
        }
    }

    /// Whether escapes for colours may be written: to a terminal, unless `NO_COLOR` is set (no-color.org).
    pub fn takes_colour(self) -> bool {
        self.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Whether it leads to systemd's journal, which notes the time of every line itself.
    #[cfg(unix)]
    pub fn is_journal(self) -> bool {
        let Ok(journal) = std::env::var("JOURNAL_STREAM") else { return false };
        let status = match self {
            Self::Standard => rustix::fs::fstat(io::stdout()),
            Self::Error => rustix::fs::fstat(io::stderr()),
        };
        // Child processes of a service inherit the variable; the numbers show whether it refers to this output.
        status.is_ok_and(|status| journal == format!("{}:{}", status.st_dev, status.st_ino))
    }

    /// Other systems have no journal.
    #[cfg(not(unix))]
    pub fn is_journal(self) -> bool {
        false
    }
}

/// Writes a line to standard output.
pub fn say(line: impl Display) {
    write_line(Output::Standard, line);
}

/// Writes a line to standard error.
pub fn complain(line: impl Display) {
    write_line(Output::Error, line);
}

/// One call for the whole line, so that lines of two threads are not interleaved.
fn write_line(mut output: Output, line: impl Display) {
    let _ = output.write_all(format!("{line}\n").as_bytes());
}
