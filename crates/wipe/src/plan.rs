//! What a run wipes, and within which times. It is computed once, at the start of the run.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::mounts::MountSnapshot;
use super::{mountpoint, path};
use linux::termination_request::TerminationRequest;

/// What the wipes of a run empty. The directories themselves stay, unless one lies in another.
#[derive(Debug)]
pub struct WipePlan<'a> {
    /// Normalized paths of directories, the most sensitive one first.
    pub(super) roots: Vec<PathBuf>,
    /// In these of the roots, files are removed before anything else.
    pub(super) files_first: Vec<PathBuf>,
    pub(super) budget: Duration,
    pub(super) before: OnceLock<MountSnapshot>,
    pub(super) termination: Option<&'a TerminationRequest>,
}

impl<'a> WipePlan<'a> {
    /// Returns the plan to empty `roots`, absolute paths of directories, the most sensitive one first. A wipe takes `budget`
    /// at most. In each of the roots that is also in `files_first`, it removes files before anything else.
    ///
    /// If `termination` is given, a wipe checks it about ten times a second, and stops earlier if the request arrives.
    #[must_use]
    pub fn new(
        roots: &[PathBuf],
        files_first: &[PathBuf],
        budget: Duration,
        termination: Option<&'a TerminationRequest>,
    ) -> Self {
        Self {
            roots: path::normalize_all(roots),
            files_first: path::normalize_all(files_first),
            budget,
            before: OnceLock::new(),
            termination,
        }
    }

    /// Records the mounts and pins the roots, so that [`crate::empty`] finds the roots whatever a job does to their paths.
    /// Only the first call counts.
    pub fn pin_roots(&self) {
        self.before.get_or_init(|| MountSnapshot::take(&self.roots));
    }

    /// Returns whether nothing has to be removed or detached, which is much faster to find out than a wipe.
    pub(super) fn is_done(&self) -> bool {
        // Without a snapshot, a mount on an empty directory may be one that has to be detached.
        self.before.get().is_some() && self.roots.iter().all(|root| is_empty(root))
    }
}

/// Whether the path does not exist, or is an empty directory without user attributes. A symlink is not empty.
fn is_empty(root: &Path) -> bool {
    match root.symlink_metadata() {
        Ok(found) if found.is_dir() => {
            let empty = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
            empty && !mountpoint::may_have_user_attributes(root)
        }
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openat::Opener;
    use crate::progress::Progress;
    use crate::{empty, empty_before_job, empty_roots};
    use std::time::Instant;

    const BUDGET: Duration = Duration::from_secs(3600);

    fn with_files() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("directory")).unwrap();
        std::fs::write(root.path().join("directory/file"), "text").unwrap();
        root
    }

    fn requested(grace: Duration) -> TerminationRequest {
        let request = TerminationRequest::new(grace);
        request.record(Instant::now());
        request
    }

    #[test]
    fn empty_before_job_stops_at_a_request_and_names_leftovers() {
        let root = with_files();
        let request = requested(BUDGET);
        let roots = [root.path().to_owned()];
        let plan = WipePlan::new(&roots, &[], BUDGET, Some(&request));
        let outcome = empty_before_job(&plan);
        assert!(root.path().join("directory/file").exists());
        assert!(outcome.report.leftover_count > 0);
        assert!(outcome.leftovers[0].cause.starts_with("ETIME"));
    }

    #[test]
    fn empty_uses_the_grace_period_after_the_request() {
        let root = with_files();
        let request = requested(BUDGET);
        let roots = [root.path().to_owned()];
        let plan = WipePlan::new(&roots, &[], BUDGET, Some(&request));
        let report = empty(&plan).report;
        assert_eq!((report.files, report.directories), (1, 1));
        assert_eq!(report.leftover_count, 0);
        assert!(root.path().exists());
    }

    #[test]
    fn empty_stops_when_no_grace_period_remains() {
        let root = with_files();
        let request = requested(Duration::ZERO);
        let roots = [root.path().to_owned()];
        let plan = WipePlan::new(&roots, &[], BUDGET, Some(&request));
        assert!(empty(&plan).report.leftover_count > 0);
        assert!(root.path().join("directory/file").exists());
    }

    #[test]
    fn pinned_root_is_emptied_after_its_path_has_changed() {
        let outside = with_files();
        let root = outside.path().join("directory");
        let plan = WipePlan::new(std::slice::from_ref(&root), &[], BUDGET, None);
        plan.pin_roots();
        let moved = outside.path().join("moved");
        std::fs::rename(&root, &moved).unwrap();
        std::fs::create_dir(&root).unwrap();
        plan.pin_roots();
        // A whole wipe would also detach what another process mounts on this machine meanwhile.
        let report = empty_roots(&plan, Opener::find(), &Progress::new(None, None)).report;
        assert_eq!((report.files, report.leftover_count), (1, 0));
        assert!(root.is_dir() && moved.is_dir());
        assert!(!moved.join("file").exists());
    }

    #[test]
    fn plan_is_done_only_with_a_snapshot_and_empty_roots() {
        let root = tempfile::tempdir().unwrap();
        let plan = WipePlan::new(&[root.path().to_owned()], &[], BUDGET, None);
        assert!(!plan.is_done());
        plan.pin_roots();
        assert!(plan.is_done());
        std::fs::write(root.path().join("file"), "").unwrap();
        assert!(!plan.is_done());
    }

    #[test]
    fn only_an_empty_directory_or_a_missing_path_is_empty() {
        let root = with_files();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("empty")).unwrap();
        std::os::unix::fs::symlink(path("empty"), path("link")).unwrap();
        assert!(is_empty(&path("empty")) && is_empty(&path("missing")));
        assert!(!is_empty(&path("directory")) && !is_empty(&path("directory/file")));
        assert!(!is_empty(&path("link")));
    }
}
