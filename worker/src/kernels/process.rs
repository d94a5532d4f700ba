//! What a kernel process does: it takes its setup, gives up its rights, shows that they are gone, and then computes
//! what arrives on its lanes until its worker exits.

use std::fs;
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use p2c2r_program::complain;
use p2c2r_program::quiet_caught_panics;
use p2c2r_protocol::catch_panic::catch_panic;
use p2c2r_protocol::limits::{BLOB_STORE_BYTES_MAX, OUTCOME_BYTES_MAX};
use p2c2r_tasks::{Blob, BlobStore, KernelError, KindRegistry, Stop};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::device::{self, Compute};
use super::frame::{
    EACH_BYTES, Failure, FrameSocket, Hello, LOOKED_FOR_MAX, RunDone, RunTask, SandboxReport, Setup, StopRun,
    TOGETHER_BYTES_MAX, Wait, decode,
};
use super::restrict::{Purpose, restrict};
use super::{LANES_MAX, tries};

/// How the system shows it in lists of processes.
const NAME: &str = "p2c2r-kernel";
/// Largest [`Setup`] in bytes: four paths, a line of text and some numbers.
const SETUP_BYTES_MAX: usize = 32 * 1024;

/// Becomes a kernel process that computes these kinds. The worker that starts it is at the other end of standard input.
pub fn serve(kinds: &KindRegistry) -> ExitCode {
    match run(kinds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("a worker starts its kernel processes itself: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(kinds: &KindRegistry) -> io::Result<()> {
    quiet_caught_panics();
    outlive_signals()?;
    // The system would show the file's name, which is `exe` where the worker starts its own program. Any name will do.
    let _ = fs::write("/proc/self/comm", NAME);
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let (setup, lanes) = receive_setup(&control)?;
    let mut control = FrameSocket::new(control);
    let own = kinds.identity().text;
    if setup.identity != own {
        return control.send(&Hello::OtherBuild(own));
    }
    let restricted = {
        let lanes = lanes.iter().map(|lane| lane.as_fd());
        let lines: Vec<_> = std::iter::once(control.socket()).chain(lanes).collect();
        restrict(&match setup.device {
            None => Purpose::Core { lines: &lines, memory_bytes: setup.memory_bytes },
            Some(_) => Purpose::Device,
        })
    };
    if let Err(reason) = restricted {
        return control.send(&Hello::Unsupported(reason));
    }
    let tried = tries::all(&setup.tries);
    let (compute, found) = match &setup.device {
        None => (Compute::on_core(kinds), None),
        Some(choice) => match device::open(choice) {
            Ok((compute, found)) => (compute, Some(found)),
            Err(reason) => return control.send(&Hello::NoDevice(reason)),
        },
    };
    let shared = Arc::new(Shared { compute, blobs: Mutex::new(BlobStore::new(BLOB_STORE_BYTES_MAX)) });
    let look = Duration::from_micros(setup.look_us.into());
    let mut running = Vec::new();
    for (number, lane) in lanes.into_iter().enumerate() {
        let now = Arc::new(Mutex::new(Running::default()));
        running.push(now.clone());
        let lane = ServingLane {
            line: FrameSocket::new(lane),
            shared: shared.clone(),
            running: now,
            look,
            window: Duration::ZERO,
        };
        thread::Builder::new().name(format!("lane-{number}")).spawn(move || lane.serve())?;
    }
    control.send(&Hello::Restricted(SandboxReport { tried, device: found }))?;
    // Ends when the worker exits, and the process with it, whatever its lanes do.
    while let Some(StopRun { lane, serial }) = control.receive(Wait::Forever)? {
        if let Some(running) = running.get(usize::from(lane)) {
            locked(running).stop(serial);
        }
    }
    Ok(())
}

/// Ignores stop signals: service managers and terminals signal all processes at once, but a draining worker lets its
/// kernels finish. This process ends when its worker exits.
fn outlive_signals() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let unheard = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, unheard.clone())?;
    }
    Ok(())
}

