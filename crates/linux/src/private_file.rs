//! Files that only this user may read, created anew.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Creates the file `path` with the permissions `mode`, open for writing. An existing file or symlink is replaced and
/// never written through: an earlier run may have left it, or an attacker may have planted it.
///
/// # Errors
/// Those of unlink(2) other than `ENOENT`, and those of open(2) with `O_CREAT | O_EXCL`.
pub fn create(path: &Path, mode: u32) -> Result<File> {
    remove_if_present(path)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

/// Removes a file or symlink, if it exists.
///
/// # Errors
/// Those of unlink(2) other than `ENOENT`.
pub fn remove_if_present(path: &Path) -> Result<()> {
    match remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn create_replaces_a_symlink_and_leaves_its_target() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        let path = directory.path().join("file");
        std::fs::write(&target, "untouched").unwrap();
        symlink(&target, &path).unwrap();

        create(&path, 0o400).unwrap().write_all(b"new").unwrap();

        assert_eq!(std::fs::read_to_string(&target).unwrap(), "untouched");
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert!(found.is_file());
        assert_eq!(found.permissions().mode() & 0o7777, 0o400);
        assert!(remove_if_present(&path).is_ok() && remove_if_present(&path).is_ok());
    }
}
