//! The key that heads are signed with: the coordinator's own, made once, in its data folder beside the certificate's.

use std::fs;
use std::io::{ErrorKind, Write as _};
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
/// key: each writes a temporary file and links it to the final name only if that is free.
pub fn head_key(folder: &Path) -> Result<AccountSecret, LedgerError> {
    let path = folder.join(HEAD_KEY_FILE);
    if let Some(secret) = existing_head_key(folder)? {
        return Ok(secret);
    }
    let secret = AccountSecret::generate().map_err(|error| failed(&path, error.to_string()))?;
    let partial = with_ending(&path, &format!(".{}", std::process::id()));
    let write = || {
        let mut file = private().truncate(true).open(&partial)?;
        writeln!(file, "{}", AccountKey(secret.seed()))?;
        file.sync_all()?;
        match fs::hard_link(&partial, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    };
    let written = write();
    let _ = fs::remove_file(&partial);
    written.map_err(|error: std::io::Error| failed(&path, error.to_string()))?;
    existing_head_key(folder)?.ok_or_else(|| failed(&path, "it was made and is gone".to_owned()))
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
