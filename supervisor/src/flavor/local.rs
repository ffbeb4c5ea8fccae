//! The flavor `local`: workflow files of a mounted repository, run by nektos/act in host mode.
//!
//! Source: act's own `--help`. Steps run as processes of this container; nothing is downloaded to start.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::signal::Signal;
use zeroize::Zeroizing;

use super::environment::{Environment, set};
use super::error::FlavorError;
use super::runner::Once;
use crate::config::{Config, Local};
use crate::secrets::{Store, pipe_secret};
use crate::workspace::RuntimeDir;
use init::reap::Ended;
use init::spawn::{Escalation, Input, Start};
use init::terminate::Cause;
use report::exit;

/// The program, looked up in PATH.
const ACT: &str = "act";

pub(super) fn prepare(
    config: &Config,
    mut environment: Environment,
    secrets: &Store,
) -> Result<Once, FlavorError> {
    let repository = &config.local.repository;
    require_workflows(repository)?;
    let runtime = RuntimeDir::new(&config.runtime_directory);
    let input = hand_over(&runtime, secrets)?;
    let secrets_file = input.as_ref().map(|_| runtime.path(SECRETS_FILE));
    // The mounted repository has its owner's uid outside the container. Without this setting, git refuses it.
    set(&mut environment, "GIT_CONFIG_COUNT", "1".into());
    set(
        &mut environment,
        "GIT_CONFIG_KEY_0",
        "safe.directory".into(),
    );
    set(&mut environment, "GIT_CONFIG_VALUE_0", "*".into());
    let start = Start {
        program: ACT.into(),
        arguments: arguments(&config.local, secrets_file.as_deref())
            .into_iter()
            .map(Into::into)
            .collect(),
        environment,
        directory: repository.clone(),
        escalation: Escalation::group(Signal::SIGINT),
        stdin: input.map_or(Input::Empty, Input::From),
        output: None,
    };
    Ok(Once::new(start, exit_code))
}

/// Returns act's exit code. After a request to end, its failure only means that it ended.
fn exit_code(ended: Ended, cause: Option<Cause>) -> u8 {
    match (ended, cause) {
        (Ended::Exited(0), _) | (_, None) => ended.code(),
        (_, Some(_)) => exit::from_signal(Signal::SIGTERM as i32),
    }
}

fn require_workflows(repository: &Path) -> Result<(), FlavorError> {
    let workflows = repository.join(".github/workflows");
    let fault = |problem: String| FlavorError::Setting {
        flavor: "local",
        problem,
    };
    let entries = std::fs::read_dir(&workflows).map_err(|error| {
        fault(format!(
            "{}: {error}; mount a repository with workflow files at {} (local.repository)",
            workflows.display(),
            repository.display()
        ))
    })?;
    let is_workflow = |name: &str| name.ends_with(".yml") || name.ends_with(".yaml");
    let found = entries
        .flatten()
        .any(|entry| is_workflow(&entry.file_name().to_string_lossy()));
    if !found {
        let directory = workflows.display();
        return Err(fault(format!("{directory} holds no .yml or .yaml file")));
    }
    Ok(())
}

/// Returns the secrets as act's stdin: YAML by name (JSON is YAML), through a pipe that is empty afterwards.
fn hand_over(runtime: &RuntimeDir, secrets: &Store) -> Result<Option<OwnedFd>, FlavorError> {
    let values = secrets.for_workflow();
    if values.is_empty() {
        return Ok(None);
    }
    let mut content = Zeroizing::new(Vec::with_capacity(capacity(secrets)));
    // Writing strings to memory cannot fail.
    let _ = serde_json::to_writer(&mut *content, &values);
    let pipe = pipe_secret(&content)?;
    // act takes the format from the file's name.
    runtime
        .link(SECRETS_FILE, "/proc/self/fd/0")
        .map_err(crate::secrets::SecretsError::from)?;
    Ok(Some(pipe.0))
}

/// Returns the size in bytes of all values with every character escaped, so that the buffer is never reallocated.
fn capacity(secrets: &Store) -> usize {
    let each =
        |(key, value): (&str, &crate::secrets::Secret)| 6 * (key.len() + value.expose().len()) + 8;
    secrets.for_workflow().into_iter().map(each).sum::<usize>() + 2
}

const SECRETS_FILE: &str = "secrets.yml";

fn arguments(local: &Local, secrets_file: Option<&Path>) -> Vec<String> {
    let mut arguments = vec![local.event.clone()];
    let mut add = |flag: &str, value: &str| {
        arguments.push(flag.to_owned());
        arguments.push(value.to_owned());
    };
    add("--directory", &local.repository.to_string_lossy());
    for label in &local.labels {
        add("--platform", &format!("{label}=-self-hosted"));
    }
    if let Some(job) = &local.job {
        add("--job", job);
    }
    if let Some(path) = secrets_file {
        add("--secret-file", &path.to_string_lossy());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_runs_on_the_host_and_no_secret_is_an_argument() {
        let local = Local {
            labels: vec!["ubuntu-latest".to_owned()],
            job: Some("build".to_owned()),
            ..Config::default().local
        };
        let expected = "push --directory /repository --platform ubuntu-latest=-self-hosted \
            --job build --secret-file /run/supervisor/secrets.yml";
        let secrets_file = Path::new("/run/supervisor/secrets.yml");
        assert_eq!(arguments(&local, Some(secrets_file)).join(" "), expected);
    }

    #[test]
    fn a_terminated_job_ends_with_143_unless_it_had_succeeded() {
        let asked = Some(Cause::Requested);
        assert_eq!(exit_code(Ended::Exited(1), asked), 143);
        assert_eq!(exit_code(Ended::Exited(0), asked), 0);
        assert_eq!(exit_code(Ended::Exited(3), None), 3);
    }

    #[test]
    fn a_repository_without_workflows_is_an_error_with_its_remedy() {
        let repository = tempfile::tempdir().unwrap();
        let text = require_workflows(repository.path())
            .unwrap_err()
            .to_string();
        assert!(
            text.contains(".github/workflows") && text.contains("local.repository"),
            "{text}"
        );
    }
}
