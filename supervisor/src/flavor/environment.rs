//! The job's environment starts empty: an allow-list, a few of our own variables, and those that the user names are added.
//!
//! Other variables of Kubernetes, the image or an operator do not reach the job.

use std::ffi::OsString;

use tracing::info;

use super::certificates;
use super::error::FlavorError;
use crate::config::reserved::reserved;
use crate::config::{Config, ENV_PREFIX, FlavorName};
use crate::workspace::RuntimeDir;

/// Variables by name.
pub(super) type Environment = Vec<(OsString, OsString)>;

/// Passed on if the container has them: variables for the search of programs, for text and time, and for proxies.
const ALLOWED: [&str; 20] = [
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "ftp_proxy",
    "ImageOS",
    "ImageVersion",
];

/// Left out without a log line: service links of Kubernetes, variables of the container engine and of shells, and variables
/// that are set anew for each job.
const EXPECTED: [&str; 18] = [
    "KUBERNETES_*",
    "*_SERVICE_HOST",
    "*_SERVICE_PORT",
    "*_SERVICE_PORT_*",
    "*_PORT",
    "*_PORT_*",
    "HOSTNAME",
    "container",
    "_",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "HOME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "USER",
    "LOGNAME",
    "SHELL",
];

/// The PATH if the container has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// UTF-8, which needs no package of locales.
const LANG: &str = "C.UTF-8";

/// Returns the environment of this configuration's runner.
///
/// # Errors
/// [`FlavorError::Setting`] if `runner.ca_bundle` cannot be used.
pub(super) fn build(
    config: &Config,
    storage: &[(OsString, OsString)],
) -> Result<Environment, FlavorError> {
    let inherit = &config.runner.inherit;
    let (mut environment, left_out) = chosen(config.flavor, inherit, std::env::vars_os());
    if !left_out.is_empty() {
        info!(
            variables = left_out.join(", "),
            "not handed to the job; runner.inherit names what is"
        );
    }
    default(&mut environment, "PATH", PATH);
    default(&mut environment, "LANG", LANG);
    set(&mut environment, "HOME", config.workspace.home().into());
    set(
        &mut environment,
        "TMPDIR",
        config.workspace.temporary().into(),
    );
    // In memory: `buildah login` writes credentials there, which must not reach a disk.
    if config.runtime_directory.is_dir() {
        let directory = config.runtime_directory.clone();
        set(&mut environment, "XDG_RUNTIME_DIR", directory.into());
    }
    for (name, value) in storage {
        set(&mut environment, &name.to_string_lossy(), value.clone());
    }
    let runtime = RuntimeDir::new(&config.runtime_directory);
    let bundle = config.runner.ca_bundle.as_deref();
    for (name, value) in certificates::trusted(config.flavor, bundle, &runtime)? {
        set(&mut environment, name, value);
    }
    for (name, value) in &config.runner.env {
        set(&mut environment, name, value.into());
    }
    if proxied(&environment) {
        default(&mut environment, "NODE_USE_ENV_PROXY", "1");
    }
    Ok(environment)
}

/// Whether a variable names a proxy. Node uses it only if `NODE_USE_ENV_PROXY` is set (24.0 and 22.21).
fn proxied(environment: &Environment) -> bool {
    let names = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
    let is_proxy = |(name, value): &(OsString, OsString)| {
        !value.is_empty() && names.iter().any(|known| name == known)
    };
    environment.iter().any(is_proxy)
}

/// Returns the container's variables that the job gets, and the names of the other variables that a user may miss.
fn chosen(
    flavor: FlavorName,
    inherit: &[String],
    all: impl Iterator<Item = (OsString, OsString)>,
) -> (Environment, Vec<String>) {
    let mut environment = Environment::new();
    let mut left_out = Vec::new();
    for (name, value) in all {
        let text = name.to_string_lossy();
        let named = ALLOWED.iter().any(|pattern| matches(pattern, &text))
            || inherit.iter().any(|pattern| matches(pattern, &text));
        if name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes()) {
            continue;
        } else if named && !reserved(flavor, &text) {
            environment.push((name, value));
        } else if !EXPECTED.iter().any(|pattern| matches(pattern, &text)) {
            left_out.push(text.into_owned());
        }
    }
    left_out.sort();
    (environment, left_out)
}

/// Whether a name matches a pattern, with `*` for any characters at its start or end.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(rest), None) => name.ends_with(rest),
        (None, Some(rest)) => name.starts_with(rest),
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (None, None) => pattern == name,
    }
}

/// Sets a variable, and replaces its old value.
pub(super) fn set(environment: &mut Environment, name: &str, value: OsString) {
    environment.retain(|(other, _)| other != name);
    environment.push((name.into(), value));
}

/// Sets a variable that has no value yet.
pub(super) fn default(environment: &mut Environment, name: &str, value: &str) {
    let known = |(other, value): &(OsString, OsString)| other == name && !value.is_empty();
    if !environment.iter().any(known) {
        set(environment, name, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inherit: &[&str], container: &[&str]) -> (Vec<String>, Vec<String>) {
        let inherit: Vec<String> = inherit.iter().map(ToString::to_string).collect();
        let all = container.iter().map(|name| (name.into(), "x".into()));
        let (environment, left_out) = chosen(FlavorName::Github, &inherit, all);
        let name = |(name, _): (OsString, OsString)| name.to_string_lossy().into_owned();
        (environment.into_iter().map(name).collect(), left_out)
    }

    #[test]
    fn passes_only_the_allow_list_and_names_the_rest() {
        let container = [
            "PATH",
            "LC_ALL",
            "https_proxy",
            "DATABASE_PASSWORD",
            "SUPERVISOR_SECRETS__DIRECTORY",
            "KUBERNETES_SERVICE_HOST",
            "REDIS_PORT_6379_TCP_ADDR",
            "HOSTNAME",
        ];
        let (environment, left_out) = names(&[], &container);
        assert_eq!(environment, ["PATH", "LC_ALL", "https_proxy"]);
        assert_eq!(left_out, ["DATABASE_PASSWORD"]);
    }

    #[test]
    fn what_the_user_names_is_handed_on_but_never_our_own() {
        let container = ["REGISTRY", "NPM_A", "NPM_B", "OTHER", "SUPERVISOR_FLAVOR"];
        let (environment, _) = names(&["REGISTRY", "NPM_*"], &container);
        assert_eq!(environment, ["REGISTRY", "NPM_A", "NPM_B"]);
        let (environment, left_out) = names(&["*"], &container);
        assert_eq!(environment, ["REGISTRY", "NPM_A", "NPM_B", "OTHER"]);
        assert!(left_out.is_empty());
        let (environment, left_out) = names(&["*"], &["A", "actions_runner_input_token"]);
        assert_eq!(environment, ["A"]);
        assert_eq!(left_out, ["actions_runner_input_token"]);
    }

    #[test]
    fn node_is_told_of_a_proxy_only_where_there_is_one() {
        let with = |name: &str, value: &str| proxied(&vec![(name.into(), value.into())]);
        assert!(with("https_proxy", "http://proxy:3128"));
        assert!(!with("https_proxy", "") && !with("no_proxy", "localhost"));
    }

    #[test]
    fn path_and_language_are_there_whatever_the_container_has() {
        let mut environment = vec![("LANG".into(), "".into()), ("PATH".into(), "/bin".into())];
        default(&mut environment, "PATH", PATH);
        default(&mut environment, "LANG", LANG);
        let expected: Environment = vec![
            ("PATH".into(), "/bin".into()),
            ("LANG".into(), "C.UTF-8".into()),
        ];
        assert_eq!(environment, expected);
    }
}
