//! `docker build` and `docker buildx build`.

mod attestations;
mod flags;
mod inputs;
mod secrets;
mod shared;

use std::path::Path;

use super::arguments::{Parsed, passed};
use super::digests::Remembered;
use super::error::TranslateError;
use super::export::{BuildResult, Exports, Mode};
use super::output::Output;
use super::plan::{Command, Stdout, Step};
use super::planner::{Planner, text};
use super::reference;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[Verb {
    names: &[
        "build",
        "buildx build",
        "buildx b",
        "image build",
        "builder build",
    ],
    flags: &[flags::FLAGS, flags::LEGACY],
    effect: "`buildah build`, then `buildah push` for each tag if the image is to be pushed",
    translation: Translation::Steps(build),
}];

fn build(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [context] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one context: a directory, an address, or -"));
    };
    inputs::check_available(parsed, planner)?;
    attestations::notices(parsed, planner)?;
    let exports = Exports::parse(parsed, planner)?;
    let mut names: Vec<String> = parsed.values("tag").map(str::to_owned).collect();
    if names.is_empty() {
        names.clone_from(&exports.names);
    }
    let platforms = platforms(parsed, planner);
    let mut line = vec!["build".to_owned()];
    line.extend(passed(parsed));
    line.extend(inputs::flags(parsed, context, planner)?);
    cache(parsed, &platforms, &mut line, planner);
    // Under OCI's format, Buildah ignores SHELL in the steps that follow. So a build has Docker's format, and a push changes
    // the media types. Only OCI's format has annotations.
    let oci = parsed.last("annotation").is_some();
    let format = if oci { "oci" } else { "docker" };
    line.push(format!("--format={format}"));
    // Docker's images have no label that names their builder.
    line.push("--identity-label=false".to_owned());
    if let Some(files) = exports.files() {
        line.push(format!("--output={files}"));
    }
    let context = inputs::context(context, parsed, &mut line, planner)?;
    if !platforms.is_empty() {
        line.push(format!("--platform={}", platforms.join(",")));
    }
    let mode = Mode::of(&platforms);
    if mode == Mode::Single {
        for annotation in parsed.values("annotation") {
            if inputs::index_annotation(annotation).is_some() {
                planner.notice(&format!(
                    "--annotation {annotation} is left out for the index: one platform becomes an image, and no list"
                ));
            }
        }
    }
    let image = match names.first() {
        _ if mode == Mode::List => planner.scratch_image(),
        Some(name) => name.clone(),
        None => String::new(),
    };
    let result = BuildResult {
        image,
        iid: planner.scratch("iid"),
        names,
        mode,
        oci,
    };
    run(parsed, line, context, &result, &exports, planner)
}

/// Adds the build itself and the steps after it.
fn run(
    parsed: &Parsed,
    mut line: Vec<String>,
    context: String,
    result: &BuildResult,
    exports: &Exports,
    planner: &mut Planner<'_>,
) -> Result<(), TranslateError> {
    let iid = result.iid.clone();
    let digest = planner.scratch("digest");
    let quiet = parsed.on("quiet") || matches!(parsed.last("progress"), Some("quiet" | "none"));
    // The exported files may go to standard output. Nothing else may go there then.
    let prints_id = quiet && !exports.files_to_stdout();
    if quiet {
        line.push("--quiet".to_owned());
    }
    line.extend(result.flags());
    line.push(context);
    let stdout = if prints_id {
        Stdout::Captured
    } else {
        Stdout::Inherited
    };
    planner.step(Step::Run(Command::new(line, stdout)));
    if result.mode == Mode::List {
        name_list(parsed, result, &iid, planner);
    }
    exports.send(result, &digest, planner)?;
    if exports.pushes() {
        remember(result, &iid, &digest, planner);
    }
    if let Some(path) = parsed.last("iidfile") {
        planner.step(Step::CopyOut {
            from: iid.clone(),
            to: Some(path.into()),
        });
    }
    if let Some(path) = parsed.last("metadata-file") {
        let output = Output::Metadata {
            iid: (result.mode == Mode::Single).then(|| iid.clone()),
            digest: exports.pushes().then_some(digest),
            names: result.names.clone(),
        };
        let to = Some(path.into());
        planner.step(Step::Print { output, to });
    }
    if prints_id {
        planner.print(Output::File(iid));
    }
    if result.mode == Mode::List && !result.names.is_empty() {
        let remove = ["manifest", "rm", &result.image];
        planner.step(Step::Try(Command::new(remove, Stdout::Dropped)));
    }
    Ok(())
}

