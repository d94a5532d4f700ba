//! Being asked to stop: SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal has gone).
//!
//! A signal that the program was started to ignore stays ignored. That is how `nohup` keeps a program running when its
//! terminal goes, and how a shell keeps the Ctrl-C meant for a foreground program from its background ones.

use std::io;

/// Calls `handler`, on a thread of its own, whenever the program is asked to stop. To be called once, at start.
#[cfg(unix)]
pub fn on_stop(mut handler: impl FnMut() + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let ignored = ignored();
    let heeded: Vec<i32> =
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !contains(ignored, *signal)).collect();
    if heeded.is_empty() {
        return Ok(());
    }
    let mut signals = Signals::new(heeded)?;
    std::thread::Builder::new().name("p2c2r-signals".into()).spawn(move || {
        for _ in signals.forever() {
            handler();
        }
    })?;
    Ok(())
}

/// Calls `handler`, on a thread of its own, whenever the program is asked to stop. To be called once, at start.
#[cfg(not(unix))]
pub fn on_stop(handler: impl FnMut() + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(handler).map_err(io::Error::other)
}

/// The set of signals this process ignores, as the kernel tells it.
///
/// Asking with `sigaction` takes unsafe code. Where there is no `/proc`, none is taken to be ignored.
#[cfg(unix)]
fn ignored() -> u64 {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| ignored_in(&status)).unwrap_or(0)
}

/// The set in the line `SigIgn` of `proc_pid_status(5)`: hexadecimal, bit `n - 1` for signal `n`.
#[cfg(unix)]
fn ignored_in(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

#[cfg(unix)]
fn contains(set: u64, signal: i32) -> bool {
    u32::try_from(signal - 1).is_ok_and(|bit| set.checked_shr(bit).is_some_and(|rest| rest & 1 == 1))
}

#[cfg(all(test, unix))]
mod tests {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn the_kernels_set_of_ignored_signals_is_read() {
        let status = "Name:\tp2c2r\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
        let set = ignored_in(status).unwrap();
        assert!(contains(set, SIGHUP) && contains(set, SIGINT));
        assert!(!contains(set, SIGTERM));
        assert_eq!(ignored_in("Name:\tp2c2r\n"), None);
        assert_eq!(ignored_in("SigIgn:\tnonsense\n"), None);
    }

    #[test]
    fn what_rust_itself_ignores_is_found() {
        // The runtime ignores SIGPIPE before `main`.
        assert!(!cfg!(target_os = "linux") || contains(ignored(), signal_hook::consts::SIGPIPE));
    }
}
