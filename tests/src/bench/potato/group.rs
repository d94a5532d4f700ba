//! A control group that limits the game to a share of one core and accounts its use (cgroups(7), versions 1
//! and 2).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The period of a share, in microseconds: a third of a frame. With the kernel's default of 100,000 the game would run
/// freely for several frames and then stop for several.
pub const PERIOD_US: u32 = 5_000;

/// What the bench needs and this machine lacks.
#[derive(Debug)]
pub struct Missing(pub String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}. The bench needs Linux, two processors, taskset (util-linux) and a control group with the controller \
             `cpu` for the game: as root, or with version 2 in a group handed over to this user, for example \
             `systemd-run --user --scope -p Delegate=yes ./p2c2r bench potato`",
            self.0
        )
    }
}

impl std::error::Error for Missing {}

/// A control group of the bench; removed when this is dropped.
#[derive(Debug)]
pub struct ControlGroup {
    /// Its folders: one for each hierarchy of version 1, one in all of version 2.
    folders: Vec<PathBuf>,
    files: Files,
    /// Version 2: the group that held this program before it had to move, and the one it moved to.
    moved: Option<(PathBuf, PathBuf)>,
}

/// The files of a group's limit and accounting.
#[derive(Debug)]
enum Files {
    /// Microseconds per period, and nanoseconds used so far.
    One { quota: PathBuf, usage: PathBuf },
    /// Both numbers in one file, and a file with a line `usage_usec`.
    Two { quota: PathBuf, stat: PathBuf },
}

/// Where this program may make groups.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The folder of each hierarchy that is needed: quotas, and accounts.
    One { quotas: PathBuf, accounts: PathBuf },
    /// This program's own group.
    Two { own: PathBuf },
}

impl ControlGroup {
    /// Makes a group without a limit.
    pub fn make() -> Result<Self, Missing> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|error| Missing(format!("cannot read {path}: {error}")))
        };
        let place = place(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?)
            .ok_or_else(|| Missing("there are no control groups with the controller `cpu` here".into()))?;
        let name = format!("p2c2r-potato-{}", std::process::id());
        let made = match &place {
            Place::One { quotas, accounts } => Self::version_1(&quotas.join(&name), &accounts.join(&name)),
            Place::Two { own } => Self::version_2(own, &name),
        };
        made.map_err(|error| Missing(format!("no control group may be made here ({place:?}): {error}")))
    }

    fn version_1(quotas: &Path, accounts: &Path) -> io::Result<Self> {
        let files =
            Files::One { quota: quotas.join("cpu.cfs_quota_us"), usage: accounts.join("cpuacct.usage") };
        let mut group = Self { folders: Vec::new(), files, moved: None };
        group.add(quotas)?;
        if accounts != quotas {
            group.add(accounts)?;
        }
        fs::write(quotas.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
        group.spent()?;
        Ok(group)
    }

    fn version_2(own: &Path, name: &str) -> io::Result<Self> {
        let folder = own.join(name);
        let files = Files::Two { quota: folder.join("cpu.max"), stat: folder.join("cpu.stat") };
        let mut group = Self { folders: Vec::new(), files, moved: None };
        let controllers = own.join("cgroup.subtree_control");
        let has_cpu = |text: String| text.split_ascii_whitespace().any(|controller| controller == "cpu");
        if !has_cpu(fs::read_to_string(&controllers)?) && fs::write(&controllers, "+cpu").is_err() {
            // Only a group without processes of its own delegates controllers, except the root.
            let aside = own.join(format!("{name}-bench"));
            fs::create_dir(&aside)?;
            group.moved = Some((own.to_path_buf(), aside.clone()));
            fs::write(aside.join("cgroup.procs"), "0")?;
            fs::write(&controllers, "+cpu")?;
        }
        group.add(&folder)?;
        group.spent()?;
        Ok(group)
    }

    fn add(&mut self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)?;
        self.folders.push(folder.to_path_buf());
        Ok(())
    }

    /// Limits it to `percent` of one core from now on.
    pub fn limit(&self, percent: u32) -> io::Result<()> {
        let quota_us = PERIOD_US * percent / 100;
        match &self.files {
            Files::One { quota, .. } => fs::write(quota, quota_us.to_string()),
            Files::Two { quota, .. } => fs::write(quota, format!("{quota_us} {PERIOD_US}")),
        }
    }

    /// Processor time of its programs so far, including those that have ended.
    pub fn spent(&self) -> io::Result<Duration> {
        let (path, unit, number) = match &self.files {
            Files::One { usage, .. } => (usage, Duration::from_nanos(1), None),
            Files::Two { stat, .. } => (stat, Duration::from_micros(1), Some("usage_usec ")),
        };
        let text = fs::read_to_string(path)?;
        let number = match number {
            None => Some(text.as_str()),
            Some(name) => text.lines().find_map(|line| line.strip_prefix(name)),
        };
        number
            .and_then(|number| number.trim().parse::<u64>().ok())
            .map(|units| Duration::from_nanos(units.saturating_mul(unit.as_nanos() as u64)))
            .ok_or_else(|| io::Error::other(format!("{} does not tell the processor time", path.display())))
    }

    /// The command that runs `command` in the group, on processor `cpu`: this executable calls [`enter`] and
    /// becomes it.
    pub fn confine(&self, cpu: u32, command: &Command) -> io::Result<Command> {
        let mut confined = Command::new(std::env::current_exe()?);
        confined.args(["confined", "--cpu", &cpu.to_string()]);
        for folder in &self.folders {
            confined.arg("--group").arg(folder);
        }
        confined.arg("--").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => confined.env(name, value),
                None => confined.env_remove(name),
            };
        }
        Ok(confined)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // The game has ended by now. An empty group that cannot be removed costs nothing.
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
        if let Some((own, aside)) = &self.moved {
            let _ = fs::write(own.join("cgroup.subtree_control"), "-cpu");
            let _ = fs::write(own.join("cgroup.procs"), "0");
            let _ = fs::remove_dir(aside);
        }
    }
}

