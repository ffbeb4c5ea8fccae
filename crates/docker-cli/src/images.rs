//! `docker images`, `inspect`, `tag` and `rmi`.

use super::arguments::{Parsed, passed};
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::output::{ImageTable, Output};
use super::plan::{Command, Stdout, Step};
use super::planner::Planner;
use super::verbs::{Translation, Verb};

const FORMAT: FlagPolicy =
    FlagPolicy::Handled("Go's template over Docker's fields, which are made from Buildah's output");
pub(super) const ONE_PLATFORM: FlagPolicy = FlagPolicy::NotAvailable(
    "Buildah's storage holds one platform under a name",
    "one name for each platform",
);

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["images", "image ls", "image list"],
        flags: &[IMAGES],
        effect: "`buildah images --json`, printed in Docker's form",
        translation: Translation::Steps(images),
    },
    Verb {
        names: &["inspect", "image inspect"],
        flags: &[INSPECT],
        effect: "`buildah inspect --type image` and `buildah images --json`, in Docker's form",
        translation: Translation::Steps(inspect),
    },
    Verb {
        names: &["tag", "image tag"],
        flags: &[],
        effect: "`buildah tag`",
        translation: Translation::Steps(tag),
    },
    Verb {
        names: &["rmi", "image rm", "image remove"],
        flags: &[REMOVE],
        effect: "`buildah rmi`, or `buildah manifest rm` for a list",
        translation: Translation::Steps(remove),
    },
];

const IMAGES: &[Flag] = &[
    switch("all", Some('a'), FlagPolicy::Passed),
    switch(
        "digests",
        None,
        FlagPolicy::Handled(
            "adds a column with the digests of this job's pushes and pulls; otherwise `<none>`",
        ),
    ),
    value("filter", Some('f'), FlagPolicy::Passed),
    value("format", None, FORMAT),
    switch("no-trunc", None, FlagPolicy::Handled("prints the whole ID")),
    switch(
        "quiet",
        Some('q'),
        FlagPolicy::Handled("prints only the IDs"),
    ),
    switch(
        "tree",
        None,
        FlagPolicy::NotAvailable(
            "Buildah lists images, not their platforms",
            "docker manifest inspect",
        ),
    ),
];

pub(super) const INSPECT: &[Flag] = &[
    value(
        "format",
        Some('f'),
        FlagPolicy::Handled(
            "Go's template over Docker's fields; RepoDigests has the digests of this job's pushes and pulls",
        ),
    ),
    value("platform", None, ONE_PLATFORM),
    switch(
        "size",
        Some('s'),
        FlagPolicy::Implied("the size of an image is always printed"),
    ),
    value(
        "type",
        None,
        FlagPolicy::Handled("`image` only, because no other objects exist here"),
    ),
];

const REMOVE: &[Flag] = &[
    switch(
        "force",
        Some('f'),
        FlagPolicy::Handled("--force; an image that does not exist is a line on stderr"),
    ),
    switch(
        "no-prune",
        None,
        FlagPolicy::Ignored("Buildah also removes parents that no other image needs"),
    ),
    value("platform", None, ONE_PLATFORM),
];

fn images(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    if parsed.positional.len() > 1 {
        return Err(planner.usage("expected at most one repository"));
    }
    let filter = parsed.positional.first().cloned();
    let mut line = vec!["images".to_owned(), "--json".into(), "--no-trunc".into()];
    line.extend(passed(parsed));
    // As an argument, a name without an image would be an error.
    line.extend(
        filter
            .iter()
            .map(|name| format!("--filter=reference={name}")),
    );
    planner.capture(line);
    planner.print(Output::Images(ImageTable {
        format: parsed.last("format").map(str::to_owned),
        filter,
        quiet: parsed.on("quiet"),
        no_trunc: parsed.on("no-trunc"),
        digests: parsed.on("digests"),
    }));
    Ok(())
}

pub(super) fn inspect(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    if parsed.positional.is_empty() {
        return Err(planner.usage("expected an image's name"));
    }
    if let Some(kind) = parsed
        .last("type")
        .filter(|kind| !matches!(*kind, "" | "image"))
    {
        return Err(planner.not_available(
            &format!("--type={kind}"),
            "only images exist here",
            "--type=image",
        ));
    }
    let format = parsed.last("format").filter(|format| !format.is_empty());
    for name in &parsed.positional {
        planner.capture(["inspect", "--type=image", name]);
        planner.capture(["images", "--json", "--no-trunc", name]);
    }
    let format = format.map(str::to_owned);
    planner.print(Output::Inspect { format });
    Ok(())
}

fn tag(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    match parsed.positional.as_slice() {
        [image, name] => planner.run(["tag", image, name]),
        _ => return Err(planner.usage("expected an image and its new name")),
    }
    Ok(())
}

fn remove(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let force = parsed.on("force");
    if parsed.positional.is_empty() && !force {
        return Err(planner.usage("expected an image's name"));
    }
    // `buildah rmi` takes the name of a list for the name of an image in it.
    for name in &parsed.positional {
        let line = ["rmi"].into_iter().chain(force.then_some("--force"));
        let line = line.chain([name.as_str()]);
        let image = Step::Run(Command::new(line, Stdout::Inherited));
        let list = Command::new(["manifest", "rm", name], Stdout::Inherited);
        let exists = Command::new(["inspect", "--type=image", name], Stdout::Dropped);
        let otherwise = if force {
            Step::If {
                test: exists,
                then: vec![image],
                otherwise: vec![planner.note(&format!("no such image: {name}"))],
            }
        } else {
            image
        };
        planner.step(Step::If {
            test: Command::new(["manifest", "exists", name], Stdout::Dropped),
            then: vec![Step::Run(list)],
            otherwise: vec![otherwise],
        });
    }
    Ok(())
}
