//! The inputs of a build: context, files, arguments, secrets and cache.

use super::super::arguments::Parsed;
use super::super::buildkit;
use super::super::error::TranslateError;
use super::super::git::GitSource;
use super::super::plan::Step;
use super::super::planner::{Planner, text};
use super::super::reference;
use super::secrets;
use pflag::csv::CsvFields;

/// Rejects the values of `--call` and `--allow` that Buildah cannot fulfill.
pub(super) fn check_available(
    parsed: &Parsed,
    planner: &Planner<'_>,
) -> Result<(), TranslateError> {
    if let Some(call) = parsed
        .last("call")
        .filter(|call| !matches!(*call, "" | "build"))
    {
        let what = format!("--call={call}");
        return Err(planner.not_available(&what, "Buildah builds and does not lint", "hadolint"));
    }
    for entitlement in parsed.values("allow").flat_map(|list| list.split(',')) {
        if entitlement != "network.host" {
            return Err(planner.not_available(
                &format!("--allow={entitlement}"),
                "no flag weakens the sandbox of a job's build",
                "a build without it",
            ));
        }
    }
    Ok(())
}

/// Returns the flags of `buildah build` that describe the inputs.
pub(super) fn flags(
    parsed: &Parsed,
    context: &str,
    planner: &mut Planner<'_>,
) -> Result<Vec<String>, TranslateError> {
    let mut line = Vec::new();
    for host in parsed.values("add-host").flat_map(|list| list.split(',')) {
        line.push(format!("--add-host={}", host.replacen('=', ":", 1)));
    }
    for argument in parsed.values("build-arg") {
        match (argument.contains('='), (planner.job.variable)(argument)) {
            (true, _) => line.push(format!("--build-arg={argument}")),
            (false, Some(value)) => line.push(format!("--build-arg={argument}={value}")),
            (false, None) => {}
        }
    }
    line.extend(buildkit::epoch_flags(parsed, planner)?);
    buildkit::notices(parsed, planner);
    for annotation in parsed.values("annotation") {
        line.extend(self::annotation(annotation, planner));
    }
    match parsed.last("network") {
        None | Some("" | "default" | "host") => {}
        Some("none") => line.push("--network=none".to_owned()),
        Some(other) => {
            return Err(planner.not_available(
                &format!("--network={other}"),
                "a build has the pod's network or no network",
                "default or none",
            ));
        }
    }
    if parsed.on("pull") {
        line.push("--pull=always".to_owned());
    }
    for secret in parsed.values("secret") {
        line.push(format!("--secret={}", secrets::value(secret, planner)?));
    }
    for key in parsed.values("ssh") {
        let agent = (planner.job.variable)("SSH_AUTH_SOCK");
        let (id, path) = key.split_once('=').unwrap_or((key, ""));
        line.push(match agent.filter(|_| path.is_empty()) {
            Some(agent) => format!("--ssh={id}={agent}"),
            None => format!("--ssh={key}"),
        });
    }
    for extra in parsed.values("build-context") {
        line.push(format!(
            "--build-context={}",
            build_context(extra, parsed, &line, planner)?
        ));
    }
    if GitSource::parse(context).is_none() {
        line.extend(parsed.last("file").map(|file| format!("--file={file}")));
    }
    Ok(line)
}

/// Splits `LEVEL,…:KEY=VALUE` into the levels and the pair. The default level is `manifest`.
fn annotation_levels(annotation: &str) -> (Vec<&str>, &str) {
    let key = annotation.split('=').next().unwrap_or(annotation);
    let Some((levels, _)) = key.split_once(':') else {
        return (vec!["manifest"], annotation);
    };
    (levels.split(',').collect(), &annotation[levels.len() + 1..])
}

/// Returns the flag for the level `manifest`. Buildah has no annotations of descriptors.
fn annotation(annotation: &str, planner: &mut Planner<'_>) -> Option<String> {
    let (levels, pair) = annotation_levels(annotation);
    let mut flag = None;
    for level in levels {
        match level.split('[').next() {
            Some("manifest") => flag = Some(format!("--annotation={pair}")),
            Some("index") => {}
            _ => planner.notice(&format!(
                "--annotation {level}:… is left out: Buildah annotates manifests and lists only"
            )),
        }
    }
    flag
}

/// Returns the pair of an annotation with the level `index`.
pub(super) fn index_annotation(annotation: &str) -> Option<&str> {
    let (levels, pair) = annotation_levels(annotation);
    levels.contains(&"index").then_some(pair)
}

