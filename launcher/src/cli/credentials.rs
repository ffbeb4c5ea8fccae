//! The options for the CI vendors' credentials. No option takes a token: every user of a machine can read command lines.

use std::path::PathBuf;
use std::time::Duration;

use launcher::launch::CredentialSource;
use launcher::render::Flavor;
use launcher::secret::Secret;
use launcher::tokens::circleci;
use launcher::tokens::github::app::App;
use launcher::tokens::github::endpoint::{Endpoint, Scope};
use launcher::tokens::github::{Credential, Github, RunnerSettings, Timeouts};

use super::arguments::read;
use super::error::CliError;

/// The options for GitHub.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "GitHub")]
pub(super) struct GithubArguments {
    /// Register the runner for this repository
    #[arg(long, value_name = "OWNER/REPO", group = "scope")]
    repo: Option<String>,
    /// … or for this organisation
    #[arg(long, group = "scope")]
    org: Option<String>,
    /// … or for this enterprise
    #[arg(long, group = "scope")]
    enterprise: Option<String>,
    /// The address of github.com or of your own server
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://github.com",
        env = "GITHUB_SERVER_URL"
    )]
    github_url: Endpoint,
    /// The id or client id of a GitHub App
    #[arg(long, value_name = "ID", env = "GITHUB_APP_ID", requires = "app_key")]
    app_id: Option<String>,
    /// A file with the App's private key
    #[arg(
        long,
        value_name = "FILE",
        env = "GITHUB_APP_KEY_FILE",
        requires = "app_id"
    )]
    app_key: Option<PathBuf>,
    /// The App's installation; default: the one for the repository or organisation
    #[arg(
        long,
        value_name = "ID",
        env = "GITHUB_APP_INSTALLATION_ID",
        requires = "app_id"
    )]
    installation_id: Option<u64>,
    /// A file with an access token, in place of an App; default: the value of GITHUB_TOKEN
    #[arg(long, value_name = "FILE", conflicts_with = "app_id")]
    token_file: Option<PathBuf>,
    /// How long to wait in total for GitHub's rate limits to pass
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

/// The options for the runner at GitHub.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "GitHub")]
pub(super) struct RunnerArguments {
    /// The labels that jobs name in "runs-on"
    #[arg(long, value_delimiter = ',', default_value = "self-hosted")]
    labels: Vec<String>,
    /// The runner group, by name or id, of an organisation or enterprise; default: Default
    #[arg(long, value_name = "GROUP")]
    runner_group: Option<String>,
    /// The directory of the job's files, relative to the runner's directory
    #[arg(long, value_name = "DIRECTORY")]
    work_folder: Option<String>,
}

/// The options for CircleCI.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "CircleCI")]
pub(super) struct CircleciArguments {
    /// A file with the resource class's token; default: the value of CIRCLECI_RESOURCE_CLASS_TOKEN
    #[arg(long, value_name = "FILE")]
    resource_class_token_file: Option<PathBuf>,
}

impl GithubArguments {
    /// Returns a client, if a repository, organisation or enterprise is named.
    pub(super) fn client(&self, settings: RunnerSettings) -> Result<Option<Github>, CliError> {
        let Some(scope) = self.scope()? else {
            return Ok(None);
        };
        let timeouts = Timeouts {
            rate_limit: self.patience,
            ..Timeouts::default()
        };
        let credential = self.credential()?;
        let github = Github::new(&self.github_url, scope, credential, settings, timeouts);
        github
            .map(Some)
            .map_err(|error| CliError::from(launcher::launch::LaunchError::from(error)))
    }

    fn scope(&self) -> Result<Option<Scope>, CliError> {
        let scope = match (&self.repo, &self.org, &self.enterprise) {
            (Some(repo), ..) => Scope::repository(repo),
            (_, Some(org), _) => Scope::organisation(org),
            (.., Some(enterprise)) => Scope::enterprise(enterprise),
            (None, None, None) => return Ok(None),
        };
        scope.map(Some).map_err(CliError::usage)
    }

    fn credential(&self) -> Result<Credential, CliError> {
        if let (Some(id), Some(file)) = (&self.app_id, &self.app_key) {
            let key = Secret::new(read(file, "--app-key")?);
            let app = App::new(id, &key, self.installation_id).map_err(|error| {
                let file = file.display();
                CliError::usage(format!("--app-id {id}, --app-key {file}: {error}"))
            })?;
            return Ok(Credential::App(app));
        }
        let token = read_token(self.token_file.as_ref(), "--token-file", "GITHUB_TOKEN")?;
        let (token, origin) = token.ok_or_else(|| {
            CliError::usage("no credential for GitHub: pass --app-id and --app-key, or --token-file, or set GITHUB_TOKEN")
        })?;
        let token = token.expose().trim();
        let found = match token {
            "" => Some("an empty text"),
            _ if token.contains(char::is_whitespace) => Some("white space within it"),
            _ => None,
        };
        if let Some(found) = found {
            return Err(CliError::usage(format!(
                "{origin}: expected a GitHub token, found {found}"
            )));
        }
        Ok(Credential::Token(Secret::new(token.to_owned())))
    }
}

impl RunnerArguments {
    pub(super) fn settings(&self) -> Result<RunnerSettings, CliError> {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|label| label.trim().to_owned())
            .collect();
        if labels.iter().any(String::is_empty) || labels.len() > 100 {
            return Err(CliError::usage(
                "--labels: expected 1 to 100 names, separated by commas",
            ));
        }
        Ok(RunnerSettings {
            labels,
            group: self.runner_group.clone(),
            work_folder: self.work_folder.clone(),
        })
    }
}

/// Returns the source of the jobs' credentials.
pub(super) fn credential_source(
    flavor: Flavor,
    secret: Option<&str>,
    github: &GithubArguments,
    runner: &RunnerArguments,
    circleci: &CircleciArguments,
) -> Result<CredentialSource, CliError> {
    if let Some(secret) = secret {
        return Ok(CredentialSource::Existing(secret.to_owned()));
    }
    match flavor {
        Flavor::Github => {
            let client = github.client(runner.settings()?)?.ok_or_else(|| {
                CliError::usage("no target given: pass --repo OWNER/REPO, --org ORG or --enterprise NAME")
            })?;
            Ok(CredentialSource::Github(Box::new(client)))
        }
        Flavor::Circleci => circleci.token()?.map(CredentialSource::Token).ok_or_else(|| {
            CliError::usage("no token of a resource class: pass --resource-class-token-file FILE or --secret NAME, or set CIRCLECI_RESOURCE_CLASS_TOKEN")
        }),
    }
}

impl CircleciArguments {
    pub(super) fn token(&self) -> Result<Option<Secret>, CliError> {
        let option = "--resource-class-token-file";
        let file = self.resource_class_token_file.as_ref();
        let text = read_token(file, option, "CIRCLECI_RESOURCE_CLASS_TOKEN")?;
        text.map(|(text, origin)| {
            circleci::token(text.expose())
                .map_err(|error| CliError::usage(format!("{origin}: {error}")))
        })
        .transpose()
    }
}

/// Reads a token from a file, or from a variable if there is no file. The second value names the source in errors.
fn read_token(
    file: Option<&PathBuf>,
    option: &str,
    variable: &str,
) -> Result<Option<(Secret, String)>, CliError> {
    let Some(file) = file else {
        let value = std::env::var(variable).ok();
        return Ok(value.map(|value| (Secret::new(value), variable.to_owned())));
    };
    let origin = format!("{option} {}", file.display());
    Ok(Some((Secret::new(read(file, option)?), origin)))
}
