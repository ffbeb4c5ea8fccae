//! Why a path is not wiped, for people.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::tally::printable;

/// Why a path is not wiped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is empty.
    #[error("the path is empty")]
    Empty,
    /// It depends on the working directory.
    #[error("not an absolute path")]
    Relative,
    /// `.` or `..` in it.
    #[error("`.` and `..` are not taken: give the path as it is")]
    Dots,
    /// A NUL byte.
    #[error("a NUL byte in the path")]
    Nul,
    /// The file system's root, or a directory of the system.
    #[error("a directory of the system")]
    System,
    /// HOME of root, or a directory that it is in.
    #[error("HOME of root, or a directory above it")]
    HomeOfRoot,
    /// Removing a mount point is its owner's business.
    #[error("a mount point; it can be emptied with --keep-root")]
    MountPoint,
    /// A symlink in the path, or no directory.
    #[error("not a directory, or a symlink on the way to it: give the path that it leads to")]
    NotADirectory,
    /// It cannot be opened.
    #[error("cannot be opened: {0}")]
    Closed(String),
}

/// A path that is not wiped; none of the others was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {refusal}", printable(path.as_os_str().as_bytes()))]
pub struct Refused {
    /// The path.
    pub path: PathBuf,
    /// The reason.
    #[source]
    pub refusal: Refusal,
}
