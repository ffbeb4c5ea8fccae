//! The view of a context: an overlay mount on the job's directory. The build may write to it, and the job's files stay as they
//! are. Ignored files are whiteouts in its upper directory, so no file is copied.
//!
//! Source: Documentation/filesystems/overlayfs.rst of Linux: "whiteouts and opaque directories", and `userxattr`, since 5.11.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chmodat, chownat, fstat,
    linkat, makedev, mkdirat, mknodat, utimensat,
};
use rustix::io::Errno;

use super::ignored::{self, Ignored, open_beneath};
use super::masks;
use super::mounts::{READ_ONLY, TREE, bind_at, mount_point, restrict, rights};
use crate::error::SandboxError;
use crate::operation::{Input, View};
use crate::paths::SMALL_FILE;
use dockerfile::IgnorePatterns;

/// The directories of an operation in which a view is made.
pub(super) struct Own<'a> {
    /// The one in memory. It has the ignore file.
    pub(super) memory: &'a OwnedFd,
    /// The one on the volume. It gets the upper directory, whose name ends with `number`.
    pub(super) disk: &'a OwnedFd,
    pub(super) number: usize,
    /// A path in memory for empty files.
    pub(super) empty: &'a Path,
}

/// Mounts the view of a context. Without an overlay mount the context is read-only, and empty files cover the ignored ones.
pub(super) fn mount_view(
    context: &OwnedFd,
    input: &Input,
    view: &View,
    own: &Own<'_>,
) -> Result<(), SandboxError> {
    let status = fstat(context).map_err(SandboxError::at(&input.mount_point))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
        return bind_read_only(context, input);
    }
    let ignored = match &view.ignore {
        Some(name) => ignored::find(context, &patterns(own.memory, name)?)?,
        None => Vec::new(),
    };
    if view.overlay {
        match overlay(context, &status, &ignored, input, own) {
            Ok(()) => return Ok(()),
            Err(error) => notice(&error),
        }
    }
    bind_read_only(context, input)?;
    if view.masks {
        let empty = own.empty.join(own.number.to_string());
        masks::cover(&input.mount_point, &ignored, &empty)?;
    }
    Ok(())
}

fn bind_read_only(context: &OwnedFd, input: &Input) -> Result<(), SandboxError> {
    bind_at(context, &input.mount_point)?;
    restrict(&input.mount_point, rights(input) | READ_ONLY)
}

/// Prints a line. The child's standard error is the client's.
fn notice(error: &SandboxError) {
    let _ = writeln!(
        std::io::stderr(),
        "builder: the context is read-only, because the kernel refuses an overlay mount on it ({error})"
    );
}

fn patterns(memory: &OwnedFd, name: &str) -> Result<IgnorePatterns, SandboxError> {
    use std::io::Read;
    let path = Path::new(name);
    let file = open_beneath(memory, path, OFlags::RDONLY).map_err(SandboxError::at(path))?;
    let mut content = Vec::new();
    std::fs::File::from(file)
        .take(SMALL_FILE + 1)
        .read_to_end(&mut content)
        .map_err(SandboxError::at(path))?;
    IgnorePatterns::parse(&content).map_err(|source| SandboxError::Ignore {
        path: path.to_owned(),
        source,
    })
}

