//! Plans secrets and ssh agents of a build.

use super::{FlagArgument, Parsed, Planner, Rejected, Resources};
use crate::variables::{AGENT, SecretFlag};

/// The most keys of one `--ssh`. Each is a mount in the sandbox.
const MAX_KEYS: usize = 64;

impl Planner<'_> {
    /// Reads `--secret` and `--ssh`.
    pub(super) fn secrets(
        &self,
        parsed: &Parsed,
        resources: &mut Resources<'_>,
    ) -> Result<Vec<FlagArgument>, Rejected> {
        let mut flags = Vec::new();
        for given in parsed.values("secret") {
            let secret = SecretFlag::parse(given);
            let id = secret.id.ok_or(Rejected::SecretWithoutId)?;
            let path = self.secret(id, &secret, resources)?;
            flags.push(FlagArgument::new("secret", format!("id={id},src={path}")));
        }
        for given in parsed.values("ssh") {
            let (id, paths) = self.ssh(given)?;
            if paths.split(',').nth(MAX_KEYS).is_some() {
                return Err(Rejected::TooManyKeys(id.to_owned()));
            }
            let paths = paths.split(',').map(|path| {
                let relative = self.relative(path)?;
                Ok(resources.add_input(relative))
            });
            let paths = paths.collect::<Result<Vec<String>, Rejected>>()?;
            let value = format!("{id}={}", paths.join(","));
            flags.push(FlagArgument::new("ssh", value));
        }
        Ok(flags)
    }

    /// Copies a secret: a file, a variable of the job, or a file with the name of its id.
    fn secret(
        &self,
        id: &str,
        secret: &SecretFlag<'_>,
        resources: &mut Resources<'_>,
    ) -> Result<String, Rejected> {
        let variable = secret.variable();
        let value = variable.and_then(|name| self.hello.environment.get(name));
        match (secret.file, value) {
            (Some(path), _) => resources.copy_file("secret", &self.relative(path)?),
            (None, Some(value)) => resources.add_file("secret", value.clone().into_bytes()),
            (None, None) => {
                let copied = resources.copy_file("secret", &self.relative(id)?);
                copied.map_err(|_| Rejected::NoSecret(id.to_owned()))
            }
        }
    }

    /// Returns the id of `--ssh`, and the paths of its keys or of the agent's socket.
    fn ssh<'a>(&'a self, given: &'a str) -> Result<(&'a str, &'a str), Rejected> {
        let (id, paths) = given.split_once('=').unwrap_or((given, ""));
        if !paths.is_empty() {
            return Ok((id, paths));
        }
        match self.hello.environment.get(AGENT) {
            Some(agent) => Ok((id, agent)),
            None => Err(Rejected::NoAgent(id.to_owned())),
        }
    }
}
