//! `docker` and `podman` in a job: their command lines, translated into Buildah's.
//!
//! The translation is pure: [`translate`] says what to run, [`perform`] runs it. What each verb and flag becomes is data, and
//! docs/docker-commands.md is held to it.

mod answer;
mod arguments;
mod attributes;
mod build;
mod buildx;
mod export;
mod flag_specs;
mod git;
mod images;
mod imagetools;
mod listing;
mod manifest;
mod missing;
pub mod perform;
mod plan;
mod podman;
mod printing;
mod reference;
mod registry;
mod system;
mod template;
mod types;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use git::Source;
pub use plan::{Call, Command, Hidden, Input, Output, Plan, Step};
pub use types::{Program, Unavailable};

use arguments::{notices, parse};
use flag_specs::{Translation, Verb, named};
use pflag::{FlagArity, StopAt};
use plan::Planner;
use types::{Flag, FlagPolicy, ONE_BUILDER, switch, value};

/// The exit code of a command line that cannot be carried out: Docker's own.
pub const REFUSED: u8 = 125;

impl Program {
    fn verbs(self) -> Vec<&'static [Verb]> {
        match self {
            Self::Docker => vec![
                build::VERBS,
                buildx::VERBS,
                registry::VERBS,
                images::VERBS,
                manifest::VERBS,
                imagetools::VERBS,
                system::VERBS,
            ],
            Self::Podman => vec![podman::SAME_VERBS, podman::VERBS],
        }
    }
}

/// Flags before the verb. `--builder` belongs to `docker buildx`.
const GLOBAL: &[Flag] = &[
    value("builder", None, FlagPolicy::Given(ONE_BUILDER)),
    value(
        "config",
        None,
        FlagPolicy::Ignored(
            "credentials are the builder's, and those of `docker login` in this job",
        ),
    ),
    value(
        "context",
        Some('c'),
        FlagPolicy::Ours("only `default` exists"),
    ),
    switch(
        "debug",
        Some('D'),
        FlagPolicy::Given("it changes no result"),
    ),
    switch("help", Some('h'), FlagPolicy::Ours("lists what there is")),
    value(
        "host",
        Some('H'),
        FlagPolicy::Unavailable(
            "there is no Docker daemon to connect to",
            "the command without --host",
        ),
    ),
    value(
        "log-level",
        Some('l'),
        FlagPolicy::Given("it changes no result"),
    ),
    switch(
        "remote",
        Some('r'),
        FlagPolicy::Given("the builder is another container"),
    ),
    value(
        "root",
        None,
        FlagPolicy::Ours("`podman --root` names a storage of its own, which is empty here"),
    ),
    value(
        "storage-opt",
        None,
        FlagPolicy::Given("the builder chooses its storage"),
    ),
    switch(
        "tls",
        None,
        FlagPolicy::Unavailable(
            "there is no Docker daemon to connect to",
            "the command without --tls",
        ),
    ),
    value(
        "tlscacert",
        None,
        FlagPolicy::Unavailable(
            "there is no Docker daemon to connect to",
            "the command without --tlscacert",
        ),
    ),
    value(
        "tlscert",
        None,
        FlagPolicy::Unavailable(
            "there is no Docker daemon to connect to",
            "the command without --tlscert",
        ),
    ),
    value(
        "tlskey",
        None,
        FlagPolicy::Unavailable(
            "there is no Docker daemon to connect to",
            "the command without --tlskey",
        ),
    ),
    switch(
        "tlsverify",
        None,
        FlagPolicy::Unavailable(
            "there is no Docker daemon to connect to",
            "the command without --tlsverify",
        ),
    ),
    switch(
        "version",
        Some('v'),
        FlagPolicy::Ours("one line, as Docker's"),
    ),
];

/// Flags that every verb has.
const COMMON: &[Flag] = &[switch(
    "help",
    Some('h'),
    FlagPolicy::Ours("lists what there is"),
)];

