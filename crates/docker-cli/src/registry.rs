//! `docker push`, `pull`, `login` and `logout`.

use super::answer::Answer;
use super::arguments::{Parsed, passed};
use super::flag_specs::{Translation, Verb};
use super::plan::{Command, Hidden, Input, Output, Planner, Step, command, push_list};
use super::reference;
use super::types::Unavailable;
use super::types::{Flag, FlagPolicy, switch, value};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["push", "image push"],
        flags: &[PUSH],
        becomes: "`buildah push`, or `buildah manifest push --all` for a list; the last line is Docker's `TAG: digest: …`",
        by: Translation::Steps(push),
    },
    Verb {
        names: &["pull", "image pull"],
        flags: &[PULL],
        becomes: "`buildah pull --policy=always`",
        by: Translation::Steps(pull),
    },
    Verb {
        names: &["login"],
        flags: &[LOGIN],
        becomes: "`buildah login`, for this job alone; a password never stands on a command line",
        by: Translation::Steps(login),
    },
    Verb {
        names: &["logout"],
        flags: &[],
        becomes: "`buildah logout`",
        by: Translation::Steps(logout),
    },
];

const NO_TRUST: FlagPolicy = FlagPolicy::Given("there is no content trust");

const PUSH: &[Flag] = &[
    switch(
        "all-tags",
        Some('a'),
        FlagPolicy::Unavailable("Buildah pushes one name", "docker push for each tag"),
    ),
    switch("disable-content-trust", None, NO_TRUST),
    value(
        "platform",
        None,
        FlagPolicy::Unavailable(
            "Buildah pushes what a name stands for",
            "a tag for each platform",
        ),
    ),
    switch("quiet", Some('q'), FlagPolicy::Passed),
];

const PULL: &[Flag] = &[
    switch("all-tags", Some('a'), FlagPolicy::Passed),
    switch("disable-content-trust", None, NO_TRUST),
    value("platform", None, FlagPolicy::Passed),
    switch("quiet", Some('q'), FlagPolicy::Passed),
];

pub(super) const LOGIN: &[Flag] = &[
    value("password", Some('p'), FlagPolicy::Ours("--password-stdin")),
    switch("password-stdin", None, FlagPolicy::Passed),
    value("username", Some('u'), FlagPolicy::Passed),
];

fn push(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [name] = parsed.positional.as_slice() else {
        return Err(to.usage("one image is expected"));
    };
    let digest = to.scratch("digest");
    let (flags, target) = (passed(parsed), reference::remote(name));
    // Of a list, `buildah push` would send this machine's platform alone.
    let line = ["push".to_owned()].into_iter().chain(flags.iter().cloned());
    let line = line.chain([name.clone(), target.clone()]);
    to.step(Step::Either {
        test: command(["manifest", "exists", name], Output::Dropped),
        yes: vec![push_list(&flags, name, &target, &digest, Output::Job)],
        no: vec![Step::Run(command(line, Output::Job).with_digest(&digest))],
    });
    if parsed.on("quiet") {
        to.print(format!("{}\n", reference::full(name)));
    } else {
        to.say(Answer::Pushed {
            tag: reference::tag(name).to_owned(),
            digest,
        });
    }
    Ok(())
}

fn pull(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let [name] = parsed.positional.as_slice() else {
        return Err(to.usage("one image is expected"));
    };
    let source = match parsed.on("all-tags") {
        true => reference::repository(&reference::full(name)).to_owned(),
        false => reference::full(name),
    };
    let line = ["pull".to_owned(), "--policy=always".into()].into_iter();
    let line = line.chain(passed(parsed));
    let source = format!("docker://{source}");
    if parsed.on("quiet") {
        to.capture(line.chain([source]));
        to.print(format!("{}\n", reference::full(name)));
    } else {
        to.run(line.chain([source]));
    }
    Ok(())
}

pub(super) fn login(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    let server = match parsed.positional.as_slice() {
        [] => "",
        [server] => server,
        _ => return Err(to.usage("one registry at most is expected")),
    };
    let mut line = vec!["login".to_owned()];
    line.extend(passed(parsed));
    let input = match parsed.last("password") {
        None => Input::Job,
        Some(_) if parsed.last("username").is_none() => {
            return Err(to.usage("--password needs --username"));
        }
        Some(password) => {
            to.note("a password on the command line can be read by others; use --password-stdin");
            line.push("--password-stdin".to_owned());
            Input::Hidden(Hidden::new(password))
        }
    };
    line.push(reference::registry(server).to_owned());
    to.step(Step::Run(Command {
        arguments: line,
        input,
        output: Output::Job,
    }));
    Ok(())
}

fn logout(parsed: &Parsed, to: &mut Planner<'_>) -> Result<(), Unavailable> {
    match parsed.positional.as_slice() {
        [] => to.run(["logout", reference::registry("")]),
        [server] => to.run(["logout", reference::registry(server)]),
        _ => return Err(to.usage("one registry at most is expected")),
    }
    Ok(())
}
