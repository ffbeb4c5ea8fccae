//! Flavors: which runner, how to start it, and how to read its end.

pub(crate) mod annotation;
mod certificates;
mod circleci;
mod environment;
mod error;
mod events;
mod exec;
mod github;
pub mod hook;
mod hook_page;
mod local;
mod name;
mod runner;
mod tokens;
mod user_hooks;

use std::ffi::OsString;

pub use error::FlavorError;
pub use runner::{Next, Runner, Verdict};

use crate::config::{Config, FlavorName};
use crate::secrets::{self, Store};

/// The runner of this configuration; nothing is started yet.
///
/// # Errors
/// [`FlavorError`] if a setting or a secret of the flavor is missing or wrong.
pub(crate) fn prepare(
    config: &Config,
    storage: &[(OsString, OsString)],
    secrets: Store,
) -> Result<Box<dyn Runner>, FlavorError> {
    let environment = environment::build(config, storage)?;
    Ok(match config.flavor {
        FlavorName::Github => Box::new(github::Github::prepare(config, environment, secrets)?),
        FlavorName::Circleci => {
            Box::new(circleci::Circleci::prepare(config, environment, secrets)?)
        }
        FlavorName::Local => Box::new(local::prepare(config, environment, &secrets)?),
        FlavorName::Exec => Box::new(exec::prepare(config, environment, &secrets)?),
    })
}

/// Returns the key of the staged secret that identifies the runner to its CI service, if the flavor has one.
#[must_use]
pub fn own_token(flavor: FlavorName) -> Option<&'static str> {
    match flavor {
        FlavorName::Github => Some(github::TOKEN),
        FlavorName::Circleci => Some(circleci::TOKEN),
        FlavorName::Local | FlavorName::Exec => None,
    }
}

/// Checks what the runner of this configuration needs: its program, the form and expiry of its tokens, its address.
///
/// It starts nothing, and takes or removes no secret.
///
/// # Errors
/// [`FlavorError`] for the first that is missing or wrong.
pub fn look(config: &Config) -> Result<(), FlavorError> {
    let mut secrets = secrets::peek(&config.secrets)?;
    match config.flavor {
        FlavorName::Github => github::look(config, &mut secrets),
        FlavorName::Circleci => circleci::look(config, &mut secrets).map(|_| ()),
        FlavorName::Local | FlavorName::Exec => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_names_the_fault_and_leaves_the_secrets_in_place() {
        let secrets = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut config = Config::default();
        config.secrets.directory = secrets.path().to_owned();
        let mut problem = |flavor, key: &str, value: &str| {
            config.flavor = flavor;
            std::fs::write(secrets.path().join(key), value).unwrap();
            let text = look(&config).unwrap_err().to_string();
            assert!(secrets.path().join(key).exists());
            std::fs::remove_file(secrets.path().join(key)).unwrap();
            text
        };
        let text = problem(FlavorName::Github, "jitconfig", "ghp_0123");
        assert!(text.contains("personal access token"), "{text}");
        let text = problem(FlavorName::Circleci, "resource_class_token", "'quoted'");
        assert!(text.contains("quotes"), "{text}");
        let text = problem(FlavorName::Circleci, "resource_class_token", "0123abcd");
        assert!(text.contains("/opt/circleci/circleci-runner"), "{text}");
    }
}
