//! `docker manifest`, and `docker buildx imagetools`, which does the same in one go.

use super::Unavailable;
use super::answer::Answer;
use super::arguments::Parsed;
use super::plan::{Output, Planner, Step, command, push_list};
use super::reference;
use super::table::{Does, Flag, Translation, Verb, switch, value};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["manifest create"],
        flags: &[CREATE],
        becomes: "`buildah manifest create --all` of images in registries",
        by: Translation::Steps(create),
    },
    Verb {
        names: &["manifest annotate"],
        flags: &[ANNOTATE],
        becomes: "`buildah manifest annotate`",
        by: Translation::Steps(annotate),
    },
    Verb {
        names: &["manifest push"],
        flags: &[PUSH],
        becomes: "`buildah manifest push --all`, and the list's digest as the last line",
        by: Translation::Steps(push),
    },
    Verb {
        names: &["manifest inspect"],
        flags: &[INSPECT],
        becomes: "`buildah manifest inspect`: a local list, else the registry's; a single image is pulled for it, since Buildah shows lists alone",
        by: Translation::Steps(inspect),
    },
    Verb {
        names: &["manifest rm"],
        flags: &[],
        becomes: "`buildah manifest rm`",
        by: Translation::Steps(remove),
    },
    Verb {
        names: &["buildx imagetools create"],
        flags: &[IMAGETOOLS_CREATE],
        becomes: "`buildah manifest create --all`, then `buildah manifest push --all` for each tag",
        by: Translation::Steps(imagetools_create),
    },
    Verb {
        names: &["buildx imagetools inspect"],
        flags: &[IMAGETOOLS_INSPECT],
        becomes: "`buildah manifest inspect`: a local list, else the registry's; a single image is pulled for it, since Buildah shows lists alone",
        by: Translation::Steps(imagetools_inspect),
    },
];

const INSECURE: Does = Does::Ours("--tls-verify=false, which the builder may refuse");

const CREATE: &[Flag] = &[
    switch("amend", Some('a'), Does::Passed),
    switch("insecure", None, INSECURE),
];

const ANNOTATE: &[Flag] = &[
    value("arch", None, Does::Passed),
    value("os", None, Does::Passed),
    value("os-features", None, Does::Passed),
    value("os-version", None, Does::Passed),
    value("variant", None, Does::Passed),
];

const PUSH: &[Flag] = &[
    switch("insecure", None, INSECURE),
    switch("purge", Some('p'), Does::Renamed("rm")),
];

const INSPECT: &[Flag] = &[
    switch("insecure", None, INSECURE),
    switch(
        "verbose",
        Some('v'),
        Does::Unavailable(
            "Buildah shows the list, not each of its manifests",
            "docker manifest inspect NAME@DIGEST for each",
        ),
    ),
];

const IMAGETOOLS_CREATE: &[Flag] = &[
    value(
        "annotation",
        None,
        Does::Ours("--annotation; `index:` or no level"),
    ),
    switch(
        "append",
        None,
        Does::Ours("the tag's own images come first"),
    ),
    value("builder", None, Does::Given(super::ONE_BUILDER)),
    switch("debug", Some('D'), Does::Given("it changes no result")),
    switch(
        "dry-run",
        None,
        Does::Ours("`buildah manifest inspect` in place of the push"),
    ),
    value(
        "file",
        Some('f'),
        Does::Unavailable("Buildah reads no descriptors from files", "names of images"),
    ),
    value(
        "metadata-file",
        None,
        Does::Ours("written from --digestfile"),
    ),
    value(
        "platform",
        Some('p'),
        Does::Unavailable("Buildah adds all of a list's images", "names with digests"),
    ),
    switch(
        "prefer-index",
        None,
        Does::Given("the result is always a list"),
    ),
    value("progress", None, Does::Given("Buildah's output is plain")),
    value("tag", Some('t'), Does::Ours("where the list is pushed")),
];

