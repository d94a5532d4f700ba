//! Kernels in processes of their own, which have no network, no files and no other programs within reach.
//!
//! A kernel computes on untrusted data. Ours are safe Rust, drivers of graphics processors are not, and both may have
//! unknown faults. So the worker computes nothing itself: it starts this program again for each slot, for tiny tasks,
//! and for the graphics processor, and sends tasks over a socket. Such a process gives up its rights before it has a
//! second thread, tests that they are gone, and reports the result; the worker gives no work to a process that could
//! still do something forbidden.
//!
//! | module | owns |
//! |---|---|
//! | `frame` | what both sides say to each other |
//! | `process` | what a kernel process does |
//! | `restrict`, `system_calls` | how it gives up its rights |
//! | `tries` | how it shows that they are gone |
//! | `device` | what computes in it |
//! | `launch` | starting one, and admitting it only if it is restricted |
//! | `lane` | runs, one after the other, in a process: their time, their end |
//! | `station` | a slot's process, started again when it has died |
//! | `graphics` | the process of the graphics processor |
//! | `fuzzing` | the other side of each socket as a script |
//!
//! All of it needs Linux. Elsewhere a worker says so and asks for `--unsandboxed`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use p2c2r_tasks::gpu::GpuChoice;

use crate::share::Share;

#[cfg(target_os = "linux")]
mod device;
#[cfg(target_os = "linux")]
mod frame;
#[cfg(target_os = "linux")]
pub mod fuzzing;
#[cfg(target_os = "linux")]
pub(crate) mod graphics;
#[cfg(target_os = "linux")]
mod lane;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod restrict;
#[cfg(target_os = "linux")]
pub(crate) mod station;
#[cfg(target_os = "linux")]
mod system_calls;
#[cfg(target_os = "linux")]
mod tries;

#[cfg(target_os = "linux")]
pub(crate) use frame::{EACH_BYTES, LOOKED_FOR_MAX, TOGETHER_BYTES_MAX, Wait};
#[cfg(target_os = "linux")]
pub use process::serve;

/// The argument with which `p2c2r-worker` becomes a kernel process.
pub const ROLE: &str = "kernel-process";

/// On Linux this path opens the file of the running program, even after another has taken its place: a build while a
/// worker runs must not give it kernels of another version.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Most lanes of a process. A graphics processor has so many, to compute one task while others are uploaded and read
/// back.
#[cfg(target_os = "linux")]
const LANES_MAX: usize = 4;

/// Megabytes that each kernel process may allocate by default. The largest tasks of the built-in kinds take some
/// hundred.
pub const MEMORY_MB_DEFAULT: u64 = 1_024;

/// How kernel processes are started, and what they may use.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The program that becomes one: it calls [`serve`] when it is given `arguments`.
    pub program: PathBuf,
    /// The arguments with which it becomes one.
    pub arguments: Vec<OsString>,
    /// Bytes that each process may allocate; on a graphics processor the driver's needs are not known, and there is no
    /// limit.
    pub memory_bytes: u64,
    /// The graphics processor to compute on.
    pub gpu: GpuChoice,
    /// What part of its time may be used.
    pub gpu_share: Share,
    /// A folder of the helper's, such as the one of the accounts, that no kernel process may read or write.
    pub private: PathBuf,
    /// How long the process of tiny tasks busy-polls for the next one before it sleeps.
    pub look: Duration,
}

impl Sandbox {
    /// Kernel processes of this very program, which calls [`serve`] when it is given [`ROLE`]. On Linux it is the program
    /// that runs, whatever lies at its path by now.
    pub fn of_this_program(private: PathBuf) -> std::io::Result<Self> {
        let linux = cfg!(target_os = "linux");
        Ok(Self {
            program: if linux { OWN_PROGRAM.into() } else { std::env::current_exe()? },
            arguments: vec![ROLE.into()],
            memory_bytes: MEMORY_MB_DEFAULT * 1_000_000,
            gpu: GpuChoice::Off,
            gpu_share: Share::ALL,
            private,
            look: p2c2r_link::runner::BUSY_POLL_DEFAULT,
        })
    }
}

/// Other systems have no kernel processes.
#[cfg(not(target_os = "linux"))]
pub fn serve(_kinds: &p2c2r_tasks::KindRegistry) -> std::process::ExitCode {
    p2c2r_program::complain("kernel processes need Linux");
    std::process::ExitCode::FAILURE
}
