//! GitHub: a just-in-time configuration for one job, by an App or an access token.
//!
//! The paths are those of
//! <https://docs.github.com/rest/actions/self-hosted-runners> and <https://docs.github.com/rest/apps/apps>.

mod access_token;
pub mod app;
pub mod endpoint;
mod error;
mod http;
mod rate_limit;
mod rs256;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::secret::Secret;
pub use access_token::Credential;
use access_token::Tokens;
use endpoint::{Scope, Site};
pub use error::{Cause, GithubError};
pub use http::Patience;
use http::{Http, Request};

/// GitHub's page size at most.
const PAGE: usize = 100;
/// The group that every repository, organisation and enterprise has.
const DEFAULT_GROUP: u64 = 1;

/// Which runner a job gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// What jobs ask for in `runs-on`.
    pub labels: Vec<String>,
    /// Its group: a name or an id. A repository's runners are in the default group.
    pub group: Option<String>,
    /// The directory for jobs' files, relative to the runner's.
    pub work_folder: Option<String>,
}

impl Default for Runner {
    fn default() -> Self {
        Self {
            labels: vec!["self-hosted".to_owned()],
            group: None,
            work_folder: None,
        }
    }
}

/// A runner that GitHub knows, and what starts it once.
#[derive(Debug)]
pub struct Minted {
    /// Its id in GitHub's list.
    pub runner: u64,
    /// The value for `jitconfig`.
    pub config: Secret,
}

/// An entry of GitHub's list of runners.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `online` or `offline`.
    pub status: String,
    /// Whether it has a job.
    pub busy: bool,
    /// Whether it is for one job. Older servers do not say.
    #[serde(default)]
    pub ephemeral: Option<bool>,
}

impl Listed {
    /// Whether nothing is lost with it: it neither listens nor works.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.status == "offline" && !self.busy
    }
}

/// A client for one repository, organisation or enterprise.
pub struct Github {
    http: Http,
    scope: Scope,
    runner: Runner,
    tokens: Tokens,
    group: tokio::sync::OnceCell<u64>,
}

impl Github {
    /// A client. Nothing is sent yet.
    ///
    /// ```
    /// use launcher::tokens::github::{Credential, Github, Patience, Runner, endpoint::{Scope, Site}};
    /// use launcher::secret::Secret;
    ///
    /// let site: Site = "https://github.example".parse()?;
    /// let scope = Scope::repository("octo/cat")?;
    /// let credential = Credential::Token(Secret::new("github_pat_…".to_owned()));
    /// let github = Github::new(&site, scope, credential, Runner::default(), Patience::default())?;
    /// # let _ = github;
    /// // let minted = github.mint("runner-4711").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the system's certificates cannot be read.
    pub fn new(
        site: &Site,
        scope: Scope,
        credential: Credential,
        runner: Runner,
        patience: Patience,
    ) -> Result<Self, GithubError> {
        Ok(Self {
            http: Http::new(site, patience)?,
            tokens: Tokens::new(credential, scope.clone()),
            scope,
            runner,
            group: tokio::sync::OnceCell::new(),
        })
    }

    /// Registers a runner for one job, `POST …/actions/runners/generate-jitconfig`.
    ///
    /// # Errors
    /// With [`Cause::Exists`] where the name is taken, perhaps by an answer that was lost on its way; else where GitHub
    /// refuses or is not there.
    pub async fn mint(&self, name: &str) -> Result<Minted, GithubError> {
        #[derive(Deserialize)]
        struct Entry {
            id: u64,
        }
        #[derive(Deserialize)]
        struct Answer {
            runner: Entry,
            encoded_jit_config: String,
        }
        let mut body = json!({
            "name": name,
            "runner_group_id": self.group().await?,
            "labels": self.runner.labels,
        });
        if let Some(folder) = &self.runner.work_folder {
            body["work_folder"] = folder.as_str().into();
        }
        let path = self.scope.path("runners/generate-jitconfig");
        let what = format!("registering the runner \"{name}\"");
        let answer: Answer = self
            .call(what.clone(), Method::POST, path, Some(body))
            .await?;
        if answer.encoded_jit_config.is_empty() {
            return Err(GithubError::malformed(
                what,
                "\"encoded_jit_config\" is empty",
            ));
        }
        Ok(Minted {
            runner: answer.runner.id,
            config: Secret::new(answer.encoded_jit_config),
        })
    }

