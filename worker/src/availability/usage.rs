//! Whether somebody uses the computer, as far as Linux tells a program without privileges.
//!
//! Three signs: something was typed at a terminal (access times of `/dev/tty*` and `/dev/pts/*`); a built-in keyboard
//! or touchpad was touched (interrupt counts in `/proc/interrupts`); other programs keep a quarter of the processor
//! busy (`/proc/stat` less what this worker and its kernel processes used). A USB keyboard shares its interrupt with
//! other devices, so on a desktop its use shows only in what programs do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Share of all processors' time that other programs may take on a computer that counts as unused.
const BUSY_SHARE: f64 = 0.25;
/// Lines of `/proc/interrupts` that belong to keyboards and touchpads alone, in lower case.
const INPUT_INTERRUPTS: &[&str] = &["i8042", "elan", "syna", "touchpad", "i2c_hid", "i2c-hid"];

/// Counters of the system, as they were at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counters {
    /// Ticks of all processors.
    total: u64,
    /// Of them, those in which they did nothing.
    idle: u64,
    /// Ticks that this worker and its kernel processes used, those that have ended included.
    own: u64,
    /// Interrupts of keyboards and touchpads.
    input: u64,
}

/// When the computer was last used.
#[derive(Debug)]
pub struct Usage {
    /// The folder in which the system tells of its processes, and the one with its terminals.
    proc: PathBuf,
    dev: PathBuf,
    before: Option<Counters>,
    /// On the app's clock.
    used_at: Duration,
}

impl Usage {
    /// This computer's.
    pub fn of_this_computer() -> Self {
        Self::told_in("/proc", "/dev")
    }

    pub(super) fn told_in(proc: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Self {
        Self { proc: proc.into(), dev: dev.into(), before: None, used_at: Duration::ZERO }
    }

    /// How long nobody has used it, at most since the first call. To be called every few seconds, also while the worker
    /// rests: the counters are compared with those of the last call, and short use would be lost in the average of a
    /// longer time.
    pub fn unused_for(&mut self, now: Duration) -> Duration {
        let counters = Counters::told_in(&self.proc);
        if self.before.replace(counters).is_none_or(|before| counters.show_use_since(before)) {
            self.used_at = now;
        }
        let since_use = now.saturating_sub(self.used_at);
        typed_for(&self.dev, SystemTime::now()).map_or(since_use, |typed| typed.min(since_use))
    }
}

impl Counters {
    fn told_in(proc: &Path) -> Self {
        let own_tree = std::iter::once("self".to_owned()).chain(children(proc));
        let (total, idle) = processor_ticks(&read(&proc.join("stat")));
        Self {
            total,
            idle,
            own: own_tree.map(|process| process_ticks(&read(&proc.join(process).join("stat")))).sum(),
            input: input_interrupts(&read(&proc.join("interrupts"))),
        }
    }

