//! `supervisor serve-builds`: prepares storage and credentials, runs the builder, and reports its end.

use tracing::error;

use crate::config::{Config, Driver};
use crate::outcome::{Failure, conclude};
use crate::publish;
use crate::secrets::{self, DOCKER_CONFIG, SecretsError};
use crate::storage::{self, StorageError};
use crate::workspace::{self, RuntimeDir, WorkspaceError};
use builder::server::{self, Served};
use builder::{Credentials, ServeError, Settings, Storage, Workspace};
use linux::process::Identity;
use report::{Report, Step};

impl From<ServeError> for Failure {
    fn from(ServeError { what, source }: ServeError) -> Self {
        Self::Kernel { what, source }
    }
}

/// Serves until SIGTERM, and returns the exit code of this process.
#[must_use]
pub fn serve(config: &Config) -> u8 {
    let mut driver = None;
    let (mut report, failure) = match serve_until_terminated(config, &mut driver) {
        Ok(Served { report, error }) => (report, error.map(Failure::from)),
        Err(failure) => (Report::new(Some("builder")), Some(failure)),
    };
    report.storage_driver = driver.map(|driver| driver.name().to_owned());
    if let Some(failure) = failure {
        failed(failure, &mut report);
    }
    publish::publish(&report, &config.report.file);
    report.exit_code
}

fn failed(failure: Failure, report: &mut Report) {
    error!("{failure}");
    let conclusion = conclude(Step::Runner, &Err(failure), 0);
    report.reason = conclusion.reason;
    report.message = conclusion.message;
    report.exit_code = conclusion.code;
}

/// Prepares and serves. Sets `driver` as soon as it is known, even if a later step fails.
fn serve_until_terminated(config: &Config, driver: &mut Option<Driver>) -> Result<Served, Failure> {
    let signals = server::prepare_process(config.builder.client_uid)?;
    let own = config.of_builder();
    let runtime = RuntimeDir::of(config);
    remove_policy_link(config);
    let workspace = Workspace::open(&config.workspace.path).map_err(|source| {
        StorageError::from(WorkspaceError::Job {
            path: config.workspace.path.clone(),
            volume: config.workspace.path.clone(),
            uid: Identity::filesystem().uid,
            source,
        })
    })?;
    workspace::prepare(&own).map_err(StorageError::from)?;
    let prepared = storage::prepare(&own, None)?;
    *driver = Some(prepared.driver);
    runtime
        .directory("containers")
        .map_err(StorageError::from)?;
    let credentials = credentials(config)?;
    let settings = settings(config, prepared);
    Ok(server::serve(settings, &signals, workspace, credentials))
}

/// Removes the link to the policy, which a killed builder has left. storage::prepare makes it again.
fn remove_policy_link(config: &Config) {
    let _ = std::fs::remove_file(
        config
            .of_builder()
            .workspace
            .home()
            .join(".config/containers"),
    );
}

fn credentials(config: &Config) -> Result<Credentials, SecretsError> {
    let store = secrets::peek(config)?;
    let Some(secret) = store.get(DOCKER_CONFIG) else {
        return Ok(Credentials::default());
    };
    Credentials::of_builder(secret.expose())
        .map_err(|(line, column)| SecretsError::NotDockerConfig { line, column })
}

fn settings(config: &Config, prepared: storage::Prepared) -> Settings {
    let own = config.of_builder();
    Settings {
        socket: config.builder.socket.clone(),
        volume: config.builder.volume.clone(),
        workspace: config.workspace.path.clone(),
        also_wipe: config.workspace.also_wipe.clone(),
        runtime_directory: config.runtime_directory.clone(),
        secrets_directory: config.secrets.directory.clone(),
        client_uid: config.builder.client_uid,
        parallel: config.builder.parallel,
        cache: config.builder.cache.clone(),
        cache_write: config.builder.cache_write,
        push_allow: config.builder.push.allow.clone(),
        insecure_registries: config.storage.insecure_registries.clone(),
        termination_grace_period: config.termination_grace_period,
        wipe_reserve: config.wipe.reserve,
        wipe_budget: config.wipe.budget,
        storage: Storage {
            driver: storage::driver_name(prepared.driver),
            mount_program: prepared.driver == Driver::FuseOverlayfs,
            graph_root: own.graph_root(),
            temporary: own.workspace.temporary(),
            environment: prepared.environment,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn layers_are_on_the_builders_own_volume() {
        let config = Config::default();
        let prepared = storage::Prepared {
            driver: Driver::FuseOverlayfs,
            environment: Vec::new(),
        };
        let settings = settings(&config, prepared);
        assert_eq!(settings.workspace, Path::new("/workspace"));
        let storage = settings.storage;
        assert_eq!(storage.graph_root, Path::new("/var/lib/builder/storage"));
        assert_eq!(storage.temporary, Path::new("/var/lib/builder/tmp"));
        assert_eq!((storage.driver, storage.mount_program), ("overlay", true));
    }
}
