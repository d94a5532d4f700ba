//! Starts a kernel process, and gives it no work before it has shown that it is restricted.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use p2c2r_protocol::wire;
use p2c2r_tasks::gpu::GpuChoice;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::frame::{FrameSocket, GpuOffer, Hello, Setup, StopRun, Tried, Tries, Wait, sentence};
use super::lane::Lane;
use super::{LANES_MAX, OWN_PROGRAM, Sandbox};
use crate::error::KernelsError;

/// Longest wait for a new process to show that it is restricted: on loaded machines a driver takes seconds to open.
const HELLO_MAX: Duration = Duration::from_mins(1);
/// Longest wait for a process that closed its sockets to exit by itself, so that its exit status can be reported.
const GONE_MAX: Duration = Duration::from_millis(100);
/// Stack of the thread that waits for a process to end: it calls the system and little else.
const WATCH_STACK_BYTES: usize = 64 * 1024;
/// How many tries a receipt must have.
pub(super) const TRIES: usize = 8;

/// Variables that say where drivers and loaders find what they need. A process that computes on a core gets none.
const DRIVER_VARIABLES: &[&str] = &[
    "DRI_",
    "GALLIUM_",
    "LD_LIBRARY_PATH",
    "LIBGL_",
    "LP_",
    "MESA_",
    "NODEVICE_SELECT",
    "NVIDIA_",
    "RADV_",
    "VK_",
    "WGPU_",
    "XDG_DATA_DIRS",
    "__EGL",
    "__GL",
    "__NV",
];

/// Which process to start.
#[derive(Clone, Debug)]
pub(super) struct LaunchPlan {
    /// The program, and what it may use.
    pub sandbox: Arc<Sandbox>,
    /// The text of the protocol identity that it must have.
    pub identity: Arc<str>,
    /// For which graphics processor, if for one.
    pub device: Option<GpuChoice>,
    /// Runs it takes at the same time, 1 to [`LANES_MAX`].
    pub lanes: usize,
}

/// A process that was started and has not yet shown anything.
pub(super) struct Launched {
    /// The process.
    pub process: Process,
    /// Our ends of its lanes.
    pub lanes: Vec<FrameSocket>,
    /// The file that it must not be able to write.
    pub writable: PathBuf,
    /// The text of the protocol identity that it must have.
    pub identity: Arc<str>,
}

/// A process that has shown that it is restricted.
pub(super) struct Admitted {
    /// Its lanes, which hold on to it.
    pub lanes: Vec<Lane>,
    /// What it tried to do and could not.
    pub denied: Vec<String>,
    /// Its graphics processor, or why there is none.
    pub device: Option<Result<GpuOffer, String>>,
}

impl LaunchPlan {
    /// Starts the process and tells it what to become.
    pub fn launch(&self) -> Result<Launched, KernelsError> {
        let (control, theirs) = FrameSocket::pair().map_err(KernelsError::Start)?;
        let mut command = Command::new(&self.sandbox.program);
        command.args(&self.sandbox.arguments).env_clear().envs(self.environment());
        if self.sandbox.program == Path::new(OWN_PROGRAM)
            && let Some(name) = std::env::args_os().next()
        {
            // The name that lists of processes show.
            command.arg0(name);
        }
        // A separate process group, because a terminal's Ctrl-C goes to the whole group and the worker lets kernels
        // finish.
        command.process_group(0).current_dir("/");
        command.stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(KernelsError::Start)?;
        // Closes the command's copy of the other socket end; otherwise a dead process would go unnoticed.
        drop(command);
        let process = Process::new(child, control)?;
        let lines = (0..self.lanes).map(|_| FrameSocket::pair()).collect::<Result<Vec<_>, _>>();
        let (lanes, sockets): (Vec<FrameSocket>, Vec<OwnedFd>) =
            lines.map_err(KernelsError::Start)?.into_iter().unzip();
        let tries = self.tries();
        let writable = PathBuf::from(std::ffi::OsStr::from_bytes(&tries.writable));
        let setup = Setup {
            identity: self.identity.to_string(),
            device: self.device.as_ref().map(ToString::to_string),
            memory_bytes: self.device.is_none().then_some(self.sandbox.memory_bytes),
            look_us: u32::try_from(self.sandbox.look.as_micros()).unwrap_or(u32::MAX),
            tries,
        };
        if process.set_up(&setup, &sockets).is_err() {
            return Err(KernelsError::NoReceipt(process.end()));
        }
        Ok(Launched { process, lanes, writable, identity: self.identity.clone() })
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        // Without eager commit, address space that is reserved but never written does not count towards the memory
        // limit.
        let allocator =
            [("MIMALLOC_ARENA_EAGER_COMMIT", "0")].map(|(name, value)| (name.into(), value.into()));
        let for_drivers = std::env::vars_os().filter(|(name, _)| {
            self.device.is_some()
                && DRIVER_VARIABLES.iter().any(|start| name.as_bytes().starts_with(start.as_bytes()))
        });
        allocator.into_iter().chain(for_drivers).collect()
    }

    fn tries(&self) -> Tries {
        let Sandbox { program, private, .. } = &*self.sandbox;
        // A kernel process has another working folder.
        let private = std::path::absolute(private).unwrap_or_else(|_| private.clone());
        let own = fs::read_dir(&private).ok().into_iter().flatten().flatten().map(|entry| entry.path());
        let readable = own
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .find(|path| fs::File::open(path).is_ok());
        let writable = private.join(format!("kernel-process-wrote-this-{}", std::process::id()));
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        Tries {
            readable: bytes(readable.as_ref().unwrap_or(&private)),
            writable: bytes(&writable),
            program: bytes(program),
            worker: std::process::id(),
        }
    }
}