fn remember(result: &BuildResult, iid: &Path, digest: &Path, planner: &mut Planner<'_>) {
    for name in &result.names {
        planner.step(Step::Remember(Remembered::Built {
            name: reference::full(name),
            iid: iid.to_owned(),
            digest: digest.to_owned(),
        }));
    }
}

impl BuildResult {
    /// Returns the flags of `buildah build` that name the result.
    fn flags(&self) -> Vec<String> {
        match self.mode {
            Mode::List => vec![format!("--manifest={}", self.image)],
            Mode::Single => {
                let mut flags = vec![format!("--iidfile={}", text(&self.iid))];
                flags.extend(self.names.iter().map(|name| format!("--tag={name}")));
                flags
            }
        }
    }
}

/// Gives a list its names. It is built under a scratch name, because Buildah would add to an existing list.
fn name_list(parsed: &Parsed, result: &BuildResult, iid: &Path, planner: &mut Planner<'_>) {
    for annotation in parsed.values("annotation") {
        if let Some(pair) = inputs::index_annotation(annotation) {
            let flag = format!("--annotation={pair}");
            planner.run(["manifest", "annotate", "--index", &flag, &result.image]);
        }
    }
    if !result.names.is_empty() {
        let line = ["tag", &result.image].map(str::to_owned).into_iter();
        planner.run(line.chain(result.names.iter().cloned()));
    }
    let filter = format!("--filter=reference={}", result.image);
    planner.capture(["images", "--json", "--no-trunc", &filter]);
    planner.step(Step::Print {
        output: Output::ImageId {
            name: result.image.clone(),
        },
        to: Some(iid.to_owned()),
    });
}

fn platforms(parsed: &Parsed, planner: &Planner<'_>) -> Vec<String> {
    let default = (planner.job.variable)("DOCKER_DEFAULT_PLATFORM");
    let lists = parsed.values("platform");
    let mut names: Vec<&str> = lists.flat_map(|list| list.split(',')).collect();
    if names.is_empty() {
        names.extend(default.as_deref());
    }
    let names = names.into_iter().map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Adds the flags of the cache. Buildah 1.39 takes a layer on `scratch` for a layer of another platform. So only native builds
/// use layers.
fn cache(parsed: &Parsed, platforms: &[String], line: &mut Vec<String>, planner: &mut Planner<'_>) {
    if parsed.last("no-cache-filter").is_some() && !parsed.on("no-cache") {
        planner
            .notice("--no-cache-filter becomes --no-cache: Buildah cannot exclude single stages");
        line.push("--no-cache".to_owned());
    }
    let native = format!("linux/{}", super::system::architecture());
    let layers = match platforms {
        [] => true,
        [platform] => *platform == native,
        _ => false,
    };
    let flag = if layers { "--layers" } else { "--layers=false" };
    line.push(flag.to_owned());
    // Buildah takes this flag only with the one above. A step that fails would leave its working container, and `buildah rmi` would find its image in use.
    line.push("--force-rm".to_owned());
    for flag in ["cache-from", "cache-to"] {
        for record in parsed.values(flag) {
            match inputs::cache_repository(record) {
                Ok(repository) if layers => line.push(format!("--{flag}={repository}")),
                Ok(_) => planner.notice(&format!(
                    "--{flag} is left out: Buildah confuses the cached layers of several platforms; build one platform at a time, natively"
                )),
                Err(why) => planner.notice(&format!("--{flag} {record} is left out: {why}")),
            }
        }
    }
}
