//! `docker buildx bake`: which definition is read, and what is done with its targets.

mod builds;
mod flags;
mod sources;

use std::collections::BTreeMap;
use std::path::PathBuf;

use pflag::parse_bool;
use secret::Secret;

use super::arguments::Parsed;
use super::bake_request::{Action, Bake, Remote};
use super::error::TranslateError;
use super::git::GitSource;
use super::plan::Step;
use super::planner::{Planner, text};
use super::system;
use super::verbs::{Translation, Verb};

pub(super) use builds::{TargetBuild, builds};
use sources::is_remote;
pub(super) use sources::{Place, dotenv, shown};

pub(super) const VERBS: &[Verb] = &[Verb {
    names: &["buildx bake", "buildx f", "bake"],
    flags: &[flags::FLAGS],
    effect: "`docker build` for each target, one after the other, each after the targets that it uses",
    translation: Translation::Steps(bake),
}];

fn bake(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let mut targets = parsed.positional.clone();
    let remote = match targets.first().filter(|first| is_remote(first)) {
        Some(url) => Some(fetch(url, planner)?),
        None => None,
    };
    let mut context = "cwd://".to_owned();
    if remote.is_some() {
        targets.remove(0);
        if targets.first().is_some_and(|first| is_remote(first)) {
            context = targets.remove(0);
        }
    }
    let mut variables = BTreeMap::new();
    for given in parsed.values("var").filter(|given| !given.is_empty()) {
        let pair = given.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) =
            pair.ok_or_else(|| planner.usage(&format!("--var {given}: expected NAME=VALUE")))?;
        variables.insert(name.to_owned(), value.to_owned());
    }
    let platform = format!("linux/{}", system::architecture());
    let builtins = [
        ("BAKE_CMD_CONTEXT", context),
        ("BAKE_LOCAL_PLATFORM", platform),
    ];
    let bake = Bake {
        command: planner.command.clone(),
        files: files(parsed, planner),
        remote,
        targets,
        overrides: overrides(parsed),
        variables,
        builtins: builtins
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        action: action(parsed, planner)?,
        scratch: planner.job.scratch.to_owned(),
    };
    planner.step(Step::Bake(Box::new(bake)));
    Ok(())
}

/// Returns the files of `--file`, or of the variable BUILDX_BAKE_FILE.
fn files(parsed: &Parsed, planner: &Planner<'_>) -> Vec<String> {
    let given: Vec<String> = parsed.values("file").map(str::to_owned).collect();
    let Some(list) = (planner.job.variable)("BUILDX_BAKE_FILE").filter(|_| given.is_empty()) else {
        return given;
    };
    let separator = (planner.job.variable)("BUILDX_BAKE_FILE_SEPARATOR");
    let separator = separator.filter(|text| !text.is_empty());
    let names = list.split(separator.as_deref().unwrap_or(":"));
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Returns `--set`, and the flags that are short forms of it, in buildx's order.
fn overrides(parsed: &Parsed) -> Vec<String> {
    let mut overrides: Vec<String> = parsed.values("set").map(str::to_owned).collect();
    for flag in ["push", "load"] {
        if parsed.on(flag) {
            overrides.push(format!("*.{flag}=true"));
        }
    }
    let call = parsed
        .last("call")
        .filter(|call| !matches!(*call, "" | "build"));
    let call = call.or(parsed.on("check").then_some("check"));
    overrides.extend(call.map(|call| format!("*.call={call}")));
    for flag in ["no-cache", "pull"] {
        let given = parsed.last(flag).and_then(parse_bool);
        overrides.extend(given.map(|on| format!("*.{flag}={on}")));
    }
    for kind in ["sbom", "provenance"] {
        let given = parsed.last(kind).filter(|value| !value.is_empty());
        let given = given.map(|value| bake::attestation(kind, value));
        overrides.extend(given.map(|record| format!("*.attest={record}")));
    }
    overrides
}

fn action(parsed: &Parsed, planner: &Planner<'_>) -> Result<Action, TranslateError> {
    let short = |flag: &str, kind| parsed.on(flag).then_some(kind);
    let list = parsed.last("list").filter(|list| !list.is_empty());
    let list = list.or_else(|| short("list-targets", "targets"));
    let list = list.or_else(|| short("list-variables", "variables"));
    match list {
        Some(_) if parsed.on("print") => {
            Err(planner.usage("--print and --list exclude each other; give one of them"))
        }
        Some(list) => {
            let fields = pflag::csv::CsvFields::parse(list);
            let kind = fields.get("type").unwrap_or(list);
            let format = fields.get("format").unwrap_or("table");
            let known = matches!(kind, "targets" | "variables");
            if !known || !matches!(format, "table" | "json") {
                return Err(planner.usage(&format!(
                    "--list {list}: expected targets or variables, or type=targets,format=json"
                )));
            }
            Ok(Action::List {
                variables: kind == "variables",
                json: format == "json",
            })
        }
        None if parsed.on("print") => Ok(Action::Print),
        None => Ok(Action::Build {
            progress: parsed.last("progress").map(str::to_owned),
            metadata: parsed.last("metadata-file").map(PathBuf::from),
        }),
    }
}

/// Adds the steps that fetch the repository of the definition.
fn fetch(url: &str, planner: &mut Planner<'_>) -> Result<Remote, TranslateError> {
    let Some(mut source) = GitSource::parse(url) else {
        return Err(planner.not_available(
            url,
            "the job fetches definitions from Git repositories only",
            "curl to fetch the file, and --file",
        ));
    };
    if !source.is_valid() {
        return Err(planner.usage(&format!(
            "{url}: expected #REFERENCE:DIRECTORY, with a directory inside the repository"
        )));
    }
    let variable = "BUILDX_BAKE_GIT_AUTH_TOKEN";
    let of_host = (planner.job.variable)(&format!("{variable}.{}", source.host()));
    if let Some(token) = of_host.or_else(|| (planner.job.variable)(variable)) {
        let path = planner.scratch("token");
        source.token = Some(path.clone());
        planner.step(Step::WriteSecret {
            path,
            content: Secret::new(token),
        });
    }
    let fetched = planner.scratch("git");
    let directory = match &source.subdirectory {
        Some(inside) => format!("{}/{inside}", text(&fetched)).into(),
        None => fetched.clone(),
    };
    planner.step(Step::Fetch {
        source,
        directory: fetched,
    });
    Ok(Remote {
        url: url.to_owned(),
        directory,
    })
}
