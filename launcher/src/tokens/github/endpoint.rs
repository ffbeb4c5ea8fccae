//! Where GitHub is, and for whom runners are registered.

use std::str::FromStr;

use reqwest::Url;

/// What is wrong with an address or a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SiteError {
    /// Not the address of a GitHub.
    #[error(
        "\"{text}\" is not the address of a GitHub ({why}): it is https://github.com, or your server's, as in https://github.example"
    )]
    Url {
        /// The address.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// Not a repository's name.
    #[error("\"{0}\" is not a repository: it is OWNER/REPOSITORY")]
    Repository(String),
    /// Not an organisation's or enterprise's name.
    #[error("\"{0}\" is not the name of an organisation or enterprise, as it is in their address")]
    Name(String),
}

/// A GitHub: github.com, one with data residency (ghe.com), or an Enterprise Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    api: Url,
}

impl Site {
    /// The API's address, without a slash at its end.
    #[must_use]
    pub fn api(&self) -> &str {
        self.api.as_str().trim_end_matches('/')
    }
}

impl Default for Site {
    fn default() -> Self {
        // The address of GitHub itself is one.
        #[allow(clippy::expect_used)]
        "https://github.com".parse().expect("an address")
    }
}

impl FromStr for Site {
    type Err = SiteError;

    /// From the address that a browser shows.
    fn from_str(text: &str) -> Result<Self, SiteError> {
        let wrong = |why: &str| SiteError::Url {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        match url.scheme() {
            "https" => {}
            // For tests and tunnels: the token stays on this machine.
            "http" if here => {}
            _ => return Err(wrong("a token needs https")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a name or password is no part of it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("nothing may follow a ? or #"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        let dotcom = matches!(
            host.as_str(),
            "github.com" | "www.github.com" | "api.github.com"
        );
        let moved = if dotcom {
            Some("api.github.com".to_owned())
        } else {
            let own = host.strip_suffix(".ghe.com");
            own.map(|own| format!("api.{}.ghe.com", own.trim_start_matches("api.")))
        };
        let path = match (moved, path.as_str()) {
            (Some(host), "") => {
                url.set_host(Some(&host))
                    .map_err(|error| wrong(&error.to_string()))?;
                "/"
            }
            (None, "" | "/api/v3") => "/api/v3",
            _ => {
                return Err(wrong(
                    "a repository or organisation is given by --repo or --org",
                ));
            }
        };
        url.set_path(path);
        Ok(Self { api: url })
    }
}

/// For whom a runner works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `OWNER/REPOSITORY`.
    Repository {
        /// A user or organisation.
        owner: String,
        /// The repository.
        name: String,
    },
    /// An organisation.
    Organisation(String),
    /// An enterprise, by its slug.
    Enterprise(String),
}

impl Scope {
    /// From `OWNER/REPOSITORY`.
    ///
    /// # Errors
    /// Where it is not of this form.
    pub fn repository(text: &str) -> Result<Self, SiteError> {
        match text.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => Ok(Self::Repository {
                owner: owner.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(SiteError::Repository(text.to_owned())),
        }
    }

    /// From an organisation's name.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn organisation(text: &str) -> Result<Self, SiteError> {
        named(text).map(Self::Organisation)
    }

    /// From an enterprise's slug.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub fn enterprise(text: &str) -> Result<Self, SiteError> {
        named(text).map(Self::Enterprise)
    }

    /// `/repos/OWNER/REPOSITORY`, `/orgs/NAME` or `/enterprises/NAME`.
    #[must_use]
    pub fn root(&self) -> String {
        match self {
            Self::Repository { owner, name } => format!("/repos/{owner}/{name}"),
            Self::Organisation(name) => format!("/orgs/{name}"),
            Self::Enterprise(name) => format!("/enterprises/{name}"),
        }
    }

    /// A path beneath `…/actions`.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("{}/actions/{rest}", self.root())
    }

    /// As a sentence has it.
    #[must_use]
    pub fn described(&self) -> String {
        match self {
            Self::Repository { owner, name } => format!("the repository {owner}/{name}"),
            Self::Organisation(name) => format!("the organisation {name}"),
            Self::Enterprise(name) => format!("the enterprise {name}"),
        }
    }
}

fn named(text: &str) -> Result<String, SiteError> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(SiteError::Name(text.to_owned()))
    }
}

/// What GitHub allows in names, none of which means anything else in a path.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.chars().all(allowed) && text != "." && text != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_github_has_its_api() {
        for (site, api) in [
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
            assert_eq!(site.parse::<Site>().unwrap().api(), api);
        }
        assert_eq!(Site::default().api(), "https://api.github.com");
    }

    #[test]
    fn what_is_no_github_is_refused() {
        for bad in [
            "github.com",
            "http://github.example",
            "https://github.com/octo/cat",
            "https://me:x@github.example",
            "https://github.example/?a",
            "ftp://github.com",
        ] {
            assert!(bad.parse::<Site>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        for bad in [
            "", "cat", "a/b/c", "../x", "a/..", "a/b?c", "a/b c", "a%2f/b",
        ] {
            assert!(Scope::repository(bad).is_err(), "{bad}");
        }
        assert!(Scope::organisation("a/b").is_err());
        let scope = Scope::repository("octo/cat.rs").unwrap();
        assert_eq!(scope.path("runners"), "/repos/octo/cat.rs/actions/runners");
    }
}
