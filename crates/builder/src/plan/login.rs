//! Plans logins: they change the job's own credentials, never the builder's.

use zeroize::Zeroizing;

use super::{FlagArgument, Operation, Parsed, Planner, Rejected, passed_on};
use crate::operation::{Grants, Stdin};
use dockerfile::is_registry;

impl Planner<'_> {
    pub(super) fn login(&self, parsed: &Parsed) -> Result<Operation, Rejected> {
        let [given] = &parsed.positional[..] else {
            return Err(Rejected::Arguments("one registry after login"));
        };
        let registry = given.trim_start_matches("https://").trim_end_matches('/');
        if !is_registry(registry) {
            return Err(Rejected::Registry(given.clone()));
        }
        let only_prints = parsed.on("get-login");
        let stdin = if let Some(password) = parsed.last("password") {
            Stdin::Given(Zeroizing::new(password.as_bytes().to_vec()))
        } else if parsed.on("password-stdin") {
            Stdin::Client
        } else if only_prints {
            Stdin::Nothing
        } else {
            return Err(Rejected::NoPassword);
        };
        if !only_prints && parsed.last("username").is_none() {
            return Err(Rejected::NoUsername);
        }
        let password = (!only_prints).then(|| FlagArgument::new("password-stdin", "true"));
        let operation = self.change_login("login", parsed, password, Some(registry));
        Ok(Operation { stdin, ..operation })
    }

    pub(super) fn logout(&self, parsed: &Parsed) -> Result<Operation, Rejected> {
        let registry = match &parsed.positional[..] {
            [] if parsed.on("all") => None,
            [registry] if is_registry(registry) => Some(registry.as_str()),
            _ => {
                return Err(Rejected::Arguments("one registry or --all after logout"));
            }
        };
        Ok(self.change_login("logout", parsed, None, registry))
    }

    fn change_login(
        &self,
        verb: &'static str,
        parsed: &Parsed,
        password: Option<FlagArgument>,
        registry: Option<&str>,
    ) -> Operation {
        let mut command = passed_on(verb, parsed);
        let authfile = self.paths.authfile().display().to_string();
        command.flags.extend(password);
        command.flags.push(FlagArgument::new("authfile", authfile));
        command.positional.extend(registry.map(str::to_owned));
        Operation {
            grants: Grants {
                login: true,
                ..Grants::default()
            },
            ..self.operation(command)
        }
    }
}
