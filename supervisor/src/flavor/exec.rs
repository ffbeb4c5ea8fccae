//! The flavor `exec`: any command as the runner.

use nix::sys::signal::Signal;

use super::{Environment, FlavorError, set};
use crate::config::Config;
use crate::init::spawn::Start;
use crate::secrets::Store;

pub(super) fn start(
    config: &Config,
    mut environment: Environment,
    secrets: &Store,
) -> Result<Start, FlavorError> {
    let Some((program, arguments)) = config.exec.command.split_first() else {
        return Err(FlavorError::Setting {
            flavor: "exec",
            problem: "no command; give one after `--`, or set exec.command".to_owned(),
        });
    };
    for (name, key) in &config.secrets.environment {
        if let Some(secret) = secrets.get(key) {
            set(&mut environment, name, secret.expose().into());
        }
    }
    Ok(Start {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        environment,
        directory: config.workspace.work(),
        graceful: Signal::SIGTERM,
        stdin: None,
    })
}
