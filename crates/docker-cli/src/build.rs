//! `docker build` and `docker buildx build`.

mod flags;
mod inputs;

use super::answer::Answer;
use super::arguments::{Parsed, passed};
use super::export::{Built, Exports};
use super::flag_specs::{Translation, Verb};
use super::plan::{Output, Planner, Step, command, text};
use super::types::Unavailable;

pub(super) const VERBS: &[Verb] = &[Verb {
    names: &[
        "build",
        "buildx build",
        "buildx b",
        "image build",
        "builder build",
    ],
    flags: &[flags::FLAGS, flags::LEGACY],
    becomes: "`buildah build`, then `buildah push` for each tag where the image is to be pushed",
    by: Translation::Steps(build),
}];

fn build(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [context] = parsed.positional.as_slice() else {
        return Err(to.usage("one context is expected: a directory, an address, or -"));
    };
    inputs::refuse(parsed, to)?;
    let exports = Exports::read(parsed, to)?;
    let mut names: Vec<String> = parsed.values("tag").map(str::to_owned).collect();
    if names.is_empty() {
        names.clone_from(&exports.names);
    }
    let platforms = platforms(parsed, to);
    let mut line = vec!["build".to_owned()];
    line.extend(passed(parsed));
    line.extend(inputs::read(parsed, context, to)?);
    cache(parsed, &platforms, &mut line, to);
    // Docker's own format keeps HEALTHCHECK, SHELL and ONBUILD; only OCI's has annotations.
    let oci = exports.oci() || parsed.last("annotation").is_some();
    let format = if oci { "oci" } else { "docker" };
    line.push(format!("--format={format}"));
    if let Some(files) = exports.files() {
        line.push(format!("--output={files}"));
    }
    let context = inputs::context(context, parsed, &mut line, to)?;
    let built = Built {
        image: match names.first() {
            Some(name) if platforms.len() < 2 => name.clone(),
            _ => to.scratch_image(),
        },
        names,
        platforms,
        oci,
    };
    finish(parsed, line, &context, &built, &exports, to)
}

/// The build itself, and what is made of its result.
fn finish(
    parsed: &Parsed,
    mut line: Vec<String>,
    context: &str,
    built: &Built,
    exports: &Exports,
    to: &mut Planner<'_>,
) -> Result<(), Unavailable> {
    let iid = to.scratch("iid");
    let digest = to.scratch("digest");
    let quiet = parsed.on("quiet") || matches!(parsed.last("progress"), Some("quiet" | "none"));
    if quiet {
        line.push("--quiet".to_owned());
    }
    if !built.platforms.is_empty() {
        line.push(format!("--platform={}", built.platforms.join(",")));
    }
    if built.is_list() {
        line.push(format!("--manifest={}", built.image));
    } else {
        line.push(format!("--iidfile={}", text(&iid)));
        line.extend(built.names.iter().map(|name| format!("--tag={name}")));
        if built.names.is_empty() && exports.sends_image() {
            line.push(format!("--tag={}", built.image));
        }
    }
    line.push(context.to_owned());
    // Where the files go to standard output, nothing else may.
    let to_stdout = exports
        .files()
        .is_some_and(|files| files.ends_with("dest=-"));
    let output = if quiet && !to_stdout {
        Output::Captured
    } else {
        Output::Job
    };
    to.step(Step::Run(command(line, output)));
    if built.is_list() {
        name_list(parsed, built, &iid, to);
    }
    exports.send(built, &digest, to)?;
    if let Some(path) = parsed.last("iidfile") {
        to.step(Step::Deliver {
            from: iid.clone(),
            to: Some(path.into()),
        });
    }
    if let Some(path) = parsed.last("metadata-file") {
        to.step(Step::Answer {
            answer: Answer::Metadata {
                iid: (!built.is_list()).then(|| iid.clone()),
                digest: exports.pushes().then_some(digest),
                names: built.names.clone(),
            },
            to: Some(path.into()),
        });
    }
    if quiet && !to_stdout {
        to.say(Answer::File(iid));
    }
    if built.is_list() && !built.names.is_empty() {
        let remove = ["manifest", "rm", &built.image];
        to.step(Step::Try(command(remove, Output::Dropped)));
    }
    Ok(())
}

/// A list is built under a name of its own: Buildah would add to one that is there already.
fn name_list(parsed: &Parsed, built: &Built, iid: &std::path::Path, to: &mut Planner<'_>) {
    for annotation in parsed.values("annotation") {
        if let Some(pair) = inputs::index_annotation(annotation) {
            let flag = format!("--annotation={pair}");
            to.run(["manifest", "annotate", "--index", &flag, &built.image]);
        }
    }
    if !built.names.is_empty() {
        let line = ["tag", &built.image].map(str::to_owned).into_iter();
        to.run(line.chain(built.names.iter().cloned()));
    }
    let filter = format!("--filter=reference={}", built.image);
    to.capture(["images", "--json", "--no-trunc", &filter]);
    to.step(Step::Answer {
        answer: Answer::ImageId {
            name: built.image.clone(),
        },
        to: Some(iid.to_owned()),
    });
}

fn platforms(parsed: &Parsed, to: &Planner<'_>) -> Vec<String> {
    let default = (to.call.variable)("DOCKER_DEFAULT_PLATFORM").filter(|name| !name.is_empty());
    let mut given: Vec<&str> = parsed
        .values("platform")
        .flat_map(|list| list.split(','))
        .collect();
    if given.is_empty() {
        given.extend(default.as_deref());
    }
    let trimmed = given
        .into_iter()
        .map(str::trim)
        .filter(|name| !name.is_empty());
    trimmed.map(str::to_owned).collect()
}

/// Buildah 1.39 takes a layer on `scratch` for that of another platform, so only native builds use layers.
fn cache(parsed: &Parsed, platforms: &[String], line: &mut Vec<String>, to: &mut Planner<'_>) {
    if parsed.values("no-cache-filter").next().is_some() && !parsed.on("no-cache") {
        to.note("--no-cache-filter becomes --no-cache: Buildah cannot leave out some stages");
        line.push("--no-cache".to_owned());
    }
    let native = format!("linux/{}", super::system::architecture());
    let layers = match platforms {
        [] => true,
        [one] => *one == native,
        _ => false,
    };
    if layers {
        line.push("--layers".to_owned());
    }
    for flag in ["cache-from", "cache-to"] {
        for record in parsed.values(flag) {
            match inputs::cache_repository(record) {
                Ok(repository) if layers => line.push(format!("--{flag}={repository}")),
                Ok(_) => to.note(&format!(
                    "--{flag} is left out: Buildah confuses the cached layers of several platforms; build one platform at a time, natively"
                )),
                Err(why) => to.note(&format!("--{flag} {record} is left out: {why}")),
            }
        }
    }
}
