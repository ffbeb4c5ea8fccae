//! Runs the builder from its first client to its wipe. It is PID 1 of its container, and its storage exists already.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::build_memory::BuildMemory;
use super::credentials::Credentials;
use super::error::ServeError;
use super::facts::Facts;
use super::isolation::IsolationChoice;
use super::operation_dir::OperationDirs;
use super::paths::Workspace;
use super::semaphore::Semaphore;
use super::session::{execute, isolation_probe};
use super::settings::Settings;
use super::state::Builder;
use super::{builder_uid, environment, event_loop, isolation, workspace_lock};
use dockerfile::Reference;
use init::signals::Signals;
use init::{is_pid_1, survivors};
use linux::process;
use linux::termination_request::{REPORT_TIME, TerminationRequest};
use memory_guard::Guard;
use report::{Reason, Report, Step, WipeReport};
use wipe::WipePlan;

/// How serving ended.
#[derive(Debug)]
pub struct Served {
    /// The report of the run. The caller adds [`Served::error`].
    pub report: Report,
    /// The error that ended it, if it was not SIGTERM.
    pub error: Option<ServeError>,
}

/// Prepares this process: it blocks all signals, takes a uid that no build has, and hides from other processes. Call it
/// before creating files, so that they belong to that uid. `client_uid` is the uid of the job.
///
/// # Errors
/// [`ServeError`] if the kernel refuses a step.
pub fn prepare_process(client_uid: u32) -> Result<Signals, ServeError> {
    let signals = Signals::block().map_err(ServeError::kernel("signals cannot be read"))?;
    builder_uid::assume(client_uid)?;
    process::set_undumpable().map_err(ServeError::kernel("prctl(PR_SET_DUMPABLE)"))?;
    if !is_pid_1() {
        process::become_subreaper().map_err(ServeError::kernel("prctl(PR_SET_CHILD_SUBREAPER)"))?;
    }
    Ok(signals)
}

/// Serves until SIGTERM, then kills running builds and wipes their files. The report's exit code is 0, or
/// [`report::exit::WIPE`] if files are left. The caller chooses the exit code of an error.
#[must_use]
pub fn serve(
    settings: Settings,
    signals: &Signals,
    workspace: Workspace,
    credentials: Credentials,
) -> Served {
    let mut report = Report::new(Some("builder"));
    let error = match prepare(settings, workspace, credentials) {
        Err(error) => Some(error),
        Ok(builder) => {
            let builder = Arc::new(builder);
            let mut guard = builder.memory.guard(builder.settings.memory);
            let served = event_loop::run(signals, &builder, guard.as_mut());
            report.memory = guard.as_ref().map(Guard::report);
            drop(guard);
            report.builder = Some(builder.facts.report(&builder.settings));
            report.isolation = builder
                .isolation
                .known()
                .map(|isolation| isolation.name().to_owned());
            builder.children.close();
            end(&builder.settings, served, &mut report).err()
        }
    };
    Served { report, error }
}

/// Closes the socket, kills running builds and wipes their files. It wipes the workspace only after SIGTERM and the job's end.
fn end(
    settings: &Settings,
    served: Result<(), ServeError>,
    report: &mut Report,
) -> Result<(), ServeError> {
    let grace = settings.termination_grace_period;
    let request = TerminationRequest::new(grace.saturating_sub(REPORT_TIME));
    if served.is_ok() {
        request.record(Instant::now());
    }
    process::raise_nofile_limit();
    // Remove the socket first: new clients then fail to connect instead of hanging.
    let _ = std::fs::remove_file(&settings.socket);
    let survivors = survivors::end_all(Some(grace));
    if !survivors.remaining.is_empty() {
        warn!(
            processes = survivors.remaining.join(", "),
            "could not be killed"
        );
    }
    wipe_after(settings, served, &request, report)
}

