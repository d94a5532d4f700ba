//! Patient tasks on disk, so that a game that was killed finds again what it has asked for.
//!
//! Each task is one file, which holds the very message that asks the coordinator for it. A file is replaced by renaming, so
//! that a killed game leaves the old one or the new one. Nothing is flushed to the disk: what the machine itself loses when
//! its power fails is a task that nobody asks for again, never one that is paid for twice.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use p2c2r_protocol::{GameToServer, Submit, TaskId, wire};
use tracing::warn;

/// Tasks that are remembered at the same time; further ones are only in memory.
const FILES_MAX: usize = 512;
const EXTENSION: &str = "task";
/// The id in a file of a task that has not been sent; no session has such ids.
pub(crate) const NEVER_SENT: TaskId = TaskId(0);

/// A folder of patient tasks, which one program uses at a time.
pub(crate) struct PatientStore {
    folder: PathBuf,
    _lock: File,
    next: u64,
    count: usize,
}

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
        let mut store = Self { folder: folder.to_owned(), _lock: lock, next, count: numbers.len() };
        let former = numbers.into_iter().filter_map(|file| store.read(file)).collect();
        Ok((store, former))
    }

    fn read(&mut self, file: u64) -> Option<FormerTask> {
        let path = self.path(file);
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

    fn path(&self, file: u64) -> PathBuf {
        self.folder.join(format!("{file}.{EXTENSION}"))
    }

    /// Remembers a task; the number of its file, or `None` if there are too many or it cannot be written.
    pub fn remember(&mut self, submit: Submit) -> Option<u64> {
        let file = self.next;
        if self.count >= FILES_MAX || !self.replace(file, submit) {
            return None;
        }
        self.next += 1;
        self.count += 1;
        Some(file)
    }

    /// Replaces how a task is asked for; false if that cannot be written.
    pub fn replace(&self, file: u64, submit: Submit) -> bool {
        let (path, new) = (self.path(file), self.folder.join("new"));
        let bytes = wire::encode(&GameToServer::Submit(submit));
        let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, &path));
        if let Err(error) = &written {
            warn!(path = %path.display(), %error, "a patient task is not remembered");
        }
        written.is_ok()
    }

    /// Forgets a task that has ended.
    pub fn forget(&mut self, file: u64) {
        self.count -= usize::from(fs::remove_file(self.path(file)).is_ok());
    }
}