    /// The runner of this name, if there is one.
    ///
    /// # Errors
    /// Where GitHub refuses or is not there.
    pub async fn find(&self, name: &str) -> Result<Option<Listed>, GithubError> {
        let query = format!("runners?{}&per_page={PAGE}", encoded("name", name));
        let what = format!("looking for the runner \"{name}\"");
        let page: Page = self
            .call(what, Method::GET, self.scope.path(&query), None)
            .await?;
        // A server that does not know the parameter answers with all of them.
        Ok(page.runners.into_iter().find(|runner| runner.name == name))
    }

    /// All runners.
    ///
    /// # Errors
    /// Where GitHub refuses or is not there.
    pub async fn list(&self) -> Result<Vec<Listed>, GithubError> {
        let mut all = Vec::new();
        for number in 1.. {
            let query = format!("runners?per_page={PAGE}&page={number}");
            let what = "listing the runners".to_owned();
            let page: Page = self
                .call(what, Method::GET, self.scope.path(&query), None)
                .await?;
            let full = page.runners.len() == PAGE;
            all.extend(page.runners);
            if !full || all.len() >= page.total_count {
                break;
            }
        }
        Ok(all)
    }

    /// Takes a runner off the list. One that is gone already is no error.
    ///
    /// # Errors
    /// With [`Cause::Refused`] where it has a job (422); else where GitHub refuses or is not there.
    pub async fn remove(&self, runner: u64) -> Result<(), GithubError> {
        let path = self.scope.path(&format!("runners/{runner}"));
        let what = format!("removing the runner {runner}");
        match self.send(what, Method::DELETE, path, None).await {
            Err(error) if error.cause == Cause::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The group's id, asked for once where it has a name.
    async fn group(&self) -> Result<u64, GithubError> {
        let Some(group) = &self.runner.group else {
            return Ok(DEFAULT_GROUP);
        };
        if let Ok(id) = group.parse() {
            return Ok(id);
        }
        self.group
            .get_or_try_init(|| self.find_group(group))
            .await
            .copied()
    }

    async fn find_group(&self, name: &str) -> Result<u64, GithubError> {
        #[derive(Deserialize)]
        struct Group {
            id: u64,
            name: String,
        }
        #[derive(Deserialize)]
        struct Groups {
            total_count: usize,
            runner_groups: Vec<Group>,
        }
        let what = || format!("looking for the runner group \"{name}\"");
        let mut names = Vec::new();
        for number in 1.. {
            let path = self
                .scope
                .path(&format!("runner-groups?per_page={PAGE}&page={number}"));
            let page: Groups = self.call(what(), Method::GET, path, None).await?;
            if let Some(group) = page.runner_groups.iter().find(|group| group.name == name) {
                return Ok(group.id);
            }
            let full = page.runner_groups.len() == PAGE;
            names.extend(page.runner_groups.into_iter().map(|group| group.name));
            if !full || names.len() >= page.total_count {
                break;
            }
        }
        Err(GithubError::no_group(what(), &names, &self.scope))
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        what: String,
        method: Method,
        path: String,
        body: Option<serde_json::Value>,
    ) -> Result<T, GithubError> {
        let answer = self.send(what.clone(), method, path, body).await?;
        answer.json(what)
    }

    async fn send(
        &self,
        what: String,
        method: Method,
        path: String,
        body: Option<serde_json::Value>,
    ) -> Result<http::Answer, GithubError> {
        let request = |token| Request {
            what: what.clone(),
            method: method.clone(),
            path: path.clone(),
            body: body.clone(),
            token,
        };
        let token = self.tokens.get(&self.http).await?;
        let first = self.http.send(&request(token.clone()), &self.scope).await;
        match first {
            // An installation's token may be withdrawn before its time: another is asked for, once.
            Err(error) if error.cause == Cause::Unauthorized && self.tokens.renews() => {
                self.tokens.forget(&token).await;
                let token = self.tokens.get(&self.http).await?;
                self.http.send(&request(token), &self.scope).await
            }
            other => other,
        }
    }
}

#[derive(Deserialize)]
struct Page {
    total_count: usize,
    runners: Vec<Listed>,
}

/// A parameter of a query, whatever is in it.
fn encoded(name: &str, value: &str) -> String {
    let url = reqwest::Url::parse_with_params("http://x", [(name, value)]);
    // The address is one, so there is a query.
    url.ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}
