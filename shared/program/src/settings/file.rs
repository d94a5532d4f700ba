//! Reading a configuration file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;

/// Largest configuration file that is read. Ours have some kilobytes; without a limit, a device or a log given by
/// mistake would fill the memory.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a configuration file was not taken.
#[derive(Debug, Error)]
pub enum FileError {
    /// It could not be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not valid.
    #[error("the configuration file {} is not valid: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

/// Reads a configuration file in TOML.
pub fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.into(), source };
    let invalid = |reason| FileError::Invalid { path: path.into(), reason };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(invalid(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    toml::from_str(&text).map_err(|error| invalid(error.to_string().trim_end().replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_whole_or_refused_with_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let read = || read_file::<toml::Table>(&path).map_err(|error| error.to_string());
        assert!(read().unwrap_err().contains("settings.toml"));
        std::fs::write(&path, "slots = 3\n").unwrap();
        assert_eq!(read().unwrap()["slots"].as_integer(), Some(3));
        std::fs::write(&path, "slots = = 3\n").unwrap();
        let said = read().unwrap_err();
        assert!(said.contains("settings.toml") && !said.contains('\n'), "{said}");
    }

    #[test]
    fn a_file_without_end_is_refused_before_it_fills_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("endless.toml");
        std::fs::write(&path, vec![b'\n'; FILE_BYTES_MAX as usize + 1]).unwrap();
        let said = read_file::<toml::Table>(&path).unwrap_err().to_string();
        assert!(said.contains("more than"), "{said}");
    }
}
