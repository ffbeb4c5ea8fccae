//! The command lines of the actions and of users, with the plans that they become.

use std::collections::BTreeSet;
use std::path::Path;

use super::digests::Remembered;
use super::error::TranslateError;
use super::handover::{HandOver, Place, Source};
use super::output::Output;
use super::plan::{Plan, Step};
use super::planner::JobContext;
use super::translate::translate;
use super::*;
use crate::verbs::find_by_name;
use flag_specs::{Flag, FlagPolicy};
use translate::GLOBAL;

mod actions;
mod builds;
mod cleanup;
mod handover;
mod page;
mod variables;
mod verbs;

const BUILDAH: &str = include_str!("buildah.flags");

/// Splits a line at blanks. Single quotes keep words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "TOKEN" => "hunter2",
        "EMPTY" => "",
        "SSH_AUTH_SOCK" => "/workspace/agent",
        _ => return None,
    };
    Some(value.to_owned())
}

/// The job shares /workspace with the builder, and relative paths lie in it.
fn place(path: &Path) -> Place {
    match path.strip_prefix("/outside") {
        Ok(_) => Place::Outside,
        Err(_) if path == Path::new("link") => Place::SharedAs("/workspace/real".into()),
        Err(_) => Place::Shared,
    }
}

fn call(line: &str) -> Result<Plan, TranslateError> {
    call_with(line, &variable)
}