fn overlay(
    context: &OwnedFd,
    status: &Stat,
    ignored: &[Ignored],
    input: &Input,
    own: &Own<'_>,
) -> Result<(), SandboxError> {
    let at = |errno: Errno| SandboxError::at(&input.mount_point)(errno);
    let name = format!("view-{}", own.number);
    mkdirat(own.disk, &name, Mode::RWXU).map_err(at)?;
    let directory = open_beneath(own.disk, Path::new(&name), OFlags::PATH).map_err(at)?;
    let make = |name: &str| {
        mkdirat(&directory, name, Mode::RWXU)?;
        open_beneath(&directory, Path::new(name), OFlags::PATH)
    };
    let (upper, work) = (make("upper").map_err(at)?, make("work").map_err(at)?);
    Upper {
        context,
        directory: &directory,
        upper: &upper,
        made: HashMap::new(),
        whiteouts: 0,
    }
    .fill(status, ignored)
    .map_err(at)?;
    let place = &input.mount_point;
    mount_point(context, place)?;
    let path = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let options = format!(
        "userxattr,index=off,lowerdir={},upperdir={},workdir={}",
        path(context),
        path(&upper),
        path(&work)
    );
    mount(
        Some("overlay"),
        place,
        Some("overlay"),
        TREE,
        Some(options.as_str()),
    )
    .map_err(SandboxError::call("mount(overlay)"))?;
    // The kernel makes this directory without any permission. PID 1 removes it in the end.
    let _ = chmodat(&work, "work", Mode::RWXU, AtFlags::empty());
    let flags = rustix::fs::fstatvfs(context).map_err(at)?.f_flag;
    let noexec = flags.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
    let noexec = if noexec {
        MsFlags::MS_NOEXEC
    } else {
        MsFlags::empty()
    };
    restrict(place, (rights(input) - READ_ONLY) | noexec)
}

/// The upper directory in the making. No other process has it open.
struct Upper<'a> {
    context: &'a OwnedFd,
    /// The parent of the upper directory.
    directory: &'a OwnedFd,
    upper: &'a OwnedFd,
    /// The directories in it, and those of the context that they stand for.
    made: HashMap<PathBuf, Stat>,
    /// The number of files to which whiteouts are links.
    whiteouts: usize,
}

impl Upper<'_> {
    fn fill(mut self, root: &Stat, ignored: &[Ignored]) -> Result<(), Errno> {
        for Ignored { path, .. } in ignored {
            if self.parents(path)? {
                self.whiteout(path)?;
            }
        }
        // The mount shows the attributes of a directory from here. What is made in one changes its time.
        for (path, status) in &self.made {
            copy_attributes(self.upper, path, status);
        }
        copy_attributes(self.upper, Path::new("."), root);
        Ok(())
    }

    /// Makes the directories above a path. Returns whether they are still in the context.
    fn parents(&mut self, path: &Path) -> Result<bool, Errno> {
        let Some(parent) = path.parent().filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(true);
        };
        if self.made.contains_key(parent) {
            return Ok(true);
        }
        if !self.parents(parent)? {
            return Ok(false);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let Ok(status) = open_beneath(self.context, parent, flags).and_then(fstat) else {
            return Ok(false);
        };
        mkdirat(self.upper, parent, Mode::RWXU)?;
        self.made.insert(parent.to_owned(), status);
        Ok(true)
    }

    /// Makes a whiteout. All are links to a few files: a file system has fewer inodes than a context may have names.
    fn whiteout(&mut self, path: &Path) -> Result<(), Errno> {
        if self.whiteouts > 0 {
            let first = format!("whiteout-{}", self.whiteouts);
            match linkat(self.directory, first, self.upper, path, AtFlags::empty()) {
                Ok(()) => return Ok(()),
                Err(Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.whiteouts += 1;
        let name = format!("whiteout-{}", self.whiteouts);
        let kind = FileType::CharacterDevice;
        mknodat(self.directory, &name, kind, Mode::empty(), makedev(0, 0))?;
        linkat(self.directory, &name, self.upper, path, AtFlags::empty())
            .or_else(|_| mknodat(self.upper, path, kind, Mode::empty(), makedev(0, 0)))
    }
}

/// Gives a directory the owner, the mode and the times of another. An owner that this namespace does not have stays away.
fn copy_attributes(upper: &OwnedFd, path: &Path, from: &Stat) {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let (user, group) = (Uid::from_raw(from.st_uid), Gid::from_raw(from.st_gid));
    let _ = chownat(upper, path, Some(user), Some(group), flags);
    let mode = Mode::from_raw_mode(from.st_mode & 0o7777);
    let _ = chmodat(upper, path, mode, AtFlags::empty());
    let time = |seconds: i64, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    let times = Timestamps {
        last_access: time(from.st_atime, from.st_atime_nsec),
        last_modification: time(from.st_mtime, from.st_mtime_nsec),
    };
    let _ = utimensat(upper, path, &times, flags);
}