fn build_context(
    extra: &str,
    parsed: &Parsed,
    line: &[String],
    planner: &mut Planner<'_>,
) -> Result<String, TranslateError> {
    let Some((name, value)) = extra.split_once('=') else {
        return Err(planner.usage(&format!("--build-context {extra}: expected NAME=VALUE")));
    };
    if value.starts_with("oci-layout://") {
        return Err(planner.not_available(
            &format!("--build-context {name}=oci-layout://…"),
            "Buildah reads no layout as a context",
            "docker-image://NAME, after docker load",
        ));
    }
    match GitSource::parse(value) {
        Some(source) => Ok(format!("{name}={}", fetch(source, parsed, line, planner)?)),
        None => Ok(extra.to_owned()),
    }
}

/// Returns the context for Buildah. A Git repository becomes a directory, which the job fetches.
pub(super) fn context(
    context: &str,
    parsed: &Parsed,
    line: &mut Vec<String>,
    planner: &mut Planner<'_>,
) -> Result<String, TranslateError> {
    let Some(source) = GitSource::parse(context) else {
        // Buildah would take this directory for a flag.
        let dashed = context.len() > 1 && context.starts_with('-');
        return Ok(if dashed {
            format!("./{context}")
        } else {
            context.to_owned()
        });
    };
    let directory = fetch(source, parsed, line, planner)?;
    if let Some(file) = parsed.last("file") {
        let inside = file == "-" || file.starts_with("https://") || file.starts_with("http://");
        let file = if inside {
            file.to_owned()
        } else {
            format!("{directory}/{file}")
        };
        line.push(format!("--file={file}"));
    }
    Ok(directory)
}

/// Adds the step that fetches a repository. `line` has the flags of the secrets. Returns the directory.
fn fetch(
    mut source: GitSource,
    parsed: &Parsed,
    line: &[String],
    planner: &mut Planner<'_>,
) -> Result<String, TranslateError> {
    if !source.is_valid() {
        return Err(planner.usage(&format!(
            "{}: expected #REFERENCE:DIRECTORY, with a directory inside the repository",
            source.url
        )));
    }
    source.token = token(&source, line);
    source.keep_git |= buildkit::keeps_git(parsed, planner);
    let directory = planner.scratch("git");
    let mut inside = text(&directory);
    if let Some(subdirectory) = &source.subdirectory {
        inside = format!("{inside}/{subdirectory}");
    }
    planner.step(Step::Fetch { source, directory });
    Ok(inside)
}

/// Returns the scratch file of the secret GIT_AUTH_TOKEN.HOST or GIT_AUTH_TOKEN. BuildKit reads these for a private repository.
fn token(source: &GitSource, line: &[String]) -> Option<std::path::PathBuf> {
    let file = |id: &str| {
        let start = format!("--secret=id={id},src=");
        line.iter().find_map(|flag| flag.strip_prefix(&start))
    };
    let of_host = file(&format!("GIT_AUTH_TOKEN.{}", source.host()));
    of_host.or_else(|| file("GIT_AUTH_TOKEN")).map(Into::into)
}

/// Returns the repository that Buildah can use as its cache, or the reason why it cannot.
pub(super) fn cache_repository(record: &str) -> Result<String, &'static str> {
    let fields = CsvFields::parse(record);
    let name = match fields.get("type") {
        None if !record.contains('=') => record,
        Some("registry") => fields.get("ref").ok_or("it names no ref=")?,
        Some("gha") => {
            return Err(
                "Buildah has no access to GitHub's cache; use builder.cache, or type=registry,ref=REPOSITORY without a tag",
            );
        }
        Some("local") => {
            return Err(
                "the builder keeps its layers for the life of the pod; use builder.cache to keep them longer",
            );
        }
        Some("inline") => {
            return Err(
                "Buildah writes no cache into an image; use builder.cache, or type=registry,ref=REPOSITORY without a tag",
            );
        }
        _ => {
            return Err(
                "Buildah does not have this cache; use builder.cache, or type=registry,ref=REPOSITORY without a tag",
            );
        }
    };
    if reference::has_tag_or_digest(name) {
        return Err(
            "Buildah's cache has one tag for each step, so it needs its own repository; use builder.cache, or ref=REPOSITORY without a tag",
        );
    }
    let full = reference::full(name);
    Ok(reference::repository(&full).to_owned())
}