/// Translates a line of a job with these variables.
fn call_with(
    line: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, TranslateError> {
    let words = words(line);
    let (program, arguments) = words.split_first().unwrap();
    let program = match program.as_str() {
        "podman" => Program::Podman,
        _ => Program::Docker,
    };
    let call = JobContext {
        scratch: Path::new("/s/X"),
        variable,
        place: &place,
    };
    let plan = translate(program, arguments, call)?;
    for command in commands(&plan.steps) {
        check(&command.arguments);
        if command.variables == Variables::Resolved {
            check_resolved(&command.arguments);
        }
    }
    Ok(plan)
}

/// Checks that Buildah has every flag of a line.
fn check(line: &[String]) {
    let verb = match line[0].as_str() {
        "manifest" => format!("manifest {}", line[1]),
        verb => verb.to_owned(),
    };
    for word in line.iter().filter(|word| word.starts_with("--")) {
        let flag = word.split('=').next().unwrap();
        let known = format!("{verb} {flag}");
        assert!(BUILDAH.lines().any(|line| line == known), "{known}");
    }
}

/// Checks that a line names no variable whose value the builder would need.
fn check_resolved(line: &[String]) {
    for word in line {
        let argument = word.strip_prefix("--build-arg=");
        assert!(argument.is_none_or(|pair| pair.contains('=')), "{word}");
        let secret = word.strip_prefix("--secret=");
        assert!(
            secret.is_none_or(|record| record.contains(",src=")),
            "{word}"
        );
        assert!(!word.starts_with("--env="), "{word}");
    }
}

/// Returns all commands of a plan, of both branches.
fn commands(steps: &[Step]) -> Vec<Command> {
    let mut all = Vec::new();
    for step in steps {
        match step {
            Step::Run(command) | Step::Try(command) | Step::RunOnId { command, .. } => {
                all.push(command.clone());
            }
            Step::PushList { push, digest } => all.push(push.with_digest(digest)),
            Step::If {
                test,
                then,
                otherwise,
            } => {
                all.push(test.clone());
                all.extend(commands(then));
                all.extend(commands(otherwise));
            }
            _ => {}
        }
    }
    all
}

/// Returns the steps as text, one step a line.
fn steps(line: &str) -> Vec<String> {
    let plan = call(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    plan.steps.iter().flat_map(shown).collect()
}

fn shown(step: &Step) -> Vec<String> {
    let line = |command: &Command| command.arguments.join(" ");
    match step {
        Step::Run(command) => {
            let input = if command.stdin == Stdin::Inherited {
                ""
            } else {
                " <secret"
            };
            vec![format!("{}{input}", line(command))]
        }
        Step::PushList { push, digest } => vec![line(&push.with_digest(digest))],
        Step::Try(command) => vec![format!("try {}", line(command))],
        Step::If {
            test,
            then,
            otherwise,
        } => {
            let mut lines = vec![format!("if {}", line(test))];
            lines.extend(then.iter().flat_map(shown).map(|line| format!("  {line}")));
            lines.push("else".to_owned());
            lines.extend(
                otherwise
                    .iter()
                    .flat_map(shown)
                    .map(|line| format!("  {line}")),
            );
            lines
        }
        Step::CreateContainer { image, .. } => vec![format!("create {image}")],
        Step::CopyFiles(copy) => vec![format!(
            "copy {}:{} to {}",
            copy.container, copy.path, copy.to
        )],
        Step::RemoveContainers { names, force } => {
            vec![format!("remove {} {force}", names.join(" "))]
        }
        Step::InspectRegistry(asked) => {
            vec![format!("inspect registry {} {:?}", asked.name, asked.form)]
        }
        Step::PushAll { repository, .. } => vec![format!("push all of {repository}")],
        Step::RunOnId { command, .. } => vec![format!("with id {}", line(command))],
        Step::Save { images, to } => {
            let names: Vec<_> = images.iter().map(|image| image.names.join(",")).collect();
            let to = to.as_deref().unwrap_or(Path::new("stdout"));
            vec![format!("save [{}] to {}", names.join("] ["), to.display())]
        }
        Step::Unpack { from, to } => {
            vec![format!("unpack {} to {}", from.display(), to.display())]
        }
        Step::Load(load) => vec![format!("load {}", load.archive.display())],
        Step::CopyIn { from, to, .. } => {
            vec![format!("copy in {} to {}", from.display(), to.display())]
        }
        Step::Remember(image) => vec![match image {
            Remembered::Pulled { name } => format!("remember pulled {name}"),
            Remembered::Pushed { name, .. } => format!("remember pushed {name}"),
            Remembered::Built { name, .. } => format!("remember built {name}"),
        }],
        Step::Notice(line) => vec![format!("note {line}")],
        Step::Exit(code) => vec![format!("exit {code}")],
        Step::WriteSecret { path, .. } => vec![format!("write {}", path.display())],
        Step::SaveStdin { path } => vec![format!("save stdin to {}", path.display())],
        Step::Fetch { source, directory } => vec![format!(
            "fetch {} {} to {}",
            source.url,
            source.reference.as_deref().unwrap_or("HEAD"),
            directory.display()
        )],
        Step::HandOver(what) => vec![handed_over(what)],
        Step::CopyOut { from, to } => vec![format!(
            "copy {} to {}",
            from.display(),
            to.as_deref().unwrap_or(Path::new("stdout")).display()
        )],
        Step::Print { output, to } => {
            let to = to.as_ref().map(|to| format!(" to {}", to.display()));
            vec![match output {
                Output::Text(text) => format!("print {}", text.trim_end()),
                Output::Metadata { digest, .. } => {
                    let digest = if digest.is_some() { " with digest" } else { "" };
                    format!("metadata{digest}{}", to.unwrap_or_default())
                }
                Output::ImageId { .. } => format!("id{}", to.unwrap_or_default()),
                Output::File(_) => "print file".to_owned(),
                Output::Pushed { tag, .. } => format!("print {tag}: digest"),
                _ => "print output".to_owned(),
            }]
        }
    }
}

fn handed_over(what: &HandOver) -> String {
    match what {
        HandOver::Context { from, to, ignore } => {
            let ignore: Vec<_> = ignore.iter().map(|path| path.to_string_lossy()).collect();
            let (from, to) = (from.display(), to.display());
            format!("hand over {from} to {to} without {}", ignore.join(" or "))
        }
        HandOver::IfPresent { from, to } => {
            format!("copy {} to {} if present", from.display(), to.display())
        }
        HandOver::Stream { source, to } => match source {
            Source::Stdin => format!("unpack stdin to {}", to.display()),
            Source::Url(url) => format!("unpack {url} to {}", to.display()),
        },
        HandOver::Download { url, to } => format!("download {url} to {}", to.display()),
        HandOver::Ssh { from, to } => format!("ssh {} at {}", from.display(), to.display()),
        HandOver::Exported { from, to } => {
            format!("export {} to {}", from.display(), to.display())
        }
    }
}

fn notices(line: &str) -> Vec<String> {
    call(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .notices
}

fn refusal(line: &str) -> String {
    match call(line) {
        Ok(plan) => panic!("{line}: {plan:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_passed_flag_exists_in_buildah_and_is_listed_once() {
    let emitted = |name: &str| match name {
        "push" | "image push" => vec!["push", "manifest push"],
        "pull" | "image pull" => vec!["pull"],
        "build" => vec!["build"],
        "images" => vec!["images"],
        "rmi" => vec!["rmi"],
        "login" => vec!["login"],
        "manifest create" => vec!["manifest create"],
        "manifest annotate" => vec!["manifest annotate"],
        "manifest push" => vec!["manifest push"],
        _ => vec![],
    };
    for program in [Program::Docker, Program::Podman] {
        for verb in program.verbs().into_iter().flatten() {
            let mut seen = BTreeSet::new();
            let mut letters = BTreeSet::new();
            for flag in verb.flags.iter().copied().flatten() {
                assert!(seen.insert(flag.long), "{:?} --{}", verb.names, flag.long);
                if let Some(letter) = flag.short {
                    assert!(letters.insert(letter), "{:?} -{letter}", verb.names);
                }
                let name = match flag.policy {
                    FlagPolicy::Passed => flag.long,
                    FlagPolicy::Renamed(name) => name,
                    _ => continue,
                };
                let verbs = emitted(verb.names[0]);
                assert!(
                    !verbs.is_empty(),
                    "{:?} passes --{name} to what?",
                    verb.names
                );
                let known = verbs.iter().any(|verb| {
                    let known = format!("{verb} --{name}");
                    BUILDAH.lines().any(|line| line == known)
                });
                assert!(known, "{:?} --{name}", verb.names);
            }
        }
    }
}

#[test]
fn every_name_has_one_meaning() {
    for program in [Program::Docker, Program::Podman] {
        let ours: Vec<_> = program
            .verbs()
            .into_iter()
            .flatten()
            .flat_map(|verb| verb.names)
            .collect();
        let set: BTreeSet<_> = ours.iter().collect();
        assert_eq!(set.len(), ours.len());
        let missing: Vec<_> = unsupported::VERBS
            .iter()
            .flat_map(|unsupported| unsupported.names)
            .collect();
        let set: BTreeSet<_> = missing.iter().collect();
        assert_eq!(set.len(), missing.len());
    }
    for name in Program::Docker
        .verbs()
        .into_iter()
        .flatten()
        .flat_map(|verb| verb.names)
    {
        assert!(
            find_by_name(unsupported::VERBS, |unsupported| unsupported.names, name).is_none(),
            "{name}"
        );
    }
}
