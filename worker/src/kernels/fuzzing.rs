//! For fuzz targets and tests: a station and a graphics processor whose kernel process is a script, and a kernel
//! process's lane whose worker is one. The other side of each socket is the program's real code. All of it runs on one
//! thread and never waits, so that an input takes no longer than its work.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use p2c2r_protocol::{AttemptFailure, Device, KindId, Payload, wire};
use p2c2r_tasks::gpu::GpuChoice;
use p2c2r_tasks::reflection::Reflection;
use p2c2r_tasks::{KindRegistry, TaskKind as _};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::Sandbox;
use super::device::Compute;
use super::frame::{
    FRAME_BYTES_MAX, Failure, FrameSocket, Hello, RunDone, RunTask, SandboxReport, Setup, StopRun, Tried,
    Tries, Wait, decode,
};
use super::graphics::Graphics;
use super::lane::Lane;
use super::launch::{LaunchPlan, Launched, Process, TRIES};
use super::process::ServingLane;
use super::station::{Begun, Station};
use crate::error::KernelsError;
use crate::executor::Run;
use crate::share::Share;

/// The process of every script: it has ended, so that nothing waits for it.
static ENDED: LazyLock<Arc<Mutex<Child>>> = LazyLock::new(|| {
    let mut child = Command::new("true").stdin(Stdio::null()).spawn().expect("every system has `true`");
    child.wait().expect("it is a child of ours");
    Arc::new(Mutex::new(child))
});

/// A station, and the script's end of its process's sockets.
pub struct ScriptedStation {
    station: Station,
    begun: VecDeque<(Run, Begun)>,
    /// Runs that were answered so far, which is the serial number of the next.
    answered: u64,
    lane: OwnedFd,
    control: OwnedFd,
}

/// A run, and what came of it.
pub type EndedRun = (Run, Result<Payload, AttemptFailure>);

impl ScriptedStation {
    /// A station whose process has said `hello`, or what an honest one says if that is `None`.
    pub fn open(hello: Option<&[u8]>) -> Result<Self, KernelsError> {
        let (ours, control) = FrameSocket::pair().map_err(KernelsError::Start)?;
        let (line, lane) = FrameSocket::pair().map_err(KernelsError::Start)?;
        say(&control, hello.unwrap_or(&honest_hello()));
        let launched = Launched {
            process: Process::ended(ENDED.clone(), ours),
            lanes: vec![line],
            writable: PathBuf::from("/dev/null/not-there"),
            identity: "".into(),
        };
        let station = Station::of(plan(), launched.admit()?);
        Ok(Self { station, begun: VecDeque::new(), answered: 0, lane, control })
    }

    /// The process says this on its lane; whether it is a frame.
    pub fn says(&self, frame: &[u8]) -> bool {
        say(&self.lane, frame);
        decode::<Vec<RunDone>>(frame).is_ok()
    }

    /// The process answers the next `count` runs, in the order in which they were sent, with these bytes, or with one of
    /// the reasons why there is no outcome. It may answer more than were sent.
    pub fn answers(&mut self, count: u64, result: Result<&[u8], u8>) {
        let result = result.map(|outcome| outcome.to_vec().into()).map_err(|reason| match reason % 7 {
            0 => Failure::BadSpec,
            1 => Failure::Panicked,
            2 => Failure::Stopped,
            3 => Failure::BlobsMissing(Vec::new()),
            4 => Failure::NotReady,
            5 => Failure::Device("busy".to_owned()),
            _ => Failure::DeviceLost("lost".to_owned()),
        });
        let done =
            (self.answered..self.answered + count).map(|serial| RunDone { serial, result: result.clone() });
        self.says(&wire::encode(&done.collect::<Vec<_>>()));
        self.answered += count;
    }

    /// From here on the process answers the last `count` runs once more.
    pub fn answers_again(&mut self, count: u64) {
        self.answered = self.answered.saturating_sub(count);
    }

    /// The process takes the next frame from each of its sockets.
    pub fn hears(&self) {
        for socket in [&self.lane, &self.control] {
            let _ = recv(socket, &mut [0; 16][..], RecvFlags::DONTWAIT | RecvFlags::TRUNC);
        }
    }

    /// Begins a run, once those before it have ended; false if the process is gone.
    pub fn begin(&mut self, run: Run) -> bool {
        let Some(begun) = self.station.begin(&run) else { return false };
        self.begun.push_back((run, begun));
        true
    }

    /// Begins runs together, whose blobs the process has; false if it is gone.
    pub fn begin_together(&mut self, runs: Vec<Run>) -> bool {
        let Some(begun) = self.station.begin_together(runs.iter()) else { return false };
        self.begun.extend(runs.into_iter().zip(begun));
        true
    }

    /// Whether the process is known to have the blobs of a run.
    pub fn knows(&self, run: &Run) -> bool {
        self.station.knows(&run.blobs)
    }

    /// Runs that were begun and have not ended.
    pub fn under_way(&self) -> usize {
        self.begun.len()
    }

    /// Cancels the first run that is under way.
    pub fn cancel(&self) {
        if let Some((run, begun)) = self.begun.front() {
            self.station.stop_with(run, begun);
            run.cancel.cancel();
        }
    }

    /// The first run that is under way, if it has ended.
    pub fn look(&mut self) -> Option<EndedRun> {
        let (run, begun) = self.begun.front_mut()?;
        let result = self.station.look(begun, run, Wait::Not)?;
        self.begun.pop_front().map(|(run, _)| (run, result))
    }

