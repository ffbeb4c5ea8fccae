//! Runs the builder from its first client to its wipe. It is PID 1 of its container, and its storage exists already.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use tracing::{info, warn};

use super::credentials::Credentials;
use super::error::ServeError;
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
use report::{Reason, Report, Step};
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
            let served = event_loop::run(signals, &builder);
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
    let deadline = Instant::now()
        + settings
            .termination_grace_period
            .saturating_sub(settings.wipe_reserve);
    process::raise_nofile_limit();
    // Remove the socket first: new clients then fail to connect instead of hanging.
    let _ = std::fs::remove_file(&settings.socket);
    let survivors = survivors::end_all(Some(settings.termination_grace_period));
    if !survivors.remaining.is_empty() {
        warn!(
            processes = survivors.remaining.join(", "),
            "could not be killed"
        );
    }
    wipe_after(settings, served, deadline, report)
}

/// Wipes the builder's own files. After SIGTERM it also wipes the job's, if the job has ended at `deadline`.
fn wipe_after(
    settings: &Settings,
    served: Result<(), ServeError>,
    deadline: Instant,
    report: &mut Report,
) -> Result<(), ServeError> {
    let mut roots = vec![settings.runtime_directory.clone(), settings.volume.clone()];
    if let Err(error) = served {
        wipe_all(settings, &roots, report);
        return Err(error);
    }
    // The lock is held until the wipe is done.
    let job = lock_workspace(settings, deadline);
    report.message = Some(match &job {
        JobState::Ended(_) => "ended by SIGTERM".to_owned(),
        JobState::Runs => {
            "ended by SIGTERM; the job still ran, so its workspace was not wiped".to_owned()
        }
    });
    if let JobState::Ended(_) = job {
        roots.push(settings.workspace.clone());
        roots.extend(settings.also_wipe.iter().cloned());
    }
    wipe_all(settings, &roots, report);
    Ok(())
}

/// Whether the job may still use its workspace.
enum JobState {
    /// It has ended. The lock keeps another one from its start, if there is a lock.
    Ended(#[expect(dead_code, reason = "it is held, not read")] Option<File>),
    /// It still runs.
    Runs,
}

/// Waits until the job has ended, at most until `deadline`.
fn lock_workspace(settings: &Settings, deadline: Instant) -> JobState {
    let on_wait = || info!("the job still runs: the workspace is wiped after its end");
    match workspace_lock::wait_until_free(&settings.workspace, deadline, on_wait) {
        Ok(Some(lock)) => JobState::Ended(Some(lock)),
        Ok(None) => {
            warn!("the job still runs: its workspace is not wiped");
            JobState::Runs
        }
        Err(error) => {
            warn!(%error, "cannot find out whether the job still runs: its workspace is wiped");
            JobState::Ended(None)
        }
    }
}

fn wipe_all(settings: &Settings, roots: &[PathBuf], report: &mut Report) {
    let began = Instant::now();
    let plan = WipePlan::new(roots, &[], settings.wipe_budget, None);
    let wiped = wipe::empty(&plan).report;
    report.add_duration(Step::Wipe, began.elapsed());
    report.reason = Reason::Completed;
    for leftover in &wiped.leftovers {
        warn!("left behind: {leftover}");
    }
    let has_leftovers = wiped.leftover_count > 0;
    report.wiped = Some(wiped);
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

    fn is_empty(path: &Path) -> bool {
        std::fs::read_dir(path).unwrap().next().is_none()
    }

    #[test]
    fn sigterm_wipes_the_builders_files_and_the_jobs() {
        let also = tempfile::tempdir().unwrap();
        std::fs::write(also.path().join("file"), "left").unwrap();
        let fixture = filled(|settings| settings.also_wipe = vec![also.path().to_owned()]);
        let mut report = Report::new(Some("builder"));
        wipe_after(
            &fixture.builder.settings,
            Ok(()),
            Instant::now(),
            &mut report,
        )
        .unwrap();
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
        wipe_after(settings, Ok(()), Instant::now(), &mut report).unwrap();
        assert!(is_empty(&fixture.path("runtime")) && is_empty(&fixture.path("volume")));
        assert!(fixture.path("workspace/file").exists());
        let message = report.message.unwrap();
        assert!(message.contains("its workspace was not wiped"), "{message}");
        drop(lock);
    }

    #[test]
    fn error_of_the_builder_spares_the_files_of_the_job() {
        let fixture = filled(|_| {});
        let mut report = Report::new(Some("builder"));
        let error = ServeError::kernel("poll")(nix::errno::Errno::EIO);
        let error = wipe_after(
            &fixture.builder.settings,
            Err(error),
            Instant::now(),
            &mut report,
        )
        .unwrap_err();
        assert_eq!(error.what, "poll");
        assert!(is_empty(&fixture.path("runtime")) && is_empty(&fixture.path("volume")));
        assert!(fixture.path("workspace/file").exists());
        assert_eq!(report.message, None);
    }

    #[test]
    fn leftovers_change_reason_and_exit_code() {
        let fixture = filled(|settings| settings.wipe_budget = Duration::ZERO);
        let mut report = Report::new(Some("builder"));
        wipe_after(
            &fixture.builder.settings,
            Ok(()),
            Instant::now(),
            &mut report,
        )
        .unwrap();
        let code = report::exit::WIPE;
        assert_eq!((report.reason, report.exit_code), (Reason::Leftovers, code));
        assert!(report.wiped.unwrap().leftover_count > 0);
    }
}
