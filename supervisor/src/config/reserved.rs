//! Environment variables that a job may not set: the supervisor's own, and those from which the vendor's runner reads its
//! settings.

use super::{ENV_PREFIX, FlavorName};

/// The runner reads tokens and settings from variables with this prefix, in upper or lower case (actions/runner,
/// `CommandSettings.cs`).
const GITHUB: &str = "ACTIONS_RUNNER_INPUT_";

/// Variables that override the machine runner's configuration file (its configuration reference) and that we set in that
/// file. The task could read a token here. A mode or prefix would undo the single task and its user.
const CIRCLECI: [&str; 10] = [
    "CIRCLECI_RUNNER_API_AUTH_TOKEN",
    "CIRCLECI_RUNNER_API_URL",
    "CIRCLECI_RUNNER_NAME",
    "CIRCLECI_RUNNER_MODE",
    "CIRCLECI_RUNNER_WORK_DIR",
    "CIRCLECI_RUNNER_CLEANUP_WORK_DIR",
    "CIRCLECI_RUNNER_COMMAND_PREFIX",
    "CIRCLECI_RUNNER_MAX_RUN_TIME",
    "CIRCLECI_RUNNER_IDLE_TIMEOUT",
    "CIRCLECI_RUNNER_ENABLE_UNSAFE_RETRIES",
];

/// Whether a variable of this name never reaches this flavor's runner.
#[must_use]
pub(crate) fn reserved(flavor: FlavorName, name: &str) -> bool {
    let ours = name.starts_with(ENV_PREFIX);
    ours || match flavor {
        FlavorName::Github => name.to_ascii_uppercase().starts_with(GITHUB),
        FlavorName::Circleci => CIRCLECI.contains(&name),
        FlavorName::Local | FlavorName::Exec => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flavor_reserves_its_runners_variables() {
        for (flavor, name, expected) in [
            (FlavorName::Exec, "SUPERVISOR_FLAVOR", true),
            (FlavorName::Github, "SUPERVISOR_FLAVOR", true),
            (FlavorName::Github, "ACTIONS_RUNNER_INPUT_TOKEN", true),
            (FlavorName::Github, "actions_runner_input_jitconfig", true),
            (FlavorName::Github, "ACTIONS_RUNNER_HOOK_JOB_STARTED", false),
            (FlavorName::Exec, "ACTIONS_RUNNER_INPUT_TOKEN", false),
            (FlavorName::Circleci, "CIRCLECI_RUNNER_COMMAND_PREFIX", true),
            (FlavorName::Circleci, "CIRCLECI_RUNNER_LOGGING_LEVEL", false),
            (FlavorName::Github, "CIRCLECI_RUNNER_MODE", false),
        ] {
            assert_eq!(reserved(flavor, name), expected, "{name}");
        }
    }
}
