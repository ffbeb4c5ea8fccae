//! Variables that are ours or the vendor's runner's own way in, and so nobody's to set for the job.

use super::{ENV_PREFIX, FlavorName};

/// The runner reads tokens and answers from variables of this beginning, in any case (actions/runner,
/// `CommandSettings.cs`).
const GITHUB: &str = "ACTIONS_RUNNER_INPUT_";

/// What the machine runner takes from its environment before its file (its configuration reference), as far as the file has
/// it from us: a token would be the task's to read, and a mode or prefix would undo one task a pod and its user.
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

/// Whether a variable of this name never reaches this flavor's runner, whoever names it.
#[must_use]
pub fn reserved(flavor: FlavorName, name: &str) -> bool {
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
    fn each_flavor_keeps_its_runners_way_in() {
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