impl Launched {
    /// Waits for the process's report. It gets no work unless everything it tried was denied.
    pub fn admit(self) -> Result<Admitted, KernelsError> {
        let hello = locked(&self.process.control).receive(Wait::AtMost(HELLO_MAX));
        let mut receipt = match hello {
            Ok(Some(Hello::Restricted(receipt))) => receipt,
            Ok(Some(Hello::Unsupported(reason))) => return Err(KernelsError::Unsupported(sentence(&reason))),
            Ok(Some(Hello::NoDevice(reason))) => return Err(KernelsError::Device(sentence(&reason))),
            Ok(Some(Hello::OtherBuild(theirs))) => {
                let (theirs, ours) = (sentence(&theirs), self.identity.to_string());
                return Err(KernelsError::OtherBuild { theirs, ours });
            }
            Ok(None) => return Err(KernelsError::NoReceipt(format!("said nothing for {HELLO_MAX:?}"))),
            Err(_) => return Err(KernelsError::NoReceipt(self.process.end())),
        };
        receipt.tried.iter_mut().for_each(|(what, _)| *what = sentence(what));
        let undenied = receipt.tried.iter().find(|(_, came_of_it)| *came_of_it != Tried::Denied);
        if let Some((what, came_of_it)) = undenied {
            // Removes a file that the process should not have been able to write.
            let _ = fs::remove_file(&self.writable);
            let came_of_it = match came_of_it {
                Tried::Unclear(reason) => format!("failed for another reason: {}", sentence(reason)),
                _ => "succeeded".to_owned(),
            };
            return Err(KernelsError::NotRestricted { what: what.clone(), came_of_it });
        }
        if receipt.tried.len() != TRIES {
            return Err(KernelsError::NoReceipt(format!("tried {} things of {TRIES}", receipt.tried.len())));
        }
        let process = Arc::new(self.process);
        let lanes =
            self.lanes.into_iter().zip(0..).map(|(line, number)| Lane::new(line, number, process.clone()));
        Ok(Admitted {
            lanes: lanes.collect(),
            denied: receipt.tried.into_iter().map(|(what, _)| what).collect(),
            device: receipt.device.map(|device| match device {
                Ok(offer) => Ok(GpuOffer { description: sentence(&offer.description), ..offer }),
                Err(reason) => Err(sentence(&reason)),
            }),
        })
    }
}

/// A running process; it ends when this is dropped.
pub(super) struct Process {
    id: u32,
    child: Arc<Mutex<Child>>,
    control: Mutex<FrameSocket>,
    died: Receiver<Instant>,
}

impl Process {
    /// A process that was started, and our end of its first socket.
    pub fn new(child: Child, control: FrameSocket) -> Result<Self, KernelsError> {
        let id = child.id();
        let child = Arc::new(Mutex::new(child));
        let (dies, died) = crossbeam_channel::bounded(1);
        let process = Self { id, child: child.clone(), control: Mutex::new(control), died };
        // Waits on the process's descriptor, because its number may be reused once it is gone.
        let watched = Pid::from_raw(id.cast_signed()).ok_or(io::ErrorKind::InvalidData.into());
        let watched = watched.and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        let watched = watched.map_err(KernelsError::Start)?;
        let watch = move || {
            let until_it_ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let ended = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(watched.as_fd()), until_it_ended));
            // If that fails, whoever killed the process has reaped it already.
            if ended.is_ok() {
                let _ = locked(&child).try_wait();
            }
            // The receiver may be gone.
            let _ = dies.send(Instant::now());
        };
        let watch =
            thread::Builder::new().name("kernel-watch".into()).stack_size(WATCH_STACK_BYTES).spawn(watch);
        watch.map_err(KernelsError::Start)?;
        Ok(process)
    }

    /// A process that has ended and been reaped, for scripts that say what one would.
    pub fn ended(child: Arc<Mutex<Child>>, control: FrameSocket) -> Self {
        let id = locked(&child).id();
        Self { id, child, control: Mutex::new(control), died: crossbeam_channel::never() }
    }

    /// Receives one message once the process has ended and been reaped.
    pub fn died(&self) -> &Receiver<Instant> {
        &self.died
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn set_up(&self, setup: &Setup, sockets: &[OwnedFd]) -> io::Result<()> {
        let sockets: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LANES_MAX))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !beside.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::Error::other("more lanes than a process has"));
        }
        let bytes = wire::encode(setup);
        sendmsg(locked(&self.control).socket(), &[IoSlice::new(&bytes)], &mut beside, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Tells it that a run is cancelled. Never waits: a process that does not read this does not end the run either,
    /// and is killed for that.
    pub fn stop_run(&self, lane: u16, serial: u64) {
        let _ = locked(&self.control).send_at_once(&StopRun { lane, serial });
    }

    /// Ends it, and says how it ended.
    pub fn end(&self) -> String {
        let mut child = locked(&self.child);
        for _ in 0..GONE_MAX.as_millis() {
            match child.try_wait() {
                Ok(Some(status)) => return described(status),
                Ok(None) => thread::sleep(Duration::from_millis(1)),
                Err(_) => break,
            }
        }
        kill(&mut child);
        "was killed".to_owned()
    }

    /// Ends it at once.
    pub fn kill(&self) {
        kill(&mut locked(&self.child));
    }
}

fn kill(child: &mut Child) {
    // Fails only if it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn described(status: ExitStatus) -> String {
    const ABORTED: i32 = 6;
    match status.signal() {
        Some(ABORTED) => "aborted, as it does when it needs more memory than it may have".to_owned(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("ended with {status}"),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Ignores poisoning: no code panics while this lock is held, and the data would be consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
