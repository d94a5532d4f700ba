//! `backup` and `restore`: everything that brings a coordinator back, in one folder.
//!
//! Games and workers know a coordinator by its key, and it knows them by theirs: with the ledger alone, without the account
//! store and the certificate's key, nobody could connect to their accounts.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::WhichCoordinator;
use crate::config::LEDGER_FILE;
use crate::error::ServerError;
use crate::join::certificate::{CERTIFICATE_FILE, KEY_FILE};
use crate::join::store::ACCOUNTS_FILE;
use crate::join::{AccountStore, JoinError, make_data_folder};
use crate::ledger::{self, BackupReport, HEAD_KEY_FILE, LedgerError};
use crate::private_file::{folder_of, private, sync_folder};

/// Files that are copied unchanged, if they exist: with the operator's own certificate there is no key.
const KEYS: [&str; 3] = [KEY_FILE, CERTIFICATE_FILE, HEAD_KEY_FILE];

/// Where a backup is, and of which coordinator.
#[derive(Debug, Args)]
pub struct BackupFolderArgs {
    /// The backup's folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Which coordinator's.
    #[command(flatten)]
    pub which: WhichCoordinator,
}

/// Where a coordinator's files are: in its data folder, but for the ledger, which may be elsewhere.
struct Place {
    folder: PathBuf,
    ledger: PathBuf,
}

impl Place {
    fn of(which: &WhichCoordinator) -> Result<Self, ServerError> {
        let settings = which.settings()?;
        Ok(Self { folder: settings.data_dir, ledger: settings.db })
    }

    fn of_backup(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), ledger: folder.join(LEDGER_FILE) }
    }
}

/// Copies a coordinator, which may run, into a new folder that only this user can read; the answer is what to print. A backup
/// is whole, or there is none.
pub fn backup(args: &BackupFolderArgs) -> Result<String, ServerError> {
    let (from, folder) = (Place::of(&args.which)?, &args.folder);
    if !from.folder.join(ACCOUNTS_FILE).exists() {
        return Err(JoinError::NeverStarted { path: from.folder }.into());
    }
    refuse_filled(folder)?;
    if is_mount_point(folder) {
        return Err(ServerError::MountPoint { path: folder.clone() });
    }
    let failed = |error| not_placed(folder, error);
    let beside = folder_of(folder);
    // Under another name until it is whole.
    let partial = tempfile::Builder::new().prefix(".p2c2r-backup-").tempdir_in(beside).map_err(failed)?;
    let made = partial.path().join("made");
    make_data_folder(&made)?;
    let check = copy(&from, &Place::of_backup(&made))?.check;
    sync_folder(&made).and_then(|()| fs::rename(&made, folder)).map_err(failed)?;
    sync_folder(beside).map_err(failed)?;
    let folder = folder.display();
    Ok(format!(
        "{check}\nLedger, accounts and keys are in {folder}: whoever can read it can pass for this coordinator."
    ))
}

/// Puts a backup into an empty data folder, and its ledger where the settings say; the answer is what to print.
pub fn restore(args: &BackupFolderArgs) -> Result<String, ServerError> {
    let (from, to) = (Place::of_backup(&args.folder), Place::of(&args.which)?);
    for missing in [LEDGER_FILE, ACCOUNTS_FILE] {
        if !args.folder.join(missing).is_file() {
            return Err(ServerError::NoBackup { path: args.folder.clone(), missing });
        }
    }
    refuse_filled(&to.folder)?;
    if to.ledger.exists() {
        return Err(LedgerError::Exists { path: to.ledger }.into());
    }
    make_data_folder(&to.folder)?;
    let copied = copy(&from, &to);
    if copied.is_err() {
        // All of these were made just now.
        let names = [&[ACCOUNTS_FILE][..], &KEYS].concat();
        for made in names.iter().map(|name| to.folder.join(name)).chain([to.ledger.clone()]) {
            let _ = fs::remove_file(made);
        }
    }
    let check = copied?.check;
    sync_folder(&to.folder).map_err(|error| at(&to.folder, error))?;
    let folder = to.folder.display();
    Ok(format!(
        "{check}\nRestored into {folder}. Record again what workers were paid since the backup, and start the coordinator."
    ))
}

/// Copies everything; none of the files may exist at `to` yet.
///
/// The ledger is copied first: an account that only the store knows is opened in the ledger when its owner connects, whereas
/// the owner of an account that only the ledger knows could not connect.
fn copy(from: &Place, to: &Place) -> Result<BackupReport, ServerError> {
    let report = ledger::backup(&from.ledger, &to.ledger)?;
    AccountStore::copy(&from.folder, &to.folder)?;
    for name in KEYS {
        copy_key(&from.folder.join(name), &to.folder.join(name))?;
    }
    Ok(report)
}

/// Copies a small file, readable for this user only, if it is there.
fn copy_key(from: &Path, to: &Path) -> Result<(), ServerError> {
    let bytes = match fs::read(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|error| at(from, error))?,
    };
    let write = || {
        let mut file = private().create_new(true).open(to)?;
        file.write_all(&bytes)?;
        file.sync_all()
    };
    write().map_err(|error| at(to, error))
}

/// Refuses a folder with something in it; one that is not there will be made.
fn refuse_filled(path: &Path) -> Result<(), ServerError> {
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ServerError::FolderInUse { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(path, error)),
    }
}

/// Whether another file system is mounted at the folder, as far as its device tells; a part of the same one that is mounted
/// there is only found by renaming.
fn is_mount_point(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let device = |path: &Path| path.metadata().ok().map(|data| data.dev());
        device(folder).is_some_and(|own| device(folder_of(folder)).is_some_and(|beside| beside != own))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        false
    }
}

/// Why a backup could not be made at `folder`.
fn not_placed(folder: &Path, error: std::io::Error) -> ServerError {
    if error.kind() == ErrorKind::ResourceBusy {
        return ServerError::MountPoint { path: folder.to_owned() };
    }
    at(folder, error)
}

fn at(path: &Path, error: std::io::Error) -> ServerError {
    JoinError::File { path: path.to_owned(), error }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_named_with_what_to_do() {
        let busy = not_placed(Path::new("/mnt/stick"), ErrorKind::ResourceBusy.into()).to_string();
        assert!(busy.contains("is a mount point") && busy.contains("/mnt/stick/backup"), "{busy}");
        let other = not_placed(Path::new("/mnt/stick"), ErrorKind::PermissionDenied.into()).to_string();
        assert!(!other.contains("mount point"), "{other}");
    }

    #[test]
    fn an_ordinary_folder_is_no_mount_point() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        assert!(!is_mount_point(&inner), "it is not there yet");
        fs::create_dir(&inner).unwrap();
        assert!(!is_mount_point(&inner));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn another_file_system_is_found_where_it_is_mounted() {
        assert!(is_mount_point(Path::new("/proc")));
    }
}
