//! `supervisor serve-builds`: prepares storage and credentials, runs the builder, and reports its end.

use tracing::error;

use crate::config::{self, Config, Driver};
use crate::outcome::{Failure, conclude};
use crate::secrets::{self, DOCKER_CONFIG, SecretsError};
use crate::storage::{self, StorageError};
use crate::workspace::{self, RuntimeDir, WorkspaceError};
use crate::{memory, publish};
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
    let own = config.builder.directories();
    let runtime = RuntimeDir::new(&config.runtime_directory);
    // A killed builder has left the link. storage::prepare makes it again.
    let _ = std::fs::remove_file(storage::policy_link(&own));
    let workspace = Workspace::open(&config.workspace.path).map_err(|source| {
        StorageError::from(WorkspaceError::Job {
            path: config.workspace.path.clone(),
            volume: config.workspace.path.clone(),
            uid: Identity::filesystem().uid,
            source,
        })
    })?;
    workspace::prepare(&own).map_err(StorageError::from)?;
    let of_storage = storage::Settings {
        graph_root: own.storage(),
        workspace: &own,
        ..storage::Settings::of_job(config)
    };
    let prepared = storage::prepare(&of_storage, None)?;
    *driver = Some(prepared.driver);
    runtime
        .directory("containers")
        .map_err(StorageError::from)?;
    let credentials = credentials(&config.secrets)?;
    let settings = settings(config, &own, prepared);
    Ok(server::serve(settings, &signals, workspace, credentials))
}

fn credentials(settings: &config::Secrets) -> Result<Credentials, SecretsError> {
    let store = secrets::peek(settings)?;
    let Some(secret) = store.get(DOCKER_CONFIG) else {
        return Ok(Credentials::default());
    };
    Credentials::of_builder(secret.expose())
        .map_err(|(line, column)| SecretsError::NotDockerConfig { line, column })
}

fn settings(config: &Config, own: &config::Workspace, prepared: storage::Prepared) -> Settings {
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
        memory: memory::settings(&config.memory, "builder"),
        storage: Storage {
            driver: storage::driver_name(prepared.driver),
            mount_program: prepared.driver == Driver::FuseOverlayfs,
            graph_root: own.storage(),
            temporary: own.temporary(),
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
        let settings = settings(&config, &config.builder.directories(), prepared);
        assert_eq!(settings.workspace, Path::new("/workspace"));
        let storage = settings.storage;
        assert_eq!(storage.graph_root, Path::new("/var/lib/builder/storage"));
        assert_eq!(storage.temporary, Path::new("/var/lib/builder/tmp"));
        assert_eq!((storage.driver, storage.mount_program), ("overlay", true));
    }
}
