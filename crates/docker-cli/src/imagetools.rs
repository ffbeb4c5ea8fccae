//! `docker buildx imagetools`: what `docker manifest` does, in one go and without a local list.

use super::answer::Answer;
use super::arguments::Parsed;
use super::flag_specs::{Translation, Verb};
use super::manifest::{line, show};
use super::plan::{Output, Planner, Step, command, push_list};
use super::reference;
use super::types::Unavailable;
use super::types::{Flag, FlagPolicy, switch, value};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["buildx imagetools create"],
        flags: &[CREATE],
        becomes: "`buildah manifest create --all`, then `buildah manifest push --all` for each tag",
        by: Translation::Steps(create),
    },
    Verb {
        names: &["buildx imagetools inspect"],
        flags: &[INSPECT],
        becomes: "`buildah manifest inspect`: a local list, else the registry's; a single image is pulled for it, since Buildah shows lists alone",
        by: Translation::Steps(inspect),
    },
];

const CREATE: &[Flag] = &[
    value(
        "annotation",
        None,
        FlagPolicy::Ours("--annotation; `index:` or no level"),
    ),
    switch(
        "append",
        None,
        FlagPolicy::Ours("the tag's own images come first"),
    ),
    value(
        "builder",
        None,
        FlagPolicy::Given(super::types::ONE_BUILDER),
    ),
    switch(
        "debug",
        Some('D'),
        FlagPolicy::Given("it changes no result"),
    ),
    switch(
        "dry-run",
        None,
        FlagPolicy::Ours("`buildah manifest inspect` in place of the push"),
    ),
    value(
        "file",
        Some('f'),
        FlagPolicy::Unavailable("Buildah reads no descriptors from files", "names of images"),
    ),
    value(
        "metadata-file",
        None,
        FlagPolicy::Ours("written from --digestfile"),
    ),
    value(
        "platform",
        Some('p'),
        FlagPolicy::Unavailable("Buildah adds all of a list's images", "names with digests"),
    ),
    switch(
        "prefer-index",
        None,
        FlagPolicy::Given("the result is always a list"),
    ),
    value(
        "progress",
        None,
        FlagPolicy::Given("Buildah's output is plain"),
    ),
    value(
        "tag",
        Some('t'),
        FlagPolicy::Ours("where the list is pushed"),
    ),
];

const INSPECT: &[Flag] = &[
    value(
        "builder",
        None,
        FlagPolicy::Given(super::types::ONE_BUILDER),
    ),
    switch(
        "debug",
        Some('D'),
        FlagPolicy::Given("it changes no result"),
    ),
    value(
        "format",
        None,
        FlagPolicy::Unavailable("Buildah shows a manifest whole", "--raw, and jq"),
    ),
    switch(
        "raw",
        None,
        FlagPolicy::Given("the manifest is always shown as it is"),
    ),
];

fn create(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let tags: Vec<String> = parsed.values("tag").map(str::to_owned).collect();
    let Some(first) = tags.first().or(parsed.positional.first()) else {
        return Err(to.usage("a --tag and at least one image are expected"));
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
        return Err(to.usage("a --tag and at least one image are expected"));
    }
    let list = to.scratch_image();
    let mut made = line(&["manifest", "create", "--all"]);
    for annotation in parsed.values("annotation") {
        let pair = annotation.strip_prefix("index:").unwrap_or(annotation);
        made.push(format!("--annotation={pair}"));
    }
    made.push(list.clone());
    made.extend(
        images
            .iter()
            .map(|image| reference::remote(&within(first, image))),
    );
    to.capture(made);
    if parsed.on("dry-run") {
        to.run(["manifest", "inspect", &list]);
    } else {
        let digest = to.scratch("digest");
        for tag in &tags {
            let target = reference::remote(tag);
            to.step(push_list(&[], &list, &target, &digest, Output::Job));
        }
        if let Some(path) = parsed.last("metadata-file") {
            let answer = Answer::Metadata {
                iid: None,
                digest: Some(digest),
                names: tags,
            };
            to.step(Step::Answer {
                answer,
                to: Some(path.into()),
            });
        }
    }
    to.step(Step::Try(command(
        ["manifest", "rm", &list],
        Output::Dropped,
    )));
    Ok(())
}

/// A bare digest is one in the repository of the first tag.
fn within(tag: &str, image: &str) -> String {
    if image.starts_with("sha256:") {
        format!("{}@{image}", reference::repository(tag))
    } else {
        image.to_owned()
    }
}

fn inspect(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [name] = parsed.positional.as_slice() else {
        return Err(to.usage("one image is expected"));
    };
    show(
        line(&["manifest", "inspect", &reference::full(name)]),
        name,
        to,
    );
    Ok(())
}
