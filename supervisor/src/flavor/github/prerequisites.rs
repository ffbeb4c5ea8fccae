//! What the runner needs before it starts: credentials, its program, and hooks that can be called.

use super::credentials::Credentials;
use super::root;
use crate::config::Config;
use crate::flavor::environment::Environment;
use crate::flavor::error::FlavorError;
use crate::flavor::user_hooks::UserHooks;
use crate::secrets::Store;

/// Checks what the runner needs, and removes its credentials from the staged secrets.
pub(super) fn require(
    config: &Config,
    secrets: &mut Store,
    environment: &Environment,
) -> Result<Credentials, FlavorError> {
    let settings = &config.github;
    let url = settings.url.as_deref();
    let credentials = Credentials::from_store(url, &config.secrets.directory, secrets)?;
    root::require(&settings.directory)?;
    let hooks = UserHooks {
        github: settings,
        env: &config.runner.env,
    };
    hooks.require(environment)?;
    Ok(credentials)
}
