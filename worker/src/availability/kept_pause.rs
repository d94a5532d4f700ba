//! Keeps a pause over restarts: a file beside the accounts says until when it lasts, so that a worker started again by
//! its service manager or after an update does not lend what its owner has withdrawn.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use crate::control::{PAUSE_MAX, name_digits};

/// What the file says of a pause without an end.
const UNTIL_RESUMED: &str = "until resumed";

/// The file of one worker's pause.
#[derive(Debug)]
pub struct KeptPause(PathBuf);

/// A pause read from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundPause {
    /// Until the owner resumes the worker.
    UntilResumed,
    /// For this long from now on.
    For(Duration),
}

impl KeptPause {
    /// The file of the worker with this name whose accounts are in `folder`, which need not exist yet.
    pub fn in_folder(folder: &Path, name: &str) -> Self {
        Self(folder.join(format!("paused-{}", name_digits(name))))
    }

    /// The pause that holds at `now`, if there is one. A file that cannot be read counts as a pause without an end,
    /// because in doubt nothing is lent. A pause that would end more than [`PAUSE_MAX`] from now, because the clock was
    /// set back, ends then.
    pub fn find(&self, now: SystemTime) -> Option<FoundPause> {
        match fs::read_to_string(&self.0) {
            Ok(text) => match humantime::parse_rfc3339(text.trim()) {
                Ok(until) => until.duration_since(now).ok().map(|left| FoundPause::For(left.min(PAUSE_MAX))),
                Err(_) => Some(FoundPause::UntilResumed),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(FoundPause::UntilResumed),
        }
    }

    /// Writes a pause down that lasts until this time, or has no end.
    pub fn keep(&self, until: Option<SystemTime>) -> io::Result<()> {
        let text = until.map_or_else(
            || UNTIL_RESUMED.to_owned(),
            |until| humantime::format_rfc3339_seconds(until).to_string(),
        );
        fs::write(&self.0, text)
    }

    /// Removes the pause that was written down.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_found_until_it_is_over_whatever_the_clock_does() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptPause::in_folder(folder.path(), "ada");
        let noon = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        assert_eq!(kept.find(noon), None);
        kept.keep(Some(noon + Duration::from_hours(2))).unwrap();
        assert_eq!(kept.find(noon), Some(FoundPause::For(Duration::from_hours(2))));
        assert_eq!(kept.find(noon + Duration::from_hours(3)), None, "it is over");
        let long_before = noon - Duration::from_hours(24 * 400);
        assert_eq!(kept.find(long_before), Some(FoundPause::For(PAUSE_MAX)));
        assert_eq!(KeptPause::in_folder(folder.path(), "bob").find(noon), None, "another worker's");
        kept.keep(None).unwrap();
        assert_eq!(kept.find(noon + Duration::from_hours(9)), Some(FoundPause::UntilResumed));
        fs::write(&kept.0, b"\xff\xfe").unwrap();
        assert_eq!(kept.find(noon), Some(FoundPause::UntilResumed), "a damaged file lends nothing");
        kept.forget().unwrap();
        kept.forget().unwrap();
        assert_eq!(kept.find(noon), None);
    }
}
