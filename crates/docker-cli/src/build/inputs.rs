//! The inputs of a build: context, files, arguments, secrets and cache.

use super::super::arguments::Parsed;
use super::super::buildkit;
use super::super::csv_fields::CsvFields;
use super::super::error::TranslateError;
use super::super::git::GitSource;
use super::super::handover::Source;
use super::super::plan::Step;
use super::super::planner::{Planner, text};
use super::super::reference;
use super::secrets;
use super::shared::{Ignored, is_url};

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
        line.push(format!("--ssh={}", ssh(key, planner)));
    }
    for extra in parsed.values("build-context") {
        line.push(format!(
            "--build-context={}",
            build_context(extra, parsed, &line, planner)?
        ));
    }
    if !is_fetched(context)
        && let Some(file) = parsed.last("file")
    {
        line.push(format!("--file={}", planner.shared_dockerfile(file)));
    }
    Ok(line)
}

/// Returns the value of `--ssh`. An id without a path is the job's agent.
fn ssh(key: &str, planner: &mut Planner<'_>) -> String {
    let agent = (planner.job.variable)("SSH_AUTH_SOCK");
    let (id, path) = key.split_once('=').unwrap_or((key, ""));
    let path = agent.filter(|_| path.is_empty()).unwrap_or(path.to_owned());
    if path.is_empty() {
        return key.to_owned();
    }
    planner.shared_keys(id, &path)
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
    let value = match GitSource::parse(value) {
        Some(source) => fetch(source, parsed, line, planner)?,
        None if is_url(value) => planner.streamed_context(Source::Url(value.to_owned())),
        None if value.contains("://") => value.to_owned(),
        None => planner.shared_directory(value, Ignored::Named),
    };
    Ok(format!("{name}={value}"))
}

/// Whether the context is made in the scratch directory. Its Dockerfile is then in it.
fn is_fetched(context: &str) -> bool {
    context == "-" || is_url(context) || GitSource::parse(context).is_some()
}

/// Returns the context for Buildah. A Git repository or an archive becomes a directory, which the job makes.
pub(super) fn context(
    context: &str,
    parsed: &Parsed,
    line: &mut Vec<String>,
    planner: &mut Planner<'_>,
) -> Result<String, TranslateError> {
    let file = parsed.last("file");
    if !is_fetched(context) {
        // Buildah would take this directory for a flag.
        let dashed = context.starts_with('-');
        let context = if dashed {
            format!("./{context}")
        } else {
            context.to_owned()
        };
        let file = file.filter(|file| *file != "-" && !is_url(file));
        return Ok(planner.shared_directory(&context, Ignored::Main(file)));
    }
    let directory = match GitSource::parse(context) {
        Some(source) => fetch(source, parsed, line, planner)?,
        None if context == "-" && file == Some("-") => {
            return Err(
                planner.usage("standard input cannot be both the context and the Dockerfile")
            );
        }
        None if context == "-" => planner.streamed_context(Source::Stdin),
        None => planner.streamed_context(Source::Url(context.to_owned())),
    };
    if let Some(file) = file {
        let file = if file == "-" || is_url(file) {
            planner.shared_dockerfile(file)
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
