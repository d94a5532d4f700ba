//! The key that heads are signed with: the coordinator's own, made once, in its data folder beside the certificate's.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use p2c2r_join::AccountSecret;
use p2c2r_protocol::AccountKey;

use super::error::LedgerError;
use super::lock::with_ending;
use crate::private_file::private;

/// Name of the key in the data folder: 64 hexadecimal digits, readable for its owner only.
pub const HEAD_KEY_FILE: &str = "ledger-key";

/// Bytes read of the key file; a key has 65.
const FILE_BYTES_MAX: u64 = 1_024;

/// The key in the data folder `folder`; made if there is none. Two programs that make one at the same time get the same
/// key: each writes a temporary file and links it to the final name only if that is free. On file systems without hard
/// links each creates the final file only if there is none; a program that reads it half written fails, and can be started
/// again.
pub fn head_key(folder: &Path) -> Result<AccountSecret, LedgerError> {
    head_key_placed(folder, |partial, path| fs::hard_link(partial, path))
}

fn head_key_placed(
    folder: &Path,
    link: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<AccountSecret, LedgerError> {
    let path = folder.join(HEAD_KEY_FILE);
    if let Some(secret) = existing_head_key(folder)? {
        return Ok(secret);
    }
    let secret = AccountSecret::generate().map_err(|error| failed(&path, error.to_string()))?;
    let partial = with_ending(&path, &format!(".{}", std::process::id()));
    let text = format!("{}\n", AccountKey(secret.seed()));
    let write = || {
        write_synced(private().truncate(true).open(&partial)?, &text)?;
        match link(&partial, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(_) => create(&path, &text),
            Ok(()) => Ok(()),
        }
    };
    let written = write();
    let _ = fs::remove_file(&partial);
    written.map_err(|error| failed(&path, error.to_string()))?;
    existing_head_key(folder)?.ok_or_else(|| failed(&path, "it was made and is gone".to_owned()))
}

/// Writes the key's file, unless there is one. A file that could not be written whole is removed again.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let file = match private().create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        opened => opened?,
    };
    write_synced(file, text).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

fn write_synced(mut file: fs::File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The key in the data folder `folder`, if there is one.
pub fn existing_head_key(folder: &Path) -> Result<Option<AccountSecret>, LedgerError> {
    let path = folder.join(HEAD_KEY_FILE);
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path, error.to_string())),
        Ok(data) if data.len() > FILE_BYTES_MAX => {
            return Err(failed(&path, "it is larger than any key".to_owned()));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(&path).map_err(|error| failed(&path, error.to_string()))?;
    AccountKey::from_hex(text.trim())
        .and_then(|seed| AccountSecret::from_seed(seed.0))
        .map(Some)
        .ok_or_else(|| failed(&path, "it is not a key of 64 hexadecimal digits".to_owned()))
}

fn failed(path: &Path, reason: String) -> LedgerError {
    LedgerError::HeadKey { path: PathBuf::from(path), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_links(_: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    #[test]
    fn a_file_system_without_hard_links_gets_a_key_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let made = head_key_placed(folder.path(), no_links).unwrap();
        let found = head_key_placed(folder.path(), no_links).unwrap();
        assert_eq!((found.seed(), head_key(folder.path()).unwrap().seed()), (made.seed(), made.seed()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the temporary file is removed");
    }

    #[test]
    fn a_key_that_another_program_makes_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let other = AccountSecret::from_seed([7; 32]).unwrap();
        let link = |_: &Path, path: &Path| {
            fs::write(path, format!("{}\n", AccountKey(other.seed())))?;
            no_links(path, path)
        };
        assert_eq!(head_key_placed(folder.path(), link).unwrap().seed(), other.seed());
    }
}
