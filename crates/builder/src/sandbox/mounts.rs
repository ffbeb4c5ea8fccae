//! The mounts of a sandbox: empty directories over what is hidden, and bind mounts of what stays visible.

use std::fs::{DirBuilder, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::mount::{MsFlags, mount};
use rustix::fs::FileType;

use crate::error::SandboxError;
use crate::operation::Input;

pub(super) const READ_ONLY: MsFlags = MsFlags::MS_RDONLY;
/// Ignores device files and set-user-ID bits.
pub(super) const TREE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);
/// Refuses to execute programs as well.
pub(super) const DATA: MsFlags = TREE.union(MsFlags::MS_NOEXEC);

/// Mounts an empty tmpfs of 16 MiB over a directory.
pub(super) fn mount_tmpfs(path: &Path) -> Result<(), SandboxError> {
    mount(
        Some("tmpfs"),
        path,
        Some("tmpfs"),
        TREE,
        Some("mode=0700,size=16m"),
    )
    .map_err(SandboxError::call(format!(
        "mount(tmpfs, {})",
        path.display()
    )))
}

/// Binds an open file or directory at `path`, which lies on a private tmpfs.
pub(super) fn bind_at(what: &OwnedFd, path: &Path) -> Result<(), SandboxError> {
    mount_point(what, path)?;
    bind(&through(what), path, MsFlags::MS_BIND)
}

/// Binds an open file or directory over another one.
pub(super) fn bind_over(what: &OwnedFd, target: &OwnedFd) -> Result<(), SandboxError> {
    bind(&through(what), &through(target), MsFlags::MS_BIND)
}

fn through(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Creates a mount point of the kind that an open file or directory has.
pub(super) fn mount_point(what: &OwnedFd, path: &Path) -> Result<(), SandboxError> {
    let mut directories = DirBuilder::new();
    directories.recursive(true).mode(0o700);
    let parent = path.parent().unwrap_or(path);
    directories.create(parent).map_err(SandboxError::at(path))?;
    let status = rustix::fs::fstat(what).map_err(SandboxError::at(path))?;
    if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
        directories.create(path).map_err(SandboxError::at(path))
    } else {
        File::create(path).map(drop).map_err(SandboxError::at(path))
    }
}

/// Returns the mount flags of a path of the job. RUN steps mount a context and may run a script of it. They execute nothing
/// else of the job.
pub(super) fn rights(input: &Input) -> MsFlags {
    let kind = if input.executable { TREE } else { DATA };
    if input.writable {
        kind
    } else {
        kind | READ_ONLY
    }
}

/// Adds flags to a mount. The mount's old flags are locked, so the remount repeats them.
pub(super) fn restrict(path: &Path, flags: MsFlags) -> Result<(), SandboxError> {
    let status = rustix::fs::statvfs(path)
        .map_err(SandboxError::call(format!("statvfs({})", path.display())))?;
    let current = MsFlags::from_bits_truncate(status.f_flag.bits() as libc::c_ulong);
    let kept = current & (READ_ONLY | DATA);
    let remount = MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
    bind(Path::new("none"), path, remount | flags | kept)
}

fn bind(source: &Path, path: &Path, flags: MsFlags) -> Result<(), SandboxError> {
    mount(Some(source), path, None::<&str>, flags, None::<&str>).map_err(SandboxError::call(
        format!("mount({}, bind)", path.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_contexts_are_executable_and_only_outputs_writable() {
        let flags = |executable, writable| {
            rights(&Input {
                relative: "x".into(),
                mount_point: "/x".into(),
                writable,
                executable,
                view: None,
            })
        };
        assert_eq!(flags(true, false), TREE | READ_ONLY);
        assert_eq!(flags(false, false), DATA | READ_ONLY);
        assert_eq!(flags(false, true), DATA);
    }
}
