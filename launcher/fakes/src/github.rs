//! A fake GitHub: Apps' tokens, runners and runner groups, as <https://docs.github.com/rest> documents them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::jwt::claims;
use crate::server::{Reply, Request};

/// The one valid access token.
pub const TOKEN: &str = "github_pat_test";
/// The id of the App.
pub const APP: &str = "4711";
pub const INSTALLATION: u64 = 99;
/// The paths of the repository, organisation and enterprise that exist.
pub const ROOTS: [&str; 3] = ["/repos/octo/cat", "/orgs/octo", "/enterprises/octo-inc"];

/// A registered runner.
#[derive(Debug, Clone)]
pub struct Runner {
    pub id: u64,
    pub name: String,
    pub status: &'static str,
    pub busy: bool,
}

#[derive(Default)]
pub struct Github {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runners: BTreeMap<u64, Runner>,
    registrations: u64,
    tokens: Vec<String>,
    /// The App's public key, in PEM.
    key: Option<Vec<u8>>,
    /// How far this server's clock is ahead of the machine's, in seconds.
    skew: i64,
    /// The bodies of all registrations.
    bodies: Vec<Value>,
    /// The permissions and repositories of each token that was requested.
    token_requests: Vec<Value>,
}

impl Github {
    pub fn key(&self, public: Vec<u8>) {
        self.with(|state| state.key = Some(public));
    }

    pub fn skew(&self, seconds: i64) {
        self.with(|state| state.skew = seconds);
    }

    pub fn runners(&self) -> Vec<Runner> {
        self.with(|state| state.runners.values().cloned().collect())
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.with(|state| state.bodies.clone())
    }

    pub fn token_requests(&self) -> Vec<Value> {
        self.with(|state| state.token_requests.clone())
    }

    pub fn revoke_tokens(&self) {
        self.with(|state| state.tokens.clear());
    }

    /// The number of registrations, including those of removed runners.
    pub fn registrations(&self) -> u64 {
        self.with(|state| state.registrations)
    }

    pub fn add(&self, name: &str, status: &'static str, busy: bool) -> u64 {
        self.with(|state| state.add(name, status, busy))
    }

    /// Connects a runner by its configuration. Returns whether it is still registered.
    pub fn connect(&self, config: &str) -> bool {
        let id: u64 = config
            .strip_prefix("jit-")
            .and_then(|id| id.parse().ok())
            .unwrap_or_default();
        self.with(|state| match state.runners.get_mut(&id) {
            Some(runner) => {
                (runner.status, runner.busy) = ("online", true);
                true
            }
            None => false,
        })
    }

    /// Ends the job of an ephemeral runner, which removes the runner.
    pub fn finish_job(&self, config: &str) {
        let id: u64 = config
            .strip_prefix("jit-")
            .and_then(|id| id.parse().ok())
            .unwrap_or_default();
        self.with(|state| state.runners.remove(&id));
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    pub fn respond(&self, request: &Request) -> Reply {
        let reply = self
            .with(|state| state.respond(request))
            .unwrap_or_else(|reply| reply);
        let seconds = self.with(|state| state.now());
        let date = jiff::Timestamp::from_second(seconds).unwrap();
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        reply.header("date", &printer.timestamp_to_rfc9110_string(&date).unwrap())
    }
}

type Response = Result<Reply, Reply>;

fn reject(status: u16, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({"message": message, "documentation_url": "https://docs.github.com/rest"}),
    )
}