/// Wipes the builder's own files. After SIGTERM it then waits for the job's end, and wipes the job's files too.
fn wipe_after(
    settings: &Settings,
    served: Result<(), ServeError>,
    request: &TerminationRequest,
    report: &mut Report,
) -> Result<(), ServeError> {
    let own = [settings.runtime_directory.clone(), settings.volume.clone()];
    wipe_all(settings, &own, request, report);
    served?;
    let reserve = settings.wipe_reserve.saturating_sub(REPORT_TIME);
    let patience = request.remaining().unwrap_or_default();
    // The lock is held until the wipe is done.
    let Some(_lock) = lock_workspace(settings, patience.saturating_sub(reserve)) else {
        let message = "ended by SIGTERM; the job still ran, so its workspace was not wiped";
        report.message = Some(message.to_owned());
        return Ok(());
    };
    report.message = Some("ended by SIGTERM".to_owned());
    let also = settings.also_wipe.iter().cloned();
    let jobs: Vec<_> = std::iter::once(settings.workspace.clone())
        .chain(also)
        .collect();
    wipe_all(settings, &jobs, request, report);
    Ok(())
}

/// Waits until the job has ended, at most for `patience`. Returns `None` if the job still runs.
fn lock_workspace(settings: &Settings, patience: Duration) -> Option<Lock> {
    let deadline = Instant::now() + patience;
    let on_wait = || info!("the job still runs: the workspace is wiped after its end");
    match workspace_lock::wait_until_free(&settings.workspace, deadline, on_wait) {
        Ok(Some(lock)) => Some(Lock::Held { _file: lock }),
        Ok(None) => {
            warn!("the job still runs: its workspace is not wiped");
            None
        }
        Err(error) => {
            warn!(%error, "it is not known whether the job still runs: its workspace is wiped later");
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
            Some(Lock::Unsupported)
        }
    }
}

/// The builder's lock on the workspace.
enum Lock {
    /// No job has the lock, and no job can take it.
    Held { _file: File },
    /// The filesystem has no locks.
    Unsupported,
}

fn wipe_all(
    settings: &Settings,
    roots: &[PathBuf],
    request: &TerminationRequest,
    report: &mut Report,
) {
    let began = Instant::now();
    let plan = WipePlan::new(roots, &[], settings.wipe_budget, Some(request));
    let wiped = wipe::empty(&plan).report;
    report.add_duration(Step::Wipe, began.elapsed());
    for leftover in &wiped.leftovers {
        warn!("left behind: {leftover}");
    }
    let all = report.wiped.get_or_insert_with(WipeReport::default);
    all.add(wiped);
    let has_leftovers = all.leftover_count > 0;
    report.reason = Reason::Completed;
    if has_leftovers {
        report.reason = Reason::Leftovers;
        report.exit_code = report::exit::WIPE;
    }
}