/// Translates the arguments of `docker` or `podman`, without the program's name.
///
/// # Errors
/// [`Unavailable`], whose text is for the user, where the command line is wrong or cannot be had here.
pub fn translate(
    program: Program,
    arguments: &[String],
    call: Call<'_>,
) -> Result<Plan, Unavailable> {
    let mut planner = Planner::new(program.name().to_owned(), call);
    let mut words = String::new();
    let mut rest = arguments;
    loop {
        let globals = parse(&planner.command, &[GLOBAL], rest, StopAt::FirstPositional)?;
        let notes = notices(&globals, &planner.command)?;
        planner.plan.notes.extend(notes);
        rest = &rest[rest.len() - globals.positional.len()..];
        if words.is_empty() && globals.on("version") {
            planner.print(system::short_version(program));
            return Ok(planner.plan);
        }
        let Some((word, after)) = rest.split_first().filter(|_| !globals.on("help")) else {
            planner.print(listing(program, &words));
            return Ok(planner.plan);
        };
        if let Some(name) = globals.last("context").filter(|name| *name != "default") {
            return Err(planner.refused(
                &format!("--context {name}"),
                "a pod has one builder, and its context is `default`",
                "the command without --context",
            ));
        }
        if let Some(root) = globals.last("root") {
            return podman::elsewhere(root, rest, planner);
        }
        words = format!("{words} {word}").trim_start().to_owned();
        planner.command = format!("{} {words}", program.name());
        rest = after;
        for verbs in program.verbs() {
            if let Some(verb) = named(verbs, |verb| verb.names, &words) {
                return carry_out(verb, rest, planner);
            }
        }
        if let Some(missing) = named(missing::VERBS, |missing| missing.names, &words) {
            return Err(Unavailable::refused(
                &planner.command,
                missing.because,
                missing.instead,
            ));
        }
        if !is_group(program, &words) {
            return Err(planner.usage("unknown command"));
        }
    }
}

fn carry_out(verb: &Verb, rest: &[String], mut planner: Planner<'_>) -> Result<Plan, Unavailable> {
    let translate = match verb.by {
        Translation::Steps(translate) => translate,
        Translation::Verbatim(words) => {
            let words = words.iter().map(|&word| word.to_owned());
            planner.run(words.chain(rest.iter().cloned()));
            return Ok(planner.plan);
        }
    };
    let mut flags = vec![COMMON];
    flags.extend(verb.flags);
    let parsed = parse(&planner.command, &flags, rest, StopAt::End)?;
    if parsed.on("help") {
        planner.print(help(verb, &planner.command));
        return Ok(planner.plan);
    }
    let notes = notices(&parsed, &planner.command)?;
    planner.plan.notes.extend(notes);
    translate(&parsed, &mut planner)?;
    Ok(planner.plan)
}

/// Every name of every verb, and of those that are missing.
fn names(program: Program) -> Vec<&'static str> {
    let verbs = program.verbs().into_iter().flatten();
    let mut names: Vec<_> = verbs.flat_map(|verb| verb.names).copied().collect();
    names.extend(missing::VERBS.iter().flat_map(|missing| missing.names));
    names
}

/// Whether more words may follow.
fn is_group(program: Program, words: &str) -> bool {
    let prefix = format!("{words} ");
    names(program).iter().any(|name| name.starts_with(&prefix))
}

/// What there is, beneath `words`.
fn listing(program: Program, words: &str) -> String {
    let mut text = format!("{}, answered with Buildah:\n", program.name());
    for verb in program.verbs().into_iter().flatten() {
        for name in verb.names.iter().filter(|name| name.starts_with(words)) {
            text += &format!("  {} {name}\n", program.name());
        }
    }
    text
}

/// A verb's flags.
fn help(verb: &Verb, command: &str) -> String {
    let mut text = format!("{command}: {}\n", verb.becomes);
    for flag in verb.flags.iter().copied().flatten() {
        let short = flag.short.map(|short| format!("-{short}, "));
        let value = if flag.arity == FlagArity::Value {
            " VALUE"
        } else {
            ""
        };
        text += &format!("  {}--{}{value}", short.unwrap_or_default(), flag.long);
        text += &match flag.policy {
            FlagPolicy::Passed | FlagPolicy::Renamed(_) => "\n".to_owned(),
            FlagPolicy::Ours(how) | FlagPolicy::Given(how) => format!("  ({how})\n"),
            FlagPolicy::Ignored(why) => format!("  (left out: {why})\n"),
            FlagPolicy::Unavailable(because, _) => {
                format!("  (not available, because {because})\n")
            }
        };
    }
    text
}
