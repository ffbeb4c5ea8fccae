//! `docker buildx imagetools`: `docker manifest` in one command and without a local list.

use std::path::PathBuf;

use pflag::parse_bool;

use super::arguments::Parsed;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, ONE_BUILDER, switch, value};
use super::plan::{CreateIndex, RegistryForm, RegistryInspect, Step};
use super::planner::Planner;
use super::reference;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["buildx imagetools create"],
        flags: &[CREATE],
        effect: "requests to the registries, through the builder's client: the same bytes under another tag, or a list of the images. Manifests of another repository are copied with their digests",
        translation: Translation::Steps(create),
    },
    Verb {
        names: &["buildx imagetools inspect"],
        flags: &[INSPECT],
        effect: "a request to the registry, through the builder's client: what the registry has, to the byte. Lists in Buildah's storage are not looked at",
        translation: Translation::Steps(inspect),
    },
];

const CREATE: &[Flag] = &[
    value(
        "annotation",
        None,
        FlagPolicy::Handled("`index:`, `manifest-descriptor:` or no level"),
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
        FlagPolicy::Handled("prints the list and pushes nothing"),
    ),
    value(
        "file",
        Some('f'),
        FlagPolicy::Handled("a name, a digest or a descriptor in JSON"),
    ),
    value(
        "metadata-file",
        None,
        FlagPolicy::Handled("digest and names"),
    ),
    value(
        "platform",
        Some('p'),
        FlagPolicy::NotAvailable("all images of a list are added", "names with digests"),
    ),
    switch(
        "prefer-index",
        None,
        FlagPolicy::Handled("false leaves a single image an image"),
    ),
    value("progress", None, FlagPolicy::Implied("a line for each tag")),
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
        FlagPolicy::Handled("Go's template over Name, Manifest and Image"),
    ),
    switch(
        "raw",
        None,
        FlagPolicy::Handled("prints the registry's bytes"),
    ),
];

fn create(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let tags: Vec<String> = parsed.values("tag").map(reference::full).collect();
    let mut sources = parsed.positional.clone();
    let files: Vec<PathBuf> = parsed.values("file").map(PathBuf::from).collect();
    let missing = "expected a --tag and at least one image";
    if parsed.on("append") {
        let first = tags.first().ok_or_else(|| planner.usage(missing))?;
        sources.insert(0, first.clone());
    }
    if (sources.is_empty() && files.is_empty()) || (tags.is_empty() && !parsed.on("dry-run")) {
        return Err(planner.usage(missing));
    }
    planner.step(Step::CreateIndex(CreateIndex {
        sources,
        files,
        tags,
        annotations: parsed.values("annotation").map(str::to_owned).collect(),
        prefer_index: parsed.last("prefer-index").and_then(parse_bool) != Some(false),
        dry_run: parsed.on("dry-run"),
        metadata: parsed.last("metadata-file").map(PathBuf::from),
    }));
    Ok(())
}

fn inspect(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [name] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one image"));
    };
    let format = parsed.last("format").filter(|format| !format.is_empty());
    planner.step(Step::InspectRegistry(RegistryInspect {
        name: reference::full(name),
        form: match format {
            _ if parsed.on("raw") => RegistryForm::Raw,
            Some(format) => RegistryForm::Format(format.to_owned()),
            None => RegistryForm::Text,
        },
    }));
    Ok(())
}