const IMAGETOOLS_INSPECT: &[Flag] = &[
    value("builder", None, Does::Given(super::ONE_BUILDER)),
    switch("debug", Some('D'), Does::Given("it changes no result")),
    value(
        "format",
        None,
        Does::Unavailable("Buildah shows a manifest whole", "--raw, and jq"),
    ),
    switch(
        "raw",
        None,
        Does::Given("the manifest is always shown as it is"),
    ),
];

fn insecure(parsed: &Parsed, line: &mut Vec<String>) {
    if parsed.on("insecure") {
        line.push("--tls-verify=false".to_owned());
    }
}

fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn create(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let Some((list, images)) = parsed
        .words
        .split_first()
        .filter(|(_, rest)| !rest.is_empty())
    else {
        return Err(to.usage("a list and at least one image are expected"));
    };
    let mut line = line(&["manifest", "create", "--all"]);
    line.extend(parsed.passed());
    insecure(parsed, &mut line);
    line.push(list.clone());
    line.extend(images.iter().map(|image| reference::remote(image)));
    to.run(line);
    Ok(())
}

fn annotate(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [list, image] = parsed.words.as_slice() else {
        return Err(to.usage("a list and one of its images are expected"));
    };
    let mut line = line(&["manifest", "annotate"]);
    line.extend(parsed.passed());
    line.extend([list.clone(), reference::remote(image)]);
    to.run(line);
    Ok(())
}

fn push(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [list] = parsed.words.as_slice() else {
        return Err(to.usage("one list is expected"));
    };
    let digest = to.scratch("digest");
    let mut flags = parsed.passed();
    insecure(parsed, &mut flags);
    let target = reference::remote(list);
    // Docker prints the digest alone.
    to.step(push_list(&flags, list, &target, &digest, Output::Captured));
    to.say(Answer::File(digest));
    Ok(())
}

fn inspect(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let name = match parsed.words.as_slice() {
        [name] => name,
        [_, name] => name,
        _ => return Err(to.usage("one image or list is expected")),
    };
    let mut line = line(&["manifest", "inspect"]);
    insecure(parsed, &mut line);
    line.push(reference::full(name));
    show(line, name, to);
    Ok(())
}

/// Buildah shows lists alone. A single image's manifest is that of the image, once it is here.
fn show(inspect: Vec<String>, name: &str, to: &mut Planner<'_>) {
    let name = reference::full(name);
    let pull = [
        "pull",
        "--quiet",
        "--policy=always",
        &format!("docker://{name}"),
    ]
    .map(str::to_owned);
    let image = ["inspect", "--type=image", "--format={{.Manifest}}", &name].map(str::to_owned);
    to.step(Step::Either {
        test: command(inspect.clone(), Output::Dropped),
        yes: vec![Step::Run(command(inspect, Output::Job))],
        no: vec![
            Step::Run(command(pull, Output::Captured)),
            Step::Run(command(image, Output::Job)),
        ],
    });
}

fn remove(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    if parsed.words.is_empty() {
        return Err(to.usage("a list is expected"));
    }
    let mut line = line(&["manifest", "rm"]);
    line.extend(parsed.words.iter().cloned());
    to.run(line);
    Ok(())
}

fn imagetools_create(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let tags: Vec<String> = parsed.all("tag").map(str::to_owned).collect();
    let Some(first) = tags.first().or(parsed.words.first()) else {
        return Err(to.usage("a --tag and at least one image are expected"));
    };
    let mut images: Vec<String> = parsed
        .words
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
    let mut create = line(&["manifest", "create", "--all"]);
    for annotation in parsed.all("annotation") {
        let pair = annotation.strip_prefix("index:").unwrap_or(annotation);
        create.push(format!("--annotation={pair}"));
    }
    create.push(list.clone());
    create.extend(
        images
            .iter()
            .map(|image| reference::remote(&within(first, image))),
    );
    to.capture(create);
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

fn imagetools_inspect(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [name] = parsed.words.as_slice() else {
        return Err(to.usage("one image is expected"));
    };
    show(
        line(&["manifest", "inspect", &reference::full(name)]),
        name,
        to,
    );
    Ok(())
}