impl State {
    fn now(&self) -> i64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        i64::try_from(now).unwrap() + self.skew
    }

    fn add(&mut self, name: &str, status: &'static str, busy: bool) -> u64 {
        self.registrations += 1;
        let id = self.registrations;
        self.runners.insert(
            id,
            Runner {
                id,
                name: name.to_owned(),
                status,
                busy,
            },
        );
        id
    }

    fn respond(&mut self, request: &Request) -> Response {
        for (header, wanted) in [
            ("accept", "application/vnd.github+json"),
            ("x-github-api-version", "2022-11-28"),
        ] {
            if request.header(header) != wanted {
                return Err(reject(
                    400,
                    &format!("{header} is \"{}\"", request.header(header)),
                ));
            }
        }
        if request.header("user-agent").is_empty() {
            return Err(reject(
                403,
                "Request forbidden by administrative rules: no User-Agent",
            ));
        }
        let path = request
            .path
            .strip_prefix("/api/v3")
            .ok_or_else(|| reject(404, "Not Found"))?;
        let bearer = request
            .header("authorization")
            .strip_prefix("Bearer ")
            .unwrap_or_default()
            .to_owned();
        if path.ends_with("/installation") || path.starts_with("/app/") {
            self.app(&bearer)?;
            return self.app_request(request, path);
        }
        if bearer != TOKEN && !self.tokens.contains(&bearer) {
            return Err(reject(401, "Bad credentials"));
        }
        let root = ROOTS
            .iter()
            .find(|root| path.starts_with(&format!("{root}/")));
        let root = root.ok_or_else(|| reject(404, "Not Found"))?;
        self.runner_request(request, root, &path[root.len()..])
    }

    /// Checks an App's own token as GitHub does.
    fn app(&self, bearer: &str) -> Result<(), Reply> {
        let key = self
            .key
            .as_ref()
            .ok_or_else(|| reject(401, "A JSON web token could not be decoded"))?;
        let claims = claims(bearer, key, APP)
            .ok_or_else(|| reject(401, "A JSON web token could not be decoded"))?;
        let (iat, exp) = (
            claims["iat"].as_i64().unwrap(),
            claims["exp"].as_i64().unwrap(),
        );
        let now = self.now();
        if iat > now {
            return Err(reject(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        if exp <= now {
            return Err(reject(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            ));
        }
        if exp > now + 600 {
            return Err(reject(
                401,
                "'Expiration time' claim ('exp') is too far in the future",
            ));
        }
        Ok(())
    }

    fn app_request(&mut self, request: &Request, path: &str) -> Response {
        if request.method == "GET"
            && ROOTS[..2]
                .iter()
                .any(|root| path == format!("{root}/installation"))
        {
            return Ok(Reply::json(
                200,
                &json!({"id": INSTALLATION, "account": {"login": "octo"}}),
            ));
        }
        if request.method != "POST"
            || path != format!("/app/installations/{INSTALLATION}/access_tokens")
        {
            return Err(reject(404, "Not Found"));
        }
        let body = request.json();
        let known = ["repositories", "repository_ids", "permissions"];
        let unknown = body
            .as_object()
            .and_then(|body| body.keys().find(|key| !known.contains(&key.as_str())));
        if let Some(key) = unknown {
            return Err(reject(422, &format!("\"{key}\" is not a permitted key.")));
        }
        self.token_requests.push(body);
        let token = format!("ghs_{}", self.token_requests.len());
        self.tokens.push(token.clone());
        let expires = jiff::Timestamp::from_second(self.now() + 3600).unwrap();
        let expires = expires.to_string();
        Ok(Reply::json(
            201,
            &json!({"token": token, "expires_at": expires, "permissions": {}}),
        ))
    }

    fn runner_request(&mut self, request: &Request, root: &str, path: &str) -> Response {
        let rest = path
            .strip_prefix("/actions/")
            .ok_or_else(|| reject(404, "Not Found"))?;
        match (request.method.as_str(), rest) {
            ("POST", "runners/generate-jitconfig") => self.register(&request.json(), root),
            ("GET", "runners") => self.list(request),
            ("GET", "runner-groups") if !root.starts_with("/repos") => Ok(groups(request)),
            ("DELETE", rest) => {
                let id = rest.strip_prefix("runners/").and_then(|id| id.parse().ok());
                self.remove(id.ok_or_else(|| reject(404, "Not Found"))?)
            }
            _ => Err(reject(404, "Not Found")),
        }
    }

    fn register(&mut self, body: &Value, root: &str) -> Response {
        validate(body).map_err(|reason| reject(422, &format!("Invalid request.\n\n{reason}")))?;
        let group = body["runner_group_id"].as_u64().unwrap();
        if (root.starts_with("/repos") && group != 1) || group > 200 {
            return Err(reject(404, "Not Found"));
        }
        let name = body["name"].as_str().unwrap();
        if self.runners.values().any(|runner| runner.name == name) {
            return Err(reject(
                409,
                &format!("Already exists - A runner with the name \"{name}\" already exists."),
            ));
        }
        self.bodies.push(body.clone());
        let id = self.add(name, "offline", false);
        Ok(Reply::json(
            201,
            &json!({
                "runner": {"id": id, "name": name, "os": "unknown", "status": "offline", "busy": false, "labels": [], "runner_group_id": group},
                "encoded_jit_config": format!("jit-{id}"),
            }),
        ))
    }

    fn list(&self, request: &Request) -> Response {
        let wanted = request.query.get("name");
        let all: Vec<Value> = self
            .runners
            .values()
            .filter(|runner| wanted.is_none_or(|name| *name == runner.name))
            .map(|r| json!({"id": r.id, "name": r.name, "os": "linux", "status": r.status, "busy": r.busy, "labels": []}))
            .collect();
        Ok(Reply::json(
            200,
            &json!({"total_count": all.len(), "runners": page(request, &all)}),
        ))
    }

    fn remove(&mut self, id: u64) -> Response {
        match self.runners.get(&id) {
            None => Err(reject(404, "Not Found")),
            Some(runner) if runner.busy => Err(reject(
                422,
                "Runner is currently running a job and cannot be deleted.",
            )),
            Some(_) => {
                self.runners.remove(&id);
                Ok(Reply {
                    status: 204,
                    headers: Vec::new(),
                    content: crate::server::Content::Whole(Vec::new()),
                })
            }
        }
    }
}

/// Validates a registration's body against the published schema.
fn validate(body: &Value) -> Result<(), String> {
    let body = body.as_object().ok_or("it is not an object")?;
    for key in ["name", "runner_group_id", "labels"] {
        if !body.contains_key(key) {
            return Err(format!("object is missing required key: {key}"));
        }
    }
    for (key, value) in body {
        let valid = match key.as_str() {
            "name" => value
                .as_str()
                .is_some_and(|name| !name.is_empty() && name.len() <= 64),
            "runner_group_id" => value.is_u64(),
            "labels" => value.as_array().is_some_and(|labels| {
                (1..=100).contains(&labels.len()) && labels.iter().all(Value::is_string)
            }),
            "work_folder" => value.is_string(),
            _ => return Err(format!("\"{key}\" is not a permitted key.")),
        };
        if !valid {
            return Err(format!(
                "For 'properties/{key}', {value} is not of its type."
            ));
        }
    }
    Ok(())
}

/// Lists 150 groups, which need two pages.
fn groups(request: &Request) -> Reply {
    let all: Vec<Value> = (1..=150).map(|id| json!({"id": id, "name": format!("group-{id}"), "visibility": "all", "default": id == 1})).collect();
    Reply::json(
        200,
        &json!({"total_count": all.len(), "runner_groups": page(request, &all)}),
    )
}

fn page(request: &Request, all: &[Value]) -> Vec<Value> {
    let number = |key: &str, default| {
        request
            .query
            .get(key)
            .map_or(default, |text| text.parse().unwrap())
    };
    let (size, page): (usize, usize) = (number("per_page", 30).min(100), number("page", 1));
    all.iter()
        .skip(size * (page - 1))
        .take(size)
        .cloned()
        .collect()
}