    /// The process closes its sockets, and the runs that are under way end.
    pub fn close(self) -> Vec<EndedRun> {
        let Self { mut station, begun, lane, control, .. } = self;
        drop((lane, control));
        let finish = |(run, mut begun): (Run, Begun)| {
            let result = station.finish(&mut begun, &run);
            (run, result)
        };
        begun.into_iter().map(finish).collect()
    }
}

/// A graphics processor that computes mirrors, and the script's ends of its lanes.
pub struct ScriptedGraphics {
    graphics: Graphics,
    _lanes: Vec<OwnedFd>,
}

impl ScriptedGraphics {
    /// One that has no idle lane.
    pub fn busy() -> Self {
        Self::with(0, Vec::new(), Vec::new())
    }

    /// One that is lost while it computes its first run.
    pub fn that_is_lost() -> io::Result<Self> {
        let process = Arc::new(Process::ended(ENDED.clone(), FrameSocket::pair()?.0));
        let (line, lane) = FrameSocket::pair()?;
        let result = Err(Failure::DeviceLost("it was lost".to_owned()));
        say(&lane, &wire::encode(&vec![RunDone { serial: 0, result }]));
        Ok(Self::with(process.id(), vec![Lane::new(line, 0, process)], vec![lane]))
    }

    fn with(process: u32, lanes: Vec<Lane>, theirs: Vec<OwnedFd>) -> Self {
        let kinds = vec![(Reflection::ID, Device::Graphics)];
        Self { graphics: Graphics::new(plan(), kinds, process, lanes), _lanes: theirs }
    }

    /// Computes a run; `None` if a core must.
    pub fn compute(&self, run: &Run) -> Option<Result<Payload, AttemptFailure>> {
        self.graphics.compute(run)
    }

    /// What computing this kind there counts as now.
    pub fn device(&self, kind: KindId) -> Option<Device> {
        self.graphics.device(kind)
    }
}

/// What an honest process says first.
pub fn honest_hello() -> Vec<u8> {
    wire::encode(&Hello::Restricted(SandboxReport {
        tried: vec![("do nothing".to_owned(), Tried::Denied); TRIES],
        device: None,
    }))
}

/// How a process would be started. No script starts one.
fn plan() -> LaunchPlan {
    let sandbox = Sandbox {
        program: "true".into(),
        arguments: Vec::new(),
        memory_bytes: 1,
        gpu: GpuChoice::Off,
        gpu_share: Share::ALL,
        private: PathBuf::new(),
        look: Duration::ZERO,
    };
    LaunchPlan { sandbox: Arc::new(sandbox), identity: "".into(), device: None, lanes: 1 }
}

/// Sends a frame, unless the socket is full or closed.
fn say(socket: &OwnedFd, frame: &[u8]) {
    let _ = send(socket, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// A run as a worker sends it: number, kind, encoded spec, blobs.
pub type SentTask = (u64, KindId, Vec<u8>, Vec<Vec<u8>>);

/// The frame in which a worker sends these runs.
pub fn frame_of(tasks: Vec<SentTask>) -> Vec<u8> {
    let tasks = tasks.into_iter().map(|(serial, kind, spec, blobs)| RunTask {
        serial,
        kind,
        spec: spec.into(),
        blobs,
    });
    wire::encode(&tasks.collect::<Vec<_>>())
}

/// The runs in a frame, if it is one.
pub fn tasks_in(frame: &[u8]) -> Option<Vec<SentTask>> {
    let tasks = decode::<Vec<RunTask>>(frame).ok().filter(|_| frame.len() <= FRAME_BYTES_MAX)?;
    let task = |task: RunTask| (task.serial, task.kind, task.spec.to_vec(), task.blobs);
    Some(tasks.into_iter().map(task).collect())
}

/// What a lane of a kernel process answers to these frames, one after the other, of which none must be empty: the
/// numbers of the runs, and how many bytes each outcome has, if there is one. The lane ends at the first that is no frame.
pub fn lane_answers(frames: &[Vec<u8>]) -> Vec<(u64, Option<usize>)> {
    let (line, theirs) = FrameSocket::pair().expect("a pair of sockets");
    let mut lane = ServingLane::alone(line, Compute::on_core(&KindRegistry::builtin()));
    let mut answered = Vec::new();
    for frame in frames {
        // There is room: the lane has read every frame before.
        if send(&theirs, frame, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_err() {
            break;
        }
        // The answers do not go through the socket, where many of them would wait for room.
        let served = lane.serve_next(|_, answers| {
            let read: Vec<RunDone> = decode(&wire::encode(answers))?;
            answered.extend(
                read.into_iter().map(|done| (done.serial, done.result.ok().map(|bytes| bytes.len()))),
            );
            Ok(())
        });
        if served.is_err() {
            break;
        }
    }
    answered
}

/// Whether these bytes are what a kernel process is sent on its first socket: its setup, or a stop.
pub fn is_control_frame(bytes: &[u8]) -> bool {
    decode::<Setup>(bytes).is_ok() | decode::<StopRun>(bytes).is_ok()
}

/// A valid setup and a valid stop.
pub fn honest_control_frames() -> [Vec<u8>; 2] {
    let tries = Tries { readable: vec![b'/'], writable: vec![b'/'], program: vec![b'/'], worker: 1 };
    let (identity, device) = ("p2c2r".to_owned(), Some("any".to_owned()));
    let setup = Setup { identity, device, memory_bytes: Some(1), look_us: 1, tries };
    [wire::encode(&setup), wire::encode(&StopRun { lane: 0, serial: 1 })]
}
