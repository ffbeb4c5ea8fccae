//! The wipe: directories end empty, whatever a job left in them.
//!
//! Mounts are detached, then everything is removed through directory descriptors, then files of
//! subordinate ids by a child that may; at the end the trees are looked at again. `docs/wipe.md` says
//! what is guaranteed.

mod deep;
mod directory;
mod entries;
mod limits;
mod look;
mod mounts;
mod open;
pub mod owned;
mod path;
mod queue;
mod remove;
mod roots;
mod tally;
mod volume;
mod walk;

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::warn;

use crate::report::Wiped;
use look::{Look, Purpose, Seen};
pub use mounts::{Mounts, mounted};
use open::Opener;
pub use tally::Hurry;
use tally::{Tally, printable};

/// How long the second look may count after the budget's end.
const COUNTING: Duration = Duration::from_millis(500);

/// What is to be wiped, and how.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Directories, the most sensitive first. They may lie in each other.
    pub paths: Vec<PathBuf>,
    /// Empty the directories, but leave themselves.
    pub keep_root: bool,
    /// Only look.
    pub dry_run: bool,
    /// How long it may take; without one, as long as it takes.
    pub budget: Option<Duration>,
}

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

/// What the lifecycle empties. The directories stay themselves, unless one lies in another.
pub struct Emptying<'a> {
    /// The most sensitive first.
    pub paths: &'a [PathBuf],
    /// In these, what is no directory goes before anything else.
    pub files_first: &'a [PathBuf],
    /// How long it may take.
    pub budget: Duration,
    /// Asked now and then: how long it may take still, where that has become less.
    pub hurry: Hurry<'a>,
    /// What was mounted before the job, if that is known.
    pub before: Option<&'a Mounts>,
}

/// Empties directories for the lifecycle.
///
/// Never fails: what cannot be wiped is counted and named as left behind.
#[must_use]
pub fn empty(emptying: &Emptying) -> Wiped {
    let tally = Tally::new(Some(emptying.budget), Some(emptying.hurry));
    // What a job mounted on a root, or above it, would hide it from here on.
    mounts::detach(Opener::find(), emptying.paths, emptying.before, &tally);
    let (roots, refused) = roots::accept_all(emptying.paths);
    for path in emptying.files_first {
        // Whatever stops it here stops it again later, and is noted then.
        let _ = walk::files(Opener::find(), path, &roots, &tally);
    }
    let mut wiped = wipe(&roots, true, &tally);
    wiped.leftover_count += refused.len() as u64;
    wiped.leftovers.splice(..0, refused);
    wiped
}

/// Does what `supervisor wipe` was asked for.
///
/// # Errors
/// The first path that is refused; then nothing was touched.
pub fn run(request: &Request) -> Result<Wiped, Refused> {
    let roots: Result<Vec<PathBuf>, Refused> = (request.paths.iter())
        .map(|path| {
            roots::check(path, request.keep_root).map_err(|refusal| Refused {
                path: path.clone(),
                refusal,
            })
        })
        .collect();
    let roots = roots?;
    let tally = Tally::new(request.budget, None);
    if request.dry_run {
        return Ok(preview(&roots, &tally));
    }
    mounts::detach(Opener::find(), &roots, None, &tally);
    Ok(wipe(&roots, request.keep_root, &tally))
}

fn wipe(roots: &[PathBuf], keep: bool, tally: &Tally) -> Wiped {
    let opener = Opener::find();
    for root in roots {
        if let Err(errno) = walk::empty(opener, root, roots, tally) {
            if errno != rustix::io::Errno::NOENT {
                tally.failed(root.as_os_str().as_bytes(), errno);
            }
        }
    }
    if tally.denied() && owned::would_help() {
        if let Err(reason) = owned::empty(roots, tally) {
            warn!(reason, "files of subordinate ids cannot be removed");
        }
    }
    if !keep {
        roots::remove(opener, roots, tally);
    }
    let purpose = if keep {
        Purpose::Emptied
    } else {
        Purpose::Removed
    };
    summary(tally, &look_at(roots, purpose, tally))
}

/// The second look, after the wipe; and the only one of a dry run.
fn look_at(roots: &[PathBuf], purpose: Purpose, tally: &Tally) -> Seen {
    let mut look = Look {
        opener: Opener::find(),
        roots,
        purpose,
        expired: &|| tally.over_by(COUNTING),
        seen: Seen::default(),
    };
    for root in roots::outermost(roots) {
        look.at(root);
    }
    look.seen
}

fn preview(roots: &[PathBuf], tally: &Tally) -> Wiped {
    let seen = look_at(roots, Purpose::Preview, tally);
    Wiped {
        files: seen.files,
        directories: seen.directories,
        bytes: seen.bytes,
        ..Wiped::default()
    }
}

fn summary(tally: &Tally, seen: &Seen) -> Wiped {
    let unknown = if tally.over() {
        "ETIME (the budget was used up)"
    } else {
        "EAGAIN (made while the wipe ran)"
    };
    let named = seen.left.iter().map(|left| {
        let cause = tally.cause(left.key).or_else(|| left.obstacle.clone());
        format!("{}: {}", left.path, cause.as_deref().unwrap_or(unknown))
    });
    Wiped {
        files: tally.files.load(Relaxed),
        directories: tally.directories.load(Relaxed),
        bytes: tally.bytes.load(Relaxed),
        leftover_count: seen.files + seen.directories,
        leftovers: named.collect(),
    }
}
