//! The address of GitHub's API, and the scope of runners: a repository, organisation or enterprise.

use std::str::FromStr;

use reqwest::Url;

/// An invalid address or name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EndpointError {
    /// The text is not the address of a GitHub server.
    #[error(
        "\"{text}\" is not the address of a GitHub server: {reason}; expected https://github.com, or an address as in https://github.example"
    )]
    Url {
        /// The invalid address.
        text: String,
        /// The reason.
        reason: String,
    },
    /// The text is not a repository's name.
    #[error("expected OWNER/REPOSITORY, found \"{0}\"")]
    Repository(String),
    /// The text is not the name of an organisation or enterprise.
    #[error("expected the name of an organisation or enterprise as in its address, found \"{0}\"")]
    Name(String),
}

/// A GitHub server: github.com, a host with data residency (ghe.com), or an Enterprise Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    api: Url,
}

impl Endpoint {
    /// Returns the address of the API, without a slash at the end.
    #[must_use]
    pub fn api(&self) -> &str {
        self.api.as_str().trim_end_matches('/')
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        // A test parses this address.
        #[allow(clippy::expect_used)]
        "https://github.com".parse().expect("a valid address")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Parses the address that a browser shows.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let invalid = |reason: &str| EndpointError::Url {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let mut url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        match url.scheme() {
            "https" => {}
            // For tests and tunnels. The token does not leave this machine.
            "http" if local => {}
            _ => return Err(invalid("a token is sent over https only")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it must not contain a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it must not contain a query or fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        let dotcom = matches!(
            host.as_str(),
            "github.com" | "www.github.com" | "api.github.com"
        );
        let api_host = if dotcom {
            Some("api.github.com".to_owned())
        } else {
            let own = host.strip_suffix(".ghe.com");
            own.map(|own| format!("api.{}.ghe.com", own.trim_start_matches("api.")))
        };
        let path = match (api_host, path.as_str()) {
            (Some(host), "") => {
                url.set_host(Some(&host))
                    .map_err(|error| invalid(&error.to_string()))?;
                "/"
            }
            (None, "" | "/api/v3") => "/api/v3",
            _ => {
                return Err(invalid(
                    "it must not contain a path; name the repository with --repo or the organisation with --org",
                ));
            }
        };
        url.set_path(path);
        Ok(Self { api: url })
    }
}

/// The repository, organisation or enterprise that a runner is registered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A repository.
    Repository {
        /// The user or organisation that owns it.
        owner: String,
        /// Its name.
        name: String,
    },
    /// An organisation, by its name.
    Organisation(String),
    /// An enterprise, by its slug.
    Enterprise(String),
}

impl Scope {
    /// Parses `OWNER/REPOSITORY`.
    ///
    /// # Errors
    /// If the text has another form.
    pub fn repository(text: &str) -> Result<Self, EndpointError> {
        match text.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => Ok(Self::Repository {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(EndpointError::Repository(text.to_owned())),
        }
    }

    /// Parses an organisation's name.
    ///
    /// # Errors
    /// If the text has characters that names cannot have.
    pub fn organisation(text: &str) -> Result<Self, EndpointError> {
        checked_name(text).map(Self::Organisation)
    }

    /// Parses an enterprise's slug.
    ///
    /// # Errors
    /// If the text has characters that slugs cannot have.
    pub fn enterprise(text: &str) -> Result<Self, EndpointError> {
        checked_name(text).map(Self::Enterprise)
    }

    /// Returns the API path: `/repos/OWNER/REPOSITORY`, `/orgs/NAME` or `/enterprises/NAME`.
    pub(super) fn root(&self) -> String {
        match self {
            Self::Repository { owner, name } => format!("/repos/{owner}/{name}"),
            Self::Organisation(name) => format!("/orgs/{name}"),
            Self::Enterprise(name) => format!("/enterprises/{name}"),
        }
    }

    /// Returns an API path beneath `…/actions`.
    pub(super) fn actions_path(&self, rest: &str) -> String {
        format!("{}/actions/{rest}", self.root())
    }

    /// Returns the scope as a phrase for messages, as in "the organisation octo".
    pub(super) fn description(&self) -> String {
        match self {
            Self::Repository { owner, name } => format!("the repository {owner}/{name}"),
            Self::Organisation(name) => format!("the organisation {name}"),
            Self::Enterprise(name) => format!("the enterprise {name}"),
        }
    }
}

fn checked_name(text: &str) -> Result<String, EndpointError> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(EndpointError::Name(text.to_owned()))
    }
}

/// Returns whether a text has only characters that GitHub allows in names. They are all literal in a path.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.chars().all(allowed) && text != "." && text != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_address_of_each_kind_of_server() {
        for (address, api) in [
            ("https://github.com", "https://api.github.com"),
            ("https://api.github.com/", "https://api.github.com"),
            ("https://octo.ghe.com", "https://api.octo.ghe.com"),
            ("https://github.example", "https://github.example/api/v3"),
            (
                "https://github.example:8443/api/v3/",
                "https://github.example:8443/api/v3",
            ),
            ("http://127.0.0.1:1", "http://127.0.0.1:1/api/v3"),
        ] {
            assert_eq!(address.parse::<Endpoint>().unwrap().api(), api);
        }
        assert_eq!(Endpoint::default().api(), "https://api.github.com");
    }

    #[test]
    fn invalid_addresses_are_rejected() {
        for bad in [
            "github.com",
            "http://github.example",
            "https://github.com/octo/cat",
            "https://me:x@github.example",
            "https://github.example/?a",
            "ftp://github.com",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_cannot_change_the_path() {
        for bad in [
            "", "cat", "a/b/c", "../x", "a/..", "a/b?c", "a/b c", "a%2f/b",
        ] {
            assert!(Scope::repository(bad).is_err(), "{bad}");
        }
        assert!(Scope::organisation("a/b").is_err());
        let scope = Scope::repository("octo/cat.rs").unwrap();
        assert_eq!(
            scope.actions_path("runners"),
            "/repos/octo/cat.rs/actions/runners"
        );
    }
}
