//! Writes signed heads to the operator's file: at start, at a fixed interval, and at the end.

use std::io::Write as _;
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
    let write = || {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
        // Written in one call, so that a reader sees a whole head or none.
        file.write_all(format!("{head}\n\n").as_bytes())?;
        file.sync_all()
    };
    match write() {
        Ok(()) => *last = Some(head),
        Err(error) => {
            tracing::error!(path = %file.display(), %error, "the ledger's head cannot be written there");
        }
    }
}
