//! The file: a magic, the protocol identity, a header, then one frame for every event.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use bincode::{Decode, Encode};
use crossbeam_channel::{Sender, TrySendError, bounded};
use p2c2r_protocol::{Digest, Micros, PriceList, ProtocolIdentity, wire};
use thiserror::Error;
use tracing::warn;

use crate::core::Effects;
use crate::core::transcript::{Mark, RecordedEvent, fingerprints};
use crate::private_file::private;

/// What a recording begins with: its format, and the format's version.
const MAGIC: [u8; 8] = *b"p2c2rec\x04";
/// Bytes of frames that are handed to the writer at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Microseconds after which frames are handed to the writer, however few: a killed coordinator loses at most that much.
const HAND_OVER_US: u32 = 1_000_000;
/// Chunks that may wait for the disk; beyond that the recording ends and the coordinator goes on.
const CHUNKS_WAITING_MAX: usize = 256;
/// Bytes of one frame at most: several times what the largest message and its effects take.
const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why a recording cannot be written or replayed; a sentence an operator can act on.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// The file cannot be made, or read.
    #[error("the recording {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is no recording.
    #[error("{} is not a recording of this version of p2c2r-server", path.display())]
    NotARecording {
        /// The file.
        path: PathBuf,
    },
    /// The recording was made by another build.
    #[error("{} was recorded by a build with other messages or kernels than this one: replay it with that build", path.display())]
    OtherBuild {
        /// The file.
        path: PathBuf,
    },
    /// Its settings are not understood.
    #[error("the settings in the recording: {0}")]
    Settings(String),
}

/// The settings and the state that the scheduler began with.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Header {
    /// The settings, as a configuration file.
    pub settings: String,
    /// The price list, in its order, which games are told.
    pub prices: PriceList,
    /// Threads of the compute pool, and runs that may wait for one.
    pub compute: (u64, u64),
    /// The seed of the draws.
    pub seed: [u8; 32],
    /// The number of the first task.
    pub next_task: u64,
}

/// One event, when it was handled, and the fingerprints of its effects.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct RecordedFrame {
    pub(super) now: Micros,
    pub(super) event: RecordedEvent,
    pub(super) effects: Vec<u64>,
}

/// Writes a recording, on its own thread.
pub struct Recorder {
    chunks: Option<Sender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
    chunk: Vec<u8>,
    handed_over_at: Micros,
}

impl Recorder {
    /// Begins a recording in a file that is not there yet.
    pub fn begin(path: &Path, identity: &ProtocolIdentity, header: &Header) -> Result<Self, RecordingError> {
        let failed = |error| RecordingError::Io { path: path.to_owned(), error };
        let mut file = private().create_new(true).open(path).map_err(failed)?;
        let mut start = [&MAGIC[..], &fingerprint_of(identity)].concat();
        push_frame(&mut start, header);
        file.write_all(&start).map_err(failed)?;
        let (chunks, waiting) = bounded::<Vec<u8>>(CHUNKS_WAITING_MAX);
        let shown = path.display().to_string();
        let writer = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            for chunk in waiting {
                if let Err(error) = file.write_all(&chunk) {
                    warn!(file = shown, "The recording ends here: {error}");
                    return;
                }
            }
        });
        Ok(Self {
            chunks: Some(chunks),
            writer: Some(writer.map_err(failed)?),
            chunk: Vec::new(),
            handed_over_at: Micros(0),
        })
    }

    /// Whether it still records.
    pub fn is_open(&self) -> bool {
        self.chunks.is_some()
    }

    /// Records an event that was handled at `now`, and the effects that it caused: those since `mark`.
    pub fn note(&mut self, now: Micros, event: RecordedEvent, effects: &Effects, mark: Mark) {
        if self.chunks.is_none() {
            return;
        }
        push_frame(&mut self.chunk, &RecordedFrame { now, event, effects: fingerprints(effects, mark) });
        if self.chunk.len() >= CHUNK_BYTES || now.since(self.handed_over_at) >= HAND_OVER_US {
            self.handed_over_at = now;
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let Some(chunks) = &self.chunks else { return };
        match chunks.try_send(std::mem::take(&mut self.chunk)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                warn!("The recording ends here: the disk is slower than the coordinator");
                self.chunks = None;
            }
            // The writer has logged the reason.
            Err(TrySendError::Disconnected(_)) => self.chunks = None,
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.hand_over();
        self.chunks = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// A fingerprint that differs between builds with different messages or kernels.
fn fingerprint_of(identity: &ProtocolIdentity) -> [u8; 32] {
    Digest::of(identity.text.as_bytes()).0
}

fn push_frame<T: Encode>(bytes: &mut Vec<u8>, frame: &T) {
    let frame = wire::encode(frame);
    bytes.extend_from_slice(&(frame.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&frame);
}

/// A recording being read.
pub(super) struct Reader {
    file: BufReader<File>,
    path: PathBuf,
}

impl Reader {
    /// Opens a recording and reads its header.
    pub(super) fn open(path: &Path, identity: &ProtocolIdentity) -> Result<(Self, Header), RecordingError> {
        let path = path.to_owned();
        let file = File::open(&path).map_err(|error| RecordingError::Io { path: path.clone(), error })?;
        let mut reader = Self { file: BufReader::new(file), path };
        let mut start = [0; MAGIC.len() + 32];
        let is_whole = reader.fill(&mut start)?;
        let (magic, of_build) = start.split_at(MAGIC.len());
        if !is_whole || magic != MAGIC {
            return Err(RecordingError::NotARecording { path: reader.path });
        }
        if of_build != fingerprint_of(identity) {
            return Err(RecordingError::OtherBuild { path: reader.path });
        }
        match reader.next()? {
            Some(header) => Ok((reader, header)),
            None => Err(RecordingError::NotARecording { path: reader.path }),
        }
    }

    /// The next frame; `None` at the end, or where the file breaks off within a frame, as it does when the coordinator
    /// was killed.
    pub(super) fn next<T: Decode<()>>(&mut self) -> Result<Option<T>, RecordingError> {
        let mut length = [0; 4];
        if !self.fill(&mut length)? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(RecordingError::NotARecording { path: self.path.clone() });
        }
        let mut bytes = vec![0; length];
        if !self.fill(&mut bytes)? {
            return Ok(None);
        }
        // Decoded values take more memory than their bytes.
        let decoded = wire::decode_limited::<T, { 8 * FRAME_BYTES_MAX }>(&bytes);
        decoded.map(Some).map_err(|_| RecordingError::NotARecording { path: self.path.clone() })
    }

    /// Fills `bytes`; false if the file ends before.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<bool, RecordingError> {
        match self.file.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(RecordingError::Io { path: self.path.clone(), error }),
        }
    }
}
