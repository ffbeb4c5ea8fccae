//! The wipe: empties directories, whatever a job left in them.
//!
//! It detaches mounts, then removes everything through directory descriptors. A child in a user namespace removes
//! the files of subordinate ids. At the end the trees are listed once more, and what is left is named.
//! `docs/wipe.md` says what is guaranteed.
//!
//! Begin with [`empty`], which a run calls with its [`WipePlan`], or [`run`], which `supervisor wipe` calls.

mod bind_alias;
mod directory;
mod failures;
mod flatten;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod limits;
mod mountinfo;
mod mountpoint;
mod mounts;
mod openat;
mod path;
mod pinned_root;
mod plan;
mod progress;
mod queue;
mod readdir;
mod remove;
mod root_and_home;
mod roots;
pub mod userns_wipe;
mod verify;
mod walk;

use std::cell::OnceCell;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use report::WipeReport;
use tracing::warn;

use openat::Opener;
pub use path::{Refusal, RefusedPath};
use pinned_root::PinnedRoot;
pub use plan::WipePlan;
use progress::{Progress, StopAt, printable};
use verify::{Purpose, TreeCount, Unremoved, Verifier};

/// How long the verification may go on counting after the budget's end.
const COUNTING_TIME: Duration = Duration::from_millis(500);

/// What `supervisor wipe` removes, and how.
#[derive(Debug, Clone, Default)]
pub struct WipeCommand {
    /// Absolute paths of directories, the most sensitive one first. One may lie in another.
    pub paths: Vec<PathBuf>,
    /// Empties the directories and keeps the directories themselves.
    pub keep_root: bool,
    /// Counts and removes nothing.
    pub dry_run: bool,
    /// The longest time that the wipe may take; `None` for no limit.
    pub budget: Option<Duration>,
}

/// The result of [`empty`].
#[derive(Debug, Clone, Default)]
pub struct WipeOutcome {
    /// The counts and the first leftovers, for the report of the run.
    pub report: WipeReport,
    /// The first leftovers of each directory; the report has the first ones of all.
    pub leftovers: Vec<Leftover>,
}

/// A path that the wipe could not remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The path; the end of a very long one is cut off.
    pub path: PathBuf,
    /// The name of an error of errno(3), with an explanation if there is one.
    pub cause: String,
    /// True if it was there before the job, so that the wipe leaves it on purpose.
    pub excused: bool,
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = printable(self.path.as_os_str().as_bytes());
        write!(formatter, "{path}: {}", self.cause)
    }
}

/// Checks by its text alone whether `path` may be wiped.
///
/// # Errors
/// Returns the [`Refusal`] if it may not.
pub fn check_path(path: &Path) -> Result<(), Refusal> {
    path::accept(path).map(|_| ())
}

/// Empties the directories of a run before its job, and stops as soon as the request to end arrives.
///
/// As [`empty`] otherwise.
#[must_use]
pub fn empty_before_job(plan: &WipePlan) -> WipeOutcome {
    if plan.is_done() {
        return WipeOutcome::default();
    }
    empty_until(plan, plan.termination.map(StopAt::Request))
}

/// Empties the directories of a run. If the request to end arrives, it stops at the end of the grace period.
///
/// Never fails: it counts and names what it could not remove.
#[must_use]
pub fn empty(plan: &WipePlan) -> WipeOutcome {
    empty_until(plan, plan.termination.map(StopAt::GraceEnd))
}

fn empty_until(plan: &WipePlan, stop: Option<StopAt>) -> WipeOutcome {
    let opener = Opener::find();
    let progress = Progress::new(Some(plan.budget), stop);
    // A mount on a root, or above it, would hide the root from here on.
    mounts::detach(opener, &plan.roots, plan.before.get(), &progress);
    empty_roots(plan, opener, &progress)
}

/// Empties the directories of a run without a change to its mounts.
fn empty_roots(plan: &WipePlan, opener: Opener, progress: &Progress) -> WipeOutcome {
    let before = plan.before.get();
    let (roots, refused) = roots::accept_all(&plan.roots);
    for path in &plan.files_first {
        if roots.contains(path) {
            // An error here occurs again in the complete wipe, which records it.
            let _ = walk::files(opener, path, &roots, progress);
        }
    }
    let path_changed = before.map(|before| before.path_changed(opener));
    let trees = Trees {
        roots: &roots,
        path_changed: path_changed.unwrap_or_default(),
        keep: true,
    };
    let mut outcome = wipe(&trees, progress);
    if let Some(before) = before {
        before.restore_modes();
    }
    for refused in refused {
        let leftover = Leftover {
            path: refused.path,
            cause: refused.refusal.to_string(),
            excused: false,
        };
        outcome.report.leftover_count += 1;
        outcome.report.leftovers.insert(0, leftover.to_string());
        outcome.leftovers.insert(0, leftover);
    }
    outcome
}