    fn show_use_since(self, before: Self) -> bool {
        let total = self.total.saturating_sub(before.total);
        let busy = total.saturating_sub(self.idle.saturating_sub(before.idle));
        let others = busy.saturating_sub(self.own.saturating_sub(before.own));
        self.input != before.input || (total > 0 && others as f64 > BUSY_SHARE * total as f64)
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Ids of the processes that this one started.
fn children(proc: &Path) -> Vec<String> {
    let own = std::process::id().to_string();
    let threads = fs::read_dir(proc.join("self/task")).ok().into_iter().flatten().flatten();
    let listed: Vec<String> = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    if !listed.is_empty() {
        return listed;
    }
    // Some kernels are built without that list.
    let processes = fs::read_dir(proc).ok().into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|name| after_name(&read(&proc.join(name).join("stat"))).nth(1) == Some(own.as_str()))
        .collect()
}

/// Ticks of all processors, and of them the idle ones, from `/proc/stat`.
fn processor_ticks(stat: &str) -> (u64, u64) {
    let line = stat.lines().find(|line| line.starts_with("cpu ")).unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    let ticks: Vec<u64> =
        line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    (ticks.iter().sum(), ticks.iter().skip(3).take(2).sum())
}

/// User and system ticks of a process and of those of its children that have ended, from its `stat`. Without the latter,
/// what a kernel process has used would be taken for somebody else's once that process has died.
fn process_ticks(stat: &str) -> u64 {
    after_name(stat).skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum()
}

/// The fields from the third (the state) on; the second is the name in parentheses, which may contain anything.
fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

fn input_interrupts(interrupts: &str) -> u64 {
    let of_input = interrupts.lines().filter(|line| {
        let line = line.to_lowercase();
        INPUT_INTERRUPTS.iter().any(|name| line.contains(name))
    });
    // `12:  345  0  IO-APIC  12-edge  i8042`: one count for each processor.
    of_input.flat_map(|line| line.split_whitespace().skip(1).map_while(|word| word.parse::<u64>().ok())).sum()
}

/// How long nothing was typed at a terminal. A terminal whose access time lies ahead, as after the clock was set back,
/// is ignored until something is typed there.
fn typed_for(dev: &Path, now: SystemTime) -> Option<Duration> {
    let in_folder = |folder: &Path| fs::read_dir(folder).ok().into_iter().flatten().flatten();
    let consoles = in_folder(dev).filter(|entry| {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("tty"));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    consoles
        .chain(in_folder(&dev.join("pts")))
        .filter_map(|terminal| now.duration_since(terminal.metadata().ok()?.accessed().ok()?).ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_as_linux_writes_them() {
        assert_eq!(processor_ticks("cpu  10 1 5 80 4 0 0 0 0 0\ncpu0 1 1 1 1\n"), (100, 84));
        let stat = "42 (a) name) S 7 42 42 0 -1 4194560 100 0 0 0 31 11 5 3 20 0 4 0 100";
        assert_eq!(process_ticks(stat), 50, "its own and those of children that have ended");
        assert_eq!(after_name(stat).nth(1), Some("7"));
        let interrupts =
            "      CPU0 CPU1\n  1:  5  4  IO-APIC  1-edge  i8042\n 16:  9 9 IO-APIC 16 ehci_hcd\n";
        assert_eq!(input_interrupts(interrupts), 9);
    }

    #[test]
    fn touching_it_and_other_programs_are_use_and_own_work_is_not() {
        let before = Counters { total: 1_000, idle: 500, own: 100, input: 7 };
        let after = |idle, own, input| Counters { total: 2_000, idle, own, input };
        assert!(!after(1_500, 100, 7).show_use_since(before), "nothing ran");
        assert!(!after(500, 1_100, 7).show_use_since(before), "only this worker ran");
        assert!(after(1_200, 100, 7).show_use_since(before), "others took 30 %");
        assert!(after(1_500, 100, 8).show_use_since(before), "a key was pressed");
    }

    #[test]
    fn a_computer_counts_as_used_at_the_first_look() {
        let mut usage = Usage::of_this_computer();
        assert_eq!(usage.unused_for(Duration::from_secs(100)), Duration::ZERO);
    }

    #[test]
    fn a_terminal_whose_time_lies_ahead_does_not_hide_what_is_typed_at_others() {
        let dev = tempfile::tempdir().unwrap();
        fs::create_dir(dev.path().join("pts")).unwrap();
        let now = SystemTime::now();
        let typed_at = |file: &str, at: SystemTime| {
            let terminal = fs::File::create(dev.path().join(file)).unwrap();
            terminal.set_times(fs::FileTimes::new().set_accessed(at)).unwrap();
        };
        assert_eq!(typed_for(dev.path(), now), None);
        typed_at("tty1", now + Duration::from_hours(1));
        typed_at("tty", now);
        assert_eq!(typed_for(dev.path(), now), None, "it says nothing, and the other is no terminal");
        typed_at("pts/3", now - Duration::from_secs(40));
        typed_at("tty2", now - Duration::from_secs(90));
        assert_eq!(typed_for(dev.path(), now).map(|typed| typed.as_secs()), Some(40));
    }
}
