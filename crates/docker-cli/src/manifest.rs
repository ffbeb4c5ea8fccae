//! `docker manifest`: lists of images.

use super::arguments::{Parsed, passed};
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::output::Output;
use super::plan::{Command, Stdout, Step};
use super::planner::Planner;
use super::reference;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["manifest create"],
        flags: &[CREATE],
        effect: "`buildah manifest create --all` of images in registries",
        translation: Translation::Steps(create),
    },
    Verb {
        names: &["manifest annotate"],
        flags: &[ANNOTATE],
        effect: "`buildah manifest annotate`",
        translation: Translation::Steps(annotate),
    },
    Verb {
        names: &["manifest push"],
        flags: &[PUSH],
        effect: "`buildah manifest push --all`, and the list's digest as the last line",
        translation: Translation::Steps(push),
    },
    Verb {
        names: &["manifest inspect"],
        flags: &[INSPECT],
        effect: "`buildah manifest inspect` of a local list; otherwise a request to the registry, through the builder's client",
        translation: Translation::Steps(inspect),
    },
    Verb {
        names: &["manifest rm"],
        flags: &[],
        effect: "`buildah manifest rm`",
        translation: Translation::Steps(remove),
    },
];

const INSECURE: FlagPolicy =
    FlagPolicy::Handled("--tls-verify=false, which the builder may refuse");

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
        FlagPolicy::Handled("a description for each image of a list"),
    ),
];

/// Adds the flag for plain HTTP, which the user requested or which Docker takes from these names.
fn add_insecure<'a>(
    parsed: &Parsed,
    names: impl IntoIterator<Item = &'a String>,
    line: &mut Vec<String>,
) {
    let default = reference::plain_http(names.into_iter().map(String::as_str));
    let requested = parsed
        .on("insecure")
        .then(|| "--tls-verify=false".to_owned());
    line.extend(requested.or(default));
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn create(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let Some((list, images)) = parsed
        .positional
        .split_first()
        .filter(|(_, rest)| !rest.is_empty())
    else {
        return Err(planner.usage("expected a list and at least one image"));
    };
    let mut line = words(&["manifest", "create", "--all"]);
    line.extend(passed(parsed));
    add_insecure(parsed, images, &mut line);
    line.push(list.clone());
    line.extend(images.iter().map(|image| reference::remote(image)));
    planner.run(line);
    Ok(())
}

fn annotate(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [list, image] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected a list and one of its images"));
    };
    let mut line = words(&["manifest", "annotate"]);
    line.extend(passed(parsed));
    line.push(list.clone());
    planner.step(Step::AnnotateManifest {
        // Docker prints nothing.
        command: Command::new(line, Stdout::Captured),
        image: reference::full(image.trim_start_matches("docker://")),
    });
    Ok(())
}

fn push(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [list] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one list"));
    };
    let digest = planner.scratch("digest");
    let mut flags = passed(parsed);
    add_insecure(parsed, [list], &mut flags);
    let target = reference::remote(list);
    // Docker prints only the digest.
    planner.step(Step::push_list(
        &flags,
        list,
        &target,
        &digest,
        Stdout::Captured,
    ));
    planner.print(Output::File(digest));
    Ok(())
}

fn inspect(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let name = match parsed.positional.as_slice() {
        [name] => name,
        [_, name] => name,
        _ => return Err(planner.usage("expected one image or list")),
    };
    let mut tls = Vec::new();
    add_insecure(parsed, [name], &mut tls);
    planner.step(Step::InspectManifest {
        name: reference::full(name),
        tls: tls.pop(),
        verbose: parsed.on("verbose"),
    });
    Ok(())
}

fn remove(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    if parsed.positional.is_empty() {
        return Err(planner.usage("expected a list"));
    }
    let mut line = words(&["manifest", "rm"]);
    line.extend(parsed.positional.iter().cloned());
    planner.run(line);
    Ok(())
}
