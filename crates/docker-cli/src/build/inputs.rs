//! What goes into a build: context, files, arguments, secrets; and what is asked for that cannot be had.

use pflag::parse_bool;

use super::super::arguments::Parsed;
use super::super::attributes::Attributes;
use super::super::git::Source;
use super::super::plan::{Hidden, Planner, Step, text};
use super::super::reference;
use super::super::types::Unavailable;

const ATTEST_LATER: &str =
    "actions/attest-build-provenance, anchore/sbom-action or cosign on the pushed digest";

/// Refuses what a build cannot have.
pub(super) fn refuse(parsed: &Parsed, to: &Planner<'_>) -> Result<(), Unavailable> {
    let attested = parsed.values("attest").map(|record| ("attest", record));
    let attested = attested.chain(
        parsed
            .values("provenance")
            .map(|value| ("provenance", value)),
    );
    for (flag, record) in attested.chain(parsed.values("sbom").map(|value| ("sbom", value))) {
        let attributes = Attributes::read(record);
        let off = attributes
            .0
            .iter()
            .any(|(key, _)| parse_bool(key) == Some(false));
        if !off && attributes.get("disabled").and_then(parse_bool) != Some(true) {
            let what = format!("--{flag}={record}");
            return Err(to.refused(&what, "Buildah writes no attestations", ATTEST_LATER));
        }
    }
    if let Some(call) = parsed
        .last("call")
        .filter(|call| !matches!(*call, "" | "build"))
    {
        let what = format!("--call={call}");
        return Err(to.refused(&what, "Buildah builds and does not lint", "hadolint"));
    }
    for entitlement in parsed.values("allow").flat_map(|list| list.split(',')) {
        if entitlement != "network.host" {
            return Err(to.refused(
                &format!("--allow={entitlement}"),
                "nothing in a job's pod loosens the sandbox",
                "a build without it",
            ));
        }
    }
    Ok(())
}

/// The flags of `buildah build` that come from the job.
pub(super) fn read(
    parsed: &Parsed,
    context: &str,
    to: &mut Planner<'_>,
) -> Result<Vec<String>, Unavailable> {
    let mut line = Vec::new();
    for host in parsed.values("add-host").flat_map(|list| list.split(',')) {
        line.push(format!("--add-host={}", host.replacen('=', ":", 1)));
    }
    for argument in parsed.values("build-arg") {
        match (argument.contains('='), (to.call.variable)(argument)) {
            (true, _) => line.push(format!("--build-arg={argument}")),
            (false, Some(value)) => line.push(format!("--build-arg={argument}={value}")),
            (false, None) => {}
        }
    }
    for annotation in parsed.values("annotation") {
        line.extend(self::annotation(annotation, to));
    }
    match parsed.last("network") {
        None | Some("" | "default" | "host") => {}
        Some("none") => line.push("--network=none".to_owned()),
        Some(other) => {
            return Err(to.refused(
                &format!("--network={other}"),
                "a build has the pod's network or none",
                "default or none",
            ));
        }
    }
    if parsed.on("pull") {
        line.push("--pull=always".to_owned());
    }
    for secret in parsed.values("secret") {
        line.push(format!("--secret={}", self::secret(secret, to)?));
    }
    for key in parsed.values("ssh") {
        let agent = (to.call.variable)("SSH_AUTH_SOCK");
        line.push(match agent.filter(|_| !key.contains('=')) {
            Some(agent) => format!("--ssh={key}={agent}"),
            None => format!("--ssh={key}"),
        });
    }
    for extra in parsed.values("build-context") {
        line.push(format!(
            "--build-context={}",
            build_context(extra, parsed, to)?
        ));
    }
    if Source::read(context).is_none() {
        line.extend(parsed.last("file").map(|file| format!("--file={file}")));
    }
    Ok(line)
}

/// `LEVEL,…:KEY=VALUE`: the levels, `manifest` where there are none, and the pair.
fn annotation_levels(annotation: &str) -> (Vec<&str>, &str) {
    let key = annotation.split('=').next().unwrap_or(annotation);
    let Some((levels, _)) = key.split_once(':') else {
        return (vec!["manifest"], annotation);
    };
    (levels.split(',').collect(), &annotation[levels.len() + 1..])
}

/// Buildah's own annotations are those of the manifest.
fn annotation(annotation: &str, to: &mut Planner<'_>) -> Option<String> {
    let (levels, pair) = annotation_levels(annotation);
    let mut flag = None;
    for level in levels {
        match level.split('[').next() {
            Some("manifest") => flag = Some(format!("--annotation={pair}")),
            Some("index") => {}
            _ => to.note(&format!("--annotation {level}:… is left out: Buildah annotates manifests and lists, not descriptors")),
        }
    }
    flag
}

/// The pair, where a list is to have it.
pub(super) fn index_annotation(annotation: &str) -> Option<&str> {
    let (levels, pair) = annotation_levels(annotation);
    levels.contains(&"index").then_some(pair)
}