fn receive_setup(control: &OwnedFd) -> io::Result<(Setup, Vec<OwnedFd>)> {
    let mut bytes = vec![0; SETUP_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LANES_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(control, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let lanes = beside
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    let setup = bytes.get(..received.bytes).ok_or(ErrorKind::InvalidData)?;
    Ok((decode(setup)?, lanes))
}

/// What the lanes of a process share.
struct Shared {
    compute: Compute,
    blobs: Mutex<BlobStore>,
}

/// What a lane runs, and what it was told to stop before it began.
#[derive(Default)]
struct Running {
    serial: Option<u64>,
    stop: Stop,
    stopped: Vec<u64>,
}

impl Running {
    /// Begins a run. Its stop message comes on another socket, and may have arrived before the run, or after a first
    /// try that lacked a blob.
    fn begin(&mut self, serial: u64) -> Stop {
        if self.serial != Some(serial) {
            (self.serial, self.stop) = (Some(serial), Stop::new());
        }
        if self.stopped.contains(&serial) {
            self.stop.stop();
        }
        // Serial numbers increase, so earlier runs have ended.
        self.stopped.retain(|stopped| *stopped > serial);
        self.stop.clone()
    }

    fn stop(&mut self, serial: u64) {
        if self.serial == Some(serial) {
            self.stop.stop();
        } else if self.serial.is_none_or(|running| running < serial) {
            self.stopped.push(serial);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Ignores poisoning: no code panics while this lock is held, and the data would be consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lane of this process: a socket on which runs come one after the other.
pub(super) struct ServingLane {
    line: FrameSocket,
    shared: Arc<Shared>,
    running: Arc<Mutex<Running>>,
    /// Longest busy-poll for the next run before sleeping.
    look: Duration,
    /// Length of the next busy-poll.
    window: Duration,
}

impl ServingLane {
    /// A lane that shares its store of blobs with no other.
    pub fn alone(line: FrameSocket, compute: Compute) -> Self {
        let shared = Shared { compute, blobs: Mutex::new(BlobStore::new(BLOB_STORE_BYTES_MAX)) };
        let (look, window) = (Duration::ZERO, Duration::ZERO);
        Self { line, shared: Arc::new(shared), running: Arc::default(), look, window }
    }

    fn serve(mut self) {
        // If the socket fails, the worker is gone; the control socket ends the process.
        while self.serve_next(FrameSocket::send).is_ok() {}
    }

    /// Computes the runs of the next frame and sends the answers with `say`, as many together as one frame holds. After
    /// any error the lane is over: the other side is gone, or has sent an invalid frame.
    pub fn serve_next(
        &mut self,
        mut say: impl FnMut(&mut FrameSocket, &Vec<RunDone>) -> io::Result<()>,
    ) -> io::Result<()> {
        let tasks = self.next()?;
        let (mut answers, mut bytes) = (Vec::with_capacity(tasks.len()), 0);
        for task in tasks {
            let stop = locked(&self.running).begin(task.serial);
            let done = RunDone { serial: task.serial, result: self.shared.run(task, &stop) };
            let own_bytes = EACH_BYTES + done.result.as_ref().map_or(0, |outcome| outcome.len());
            if bytes + own_bytes > TOGETHER_BYTES_MAX && !answers.is_empty() {
                say(&mut self.line, &answers)?;
                (answers, bytes) = (Vec::new(), 0);
            }
            bytes += own_bytes;
            answers.push(done);
        }
        say(&mut self.line, &answers)
    }

    /// The next runs. A thread's wake-up takes longer than a tiny task, so while runs come in quick succession and few
    /// at a time, the lane busy-polls for the next one before it sleeps, as the worker itself does for packets.
    fn next(&mut self) -> io::Result<Vec<RunTask>> {
        let began = Instant::now();
        let looked_for = loop {
            if began.elapsed() >= self.window {
                break None;
            }
            if let Some(tasks) = self.line.receive::<Vec<RunTask>>(Wait::Not)? {
                break Some(tasks);
            }
            thread::yield_now();
        };
        let tasks = match looked_for {
            Some(tasks) => tasks,
            None => self.line.receive(Wait::Forever)?.ok_or(ErrorKind::UnexpectedEof)?,
        };
        let looks_again = began.elapsed() <= self.look && tasks.len() <= LOOKED_FOR_MAX;
        self.window = if looks_again { self.look } else { Duration::ZERO };
        Ok(tasks)
    }
}

impl Shared {
    fn run(&self, task: RunTask, stop: &Stop) -> Result<p2c2r_protocol::Payload, Failure> {
        let sent: Vec<_> = task.blobs.into_iter().map(Blob::new).collect();
        let outcome = catch_panic(|| self.compute.run(task.kind, &task.spec, &self.blobs, sent, stop));
        let outcome = outcome.unwrap_or(Err(Failure::Panicked))?;
        // The link would not carry a larger one.
        if outcome.len() > OUTCOME_BYTES_MAX {
            return Err(Failure::BadSpec);
        }
        Ok(outcome.into())
    }
}

/// The failure that the worker is told for a kernel's error.
pub(super) fn failure(error: &KernelError) -> Failure {
    match error {
        KernelError::Stopped => Failure::Stopped,
        _ => Failure::BadSpec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_holds_for_its_run_whenever_it_comes_and_however_often_that_begins() {
        let mut running = Running::default();
        running.stop(1);
        assert!(running.begin(1).is_stopped(), "it came before its run");
        assert!(!running.begin(2).is_stopped(), "it is not for the next");
        running.stop(1);
        assert!(!running.begin(5).is_stopped(), "it came when its run had ended");
        running.stop(5);
        assert!(running.begin(5).is_stopped(), "its run is sent again with a blob that it lacked");
        assert!(!running.begin(6).is_stopped());
    }
}
