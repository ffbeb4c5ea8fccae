//! `docker images`, `inspect`, `tag`, `rmi`, `save`, `load` and `prune`.

use super::answer::{Answer, Listing};
use super::arguments::{Parsed, passed};
use super::flag_specs::{Translation, Verb};
use super::plan::{Output, Planner, Step, command, text};
use super::reference;
use super::template::Template;
use super::types::Unavailable;
use super::types::{Flag, FlagPolicy, switch, value};

const FORMAT: FlagPolicy =
    FlagPolicy::Ours("Go's template over Docker's fields, which are made from what Buildah says");
const ONE_PLATFORM: FlagPolicy = FlagPolicy::Unavailable(
    "Buildah's storage holds one platform under a name",
    "a name for each platform",
);

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["images", "image ls", "image list"],
        flags: &[IMAGES],
        becomes: "`buildah images --json`, shown as Docker does",
        by: Translation::Steps(images),
    },
    Verb {
        names: &["inspect", "image inspect"],
        flags: &[INSPECT],
        becomes: "`buildah inspect --type image` and `buildah images --json`, in Docker's form",
        by: Translation::Steps(inspect),
    },
    Verb {
        names: &["tag", "image tag"],
        flags: &[],
        becomes: "`buildah tag`",
        by: Translation::Steps(tag),
    },
    Verb {
        names: &["rmi", "image rm", "image remove"],
        flags: &[REMOVE],
        becomes: "`buildah rmi`, or `buildah manifest rm` for a list",
        by: Translation::Steps(remove),
    },
    Verb {
        names: &["save", "image save"],
        flags: &[SAVE],
        becomes: "`buildah push` to a docker-archive",
        by: Translation::Steps(save),
    },
    Verb {
        names: &["load", "image load"],
        flags: &[LOAD],
        becomes: "`buildah pull` from a docker-archive or oci-archive",
        by: Translation::Steps(load),
    },
    Verb {
        names: &[
            "image prune",
            "system prune",
            "builder prune",
            "buildx prune",
        ],
        flags: &[PRUNE],
        becomes: "`buildah rmi --prune`, which leaves what has a name and takes the images of lists; with --all for images `buildah rmi --all`",
        by: Translation::Steps(prune),
    },
];

const IMAGES: &[Flag] = &[
    switch("all", Some('a'), FlagPolicy::Passed),
    switch("digests", None, FlagPolicy::Ours("a column more")),
    value("filter", Some('f'), FlagPolicy::Passed),
    value("format", None, FORMAT),
    switch("no-trunc", None, FlagPolicy::Ours("the whole ID")),
    switch("quiet", Some('q'), FlagPolicy::Ours("the IDs alone")),
    switch(
        "tree",
        None,
        FlagPolicy::Unavailable(
            "Buildah lists images, not their platforms",
            "docker manifest inspect",
        ),
    ),
];

pub(super) const INSPECT: &[Flag] = &[
    value(
        "format",
        Some('f'),
        FlagPolicy::Ours(
            "Go's template over Docker's fields, without RepoDigests: Buildah does not keep the digest that a push gave",
        ),
    ),
    value("platform", None, ONE_PLATFORM),
    switch(
        "size",
        Some('s'),
        FlagPolicy::Given("an image's size is always shown"),
    ),
    value(
        "type",
        None,
        FlagPolicy::Ours("`image` alone: nothing else exists here"),
    ),
];

const REMOVE: &[Flag] = &[
    switch("force", Some('f'), FlagPolicy::Passed),
    switch(
        "no-prune",
        None,
        FlagPolicy::Ignored("Buildah removes what nobody needs any more"),
    ),
    value("platform", None, ONE_PLATFORM),
];

const SAVE: &[Flag] = &[
    value(
        "output",
        Some('o'),
        FlagPolicy::Ours("the archive; else standard output"),
    ),
    value("platform", None, ONE_PLATFORM),
];

const LOAD: &[Flag] = &[
    value(
        "input",
        Some('i'),
        FlagPolicy::Ours("the archive; else standard input"),
    ),
    value("platform", None, ONE_PLATFORM),
    switch("quiet", Some('q'), FlagPolicy::Passed),
];

const PRUNE_ALL: FlagPolicy = FlagPolicy::Unavailable(
    "Buildah removes all that nobody needs, or nothing",
    "the command without this flag",
);
const PRUNE: &[Flag] = &[
    switch(
        "all",
        Some('a'),
        FlagPolicy::Ours("--all for images; a build cache is always removed whole"),
    ),
    value("filter", None, PRUNE_ALL),
    switch("force", Some('f'), FlagPolicy::Given("nobody is asked")),
    value("keep-storage", None, PRUNE_ALL),
    value("max-used-space", None, PRUNE_ALL),
    value("min-free-space", None, PRUNE_ALL),
    value("reserved-space", None, PRUNE_ALL),
    value("timeout", None, FlagPolicy::Given("it changes no result")),
    switch(
        "verbose",
        None,
        FlagPolicy::Given("what is removed is always shown"),
    ),
    switch("volumes", None, FlagPolicy::Given("there are no volumes")),
    value(
        "builder",
        None,
        FlagPolicy::Given(super::types::ONE_BUILDER),
    ),
];

