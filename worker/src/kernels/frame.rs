//! What the worker and its kernel processes say to each other: one value a frame, one frame a datagram of a socket that
//! keeps them apart (`SOCK_SEQPACKET`), so that neither side ever reads half of one.
//!
//! A kernel process computes on untrusted data and is trusted no more than that: its frames are decoded under limits,
//! and an outcome is only bytes, which the coordinator judges.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use bincode::{Decode, Encode};
use p2c2r_protocol::limits::{BLOB_BYTES_MAX, BLOBS_PER_SPEC_MAX, OUTCOME_BYTES_MAX, SPEC_BYTES_MAX};
use p2c2r_protocol::{Device, Digest, KindId, Payload, printable, wire};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

/// Largest frame in bytes: a spec with all its blobs, or an outcome, with the fields around them. A system's default
/// for a socket's buffer is twice that.
pub(super) const FRAME_BYTES_MAX: usize = SPEC_BYTES_MAX + BLOBS_PER_SPEC_MAX * BLOB_BYTES_MAX + 4 * 1024;
const _: () = assert!(FRAME_BYTES_MAX >= OUTCOME_BYTES_MAX + 4 * 1024);

/// Bytes that the specs or outcomes of one frame may have together, each counted with [`EACH_BYTES`] more. A frame that
/// holds only one may be larger.
pub(crate) const TOGETHER_BYTES_MAX: usize = 64 * 1024;
/// Bytes that a run or its answer has in a frame beside its spec or outcome, at most.
pub(crate) const EACH_BYTES: usize = 64;
const _: () = assert!(TOGETHER_BYTES_MAX <= FRAME_BYTES_MAX);

/// Runs in one frame up to which its answer, and the next frame after it, are busy-polled for. With more, the cost of a
/// wake-up is small per run; and where there are more threads than processors, busy-polling takes a processor from the
/// other side or the senders.
pub(crate) const LOOKED_FOR_MAX: usize = 4;

/// Most characters that are shown of a sentence from a process.
const SENTENCE_CHARS_MAX: usize = 300;

/// The first frame of all: what the process is to become. Its lanes' sockets come along.
#[derive(Debug, Encode, Decode)]
pub(super) struct Setup {
    /// The text of the worker's protocol identity: a process of another build would answer what was not offered.
    pub identity: String,
    /// Which graphics processor it computes on, as [`GpuChoice`](p2c2r_tasks::gpu::GpuChoice) is written; `None`: it
    /// computes on a core.
    pub device: Option<String>,
    /// Bytes it may allocate; `None`: no limit.
    pub memory_bytes: Option<u64>,
    /// How long it busy-polls for the next task before it sleeps, in microseconds.
    pub look_us: u32,
    /// What it is to try once it is restricted.
    pub tries: Tries,
}

/// What a kernel process is to try. Paths are bytes, as the system has them.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Tries {
    /// A file that the worker itself can read, or a folder of which it can read the list.
    pub readable: Vec<u8>,
    /// A file that does not exist, in a folder in which the worker itself can make one.
    pub writable: Vec<u8>,
    /// A program that exists.
    pub program: Vec<u8>,
    /// The worker's process.
    pub worker: u32,
}

/// The answer to [`Setup`].
#[derive(Debug, Encode, Decode)]
pub(super) enum Hello {
    /// It is restricted, and has tried everything.
    Restricted(SandboxReport),
    /// It is not restricted, because the system lacks the means; the reason ends a sentence.
    Unsupported(String),
    /// It is restricted, and the graphics processor that was asked for by name cannot be had.
    NoDevice(String),
    /// It is not restricted, because it has another protocol identity: this one.
    OtherBuild(String),
}

/// The results of the tries.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct SandboxReport {
    /// What was tried, in words that end "tried to", and what came of it.
    pub tried: Vec<(String, Tried)>,
    /// The graphics processor, or why there is none; `None` where it computes on a core.
    pub device: Option<Result<GpuOffer, String>>,
}

/// The result of a try.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Tried {
    /// The system refused.
    Denied,
    /// It worked.
    Possible,
    /// It failed for another reason, which proves nothing.
    Unclear(String),
}

/// A graphics processor.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct GpuOffer {
    /// As the helper reads it.
    pub description: String,
    /// The kinds it computes, and what that counts as.
    pub kinds: Vec<(KindId, Device)>,
}

/// Sent over the control socket later: the answer to this run is not needed.
#[derive(Debug, Encode, Decode)]
pub(super) struct StopRun {
    /// On which lane.
    pub lane: u16,
    /// Which run.
    pub serial: u64,
}

/// A run, as it is sent to a lane, alone or together with others.
#[derive(Debug, Encode, Decode)]
pub(super) struct RunTask {
    /// Unique on its lane.
    pub serial: u64,
    /// What sort of work.
    pub kind: KindId,
    /// The encoded spec.
    pub spec: Payload,
    /// Blobs that the process may lack.
    pub blobs: Vec<Vec<u8>>,
}

/// The result of a run; runs that were sent together are answered together, as far as one frame holds them.
#[derive(Debug, Encode, Decode)]
pub(super) struct RunDone {
    /// Which run.
    pub serial: u64,
    /// The encoded outcome, or why there is none.
    pub result: Result<Payload, Failure>,
}

