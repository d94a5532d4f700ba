//! Processor time of this process and its children, to a nanosecond, from Linux's scheduler statistics; and memory.

use std::path::Path;
use std::time::Duration;

/// Processor time that this process and `children` have taken so far, threads that have ended left out; `None`
/// where the system does not tell.
pub(super) fn spent(children: &[u32]) -> Option<Duration> {
    let mut total = of_process(Path::new("/proc/self"))?;
    for child in children {
        total += of(*child)?;
    }
    Some(total)
}

/// The same of process `id` alone.
pub(super) fn of(id: u32) -> Option<Duration> {
    of_process(&Path::new("/proc").join(id.to_string()))
}

fn of_process(process: &Path) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(process.join("task")).ok()? {
        // One that ends just now has no statistics any more.
        let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanos += text.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos))
}

/// The memory that a process has resident, in bytes.
pub(super) fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}
