//! Patient tasks on disk, so that a game that was killed finds again what it has asked for.
//!
//! Each task is one file, which holds the very message that asks the coordinator for it. A file is replaced by renaming, so
//! that a killed game leaves the old one or the new one. Nothing is flushed to the disk: what the machine itself loses when
//! its power fails is a task that nobody asks for again.
//!
//! A thread of its own writes, because a disk may take as long as many frames. Of the changes that wait for it, it writes
//! the last of each file. A game that is killed between sending a task and the writing of its id asks for it as a new one,
//! which the coordinator gives the same outcome, at the price of a reuse.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use p2c2r_protocol::{GameToServer, Submit, TaskId, wire};
use tracing::warn;

/// Tasks that are remembered at the same time; further ones are only in memory.
const FILES_MAX: usize = 512;
const EXTENSION: &str = "task";
/// The id in a file of a task that has not been sent; no session has such ids.
pub(crate) const NEVER_SENT: TaskId = TaskId(0);

/// A folder of patient tasks, which one program uses at a time. Dropped, it waits until everything is written.
pub(crate) struct PatientStore {
    next: u64,
    /// Those that are on disk, or will be.
    files: BTreeSet<u64>,
    /// `None` once the writer is to end.
    changes: Option<Sender<Change>>,
    writer: Option<JoinHandle<()>>,
    /// Released last, after the writer has ended.
    _lock: File,
}

/// What a file becomes: a task, or nothing.
type Change = (u64, Option<Submit>);

/// A task that was asked for before the game was started last.
pub(crate) struct FormerTask {
    /// The number of its file.
    pub file: u64,
    /// How it was asked for.
    pub submit: Submit,
}

impl PatientStore {
    /// Opens the folder, which is made if it is not there, and reads what is in it, in the order in which it was asked for.
    /// Fails if another program uses the folder.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<FormerTask>)> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock()?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && let Some(number) = name.and_then(|name| name.parse().ok())
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        let next = numbers.last().map_or(1, |last: &u64| last.saturating_add(1));
        let (changes, to_write) = unbounded();
        let at = folder.to_owned();
        let writer =
            thread::Builder::new().name("patient tasks".into()).spawn(move || write(&at, &to_write))?;
        let files = numbers.iter().copied().collect();
        let mut store = Self { next, files, changes: Some(changes), writer: Some(writer), _lock: lock };
        let former = numbers.into_iter().filter_map(|file| store.read(folder, file)).collect();
        Ok((store, former))
    }

    fn read(&mut self, folder: &Path, file: u64) -> Option<FormerTask> {
        let path = path(folder, file);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                warn!(path = %path.display(), %error, "a patient task cannot be read: left for the next start");
                return None;
            }
        };
        if let Ok(GameToServer::Submit(submit)) = wire::decode_message(&bytes) {
            return Some(FormerTask { file, submit });
        }
        warn!(path = %path.display(), "not a patient task: removed");
        self.forget(file);
        None
    }

    /// Remembers a task; the number of its file, or `None` if there are too many.
    pub fn remember(&mut self, submit: Submit) -> Option<u64> {
        if self.files.len() >= FILES_MAX {
            return None;
        }
        let file = self.next;
        self.next += 1;
        self.files.insert(file);
        self.change((file, Some(submit)));
        Some(file)
    }

    /// Replaces how a task that is remembered is asked for.
    pub fn replace(&self, file: u64, submit: Submit) {
        self.change((file, Some(submit)));
    }

    /// Forgets a task that has ended.
    pub fn forget(&mut self, file: u64) {
        if self.files.remove(&file) {
            self.change((file, None));
        }
    }

    fn change(&self, change: Change) {
        // The writer ends after the store only.
        let _ = self.changes.as_ref().map(|changes| changes.send(change));
    }
}

impl Drop for PatientStore {
    fn drop(&mut self) {
        self.changes = None;
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

fn path(folder: &Path, file: u64) -> PathBuf {
    folder.join(format!("{file}.{EXTENSION}"))
}

/// Writes what changes until the store is dropped.
fn write(folder: &Path, changes: &Receiver<Change>) {
    while let Ok(first) = changes.recv() {
        let last_of_each: BTreeMap<_, _> = std::iter::once(first).chain(changes.try_iter()).collect();
        for (file, submit) in last_of_each {
            let path = path(folder, file);
            let Some(submit) = submit else {
                // One that was never written is not there.
                let _ = fs::remove_file(&path);
                continue;
            };
            let new = folder.join("new");
            let bytes = wire::encode(&GameToServer::Submit(submit));
            if let Err(error) = fs::write(&new, bytes).and_then(|()| fs::rename(&new, &path)) {
                warn!(path = %path.display(), %error, "a patient task is not remembered");
            }
        }
    }
}
