//! `docker push`, `pull`, `login` and `logout`.

use secret::Secret;

use super::arguments::{Parsed, passed};
use super::digests::Remembered;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::output::Output;
use super::plan::{Command, Stdin, Stdout, Step, Variables};
use super::planner::Planner;
use super::reference;
use super::verbs::{Translation, Verb};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        names: &["push", "image push"],
        flags: &[PUSH],
        effect: "`buildah push`, or `buildah manifest push --all` for a list; the last line is Docker's `TAG: digest: …`",
        translation: Translation::Steps(push),
    },
    Verb {
        names: &["pull", "image pull"],
        flags: &[PULL],
        effect: "`buildah pull --policy=always`",
        translation: Translation::Steps(pull),
    },
    Verb {
        names: &["login"],
        flags: &[LOGIN],
        effect: "`buildah login`, for this job only; no command line contains a password",
        translation: Translation::Steps(login),
    },
    Verb {
        names: &["logout"],
        flags: &[],
        effect: "`buildah logout`; without a login, a line on stderr",
        translation: Translation::Steps(logout),
    },
];

const NO_TRUST: FlagPolicy = FlagPolicy::Implied("there is no content trust");

const PUSH: &[Flag] = &[
    switch(
        "all-tags",
        Some('a'),
        FlagPolicy::NotAvailable(
            "Buildah pushes one name at a time",
            "docker push for each tag",
        ),
    ),
    switch("disable-content-trust", None, NO_TRUST),
    value(
        "platform",
        None,
        FlagPolicy::NotAvailable(
            "Buildah pushes the whole image or list of a name",
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
    value(
        "password",
        Some('p'),
        FlagPolicy::Handled("--password-stdin"),
    ),
    switch("password-stdin", None, FlagPolicy::Passed),
    value("username", Some('u'), FlagPolicy::Passed),
];

fn push(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [name] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one image"));
    };
    let digest = planner.scratch("digest");
    let (flags, target) = (passed(parsed), reference::remote(name));
    // `buildah push` would push only this machine's platform of a list.
    let line = ["push".to_owned()].into_iter().chain(flags.iter().cloned());
    let line = line.chain([name.clone(), target.clone()]);
    planner.step(Step::If {
        test: Command::new(["manifest", "exists", name], Stdout::Dropped),
        then: vec![Step::push_list(
            &flags,
            name,
            &target,
            &digest,
            Stdout::Inherited,
        )],
        otherwise: vec![Step::Run(
            Command::new(line, Stdout::Inherited).with_digest(&digest),
        )],
    });
    // This finds the image's ID. The image is pushed whatever it says.
    let listed = ["images", "--json", "--no-trunc", name];
    planner.step(Step::Try(Command::new(listed, Stdout::Captured)));
    planner.step(Step::Remember(Remembered::Pushed {
        name: reference::full(name),
        digest: digest.clone(),
    }));
    if parsed.on("quiet") {
        planner.print_text(format!("{}\n", reference::full(name)));
    } else {
        planner.print(Output::Pushed {
            tag: reference::tag(name).to_owned(),
            digest,
        });
    }
    Ok(())
}

fn pull(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let [name] = parsed.positional.as_slice() else {
        return Err(planner.usage("expected one image"));
    };
    let full = reference::full(name);
    let source = if parsed.on("all-tags") {
        reference::repository(&full)
    } else {
        &full
    };
    let line = ["pull".to_owned(), "--policy=always".into()].into_iter();
    let line = line.chain(passed(parsed));
    let source = format!("docker://{source}");
    if parsed.on("quiet") {
        planner.capture(line.chain([source]));
    } else {
        planner.run(line.chain([source]));
    }
    if !parsed.on("all-tags") {
        let listed = ["images", "--json", "--no-trunc", &full];
        planner.step(Step::Try(Command::new(listed, Stdout::Captured)));
        planner.step(Step::Remember(Remembered::Pulled { name: full }));
    }
    if parsed.on("quiet") {
        planner.print_text(format!("{}\n", reference::full(name)));
    }
    Ok(())
}

pub(super) fn login(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    let server = match parsed.positional.as_slice() {
        [] => "",
        [server] => server,
        _ => return Err(planner.usage("expected at most one registry")),
    };
    let mut line = vec!["login".to_owned()];
    line.extend(passed(parsed));
    let stdin = match parsed.last("password") {
        None => Stdin::Inherited,
        Some(_) if parsed.last("username").is_none() => {
            return Err(planner.usage("--password needs --username"));
        }
        Some(password) => {
            planner.notice(
                "other processes can read a password on the command line; use --password-stdin",
            );
            line.push("--password-stdin".to_owned());
            Stdin::Secret(Secret::new(password))
        }
    };
    line.push(reference::registry(server).to_owned());
    planner.step(Step::Run(Command {
        arguments: line,
        stdin,
        stdout: Stdout::Inherited,
        variables: Variables::Resolved,
    }));
    Ok(())
}

/// Removes a login. Without a login there is nothing to do, as with Docker.
fn forget(server: &str, planner: &mut Planner<'_>) {
    let registry = reference::registry(server);
    let shown = match registry {
        "docker.io" => "https://index.docker.io/v1/",
        registry => registry,
    };
    let said = format!("Removing login credentials for {shown}\n");
    planner.print_text(said);
    let none = format!("there is no login for {registry}");
    planner.step(Step::If {
        test: Command::new(["logout", registry], Stdout::Dropped),
        then: Vec::new(),
        otherwise: vec![planner.note(&none)],
    });
}

fn logout(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    match parsed.positional.as_slice() {
        [] => forget("", planner),
        [server] => forget(server, planner),
        _ => return Err(planner.usage("expected at most one registry")),
    }
    Ok(())
}
