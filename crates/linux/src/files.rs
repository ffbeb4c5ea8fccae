//! Files and names that other processes can neither read, replace nor predict.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Creates a file with `mode` and opens it for writing.
///
/// Removes a file or symlink of that name first, so that nothing is written through it. open(2), `O_EXCL`.
///
/// # Errors
/// As unlink(2) and open(2); `AlreadyExists` if another process creates the path at the same time.
pub fn private_file(path: &Path, mode: u32) -> std::io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(path)
}

/// Returns 32 hexadecimal digits that no other process can predict, random(4).
///
/// # Errors
/// As open(2) and read(2) on `/dev/urandom`.
pub fn random_name() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn private_file_replaces_a_symlink() {
        let place = tempfile::tempdir().unwrap();
        let (target, path) = (place.path().join("target"), place.path().join("file"));
        std::fs::write(&target, "untouched").unwrap();
        symlink(&target, &path).unwrap();
        let mut file = private_file(&path, 0o400).unwrap();
        file.write_all(b"content").unwrap();
        assert_eq!(std::fs::read_to_string(target).unwrap(), "untouched");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "content");
        let mode = std::fs::symlink_metadata(&path)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o400);
    }

    #[test]
    fn random_name_is_never_the_same() {
        let (first, second) = (random_name().unwrap(), random_name().unwrap());
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
    }
}