/// A secret from a variable becomes a file: the variable is the job's, and the builder does not have it.
fn secret(record: &str, to: &mut Planner<'_>) -> Result<String, Unavailable> {
    let attributes = Attributes::read(record);
    let Some(id) = attributes.get("id") else {
        return Err(to.usage(&format!("--secret {record}: id= is missing")));
    };
    let kind = attributes.get("type");
    let named = attributes.any(&["src", "source"]);
    let bare = (to.call.variable)(id).filter(|_| named.is_none() && kind != Some("file"));
    let variable = match (attributes.get("env"), kind) {
        (Some(name), _) => Some(name),
        (None, Some("env")) => Some(named.unwrap_or(id)),
        (None, _) => bare.as_deref().map(|_| id),
    };
    let Some(name) = variable else {
        return Ok(format!("id={id},src={}", named.unwrap_or(id)));
    };
    let Some(value) = (to.call.variable)(name) else {
        return Err(to.usage(&format!(
            "--secret {record}: the variable {name} is not set"
        )));
    };
    let file = to.scratch("secret");
    to.step(Step::Write {
        to: file.clone(),
        content: Hidden::new(value),
    });
    Ok(format!("id={id},src={}", text(&file)))
}

fn build_context(
    extra: &str,
    parsed: &Parsed,
    to: &mut Planner<'_>,
) -> Result<String, Unavailable> {
    let Some((name, value)) = extra.split_once('=') else {
        return Err(to.usage(&format!("--build-context {extra}: NAME=VALUE is expected")));
    };
    if value.starts_with("oci-layout://") {
        return Err(to.refused(
            &format!("--build-context {name}=oci-layout://…"),
            "Buildah reads no layout as a context",
            "docker-image://NAME, after docker load",
        ));
    }
    match Source::read(value) {
        Some(source) => Ok(format!("{name}={}", fetch(source, parsed, to)?)),
        None => Ok(extra.to_owned()),
    }
}

/// The context as Buildah is to see it.
pub(super) fn context(
    context: &str,
    parsed: &Parsed,
    line: &mut Vec<String>,
    to: &mut Planner<'_>,
) -> Result<String, Unavailable> {
    let Some(source) = Source::read(context) else {
        // A directory whose name starts with a dash.
        let dashed = context.len() > 1 && context.starts_with('-');
        return Ok(if dashed {
            format!("./{context}")
        } else {
            context.to_owned()
        });
    };
    let directory = fetch(source, parsed, to)?;
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

/// The job fetches; the result is the directory.
fn fetch(mut source: Source, parsed: &Parsed, to: &mut Planner<'_>) -> Result<String, Unavailable> {
    if !source.is_sound() {
        return Err(to.usage(&format!(
            "{}: not a reference and a directory in a repository",
            source.url
        )));
    }
    source.token = token(&source, parsed);
    let directory = to.scratch("git");
    let mut inside = text(&directory);
    if let Some(subdirectory) = &source.subdirectory {
        inside = format!("{inside}/{subdirectory}");
    }
    to.step(Step::Fetch {
        source,
        to: directory,
    });
    Ok(inside)
}

/// The secret GIT_AUTH_TOKEN.HOST, or GIT_AUTH_TOKEN, as BuildKit takes it for a private repository.
fn token(source: &Source, parsed: &Parsed) -> Option<std::path::PathBuf> {
    let secrets: Vec<_> = parsed.values("secret").map(Attributes::read).collect();
    let wanted = [
        format!("GIT_AUTH_TOKEN.{}", source.host()),
        "GIT_AUTH_TOKEN".to_owned(),
    ];
    wanted.iter().find_map(|id| {
        let secret = secrets.iter().find(|secret| secret.get("id") == Some(id))?;
        secret.any(&["src", "source"]).map(Into::into)
    })
}

/// The repository that Buildah may use as its cache, or why there is none.
pub(super) fn cache_repository(record: &str) -> Result<String, &'static str> {
    let attributes = Attributes::read(record);
    let name = match attributes.get("type") {
        None if !record.contains('=') => record,
        Some("registry") => attributes.get("ref").ok_or("it names no ref=")?,
        Some("gha") => {
            return Err(
                "Buildah does not speak to GitHub's cache; use builder.cache, or type=registry,ref=REPOSITORY without a tag",
            );
        }
        Some("local") => {
            return Err(
                "the builder keeps its layers itself while the pod lives; use builder.cache for longer",
            );
        }
        Some("inline") => {
            return Err(
                "Buildah puts no cache into an image; use builder.cache, or type=registry,ref=REPOSITORY without a tag",
            );
        }
        _ => {
            return Err(
                "Buildah has no such cache; use builder.cache, or type=registry,ref=REPOSITORY without a tag",
            );
        }
    };
    if reference::has_tag_or_digest(name) {
        return Err(
            "Buildah's cache is one tag a step, so it needs a repository of its own; use builder.cache, or ref=REPOSITORY without a tag",
        );
    }
    let full = reference::full(name);
    Ok(reference::repository(&full).to_owned())
}
