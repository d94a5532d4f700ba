//! How a kernel process gives up its rights: limits on what it uses (rlimits), no way to regain rights
//! (`no_new_privs`), no files and no network (Landlock), and only the system calls it needs (seccomp).
//!
//! All four hold for the calling thread and for those it starts afterwards, and nothing undoes them. So the process
//! restricts itself before it has a second thread.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::system_calls;

/// What the ruleset covers: files, devices' `ioctl`, TCP, signals. An older Linux kernel enforces what it knows, and
/// the process's tests show whether that is enough.
const KNOWN: ABI = ABI::V6;

/// Most files that a process may have open. The sockets of its lanes are open before this holds.
const FILES_MAX: u64 = 64;

/// Bytes of address space beyond the allocated memory: more than allocators and stacks reserve. Memory that is only
/// read counts towards no other limit, but the system keeps page tables for it, a five-hundredth of its size; this
/// limit bounds them.
const ADDRESS_SPACE_BYTES: u64 = 64 << 30;

/// Where graphics drivers and what they load are stored; may be read and executed. Of `/proc` only files about the
/// machine and the process itself: the rest reveals the owner's programs.
const DRIVERS: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/opt",
    "/nix/store",
    "/run/opengl-driver",
    "/etc/ld.so.cache",
    "/etc/vulkan",
    "/etc/glvnd",
    "/etc/drirc",
    "/etc/nvidia",
    "/sys",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/driver",
    "/proc/modules",
    "/proc/devices",
    "/proc/version",
    "/proc/stat",
    "/proc/sys/vm",
    "/proc/sys/kernel",
];
/// The graphics devices, and devices that hold no data.
const DEVICES: &[&str] = &[
    "/dev/dri",
    "/dev/kfd",
    "/dev/dxg",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/nvidiactl",
    "/dev/nvidia-modeset",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
    "/dev/nvidia-caps",
    "/dev/nvidia0",
    "/dev/nvidia1",
    "/dev/nvidia2",
    "/dev/nvidia3",
    "/dev/nvidia4",
    "/dev/nvidia5",
    "/dev/nvidia6",
    "/dev/nvidia7",
];

/// What a process is for, and so what it keeps.
pub(super) enum Purpose<'a> {
    /// Computes on a core: it keeps these lines, and memory up to a limit.
    Core { lines: &'a [BorrowedFd<'a>], memory_bytes: Option<u64> },
    /// Computes on a graphics processor: it keeps what drivers need.
    Device,
}

/// Removes every right that this process does not need for its purpose. An error is a reason that ends a sentence.
pub(super) fn restrict(purpose: &Purpose<'_>) -> Result<(), String> {
    limit(purpose)?;
    forbid_files(purpose)?;
    match purpose {
        Purpose::Core { lines, .. } => {
            let lines: Vec<u64> = lines.iter().map(|line| line.as_raw_fd() as u64).collect();
            system_calls::allow_computing(&lines)
        }
        Purpose::Device => system_calls::forbid_reaching_out(),
    }
}

fn limit(purpose: &Purpose<'_>) -> Result<(), String> {
    let set = |resource, most: u64| {
        // The worker itself may have a lower limit, which cannot be raised.
        let most = Some(getrlimit(resource).maximum.map_or(most, |there| there.min(most)));
        setrlimit(resource, Rlimit { current: most, maximum: most })
            .map_err(|error| format!("the system does not take a limit on resources ({error})"))
    };
    // A core dump would write untrusted data into the owner's folder.
    set(Resource::Core, 0)?;
    if let Purpose::Core { memory_bytes, .. } = purpose {
        set(Resource::Nofile, FILES_MAX)?;
        set(Resource::Fsize, 0)?;
        if let Some(bytes) = memory_bytes {
            // Limits allocated memory, not the address space that an allocator reserves.
            set(Resource::Data, *bytes)?;
            set(Resource::As, bytes.saturating_add(ADDRESS_SPACE_BYTES))?;
        }
    }
    Ok(())
}

fn forbid_files(purpose: &Purpose<'_>) -> Result<(), String> {
    let failed = |error: landlock::RulesetError| format!("Landlock refuses ({error})");
    let (drivers, devices): (&[&str], &[&str]) = match purpose {
        Purpose::Core { .. } => (&[], &[]),
        Purpose::Device => (DRIVERS, DEVICES),
    };
    let to_devices = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::IoctlDev;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|rules| rules.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(drivers, AccessFs::from_read(KNOWN))))
        .and_then(|rules| rules.add_rules(path_beneath_rules(devices, to_devices)))
        .and_then(RulesetCreated::restrict_self)
        .map_err(failed)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("this system's kernel has no Landlock (Linux 5.13 or newer, switched on)".into());
    }
    if !status.no_new_privs {
        return Err("this system's kernel does not take `no_new_privs`".into());
    }
    Ok(())
}
