//! GitHub: registers just-in-time runners, authenticated as an App or with an access token.
//!
//! Sources: <https://docs.github.com/rest/actions/self-hosted-runners> and <https://docs.github.com/rest/apps/apps>.

mod access_token;
pub mod app;
pub mod endpoint;
mod error;
mod http;
mod rate_limit;
mod rejection;
mod remedy;
mod rs256;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::secret::Secret;
pub use access_token::Credential;
use access_token::TokenCache;
use endpoint::{Endpoint, Scope};
pub use error::GithubError;
pub use http::Timeouts;
use http::{Http, Request};
pub use rejection::GithubErrorKind;

/// The greatest page size that GitHub allows.
const PAGE_SIZE: usize = 100;
/// The id of the group `Default`, which every repository, organisation and enterprise has.
const DEFAULT_GROUP: u64 = 1;

/// The settings of the runners to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerSettings {
    /// The labels that jobs name in `runs-on`: 1 to 100.
    pub labels: Vec<String>,
    /// The runner group, by name or id. `None` is the group `Default`.
    pub group: Option<String>,
    /// The directory of jobs' files, relative to the runner's directory. `None` is GitHub's default.
    pub work_folder: Option<String>,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            labels: vec!["self-hosted".to_owned()],
            group: None,
            work_folder: None,
        }
    }
}

/// A registered runner and its just-in-time configuration.
#[derive(Debug)]
pub struct RegisteredRunner {
    /// The runner's id at GitHub.
    pub id: u64,
    /// The value of `encoded_jit_config`, in base64. It starts the runner once.
    pub jit_config: Secret,
}

/// A runner in GitHub's list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedRunner {
    /// The runner's id at GitHub.
    pub id: u64,
    /// The runner's name.
    pub name: String,
    /// `online` or `offline`.
    pub status: String,
    /// Whether it runs a job.
    pub busy: bool,
    /// Whether it is removed after one job. Older servers omit this field.
    #[serde(default)]
    pub ephemeral: Option<bool>,
}

impl ListedRunner {
    /// Returns whether the runner is offline and has no job, so that removing it loses nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.status == "offline" && !self.busy
    }
}

/// A client for the runners of one repository, organisation or enterprise.
pub struct Github {
    http: Http,
    scope: Scope,
    settings: RunnerSettings,
    tokens: TokenCache,
    group: tokio::sync::OnceCell<u64>,
}

impl Github {
    /// Creates a client. It sends no request.
    ///
    /// ```
    /// use launcher::tokens::github::{Credential, Github, RunnerSettings, Timeouts, endpoint::{Endpoint, Scope}};
    /// use launcher::secret::Secret;
    ///
    /// let endpoint: Endpoint = "https://github.example".parse()?;
    /// let scope = Scope::repository("octo/cat")?;
    /// let credential = Credential::Token(Secret::new("github_pat_…".to_owned()));
    /// let github = Github::new(&endpoint, scope, credential, RunnerSettings::default(), Timeouts::default())?;
    /// # let _ = github;
    /// // let registered = github.register_runner("runner-4711").await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the system's certificates cannot be read.
    pub fn new(
        endpoint: &Endpoint,
        scope: Scope,
        credential: Credential,
        settings: RunnerSettings,
        timeouts: Timeouts,
    ) -> Result<Self, GithubError> {
        Ok(Self {
            http: Http::new(endpoint, timeouts)?,
            tokens: TokenCache::new(credential, scope.clone()),
            scope,
            settings,
            group: tokio::sync::OnceCell::new(),
        })
    }

    /// Registers a runner for one job: `POST …/actions/runners/generate-jitconfig`.
    ///
    /// # Errors
    /// [`GithubErrorKind::Exists`] if the name is taken, perhaps by an earlier request whose response was lost. Other kinds if
    /// GitHub rejects the request or is unreachable.
    pub async fn register_runner(&self, name: &str) -> Result<RegisteredRunner, GithubError> {
        #[derive(Deserialize)]
        struct Entry {
            id: u64,
        }
        #[derive(Deserialize)]
        struct JitConfig {
            runner: Entry,
            encoded_jit_config: String,
        }
        let mut body = json!({
            "name": name,
            "runner_group_id": self.group().await?,
            "labels": self.settings.labels,
        });
        if let Some(folder) = &self.settings.work_folder {
            body["work_folder"] = folder.as_str().into();
        }
        let path = self.scope.actions_path("runners/generate-jitconfig");
        let operation = format!("registering the runner \"{name}\"");
        let registered: JitConfig = self
            .call(operation.clone(), Method::POST, path, Some(body))
            .await?;
        if registered.encoded_jit_config.is_empty() {
            return Err(GithubError::malformed(
                operation,
                "\"encoded_jit_config\" is empty",
            ));
        }
        Ok(RegisteredRunner {
            id: registered.runner.id,
            jit_config: Secret::new(registered.encoded_jit_config),
        })
    }

