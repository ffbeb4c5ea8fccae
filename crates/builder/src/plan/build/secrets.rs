//! Secrets and ssh agents of a build.

use super::{Operation, Parsed, Planner};
use crate::variables::{AGENT, Secret};

impl Planner<'_> {
    pub(super) fn secrets(&self, parsed: &Parsed, operation: &mut Operation) -> Result<(), String> {
        for given in parsed.values("secret") {
            let secret = Secret::of(given);
            let id = secret
                .id
                .ok_or_else(|| "--secret needs an id=…".to_owned())?;
            let (file, variable) = (secret.file, secret.variable());
            let value = variable.and_then(|name| self.hello.environment.get(name));
            let place = match (file, value) {
                (Some(path), _) => {
                    let relative = self.relative(path)?;
                    self.copy(operation, "secret", &relative)?
                }
                (None, Some(value)) => {
                    self.keep(operation, "secret", value.clone().into_bytes())?
                }
                (None, None) => {
                    let relative = self.relative(id)?;
                    self.copy(operation, "secret", &relative).map_err(|_| {
                        format!(
                            "--secret id={id}: there is neither a file nor a variable of that name"
                        )
                    })?
                }
            };
            operation
                .arguments
                .push(format!("--secret=id={id},src={place}"));
        }
        for given in parsed.values("ssh") {
            let (id, paths) = given.split_once('=').unwrap_or((given, ""));
            let agent = self.hello.environment.get(AGENT).cloned();
            let paths = match (paths, agent) {
                ("", Some(agent)) => agent,
                ("", None) => {
                    return Err(format!(
                        "--ssh {id}: SSH_AUTH_SOCK is not set; start ssh-agent, or name a key"
                    ));
                }
                (paths, _) => paths.to_owned(),
            };
            let places: Result<Vec<String>, String> = paths
                .split(',')
                .map(|path| Ok(self.input(operation, self.relative(path)?)))
                .collect();
            operation
                .arguments
                .push(format!("--ssh={id}={}", places?.join(",")));
        }
        Ok(())
    }
}
