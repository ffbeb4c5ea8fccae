//! Which paths may be wiped at all, judged by their text before anything is opened.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::progress::printable;
use linux::passwd;

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
pub struct RefusedPath {
    /// The path.
    pub path: PathBuf,
    /// The reason.
    #[source]
    pub refusal: Refusal,
}

/// Nothing in these belongs to a job, at any depth.
pub(super) const SYSTEM_TREES: [&str; 13] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/proc",
    "/sbin", "/sys", "/usr",
];

/// The exceptions: file systems in memory that jobs write to, and that outlive the container within its pod.
pub(super) const SHARED_MEMORY: [&str; 2] = ["/dev/shm", "/dev/mqueue"];

/// These hold what others put there; a directory inside may be a job's.
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

/// The same path without doubled or trailing slashes, if it may be wiped.
///
/// # Errors
/// The [`Refusal`] otherwise.
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

/// The path's components put together again; nothing in it is guessed away.
///
/// # Errors
/// The [`Refusal`] of what is no absolute path, or has dots in it.
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

/// Several, normalize_all as far as they can be; those that cannot are refused later.
pub(super) fn normalize_all(paths: &[PathBuf]) -> Vec<PathBuf> {
    let normalize_all = |path: &PathBuf| normalize(path).unwrap_or_else(|_| path.clone());
    paths.iter().map(normalize_all).collect()
}

/// Whether `path` is `root` or lies beneath it. Both are clean, so that bytes tell, many times sooner than
/// a comparison name by name.
pub(super) fn lies_in(path: &Path, root: &Path) -> bool {
    let (path, root) = (path.as_os_str().as_bytes(), root.as_os_str().as_bytes());
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/' || root.ends_with(b"/"))
}

/// The roots that lie in no other.
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

/// What the user database says, asked for once.
pub(super) fn home_of_root() -> Option<&'static PathBuf> {
    static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let root = passwd::user(0)?;
        // Some images give root the home `/`, which is refused anyway and would refuse nothing else.
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
    fn only_whole_names_count() {
        let lies_in = |path: &str, root: &str| lies_in(Path::new(path), Path::new(root));
        assert!(lies_in("/a/b", "/a") && lies_in("/a", "/a") && lies_in("/a", "/"));
        assert!(!lies_in("/ab", "/a") && !lies_in("/a", "/a/b"));
    }

    #[test]
    fn only_absolute_paths_without_dots_are_taken() {
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
    fn the_system_is_refused_however_it_is_written() {
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
    fn a_jobs_directories_are_accepted() {
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
