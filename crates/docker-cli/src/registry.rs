//! `docker push`, `pull`, `login` and `logout`.

use std::collections::BTreeSet;

use secret::Secret;
use serde_json::Value;

use super::arguments::{Parsed, passed};
use super::digests::Remembered;
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, switch, value};
use super::output::Output;
use super::plan::{Command, Login, Push, Stdout, Step};
use super::planner::Planner;
use super::reference::{self, familiar};
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
        effect: LOGIN_EFFECT,
        translation: Translation::Steps(login),
    },
    Verb {
        names: &["logout"],
        flags: &[],
        effect: "`buildah logout`, and the removal from the job's own file or helper; without a login, a line on stderr",
        translation: Translation::Steps(logout),
    },
];

pub(super) const LOGIN_EFFECT: &str = "`buildah login`, for this job only; no command line contains a password. The login is kept in the job's own file or credential helper too, where other clients find it";
const NO_TRUST: FlagPolicy = FlagPolicy::Implied("there is no content trust");

const PUSH: &[Flag] = &[
    switch(
        "all-tags",
        Some('a'),
        FlagPolicy::Handled("a push for each tag in `buildah images --json`"),
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
    let push = Push {
        flags: passed(parsed),
        quiet: parsed.on("quiet"),
        digest: planner.scratch("digest"),
    };
    if !parsed.on("all-tags") {
        planner.plan.steps.extend(push.steps(name));
        return Ok(());
    }
    if reference::has_tag_or_digest(name) {
        return Err(planner.usage("tag can't be used with --all-tags/-a"));
    }
    planner.step(Step::PushAll {
        repository: name.clone(),
        push,
    });
    Ok(())
}

impl Push {
    /// Returns the steps that push one image.
    pub(super) fn steps(&self, name: &str) -> Vec<Step> {
        let (digest, target) = (&self.digest, reference::remote(name));
        let flags = self.flags.iter().cloned();
        let flags: Vec<String> = flags.chain(reference::plain_http([name])).collect();
        let line = ["push".to_owned()].into_iter().chain(flags.iter().cloned());
        let line = line.chain([name.to_owned(), target.clone()]);
        let image = Command::new(line, Stdout::Inherited).with_digest(digest);
        let list = Step::push_list(&flags, name, &target, digest, Stdout::Inherited);
        // This finds the image's ID. The image has been pushed whatever it says.
        let listed = ["images", "--json", "--no-trunc", name];
        let output = if self.quiet {
            Output::Text(format!("{}\n", reference::full(name)))
        } else {
            Output::Pushed {
                tag: reference::tag(name).to_owned(),
                digest: digest.clone(),
            }
        };
        vec![
            // `buildah push` would push only this machine's platform of a list.
            Step::If {
                test: Command::new(["manifest", "exists", name], Stdout::Dropped),
                then: vec![list],
                otherwise: vec![Step::Run(image)],
            },
            Step::Try(Command::new(listed, Stdout::Captured)),
            Step::Remember(Remembered::Pushed {
                name: reference::full(name),
                digest: digest.clone(),
            }),
            Step::Print { output, to: None },
        ]
    }
}

/// Returns the names of a repository in the output of `buildah images --json`, in the order of their tags.
pub(super) fn tags(images: &Value, repository: &str) -> Vec<String> {
    let full = reference::full(repository);
    let wanted = familiar(reference::repository(&full));
    let names = images.as_array().into_iter().flatten();
    let names = names.flat_map(|image| image["names"].as_array().into_iter().flatten());
    let tags: BTreeSet<&str> = names
        .filter_map(Value::as_str)
        .filter(|name| familiar(reference::repository(name)) == wanted)
        .filter(|name| reference::has_tag(name))
        .map(reference::tag)
        .collect();
    let name = |tag: &str| format!("{repository}:{tag}");
    tags.into_iter().map(name).collect()
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
    let line = line
        .chain(passed(parsed))
        .chain(reference::plain_http([source]));
    let source = format!("docker://{source}");
    let known = !parsed.on("all-tags");
    if known {
        let before = ["images", "--json", "--no-trunc", "--all"];
        planner.step(Step::Try(Command::new(before, Stdout::Captured)));
    }
    if parsed.on("quiet") {
        planner.capture(line.chain([source]));
    } else {
        planner.run(line.chain([source]));
    }
    if known {
        let own = "--format={{.FromImageID}} {{.FromImageDigest}}";
        let inspected = ["inspect", "--type=image", own, &full];
        planner.step(Step::Try(Command::new(inspected, Stdout::Captured)));
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
    let password = match parsed.last("password") {
        None => None,
        Some(_) if parsed.last("username").is_none() => {
            return Err(planner.usage("--password needs --username"));
        }
        Some(password) => {
            planner.notice(
                "other processes can read a password on the command line; use --password-stdin",
            );
            line.push("--password-stdin".to_owned());
            Some(Secret::new(password))
        }
    };
    let registry = reference::registry(server).to_owned();
    if parsed.last("tls-verify").is_none() {
        line.extend(reference::plain_http([format!("{registry}/a").as_str()]));
    }
    line.push(registry.clone());
    let command = Command::new(line, Stdout::Inherited);
    let user = parsed.last("username");
    let has_password = password.is_some() || parsed.on("password-stdin");
    planner.step(match user.filter(|_| has_password) {
        Some(user) => Step::Login(Login {
            command,
            registry,
            user: user.to_owned(),
            password,
        }),
        // The builder says what is missing, or prints the login.
        None => Step::Run(command),
    });
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
    planner.step(Step::Logout {
        registry: registry.to_owned(),
        none: format!("{}: there is no login for {registry}", planner.command),
    });
}

pub(super) fn logout(parsed: &Parsed, planner: &mut Planner<'_>) -> Result<(), TranslateError> {
    match parsed.positional.as_slice() {
        [] if parsed.last("all").is_some() => planner.step(Step::LogoutOfAll),
        [] => forget("", planner),
        [server] => forget(server, planner),
        _ => return Err(planner.usage("expected at most one registry")),
    }
    Ok(())
}
