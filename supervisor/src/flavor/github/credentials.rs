//! The runner's identity: a JIT configuration, or a registration token with an address.

use std::path::Path;

use crate::flavor::error::FlavorError;
use crate::flavor::tokens;
use crate::secrets::{Secret, Store};

/// The Secret's keys.
pub(in crate::flavor) const JIT: &str = "jitconfig";
const REGISTRATION: &str = "registration_token";
const REMOVE: &str = "remove_token";

/// The runner's identity, and the token that removes it.
pub(super) struct Credentials {
    identity: Identity,
    remove: Option<Secret>,
}

enum Identity {
    Jit(Secret),
    Registration(Secret),
}

impl Credentials {
    /// Removes the credentials from the staged secrets and checks their form. Their errors name `directory`, the place of the
    /// staged files. A registration needs the `url`.
    pub(super) fn from_store(
        url: Option<&str>,
        directory: &Path,
        secrets: &mut Store,
    ) -> Result<Self, FlavorError> {
        let jit = tokens::remove_checked(secrets, JIT, tokens::jit)?;
        let registration = tokens::remove_checked(secrets, REGISTRATION, tokens::registration)?;
        let remove = tokens::remove_checked(secrets, REMOVE, tokens::registration)?;
        let identity = match (jit, registration) {
            (Some(jit), _) => Identity::Jit(jit),
            (None, Some(registration)) => {
                require_url(url)?;
                Identity::Registration(registration)
            }
            (None, None) => return Err(missing(directory)),
        };
        Ok(Self { identity, remove })
    }

    pub(super) fn is_jit(&self) -> bool {
        self.jit().is_some()
    }

    pub(super) fn jit(&self) -> Option<&Secret> {
        match &self.identity {
            Identity::Jit(secret) => Some(secret),
            Identity::Registration(_) => None,
        }
    }

    pub(super) fn registration(&self) -> Option<&Secret> {
        match &self.identity {
            Identity::Registration(secret) => Some(secret),
            Identity::Jit(_) => None,
        }
    }

    pub(super) fn remove(&self) -> Option<&Secret> {
        self.remove.as_ref()
    }
}

fn missing(directory: &Path) -> FlavorError {
    let directory = directory.display();
    FlavorError::Token {
        key: JIT.to_owned(),
        problem: format!(
            "is missing in {directory}; the Secret needs the key {JIT}, or {REGISTRATION} and the setting github.url"
        ),
    }
}

/// Whether an address names another port than its scheme's.
fn has_unusual_port(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    // An IPv6 address has colons of its own, in brackets.
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    let port = after_host.split_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port != if scheme == "https" { "443" } else { "80" })
}

fn require_url(url: Option<&str>) -> Result<(), FlavorError> {
    let fault = |found: &str| FlavorError::Setting {
        flavor: "github",
        problem: format!(
            "github.url {found}, expected where to register: https://github.com/OWNER/REPOSITORY, …/ORGANISATION, or …/enterprises/NAME"
        ),
    };
    let Some(url) = url else {
        return Err(fault("is not set"));
    };
    let path = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let path = path
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, path)| path.trim_matches('/'));
    match path {
        // The address becomes an argument, which every process of the container can read. So it may have no password, and the
        // error does not quote it.
        _ if url.contains('@') => Err(fault("names a user or a password")),
        _ if has_unusual_port(url) => Err(FlavorError::Setting {
            flavor: "github",
            problem: format!(
                "github.url names a port, and the runner's \"configure\" sends its requests to the port of the scheme (actions/runner 2.336.0); put a JIT configuration under {JIT}, or serve GitHub at that port"
            ),
        }),
        Some(path) if !path.is_empty() => Ok(()),
        _ => Err(fault(&format!("is \"{url}\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_needs_to_know_where() {
        let text = |url: Option<&str>| require_url(url).map_err(|error| error.to_string());
        assert!(text(None).unwrap_err().contains("github.url is not set"));
        assert!(
            text(Some("https://github.com/"))
                .unwrap_err()
                .contains("OWNER/REPOSITORY")
        );
        assert!(text(Some("OWNER/REPOSITORY")).is_err());
        let fault = text(Some("https://user:ghp_x@github.com/OWNER")).unwrap_err();
        assert!(fault.contains("a password") && !fault.contains("ghp_x"));
        assert_eq!(text(Some("https://github.com/OWNER")), Ok(()));
        assert_eq!(text(Some("https://ghes.example/enterprises/e")), Ok(()));
    }

    #[test]
    fn a_port_that_the_runner_would_not_use_is_refused() {
        for url in [
            "https://ghes.example:8443/o/r",
            "http://ghes.example:443/o/r",
            "https://[fd00::1]:3000/o/r",
        ] {
            let text = require_url(Some(url)).unwrap_err().to_string();
            assert!(text.contains("port") && text.contains(JIT), "{url}: {text}");
        }
        for url in [
            "https://ghes.example:443/o/r",
            "http://ghes.example:80/o/r",
            "https://[fd00::1]/o/r",
        ] {
            assert_eq!(require_url(Some(url)).map_err(|error| error.to_string()), Ok(()));
        }
    }

    #[test]
    fn without_any_token_both_ways_are_named() {
        let directory = Path::new("/run/secrets/ci");
        let error = Credentials::from_store(None, directory, &mut Store::default())
            .map(|_| ())
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("jitconfig") && text.contains("registration_token"),
            "{text}"
        );
    }
}
