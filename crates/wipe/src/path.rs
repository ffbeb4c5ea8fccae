//! Decides by the text of a path whether it may be wiped, before anything is opened.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::progress::printable;
use linux::passwd;

/// The reason why a path is not wiped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The path is empty.
    #[error("the path is empty")]
    Empty,
    /// The path depends on the working directory.
    #[error("not an absolute path: begin it with `/`")]
    Relative,
    /// The path contains `.` or `..`.
    #[error("`.` and `..` are not accepted: give the path without them")]
    Dots,
    /// The path contains a NUL byte.
    #[error("a NUL byte in the path")]
    Nul,
    /// The path is `/` or another directory of the system.
    #[error("a directory of the system")]
    System,
    /// The path is the home directory of root, or a directory above it.
    #[error("HOME of root, or a directory above it")]
    HomeOfRoot,
    /// The path is a mount point, which only its owner may remove.
    #[error("a mount point cannot be removed: empty it with --keep-root")]
    MountPoint,
    /// The path contains a symlink, or is no directory.
    #[error("not a directory, or a symlink is on the way to it: give the path without symlinks")]
    NotADirectory,
    /// The path cannot be opened. It has the name of the error, errno(3).
    #[error("cannot be opened: {0}")]
    Closed(String),
}

/// A path that is refused. If one path is refused, no path is wiped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {refusal}", printable(path.as_os_str().as_bytes()))]
pub struct RefusedPath {
    /// The path.
    pub path: PathBuf,
    /// The reason.
    #[source]
    pub refusal: Refusal,
}

/// Directories that contain nothing of a job at any depth.
pub(super) const SYSTEM_TREES: [&str; 13] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/proc",
    "/sbin", "/sys", "/usr",
];

/// Exceptions: file systems in memory that jobs write to. They outlive the container within its pod.
pub(super) const SHARED_MEMORY: [&str; 2] = ["/dev/shm", "/dev/mqueue"];

/// Directories of the system that may contain a directory of a job.
pub(super) const SYSTEM_DIRECTORIES: [&str; 16] = [
    "/",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/run/user",
    "/snap",
    "/srv",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/spool",
];

/// Returns the normalized path if it may be wiped.
///
/// # Errors
/// Returns the [`Refusal`] otherwise.
pub(super) fn accept(path: &Path) -> Result<PathBuf, Refusal> {
    let clean = normalize(path)?;
    let in_system = SYSTEM_TREES
        .iter()
        .any(|tree| lies_in(&clean, Path::new(tree)));
    let shared_memory = SHARED_MEMORY
        .iter()
        .any(|tree| lies_in(&clean, Path::new(tree)));
    let system = SYSTEM_DIRECTORIES
        .iter()
        .any(|name| clean.as_os_str() == *name);
    if system || (in_system && !shared_memory) {
        return Err(Refusal::System);
    }
    match home_of_root() {
        Some(home) if home.starts_with(&clean) => Err(Refusal::HomeOfRoot),
        _ => Ok(clean),
    }
}

/// Returns the path without doubled and trailing slashes. It names the same file.
///
/// # Errors
/// Returns the [`Refusal`] of a path that is not absolute, or contains dots or NUL.
pub(super) fn normalize(path: &Path) -> Result<PathBuf, Refusal> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    if bytes[0] != b'/' {
        return Err(Refusal::Relative);
    }
    if bytes.contains(&0) {
        return Err(Refusal::Nul);
    }
    let mut clean = PathBuf::with_capacity(bytes.len());
    clean.push("/");
    for name in bytes.split(|&byte| byte == b'/') {
        match name {
            b"" => {}
            b"." | b".." => return Err(Refusal::Dots),
            name => clean.push(OsStr::from_bytes(name)),
        }
    }
    Ok(clean)
}

/// Normalizes several paths. A path that cannot be normalized stays as it is and is refused later.
pub(super) fn normalize_all(paths: &[PathBuf]) -> Vec<PathBuf> {
    let normalize_all = |path: &PathBuf| normalize(path).unwrap_or_else(|_| path.clone());
    paths.iter().map(normalize_all).collect()
}

/// Returns whether `path` is `root` or lies beneath it.
///
/// Both are normalized. It is much faster to compare their bytes than their components.
pub(super) fn lies_in(path: &Path, root: &Path) -> bool {
    let (path, root) = (path.as_os_str().as_bytes(), root.as_os_str().as_bytes());
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || root.ends_with(b"/"))
}

/// Returns the roots that lie in no other one.
pub(super) fn outermost(roots: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    roots
        .iter()
        .enumerate()
        .filter(|(at, root)| {
            let mut others = roots.iter().enumerate().filter(|(other, _)| other != at);
            !others.any(|(other, outer)| lies_in(root, outer) && (root != &outer || other < *at))
        })
        .map(|(_, root)| root)
}

/// Returns the home directory of root from the user database, which is read once.
pub(super) fn home_of_root() -> Option<&'static PathBuf> {
    static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let root = passwd::user(0)?;
        // Some images give root the home `/`. It is refused anyway, and would be above every path.
        (root.home != Path::new("/")).then_some(root.home)
    };
    HOME.get_or_init(find).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: impl AsRef<OsStr>) -> Refusal {
        accept(Path::new(path.as_ref())).unwrap_err()
    }

    #[test]
    fn lies_in_compares_whole_names() {
        let lies_in = |path: &str, root: &str| lies_in(Path::new(path), Path::new(root));
        assert!(lies_in("/a/b", "/a") && lies_in("/a", "/a") && lies_in("/a", "/"));
        assert!(!lies_in("/ab", "/a") && !lies_in("/a", "/a/b"));
    }

    #[test]
    fn accept_rejects_relative_paths_dots_and_nul() {
        assert_eq!(refusal(""), Refusal::Empty);
        for path in [".", "workspace", "./workspace", "../workspace", "~"] {
            assert_eq!(refusal(path), Refusal::Relative, "{path}");
        }
        for path in ["/a/..", "/a/../b", "/./a", "/..", "/a/."] {
            assert_eq!(refusal(path), Refusal::Dots, "{path}");
        }
        assert_eq!(refusal(OsStr::from_bytes(b"/a\0b")), Refusal::Nul);
    }

    #[test]
    fn accept_rejects_the_system_with_extra_slashes() {
        for path in [
            "/",
            "//",
            "///",
            "/usr",
            "/usr/",
            "//usr//lib",
            "/etc/ssl",
            "/home",
            "/var/lib/",
            "/proc/self/root",
            "/sys/fs/cgroup",
            "/dev",
            "/dev/pts",
            "/run",
            "/opt",
        ] {
            assert_eq!(refusal(path), Refusal::System, "{path}");
        }
        assert!(matches!(
            refusal("/root"),
            Refusal::System | Refusal::HomeOfRoot
        ));
    }

    #[test]
    fn accept_takes_a_jobs_directories() {
        for (path, clean) in [
            ("/workspace", "/workspace"),
            ("//workspace//home/", "/workspace/home"),
            ("/home/runner", "/home/runner"),
            ("/tmp", "/tmp"),
            ("/dev/shm", "/dev/shm"),
            ("/dev/shm/x", "/dev/shm/x"),
            ("/dev/mqueue", "/dev/mqueue"),
            ("/run/supervisor", "/run/supervisor"),
            ("/usrlocal", "/usrlocal"),
            ("/...", "/..."),
        ] {
            assert_eq!(accept(Path::new(path)), Ok(PathBuf::from(clean)), "{path}");
        }
    }
}
