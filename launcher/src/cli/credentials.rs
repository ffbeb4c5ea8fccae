//! Options of the CI vendors. A token is never on a command line, where every user of the machine can read it.

use std::path::PathBuf;
use std::time::Duration;

use launcher::launch::Source;
use launcher::render::Flavor;
use launcher::secret::Secret;
use launcher::tokens::circleci;
use launcher::tokens::github::app::App;
use launcher::tokens::github::endpoint::{Scope, Site};
use launcher::tokens::github::{Credential, Github, Patience, Runner};

use super::Failure;
use super::arguments::read;

/// GitHub.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "GitHub")]
pub(super) struct GithubArguments {
    /// The runner works for this repository
    #[arg(long, value_name = "OWNER/REPO", group = "scope")]
    repo: Option<String>,
    /// … or for this organisation
    #[arg(long, group = "scope")]
    org: Option<String>,
    /// … or for this enterprise
    #[arg(long, group = "scope")]
    enterprise: Option<String>,
    /// github.com, or your own server
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://github.com",
        env = "GITHUB_SERVER_URL"
    )]
    github_url: Site,
    /// An App's id or client id
    #[arg(long, value_name = "ID", env = "GITHUB_APP_ID", requires = "app_key")]
    app_id: Option<String>,
    /// A file with its private key
    #[arg(
        long,
        value_name = "FILE",
        env = "GITHUB_APP_KEY_FILE",
        requires = "app_id"
    )]
    app_key: Option<PathBuf>,
    /// Its installation; default: that of the repository or organisation
    #[arg(
        long,
        value_name = "ID",
        env = "GITHUB_APP_INSTALLATION_ID",
        requires = "app_id"
    )]
    installation_id: Option<u64>,
    /// In place of an App: a file with an access token; default: what GITHUB_TOKEN holds
    #[arg(long, value_name = "FILE", conflicts_with = "app_id")]
    token_file: Option<PathBuf>,
    /// How long a rate limit of GitHub's is waited for, in all
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

/// The runner at GitHub.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "GitHub")]
pub(super) struct RunnerArguments {
    /// What jobs ask for in "runs-on"
    #[arg(long, value_delimiter = ',', default_value = "self-hosted")]
    labels: Vec<String>,
    /// The runner's group, by name or id, in an organisation or enterprise; default: Default
    #[arg(long, value_name = "GROUP")]
    runner_group: Option<String>,
    /// The directory for the job's files, relative to the runner's
    #[arg(long, value_name = "DIRECTORY")]
    work_folder: Option<String>,
}

/// CircleCI.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "CircleCI")]
pub(super) struct CircleciArguments {
    /// A file with the resource class's token; default: what CIRCLECI_RESOURCE_CLASS_TOKEN holds
    #[arg(long, value_name = "FILE")]
    resource_class_token_file: Option<PathBuf>,
}

impl GithubArguments {
    /// A client, where a repository, organisation or enterprise is named.
    pub(super) fn client(&self, runner: Runner) -> Result<Option<Github>, Failure> {
        let Some(scope) = self.scope()? else {
            return Ok(None);
        };
        let patience = Patience {
            limit: self.patience,
            ..Patience::default()
        };
        let credential = self.credential()?;
        let github = Github::new(&self.github_url, scope, credential, runner, patience);
        github
            .map(Some)
            .map_err(|error| Failure::from(launcher::launch::LaunchError::from(error)))
    }

    fn scope(&self) -> Result<Option<Scope>, Failure> {
        let scope = match (&self.repo, &self.org, &self.enterprise) {
            (Some(repo), ..) => Scope::repository(repo),
            (_, Some(org), _) => Scope::organisation(org),
            (.., Some(enterprise)) => Scope::enterprise(enterprise),
            (None, None, None) => return Ok(None),
        };
        scope.map(Some).map_err(Failure::usage)
    }

    fn credential(&self) -> Result<Credential, Failure> {
        if let (Some(id), Some(file)) = (&self.app_id, &self.app_key) {
            let key = Secret::new(read(file, "--app-key")?);
            let app = App::new(id, &key, self.installation_id).map_err(|error| {
                let file = file.display();
                Failure::usage(format!("--app-id {id}, --app-key {file}: {error}"))
            })?;
            return Ok(Credential::App(app));
        }
        let held = held(self.token_file.as_ref(), "--token-file", "GITHUB_TOKEN")?;
        let (token, origin) = held.ok_or_else(|| {
            Failure::usage("GitHub needs an App (--app-id, --app-key) or a token (--token-file, or GITHUB_TOKEN)")
        })?;
        let token = token.expose().trim();
        if token.is_empty() || token.contains(char::is_whitespace) {
            return Err(Failure::usage(format!(
                "{origin}: the GitHub token is empty or has white space in it: the token alone belongs there"
            )));
        }
        Ok(Credential::Token(Secret::new(token.to_owned())))
    }
}

impl RunnerArguments {
    pub(super) fn runner(&self) -> Result<Runner, Failure> {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|label| label.trim().to_owned())
            .collect();
        if labels.iter().any(String::is_empty) || labels.len() > 100 {
            return Err(Failure::usage(
                "--labels is 1 to 100 names with commas between them",
            ));
        }
        Ok(Runner {
            labels,
            group: self.runner_group.clone(),
            work_folder: self.work_folder.clone(),
        })
    }
}

/// Where a job's credential comes from.
pub(super) fn source(
    flavor: Flavor,
    secret: Option<&str>,
    github: &GithubArguments,
    runner: &RunnerArguments,
    circleci: &CircleciArguments,
) -> Result<Source, Failure> {
    if let Some(secret) = secret {
        return Ok(Source::Existing(secret.to_owned()));
    }
    match flavor {
        Flavor::Github => {
            let client = github.client(runner.runner()?)?.ok_or_else(|| {
                Failure::usage("whom does the runner work for? --repo OWNER/REPO, --org or --enterprise")
            })?;
            Ok(Source::Github(Box::new(client)))
        }
        Flavor::Circleci => circleci.token()?.map(Source::Token).ok_or_else(|| {
            Failure::usage("CircleCI needs a resource class's token: --resource-class-token-file, CIRCLECI_RESOURCE_CLASS_TOKEN, or --secret NAME")
        }),
    }
}

impl CircleciArguments {
    pub(super) fn token(&self) -> Result<Option<Secret>, Failure> {
        let option = "--resource-class-token-file";
        let file = self.resource_class_token_file.as_ref();
        let text = held(file, option, "CIRCLECI_RESOURCE_CLASS_TOKEN")?;
        text.map(|(text, origin)| {
            circleci::token(text.expose())
                .map_err(|error| Failure::usage(format!("{origin}: {error}")))
        })
        .transpose()
    }
}

/// What a file holds, or else a variable; and which it was.
fn held(
    file: Option<&PathBuf>,
    option: &str,
    variable: &str,
) -> Result<Option<(Secret, String)>, Failure> {
    let Some(file) = file else {
        let value = std::env::var(variable).ok();
        return Ok(value.map(|value| (Secret::new(value), variable.to_owned())));
    };
    let origin = format!("{option} {}", file.display());
    Ok(Some((Secret::new(read(file, option)?), origin)))
}
