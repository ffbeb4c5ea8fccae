//! Selects the job's variables that a command line names. No other variable leaves the job's container.

use std::collections::{BTreeMap, BTreeSet};

use super::flags::parse;
use super::policy::{Action, COMMON, GLOBAL, find};
use super::rejected::Rejected;
use pflag::StopAt;

/// Settings of Buildah that a job may have in its environment: the variable and its flag.
pub(super) const SETTINGS: &[(&str, &str)] =
    &[("BUILDAH_LAYERS", "layers"), ("BUILDAH_FORMAT", "format")];
/// Variables of the job that its builds also have.
pub(super) const PROXIES: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];
/// Stands among the variables of a build that `docker` began. No variable of a job has a name with a space.
pub(super) const DOCKER: &str = "docker build";
/// The variable with the socket of the job's ssh-agent.
pub(super) const AGENT: &str = "SSH_AUTH_SOCK";

/// How the names of a command line's variables are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variables {
    /// The client reads the flags of the command line.
    FromFlags,
    /// The caller has read the flags of a command of Docker and has put the values into the arguments. Nothing is read a second
    /// time, and a build follows Docker's rules.
    InArguments,
}

/// Selects the variables that the builder needs for this command line.
pub(super) fn select(
    arguments: &[String],
    variables: Variables,
    all: impl Iterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    let is_build = arguments.first().is_some_and(|verb| verb == "build");
    let resolved = is_build && variables == Variables::InArguments;
    let names = match variables {
        // The builder refuses a command line that cannot be parsed, so it needs no variables for it.
        Variables::FromFlags => names(arguments).unwrap_or_default(),
        Variables::InArguments if is_build => of_every_build().map(str::to_owned).collect(),
        Variables::InArguments => BTreeSet::new(),
    };
    let selected = all.filter(|(name, _)| names.contains(name) && name != DOCKER);
    let docker = resolved.then(|| (DOCKER.to_owned(), String::new()));
    selected.chain(docker).collect()
}

fn of_every_build() -> impl Iterator<Item = &'static str> {
    let settings = SETTINGS.iter().map(|(variable, _)| *variable);
    settings.chain(PROXIES.iter().copied())
}

fn names(arguments: &[String]) -> Result<BTreeSet<String>, Rejected> {
    let globals = parse(&[GLOBAL], arguments, StopAt::FirstPositional)?;
    let Some((verb, rest)) = find(&globals.positional)? else {
        return Ok(BTreeSet::new());
    };
    if verb.action != Action::Build {
        return Ok(BTreeSet::new());
    }
    let parsed = parse(&[verb.flags, COMMON], rest, StopAt::End)?;
    let mut names: BTreeSet<&str> = of_every_build().collect();
    if parsed.values("ssh").next().is_some() {
        names.insert(AGENT);
    }
    for flag in ["build-arg", "env"] {
        names.extend(parsed.values(flag).filter(|given| !given.contains('=')));
    }
    names.extend(
        parsed
            .values("secret")
            .filter_map(|given| SecretFlag::parse(given).variable()),
    );
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The parts of the value of `--secret`.
pub(super) struct SecretFlag<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) file: Option<&'a str>,
    env: Option<&'a str>,
    kind: Option<&'a str>,
}

impl<'a> SecretFlag<'a> {
    pub(super) fn parse(given: &'a str) -> Self {
        let part = |names: &[&str]| {
            let mut parts = given.split(',').filter_map(|part| part.split_once('='));
            let found = parts.find(|(name, _)| names.contains(&name.trim()));
            found.map(|(_, value)| value.trim())
        };
        Self {
            id: part(&["id"]),
            file: part(&["src", "source"]),
            env: part(&["env"]),
            kind: part(&["type"]),
        }
    }

    /// Returns the variable that may hold it: the named one, or without a file the one of its id.
    pub(super) fn variable(&self) -> Option<&'a str> {
        self.env.or(match (self.file, self.kind) {
            (None, None | Some("env")) => self.id,
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(line: &str) -> Vec<String> {
        sent_with(line, Variables::FromFlags)
    }

    fn sent_with(line: &str, variables: Variables) -> Vec<String> {
        let all = "TOKEN A B C no_proxy BUILDAH_LAYERS SSH_AUTH_SOCK PATH AWS_SECRET_ACCESS_KEY";
        let all = all.split(' ').map(|name| (name.to_owned(), "x".to_owned()));
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        select(&arguments, variables, all).into_keys().collect()
    }

    #[test]
    fn selects_the_variables_that_a_build_names() {
        let always = ["BUILDAH_LAYERS", "no_proxy"];
        assert_eq!(sent("build ."), always);
        assert_eq!(
            sent("bud --build-arg A=1 --build-arg=B ."),
            ["B", "BUILDAH_LAYERS", "no_proxy"]
        );
        assert_eq!(sent("build --env C ."), ["BUILDAH_LAYERS", "C", "no_proxy"]);
        assert_eq!(
            sent("build --secret id=x,env=TOKEN ."),
            ["BUILDAH_LAYERS", "TOKEN", "no_proxy"]
        );
        assert_eq!(
            sent("build --secret id=TOKEN ."),
            ["BUILDAH_LAYERS", "TOKEN", "no_proxy"]
        );
        assert_eq!(sent("build --secret id=TOKEN,src=f ."), always);
        assert_eq!(
            sent("build --ssh default ."),
            ["BUILDAH_LAYERS", "SSH_AUTH_SOCK", "no_proxy"]
        );
    }

    #[test]
    fn selects_the_same_without_a_second_parse() {
        for line in [
            "build --build-arg=A=1 --secret=id=TOKEN,src=f --label=B .",
            "push TOKEN",
            "version",
            "",
        ] {
            let mut resolved = sent_with(line, Variables::InArguments);
            let is_docker = |name: &String| name == DOCKER;
            assert_eq!(resolved.iter().any(is_docker), line.starts_with("build"));
            resolved.retain(|name| !is_docker(name));
            assert_eq!(resolved, sent(line), "{line}");
        }
        let named = "build --build-arg=A .";
        assert_ne!(sent_with(named, Variables::InArguments), sent(named));
    }

    #[test]
    fn selects_nothing_for_other_commands() {
        for line in [
            "",
            "version",
            "push TOKEN",
            "login --username A TOKEN",
            "build --unknown TOKEN",
        ] {
            assert!(sent(line).is_empty(), "{line}");
        }
    }
}
