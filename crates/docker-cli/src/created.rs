//! `docker create` and `cp`: files leave an image without a process.

use std::path::{Path, PathBuf};

use super::arguments::Parsed;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, switch, value};
use super::plan::{Command, CopyOfFiles, Stdout, Step};
use super::planner::Planner;
use super::reference;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["create", "container create"],
        flags: &[CREATE],
        effect: "an ID that `docker cp` and `docker rm` of this job know; `buildah pull` if the image is not there. No process starts",
        translation: Translation::Command(create),
    },
    Verb {
        names: &["cp", "container cp"],
        flags: &[COPY],
        effect: "`buildah build` of a file with COPY --from and --output, for a path of an image of `docker create`",
        translation: Translation::Steps(copy),
    },
];

const NO_PROCESS: FlagPolicy = FlagPolicy::Implied("no process starts");

const CREATE: &[Flag] = &[
    value(
        "name",
        None,
        FlagPolicy::Handled("another name of the container"),
    ),
    value(
        "platform",
        None,
        FlagPolicy::Handled("--platform of `buildah pull`"),
    ),
    value(
        "pull",
        None,
        FlagPolicy::Handled("`always` pulls the image again; `never` does not pull it"),
    ),
    switch("quiet", Some('q'), NO_EFFECT),
    value("add-host", None, NO_PROCESS),
    value("annotation", None, NO_PROCESS),
    value("cap-add", None, NO_PROCESS),
    value("cap-drop", None, NO_PROCESS),
    value("cpus", None, NO_PROCESS),
    value("entrypoint", None, NO_PROCESS),
    value("env", Some('e'), NO_PROCESS),
    value("env-file", None, NO_PROCESS),
    value("expose", None, NO_PROCESS),
    value("hostname", Some('h'), NO_PROCESS),
    switch("init", None, NO_PROCESS),
    switch("interactive", Some('i'), NO_PROCESS),
    value("label", Some('l'), NO_PROCESS),
    value("memory", Some('m'), NO_PROCESS),
    value("network", None, NO_PROCESS),
    value("publish", Some('p'), NO_PROCESS),
    switch("read-only", None, NO_PROCESS),
    value("restart", None, NO_PROCESS),
    switch("rm", None, NO_PROCESS),
    switch("tty", Some('t'), NO_PROCESS),
    value("user", Some('u'), NO_PROCESS),
    value("volume", Some('v'), NO_PROCESS),
    value("workdir", Some('w'), NO_PROCESS),
];

const COPY: &[Flag] = &[
    switch(
        "archive",
        Some('a'),
        FlagPolicy::Ignored("the files get the job's user, as in every output of a build"),
    ),
    switch(
        "follow-link",
        Some('L'),
        FlagPolicy::Implied("COPY follows a link that the path names"),
    ),
    switch("quiet", Some('q'), NO_EFFECT),
];

/// Returns the directory of the containers, in the job's home directory.
pub(super) fn directory(home: Option<&str>) -> Option<PathBuf> {
    let home = home.filter(|home| home.starts_with('/'))?;
    Some(Path::new(home).join(".docker/ci-cd-agents-containers"))
}

fn create(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let Some(image) = parsed.positional.first() else {
        return Err(planner.usage("expected an image"));
    };
    let full = reference::full(image);
    let mut line: Vec<String> = vec!["pull".into(), "--quiet".into()];
    line.extend(
        parsed
            .last("platform")
            .map(|name| format!("--platform={name}")),
    );
    line.extend(reference::plain_http([full.as_str()]));
    line.push(format!("docker://{full}"));
    let pull = Step::Run(Command::new(line, Stdout::Captured));
    match parsed.last("pull") {
        Some("always") => planner.step(pull),
        Some("never") => {}
        _ => planner.step(Step::If {
            test: Command::new(["inspect", "--type=image", image], Stdout::Dropped),
            then: Vec::new(),
            otherwise: vec![pull],
        }),
    }
    planner.step(Step::CreateContainer {
        image: image.clone(),
        name: parsed.last("name").map(str::to_owned),
    });
    Ok(())
}

/// Splits `CONTAINER:PATH`. A path of the job that contains a colon begins with a slash or a dot, as with Docker.
fn in_container(argument: &str) -> Option<(&str, &str)> {
    let local = argument.starts_with(['/', '.']);
    argument.split_once(':').filter(|_| !local)
}

fn copy(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [from, to] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected CONTAINER:PATH and a path of the job"));
    };
    let Some((container, path)) = in_container(from) else {
        return Err(planner.not_available(
            "into a container",
            "no container keeps files here",
            "a build stage with COPY",
        ));
    };
    if path.contains(['*', '?', '[', '\\', '$', '"', '\n']) {
        return Err(planner.not_available(
            &format!("of {path}"),
            "COPY reads these characters as a pattern or a variable",
            "the directory that contains it",
        ));
    }
    let directory = planner.scratch("copy");
    planner.step(Step::CopyFiles(CopyOfFiles {
        container: container.to_owned(),
        path: path.to_owned(),
        to: to.clone(),
        directory,
    }));
    Ok(())
}