    /// Returns the runner of this name, if GitHub has one.
    ///
    /// # Errors
    /// If GitHub rejects the request or is unreachable.
    pub async fn find(&self, name: &str) -> Result<Option<ListedRunner>, GithubError> {
        let query = format!(
            "runners?{}&per_page={PAGE_SIZE}",
            query_parameter("name", name)
        );
        let operation = format!("looking for the runner \"{name}\"");
        let page: Page = self.get(operation, &query).await?;
        // An older server ignores the parameter and returns all runners.
        Ok(page.runners.into_iter().find(|runner| runner.name == name))
    }

    /// Lists all runners.
    ///
    /// # Errors
    /// If GitHub rejects the request or is unreachable.
    pub async fn list(&self) -> Result<Vec<ListedRunner>, GithubError> {
        let mut all = Vec::new();
        for number in 1.. {
            let query = format!("runners?per_page={PAGE_SIZE}&page={number}");
            let operation = "listing the runners".to_owned();
            let page: Page = self.get(operation, &query).await?;
            let full = page.runners.len() == PAGE_SIZE;
            all.extend(page.runners);
            if !full || all.len() >= page.total_count {
                break;
            }
        }
        Ok(all)
    }

    /// Removes a runner. A missing runner is not an error.
    ///
    /// # Errors
    /// [`GithubErrorKind::Invalid`] if the runner has a job (422). Other kinds if GitHub rejects the request or is unreachable.
    pub async fn remove(&self, runner: u64) -> Result<(), GithubError> {
        let path = self.scope.actions_path(&format!("runners/{runner}"));
        let operation = format!("removing the runner {runner}");
        match self.send(operation, Method::DELETE, path, None).await {
            Err(error) if error.kind == GithubErrorKind::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Returns the id of the runner group. If the group has a name, its id is requested once.
    async fn group(&self) -> Result<u64, GithubError> {
        let Some(group) = &self.settings.group else {
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
        let operation = || format!("looking for the runner group \"{name}\"");
        let mut names = Vec::new();
        for number in 1.. {
            let query = format!("runner-groups?per_page={PAGE_SIZE}&page={number}");
            let page: Groups = self.get(operation(), &query).await?;
            if let Some(group) = page.runner_groups.iter().find(|group| group.name == name) {
                return Ok(group.id);
            }
            let full = page.runner_groups.len() == PAGE_SIZE;
            names.extend(page.runner_groups.into_iter().map(|group| group.name));
            if !full || names.len() >= page.total_count {
                break;
            }
        }
        Err(GithubError::no_group(operation(), &names, &self.scope))
    }

    /// Requests `query`, a path with parameters beneath the `actions` of the scope.
    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        operation: String,
        query: &str,
    ) -> Result<T, GithubError> {
        let path = self.scope.actions_path(query);
        self.call(operation, Method::GET, path, None).await
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        operation: String,
        method: Method,
        path: String,
        body: Option<serde_json::Value>,
    ) -> Result<T, GithubError> {
        let response = self.send(operation.clone(), method, path, body).await?;
        response.json(operation)
    }

    async fn send(
        &self,
        operation: String,
        method: Method,
        path: String,
        body: Option<serde_json::Value>,
    ) -> Result<http::Response, GithubError> {
        let request = |token| Request {
            operation: operation.clone(),
            method: method.clone(),
            path: path.clone(),
            body: body.clone(),
            token,
        };
        let token = self.tokens.get(&self.http).await?;
        let first = self.http.send(&request(token.clone()), &self.scope).await;
        match first {
            // An installation's token may be revoked before it expires. Request another token, once.
            Err(error)
                if error.kind == GithubErrorKind::Unauthorized && self.tokens.can_renew() =>
            {
                self.tokens.invalidate(&token).await;
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
    runners: Vec<ListedRunner>,
}

/// Encodes a parameter of a query.
fn query_parameter(name: &str, value: &str) -> String {
    let url = reqwest::Url::parse_with_params("http://x", [(name, value)]);
    // The base address is valid, so this cannot fail.
    url.ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default()
}