fn images(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    if parsed.positional.len() > 1 {
        return Err(to.usage("one repository at most is expected"));
    }
    let wanted = parsed.positional.first().cloned();
    let mut line = vec!["images".to_owned(), "--json".into(), "--no-trunc".into()];
    line.extend(passed(parsed));
    // As an argument, a name that nothing has would be an error.
    line.extend(
        wanted
            .iter()
            .map(|name| format!("--filter=reference={name}")),
    );
    to.capture(line);
    to.say(Answer::Images(Listing {
        format: parsed.last("format").map(str::to_owned),
        wanted,
        quiet: parsed.on("quiet"),
        whole: parsed.on("no-trunc"),
        digests: parsed.on("digests"),
    }));
    Ok(())
}

pub(super) fn inspect(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    if parsed.positional.is_empty() {
        return Err(to.usage("an image's name is expected"));
    }
    if let Some(kind) = parsed
        .last("type")
        .filter(|kind| !matches!(*kind, "" | "image"))
    {
        return Err(to.refused(
            &format!("--type={kind}"),
            "only images exist here",
            "--type=image",
        ));
    }
    let format = parsed.last("format").filter(|format| !format.is_empty());
    if format.is_some_and(|format| Template::mentions(format, "RepoDigests")) {
        return Err(to.refused(
            "--format with RepoDigests",
            "Buildah does not keep the digest that a push gave",
            "the last line of docker push, or docker buildx build --metadata-file",
        ));
    }
    for name in &parsed.positional {
        to.capture(["inspect", "--type=image", name]);
        to.capture(["images", "--json", "--no-trunc", name]);
    }
    let format = format.map(str::to_owned);
    to.say(Answer::Inspect { format });
    Ok(())
}

fn tag(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    match parsed.positional.as_slice() {
        [image, name] => to.run(["tag", image, name]),
        _ => return Err(to.usage("an image and its new name are expected")),
    }
    Ok(())
}

fn remove(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    if parsed.positional.is_empty() {
        return Err(to.usage("an image's name is expected"));
    }
    // Of a list, `buildah rmi` takes the name for that of one of its images.
    for name in &parsed.positional {
        let line = ["rmi".to_owned()].into_iter().chain(passed(parsed));
        to.step(Step::Either {
            test: command(["manifest", "exists", name], Output::Dropped),
            yes: vec![Step::Run(command(["manifest", "rm", name], Output::Job))],
            no: vec![Step::Run(command(line.chain([name.clone()]), Output::Job))],
        });
    }
    Ok(())
}

/// The archive is written in the scratch directory: the wanted path may be one that the builder does not see.
fn save(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [image] = parsed.positional.as_slice() else {
        return Err(to.refused(
            "of several images",
            "Buildah's archives hold one",
            "docker save for each",
        ));
    };
    let archive = to.scratch("image.tar");
    let target = format!(
        "docker-archive:{}:{}",
        text(&archive),
        reference::full(image)
    );
    to.step(Step::Run(command(
        ["push", "--quiet", image, &target],
        Output::Captured,
    )));
    to.step(Step::Deliver {
        from: archive,
        to: parsed.last("output").map(Into::into),
    });
    Ok(())
}

fn load(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    if !parsed.positional.is_empty() {
        return Err(to.usage("no argument is expected"));
    }
    let archive = match parsed.last("input") {
        Some(path) => path.to_owned(),
        None => {
            let spooled = to.scratch("image.tar");
            to.step(Step::Spool {
                to: spooled.clone(),
            });
            text(&spooled)
        }
    };
    let line = |transport: &str, output| {
        let line = ["pull".to_owned()].into_iter().chain(passed(parsed));
        command(line.chain([format!("{transport}:{archive}")]), output)
    };
    let said = Answer::Text(format!("Loaded image from {archive}\n"));
    to.step(Step::Either {
        test: line("docker-archive", Output::Dropped),
        yes: vec![Step::Answer {
            answer: said,
            to: None,
        }],
        no: vec![Step::Run(line("oci-archive", Output::Job))],
    });
    Ok(())
}

fn prune(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let images = to.command.ends_with("image prune") || to.command.ends_with("system prune");
    let which = if parsed.on("all") && images {
        "--all"
    } else {
        "--prune"
    };
    to.run(["rmi", which]);
    Ok(())
}
