//! `supervisor serve-builds`: the builder is given its storage and its credentials, serves, and its end is reported.

use tracing::error;

use crate::config::{Config, Driver};
use crate::outcome::{Failure, conclude};
use crate::publish;
use crate::secrets::{self, DOCKER_CONFIG, SecretsError};
use crate::storage::{self, StorageError};
use crate::workspace::{self, Private, WorkspaceError};
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
    let (mut report, failure) = match serve_until_asked(config, &mut driver) {
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

/// Notes the driver as soon as it is known, whatever fails after that.
fn serve_until_asked(config: &Config, driver: &mut Option<Driver>) -> Result<Served, Failure> {
    let signals = server::prepare_process(config.builder.client_uid)?;
    let own = config.of_builder();
    let private = Private::of(config);
    forget_policy(config);
    let workspace = Workspace::open(&config.workspace.path).map_err(|source| {
        StorageError::from(WorkspaceError::Job {
            path: config.workspace.path.clone(),
            volume: config.workspace.path.clone(),
            uid: Identity::of_files().uid,
            source,
        })
    })?;
    workspace::prepare(&own).map_err(StorageError::from)?;
    let prepared = storage::prepare(&own, None)?;
    *driver = Some(prepared.driver);
    private
        .directory("containers")
        .map_err(StorageError::from)?;
    let credentials = credentials(config)?;
    let settings = settings(config, prepared);
    Ok(server::serve(settings, &signals, workspace, credentials))
}

/// The policy's link is made anew where a builder that was killed has left it.
fn forget_policy(config: &Config) {
    let _ = std::fs::remove_file(
        config
            .of_builder()
            .workspace
            .home()
            .join(".config/containers"),
    );
}

fn credentials(config: &Config) -> Result<Credentials, SecretsError> {
    let store = secrets::look(config)?;
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
    fn layers_lie_on_the_builders_own_volume() {
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
