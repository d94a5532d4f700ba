//! Files that only the user of the program may read.

use std::fs::OpenOptions;

/// Options that open such a file for reading and writing, and create it if there is none.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
