//! The job's environment, built from nothing: an allow-list, our own few, and what the user names.
//!
//! What Kubernetes, the image or an operator put into the container's environment is not the job's business.

use std::ffi::OsString;

use tracing::info;

use super::certificates;
use super::error::FlavorError;
use crate::config::reserved::reserved;
use crate::config::{Config, ENV_PREFIX};

/// Variables by name.
pub(super) type Environment = Vec<(OsString, OsString)>;

/// Handed on where the container has them: how programs are found, text and time are shown, and the network is reached.
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

/// Left out without a word: Kubernetes' service links, the container engine's and a shell's own variables, and what is
/// set anew for each job.
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

/// Where the container names none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Text is UTF-8, without any package of locales.
const LANG: &str = "C.UTF-8";

/// The environment of this configuration's runner.
///
/// # Errors
/// [`FlavorError::Setting`] where `runner.ca_bundle` is no use.
pub(super) fn build(
    config: &Config,
    storage: &[(OsString, OsString)],
) -> Result<Environment, FlavorError> {
    let (mut environment, left_out) = chosen(config, std::env::vars_os());
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
    // In memory, so that what `buildah login` writes there meets no disk.
    if config.runtime_directory.is_dir() {
        let directory = config.runtime_directory.clone();
        set(&mut environment, "XDG_RUNTIME_DIR", directory.into());
    }
    for (name, value) in storage {
        set(&mut environment, &name.to_string_lossy(), value.clone());
    }
    for (name, value) in certificates::trusted(config)? {
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

/// The container's variables that the job gets, and the names of those it does not, as far as anybody may miss them.
fn chosen(
    config: &Config,
    all: impl Iterator<Item = (OsString, OsString)>,
) -> (Environment, Vec<String>) {
    let inherit = &config.runner.inherit;
    let mut environment = Environment::new();
    let mut left_out = Vec::new();
    for (name, value) in all {
        let text = name.to_string_lossy();
        let named = ALLOWED.iter().any(|pattern| matches(pattern, &text))
            || inherit.iter().any(|pattern| matches(pattern, &text));
        if name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes()) {
            continue;
        } else if named && !reserved(config.flavor, &text) {
            environment.push((name, value));
        } else if !EXPECTED.iter().any(|pattern| matches(pattern, &text)) {
            left_out.push(text.into_owned());
        }
    }
    left_out.sort();
    (environment, left_out)
}

/// A name, with `*` for any characters at its start or end.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(rest), None) => name.ends_with(rest),
        (None, Some(rest)) => name.starts_with(rest),
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (None, None) => pattern == name,
    }
}

/// Sets a variable, whatever it was.
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
    use crate::config::FlavorName;

    fn names(inherit: &[&str], container: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut config = Config {
            flavor: FlavorName::Github,
            ..Config::default()
        };
        config.runner.inherit = inherit.iter().map(ToString::to_string).collect();
        let all = container.iter().map(|name| (name.into(), "x".into()));
        let (environment, left_out) = chosen(&config, all);
        let name = |(name, _): (OsString, OsString)| name.to_string_lossy().into_owned();
        (environment.into_iter().map(name).collect(), left_out)
    }

    #[test]
    fn only_the_allow_list_is_handed_on_and_the_rest_is_named_unless_expected() {
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
