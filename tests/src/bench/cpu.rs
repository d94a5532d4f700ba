//! Processor time of this process and its children, to a nanosecond, from Linux's scheduler statistics; and memory.

use std::path::Path;
use std::time::Duration;

/// Processor time of this process and `children` so far, without threads that have ended; `None` where the
/// system does not tell.
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

/// Processor time of the processes that `id` has started and that still run.
pub(super) fn of_children(id: u32) -> Option<Duration> {
    let mut total = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{id}/task")).ok()? {
        let children = std::fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
        for child in children.split_ascii_whitespace() {
            total += of(child.parse().ok()?)?;
        }
    }
    Some(total)
}

fn of_process(process: &Path) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(process.join("task")).ok()? {
        // A thread that just ended has no statistics any more.
        let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanos += text.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos))
}

/// A process's resident memory, in bytes.
pub(super) fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// UDP packets that this machine has received, over IPv4 and IPv6.
pub(super) fn packets_received() -> Option<u64> {
    let v4 = std::fs::read_to_string("/proc/net/snmp").ok()?;
    // The first of two lines that begin with the protocol names the columns of the second; the first column is `InDatagrams`.
    let values = v4.lines().filter(|line| line.starts_with("Udp:")).nth(1)?;
    let v4: u64 = values.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let v6 = std::fs::read_to_string("/proc/net/snmp6").unwrap_or_default();
    let v6 = v6
        .lines()
        .find_map(|line| line.strip_prefix("Udp6InDatagrams"))
        .map_or(Some(0), |value| value.trim().parse().ok());
    Some(v4 + v6?)
}
