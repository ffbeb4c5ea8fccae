//! `docker buildx imagetools`: `docker manifest` in one command and without a local list.

use super::arguments::Parsed;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, ONE_BUILDER, switch, value};
use super::manifest::words;
use super::output::Output;
use super::plan::{Command, RegistryForm, RegistryInspect, Stdout, Step};
use super::planner::Planner;
use super::reference;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["buildx imagetools create"],
        flags: &[CREATE],
        effect: "`buildah manifest create --all`, then `buildah manifest push --all` for each tag",
        translation: Translation::Steps(create),
    },
    Verb {
        names: &["buildx imagetools inspect"],
        flags: &[INSPECT],
        effect: "`buildah pull` for the digest, then `buildah manifest inspect` or `buildah inspect`: what the registry has, to the byte. A list that this job has built is read by the digest of its push",
        translation: Translation::Steps(inspect),
    },
];

const CREATE: &[Flag] = &[
    value(
        "annotation",
        None,
        FlagPolicy::Handled("--annotation; `index:` or no level"),
    ),
    switch(
        "append",
        None,
        FlagPolicy::Handled("the list begins with the tag's present images"),
    ),
    value("builder", None, ONE_BUILDER),
    switch("debug", Some('D'), NO_EFFECT),
    switch(
        "dry-run",
        None,
        FlagPolicy::Handled("`buildah manifest inspect` in place of the push"),
    ),
    value(
        "file",
        Some('f'),
        FlagPolicy::NotAvailable("Buildah reads no descriptors from files", "names of images"),
    ),
    value(
        "metadata-file",
        None,
        FlagPolicy::Handled("written from --digestfile"),
    ),
    value(
        "platform",
        Some('p'),
        FlagPolicy::NotAvailable("Buildah adds all images of a list", "names with digests"),
    ),
    switch(
        "prefer-index",
        None,
        FlagPolicy::Implied("the result is always a list"),
    ),
    value(
        "progress",
        None,
        FlagPolicy::Implied("Buildah's output is plain"),
    ),
    value(
        "tag",
        Some('t'),
        FlagPolicy::Handled("a target of the push"),
    ),
];

const INSPECT: &[Flag] = &[
    value("builder", None, ONE_BUILDER),
    switch("debug", Some('D'), NO_EFFECT),
    value(
        "format",
        None,
        FlagPolicy::Handled("Go's template over Name and Manifest"),
    ),
    switch(
        "raw",
        None,
        FlagPolicy::Handled("prints the registry's bytes"),
    ),
];

fn create(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let tags: Vec<String> = parsed.values("tag").map(str::to_owned).collect();
    let Some(first) = tags.first().or(parsed.positional.first()) else {
        return Err(planner.usage("expected a --tag and at least one image"));
    };
    let mut images: Vec<String> = parsed
        .positional
        .iter()
        .map(|name| name.trim_start_matches("docker://").to_owned())
        .collect();
    if parsed.on("append") {
        images.insert(0, first.clone());
    }
    if images.is_empty() || (tags.is_empty() && !parsed.on("dry-run")) {
        return Err(planner.usage("expected a --tag and at least one image"));
    }
    let list = planner.scratch_image();
    let mut create = words(&["manifest", "create", "--all"]);
    for annotation in parsed.values("annotation") {
        let pair = annotation.strip_prefix("index:").unwrap_or(annotation);
        create.push(format!("--annotation={pair}"));
    }
    let images: Vec<String> = images
        .iter()
        .map(|image| reference::remote(&in_repository_of(first, image)))
        .collect();
    create.extend(reference::plain_http(images.iter().map(String::as_str)));
    create.push(list.clone());
    create.extend(images);
    planner.capture(create);
    if parsed.on("dry-run") {
        planner.run(["manifest", "inspect", &list]);
    } else {
        push_to_tags(&list, tags, parsed.last("metadata-file"), planner);
    }
    planner.step(Step::Try(Command::new(
        ["manifest", "rm", &list],
        Stdout::Dropped,
    )));
    Ok(())
}

/// Pushes the list to each tag, and writes digest and tags to the metadata file if one is named.
fn push_to_tags(
    list: &str,
    tags: Vec<String>,
    metadata_file: Option<&str>,
    planner: &mut Planner<'_>,
) {
    let digest = planner.scratch("digest");
    for tag in &tags {
        let target = reference::remote(tag);
        let flags: Vec<String> = reference::plain_http([tag.as_str()]).into_iter().collect();
        planner.step(Step::push_list(
            &flags,
            list,
            &target,
            &digest,
            Stdout::Inherited,
        ));
    }
    if let Some(path) = metadata_file {
        let output = Output::Metadata {
            iid: None,
            digest: Some(digest),
            names: tags,
        };
        planner.step(Step::Print {
            output,
            to: Some(path.into()),
        });
    }
}

/// Completes a bare digest with the repository of the first tag. Buildah takes no name with both tag and digest, and the
/// digest decides.
fn in_repository_of(tag: &str, image: &str) -> String {
    match image.split_once('@') {
        Some((name, digest)) => format!("{}@{digest}", reference::repository(name)),
        None if image.starts_with("sha256:") => {
            format!("{}@{image}", reference::repository(tag))
        }
        None => image.to_owned(),
    }
}

fn inspect(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [name] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one image"));
    };
    let format = parsed.last("format").filter(|format| !format.is_empty());
    planner.step(Step::InspectRegistry(RegistryInspect {
        name: reference::full(name),
        tls: reference::plain_http([name.as_str()]),
        form: match format {
            _ if parsed.on("raw") => RegistryForm::Raw,
            Some(format) => RegistryForm::Format(format.to_owned()),
            None => RegistryForm::Text,
        },
    }));
    Ok(())
}
