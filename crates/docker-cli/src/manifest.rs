//! `docker manifest`: lists of images.

use super::answer::Answer;
use super::arguments::{Parsed, passed};
use super::flag_specs::{Translation, Verb};
use super::plan::{Output, Planner, Step, command, push_list};
use super::reference;
use super::types::Unavailable;
use super::types::{Flag, FlagPolicy, switch, value};

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
];

const INSECURE: FlagPolicy = FlagPolicy::Ours("--tls-verify=false, which the builder may refuse");

const CREATE: &[Flag] = &[
    switch("amend", Some('a'), FlagPolicy::Passed),
    switch("insecure", None, INSECURE),
];

const ANNOTATE: &[Flag] = &[
    value("arch", None, FlagPolicy::Passed),
    value("os", None, FlagPolicy::Passed),
    value("os-features", None, FlagPolicy::Passed),
    value("os-version", None, FlagPolicy::Passed),
    value("variant", None, FlagPolicy::Passed),
];

const PUSH: &[Flag] = &[
    switch("insecure", None, INSECURE),
    switch("purge", Some('p'), FlagPolicy::Renamed("rm")),
];

const INSPECT: &[Flag] = &[
    switch("insecure", None, INSECURE),
    switch(
        "verbose",
        Some('v'),
        FlagPolicy::Unavailable(
            "Buildah shows the list, not each of its manifests",
            "docker manifest inspect NAME@DIGEST for each",
        ),
    ),
];

fn insecure(parsed: &Parsed, line: &mut Vec<String>) {
    if parsed.on("insecure") {
        line.push("--tls-verify=false".to_owned());
    }
}

pub(super) fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn create(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let Some((list, images)) = parsed
        .positional
        .split_first()
        .filter(|(_, rest)| !rest.is_empty())
    else {
        return Err(to.usage("a list and at least one image are expected"));
    };
    let mut line = line(&["manifest", "create", "--all"]);
    line.extend(passed(parsed));
    insecure(parsed, &mut line);
    line.push(list.clone());
    line.extend(images.iter().map(|image| reference::remote(image)));
    to.run(line);
    Ok(())
}

fn annotate(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [list, image] = parsed.positional.as_slice() else {
        return Err(to.usage("a list and one of its images are expected"));
    };
    let mut line = line(&["manifest", "annotate"]);
    line.extend(passed(parsed));
    line.extend([list.clone(), reference::remote(image)]);
    to.run(line);
    Ok(())
}

fn push(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [list] = parsed.positional.as_slice() else {
        return Err(to.usage("one list is expected"));
    };
    let digest = to.scratch("digest");
    let mut flags = passed(parsed);
    insecure(parsed, &mut flags);
    let target = reference::remote(list);
    // Docker prints the digest alone.
    to.step(push_list(&flags, list, &target, &digest, Output::Captured));
    to.say(Answer::File(digest));
    Ok(())
}

fn inspect(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let name = match parsed.positional.as_slice() {
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
pub(super) fn show(inspect: Vec<String>, name: &str, to: &mut Planner<'_>) {
    let name = reference::full(name);
    let mut pull = line(&["pull", "--quiet", "--policy=always"]);
    pull.extend(
        inspect
            .iter()
            .filter(|word| word.starts_with("--"))
            .cloned(),
    );
    pull.push(format!("docker://{name}"));
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
    if parsed.positional.is_empty() {
        return Err(to.usage("a list is expected"));
    }
    let mut line = line(&["manifest", "rm"]);
    line.extend(parsed.positional.iter().cloned());
    to.run(line);
    Ok(())
}
