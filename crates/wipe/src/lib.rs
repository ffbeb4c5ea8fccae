//! The wipe: directories end empty, whatever a job left in them.
//!
//! Mounts are detached, then everything is removed through directory descriptors, then files of
//! subordinate ids by a child that may; at the end the trees are looked at again. `docs/wipe.md` says
//! what is guaranteed.

mod alias;
mod causes;
mod deep;
mod directory;
mod entries;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod kept;
mod limits;
mod look;
mod mounts;
mod open;
pub mod owned;
mod path;
mod queue;
mod refusal;
mod remove;
mod root_and_home;
mod roots;
mod tally;
mod volume;
mod walk;

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::warn;

use kept::Kept;
use look::{Left, Look, Purpose, Seen};
pub use mounts::{Mounts, mounted};
use open::Opener;
pub use refusal::{Refusal, Refused};
use report::WipeReport;
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

/// What emptying came to.
#[derive(Debug, Clone, Default)]
pub struct Emptied {
    /// For the report.
    pub wiped: WipeReport,
    /// What is left behind, the first of each root; the report names the first of all.
    pub left: Vec<LeftBehind>,
}

/// Something that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    /// Its path, the end cut off where it is very long.
    pub path: PathBuf,
    /// Why it stays.
    pub cause: String,
    /// It was there before the job, and was not to be wiped.
    pub excused: bool,
}

impl std::fmt::Display for LeftBehind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = printable(self.path.as_os_str().as_bytes());
        write!(formatter, "{path}: {}", self.cause)
    }
}

/// Whether a directory may be wiped, as far as its path tells.
///
/// # Errors
/// The [`Refusal`] otherwise.
pub fn acceptable(path: &Path) -> Result<(), Refusal> {
    path::accept(path).map(|_| ())
}

/// Whether a directory may hide something in its attributes.
#[must_use]
pub fn has_attributes(path: &Path) -> bool {
    volume::may_have_attributes(path)
}

/// Empties directories for the lifecycle.
///
/// Never fails: what cannot be wiped is counted and named as left behind.
#[must_use]
pub fn empty(emptying: &Emptying) -> Emptied {
    let opener = Opener::find();
    let tally = Tally::new(Some(emptying.budget), Some(emptying.hurry));
    let paths = path::tidied(emptying.paths);
    // What a job mounted on a root, or above it, would hide it from here on.
    mounts::detach(opener, &paths, emptying.before, &tally);
    let (roots, refused) = roots::accept_all(&paths);
    for path in path::tidied(emptying.files_first) {
        if roots.contains(&path) {
            // Whatever stops it here stops it again later, and is noted then.
            let _ = walk::files(opener, &path, &roots, &tally);
        }
    }
    let strayed = emptying.before.map(|before| before.strayed(opener));
    let trees = Trees {
        roots: &roots,
        strayed: strayed.unwrap_or_default(),
        keep: true,
    };
    let mut emptied = wipe(&trees, &tally);
    if let Some(before) = emptying.before {
        before.restore_modes();
    }
    let refused = refused.into_iter().map(|refused| LeftBehind {
        path: refused.path,
        cause: refused.refusal.to_string(),
        excused: false,
    });
    for left in refused {
        emptied.wiped.leftover_count += 1;
        emptied.wiped.leftovers.insert(0, left.to_string());
        emptied.left.insert(0, left);
    }
    emptied
}

/// Does what `supervisor wipe` was asked for.
///
/// # Errors
/// The first path that is refused; then nothing was touched.
pub fn run(request: &Request) -> Result<WipeReport, Refused> {
    let mounts = OnceCell::new();
    let roots: Result<Vec<PathBuf>, Refused> = (request.paths.iter())
        .map(|path| {
            roots::check(path, request.keep_root, &mounts).map_err(|refusal| Refused {
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
    if !tally.over() {
        mounts::detach_listed(mounts.into_inner(), &roots, &tally);
    }
    let trees = Trees {
        roots: &roots,
        strayed: Vec::new(),
        keep: request.keep_root,
    };
    Ok(wipe(&trees, &tally).wiped)
}

/// What a wipe is about.
struct Trees<'a> {
    roots: &'a [PathBuf],
    /// Roots to which their paths do not lead any more.
    strayed: Vec<&'a Kept>,
    /// Whether the roots themselves stay.
    keep: bool,
}

fn wipe(trees: &Trees, tally: &Tally) -> Emptied {
    let opener = Opener::find();
    let roots = trees.roots;
    for kept in &trees.strayed {
        let path = printable(kept.path.as_os_str().as_bytes());
        warn!(
            path,
            "another directory is there than before the job: what was there is wiped too"
        );
        walk::empty_kept(opener, kept, roots, tally);
    }
    walk::empty_all(opener, roots, tally);
    if tally.denied() && owned::would_help() {
        if let Err(reason) = owned::empty(roots, tally) {
            warn!(reason, "files of subordinate ids cannot be removed");
        }
    }
    if !trees.keep {
        roots::remove(opener, roots, tally);
    }
    let purpose = if trees.keep {
        Purpose::Emptied
    } else {
        Purpose::Removed
    };
    summary(tally, look_at(trees, purpose, tally))
}

/// The second look, after the wipe; and the only one of a dry run.
fn look_at(trees: &Trees, purpose: Purpose, tally: &Tally) -> Seen {
    let mut look = Look {
        opener: Opener::find(),
        roots: trees.roots,
        purpose,
        expired: &|| tally.over_by(COUNTING),
        seen: Seen::default(),
        limit: look::NAMED,
        apart: Vec::new(),
    };
    for kept in &trees.strayed {
        look.at_kept(kept);
    }
    look.at_all();
    look.seen
}

/// What a dry run cannot look into is left out of its counts, and said.
fn preview(roots: &[PathBuf], tally: &Tally) -> WipeReport {
    let trees = Trees {
        roots,
        strayed: Vec::new(),
        keep: true,
    };
    let seen = look_at(&trees, Purpose::Preview, tally);
    let closed: Vec<LeftBehind> = (seen.left.into_iter())
        .map(|left| named(left, tally))
        .collect();
    WipeReport {
        files: seen.files,
        directories: seen.directories,
        bytes: seen.bytes,
        leftover_count: seen.closed,
        leftovers: first(closed.iter()),
    }
}

fn summary(tally: &Tally, seen: Seen) -> Emptied {
    let named = seen.left.into_iter().map(|left| named(left, tally));
    let left: Vec<LeftBehind> = named.collect();
    let wiped = WipeReport {
        files: tally.files.load(Relaxed),
        directories: tally.directories.load(Relaxed),
        bytes: tally.bytes.load(Relaxed),
        leftover_count: seen.files + seen.directories,
        leftovers: first(left.iter()),
    };
    Emptied { wiped, left }
}

fn first<'a>(left: impl Iterator<Item = &'a LeftBehind>) -> Vec<String> {
    left.take(look::NAMED).map(ToString::to_string).collect()
}

fn named(left: Left, tally: &Tally) -> LeftBehind {
    let unknown = || {
        if tally.over() {
            "ETIME (the budget was used up)"
        } else if tally.causes().forgot {
            "one of more failures than are remembered"
        } else {
            "EAGAIN (made while the wipe ran)"
        }
    };
    let known = tally.causes().of(&left.path);
    let excused = known.as_ref().is_some_and(|note| note.excused);
    let cause = known.map(|note| note.text).or(left.obstacle);
    LeftBehind {
        cause: cause.unwrap_or_else(|| unknown().to_owned()),
        path: PathBuf::from(OsString::from_vec(left.path)),
        excused,
    }
}
