//! Rewrites RUN.

use std::collections::BTreeSet;

use super::super::error::Problem;
use super::super::heredoc;
use super::super::lexer::Instruction;
use super::hash::hash;
use super::{Rewriter, documents, mounts, part, words};

/// The beginning of the id of a secret that no build has. Its mount does nothing, and changes the text of a step, which
/// Buildah compares. It does not compare the files of another stage that a step mounts. Buildah 1.39 does not compare the body of a
/// here-document in a stage with an ARG either.
const IDENTITY: &str = "ci-cd-agents.identity.";

/// What the flags of a RUN come to.
#[derive(Default)]
struct Flags {
    /// What a shell executes before the command.
    before: String,
    /// The stages whose files the step mounts.
    stages: BTreeSet<usize>,
}

impl Rewriter<'_> {
    pub(super) fn run(&mut self, text: &str, instruction: &Instruction) -> Result<(), Problem> {
        let mut flags = Flags::default();
        for (flag, span) in instruction.flags.iter().zip(&instruction.flag_spans) {
            if let Some(replacement) = self.run_flag(flag, &mut flags)? {
                self.edits.push((span.clone(), replacement));
            }
        }
        let identity = self.identity(text, instruction, &flags.stages);
        let mark = identity.map(|id| format!("--mount=type=secret,id={IDENTITY}{id}"));
        if let Some(mark) = mark.filter(|mark| !instruction.flags.contains(mark)) {
            let at = instruction.arguments_at;
            self.edits.push((at..at, format!("{mark} ")));
        }
        self.command(text, instruction, &flags.before)?;
        self.change_files();
        Ok(())
    }

    /// Checks one flag. Returns what replaces it.
    fn run_flag(&self, flag: &str, flags: &mut Flags) -> Result<Option<String>, Problem> {
        let refuse = |reason, instead| {
            Err(Problem::Flag {
                flag: flag.to_owned(),
                reason,
                instead,
            })
        };
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        match (name, value) {
            ("--mount", given) => self.mount(given, flags),
            ("--network", "none") if !self.options.network_none => Err(Problem::NetworkNone),
            ("--network", "default" | "host" | "none") => Ok(None),
            ("--network", _) => refuse(
                "the network of a step is default, host or none",
                "write one of these",
            ),
            ("--security", "sandbox") => Ok(Some("--network=default".to_owned())),
            ("--security", _) => {
                refuse("no flag weakens the sandbox of a job's build", "remove it")
            }
            _ => Err(Problem::unknown_flag(flag)),
        }
    }

    fn mount(&self, given: &str, flags: &mut Flags) -> Result<Option<String>, Problem> {
        mounts::require_plain_values(given, self.scope())?;
        // Its quotes are those of the flag, which are gone here.
        if given.contains(char::is_whitespace) {
            return Ok(None);
        }
        let value = |text: &str| words::expand(text, self.scope()).ok()?.value;
        let mut mount = mounts::mount(given, &value)?;
        flags.before.extend(mount.before);
        if let Some(from) = &mount.from {
            let context = self.options.build.build_contexts.contains_key(from);
            let stage = self.stage(from).filter(|_| !context);
            flags.stages.extend(stage);
            if let Some(spelled) = self.respelled(from) {
                let parts = mount
                    .text
                    .split(',')
                    .map(|part| match part.strip_prefix("from=") {
                        Some(_) => format!("from={spelled}"),
                        None => part.to_owned(),
                    });
                mount.text = parts.collect::<Vec<_>>().join(",");
            }
        }
        Ok((mount.text != given).then(|| format!("--mount={}", mount.text)))
    }

    /// Returns what distinguishes the step, beside its text: the bodies of its here-documents, and the files of other stages. A
    /// stage without steps has the files of the image that its FROM names.
    fn identity(
        &mut self,
        text: &str,
        instruction: &Instruction,
        stages: &BTreeSet<usize>,
    ) -> Option<String> {
        let images = stages
            .iter()
            .map(|stage| self.stages[*stage].image.as_deref());
        let images: Option<Vec<&str>> = images.collect();
        let Some(images) = images else {
            self.result.uncached |= self.options.nonce.is_none();
            return self.options.nonce.map(str::to_owned);
        };
        let bodies = instruction.documents.iter();
        let bodies = bodies.map(|document| part(text, &document.span));
        let parts: Vec<&str> = images.into_iter().chain(bodies).collect();
        (!parts.is_empty()).then(|| hash(parts.into_iter()))
    }

    /// Rewrites the command: a script in a here-document, and secrets in variables.
    fn command(
        &mut self,
        text: &str,
        instruction: &Instruction,
        before: &str,
    ) -> Result<(), Problem> {
        let posix = self.stages.last().is_some_and(|stage| stage.posix);
        let whole = heredoc::is_document(&instruction.rest);
        if let ([document], true) = (instruction.documents.as_slice(), whole) {
            let body = part(text, &document.span);
            let heredoc::Document { name, chomp, .. } = &document.document;
            if let Some(command) = documents::script(body, name, *chomp) {
                if !posix || !name.bytes().all(is_plain) {
                    return Err(Problem::ScriptShell);
                }
                let span = instruction.span(0..instruction.rest.len());
                self.edits.push((span, format!("{before}{command}")));
                return Ok(());
            }
        }
        // Text before the bracket makes a command of what Buildah would take for an array. With a here-document, the next lines
        // would be others.
        let more = instruction.is_array_with_more() && !instruction.rest.contains("<<");
        let no_array = more && posix;
        if before.is_empty() && !no_array {
            return Ok(());
        }
        if !posix || whole || instruction.is_json() && !no_array {
            let variable = before.split("export ").nth(1).unwrap_or_default();
            let variable = variable.split(';').next().unwrap_or_default();
            return Err(Problem::SecretVariable(variable.to_owned()));
        }
        let at = instruction.span(0..0);
        let start = if no_array { ": && " } else { "" };
        self.edits.push((at, format!("{before}{start}")));
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}
