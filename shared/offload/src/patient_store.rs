//! Patient tasks on disk, so that a game that was killed finds again what it has asked for.
//!
//! Each task is one file, which holds the very message that asks the coordinator for it. A file is replaced by renaming, so
//! that a killed game leaves the old one or the new one. Nothing is flushed to the disk: a power failure may lose a task,
//! which is then not asked for again.
//!
//! A separate thread writes, because a disk may take longer than many frames. Of the changes that wait for a file it
//! writes only the last. A game that is killed after it has sent a task and before the task's id is written asks for it
//! as a new one at its next start; the coordinator then delivers the same outcome, at the price of a reuse.

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
    /// Numbers of the files that are on disk, or waiting to be written.
    files: BTreeSet<u64>,
    /// `None` once the writer is to end.
    changes: Option<Sender<Change>>,
    writer: Option<JoinHandle<()>>,
    /// Released last, after the writer has ended.
    _lock: File,
}

/// A file's number and its new content; `None` removes the file.
type Change = (u64, Option<Submit>);

/// A patient task of an earlier run of the game.
pub(crate) struct FormerTask {
    /// The number of its file.
    pub file: u64,
    /// The message that asked for it.
    pub submit: Submit,
}

impl PatientStore {
    /// Opens the folder, or makes it, and reads the tasks in it, in the order in which they were asked for.
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

    /// Stores a task; returns the number of its file, or `None` if there are too many.
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

    /// Replaces the message by which a stored task is asked for.
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
        // The writer ends only after the store, so sending succeeds.
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
                // It is not there if it was never written.
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