/// Carries out `supervisor wipe`.
///
/// # Errors
/// Returns the first path that is refused; nothing has been removed then.
pub fn run(command: &WipeCommand) -> Result<WipeReport, RefusedPath> {
    let mounts = OnceCell::new();
    let check = |path: &PathBuf| {
        let checked = roots::check(path, command.keep_root, &mounts);
        checked.map_err(|refusal| RefusedPath {
            path: path.clone(),
            refusal,
        })
    };
    let roots = command.paths.iter().map(check);
    let roots = roots.collect::<Result<Vec<PathBuf>, RefusedPath>>()?;
    let progress = Progress::new(command.budget, None);
    if command.dry_run {
        return Ok(preview(&roots, &progress));
    }
    if !progress.is_over() {
        mounts::detach_listed(mounts.into_inner(), &roots, &progress);
    }
    let trees = Trees {
        roots: &roots,
        path_changed: Vec::new(),
        keep: command.keep_root,
    };
    Ok(wipe(&trees, &progress).report)
}

/// The directories of one wipe.
struct Trees<'a> {
    roots: &'a [PathBuf],
    /// Pinned roots that are no longer at their paths.
    path_changed: Vec<&'a PinnedRoot>,
    /// Whether the roots themselves stay.
    keep: bool,
}

fn wipe(trees: &Trees, progress: &Progress) -> WipeOutcome {
    let opener = Opener::find();
    let roots = trees.roots;
    for pinned in &trees.path_changed {
        let path = printable(pinned.path.as_os_str().as_bytes());
        warn!(
            path,
            "the path leads to another directory than before the job; both are wiped"
        );
        walk::empty_pinned(opener, pinned, roots, progress);
    }
    walk::empty_all(opener, roots, progress);
    if progress.denied()
        && userns_wipe::would_help()
        && let Err(error) = userns_wipe::empty(roots, progress)
    {
        warn!(%error, "files of subordinate ids cannot be removed");
    }
    if !trees.keep {
        roots::remove(opener, roots, progress);
    }
    let purpose = if trees.keep {
        Purpose::CheckEmpty
    } else {
        Purpose::CheckRemoved
    };
    outcome(progress, verify(trees, purpose, progress))
}

/// Counts what is there: after a wipe, or in its place in a dry run.
fn verify(trees: &Trees, purpose: Purpose, progress: &Progress) -> TreeCount {
    let mut verifier = Verifier {
        opener: Opener::find(),
        roots: trees.roots,
        purpose,
        expired: &|| progress.is_over_by(COUNTING_TIME),
        count: TreeCount::default(),
        limit: verify::MAX_NAMED,
        separate_roots: Vec::new(),
    };
    for pinned in &trees.path_changed {
        verifier.visit_pinned(pinned);
    }
    verifier.visit_all();
    verifier.count
}

/// Counts what a wipe would remove. Directories that cannot be listed are named and counted as leftovers.
fn preview(roots: &[PathBuf], progress: &Progress) -> WipeReport {
    let trees = Trees {
        roots,
        path_changed: Vec::new(),
        keep: true,
    };
    let count = verify(&trees, Purpose::Preview, progress);
    let unlisted = explain_all(count.unremoved, progress);
    WipeReport {
        files: count.files,
        directories: count.directories,
        bytes: count.bytes,
        leftover_count: count.unlisted,
        leftovers: first_lines(&unlisted),
    }
}

fn outcome(progress: &Progress, count: TreeCount) -> WipeOutcome {
    let leftovers = explain_all(count.unremoved, progress);
    let report = WipeReport {
        files: progress.files.load(Relaxed),
        directories: progress.directories.load(Relaxed),
        bytes: progress.bytes.load(Relaxed),
        leftover_count: count.files + count.directories,
        leftovers: first_lines(&leftovers),
    };
    WipeOutcome { report, leftovers }
}

fn first_lines(leftovers: &[Leftover]) -> Vec<String> {
    let first = leftovers.iter().take(verify::MAX_NAMED);
    first.map(ToString::to_string).collect()
}

fn explain_all(unremoved: Vec<Unremoved>, progress: &Progress) -> Vec<Leftover> {
    let explain = |entry| explain(entry, progress);
    unremoved.into_iter().map(explain).collect()
}

fn explain(entry: Unremoved, progress: &Progress) -> Leftover {
    let unknown = || {
        if progress.is_over() {
            "ETIME (the budget was used up)"
        } else if progress.failures().incomplete {
            "unknown (there were more failures than are recorded)"
        } else {
            "EAGAIN (made while the wipe ran)"
        }
    };
    let known = progress.failures().find(&entry.path);
    let excused = known.as_ref().is_some_and(|known| known.excused);
    let cause = known.map(|known| known.text).or(entry.obstacle);
    Leftover {
        cause: cause.unwrap_or_else(|| unknown().to_owned()),
        path: PathBuf::from(OsString::from_vec(entry.path)),
        excused,
    }
}
