//! The flavor `exec`: any command as the runner.

use nix::sys::signal::Signal;

use super::environment::{Environment, set};
use super::error::FlavorError;
use super::runner::Once;
use crate::config::Config;
use crate::secrets::Store;
use init::spawn::{Escalation, Input, Start};

pub(super) fn prepare(
    config: &Config,
    mut environment: Environment,
    secrets: &Store,
) -> Result<Once, FlavorError> {
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
    let start = Start {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        environment,
        directory: config.workspace.work(),
        escalation: Escalation::group(Signal::SIGTERM),
        stdin: Input::Inherited,
        output: None,
    };
    Ok(Once::new(start, |ended, _| ended.code()))
}
