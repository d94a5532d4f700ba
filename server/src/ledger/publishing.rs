//! Writes signed heads to the operator's file: at start, at a fixed interval, and at the end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use p2c2r_join::AccountSecret;

use super::error::LedgerError;
use super::heads::{self, SignedHead};

/// Adds heads to a file until it is dropped. Nothing waits for it except dropping it; if a head cannot be written, it
/// logs the error and tries again at the next interval.
pub struct HeadPublisher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HeadPublisher {
    /// Adds a head of the ledger at `ledger` to the end of `file` now and every `every`, if anything was recorded since.
    pub fn start(
        ledger: PathBuf,
        file: PathBuf,
        every: Duration,
        secret: AccountSecret,
    ) -> Result<Self, LedgerError> {
        let (stop, stopped) = channel::<()>();
        let publish = move || {
            let mut last = None;
            loop {
                publish_once(&ledger, &file, &secret, &mut last);
                if !matches!(stopped.recv_timeout(every), Err(RecvTimeoutError::Timeout)) {
                    break;
                }
            }
            publish_once(&ledger, &file, &secret, &mut last);
        };
        let thread = std::thread::Builder::new()
            .name("heads".to_owned())
            .spawn(publish)
            .map_err(|error| LedgerError::Thread(error.to_string()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for HeadPublisher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that publishes the ledger's heads panicked");
        }
    }
}

fn publish_once(ledger: &Path, file: &Path, secret: &AccountSecret, last: &mut Option<SignedHead>) {
    let head = match heads::head(ledger, secret) {
        Ok(head) => head,
        // Nothing to sign yet.
        Err(LedgerError::NothingRecorded { .. }) => return,
        Err(error) => {
            tracing::error!(%error, "the ledger's head cannot be read");
            return;
        }
    };
    if last.as_ref() == Some(&head) {
        return;
    }
    match add(file, &head) {
        Ok(()) => *last = Some(head),
        Err(error) => {
            tracing::error!(path = %file.display(), %error, "the ledger's head cannot be written there");
        }
    }
}

/// Adds a head to the end of the file, after cutting off one of which only the beginning is there. If the head cannot be
/// written, the file is as long as before.
fn add(path: &Path, head: &SignedHead) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    cut_incomplete(path)?;
    let before = file.metadata()?.len();
    // Written in one call, so that a reader sees a whole head or none.
    let written = file.write_all(format!("{head}\n\n").as_bytes()).and_then(|()| file.sync_all());
    written.inspect_err(|_| {
        let _ = cut(path, before);
    })
}

/// Bytes at the end of the file in which an incomplete head is looked for; a head has about 600.
const TAIL_BYTES: u64 = 8_192;

/// Cuts off a last head of which only the beginning is there, because power failed while it was written: other heads behind
/// it would make it damage in the middle of the file.
fn cut_incomplete(path: &Path) -> io::Result<()> {
    if !path.metadata()?.is_file() {
        return Ok(());
    }
    // A file that may be written and not read is added to all the same.
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    // An incomplete head is plain ASCII, so its bytes are counted from the end. Anything else is damage, and left alone.
    let Some(start) = heads::incomplete_at(&tail).filter(|start| tail[*start..].is_ascii()) else {
        return Ok(());
    };
    tracing::warn!(path = %path.display(), "the last head was only written in part, and is removed");
    cut(path, length.saturating_sub((tail.len() - start) as u64))
}

/// Through a handle of its own, because a file opened for appending cannot be cut on every system.
fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use p2c2r_protocol::Nanos;

    use super::*;
    use crate::ledger::{Head, Link};

    fn head(group: i64) -> SignedHead {
        let link = Link { group, hash: [1; 32] };
        let (at_ms, accounts, tasks, given) = (1_800_000_000_000, 1, 2, Nanos(3));
        let head = Head { newest: link, at_ms, landmark: link, accounts, tasks, given };
        head.sign(&AccountSecret::from_seed([7; 32]).unwrap())
    }

    #[test]
    fn a_head_that_was_cut_short_anywhere_is_replaced_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads.txt");
        let (first, cut_short, next) = (head(1), head(2).to_string(), head(3));
        for end in (0..cut_short.len()).step_by(17) {
            for zeros in ["", "\0\0\0"] {
                fs::write(&path, format!("{first}\n\n{}{zeros}", &cut_short[..end])).unwrap();
                add(&path, &next).unwrap();
                let read = heads::read_heads(&fs::read_to_string(&path).unwrap());
                assert_eq!(read.unwrap().heads, [first.clone(), next.clone()], "cut after {end}");
            }
        }
    }

    #[test]
    fn other_text_at_the_end_of_the_file_is_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads.txt");
        for kept in [
            "a note\n".to_owned(),
            format!("{}\n\n", head(1)),
            head(1).to_string().replace("tasks 2", "tasks x"),
        ] {
            fs::write(&path, &kept).unwrap();
            add(&path, &head(2)).unwrap();
            assert!(fs::read_to_string(&path).unwrap().starts_with(&kept), "{kept}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        assert!(add(Path::new("/dev/full"), &head(1)).is_err());
    }
}
