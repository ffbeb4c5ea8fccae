//! The command lines and environments of `Runner.Listener`. No secret is ever an argument.

use super::Github;
use crate::flavor::environment::{Environment, set};
use crate::flavor::error::FlavorError;
use crate::flavor::name;
use crate::flavor::user_hooks::UserHooks;
use crate::secrets::Secret;

/// The longest name that GitHub takes.
const NAME_LIMIT: usize = 64;

impl Github {
    pub(super) fn configure(&self) -> (Vec<String>, Environment) {
        let settings = &self.settings;
        let mut arguments: Vec<String> = [
            "configure",
            "--unattended",
            "--ephemeral",
            "--replace",
            "--disableupdate",
        ]
        .map(str::to_owned)
        .into();
        let name = name::of(settings.name.as_deref(), NAME_LIMIT);
        let work = self.workspace.work().to_string_lossy().into_owned();
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("--url", settings.url.clone().unwrap_or_default());
        add("--name", name);
        add("--work", work);
        if !settings.labels.is_empty() {
            add("--labels", settings.labels.join(","));
        }
        if let Some(group) = &settings.group {
            add("--runnergroup", group.clone());
        }
        if settings.no_default_labels {
            arguments.push("--no-default-labels".to_owned());
        }
        (
            arguments,
            self.with_input("TOKEN", self.credentials.registration()),
        )
    }

    pub(super) fn run(&self) -> Result<(Vec<String>, Environment), FlavorError> {
        let mut environment = self.with_input("JITCONFIG", self.credentials.jit());
        for (name, value) in [
            // Without it a runner of a deprecated version ends with 1, like any other failure.
            ("ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE", "1"),
            // Puts the job's result into the exit code: hooks do not receive it.
            ("ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED", "1"),
        ] {
            set(&mut environment, name, value.into());
        }
        let hooks = UserHooks {
            github: &self.settings,
            env: &self.env,
        };
        self.events.hooks(&hooks, &self.page, &mut environment)?;
        Ok((vec!["run".to_owned()], environment))
    }

    /// `ACTIONS_RUNNER_INPUT_*`: the runner masks what is secret in them, and drops them (`CommandSettings.cs`).
    pub(super) fn with_input(&self, input: &str, secret: Option<&Secret>) -> Environment {
        let mut environment = self.environment.clone();
        if let Some(secret) = secret {
            let name = format!("ACTIONS_RUNNER_INPUT_{input}");
            set(&mut environment, &name, secret.expose().into());
        }
        environment
    }
}
