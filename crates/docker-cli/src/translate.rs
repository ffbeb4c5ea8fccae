//! Finds the verb of a command line and translates its arguments.

use pflag::StopAt;

use super::arguments::{notices, parse};
use super::error::TranslateError;
use super::flag_specs::{Flag, FlagPolicy, NO_EFFECT, ONE_BUILDER, switch, value};
use super::plan::Plan;
use super::planner::{JobContext, Planner};
use super::verbs::{Program, Translation, Verb, find_by_name};
use super::{
    archives, bake, build, buildx, cleanup, containers, created, help, history, images, imagetools,
    manifest, podman, registry, system, unsupported,
};

const NO_DAEMON: &str = "there is no Docker daemon to connect to";

/// Flags before the verb. `--builder` belongs to `docker buildx`.
pub(super) const GLOBAL: &[Flag] = &[
    value("builder", None, ONE_BUILDER),
    value(
        "config",
        None,
        FlagPolicy::Ignored("the builder holds the credentials, with those of `docker login`"),
    ),
    value(
        "context",
        Some('c'),
        FlagPolicy::Handled("only `default` exists"),
    ),
    switch("debug", Some('D'), NO_EFFECT),
    switch(
        "help",
        Some('h'),
        FlagPolicy::Handled("lists the commands or the flags"),
    ),
    value(
        "host",
        Some('H'),
        FlagPolicy::NotAvailable(NO_DAEMON, "the command without --host"),
    ),
    value("log-level", Some('l'), NO_EFFECT),
    switch(
        "remote",
        Some('r'),
        FlagPolicy::Implied("the builder is another container"),
    ),
    value(
        "root",
        None,
        FlagPolicy::Handled("`podman --root` names a separate storage, which is empty here"),
    ),
    value(
        "storage-opt",
        None,
        FlagPolicy::Implied("the builder chooses its storage"),
    ),
    switch(
        "tls",
        None,
        FlagPolicy::NotAvailable(NO_DAEMON, "the command without --tls"),
    ),
    value(
        "tlscacert",
        None,
        FlagPolicy::NotAvailable(NO_DAEMON, "the command without --tlscacert"),
    ),
    value(
        "tlscert",
        None,
        FlagPolicy::NotAvailable(NO_DAEMON, "the command without --tlscert"),
    ),
    value(
        "tlskey",
        None,
        FlagPolicy::NotAvailable(NO_DAEMON, "the command without --tlskey"),
    ),
    switch(
        "tlsverify",
        None,
        FlagPolicy::NotAvailable(NO_DAEMON, "the command without --tlsverify"),
    ),
    switch(
        "version",
        Some('v'),
        FlagPolicy::Handled("prints one line in Docker's form"),
    ),
];

/// Flags that every verb has.
const COMMON: &[Flag] = &[switch(
    "help",
    Some('h'),
    FlagPolicy::Handled("lists the flags"),
)];

impl Program {
    pub(super) fn verbs(self) -> Vec<&'static [Verb]> {
        match self {
            Self::Docker => vec![
                build::VERBS,
                bake::VERBS,
                buildx::VERBS,
                registry::VERBS,
                images::VERBS,
                archives::VERBS,
                history::VERBS,
                cleanup::VERBS,
                containers::VERBS,
                created::VERBS,
                manifest::VERBS,
                imagetools::VERBS,
                system::VERBS,
            ],
            Self::Podman => vec![
                podman::SAME_VERBS,
                podman::VERBS,
                archives::PODMAN_VERBS,
                cleanup::VERBS,
                containers::VERBS,
                created::VERBS,
            ],
        }
    }
}

/// Translates the arguments of `docker` or `podman`, without the program's name.
///
/// # Errors
/// [`TranslateError`] if the command line is wrong, or if a command, flag or value is not available.
pub(crate) fn translate(
    program: Program,
    arguments: &[String],
    job: JobContext<'_>,
) -> Result<Plan, TranslateError> {
    let mut planner = Planner::new(program.name().to_owned(), job);
    let mut words = String::new();
    let mut rest = arguments;
    loop {
        let globals = parse(&planner.command, &[GLOBAL], rest, StopAt::FirstPositional)?;
        let notices = notices(&globals, &planner.command)?;
        planner.plan.notices.extend(notices);
        rest = &rest[rest.len() - globals.positional.len()..];
        if words.is_empty() && globals.on("version") {
            planner.print_text(system::short_version(program));
            return Ok(planner.plan);
        }
        let Some((word, after)) = rest.split_first().filter(|_| !globals.on("help")) else {
            planner.print_text(help::commands(program, &program.verbs(), &words));
            return Ok(planner.plan);
        };
        if let Some(name) = globals.last("context").filter(|name| *name != "default") {
            return Err(planner.not_available(
                &format!("--context {name}"),
                "a pod has one builder, and its context is `default`",
                "the command without --context",
            ));
        }
        if let Some(root) = globals.last("root") {
            return podman::separate_storage(root, rest, planner);
        }
        if words.is_empty() && word == "help" {
            return translate_help(program, after, job);
        }
        words = format!("{words} {word}").trim_start().to_owned();
        planner.command = format!("{} {words}", program.name());
        rest = after;
        for verbs in program.verbs() {
            if let Some(verb) = find_by_name(verbs, |verb| verb.names, &words) {
                return translate_verb(verb, rest, planner);
            }
        }
        if let Some(entry) = find_by_name(unsupported::VERBS, |entry| entry.names, &words) {
            return Err(TranslateError::not_available(
                &planner.command,
                entry.because,
                entry.instead,
            ));
        }
        if !is_group(program, &words) {
            return Err(planner.usage("unknown command"));
        }
    }
}

/// Translates `docker help COMMAND` as `docker COMMAND --help`.
fn translate_help(
    program: Program,
    command: &[String],
    job: JobContext<'_>,
) -> Result<Plan, TranslateError> {
    let words = command
        .iter()
        .filter(|word| *word != "help" && !word.starts_with('-'));
    let words: Vec<String> = words.cloned().chain(["--help".to_owned()]).collect();
    translate(program, &words, job)
}

fn translate_verb(
    verb: &Verb,
    rest: &[String],
    mut planner: Planner<'_>,
) -> Result<Plan, TranslateError> {
    let (translate, stop) = match verb.translation {
        Translation::Steps(translate) => (translate, StopAt::End),
        Translation::Command(translate) => (translate, StopAt::FirstPositional),
        Translation::Verbatim(words) => {
            let words = words.iter().map(|&word| word.to_owned());
            planner.run_verbatim(words.chain(rest.iter().cloned()));
            return Ok(planner.plan);
        }
    };
    let mut flags = vec![COMMON];
    flags.extend(verb.flags);
    let parsed = parse(&planner.command, &flags, rest, stop)?;
    if parsed.on("help") {
        planner.print_text(help::flags(verb, &planner.command));
        return Ok(planner.plan);
    }
    let notices = notices(&parsed, &planner.command)?;
    planner.plan.notices.extend(notices);
    translate(&parsed, &mut planner)?;
    Ok(planner.plan)
}

/// Returns whether `words` begin the name of a verb, as `buildx` and `image` do.
fn is_group(program: Program, words: &str) -> bool {
    let prefix = format!("{words} ");
    let verbs = program.verbs().into_iter().flatten();
    let unsupported = unsupported::VERBS.iter().flat_map(|entry| entry.names);
    let mut names = verbs.flat_map(|verb| verb.names).chain(unsupported);
    names.any(|name| name.starts_with(&prefix))
}
