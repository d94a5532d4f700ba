//! The forbidden actions that a restricted kernel process tries, to prove that they are denied.
//!
//! Each is a call that succeeds in the worker itself, on files and programs that the worker knows to exist. So a
//! refusal comes from the restriction, and any other failure proves nothing.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Pid, getpriority_process, setpriority_process, test_kill_process};

use super::frame::{Tried, Tries};

/// Makes every try; the last one would replace this process if it succeeded.
pub(super) fn all(tries: &Tries) -> Vec<(String, Tried)> {
    let program = || {
        let mut command = Command::new(path(&tries.program));
        // If the program does start, it prints its version and ends.
        command.arg("--version");
        command
    };
    let readable = path(&tries.readable).to_string_lossy().into_owned();
    vec![
        tried("open a network socket", || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
        tried(&format!("read {readable}"), || File::open(path(&tries.readable)).map(drop)),
        tried("change its permissions", || {
            // Sets the permissions that the file already has.
            fs::set_permissions(path(&tries.readable), fs::metadata(path(&tries.readable))?.permissions())
        }),
        tried("write a file beside it", || {
            OpenOptions::new().write(true).create_new(true).open(path(&tries.writable)).map(drop)
        }),
        tried("signal this program", || Ok(test_kill_process(pid(tries.worker)?)?)),
        tried("set this program's priority", || {
            let worker = Some(pid(tries.worker)?);
            Ok(setpriority_process(worker, getpriority_process(worker)?)?)
        }),
        tried("start a second process", || program().spawn().and_then(|mut child| child.wait()).map(drop)),
        tried("become another program", || Err(program().exec())),
    ]
}

fn path(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

fn pid(process: u32) -> io::Result<Pid> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.ok_or_else(|| ErrorKind::InvalidInput.into())
}

fn tried(what: &str, attempt: impl FnOnce() -> io::Result<()>) -> (String, Tried) {
    let came_of_it = match attempt() {
        Ok(()) => Tried::Possible,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Tried::Denied,
        Err(error) => Tried::Unclear(error.to_string()),
    };
    (what.to_owned(), came_of_it)
}
