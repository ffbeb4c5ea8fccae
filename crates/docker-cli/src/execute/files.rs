//! Private files of a call.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Creates a new file of mode 0600.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

/// Copies a file of the job, or makes a hard link to it on the same file system. A pipe is read to its end.
pub(super) fn copy_in(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // The builder opens the link with the rights of the job's file. Not every file system has links.
    if metadata.is_file()
        && fs::canonicalize(from)
            .and_then(|from| fs::hard_link(from, to))
            .is_ok()
    {
        return Ok(());
    }
    io::copy(&mut file, &mut create_private(to)?).map(drop)
}