/// Moves this process into the groups and becomes `command` on processor `cpu`. Returns only if that fails.
pub fn enter(groups: &[PathBuf], cpu: u32, command: &[std::ffi::OsString]) -> io::Error {
    for group in groups {
        if let Err(error) = fs::write(group.join("cgroup.procs"), "0") {
            return error;
        }
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &cpu.to_string()]).args(command);
    become_it(&mut pinned)
}

#[cfg(unix)]
fn become_it(command: &mut Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

/// Elsewhere there are no control groups either.
#[cfg(not(unix))]
fn become_it(_: &mut Command) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Where this program may make groups, by `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn place(mounts: &str, own: &str) -> Option<Place> {
    let of_version_1 = |controller: &str| {
        let path = own.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(path)
        })?;
        mounted(mounts, path, |kind, options| {
            kind == "cgroup" && options.split(',').any(|option| option == controller)
        })
    };
    if let (Some(quotas), Some(accounts)) = (of_version_1("cpu"), of_version_1("cpuacct")) {
        return Some(Place::One { quotas, accounts });
    }
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounted(mounts, path, |kind, _| kind == "cgroup2").map(|own| Place::Two { own })
}

/// The folder of the group `path` in the first mount whose type and options match.
fn mounted(mounts: &str, path: &str, is_it: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut file_system = file_system.split(' ');
        let (kind, options) = (file_system.next()?, file_system.nth(1)?);
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        if !is_it(kind, options) {
            return None;
        }
        // In a container the mount shows a part of the tree, and this program's group may be outside of it.
        let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        Some(Path::new(point).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_1: &str = "\
        30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n\
        31 25 0:27 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n\
        32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const VERSION_2: &str = "\
        24 30 0:22 / /proc rw - proc proc rw\n\
        29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn version_1_is_found_by_its_controllers() {
        let own = "9:memory:/other\n2:cpu,cpuacct:/user.slice\n0::/\n";
        let folder = PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/user.slice");
        assert_eq!(place(VERSION_1, own), Some(Place::One { quotas: folder.clone(), accounts: folder }));
    }

    #[test]
    fn version_2_is_found_where_version_1_has_no_controllers() {
        let own = "0::/user.slice/user-1000.slice/run-7.scope\n";
        let scope = PathBuf::from("/sys/fs/cgroup/user.slice/user-1000.slice/run-7.scope");
        assert_eq!(place(VERSION_2, own), Some(Place::Two { own: scope }));
        assert_eq!(place("24 30 0:22 / /proc rw - proc proc rw\n", own), None);
    }

    #[test]
    fn a_container_sees_its_part_of_the_tree() {
        let mounts = "29 23 0:26 /docker/7 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let at = |own: &str| place(mounts, own);
        assert_eq!(at("0::/docker/7/app"), Some(Place::Two { own: "/sys/fs/cgroup/app".into() }));
        assert_eq!(at("0::/elsewhere"), Some(Place::Two { own: "/sys/fs/cgroup".into() }));
    }

    #[test]
    fn both_versions_are_told_share_and_period_and_tell_what_was_taken() {
        // The kernel makes these files itself; in an ordinary folder the test makes them by writing.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        let quota = file("quota");
        fs::write(file("usage"), "1500000\n").expect("a file");
        fs::write(file("stat"), "nr_periods 3\nusage_usec 1500\nuser_usec 900\n").expect("a file");
        for (files, told) in [
            (Files::One { quota: quota.clone(), usage: file("usage") }, "1500"),
            (Files::Two { quota: quota.clone(), stat: file("stat") }, "1500 5000"),
        ] {
            let group = ControlGroup { folders: vec!["/groups/game".into()], files, moved: None };
            group.limit(30).expect("a quota");
            assert_eq!(fs::read_to_string(&quota).expect("what was told"), told);
            assert_eq!(group.spent().expect("it tells"), Duration::from_micros(1_500));
            let confined = group.confine(3, &Command::new("game")).expect("a command");
            let arguments: Vec<_> = confined.get_args().collect();
            assert_eq!(arguments, ["confined", "--cpu", "3", "--group", "/groups/game", "--", "game"]);
        }
    }
}