fn prepare(
    settings: Settings,
    workspace: Workspace,
    credentials: Credentials,
) -> Result<Builder, ServeError> {
    let operation_dirs = OperationDirs::prepare(&settings.runtime_directory, &settings.volume);
    let operation_dirs = operation_dirs.map_err(ServeError::kernel(
        "the directories of operations, beneath runtime_directory and builder.volume",
    ))?;
    info!(registries = credentials.count(), "registry credentials");
    let cache = settings.cache.as_deref();
    let cache = cache.and_then(|cache| Reference::parse(cache).ok());
    if cache.is_some_and(|cache| !credentials.may_be_in_builds(&settings.storage, &cache)) {
        warn!(
            "builder.cache is not used: with fuse-overlayfs, a build could give its credentials to the job"
        );
    }
    Ok(Builder {
        workspace,
        credentials,
        children: Arc::default(),
        environment: environment::for_buildah(&settings),
        permits: Semaphore::new(settings.parallel.max(1)),
        operation_dirs,
        clients: AtomicUsize::new(0),
        memory: BuildMemory::default(),
        facts: Facts::default(),
        isolation: IsolationChoice::new(isolation::probe_own_proc()),
        probe: isolation_probe::run,
        execute: execute::run,
        settings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use std::path::Path;
    use std::time::Duration;

    fn filled(change: impl FnOnce(&mut Settings)) -> Fixture {
        let fixture = Fixture::with(change);
        for side in ["runtime", "volume", "workspace"] {
            std::fs::write(fixture.path(side).join("file"), "left").unwrap();
        }
        fixture
    }

    /// A request whose grace period is over as far as a job is concerned.
    fn ended() -> TerminationRequest {
        let request = TerminationRequest::new(Duration::from_secs(9));
        request.record(Instant::now());
        request
    }

    fn is_empty(path: &Path) -> bool {
        std::fs::read_dir(path).unwrap().next().is_none()
    }

    #[test]
    fn sigterm_wipes_the_builders_files_and_the_jobs() {
        let also = tempfile::tempdir().unwrap();
        std::fs::write(also.path().join("file"), "left").unwrap();
        let fixture = filled(|settings| settings.also_wipe = vec![also.path().to_owned()]);
        let mut report = Report::new(Some("builder"));
        wipe_after(&fixture.builder.settings, Ok(()), &ended(), &mut report).unwrap();
        for side in ["runtime", "volume", "workspace"] {
            assert!(is_empty(&fixture.path(side)), "{side}");
        }
        assert!(is_empty(also.path()));
        assert_eq!((report.reason, report.exit_code), (Reason::Completed, 0));
        assert_eq!(report.message.as_deref(), Some("ended by SIGTERM"));
        assert_eq!(report.wiped.unwrap().leftover_count, 0);
    }

    #[test]
    fn sigterm_spares_the_files_of_a_living_job() {
        let fixture = filled(|_| {});
        let lock = workspace_lock::WorkspaceLock::hold(&fixture.path("workspace")).unwrap();
        let mut report = Report::new(Some("builder"));
        let settings = &fixture.builder.settings;
        wipe_after(settings, Ok(()), &ended(), &mut report).unwrap();
        assert!(is_empty(&fixture.path("runtime")) && is_empty(&fixture.path("volume")));
        assert!(fixture.path("workspace/file").exists());
        let message = report.message.unwrap();
        assert!(message.contains("its workspace was not wiped"), "{message}");
        drop(lock);
    }

    #[test]
    fn own_files_are_wiped_before_the_jobs_end_is_awaited() {
        let fixture = filled(|_| {});
        let lock = workspace_lock::WorkspaceLock::hold(&fixture.path("workspace")).unwrap();
        let settings = &fixture.builder.settings;
        let mut report = Report::new(Some("builder"));
        std::thread::scope(|scope| {
            let report = &mut report;
            let request = TerminationRequest::new(Duration::from_secs(3600));
            request.record(Instant::now());
            let wipe = scope.spawn(move || wipe_after(settings, Ok(()), &request, report));
            while !(is_empty(&fixture.path("runtime")) && is_empty(&fixture.path("volume"))) {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(fixture.path("workspace/file").exists());
            drop(lock);
            wipe.join().unwrap().unwrap();
        });
        assert!(is_empty(&fixture.path("workspace")));
        assert_eq!(report.wiped.unwrap().files, 3);
    }

    #[test]
    fn error_of_the_builder_spares_the_files_of_the_job() {
        let fixture = filled(|_| {});
        let mut report = Report::new(Some("builder"));
        let error = ServeError::kernel("poll")(nix::errno::Errno::EIO);
        let error =
            wipe_after(&fixture.builder.settings, Err(error), &ended(), &mut report).unwrap_err();
        assert_eq!(error.what, "poll");
        assert!(is_empty(&fixture.path("runtime")) && is_empty(&fixture.path("volume")));
        assert!(fixture.path("workspace/file").exists());
        assert_eq!(report.message, None);
    }

    #[test]
    fn leftovers_change_reason_and_exit_code() {
        let fixture = filled(|settings| settings.wipe_budget = Duration::ZERO);
        let mut report = Report::new(Some("builder"));
        wipe_after(&fixture.builder.settings, Ok(()), &ended(), &mut report).unwrap();
        let code = report::exit::WIPE;
        assert_eq!((report.reason, report.exit_code), (Reason::Leftovers, code));
        assert!(report.wiped.unwrap().leftover_count > 0);
    }
}
