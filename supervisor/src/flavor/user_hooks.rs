//! The user's own hooks for GitHub's runner, which our hooks call.
//!
//! A job fails if its hook cannot be called, so they are checked before the runner starts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::config::Github;
use crate::flavor::environment::Environment;
use crate::flavor::error::FlavorError;
use crate::flavor::hook::Event;

/// The runner's own variable for a hook (docs/adrs/1751-runner-job-hooks.md).
pub(super) fn variable(event: Event) -> &'static str {
    match event {
        Event::Started => "ACTIONS_RUNNER_HOOK_JOB_STARTED",
        Event::Completed => "ACTIONS_RUNNER_HOOK_JOB_COMPLETED",
    }
}

/// Where the user may have named hooks: in our settings, and in the runner's variables.
pub(super) struct UserHooks<'a> {
    pub(super) github: &'a Github,
    /// The variables that the settings give to the job.
    pub(super) env: &'a BTreeMap<String, String>,
}

impl UserHooks<'_> {
    /// Returns the user's hook: our setting, or else the runner's variable.
    pub(super) fn find(&self, event: Event, environment: &Environment) -> Option<PathBuf> {
        let set = match event {
            Event::Started => &self.github.hook_started,
            Event::Completed => &self.github.hook_completed,
        };
        let name = variable(event);
        let given = environment.iter().find(|(known, _)| known == name);
        let given = given.map(|(_, path)| path.into());
        let in_settings = || self.env.get(name).map(PathBuf::from);
        set.clone().or(given).or_else(in_settings)
    }

    /// Checks that each hook that the user named can be called.
    pub(super) fn require(&self, environment: &Environment) -> Result<(), FlavorError> {
        [Event::Started, Event::Completed]
            .into_iter()
            .filter_map(|event| self.find(event, environment))
            .try_for_each(|path| require_callable(&path))
    }
}

fn require_callable(path: &Path) -> Result<(), FlavorError> {
    // Bash reads a script; any other file is executed.
    let script = path.extension().is_some_and(|extension| extension == "sh");
    let needed = if script {
        AccessFlags::R_OK
    } else {
        AccessFlags::X_OK
    };
    let found = access(path, needed).map_err(|errno| errno.to_string());
    let found = found.and_then(|()| {
        let file = path.is_file();
        file.then_some(()).ok_or_else(|| "is not a file".to_owned())
    });
    found.map_err(|problem| FlavorError::Setting {
            flavor: "github",
            problem: format!(
                "the hook {}: {problem}; expected a script NAME.sh that can be read, or a program that can be executed (chmod +x)",
                path.display()
            ),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn require_rejects_a_hook_that_cannot_be_called() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let checked = |hook: PathBuf| {
            let github = Github {
                hook_completed: Some(hook),
                ..Github::default()
            };
            let hooks = UserHooks {
                github: &github,
                env: &BTreeMap::new(),
            };
            let found = hooks.require(&Environment::new());
            found.map_err(|error| error.to_string())
        };
        std::fs::write(path("hook.sh"), "true").unwrap();
        assert_eq!(checked(path("hook.sh")), Ok(()));
        std::fs::write(path("hook"), "#!/bin/sh").unwrap();
        assert!(checked(path("hook")).unwrap_err().contains("chmod +x"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path("hook"), mode).unwrap();
        assert_eq!(checked(path("hook")), Ok(()));
        assert!(
            checked(path("missing.sh"))
                .unwrap_err()
                .contains("No such file")
        );
        let is_directory = checked(directory.path().to_owned()).unwrap_err();
        assert!(is_directory.contains("is not a file"), "{is_directory}");
    }

    #[test]
    fn our_setting_goes_before_the_runners_variable() {
        let (mut github, mut env) = (Github::default(), BTreeMap::new());
        let mut environment = Environment::new();
        let found = |github: &Github, env: &BTreeMap<String, String>, environment: &Environment| {
            UserHooks { github, env }.find(Event::Started, environment)
        };
        assert_eq!(found(&github, &env, &environment), None);
        let name = variable(Event::Started);
        env.insert(name.to_owned(), "/a.sh".to_owned());
        assert_eq!(found(&github, &env, &environment), Some("/a.sh".into()));
        environment.push((name.into(), "/b.sh".into()));
        assert_eq!(found(&github, &env, &environment), Some("/b.sh".into()));
        github.hook_started = Some("/c.sh".into());
        assert_eq!(found(&github, &env, &environment), Some("/c.sh".into()));
    }
}