/// Why a run has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Failure {
    /// The spec does not decode, is not admitted, or its outcome is too large to be sent.
    BadSpec,
    /// The kernel panicked.
    Panicked,
    /// It was stopped.
    Stopped,
    /// These blobs were evicted: send the run again with them.
    BlobsMissing(Vec<Digest>),
    /// The graphics processor is not ready yet.
    NotReady,
    /// The graphics processor failed.
    Device(String),
    /// The graphics processor failed and is not used again by this process.
    DeviceLost(String),
}

/// How long to wait for a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Not at all.
    Not,
    /// At most so long.
    AtMost(Duration),
    /// Until there is one or the other side is gone.
    Forever,
}

/// One end of a socket pair, over which frames go both ways.
pub(super) struct FrameSocket {
    socket: OwnedFd,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl FrameSocket {
    /// Wraps a socket that is one end of a pair.
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, incoming: vec![0; FRAME_BYTES_MAX], outgoing: Vec::new() }
    }

    /// Our end of a new pair, and the socket of the other end.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self::new(ours), theirs))
    }

    /// The socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a frame. Waits for room, which there is unless the other side has stopped reading.
    pub fn send<T: Encode>(&mut self, frame: &T) -> io::Result<()> {
        self.send_with(frame, SendFlags::NOSIGNAL)
    }

    /// Sends a frame if there is room for it at once.
    pub fn send_at_once<T: Encode>(&mut self, frame: &T) -> io::Result<()> {
        self.send_with(frame, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_with<T: Encode>(&mut self, frame: &T, flags: SendFlags) -> io::Result<()> {
        self.outgoing.clear();
        wire::encode_onto(frame, &mut self.outgoing);
        rustix::io::retry_on_intr(|| send(&self.socket, &self.outgoing, flags))?;
        Ok(())
    }

    /// The next frame; `None` if there was none in time. After any error the pair is useless: the other side is gone,
    /// or has sent an invalid frame.
    pub fn receive<T: Decode<()>>(&mut self, wait: Wait) -> io::Result<Option<T>> {
        let flags = match wait {
            Wait::Not => RecvFlags::DONTWAIT,
            Wait::AtMost(time) if !self.is_readable_within(time)? => return Ok(None),
            Wait::AtMost(_) | Wait::Forever => RecvFlags::empty(),
        };
        let received = rustix::io::retry_on_intr(|| {
            recv(&self.socket, self.incoming.as_mut_slice(), flags | RecvFlags::TRUNC)
        });
        let bytes = match received {
            Ok((_, 0)) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok((_, bytes)) => bytes,
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let frame = self.incoming.get(..bytes).ok_or(ErrorKind::InvalidData)?;
        decode(frame).map(Some)
    }

    fn is_readable_within(&self, time: Duration) -> io::Result<bool> {
        let time = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let mut waited_for = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut waited_for, Some(&time)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a process says, made fit to be shown: printable and cut to the length of a sentence.
pub(super) fn sentence(said: &str) -> String {
    printable(said, SENTENCE_CHARS_MAX)
}

/// Decodes one frame.
pub(super) fn decode<T: Decode<()>>(frame: &[u8]) -> io::Result<T> {
    // Decoded values may take more memory than their bytes; the limit counts container elements at their size in
    // memory.
    wire::decode_limited::<T, { 4 * FRAME_BYTES_MAX }>(frame)
        .map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> (FrameSocket, FrameSocket) {
        let (ours, theirs) = FrameSocket::pair().unwrap();
        (ours, FrameSocket::new(theirs))
    }

    #[test]
    fn frames_come_out_one_by_one_and_the_largest_fits() {
        let (mut ours, mut theirs) = lines();
        let largest = RunTask {
            serial: u64::MAX,
            kind: KindId(1),
            spec: vec![1; SPEC_BYTES_MAX].into(),
            blobs: vec![vec![2; BLOB_BYTES_MAX]; BLOBS_PER_SPEC_MAX],
        };
        ours.send(&StopRun { lane: 1, serial: 2 }).unwrap();
        ours.send(&largest).unwrap();
        let stop: StopRun = theirs.receive(Wait::Forever).unwrap().unwrap();
        assert_eq!((stop.lane, stop.serial), (1, 2));
        let task: RunTask = theirs.receive(Wait::Forever).unwrap().unwrap();
        assert_eq!((task.spec, task.blobs), (largest.spec, largest.blobs));
        assert!(theirs.receive::<RunTask>(Wait::Not).unwrap().is_none());
        assert!(theirs.receive::<RunTask>(Wait::AtMost(Duration::ZERO)).unwrap().is_none());
    }

    #[test]
    fn what_is_no_frame_and_a_line_whose_other_end_is_gone_are_errors() {
        let (ours, mut theirs) = lines();
        send(ours.socket(), &[255; 40], SendFlags::empty()).unwrap();
        assert_eq!(theirs.receive::<RunDone>(Wait::Forever).unwrap_err().kind(), ErrorKind::InvalidData);
        send(ours.socket(), &vec![0; FRAME_BYTES_MAX + 1], SendFlags::empty()).unwrap();
        assert_eq!(theirs.receive::<RunDone>(Wait::Forever).unwrap_err().kind(), ErrorKind::InvalidData);
        drop(ours);
        assert!(theirs.receive::<RunDone>(Wait::Forever).is_err());
        assert!(theirs.send(&StopRun { lane: 0, serial: 0 }).is_err());
    }
}
